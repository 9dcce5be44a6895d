"""The neck is as wide as the parser saw it."""

import numpy as np
import pytest

from id2head_core.camera import photo_camera
from id2head_core.structures import FaceParsing, HeadFit
from id2head_core.template.head_template import HeadTemplate
from id2head_core.template.neck import LIMITS, TYPICAL, neck_correction

SIZE, FOCAL, DISTANCE = (512, 512), 1500.0, 1.4
TEMPLATE = HeadTemplate.load()
SKIN, MEAN = TEMPLATE.skin_vertex, TEMPLATE.mean
HEIGHT = -0.12


@pytest.fixture(scope="module")
def fit():
    camera = photo_camera(np.eye(3), np.array([0, 0, -DISTANCE]), FOCAL, (256, 200), *SIZE)
    nothing = np.zeros_like(MEAN)
    return HeadFit(camera, 0, 0, 0, np.zeros(60), np.zeros(52), nothing, MEAN, MEAN, 0.0)


def half_width(vertices, height=HEIGHT):
    ring = SKIN[abs(MEAN[SKIN, 1] - height) < 0.004]
    return float(abs(vertices[ring, 0]).max())


def parsing(wider, label=14, beside=0):
    """The mean head's neck, ``wider`` times as wide; ``beside`` is left and right of it."""
    probabilities = np.zeros((19, 512, 512), np.float32)
    probabilities[beside] = 1
    for row in range(280, 400):
        half = wider * half_width(MEAN, (200 - row) * DISTANCE / FOCAL) * FOCAL / DISTANCE
        columns = slice(round(256 - half), round(256 + half))
        probabilities[:, row, columns] = 0
        probabilities[label, row, columns] = 1
    return FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32))


def width(fit, parsing):
    """Width of the corrected neck relative to the mean head's."""
    offset = neck_correction(fit, MEAN, SKIN, parsing, SIZE)
    return half_width(fit.vertices + offset) / half_width(MEAN)


@pytest.mark.parametrize("wider", [1.05, 1.25])
def test_neck_is_as_wide_as_in_the_photo(fit, wider):
    assert width(fit, parsing(wider)) == pytest.approx(wider, abs=0.06)


@pytest.mark.parametrize("beside", [16, 17])
def test_collars_and_hair_tell_nothing(fit, beside):
    assert width(fit, parsing(1.3, beside=beside)) == pytest.approx(TYPICAL, abs=0.02)


def test_no_neck_in_the_photo_gives_a_typical_one(fit):
    assert width(fit, parsing(1.3, label=16)) == pytest.approx(TYPICAL, abs=0.02)


def test_a_bull_neck_has_a_limit(fit):
    assert width(fit, parsing(1.8)) < LIMITS[1]


def test_face_and_shoulders_stay(fit):
    offset = neck_correction(fit, MEAN, SKIN, parsing(1.3), SIZE)
    assert np.abs(offset[MEAN[:, 1] > -0.06]).max() == 0
    assert np.abs(offset[np.abs(MEAN[:, 0]) > 0.1]).max() == 0
    chin = (MEAN[:, 1] > -0.105) & (MEAN[:, 2] > 0.06)
    assert np.abs(offset[chin]).max() < 1e-3
