"""The colour of the hair in the photo."""

import cv2
import numpy as np

from ..ramp import smoothstep
from .hair_evidence import CROPPED, Evidence
from .hair_view import HairView

LUMA = np.array([0.2126, 0.7152, 0.0722])

LIT = (0.35, 0.85)
"""Quantiles of brightness between which hair counts as lit; above are highlights."""

SHADE, BLACK, MATT = 0.15, (0.004, 0.010), 2.0
"""Quantile of brightness in the shade; luminances there from black to other hair; of black hair
without its shine, in times that of the shade."""

FACE, DARK_SKIN, GREYING, STUBBLE = (1,), 0.12, 50.0, 0.3
"""Class of the face parser; luminance of skin and age up to which stubble is black; its greatest
luminance in times that of the skin."""

PALE = 0.08
"""Luminance from which hair shows a tint that is not brown unchanged."""

DYED = 0.35
"""A tint counts as the hair's own where the smallest channel is below this share of the largest."""

SATURATED = 0.15
"""Smallest channel of the most saturated black hair, share of the largest."""

MELANIN, MIRRORED = 0.8, 0.3
"""Blue over green is at most green over red to this power in brown hair; what stays of more."""

DARKEST = (0.012, 0.010, 0.009)
"""Black hair in any light, linear RGB."""


def _colours(view: HairView, chosen: np.ndarray) -> np.ndarray:
    """Linear RGB ``[N, 3]`` of the map's ``chosen [M, M]`` pixels."""
    crop = cv2.warpAffine(
        view.identity.photo.pixels, view.to_map, chosen.shape[::-1], flags=cv2.INTER_AREA
    )
    return (crop[chosen] / 255.0) ** 2.2


def _matt(luma: np.ndarray) -> float:
    """Greatest luminance that hair with pixels ``luma [N]`` has without its shine.

    Shadows tell black hair from grey.
    """
    shade = float(np.quantile(luma, SHADE))
    return 1.0 if shade > BLACK[1] else shade * MATT / (1 - smoothstep(*BLACK, shade) + 1e-2)


def _stubble(view: HairView) -> float:
    """Greatest luminance of hair that is as short as stubble: on dark skin its shine looks grey."""
    skin = view.classes(FACE) > 0.8
    if not skin.any() or view.identity.age > GREYING:
        return 1.0
    level = float(np.median(_colours(view, skin) @ LUMA))
    return STUBBLE * level if level < DARK_SKIN else 1.0


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
    colours = _colours(view, inner)
    luma = colours @ LUMA
    cropped = evidence.volume < CROPPED
    low, high = (0.02, 0.2) if cropped else LIT
    lit = (luma >= np.quantile(luma, low)) & (luma <= np.quantile(luma, high))
    colour = np.median(colours[lit], axis=0) * (0.6 if cropped else 1.0)
    level = float(colour @ LUMA)
    most = _stubble(view) if cropped else _matt(luma)
    if level > most:
        colour, level = colour * most / level, most
    grey = np.array(DARKEST) * level / DARKEST[1]
    own = colour[0] > colour[1] > colour[2] or colour.min() < DYED * colour.max()
    if not own:  # dark hair mirrors the room
        colour = grey + (colour - grey) * np.clip(level / PALE, 0.3, 1)
    natural = colour[1] * (colour[1] / max(colour[0], 1e-6)) ** MELANIN
    if natural < colour[2] <= colour[1] <= colour[0]:  # brown with the sky in it looks purple
        colour[2] = natural + MIRRORED * (colour[2] - natural)
    if level < DARKEST[1]:  # not even black hair is that dark, and its tint is mostly noise
        colour = colour * DARKEST[1] / max(level, 1e-6)
        colour = np.maximum(colour, SATURATED * colour.max())
    return colour.astype(np.float32)
