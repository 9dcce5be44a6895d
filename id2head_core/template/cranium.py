"""How tall the skull is: landmarks end at the brows, the parser's mask does not.

Hair covers the skull, so its outline can only lie above it; on a bald head it is the skull.
"""

import numpy as np

from ..structures import FaceParsing, HeadFit

HEAD, HAIR, HAT = (1, 2, 3, 7, 8, 10, 17), 17, 18
"""Parser classes: whatever belongs to the bare head and its hair, hair, hat."""

HAIR_DEPTH = 0.003
"""Least thickness of a head of hair, metres."""

LARGEST_CUT, LARGEST_RISE = 0.025, 0.015
"""Limits of the correction, metres."""

BROW_HEIGHT = 0.03
"""Above the middle of the skull, metres: what lies below keeps its place."""


def cranium_correction(fit: HeadFit, parsing: FaceParsing, size: tuple[int, int]) -> np.ndarray:
    """Offset that brings the top of the skull under the outline in the photo.

    Args:
        fit: landmark fit.
        parsing: of the same photo.
        size: width and height of the photo, pixels.

    Returns:
        float32 ``[N, 3]``, metres, vertical, zero below the brows.
    """
    none = np.zeros_like(fit.neutral)
    pixels = fit.camera.pixels(fit.vertices, *size)
    matrix = parsing.photo_to_crop
    crop = pixels[:, :2] @ matrix[:, :2].T + matrix[:, 2]  # [N, 2]
    top = int(crop[:, 1].argmin())
    scale = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    metre = fit.camera.projection[1, 1] * size[1] / 2 * scale / pixels[top, 2]  # crop pixels
    mask_top = _mask_top(parsing, crop[top, 0], 0.03 * metre)
    if mask_top is None:
        return none
    hairy = (parsing.labels == HAIR).sum() > 0.03 * np.isin(parsing.labels, HEAD).sum()
    excess = (mask_top - crop[top, 1]) / metre + (HAIR_DEPTH if hairy else 0.0)
    excess = float(np.clip(excess, 0.0 if hairy else -LARGEST_RISE, LARGEST_CUT))
    height = fit.neutral[:, 1]
    share = np.clip((height - BROW_HEIGHT) / (height.max() - BROW_HEIGHT), 0, 1)
    none[:, 1] = -excess * share * share * (3 - 2 * share)
    return none


def _mask_top(parsing: FaceParsing, column: float, radius: float) -> float | None:
    """Topmost row of the head near a column of the crop; None under hats and cut-off heads."""
    head = parsing.probabilities[list(HEAD)].sum(0) > 0.5  # [S, S]
    low, high = (int(np.clip(column + d, 0, head.shape[1] - 1)) for d in (-radius, radius))
    strip = head[:, low : high + 1]
    tops = np.where(strip.any(0), strip.argmax(0), -1)
    hat = (parsing.labels == HAT).sum() > 0.05 * head.sum()
    if hat or (tops <= 2).any():
        return None
    return float(np.median(tops))
