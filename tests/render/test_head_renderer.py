"""Pictures of a head: what is where, light, expressions, cut-outs, errors, files."""

import numpy as np
import pytest
import trimesh

from id2head_core.appearance.spherical_harmonics import preset_light
from id2head_core.camera import orbit_camera
from id2head_core.errors import GeometryError, OptionError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.render import lighting, surface_buffer, visibility
from id2head_core.render.contact_sheet import (
    VIEWS,
    contact_sheet,
    portrait_camera,
    slug,
    write_views,
)
from id2head_core.render.head_renderer import HeadRenderer, warm_up
from id2head_core.structures import HeadAppearance, HeadAsset, HeadGeometry, HeadPart, Material

SKIN = (0.5, 0.32, 0.24)


def _ball(name, radius, centre, grin=0.0):
    ball = trimesh.creation.icosphere(subdivisions=4, radius=radius)
    vertices = ball.vertices.astype(np.float32)
    displacements = np.zeros((13, len(vertices), 3), np.float32)
    displacements[EXPRESSIONS.index("Grin"), :, 1] = grin
    uv = vertices[:, :2] / radius / 2 + 0.5
    uv[:, 1] = 1 - uv[:, 1]
    vertices = vertices + np.float32(centre)
    weld = np.arange(len(vertices), dtype=np.int32)
    return HeadPart(name, vertices, ball.faces.astype(np.int32), uv, weld, displacements)


def _material(colour, **options):
    return Material(np.tile(np.float32(colour), (8, 8, 1)), **options)


@pytest.fixture(scope="module")
def head():
    parts = (_ball("skin", 0.1, (0, 0, 0), grin=0.03), _ball("eyes", 0.02, (0.03, 0.02, 0.09)))
    materials = {"skin": _material(SKIN), "eyes": _material((0.2, 0.2, 0.2), roughness=0.1)}
    return HeadGeometry(parts), HeadAppearance(materials)


def test_a_ball_has_its_outline_albedo_normals_and_parts(head):
    camera = orbit_camera(0, distance=1.0, fov_y=18)
    view = HeadRenderer().render(*head, camera, (96, 96))
    assert view.shaded.dtype == view.albedo.dtype == view.normals.dtype == np.float32
    radius = 0.1 / (1.0**2 - 0.1**2) ** 0.5 / np.tan(np.radians(9)) * 48
    assert view.mask.sum() == pytest.approx(np.pi * radius**2, rel=0.01)
    assert set(np.unique(view.part_index)) == {-1, 0, 1}
    assert view.albedo[48, 20] == pytest.approx(SKIN, abs=1e-5)
    eye = camera.pixels(np.array([[0.03, 0.02, 0.11]]), 96, 96)[0]
    assert view.part_index[int(eye[1]), int(eye[0])] == 1
    skin = view.part_index == 0
    lengths = np.linalg.norm(view.normals, axis=-1)
    assert np.allclose(lengths[skin], 1, atol=1e-3) and (lengths[view.mask == 0] == 0).all()
    assert view.normals[21, 48, 1] > 0.7  # up at the top
    assert view.normals[48, 75, 0] > 0.7  # right on the right
    assert (view.normals[skin][:, 2] > 0).mean() > 0.97  # to the camera


def test_studio_light_keeps_skin_naturally_exposed(head):
    for yaw in (0, 30, 90, 180):
        view = HeadRenderer().render(*head, orbit_camera(yaw, distance=1.0), (64, 64))
        middle = view.shaded[24:40, 10:24][view.part_index[24:40, 10:24] == 0]
        expected = 0.735 * np.ones(1)  # sRGB of 0.5 linear
        assert np.abs(middle[:, 0].mean() - expected) < 0.1


def test_light_comes_from_where_it_should(head):
    renderer, camera = HeadRenderer(), orbit_camera(0, distance=1.0)
    halves = {}
    for name in ("right", "left", "back", "front"):
        image = renderer.render(*head, camera, (64, 64), light=preset_light(name)).shaded
        halves[name] = image[20:44, 12:26].mean(), image[20:44, 38:52].mean()
    assert halves["right"][1] > halves["right"][0] + 0.1
    assert halves["left"][0] > halves["left"][1] + 0.1
    assert min(halves["front"]) > max(halves["back"]) + 0.1
    side = renderer.render(
        *head, orbit_camera(90, distance=1.0), (64, 64), light=preset_light("right")
    )
    assert side.shaded[24:40, 24:40].mean() > sum(halves["right"]) / 2  # the light is in the world


def test_expression_moves_the_head(head):
    renderer, camera = HeadRenderer(), orbit_camera(0, distance=1.0)
    still = renderer.render(*head, camera, (64, 64))
    grin = renderer.render(*head, camera, (64, 64), expression={"Grin": 1.0})
    top = [np.nonzero(v.mask.any(1))[0][0] for v in (still, grin)]
    assert top[1] <= top[0] - 4
    zero = renderer.render(*head, camera, (64, 64), expression={"Grin": 0.0})
    assert np.array_equal(zero.shaded, still.shaded)


