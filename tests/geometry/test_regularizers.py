"""Regularizers: zero where they should be, known values elsewhere, gradients that help."""

import pytest
import torch
import trimesh

from id2head_core.geometry import regularizers

PAIRS = torch.tensor([[0, 1], [1, 2], [2, 3]])


def _ball():
    ball = trimesh.creation.icosphere(subdivisions=2)
    return torch.from_numpy(ball.vertices.copy()), torch.from_numpy(ball.faces.copy())


def test_sign_changes_cost_and_agreement_is_free():
    assert regularizers.sign_change_entropy(torch.ones(4), PAIRS) == 0
    one = regularizers.sign_change_entropy(torch.tensor([1.0, 1, -1, -1]), PAIRS)
    assert one.item() == pytest.approx(1.3133, abs=1e-4)  # log(1 + e)


def test_monotony_is_zero_for_a_distance_and_one_for_a_constant():
    heights = torch.tensor([[-0.2, -0.1], [-0.05, -0.02], [0.1, 0.3]])
    assert regularizers.column_monotony(heights.reshape(-1), heights).item() < 1e-10
    assert regularizers.column_monotony(torch.zeros(6), heights).item() == pytest.approx(1)


def test_smoothness_is_the_mean_squared_step():
    values = torch.tensor([[0.0], [1], [3], [3]])
    assert regularizers.smoothness(values, PAIRS).item() == pytest.approx((1 + 4) / 3)
    assert regularizers.smoothness(values, PAIRS[:0]) == 0


def test_laplacian_vanishes_on_even_points():
    line = torch.tensor([[0.0, 0, 0], [1, 0, 0], [2, 0, 0], [3, 0, 0]])
    assert regularizers.laplacian(line, PAIRS).item() == pytest.approx(0.5)  # the two ends
    ring = torch.cat([PAIRS, torch.tensor([[3, 0]])])
    square = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1]])
    assert regularizers.laplacian(square, ring).item() == pytest.approx(0.5)
    assert regularizers.laplacian(line, PAIRS[:0]) == 0


def test_adjacent_faces_of_a_closed_mesh():
    _, faces = _ball()
    first, second = regularizers.adjacent_faces(faces)
    assert len(first) == 3 * len(faces) // 2
    pairs = zip(faces[first].tolist(), faces[second].tolist(), strict=True)
    assert {len(set(a) & set(b)) for a, b in pairs} == {2}


def test_normal_consistency_is_zero_on_a_plane_and_one_across_a_right_angle():
    faces = torch.tensor([[0, 1, 2], [2, 1, 3]])
    flat = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert regularizers.normal_consistency(flat, faces).item() == pytest.approx(0, abs=1e-6)
    bent = torch.tensor([[0.0, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 0]])  # hinge along y
    assert regularizers.normal_consistency(bent, faces).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["laplacian", "normal_consistency"])
def test_descending_smooths_a_noisy_ball(name):
    """Fifty small steps cut the cost by at least half."""
    vertices, faces = _ball()
    noise = torch.randn(vertices.shape, generator=torch.Generator().manual_seed(0)).double()
    noisy = (vertices + 0.05 * noise).requires_grad_()
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = edges.sort(1).values.unique(dim=0)
    cost = getattr(regularizers, name)
    support = edges if name == "laplacian" else faces
    optimizer = torch.optim.Adam([noisy], lr=0.003)
    start = cost(noisy, support).item()
    for _ in range(50):
        optimizer.zero_grad()
        cost(noisy, support).backward()
        optimizer.step()
    assert cost(noisy, support).item() < 0.5 * start
