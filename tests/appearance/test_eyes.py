"""Irises lose the mirrored window and keep their colour."""

import numpy as np

from id2head_core.appearance.eyes import IRIS_COSINE, PUPIL_COSINE, _clear_irises

SIDE = 128


def eyeball():
    """Cosine to straight ahead over a disc, and an iris of one colour in a white eye."""
    y, x = np.mgrid[:SIDE, :SIDE] / (SIDE / 2) - 1
    ahead = np.sqrt(np.clip(1 - (x**2 + y**2), 0, 1)).astype(np.float32)
    colour = np.where((ahead > IRIS_COSINE)[..., None], (0.05, 0.12, 0.2), (0.6, 0.6, 0.6))
    return ahead, colour.astype(np.float32)


def test_catchlight_goes_and_the_white_stays():
    ahead, photo = eyeball()
    lit = photo.copy()
    lit[52:58, 52:58] = 0.9
    stock = np.full_like(photo, 0.3)
    cleared, _ = _clear_irises(lit, stock, np.ones((SIDE, SIDE), np.float32), ahead)
    assert cleared[55, 55].max() < 0.4
    white = ahead < IRIS_COSINE - 0.06
    assert np.abs(cleared[white] - lit[white]).max() < 0.02


def test_hidden_iris_takes_the_seen_colour_and_the_pupil_is_dark():
    ahead, photo = eyeball()
    weight = np.zeros((SIDE, SIDE), np.float32)
    weight[SIDE // 2 :] = 1  # the lid hides the upper half
    stock = np.full_like(photo, 0.15)
    cleared, matched = _clear_irises(photo, stock, weight, ahead)
    ring = (ahead > IRIS_COSINE + 0.02) & (ahead < PUPIL_COSINE - 0.02)
    assert np.abs(matched[ring] - photo[ring]).max() < 0.03
    assert cleared[SIDE // 2, SIDE // 2].max() < 0.5 * photo[SIDE // 2, SIDE // 2].max()


def test_an_eye_that_was_not_seen_is_left_alone():
    ahead, photo = eyeball()
    stock = np.full_like(photo, 0.3)
    same_photo, same_stock = _clear_irises(photo, stock, np.zeros((SIDE, SIDE)), ahead)
    assert same_photo is photo and same_stock is stock
