"""Marching tetrahedra: all sign patterns, a sphere, gradients, errors, parity with kaolin."""

import itertools

import numpy as np
import pytest
import torch

from id2head_core.errors import GeometryError
from id2head_core.geometry.marching_tetrahedra import case_triangles, marching_tetrahedra

UNIT = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.float64)
ONE = torch.tensor([[0, 1, 2, 3]])


def _cube_grid(n, dtype=torch.float64):
    """Kuhn tetrahedra of an n³ grid over [-1, 1]³, all in positive order."""
    axis = torch.linspace(-1, 1, n + 1, dtype=dtype)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    stride = torch.tensor([(n + 1) ** 2, n + 1, 1])
    cells = torch.stack(torch.meshgrid(*[torch.arange(n)] * 3, indexing="ij"), -1).reshape(-1, 3)
    base = (cells * stride).sum(1)
    parts = []
    for order in itertools.permutations(range(3)):
        steps = torch.stack([torch.zeros(1), *[stride[i : i + 1].float() for i in order]]).long()
        parts.append(base[:, None] + steps.cumsum(0).T)
    tetrahedra = torch.cat(parts)
    a, b, c, d = points[tetrahedra].unbind(1)
    flipped = torch.linalg.det(torch.stack([b - a, c - a, d - a], 1)) < 0
    tetrahedra[flipped] = tetrahedra[flipped][:, [0, 2, 1, 3]]
    return points, tetrahedra


def _volume(vertices, faces):
    a, b, c = vertices[faces].unbind(1)
    return (a * torch.linalg.cross(b, c)).sum().item() / 6


@pytest.mark.parametrize("case", range(1, 15))
def test_every_sign_pattern_separates_inside_from_outside(case):
    """Triangles use crossed edges only, face outwards and cut off the right volume."""
    inside = torch.tensor([case >> i & 1 for i in range(4)], dtype=torch.bool)
    sdf = torch.where(inside, -1.0, 1.0).double()
    mesh = marching_tetrahedra(UNIT, sdf, ONE)
    assert len(mesh.faces) == (2 if inside.sum() == 2 else 1)
    assert (inside[mesh.edges].sum(1) == 1).all()
    a, b, c = mesh.vertices[mesh.faces].unbind(1)
    normal = torch.linalg.cross(b - a, c - a)
    out = UNIT[~inside].mean(0) - UNIT[inside].mean(0)
    assert ((normal * out).sum(1) > 0).all()


@pytest.mark.parametrize("case", [0, 15])
def test_no_sign_change_is_an_error(case):
    assert case_triangles()[case] == []
    sdf = torch.full((4,), -1.0 if case else 1.0)
    with pytest.raises(GeometryError, match="surface is empty.*change its sign"):
        marching_tetrahedra(UNIT, sdf, ONE)


def test_not_finite_is_an_error():
    sdf = torch.tensor([-1.0, 1, 1, torch.nan])
    with pytest.raises(GeometryError, match="not finite"):
        marching_tetrahedra(UNIT, sdf, ONE)
    with pytest.raises(GeometryError, match="not finite"):
        marching_tetrahedra(UNIT * torch.inf, torch.tensor([-1.0, 1, 1, 1]), ONE)


def test_sphere_is_closed_outward_and_has_the_right_volume():
    points, tetrahedra = _cube_grid(24)
    mesh = marching_tetrahedra(points, points.norm(dim=1) - 0.7, tetrahedra)
    edges = torch.cat([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]])
    forward = {tuple(e) for e in edges.tolist()}
    assert len(forward) == len(edges)  # each directed edge once ...
    assert all((b, a) in forward for a, b in forward)  # ... and its opposite too
    assert len(mesh.vertices) - len(edges) // 2 + len(mesh.faces) == 2  # Euler
    assert _volume(mesh.vertices, mesh.faces) == pytest.approx(4 / 3 * np.pi * 0.7**3, rel=0.01)
    assert (mesh.vertices.norm(dim=1) - 0.7).abs().max() < 0.005


def test_vertices_lie_where_the_weights_say():
    points, tetrahedra = _cube_grid(5)
    sdf = points.norm(dim=1) - 0.7
    mesh = marching_tetrahedra(points, sdf, tetrahedra)
    assert torch.allclose((mesh.weights * sdf[mesh.edges]).sum(1), torch.zeros(1).double())
    assert torch.allclose(mesh.weights.sum(1), torch.ones(1).double())
    assert (mesh.edges[:, 0] < mesh.edges[:, 1]).all()


def test_gradcheck():
    points, tetrahedra = _cube_grid(2)
    generator = torch.Generator().manual_seed(0)
    points = points + 0.1 * torch.rand(points.shape, generator=generator)
    sdf = points.norm(dim=1) - 0.8
    assert torch.autograd.gradcheck(
        lambda p, s: marching_tetrahedra(p, s, tetrahedra).vertices,
        (points.requires_grad_(), sdf.detach().requires_grad_()),
    )


def test_an_inverted_tetrahedron_does_not_tear_the_surface():
    points, tetrahedra = _cube_grid(6)
    sdf = points.norm(dim=1) - 0.7
    faces = marching_tetrahedra(points, sdf, tetrahedra).faces
    generator = torch.Generator().manual_seed(0)
    shaken = points + torch.rand(points.shape, generator=generator, dtype=torch.float64)
    assert torch.equal(marching_tetrahedra(shaken, sdf, tetrahedra).faces, faces)


def test_agrees_with_kaolin():
    conversions = pytest.importorskip("kaolin.ops.conversions", reason="kaolin is not installed")
    points, tetrahedra = _cube_grid(8, torch.float32)
    sdf = points.norm(dim=1) - 0.7
    ours = marching_tetrahedra(points, sdf, tetrahedra)
    vertices, faces = conversions.marching_tetrahedra(points[None], tetrahedra, sdf[None])
    assert len(faces[0]) == len(ours.faces)
    ordered = [
        sorted(map(tuple, v.round(decimals=4).tolist())) for v in (vertices[0], ours.vertices)
    ]
    assert np.allclose(ordered[0], ordered[1], atol=2e-4)
    assert abs(_volume(vertices[0], faces[0])) == pytest.approx(
        _volume(ours.vertices, ours.faces), rel=1e-4
    )
