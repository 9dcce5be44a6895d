"""The outline goes to the edge of the face where the photo shows it, and nowhere else."""

import cv2
import numpy as np
import pytest

from id2head_core.camera import photo_camera
from id2head_core.structures import FaceParsing, HeadFit
from id2head_core.template.face_outline import CHAIN, outline_correction, widened_outline
from id2head_core.template.head_template import HeadTemplate

SKIN, HAIR = 1, 17
CENTRE, HALF = (256, 230), (100, 130)
DRAWN = 0.9
"""Size of the detected outline relative to the face in the mask."""

PHOTO = np.array([[0.0, -2, 512], [2, 0, 30]], np.float32)
"""A photo that is twice as small as the crop and lies on its side."""


def landmarks(scale=DRAWN):
    """106 points, of which the outline's lie on the lower two thirds of an ellipse."""
    points = np.tile(np.array(CENTRE, float), (106, 1))
    angle = np.radians(np.linspace(200, -20, len(CHAIN)))
    points[CHAIN] += scale * np.c_[HALF[0] * np.cos(angle), HALF[1] * np.sin(angle)]
    return points


def parsing(beside=0, right=None, matrix=None):
    """An ellipse of skin in front of ``beside``; the crop's right half in front of ``right``."""
    labels = np.full((512, 512), beside, np.uint8)
    labels[:, CENTRE[0] :] = beside if right is None else right
    cv2.ellipse(labels, CENTRE, HALF, 0, 0, 360, SKIN, -1)
    probabilities = (labels == np.arange(19)[:, None, None]).astype(np.float32)
    return FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32) if matrix is None else matrix)


def size(points):
    """How far each landmark of the outline is from the centre, relative to the face's edge."""
    return np.hypot(*((points[CHAIN] - CENTRE) / HALF).T)


def test_a_narrow_outline_is_moved_out_to_the_edge():
    moved = widened_outline(parsing(), landmarks())
    assert size(moved) == pytest.approx(1, abs=0.02)
    others = np.setdiff1d(np.arange(106), CHAIN)
    assert (moved[others] == landmarks()[others]).all()


@pytest.mark.parametrize("beside", [HAIR, 7, 14, 16])
def test_hair_ears_neck_and_cloth_tell_nothing(beside):
    assert widened_outline(parsing(beside), landmarks()) == pytest.approx(landmarks())


def test_it_is_never_moved_inwards():
    wide = landmarks(1.1)
    assert widened_outline(parsing(), wide) == pytest.approx(wide)


def test_what_is_covered_stays_and_never_passes_the_mask():
    moved = size(widened_outline(parsing(right=HAIR), landmarks()))
    assert moved[:15] == pytest.approx(1, abs=0.02)
    assert moved[-8:] == pytest.approx(DRAWN, abs=0.02)
    assert (np.diff(moved[16:]) < 0.01).all() and moved.max() < 1.02


def test_a_gap_between_strands_is_no_background():
    labels = parsing(HAIR).labels.copy()
    cv2.ellipse(labels, CENTRE, (HALF[0] + 3, HALF[1] + 3), 0, 0, 360, 0, -1)
    cv2.ellipse(labels, CENTRE, HALF, 0, 0, 360, SKIN, -1)
    probabilities = (labels == np.arange(19)[:, None, None]).astype(np.float32)
    gap = FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32))
    assert widened_outline(gap, landmarks()) == pytest.approx(landmarks())


def test_points_are_in_photo_pixels():
    turned = parsing(matrix=PHOTO)
    moved = widened_outline(turned, turned.in_photo(landmarks()))
    assert turned.in_crop(moved) == pytest.approx(widened_outline(parsing(), landmarks()), abs=1e-2)


def test_a_photo_without_a_face_in_its_mask():
    nothing = FaceParsing(np.zeros((19, 4, 4), np.float32), np.eye(2, 3, dtype=np.float32))
    assert widened_outline(nothing, landmarks()) == pytest.approx(landmarks())


