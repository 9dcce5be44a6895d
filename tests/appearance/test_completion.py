"""Texture-space tools on images whose answer is known."""

import numpy as np
import pytest

from id2head_core.appearance.completion import blend_bands
from id2head_core.appearance.uv_atlas import pull_push
from id2head_core.colour import to_linear, to_srgb


def test_srgb_round_trip():
    values = np.linspace(0, 1, 101)
    assert np.abs(to_srgb(to_linear(values)) - values).max() < 1e-6
    assert to_linear(np.array(0.5)) == pytest.approx(0.2140, abs=1e-4)  # IEC 61966-2-1


def test_pull_push_keeps_known_texels_and_fills_with_their_colour():
    values = np.zeros((64, 64, 3), np.float32)
    values[:20] = [0.5, 0.25, 0.75]
    weights = np.zeros((64, 64), np.float32)
    weights[:20] = 1
    filled = pull_push(values, weights)
    assert np.abs(filled - [0.5, 0.25, 0.75]).max() < 1e-4


def test_pull_push_interpolates_between_two_sides():
    values = np.zeros((64, 64, 1), np.float32)
    weights = np.zeros((64, 64), np.float32)
    values[:, :8], values[:, -8:] = 0.2, 0.8
    weights[:, :8] = weights[:, -8:] = 1
    row = pull_push(values, weights)[32, :, 0]
    assert row[32] == pytest.approx(0.5, abs=0.1)
    assert (np.diff(row) > -0.02).all()


def test_blend_shows_each_image_where_it_is_trusted():
    front, back = (np.full((256, 256, 3), c, np.float32) for c in (0.9, 0.1))
    weight = np.zeros((256, 256), np.float32)
    weight[:, :128] = 1
    out = blend_bands(front, back, weight, np.ones((256, 256), bool))
    assert out[128, 4] == pytest.approx(0.9, abs=0.03)
    assert out[128, -4] == pytest.approx(0.1, abs=0.03)
    assert 0.3 < out[128, 128, 0] < 0.7
