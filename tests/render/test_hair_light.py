"""Light that glances off strands: where it shines, and that renders show it."""

import numpy as np
import pytest

from id2head_core.camera import orbit_camera
from id2head_core.render.hair_light import glance, strand_directions, tilt
from id2head_core.render.head_renderer import HeadRenderer
from id2head_core.structures import HeadAppearance, HeadGeometry, HeadPart, Material

NORMAL, VIEW = np.array([0, 0, 1.0]), np.array([0, 0, 1.0])


def plate(name: str, turned: bool) -> HeadPart:
    """A bent plate in front of the camera whose strands hang down, or lie across."""
    rows = np.linspace(-1, 1, 41)
    y, x = np.meshgrid(rows, rows, indexing="ij")
    vertices = np.stack([0.1 * x, 0.1 * y, -0.05 * y * y], -1).reshape(-1, 3)
    u, v = (x + 1) / 2, (1 - y) / 2
    uv = np.stack([v, u] if turned else [u, v], -1).reshape(-1, 2)
    corner = (np.arange(40)[:, None] * 41 + np.arange(40)).ravel()
    faces = np.concatenate(
        [np.c_[corner, corner + 1, corner + 42], np.c_[corner, corner + 42, corner + 41]]
    )
    return HeadPart(
        name, vertices.astype(np.float32), faces.astype(np.int32), uv.astype(np.float32),
        np.arange(len(vertices), dtype=np.int32), np.zeros((13, len(vertices), 3), np.float32),
    )  # fmt: skip


def shown(name: str, turned: bool = False, albedo: float = 0.01) -> np.ndarray:
    """Middle of a render of the plate, ``[48, 48]``."""
    colour = np.full((4, 4, 3), albedo, np.float32)
    geometry = HeadGeometry((plate(name, turned),))
    appearance = HeadAppearance({name: Material(colour)})
    image = HeadRenderer().render(geometry, appearance, orbit_camera(distance=0.7), (96, 96))
    return image.shaded.mean(-1)[24:72, 24:72]  # inside the plate


def test_light_glances_off_where_the_halfway_vector_is_across_the_strand():
    down = np.array([0, 1.0, 0])
    lights = [np.array([0, np.sin(a), np.cos(a)]) for a in np.radians(np.arange(-60, 61))]
    white = np.array([glance(down, 0.0, 0.55, NORMAL, light, VIEW)[0] for light in lights])
    best = np.arange(-60, 61)[white.argmax()]
    # the strand is tilted by atan(0.06) out of the surface, and the light moves twice as far
    assert best == pytest.approx(-2 * np.degrees(np.arctan(0.06)), abs=1)
    assert white.max() == pytest.approx(0.1, rel=0.01)
    aside = abs(np.arange(-60, 61) - best) >= 18
    assert white[aside].max() < 0.2 * white.max()  # the highlight is a narrow band
    across = [
        glance(np.array([1.0, 0, 0]), 0.0, 0.55, NORMAL, light, VIEW)[0] for light in lights[40:81]
    ]
    assert np.ptp(across) < 0.1 * max(across)  # all of them lie across this strand


def test_length_and_lean_of_the_strand_do_not_count():
    light = np.array([0.36, 0.48, 0.8])
    once = glance(np.array([0.6, 0.8, 0.0]), 0.3, 0.55, NORMAL, light, VIEW)
    assert glance(np.array([1.2, 1.6, 0.7]), 0.3, 0.55, NORMAL, light, VIEW) == pytest.approx(once)


def test_curls_and_crops_shine_less():
    shines = [glance(np.array([0, 1.0, 0]), 0.0, r, NORMAL, NORMAL, VIEW) for r in (0.55, 0.7, 0.9)]
    assert shines[0] > shines[1] > shines[2] > (0, 0)


def test_nothing_glances_off_the_far_side():
    assert glance(np.array([0, 1.0, 0]), 0.0, 0.55, NORMAL, -NORMAL, VIEW) == (0, 0)


def test_strands_run_in_the_direction_of_v():
    part = plate("hair", turned=False)
    strands = strand_directions(part.vertices, part.faces, part.uv)
    assert np.linalg.norm(strands, axis=1) == pytest.approx(1, abs=1e-4)
    assert (strands[:, 1] < -0.6).all() and abs(strands[:, 0]).max() < 1e-3
    turned = plate("hair", turned=True)
    strands = strand_directions(turned.vertices, turned.faces, turned.uv)
    assert strands[:, 0] == pytest.approx(1, abs=1e-3)


def test_tilts_differ_across_and_hardly_along():
    u = np.linspace(0, 0.999, 500)
    values = np.array([[tilt(a, 0.3), tilt(a, 0.302)] for a in u])
    assert -1 <= values.min() < -0.5 and 0.5 < values.max() <= 1
    assert abs(np.diff(values, axis=1)).mean() < 0.2 * abs(np.diff(values[:, 0])).mean()


def test_black_hair_shines_along_its_strands_and_skin_of_the_same_shape_does_not():
    hair, across, skin = shown("hair"), shown("hair", turned=True), shown("skin")
    assert hair.std(axis=1).mean() > 2 * skin.std(axis=1).mean()  # no two strands are alike
    assert hair.max() > 1.5 * hair.min()
    assert abs(hair - across).mean() > 0.01
