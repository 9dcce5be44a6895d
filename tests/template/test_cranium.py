"""The top of the skull follows the outline that the parser saw."""

from dataclasses import replace

import numpy as np
import pytest

from id2head_core.camera import photo_camera
from id2head_core.structures import FaceParsing, HeadFit
from id2head_core.template.cranium import BROW_HEIGHT, cranium_correction
from id2head_core.template.head_template import HeadTemplate

SIZE, FOCAL, DISTANCE = (512, 512), 1800.0, 1.4


TEMPLATE = HeadTemplate.load()
SKIN = TEMPLATE.skin_vertex


@pytest.fixture(scope="module")
def fit():
    mean = TEMPLATE.mean
    camera = photo_camera(np.eye(3), np.array([0, 0, -DISTANCE]), FOCAL, (256, 300), *SIZE)
    nothing = np.zeros_like(mean)
    return HeadFit(camera, 0, 0, 0, np.zeros(60), np.zeros(52), nothing, mean, mean, 0.0)


def parsing(fit, above, label, hat=False):
    """A head whose outline ends ``above`` metres over the mean head's top."""
    top = fit.camera.pixels(fit.vertices[SKIN], *SIZE)[:, 1].min() - above * FOCAL / DISTANCE
    probabilities = np.zeros((19, 512, 512), np.float32)
    probabilities[0] = 1
    probabilities[:, round(top) : 450, 120:390] = 0
    probabilities[1, round(top) : 450, 120:390] = 1  # skin
    middle = round(top) + 60
    probabilities[:, round(top) : middle, 120:390] = 0
    probabilities[18 if hat else label, round(top) : middle, 120:390] = 1
    return FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32))


def rise(fit, correction):
    return (fit.neutral + correction)[SKIN, 1].max() - fit.neutral[SKIN, 1].max()


def test_skull_never_rises_above_hair(fit):
    correction = cranium_correction(fit, SKIN, parsing(fit, -0.012, 17), SIZE)
    assert rise(fit, correction) == pytest.approx(-0.015, abs=0.003)  # 12 mm and the hair's depth
    assert np.abs(correction[fit.neutral[:, 1] < BROW_HEIGHT]).max() == 0


def test_big_hair_leaves_the_skull_alone(fit):
    assert np.abs(cranium_correction(fit, SKIN, parsing(fit, 0.05, 17), SIZE)).max() == 0


def test_bald_skull_is_the_outline(fit):
    assert rise(fit, cranium_correction(fit, SKIN, parsing(fit, 0.01, 1), SIZE)) == pytest.approx(
        0.01, abs=0.003
    )


def test_bald_crown_is_the_outline_in_spite_of_a_wreath(fit):
    """Hair at the sides, and the thin line of it that the parser sees on a shining crown."""
    bald = parsing(fit, 0.01, 1)
    top = int(bald.probabilities[1].any(1).argmax())
    wreath = np.zeros((512, 512), bool)
    wreath[top : top + 140, 120:180] = wreath[top : top + 140, 330:390] = True
    wreath[top : top + 4, 120:390] = True
    bald.probabilities[:, wreath] = 0
    bald.probabilities[17, wreath] = 1
    assert rise(fit, cranium_correction(fit, SKIN, bald, SIZE)) == pytest.approx(0.01, abs=0.003)


def test_hats_and_cut_off_heads_tell_nothing(fit):
    assert np.abs(cranium_correction(fit, SKIN, parsing(fit, -0.02, 17, hat=True), SIZE)).max() == 0
    low = replace(parsing(fit, -0.02, 17), photo_to_crop=np.array([[1, 0, 0], [0, 1, 0]], float))
    low.probabilities[0, :100] = 0
    low.probabilities[17, :100] = 1  # hair up to the edge of the crop
    assert np.abs(cranium_correction(fit, SKIN, low, SIZE)).max() == 0
