"""Glasses leave no trace on the skin, and the eyes behind them stay."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from id2head_core.appearance.glasses import without_glasses
from id2head_core.structures import DetectedFace, FaceParsing, Identity, Photo
from id2head_core.template.fit import BROWS, LEFT_EYE, RIGHT_EYE

SIZE = (600, 500)
EYES = np.array([[240, 250], [360, 250]])
SKIN, WHITE, FRAME, BROW = (200, 150, 130), (240, 240, 240), (20, 20, 25), (90, 60, 50)
APART = 120
"""Distance of the eyes, pixels."""


def lens(eye):
    """Corners of a lens around an eye."""
    return tuple(int(x) for x in eye - (48, 30)), tuple(int(x) for x in eye + (48, 36))


def face(frame=FRAME):
    """Pixels of a face with eyes and brows, and with rims and a bridge of the colour ``frame``."""
    pixels = np.full((*SIZE[::-1], 3), SKIN, np.uint8)
    for eye in EYES:
        cv2.ellipse(pixels, eye.tolist(), (20, 8), 0, 0, 360, WHITE, -1)
        cv2.circle(pixels, eye.tolist(), 7, (60, 40, 30), -1)
        cv2.ellipse(pixels, (eye - (0, 46)).tolist(), (34, 6), 0, 0, 360, BROW, -1)
        if frame is not None:
            cv2.rectangle(pixels, *lens(eye), frame, 7)
    if frame is not None:
        cv2.line(pixels, (288, 245), (312, 245), frame, 7)
    return pixels


def identity(pixels, worn=True, scale=1.0):
    """The face with landmarks around eyes and brows, and its parsing at ``scale`` crop pixels."""
    landmarks = np.tile(np.array([300.0, 330]), (106, 1))
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)
    for rows, eye in zip((RIGHT_EYE, LEFT_EYE), EYES, strict=True):
        landmarks[rows] = eye + np.c_[20 * np.cos(angle), 8 * np.sin(angle)]
    for rows, eye in zip((BROWS[:9], BROWS[9:]), EYES, strict=True):
        landmarks[rows] = eye - (0, 46) + np.c_[34 * np.cos(angle), 6 * np.sin(angle)][:9]
    labels = np.ones(SIZE[::-1], np.uint8)
    for left, eye in enumerate(EYES):
        cv2.ellipse(labels, (eye - (0, 46)).tolist(), (34, 6), 0, 0, 360, 2 + left, -1)
        if worn:
            cv2.rectangle(labels, *lens(eye), 6, -1)
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    labels = cv2.warpAffine(labels, matrix, (640, 640), flags=cv2.INTER_NEAREST)
    probabilities = (labels == np.arange(19)[:, None, None]).astype(np.float32)
    found = DetectedFace(np.zeros(4), 0.9, landmarks[:5], landmarks, np.zeros(106))
    parsing = FaceParsing(probabilities, matrix)
    return Identity(Photo(pixels), found, np.zeros(512, np.float32), parsing)


def difference(pixels):
    """Of each pixel from the face without glasses, in levels, ``[H, W]``."""
    return np.abs(pixels.astype(float) - face(None)).max(-1)


@pytest.mark.parametrize("scale", [1.0, 0.7])
def test_frames_become_skin(scale):
    before = difference(face())
    after = difference(without_glasses(identity(face(), scale=scale)).photo.pixels)
    assert before.max() > 150
    assert after[before > 30].mean() < 8
    assert after.max() < 80


def test_eyes_and_brows_stay():
    bare = without_glasses(identity(face())).photo.pixels
    for x, y in EYES:
        assert np.abs(bare[y - 8 : y + 9, x - 20 : x + 21].astype(int)
                      - face()[y - 8 : y + 9, x - 20 : x + 21]).max() <= 1  # fmt: skip
        assert np.abs(bare[y - 46, x - 25 : x + 26].astype(int) - BROW).max() <= 2


def test_mirrored_light_is_taken_off_the_lenses():
    pixels = face()
    for x, y in EYES:
        cv2.line(pixels, (int(x) - 30, int(y) + 24), (int(x) + 10, int(y) + 24), (255,) * 3, 5)
    after = difference(without_glasses(identity(pixels)).photo.pixels)
    assert difference(pixels).max() > 100 and after.max() < 60


def test_a_brow_behind_the_rim_is_as_dark_as_the_rim():
    pixels, behind = face(None), identity(face(None))
    landmarks = behind.face.landmarks.copy()
    landmarks[BROWS] += (0, 20)
    for eye in EYES:
        cv2.rectangle(pixels, *lens(eye), FRAME, 9)
    labels = behind.parsing.labels.copy()
    labels[np.isin(labels, (2, 3))] = 1
    for eye in EYES:
        cv2.rectangle(labels, *lens(eye), 6, -1)
    probabilities = (labels == np.arange(19)[:, None, None]).astype(np.float32)
    hidden = replace(
        behind,
        photo=Photo(pixels),
        face=replace(behind.face, landmarks=landmarks),
        parsing=FaceParsing(probabilities, behind.parsing.photo_to_crop),
    )
    bare = without_glasses(hidden).photo.pixels
    for x, y in EYES:
        assert bare[y - 28, x].mean() < 110
        assert bare[y + 36, x].mean() > 140


def test_nobody_without_glasses_is_touched():
    plain = identity(face(), worn=False)
    assert without_glasses(plain) is plain


def test_lenses_that_fill_the_photo_do_not_crash():
    everywhere = identity(face())
    everywhere.parsing.probabilities[:] = 0
    everywhere.parsing.probabilities[6] = 1
    assert without_glasses(everywhere).photo.pixels.shape == face().shape


def test_tinted_lenses_are_brightened_and_a_veil_is_taken_off():
    pixels = face()
    tinted, veiled = lens(EYES[0]), lens(EYES[1])
    inside = np.s_[tinted[0][1] + 4 : tinted[1][1] - 3, tinted[0][0] + 4 : tinted[1][0] - 3]
    pixels[inside] = (0.7 * pixels[inside]).astype(np.uint8)
    veil = np.s_[veiled[1][1] - 24 : veiled[1][1] - 3, veiled[0][0] + 4 : veiled[1][0] - 3]
    pixels[veil] = (250, 245, 240)
    after = difference(without_glasses(identity(pixels)).photo.pixels)
    for spot in (np.s_[272:280, 215:265], np.s_[272:282, 330:390]):
        assert difference(pixels)[spot].mean() > 40
        assert after[spot].mean() < 30
