"""Prior images of heads, their control maps, and the camera that both are seen by."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from id2head_core.guidance.prior_camera import (
    FACE_CENTRE,
    FACE_ZOOM,
    HEAD_CENTRE,
    HEIGHT,
    camera_words,
    prior_camera,
)
from id2head_core.guidance.prior_image import ControlRenderer, PriorScene, bare_vertices
from id2head_core.structures import HeadAppearance, Material
from tests.geometry.geometry_oracle import templates
from tests.synthetic_head import synthetic_head

SIZE = 64
JAW = 7
"""Index of an expression that opens the mouth wide ("Mouth Stretch" is the seventh)."""


@pytest.fixture(scope="module")
def control() -> ControlRenderer:
    return ControlRenderer(templates()[0], SIZE)


def mean_head() -> np.ndarray:
    return templates()[0].mean


def covered(maps: np.ndarray) -> np.ndarray:
    return (maps[:3] != 0.5).any(0)


def inside(maps: np.ndarray) -> np.ndarray:
    """Covered pixels whose neighbours are covered too."""
    return cv2.erode(covered(maps).astype(np.uint8), np.ones((3, 3))) > 0


@pytest.mark.parametrize("yaw", [0, 70, 180])
def test_the_bare_head_lies_on_exact_grey(control, yaw):
    maps = control(mean_head(), prior_camera(yaw))
    assert maps.shape == (6, SIZE, SIZE) and maps.dtype == np.float32
    assert maps.min() >= 0 and maps.max() <= 1
    assert 0.2 < covered(maps).mean() < 0.45
    assert (maps[:, ~covered(maps)] == 0.5).all()
    albedo_covers = (maps[3:] != 0.5).any(0)
    assert (albedo_covers == covered(maps)).mean() > 0.995


@pytest.mark.parametrize("yaw", [0, 70, 180])
def test_normals_are_unit_vectors_that_face_the_camera(control, yaw):
    maps = control(mean_head(), prior_camera(yaw))
    normals = maps[:3, inside(maps)] * 2 - 1
    np.testing.assert_allclose(np.linalg.norm(normals, axis=0), 1, atol=1e-5)
    assert (normals[2] > 0).mean() > 0.97
    columns = np.nonzero(inside(maps))[1] - SIZE / 2
    assert np.corrcoef(columns, normals[0])[0, 1] > 0.6  # the right side looks to the right
    top = normals[1, np.nonzero(inside(maps))[0] < SIZE * 0.2]
    assert len(top) and top.mean() > 0.3


@pytest.mark.parametrize(("yaw", "pitch", "zoom"), [(35, 10, 1.0), (60, -15, FACE_ZOOM)])
def test_a_mirrored_camera_gives_mirrored_maps(control, yaw, pitch, zoom):
    maps = control(mean_head(), prior_camera(yaw, pitch, zoom))
    mirrored = control(mean_head(), prior_camera(-yaw, pitch, zoom))[..., ::-1].copy()
    mirrored[0] = 1 - mirrored[0]
    assert np.abs(maps - mirrored).mean() < 0.003
    assert np.abs(maps[0] - (1 - mirrored[0])).mean() > 0.1  # the sign of x does matter


def test_expressions_move_the_control_maps_where_the_mouth_is(control):
    template = templates()[0]
    camera = prior_camera(0, 0, FACE_ZOOM)
    moved = mean_head() + template.expression_displacements(mean_head())[JAW - 1]
    changed = np.abs(control(moved, camera, mean_head()) - control(mean_head(), camera)).max(0)
    assert changed[SIZE // 2 :].mean() > 4 * changed[: SIZE // 4].mean()
    assert changed[SIZE // 2 :].mean() > 0.05


def test_bound_parts_keep_the_size_that_neutral_gives_them():
    template = templates()[0]
    wider = mean_head() * np.array([1.2, 1, 1], np.float32)
    own, kept = bare_vertices(template, wider), bare_vertices(template, wider, mean_head())
    assert own.dtype == np.float32 and own.shape == kept.shape
    skin = len(template.skin_vertex)
    np.testing.assert_array_equal(own[:skin], wider[template.skin_vertex])
    np.testing.assert_array_equal(own[:skin], kept[:skin])
    np.testing.assert_array_equal(own, bare_vertices(template, wider, wider))
    eyes = slice(skin, skin + len(template.bound[0].offset))
    assert template.bound[0].name == "eyes"
    assert np.ptp(own[eyes, 0]) > np.ptp(kept[eyes, 0]) + 1e-3


def test_hair_is_opaque_and_brows_are_not():
    head = synthetic_head()
    parts, materials = head.geometry.parts, head.appearance.materials
    camera = prior_camera(20)
    vertices = np.concatenate([part.vertices for part in parts])

    def drawn(name: str, alpha: float) -> np.ndarray:
        named = replace(parts[2], name=name)
        look = Material(materials["hair"].albedo, np.full((32, 32), alpha, np.float32))
        looks = {"skin": materials["skin"], "eyes": materials["eyes"], name: look}
        geometry = replace(head.geometry, parts=(*parts[:2], named))
        return PriorScene(geometry, HeadAppearance(looks)).render(vertices, camera, SIZE)[1]

    np.testing.assert_array_equal(drawn("hair", 0.0), drawn("hair", 1.0))
    assert np.abs(drawn("brows", 0.0) - drawn("brows", 1.0)).max() > 0.3


def test_albedo_is_written_in_srgb_and_parts_without_material_are_left_out():
    head = synthetic_head()
    looks = {"skin": Material(np.full((4, 4, 3), 0.2140, np.float32))}  # linear; 0.5 in sRGB
    looks["skin"].albedo[..., 0] = 1.0
    scene = PriorScene(head.geometry, HeadAppearance(looks))
    vertices = head.geometry.parts[0].vertices
    normals, albedo, coverage = scene.render(vertices, prior_camera(0), SIZE, supersample=4)
    full = coverage == 1
    assert full.mean() > 0.1 and ((coverage > 0) & ~full).any()
    np.testing.assert_allclose(albedo[:, full].T, np.tile([1, 0.496, 0.496], (full.sum(), 1)),
                               atol=2e-3)  # fmt: skip
    edge = (coverage > 0) & ~full  # blended with the background by coverage
    np.testing.assert_allclose(albedo[0, edge], 0.5 + 0.5 * coverage[edge], atol=2e-3)
    centre = SIZE // 2  # the sphere's centre lies 2 cm above the target
    assert normals[2, centre - 4, centre] > 0.98


@pytest.mark.parametrize(("zoom", "target"), [(1.0, HEAD_CENTRE), (FACE_ZOOM, FACE_CENTRE)])
def test_the_picture_is_as_high_in_metres_as_it_says(zoom, target):
    up = np.array([0, HEIGHT / 2 / zoom, 0])
    for yaw in (0, 130):
        points = np.array([target + up, target, target - up])
        pixels = prior_camera(yaw, 0, zoom).pixels(points, SIZE, SIZE)
        np.testing.assert_allclose(pixels[:, 0], SIZE / 2, atol=1e-3)
        np.testing.assert_allclose(pixels[:, 1], [0, SIZE / 2, SIZE], atol=1e-3)


def test_zoom_frames_the_face_and_zoom_one_the_whole_head():
    template = templates()[0]
    features = np.maximum(template.regions["lips"], template.regions["eyelids"])
    face = mean_head()[features > 0.5]
    skull = mean_head()[mean_head()[:, 1] > -0.1]
    pixels = prior_camera(0, 0, FACE_ZOOM).pixels(face, SIZE, SIZE)[:, :2]
    assert pixels.min() > 0.15 * SIZE and pixels.max() < 0.85 * SIZE
    assert np.ptp(pixels, axis=0).min() > 0.4 * SIZE
    for yaw, pitch in ((0, 0), (90, 20), (180, -20)):
        pixels = prior_camera(yaw, pitch).pixels(skull, SIZE, SIZE)[:, :2]
        assert pixels.min() > 0.03 * SIZE and pixels.max() < 0.97 * SIZE


@pytest.mark.parametrize(
    ("camera", "words"),
    [
        ((0, 0, 1), "front view"), ((-39, 0, 1), "front view"), ((41, 0, 1), "side view"),
        ((-129, 0, 1), "side view"), ((131, 0, 1), "back view"), ((180, 0, 1), "back view"),
        ((350, 0, 1), "front view"), ((-230, 0, 1), "back view"),
        ((0, 25, 1), "front view, from above"), ((0, -25, 1), "front view, from below"),
        ((60, 0, 2), "side view, close-up"), ((0, 25, 2), "front view, from above, close-up"),
    ],
)  # fmt: skip
def test_camera_words(camera, words):
    assert camera_words(*camera) == words
