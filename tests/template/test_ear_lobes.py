"""Ear lobes end round."""

import numpy as np
import pytest

from id2head_core import weights
from id2head_core.template.ear_lobes import HEIGHT, rounded_lobes
from id2head_core.template.head_template import BAKED, HeadTemplate


@pytest.fixture(scope="module")
def baked():
    """Mean head and ears as they are in the file."""
    with np.load(weights.path(BAKED)) as file:
        return file["mean"], file["regions.ears"] / 255


def reach(mean, ears, low, high):
    """How far out, metres, an ear gets between two heights (metres) above its lowest point."""
    ear = mean[(ears > 0.5) & (mean[:, 0] > 0)]
    height = ear[:, 1] - ear[:, 1].min()
    return float(ear[(height >= low) & (height < high), 0].max())


def test_a_lobe_curves_to_the_cheek(baked):
    mean, ears = baked
    rounded = HeadTemplate.load().mean
    assert reach(rounded, ears, 0, 0.001) < reach(mean, ears, 0, 0.001) - 0.003
    tip, middle, above = (reach(rounded, ears, low, low + 0.003) for low in (0, 0.004, 0.008))
    assert tip < middle - 0.001 and middle < above - 0.001


def test_the_rest_of_the_head_keeps_its_place(baked):
    mean, ears = baked
    change = np.linalg.norm(rounded_lobes(mean, ears) - mean, axis=1)
    lowest = mean[ears > 0.5, 1].min()
    assert change[ears <= 0.5].max() == 0
    assert change[mean[:, 1] > lowest + HEIGHT].max() < 1e-7
    assert 0.002 < change.max() < 0.008


def test_both_lobes_are_alike():
    template = HeadTemplate.load()
    mirrored = template.mean[template.mirror] * [-1, 1, 1]
    ears = template.regions["ears"] > 0.5
    assert mirrored[ears] == pytest.approx(template.mean[ears], abs=1e-4)
