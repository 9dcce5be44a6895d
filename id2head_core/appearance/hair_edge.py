"""The outline of the hair: where it grows it thins out into single strands, where it hangs it ends
in tapering locks.

The shell's grid is coarse. Where the photo shows a hairline, the outline follows the face parser.
"""

import cv2
import numpy as np

from ..ramp import smoothstep
from ..template.hair_view import HairView
from .hair_sheet import HairSheet
from .strand_noise import STRAND, strand_noise

FRAY = 0.007
"""How far strands run out where hair hangs, metres."""

ROOTS = (-0.001, 0.007)
"""Distances from a hairline, metres > 0 in the hair, between which strands begin."""

DEVIATIONS = 2.5
"""Of the noise of strands: no strand, and all, beyond."""

ASTRAY = 0.009
"""How far the photo's hairline may lie from the grid's, metres."""


def photo_outline(view: HairView, sheet: HairSheet, shown: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to the hairline in the photo, metres, > 0 in the hair, and its trust.

    Args:
        view: of the photo.
        sheet: the shell.
        shown: of ``sheet.shown(view)``.

    Returns:
        float32 ``[S, S]`` each.
    """
    located, toward, seen = shown
    fine = cv2.resize(view.hair, None, fx=2, fy=2, interpolation=cv2.INTER_LINEAR)
    inside, outside = (
        cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        for mask in (fine > 0.5, fine <= 0.5)
    )
    signed = cv2.GaussianBlur(inside - outside, (0, 0), 1.5) * (view.metres_per_pixel / 2)
    signed = cv2.resize(signed, view.hair.shape[::-1], interpolation=cv2.INTER_AREA)
    stretch = 1 / np.maximum(toward, 0.35)  # foreshortened towards the outline
    trust = smoothstep(0.15, 0.4, toward) * seen * view.sample(view.inside, located)
    return view.sample(signed, located) * stretch, trust


def outline_alpha(
    sheet: HairSheet, photo: tuple[np.ndarray, np.ndarray] | None = None
) -> np.ndarray:
    """Cut-out ``[S, S]`` of the shell.

    Args:
        sheet: the shell.
        photo: of ``photo_outline``; None for hair that no photo shows.
    """
    outline = sheet.outline
    if photo is not None:
        distance, trust = photo
        distance = np.clip(distance, outline - ASTRAY, outline + ASTRAY)
        outline = outline + trust * (distance - outline)
    generator = np.random.default_rng(5)
    strands = strand_noise(sheet.texel, generator, STRAND, 9.0) + 0.6 * strand_noise(
        sheet.texel, generator, 3 * STRAND, 9.0
    )
    fray = np.interp(sheet.volume, [0.004, 0.015], [0.6 * FRAY, FRAY])
    ends = np.clip(0.5 + (outline + fray * (0.4 * strands - 0.15)) / 0.003, 0, 1)
    single = strand_noise(sheet.texel, generator, 0.8 * STRAND, 10.0)
    begun = DEVIATIONS * (2 * smoothstep(*ROOTS, outline) - 1)
    roots = np.clip(0.5 + 0.5 * (single + begun), 0, 1)
    roots = np.maximum(roots, smoothstep(0.6 * ROOTS[1], 1.2 * ROOTS[1], outline))
    roots *= np.clip(1.5 + outline / 0.002, 0, 1)  # no specks on the skin
    return (roots + sheet.hangs * (ends - roots)).astype(np.float32)