FOCAL, DISTANCE, PHOTO_SIZE = 2400.0, 1.4, (512, 512)


@pytest.fixture(scope="module")
def template():
    return HeadTemplate.load()


def head(template, yaw):
    """The mean head in front of a camera, and its landmarks."""
    turn = np.radians(yaw)
    rotation = np.array(
        [[np.cos(turn), 0, -np.sin(turn)], [0, 1, 0], [np.sin(turn), 0, np.cos(turn)]]
    )
    camera = photo_camera(rotation, np.array([0, 0, -DISTANCE]), FOCAL, (256, 220), *PHOTO_SIZE)
    mean, nothing = template.mean, np.zeros_like(template.mean)
    fit = HeadFit(camera, yaw, 0, 0, np.zeros(60), np.zeros(52), nothing, mean, mean, 0.0)
    index, weight = template.landmark_vertices[4], template.landmark_weights[4]
    points = (mean[index] * weight[..., None]).sum(1)
    return fit, points


def mask_of(template, fit, vertices):
    """The parser's mask of a head: skin in front of background, without ears and neck."""
    pixels = fit.camera.pixels(vertices[template.skin_vertex], *PHOTO_SIZE)[:, :2]
    other = (template.regions["ears"] + template.regions["neck"])[template.skin_vertex] > 0.3
    mask = np.zeros((512, 512), np.uint8)
    for triangle in template.skin_faces[~other[template.skin_faces].any(1)]:
        cv2.fillConvexPoly(mask, (pixels[triangle] * 16).astype(np.int32), 1, shift=4)
    probabilities = np.zeros((19, 512, 512), np.float32)
    probabilities[0], probabilities[SKIN] = 1 - mask, mask
    return FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32)), mask


@pytest.mark.parametrize(("yaw", "factor"), [(0, 1.1), (0, 0.93), (25, 0.93)])
def test_the_head_becomes_as_wide_as_the_mask(template, yaw, factor):
    fit, points = head(template, yaw)
    person = template.mean * [factor, 1, 1]
    parsing, wanted = mask_of(template, fit, person)
    pixels = fit.camera.pixels(points, *PHOTO_SIZE)[:, :2]
    offset = outline_correction(fit, template, points[33:], pixels, parsing, PHOTO_SIZE)
    _, before = mask_of(template, fit, template.mean)
    _, after = mask_of(template, fit, template.mean + offset)
    far = slice(0, 512 if yaw == 0 else int(pixels[86, 0]))  # columns of the cheek that is seen
    face = slice(int(pixels[72, 1]), int(pixels[0, 1]) - 10), far  # rows from the eyes to the chin
    wrong = [(mask[face] != wanted[face]).sum() for mask in (before, after)]
    assert wrong[1] < 0.5 * wrong[0]
    assert np.abs(offset[np.linalg.norm(template.mean - points[86], axis=1) < 0.01]).max() < 0.002


def test_the_hidden_cheek_of_a_turned_head_follows(template):
    fit, points = head(template, 25)
    parsing, _ = mask_of(template, fit, template.mean * [0.93, 1, 1])
    pixels = fit.camera.pixels(points, *PHOTO_SIZE)[:, :2]
    offset = outline_correction(fit, template, points[33:], pixels, parsing, PHOTO_SIZE)
    cheek = np.linalg.norm(template.mean - [0.06, -0.045, 0.05], axis=1) < 0.015
    left, right = offset[cheek, 0].mean(), offset[template.mirror[cheek], 0].mean()
    assert abs(left + right) < 0.35 * abs(left - right)


def test_a_face_behind_hair_keeps_its_shape(template):
    fit, points = head(template, 0)
    parsing, _ = mask_of(template, fit, template.mean * [1.1, 1, 1])
    parsing.probabilities[HAIR] = parsing.probabilities[0]
    parsing.probabilities[0] = 0
    pixels = fit.camera.pixels(points, *PHOTO_SIZE)[:, :2]
    assert not outline_correction(fit, template, points[33:], pixels, parsing, PHOTO_SIZE).any()
