"""How tall the skull is: landmarks end at the brows, the parser's mask does not.

Hair covers the skull, so its outline can only lie above it; on a bald head it is the skull.
"""

import numpy as np

from ..ramp import smoothstep
from ..structures import FaceParsing, HeadFit

HEAD, HAIR, HAT = (1, 2, 3, 7, 8, 10, 17), 17, 18
"""Parser classes: whatever belongs to the bare head and its hair, hair, hat."""

HAIR_DEPTH = 0.003
"""Least thickness of a head of hair, metres."""

LARGEST_CUT, LARGEST_RISE = 0.025, 0.015
"""Limits of the correction, metres."""

BAND = 0.015
"""Below the top of the head, metres: what it shows there tells bald heads and wreaths from hair."""

BROW_HEIGHT = 0.03
"""Above the middle of the skull, metres: what lies below keeps its place."""


def cranium_correction(
    fit: HeadFit, skin: np.ndarray, parsing: FaceParsing, size: tuple[int, int]
) -> np.ndarray:
    """Offset that brings the top of the skull under the outline in the photo.

    Args:
        fit: landmark fit.
        skin: the template's vertices that are skin; its helpers reach higher.
        parsing: of the same photo.
        size: width and height of the photo, pixels.

    Returns:
        float32 ``[N, 3]``, metres, vertical, zero below the brows.
    """
    none = np.zeros_like(fit.neutral)
    pixels = fit.camera.pixels(fit.vertices[skin], *size)
    crop = parsing.in_crop(pixels[:, :2])  # [R, 2]
    top = int(crop[:, 1].argmin())
    focal = fit.camera.projection[1, 1] * size[1] / 2  # photo pixels
    metre = focal * parsing.scale / pixels[top, 2]  # crop pixels
    strip = _strip(parsing, crop[top, 0], 0.03 * metre)
    if strip is None:
        return none
    mask_top, hairy = _top(strip, BAND * metre)
    excess = (mask_top - crop[top, 1]) / metre + (HAIR_DEPTH if hairy else 0.0)
    excess = float(np.clip(excess, 0.0 if hairy else -LARGEST_RISE, LARGEST_CUT))
    height = fit.neutral[:, 1]
    none[:, 1] = -excess * smoothstep(BROW_HEIGHT, height[skin].max(), height)
    return none


def _strip(parsing: FaceParsing, column: float, radius: float) -> np.ndarray | None:
    """Columns of the parser's classes around the top of the skull, ``[C, S, W]``.

    None where the top of the head cannot be told: under hats, and at the edge of the photo.
    """
    head = parsing.probabilities[list(HEAD)].sum(0) > 0.5  # [S, S]
    low, high = (int(np.clip(column + d, 0, head.shape[1] - 1)) for d in (-radius, radius))
    hat = (parsing.labels == HAT).sum() > 0.05 * head.sum()
    cut_off = (head[:, low : high + 1].argmax(0) <= 2).any()
    return None if hat or cut_off else parsing.probabilities[:, :, low : high + 1]


def _top(strip: np.ndarray, band: float) -> tuple[float, bool]:
    """Row of the head's top, and whether it is hair: most of the ``band`` rows below it."""
    head = strip[list(HEAD)].sum(0) > 0.5  # [S, W]
    top = float(np.median(head.argmax(0)))
    rows = strip[:, int(top) : int(top + band) + 1]
    return top, bool((rows[HAIR] > 0.5).mean() > 0.5)
