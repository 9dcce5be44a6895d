"""Vertex normals: a sphere, a seam, gradients, both implementations."""

import numpy as np
import torch
import trimesh

from id2head_core.render.normals import vertex_normals, vertex_normals_torch


def _split_sphere():
    """An icosphere whose equator is duplicated, as at a UV seam."""
    ball = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    upper = ball.triangles_center[:, 1] > 0
    faces = np.where(upper[:, None], ball.faces, ball.faces + len(ball.vertices))
    weld = np.tile(np.arange(len(ball.vertices)), 2)
    return np.tile(ball.vertices, (2, 1)).astype(np.float32), faces.astype(np.int32), weld


def test_normals_of_a_sphere_point_outwards_across_the_seam():
    vertices, faces, weld = _split_sphere()
    normals = vertex_normals(vertices, faces, weld)
    assert normals.dtype == np.float32
    assert np.abs(normals - vertices / 0.1).max() < 0.03
    half = len(vertices) // 2
    assert np.array_equal(normals[:half], normals[half:])
    torn = vertex_normals(vertices, faces, np.arange(len(vertices)))
    assert np.abs(torn - normals).max() > 0.1


def test_torch_agrees_and_has_gradients():
    vertices, faces, weld = _split_sphere()
    fast = vertex_normals(vertices, faces, weld)
    args = torch.from_numpy(faces), torch.from_numpy(weld)
    assert np.allclose(vertex_normals_torch(torch.from_numpy(vertices), *args), fast, atol=1e-5)
    few = torch.tensor([[0, 1, 2], [2, 1, 3]])
    points = torch.rand(4, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda p: vertex_normals_torch(p, few, torch.arange(4)), (points,)
    )


def test_vertices_without_area_get_a_unit_normal():
    normals = vertex_normals(np.zeros((3, 3)), np.array([[0, 1, 2]]), np.arange(3))
    assert np.array_equal(normals, np.tile([0, 0, 1], (3, 1)))
    assert vertex_normals(np.zeros((0, 3)), np.zeros((0, 3), int), np.zeros(0, int)).shape == (0, 3)
