from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from id2head_core.appearance.loose_strands import DARKER, LIGHTER, PART, SHELLS, with_loose_strands
from id2head_core.appearance.strand_noise import strand_noise, texel_widths
from id2head_core.camera import orbit_camera
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.structures import HairFit, HeadAppearance, HeadFit, Material
from id2head_core.template.hair import BALD, HairTemplate, shell_faces, shell_height, texture_uv
from id2head_core.template.head_template import HeadTemplate

COLOUR = np.float32([0.1, 0.2, 0.05])


@cache
def templates():
    return HeadTemplate.load(), HairTemplate.load()


@cache
def fit():
    mean = templates()[0].mean
    zeros = np.zeros_like(mean)
    return HeadFit(orbit_camera(), 0, 0, 0, np.zeros(1), np.zeros(1), zeros, mean, mean, 0.0)


def hair_of(style, scale=1.0):
    template = templates()[1]
    thickness = template.thickness[template.styles.index(style)]
    return HairFit(style, np.where(thickness > 0, scale * thickness, thickness), COLOUR)


def appearance_of(roughness=0.55):
    albedo = np.broadcast_to(COLOUR, (64, 64, 3)).copy()
    return HeadAppearance({"hair": Material(albedo, np.ones((64, 64), np.float32), roughness)})


def dressed(hair, appearance=None):
    appearance = appearance or appearance_of()
    geometry = build_geometry(*templates(), fit(), hair)
    return geometry, *with_loose_strands(templates()[1], hair, fit(), geometry, appearance)


def test_shells_lie_above_the_hair_and_end_inside_its_outline():
    hair = hair_of("bob01")
    bare, geometry, _ = dressed(hair)
    assert [part.name for part in geometry.parts] == [*(p.name for p in bare.parts), PART]
    base, strands = bare.part("hair"), geometry.part(PART)
    height = shell_height(templates()[1], hair.thickness)
    rows = np.unique(shell_faces(templates()[1], height))
    by_uv = {tuple(uv): i for i, uv in enumerate(texture_uv(templates()[1])[rows].tolist())}
    count = len(strands.vertices) // len(SHELLS)
    outline = templates()[1].outline_distance(hair.thickness).ravel()[rows]
    for shell, (lift, _) in enumerate(SHELLS):
        part = slice(shell * count, (shell + 1) * count)
        uv = strands.uv[part] * (1, len(SHELLS)) - (0, shell)
        index = [
            by_uv[min(by_uv, key=lambda key, one=one: abs(key[0] - one[0]) + abs(key[1] - one[1]))]
            for one in uv[::97].tolist()
        ]
        height = np.linalg.norm(strands.vertices[part][::97] - base.vertices[index], axis=1)
        assert height.max() == pytest.approx(lift, rel=0.02)
        assert (outline[index] > -0.006).all()
        assert (height[outline[index] < 0] == 0).all()


def test_strands_take_colour_and_motion_from_the_hair():
    hair = hair_of("short01")
    bare, geometry, appearance = dressed(hair)
    strands, below = appearance.materials[PART], appearance.materials["hair"]
    lit = np.broadcast_to(LIGHTER * COLOUR, strands.albedo.shape)
    np.testing.assert_allclose(strands.albedo, lit, rtol=1e-4)
    ratio = below.albedo / COLOUR
    assert ratio.min() == pytest.approx(DARKER, abs=0.02) and ratio.max() == pytest.approx(1.0)
    assert strands.alpha.shape == strands.albedo.shape[:2]
    covered = [half.mean() for half in np.split(strands.alpha > 0.5, len(SHELLS))]
    assert covered[0] > 2 * covered[1] > 0.01
    moved, base = geometry.part(PART).displacements, bare.part("hair").displacements
    largest = np.linalg.norm(base, axis=-1).max(1)
    followed = np.linalg.norm(moved, axis=-1).max(1)
    assert (followed <= largest + 1e-7).all() and followed.max() > 0.3 * largest.max()


def test_the_head_that_was_given_stays_as_it_was():
    hair, given = hair_of("short01"), appearance_of()
    before = given.materials["hair"].albedo.copy()
    _, _, appearance = dressed(hair, given)
    assert appearance is not given and set(given.materials) == {"hair"}
    np.testing.assert_array_equal(given.materials["hair"].albedo, before)


def test_two_calls_give_the_same_strands():
    first, again = (dressed(hair_of("short01"))[2].materials[PART] for _ in range(2))
    np.testing.assert_array_equal(first.alpha, again.alpha)


@pytest.mark.parametrize("kind", ["none", "cropped", "bald"])
def test_without_thick_hair_nothing_is_added(kind):
    hair = None if kind == "none" else hair_of("bob01", 0.1)
    if kind == "bald":
        hair = replace(hair, style=BALD, thickness=np.full_like(hair.thickness, -0.01))
    geometry = build_geometry(*templates(), fit(), hair)
    given = appearance_of()
    shown = with_loose_strands(templates()[1], hair, fit(), geometry, given)
    assert shown == (geometry, given)


def test_a_strand_is_as_wide_in_metres_where_columns_converge():
    template = templates()[1]
    grid = template.image(template.proxy_vertices(templates()[0].mean))
    texel = texel_widths(grid, 512)
    noise = strand_noise(texel, np.random.default_rng(0), 0.004, 6.0)
    assert noise.shape == (512, 512) and abs(noise.std() - 1) < 0.25
    widths = []
    for rows in (slice(60, 90), slice(200, 230)):
        change = np.diff(noise[rows], axis=1).std() / noise[rows].std()
        widths.append(texel[rows].mean() / change)
    assert texel[200] > 1.5 * texel[60]
    assert widths[0] == pytest.approx(widths[1], rel=0.25)
    seam = np.abs(noise[:, 0] - noise[:, -1]).mean()
    assert seam < 1.5 * np.abs(np.diff(noise, axis=1)).mean()
