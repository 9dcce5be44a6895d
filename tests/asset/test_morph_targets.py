from dataclasses import replace

import numpy as np
import pytest

from id2head_core.asset.morph_targets import SMALLEST_POSITION_DELTA, morph_targets
from id2head_core.errors import GeometryError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.render.normals import vertex_normals
from tests.synthetic_head import STILL_IN_SKIN, sphere_part


def test_each_target_turns_the_neutral_into_the_expression():
    part = sphere_part("skin", columns=48, rows=24)
    targets = morph_targets(part)
    np.testing.assert_allclose(targets.position_deltas, part.displacements, atol=1.5e-5)
    for index in range(len(EXPRESSIONS)):
        moved = part.vertices + part.displacements[index]
        expected = vertex_normals(moved, part.faces, part.weld)
        np.testing.assert_allclose(
            targets.normals + targets.normal_deltas[index], expected, atol=5e-3
        )
    assert np.abs(targets.normal_deltas[0]).max() > 0.1


def test_normals_of_a_sphere_point_outwards_also_at_the_seam():
    part = sphere_part("skin", columns=64, rows=32)
    outwards = part.vertices / np.linalg.norm(part.vertices, axis=1, keepdims=True)
    assert (morph_targets(part).normals * outwards).sum(1).min() > 0.995
    seam = np.isclose(part.uv[:, 0], 0) | np.isclose(part.uv[:, 0], 1)
    left, right = (morph_targets(part).normals[seam][k::2] for k in (0, 1))
    np.testing.assert_array_equal(left, right)


def test_still_and_tiny_offsets_are_exactly_zero():
    part = sphere_part("skin")
    displacements = part.displacements.copy()
    displacements[0] = 0.5 * SMALLEST_POSITION_DELTA / np.sqrt(3)
    targets = morph_targets(replace(part, displacements=displacements))
    for index in (0, EXPRESSIONS.index(STILL_IN_SKIN)):
        assert not targets.position_deltas[index].any()
        assert not targets.normal_deltas[index].any()
    assert targets.position_deltas[1].any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"faces": np.zeros((0, 3), np.int32)}, r"'skin' is empty \(325 vertices, 0 faces\)"),
        ({"uv": np.zeros((3, 2), np.float32)}, r"uv has shape \(3, 2\), expected \(325, 2\)"),
        ({"displacements": np.zeros((12, 325, 3))}, r"displacements has shape \(12, 325, 3\)"),
        ({"vertices": np.full((325, 3), np.nan)}, "vertices holds 975 values that are not finite"),
        ({"faces": np.array([[0, 1, 325]])}, "faces use vertices 0 to 325, but there are 325"),
    ],
)
def test_broken_parts_are_refused(change, message):
    with pytest.raises(GeometryError, match=message):
        morph_targets(replace(sphere_part("skin"), **change))
