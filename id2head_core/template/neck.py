"""How wide the neck is: landmarks end at the jaw, the parser's mask does not."""

import numpy as np

from ..ramp import smoothstep
from ..structures import FaceParsing, HeadFit

BACKGROUND, SKIN = 0, (1, 12, 13, 14, 15)
"""Parser classes: what a neck's edge ends at where it is seen, and face, lips, neck, necklace."""

ROWS = np.arange(-0.125, -0.094, 0.005)
"""Heights on the mean head at which the width is measured, metres."""

TYPICAL, TYPICAL_ROWS = 1.1, 4.0
"""Width of a neck that no photo shows, relative to the mean head's, and the edges it counts for."""

LIMITS = (0.9, 1.35)
"""Of the width, relative to the mean head's."""

DEEPER = 0.5
"""Share of the change that is made from front to back as well."""

EDGE = 3
"""What lies this many crop pixels beyond an edge tells whether it is the neck's."""

SHOULDERS = (0.06, 0.1)
"""Distances from the neck's axis between which the change fades, metres."""

AXIS = -0.02
"""Of the neck, metres in front of the middle of the skull."""


def neck_correction(
    fit: HeadFit, mean: np.ndarray, skin: np.ndarray, parsing: FaceParsing, size: tuple[int, int]
) -> np.ndarray:
    """Offset that makes the neck as wide as in the photo.

    Edges behind hair or a collar are not the neck's; without any the neck is a typical one.

    Args:
        fit: landmark fit.
        mean: the mean head ``[N, 3]``, metres.
        skin: the template's vertices that are skin.
        parsing: of the same photo.
        size: width and height of the photo, pixels.

    Returns:
        float32 ``[N, 3]``, metres, zero above the jaw line and below the collar bones.
    """
    widths = _edges(fit, mean, skin, parsing, size)
    width = (sum(widths) + TYPICAL_ROWS * TYPICAL) / (len(widths) + TYPICAL_ROWS)
    return widened_neck(fit.neutral, mean, float(np.clip(width, *LIMITS)))


def widened_neck(neutral: np.ndarray, mean: np.ndarray, width: float = TYPICAL) -> np.ndarray:
    """Offset ``[N, 3]`` that makes the neck of a head ``[N, 3]`` wider by the factor ``width``."""
    offset = np.zeros_like(neutral)
    wider = (width - 1) * _weight(mean)
    offset[:, 0] = wider * neutral[:, 0]
    offset[:, 2] = DEEPER * wider * (neutral[:, 2] - AXIS)
    return offset


def _weight(mean: np.ndarray) -> np.ndarray:
    """How much each vertex belongs to the neck, ``[N]`` in [0, 1].

    The jaw line falls from the nape to the chin.
    """
    x, y, z = mean.T
    jaw = np.interp(z, [-0.07, 0.05], [-0.085, -0.12])
    below, above = np.clip((jaw + 0.02 - y) / 0.035, 0, 1), np.clip((y + 0.175) / 0.04, 0, 1)
    outer = smoothstep(*SHOULDERS, np.hypot(x, z - AXIS))
    return smoothstep(0, 1, np.minimum(below, above)) * (1 - outer)


def _edges(fit, mean, skin, parsing, size) -> list[float]:
    """Distance of each edge that is seen from the neck's middle, relative to the fitted head's."""
    crop = parsing.in_crop(fit.camera.pixels(fit.vertices, *size)[:, :2])  # [N, 2]
    labels = parsing.labels
    found = []
    for height in ROWS:
        ring = skin[abs(mean[skin, 1] - height) < 0.004]
        columns, row = crop[ring, 0], int(crop[ring, 1].mean())
        middle = (columns.min() + columns.max()) / 2
        if not 0 <= row < labels.shape[0] or not 0 <= middle < labels.shape[1]:
            continue
        line = np.isin(labels[row], SKIN)
        for step, edge in ((-1, columns.min()), (1, columns.max())):
            beside = np.flatnonzero(~line[int(middle) :: step])
            if not line[int(middle)] or len(beside) == 0:
                continue
            beyond = int(middle) + step * (int(beside[0]) + EDGE)
            if 0 <= beyond < labels.shape[1] and labels[row, beyond] == BACKGROUND:
                found.append(float((beside[0] + 0.5) / abs(edge - middle)))
    return found
