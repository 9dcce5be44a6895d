"""The colour of the hair in the photo."""

import cv2
import numpy as np

from .hair_evidence import CROPPED, Evidence
from .hair_view import HairView

LIT = (0.35, 0.85)
"""Quantiles of brightness between which hair counts as lit; above are highlights."""

PALE = 0.08
"""Luminance from which hair shows a tint that is not brown unchanged."""

DYED = 0.35
"""A tint counts as the hair's own where the smallest channel is below this share of the largest."""

SATURATED = 0.15
"""Smallest channel of the most saturated black hair, share of the largest."""

DARKEST = (0.012, 0.010, 0.009)
"""Black hair in any light, linear RGB."""


def certain_hair(view: HairView) -> np.ndarray:
    """Pixels of the map well inside sure hair, bool ``[M, M]``."""
    return cv2.erode((view.hair > 0.7).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def hair_colour(view: HairView, evidence: Evidence) -> np.ndarray:
    """Linear RGB ``[3]`` of the lit hair: a median inside the eroded mask, without highlights.

    Hair too short to have a volume is mixed with shining skin: its darker half counts.
    """
    inner = certain_hair(view)
    if not inner.any():
        return np.array(DARKEST, np.float32)
    crop = cv2.warpAffine(
        view.identity.photo.pixels, view.to_map, inner.shape[::-1], flags=cv2.INTER_AREA
    )
    colours = (crop[inner] / 255.0) ** 2.2
    luma = colours @ [0.2126, 0.7152, 0.0722]
    cropped = evidence.volume < CROPPED
    low, high = (0.02, 0.2) if cropped else LIT
    lit = (luma >= np.quantile(luma, low)) & (luma <= np.quantile(luma, high))
    colour = np.median(colours[lit], axis=0) * (0.6 if cropped else 1.0)
    level = float(colour @ [0.2126, 0.7152, 0.0722])
    grey = np.array(DARKEST) * level / DARKEST[1]
    own = colour[0] > colour[1] > colour[2] or colour.min() < DYED * colour.max()
    if not own:  # dark hair mirrors the room
        colour = grey + (colour - grey) * np.clip(level / PALE, 0.3, 1)
    if level < DARKEST[1]:  # not even black hair is that dark, and its tint is mostly noise
        colour = colour * DARKEST[1] / max(level, 1e-6)
        colour = np.maximum(colour, SATURATED * colour.max())
    return colour.astype(np.float32)
