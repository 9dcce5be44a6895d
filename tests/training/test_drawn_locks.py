"""Locks lie along the strands, keep the outline, and are never the same twice."""

import numpy as np
import pytest

from id2head_core.training.drawn_locks import SHARE, lock_noise, lock_shade, with_locks
from tests.geometry.geometry_oracle import templates


def style(name: str = "long01") -> np.ndarray:
    hair = templates()[1]
    return hair.thickness[hair.styles.index(name)]


def test_the_outline_stays_and_the_hair_moves_by_millimetres():
    before, hair = style(), templates()[1]
    moved = [with_locks(hair, before, np.random.default_rng(seed)) - before for seed in range(6)]
    inside = before > 0.02
    for change in moved:
        assert not change[before <= 0].any()
        assert (before + change > 0)[before > 0].all()
        assert np.abs(change).max() < 1.25 * max(SHARE * before.max(), 0.011)
        assert 4e-4 < np.abs(change[inside]).mean() < 8e-3
    assert np.abs(np.corrcoef([c[inside] for c in moved]) - np.eye(6)).max() < 0.5


def test_a_seed_repeats():
    first, again = (with_locks(templates()[1], style(), np.random.default_rng(4)) for _ in range(2))
    assert np.array_equal(first, again)


@pytest.mark.parametrize(("curl", "low", "high"), [(0.0, 2.5, 20), (1.0, 0.6, 2.0)])
def test_straight_locks_are_long_and_tufts_are_round(curl, low, high):
    """By the mean slope across over that along the strands."""
    ratios = []
    for seed in range(8):
        noise = lock_noise(templates()[1], curl, np.random.default_rng(seed))[22:]
        ratios.append(np.abs(np.diff(noise, axis=1)).mean() / np.abs(np.diff(noise, axis=0)).mean())
    assert low < np.median(ratios) < high


def test_hair_is_darker_between_its_locks():
    hair = templates()[1]
    locks = with_locks(hair, style(), np.random.default_rng(1))
    shade = lock_shade(hair, locks, 64)[..., 0]
    image = hair.image(np.maximum(locks, 0))
    relief = (image - hair.blur(image, 1.5))[:, :64]
    assert shade.shape == (64, 64) and 0.75 < shade.min() < 0.95 < 1.05 < shade.max() < 1.3
    assert (lock_shade(hair, np.zeros(len(locks)), 32) == 1).all() and relief.std() > 0
