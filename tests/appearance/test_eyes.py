"""Eyes are drawn in the photo's colour, and nothing breaks where the photo shows none."""

import warnings

import numpy as np
import pytest

from id2head_core.appearance.eye_view import IRIS, find_iris, measure_eye, view_eye
from id2head_core.appearance.eyes import EyePainter
from id2head_core.appearance.lid_shadow import lid_rim, lid_shadow
from id2head_core.camera import photo_camera
from id2head_core.colour import luma, to_srgb
from id2head_core.structures import DetectedFace, FaceParsing, HeadFit, Identity, Photo
from id2head_core.template.head_template import HeadTemplate

SIZE = 640
BLUE, BROWN, GREY_BROWN = (0.13, 0.17, 0.22), (0.05, 0.025, 0.015), (0.014, 0.0125, 0.0135)


@pytest.fixture(scope="module")
def template():
    return HeadTemplate.load()


@pytest.fixture(scope="module")
def painter(template):
    return EyePainter(template)


def seen(template, iris, *, eyes=(0, 1), gaze=(0.0, 0.0), zoom=1.0):
    """Photo of the mean head with drawn eyes, its fit and its skin; ``eyes`` are those shown."""
    vertices = template.neutral(np.zeros(0, np.float32))
    focal = 2400.0 * zoom
    camera = photo_camera(np.eye(3), np.array([0, 0, -1.4]), focal, (320, 320), SIZE, SIZE)
    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    linear = np.full((SIZE, SIZE, 3), (0.35, 0.22, 0.16))
    probabilities = np.zeros((19, SIZE, SIZE), np.float32)
    centres, radius = template.eye_frame.balls(vertices)
    for eye, centre in enumerate(centres):
        column, row, depth = camera.pixels(centre[None], SIZE, SIZE)[0]
        unit = focal * radius / depth
        linear[np.hypot(x - column, y - row) < unit] = (0.4, 0.38, 0.36)
        away = np.hypot(x - column - gaze[0] * unit, y - row + gaze[1] * unit)
        linear[away < IRIS * unit] = iris
        if eye in eyes:
            probabilities[4 + eye][np.hypot(x - column, y - row) < unit] = 1
    landmarks = camera.pixels(template.mean[:106], SIZE, SIZE)[:, :2].astype(np.float32)
    face = DetectedFace(np.zeros(4), 0.9, landmarks[:5], landmarks, np.zeros(106, np.float32))
    parsing = FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32))
    photo = Photo(np.rint(255 * to_srgb(linear)).astype(np.uint8))
    none = np.zeros(0, np.float32)
    fit = HeadFit(
        camera, 0.0, 0.0, 0.0, none, np.zeros(52, np.float32), np.zeros_like(vertices), vertices,
        vertices, 0.0,
    )  # fmt: skip
    still = np.zeros((1, *vertices.shape), np.float32)
    skin = template.parts(vertices, still)[0]
    return Identity(photo, face, np.zeros(512, np.float32), parsing), fit, skin


def irises(painter, texture):
    """Mean colour of each drawn iris, ``[2, 3]``."""
    direction, stock = painter.stock.direction, painter.stock
    away = np.hypot(direction[..., 0], direction[..., 1])
    ring = stock.mask & (direction[..., 2] > 0) & (away < 0.8 * IRIS) & (away > 0.6 * IRIS)
    return np.stack([texture[ring & (stock.eye == eye)].mean(0) for eye in range(2)])


def test_blue_eyes_are_blue_and_dark_ones_are_dark_brown(template, painter):
    blue, brown, black = (
        irises(painter, painter(*seen(template, colour), 1.0)).mean(0)
        for colour in (BLUE, BROWN, GREY_BROWN)
    )
    assert blue[2] > 1.1 * blue[0]
    assert brown[0] > 1.3 * brown[2] and luma(brown) < 0.6 * luma(blue)
    assert black[0] > 1.05 * black[2] and luma(black) < luma(brown)  # a mirrored sky is no colour


def test_eyes_of_two_colours_stay_so_and_uneven_light_makes_none(template, painter):
    for second, two in ((BLUE, True), (np.array(BROWN) * 1.4, False)):
        identity, fit, skin = seen(template, BROWN)
        other = seen(template, second)[0].photo.pixels
        identity.photo.pixels[:, SIZE // 2 :] = other[:, SIZE // 2 :]  # the subject's left eye
        right, left = irises(painter, painter(identity, fit, skin, 1.0))
        assert (left[2] / left[0] > 1.5 * right[2] / right[0]) == two


def test_small_photo_does_not_turn_brown_eyes_amber(template, painter):
    near, far = (
        irises(painter, painter(*seen(template, BROWN, zoom=zoom), 1.0)).mean(0)
        for zoom in (1.0, 0.35)
    )
    assert luma(far) < 1.4 * luma(near)


def test_iris_is_found_where_it_looks(template):
    identity, fit, skin = seen(template, BLUE, gaze=(0.15, -0.08))
    centres, radius = template.eye_frame.balls(fit.vertices)
    for centre in centres:
        view = view_eye(identity, fit, centre, radius, skin)
        assert find_iris(view) == pytest.approx([0.15, -0.08], abs=0.05)
        assert measure_eye(view).iris == pytest.approx(BLUE, rel=0.15)


@pytest.mark.parametrize("eyes", [(0,), (1,), ()])
def test_an_eye_that_is_not_seen(template, painter, eyes):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        texture = painter(*seen(template, BLUE, eyes=eyes), 1.3)
    assert np.isfinite(texture).all()
    right, left = irises(painter, texture)
    assert right == pytest.approx(left, rel=0.2)
    assert (right[2] > right[0]) == bool(eyes)  # brown if none is seen


def test_upper_lid_throws_a_shadow(template):
    neutral = template.neutral(np.zeros(0, np.float32))
    rim = lid_rim(template.eye_frame, neutral, 0)
    below = rim[7] + np.array([[0, -0.02, 0], [0, -0.3, 0]])
    light = lid_shadow(below / np.linalg.norm(below, axis=1, keepdims=True), rim)
    assert light[0] < 0.65 and light[1] > 0.8


def test_both_eyes_look_ahead_and_lids_cover_the_top_of_the_iris(template, painter):
    identity, fit, skin = seen(template, BROWN, gaze=(0.2, 0.0))
    texture, stock = painter(identity, fit, skin, 1.0), painter.stock
    for eye in range(2):
        inner = stock.mask & (stock.eye == eye) & (stock.direction[..., 2] > 0.9)
        pupil = inner & (luma(texture) < np.quantile(luma(texture[inner]), 0.08))
        right, up, _ = stock.direction[pupil].mean(0)
        rim = lid_rim(template.eye_frame, fit.neutral, eye)
        assert abs(right) < 0.03
        assert up + IRIS > rim[6, 1] + 0.1 and abs(up - IRIS - rim[22, 1]) < 0.07
