"""Points of the ears in the parser's mask."""

import cv2
import numpy as np
import pytest

from id2head_core.structures import FaceParsing
from id2head_core.template.ears import ear_points, ear_weights
from id2head_core.template.head_template import HeadTemplate

EYES = np.array([[200.0, 250], [312, 250]])
HEIGHT = 80.0
TURN = np.array([[0.0, -2, 900], [2, 0, 30]], np.float32)
"""A photo that is twice as small as the crop and lies on its side."""


def parsing(matrix=None, low=300):
    """Two ears, 100 pixels high and 30 wide; what is above ``low`` of the right one is hair."""
    probabilities = np.zeros((19, 512, 512), np.float32)
    cv2.ellipse(probabilities[7], (140, 260), (15, 50), 0, 0, 360, 1.0, -1)
    cv2.ellipse(probabilities[8], (372, 260), (15, 50), 0, 0, 360, 1.0, -1)
    probabilities[8, :low] = 0
    return FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32) if matrix is None else matrix)


def test_top_bottom_and_rim_of_both_ears():
    points, seen = ear_points(parsing(low=0), EYES, HEIGHT)
    assert seen.all()
    wanted = [[140, 212], [140, 308], [126, 260], [372, 212], [372, 308], [386, 260]]
    assert points == pytest.approx(np.array(wanted, float), abs=8)


def test_a_covered_ear_tells_nothing():
    _, seen = ear_points(parsing(low=260), EYES, HEIGHT)
    assert seen.tolist() == [True] * 3 + [False] * 3


def test_a_photo_without_ears():
    empty = FaceParsing(np.zeros((19, 512, 512), np.float32), np.eye(2, 3, dtype=np.float32))
    assert not ear_points(empty, EYES, HEIGHT)[1].any()


def test_points_are_in_photo_pixels():
    plain, _ = ear_points(parsing(low=0), EYES, HEIGHT)
    inverse = np.linalg.inv(TURN[:, :2])
    eyes = (EYES - TURN[:, 2]) @ inverse.T
    points, seen = ear_points(parsing(TURN, low=0), eyes, HEIGHT / 2)
    assert seen.all()
    assert points @ TURN[:, :2].T + TURN[:, 2] == pytest.approx(plain, abs=1e-3)


def test_weights_are_means_over_one_ear():
    template = HeadTemplate.load()
    weights = ear_weights(template.mean, template.regions["ears"])
    assert weights.sum(1) == pytest.approx(1, abs=1e-5)
    points = weights @ template.mean
    assert (points[:3, 0] < -0.06).all() and (points[3:, 0] > 0.06).all()
    assert points[0, 1] > points[2, 1] > points[1, 1]
