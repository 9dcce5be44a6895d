"""Brighten a photo that was taken in the dark.

The skin cannot tell how dark a photo is: it may be dark itself. The whites of the eyes are alike
in all people, so they serve as the photographer's grey card.
"""

from dataclasses import replace

import cv2
import numpy as np

from ..colour import luma, to_linear, to_srgb
from ..structures import FaceParsing, Photo

EYES = (4, 5)
"""Parser classes."""

WHITE = 0.15
"""Linear luminance that the whites of the eyes, shaded by lids and lashes, have at least."""

WHITES = 0.9
"""Quantile of the luminance within the eyes' outline that stands for the whites."""

LARGEST_GAIN = 2.5
"""What is darker still is mostly noise."""

FEWEST = 60
"""Pixels of the parser's crop that the eyes must cover; glasses and closed eyes tell nothing."""


def well_exposed(photo: Photo, parsing: FaceParsing) -> Photo:
    """The photo, or a brighter one where the whites of the eyes are dark.

    Args:
        photo: decoded.
        parsing: of the same photo.
    """
    eyes = parsing.probabilities[list(EYES)].sum(0) > 0.7  # [S, S]
    if eyes.sum() < FEWEST:
        return photo
    crop = cv2.warpAffine(
        photo.pixels, parsing.photo_to_crop, eyes.shape[::-1], flags=cv2.INTER_AREA
    )
    white = float(np.quantile(luma(to_linear(crop[eyes] / 255.0)), WHITES))
    gain = min(WHITE / max(white, 1e-4), LARGEST_GAIN)
    if gain <= 1:
        return photo
    levels = to_linear(np.arange(256) / 255.0)
    table = np.rint(255 * to_srgb(1 - (1 - levels) ** gain)).astype(np.uint8)  # soft at the top
    return replace(photo, pixels=table[photo.pixels])
