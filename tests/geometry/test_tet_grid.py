"""The conforming grid: exact start, seams, expressions, columns, the hair shell, errors."""

import numpy as np
import pytest
import torch
import trimesh

from id2head_core.errors import GeometryError
from id2head_core.geometry.extrusion import (
    extrusion_directions,
    prism_tetrahedra,
    tetrahedron_volumes,
)
from id2head_core.geometry.tet_grid import TetGrid


def _sphere(seam=False, subdivisions=3):
    """A sphere of radius 0.1 m as float32; with ``seam`` its equator is duplicated."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=0.1)
    vertices, faces = ball.vertices.astype(np.float32), ball.faces.astype(np.int32)
    weld = np.arange(len(vertices))
    if seam:
        lower = vertices[faces].mean(1)[:, 1] < 0
        used = np.unique(faces[lower])
        renamed = np.arange(len(vertices))
        renamed[used] = len(vertices) + np.arange(len(used))
        faces[lower] = renamed[faces[lower]]
        vertices, weld = np.concatenate([vertices, vertices[used]]), np.concatenate([weld, used])
    uv = vertices[:, :2] * 4 + 0.5
    return vertices, faces, weld, uv


def _closed(faces):
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    forward = {tuple(e) for e in edges.tolist()}
    return len(forward) == len(edges) and all((b, a) in forward for a, b in forward)


def _volume(vertices, faces):
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    return (a * np.cross(b, c)).sum() / 6


def test_prisms_split_into_positive_tetrahedra_that_fill_them():
    """Over random column orders: positive volumes that add up, and neighbours that agree."""
    vertices, faces, _, _ = _sphere(subdivisions=1)
    both = np.concatenate([vertices, 1.2 * vertices])
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(vertices))
        tetrahedra = prism_tetrahedra(faces, order, 2)
        volumes = tetrahedron_volumes(both, tetrahedra)
        assert (volumes > 0).all()
        sides = np.concatenate([np.sort(np.delete(tetrahedra, k, axis=1)) for k in range(4)])
        _, count = np.unique(sides, axis=0, return_counts=True)
        assert set(count) == {1, 2}  # conforming: inner sides are shared by exactly two
        assert (count == 1).sum() == 2 * len(faces)  # only the top and the bottom are free
        shell = _volume(1.2 * vertices, faces) - _volume(vertices, faces)
        assert volumes.sum() == pytest.approx(shell, rel=1e-5)


@pytest.mark.parametrize("seam", [False, True])
def test_initial_distance_reproduces_the_surface(seam):
    vertices, faces, weld, uv = _sphere(seam)
    grid = TetGrid.from_surface(vertices, faces, weld, uv=uv)
    assert grid.inverted_share() == 0
    columns = grid.extract_columns(grid.initial_sdf())
    assert columns.dtype == np.float32
    assert np.abs(columns - vertices).max() < 1e-6
    mesh = grid.extract(grid.initial_sdf())
    same_column = mesh.edges[:, 0] % len(vertices) == mesh.edges[:, 1] % len(vertices)
    at = mesh.edges[same_column, 0] % len(vertices)
    assert set(at.tolist()) == set(faces.reshape(-1).tolist())  # every column in use
    assert np.abs(mesh.vertices[same_column].numpy() - vertices[at]).max() < 1e-6
    assert np.allclose(mesh.uv[same_column], uv[at], atol=1e-6)
    welded = mesh.weld.numpy()[mesh.faces.numpy()]
    assert _closed(welded)
    assert len(mesh.faces) == 4 * len(faces)
    volume = _volume(mesh.vertices.numpy(), mesh.faces.numpy())
    assert volume == pytest.approx(_volume(vertices, faces), rel=0.01)


def test_vertices_at_a_seam_coincide():
    vertices, faces, weld, _ = _sphere(seam=True)
    grid = TetGrid.from_surface(vertices, faces, weld)
    points = np.full((grid.point.max() + 1, 3), np.nan)
    points[grid.point] = grid.grid_vertices
    assert np.array_equal(points[grid.point], grid.grid_vertices)
    sdf = grid.initial_sdf() + 0.0004 * np.sin(90 * grid.grid_vertices).sum(1)
    mesh = grid.extract(sdf)
    merged = np.full((int(mesh.weld.max()) + 1, 3), np.nan)
    merged[mesh.weld] = mesh.vertices.numpy()
    assert np.allclose(merged[mesh.weld], mesh.vertices.numpy(), atol=1e-8)
    assert len(merged) < len(mesh.vertices)
    assert mesh.uv is None


def test_a_displaced_grid_gives_the_displaced_mesh():
    """One topology, exact morph targets: extraction and displacement commute."""
    vertices, faces, weld, _ = _sphere(seam=True)
    grid = TetGrid.from_surface(vertices, faces, weld)
    generator = np.random.default_rng(0)
    by_point = generator.normal(0, 0.004, (13, weld.max() + 1, 3)).astype(np.float32)
    displacements = by_point[:, weld]
    moved = grid.displace(displacements)
    assert moved.shape == (13, len(grid.grid_vertices), 3)
    sdf = grid.initial_sdf() + 0.0005 * np.sin(90 * grid.grid_vertices).sum(1)
    neutral = grid.extract(sdf)
    targets = neutral.transfer(torch.from_numpy(moved))
    for k in (0, 12):
        again = grid.extract(sdf, moved[k])
        assert torch.equal(again.faces, neutral.faces)
        assert (again.vertices - neutral.vertices - targets[k]).abs().max() < 1e-6
        columns = grid.extract_columns(grid.initial_sdf(), moved[k])
        assert np.abs(columns - vertices - displacements[k]).max() < 1e-6


def test_a_smaller_distance_moves_the_surface_outwards_along_the_columns():
    vertices, faces, weld, _ = _sphere()
    grid = TetGrid.from_surface(vertices, faces, weld)
    raised = grid.extract_columns(grid.initial_sdf(0.001))
    assert np.allclose(np.linalg.norm(raised, axis=1), 0.101, atol=2e-5)


def test_columns_have_gradients():
    vertices, faces, weld, _ = _sphere(subdivisions=1)
    grid = TetGrid.from_surface(vertices, faces, weld)
    sdf = torch.from_numpy(grid.initial_sdf()).double().requires_grad_()
    deformation = torch.zeros(len(sdf), 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda s, d: grid.extract_columns(s, d), (sdf, deformation), eps=1e-7, atol=1e-5
    )


def test_wrong_columns_are_refused_or_replaced():
    vertices, faces, weld, _ = _sphere()
    grid = TetGrid.from_surface(vertices, faces, weld)
    count = len(vertices)
    sdf = grid.initial_sdf().reshape(4, count)
    sdf[:, 3] = (-1, 1, -1, 1)  # crossed three times
    sdf[:, 4] = 1  # never: all outside
    sdf[:, 5] = -1  # never: all inside
    sdf[:, 6] *= -1  # inside out
    with pytest.raises(GeometryError, match=r"4 of 642 columns .*\(2 never, 1 several times\)"):
        grid.extract_columns(sdf.reshape(-1))
    assert grid.crossings(sdf.reshape(-1))[[0, 3, 4]].tolist() == [1, 3, 0]
    found = grid.extract_columns(sdf.reshape(-1), strict=False)
    layers = grid.grid_vertices.reshape(4, count, 3)
    assert np.allclose(found[3], layers[2:, 3].mean(0))
    assert np.allclose(found[4], layers[0, 4])
    assert np.allclose(found[5], layers[3, 5])
    untouched = np.setdiff1d(np.arange(count), [3, 4, 5, 6])
    assert np.abs(found - vertices)[untouched].max() < 1e-6


def test_layers_get_thin_where_two_sheets_meet():
    """A flat box: the columns at its rim must not fold over each other."""
    box = trimesh.creation.box((0.1, 0.1, 0.004)).subdivide().subdivide().subdivide()
    vertices, faces = box.vertices.astype(np.float32), box.faces
    grid = TetGrid.from_surface(vertices, faces, np.arange(len(vertices)))
    assert grid.inverted_share() < 0.01
    assert np.abs(grid.extract_columns(grid.initial_sdf()) - vertices).max() < 1e-6
    assert grid.heights[-1].min() < 0.5 * grid.heights[-1].max()


def test_directions_face_all_neighbours_of_a_sharp_edge():
    """At the apex of a narrow cone the direction still looks away from every face."""
    cone = trimesh.creation.cone(radius=0.02, height=0.1, sections=16)
    directions = extrusion_directions(cone.vertices, cone.faces)
    facing = (directions[cone.faces] * cone.face_normals[:, None]).sum(2)
    assert facing.min() > 0.05


def test_hair_shell_follows_the_thickness_and_is_cut_where_there_is_none():
    vertices, faces, weld, uv = _sphere()
    directions = vertices / np.linalg.norm(vertices, axis=1, keepdims=True)
    heights = np.linspace(0, 0.05, 8)
    grid = TetGrid.from_shell(vertices, faces, weld, directions, heights, uv=uv)
    assert grid.inverted_share() == 0
    thickness = np.where(vertices[:, 1] > 0.02, 0.03, -0.01)
    sdf = grid.initial_sdf(thickness)
    hairy = thickness > 0
    assert (grid.crossings(sdf)[hairy] == 1).all() and (grid.crossings(sdf)[~hairy] == 0).all()
    columns = grid.extract_columns(sdf, strict=False)
    assert np.allclose(np.linalg.norm(columns[hairy], axis=1), 0.13, atol=1e-5)
    assert np.allclose(columns[~hairy], vertices[~hairy], atol=1e-6)
    mesh = grid.extract(sdf)
    reach = np.linalg.norm(mesh.vertices.numpy(), axis=1)
    assert reach.max() == pytest.approx(0.13, abs=1e-4) and reach.min() < 0.105
    assert mesh.vertices[:, 1].min() > -0.01


def test_bad_surfaces_are_refused():
    vertices, faces, weld, _ = _sphere(subdivisions=1)
    with pytest.raises(GeometryError, match="no faces"):
        TetGrid.from_surface(vertices, faces[:0], weld)
    vertices[3, 1] = np.nan
    with pytest.raises(GeometryError, match="1 vertices of the surface are not finite"):
        TetGrid.from_surface(vertices, faces, weld)


def test_a_result_that_is_not_finite_is_refused():
    vertices, faces, weld, _ = _sphere(subdivisions=1)
    grid = TetGrid.from_surface(vertices, faces, weld)
    deformation = np.zeros_like(grid.grid_vertices)
    deformation[len(vertices) + 7] = np.inf  # layer 1, next to the surface
    for extract in (grid.extract, grid.extract_columns):
        with pytest.raises(GeometryError, match="not finite"):
            extract(grid.initial_sdf(), deformation)
