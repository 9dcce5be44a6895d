"""The soft shadow that lids and lashes throw on the eyeball, and the flesh in the eye's corner."""

import numpy as np

from ..ramp import smoothstep
from ..template.eyes import FRONT, EyeFrame

UPPER_SHADOW, UPPER_REACH = 0.52, 0.16
LOWER_SHADOW, LOWER_REACH = 0.2, 0.07
TEMPLE_SHADOW, TEMPLE_REACH = 0.4, 0.3
"""Depth of the shadows at the lids' rims and in the outer corner, and where they fade, radians."""

CORNER_REACH = 0.14
"""Size of the flesh in the corner at the nose, radians."""

UPPER, LOWER = np.arange(15), np.r_[14:28, 0]
"""Columns of the lids with both corners; 0 is the corner at the nose."""


def lid_rim(frame: EyeFrame, vertices: np.ndarray, eye: int) -> np.ndarray:
    """Directions of the lids' front edge from the eyeball's centre, unit ``[28, 3]``.

    Args:
        frame: of the template.
        vertices: of a head, ``[N, 3]``.
        eye: 0 for the subject's right one.
    """
    centres, _ = frame.balls(vertices)
    rim = vertices[frame.rings[eye, FRONT]] - centres[eye]
    return rim / np.linalg.norm(rim, axis=1, keepdims=True)


def lid_shadow(directions: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """Share of the light that reaches an eyeball at unit ``directions [n, 3]``, ``[n]``."""
    upper, lower = _angle_to(directions, rim[UPPER]), _angle_to(directions, rim[LOWER])
    light = 1 - UPPER_SHADOW * np.exp(-((upper / UPPER_REACH) ** 1.5))
    light *= 1 - LOWER_SHADOW * np.exp(-lower / LOWER_REACH)
    temple = _angle_to(directions, rim[14:15])
    return light * (1 - TEMPLE_SHADOW * np.exp(-((temple / TEMPLE_REACH) ** 2)))


def corner_flesh(directions: np.ndarray, rim: np.ndarray) -> np.ndarray:
    """How far unit ``directions [n, 3]`` belong to the flesh in the corner at the nose, ``[n]``."""
    away = _angle_to(directions, rim[:1])
    return 1 - smoothstep(0.4 * CORNER_REACH, CORNER_REACH, away)


def _angle_to(directions: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Angle, radians, of unit vectors ``[n, 3]`` to the nearest point of a line ``[m, 3]``."""
    share = np.arange(4)[:, None, None] / 4
    dense = (line[:-1] * (1 - share) + line[1:] * share).reshape(-1, 3)
    dense = np.concatenate([dense, line[-1:]]).astype(np.float32)
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    return np.arccos(np.clip((directions.astype(np.float32) @ dense.T).max(-1), -1, 1))