def test_alpha_cuts_out_and_softens(head):
    skin, eyes = head[0].parts
    camera = orbit_camera(0, distance=1.0)
    fringe = _ball("lashes", 0.05, (-0.03, 0, 0.09))
    shares = []
    for alpha in (0.0, 0.5, 1.0):
        cut = _material((0.02,) * 3, alpha=np.full((4, 4), alpha, np.float32))
        materials = HeadAppearance({**head[1].materials, "lashes": cut})
        view = HeadRenderer().render(
            HeadGeometry((skin, eyes, fringe)), materials, camera, (64, 64)
        )
        shares.append(float((view.albedo[30:34, 16:20, 0] < 0.3).mean()))
        level = view.albedo[30:34, 18:22, 0].mean()
        assert level == pytest.approx(0.5 + (0.02 - 0.5) * alpha, abs=0.02)
    assert shares == sorted(shares)


def test_backgrounds(head):
    camera = orbit_camera(0, distance=1.0)
    picture = np.random.default_rng(0).random((40, 60, 3)).astype(np.float32)
    for background in (0.25, (0.1, 0.2, 0.3), picture):
        view = HeadRenderer().render(*head, camera, (60, 40), background=background)
        empty = view.mask == 0
        expected = np.broadcast_to(background, view.shaded.shape)
        assert view.shaded.shape == (40, 60, 3)
        assert np.allclose(view.shaded[empty], expected[empty])


def test_parts_without_a_material_are_left_out(head):
    appearance = HeadAppearance({"eyes": head[1].materials["eyes"]})
    view = HeadRenderer().render(head[0], appearance, orbit_camera(0, distance=1.0), (48, 48))
    assert set(np.unique(view.part_index)) == {-1, 1}


def test_the_memory_follows_the_head(head):
    renderer, camera = HeadRenderer(), orbit_camera(0, distance=1.0)
    renderer.render(*head, camera, (32, 32))
    blue = HeadAppearance({**head[1].materials, "skin": _material((0.1, 0.1, 0.9))})
    assert renderer.render(head[0], blue, camera, (32, 32)).albedo[16, 6, 2] > 0.8


def test_nothing_in_view_is_just_the_backdrop(head):
    away = orbit_camera(0, distance=1.0, target=(5.0, 0, 0))
    view = HeadRenderer().render(*head, away, (32, 32), background=0.5)
    assert not view.mask.any() and (view.shaded == 0.5).all()


def test_errors(head):
    renderer, camera = HeadRenderer(), orbit_camera(0)
    with pytest.raises(OptionError, match="Expression 'Wink' is unknown"):
        renderer.render(*head, camera, expression={"Wink": 1.0})
    with pytest.raises(GeometryError, match="no faces to draw"):
        renderer.render(HeadGeometry(()), head[1], camera)
    broken = _ball("skin", 0.1, (0, 0, 0))
    broken.vertices[5] = np.nan
    with pytest.raises(GeometryError, match="1 vertices of the head are not finite"):
        renderer.render(HeadGeometry((broken,)), head[1], camera)


def test_views_and_contact_sheet(head, tmp_path):
    asset = HeadAsset(*head)
    files = write_views(asset, tmp_path, photo=np.full((30, 20, 3), 90, np.uint8))
    names = {f.name for f in files}
    assert names == {f"{n}.png" for n in [*VIEWS, *map(slug, EXPRESSIONS), "contact_sheet"]}
    assert all(f.stat().st_size > 1000 for f in files)
    pictures = {
        name: np.full((16, 16, 3), 200, np.uint8) for name in [*VIEWS, *map(slug, EXPRESSIONS)]
    }
    sheet = contact_sheet(pictures, tile=64)
    assert sheet.dtype == np.uint8 and sheet.shape[0] > 3 * 64 and sheet.shape[1] > 7 * 64


def test_portrait_camera_frames_the_head(head):
    camera = portrait_camera(head[0])
    top = camera.pixels(np.array([[0.0, 0.1, 0.0]]), 100, 100)[0, 1]
    assert 0 < top < 25


def test_one_compiled_signature_serves_all(head):
    """Warming up must compile what later heads use, with and without cut-outs."""
    warm_up()
    cut = _material(SKIN, alpha=np.ones((4, 4), np.float32))
    materials = HeadAppearance({**head[1].materials, "skin": cut})
    light = preset_light("left").astype(np.float64)
    HeadRenderer().render(
        head[0], materials, orbit_camera(20), (40, 30), light=light, supersample=1
    )
    kernels = visibility._draw, surface_buffer._resolve, lighting._occlude, lighting._light
    assert [len(kernel.signatures) for kernel in kernels] == [1] * 4
