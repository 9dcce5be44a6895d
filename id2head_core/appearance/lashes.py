"""Lashes over lids that the photo already shows with lashes: thinner, shorter, above only."""

from dataclasses import replace

import numpy as np

from ..ramp import smoothstep
from ..structures import Material

ROOTS = 7
"""Texels at the foot of each half of the texture in which the drawn roots close to a line."""

THINNER = (0.3, 0.12)
"""What is taken off alpha's soft edges for men and for women: strands become as much thinner."""

LENGTH = (0.4, 0.8)
"""Share of the length that men and women keep."""

LINE = (1, 3)
"""Texels of the line of roots that men and women keep on the upper lid."""


def photographed_lashes(material: Material, gender: float) -> Material:
    """Drawn lashes that join the photographed ones.

    Args:
        material: of the template; the upper half of its ``alpha [H, W]`` is the upper lid's, roots
            at the bottom of each half.
        gender: probability of "female" in [0, 1].
    """
    female = float(smoothstep(0.3, 0.7, np.float32(gender)))
    thinner, length, line = (a + (b - a) * female for a, b in (THINNER, LENGTH, LINE))
    upper, lower = np.split(material.alpha, 2)
    upper = _thinned(upper, thinner, length, round(line))
    return replace(material, alpha=np.concatenate([upper, np.zeros_like(lower)]))


def _thinned(half: np.ndarray, thinner: float, length: float, line: int) -> np.ndarray:
    """One lid's alpha ``[H / 2, W]`` with less of the line of roots and without the tips."""
    out = half.copy()
    out[-ROOTS:] = half[-ROOTS - 1]  # strands go on into the lid
    above = np.linspace(1, 0, len(half))[:, None]  # share of the length, 0 at the roots
    out -= thinner + smoothstep(0.75 * length, length, above)
    out[len(half) - line :] = half[len(half) - line :]
    return np.clip(out, 0, 1).astype(np.float32)
