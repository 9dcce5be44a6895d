"""Photos taken in the dark are brightened by the whites of the eyes; others are left alone."""

from dataclasses import replace

import numpy as np

from id2head_core.colour import luma, to_linear, to_srgb
from id2head_core.identity.exposure import LARGEST_GAIN, well_exposed


def darker(photo, factor):
    return replace(
        photo, pixels=np.rint(255 * to_srgb(factor * to_linear(photo.pixels / 255.0))).astype("u1")
    )


def skin_level(photo, parsing):
    rows, columns = np.nonzero(parsing.probabilities[1] > 0.9)
    inverse = np.linalg.inv(np.r_[parsing.photo_to_crop, [[0, 0, 1]]])
    x, y, _ = np.rint(inverse @ np.stack([columns, rows, np.ones_like(rows)])).astype(int)
    width, height = photo.size
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    return float(np.median(luma(to_linear(photo.pixels[y[inside], x[inside]] / 255.0))))


def test_well_lit_photos_stay_as_they_are(people):
    for person in people.values():
        assert well_exposed(person.photo, person.identity.parsing) is person.photo


def test_dark_photo_gets_its_light_back(people):
    person = people["astronaut"]
    parsing = person.identity.parsing
    dark = darker(person.photo, 0.15)
    bright = well_exposed(dark, parsing)
    assert bright.pixels.dtype == np.uint8
    before, after = skin_level(dark, parsing), skin_level(bright, parsing)
    assert 1.5 * before < after < skin_level(person.photo, parsing)


def test_gain_is_limited_and_nothing_clips(people):
    person = people["astronaut"]
    dark = darker(person.photo, 0.01)
    bright = well_exposed(dark, person.identity.parsing)
    before, after = to_linear(dark.pixels / 255.0), to_linear(bright.pixels / 255.0)
    assert (after <= LARGEST_GAIN * before + 0.02).all() and bright.pixels.max() < 255


def test_covered_eyes_tell_nothing(people):
    person = people["astronaut"]
    blind = person.identity.parsing.probabilities.copy()
    blind[[4, 5]] = 0
    parsing = replace(person.identity.parsing, probabilities=blind)
    dark = darker(person.photo, 0.1)
    assert well_exposed(dark, parsing) is dark
