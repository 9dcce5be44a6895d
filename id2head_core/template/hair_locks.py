"""Locks and waves: without them hair looks like a helmet. Irregular, the same on every head."""

import numpy as np
from scipy import ndimage

from .hair import HairTemplate

LOCKS = ((1.2, 8.0, 1.0), (2.4, 14.0, 0.8))
"""Of straight hair: half width in columns, half length in rows and share of each kind of lock."""

CURLS = ((1.5, 2.0, 1.0), (2.6, 3.2, 0.8))
"""The same of curls."""

WAVE, WAVE_SHIFT = (5.0, 1.8), 1.3
"""Half width in columns and half length in rows of waves, and their shift in columns."""

SHORT, DEEP = (0.010, 0.035), (0.0020, 0.0036)
"""Volumes of hair without and with full locks, metres; height of straight locks, and what curls are
higher."""

MOST = 0.3
"""Share of the thickness that locks may take."""


def lock_relief(
    template: HairTemplate, comb: np.ndarray, thickness: np.ndarray, curl: float, volume: float
) -> np.ndarray:
    """What locks add to the thickness, grid ``[R, C + 1]``, metres.

    Args:
        template: gives the grid.
        comb: ``u`` of the strand at each point, grid: locks run along strands.
        thickness: grid, metres.
        curl: 0 = locks stretched along the strands, 1 = round tufts.
        volume: of the hair, metres.
    """
    rows, columns = template.grid[0], template.grid[1] - 1
    generator = np.random.default_rng(7)
    relief = np.zeros((rows, columns))
    for kinds, weight in ((LOCKS, 1 - curl), (CURLS, curl)):
        for width, length, share in kinds:
            noise = smooth_noise(generator, rows, columns, width, length)
            relief += weight * share * noise
    relief /= relief.std()
    along = comb[:, :-1] * columns
    at = np.broadcast_to(np.arange(rows)[:, None], along.shape)
    relief = ndimage.map_coordinates(relief, [at, along], order=1, mode="grid-wrap")
    relief *= np.clip((np.arange(rows)[:, None] - 4) / 20, 0, 1)  # columns are narrow at the crown
    relief = np.clip(relief, -1.6, 1.6)
    deep = (DEEP[0] + DEEP[1] * curl) * np.interp(volume, SHORT, (0, 1))
    return np.c_[relief, relief[:, :1]] * np.minimum(deep, MOST * thickness)


def wave_shift(template: HairTemplate, curl: float, volume: float) -> np.ndarray:
    """How far wavy strands lie beside straight ones, columns, grid ``[R, C + 1]``."""
    rows, columns = template.grid[0], template.grid[1] - 1
    wave = smooth_noise(np.random.default_rng(8), rows, columns, *WAVE)
    share = curl * np.interp(volume, SHORT, (0, 1))
    return WAVE_SHIFT * share * np.c_[wave, wave[:, :1]]


def smooth_noise(
    generator: np.random.Generator, rows: int, columns: int, width: float, length: float
) -> np.ndarray:
    """Smooth noise of unit deviation ``[rows, columns]`` that wraps around.

    Args:
        generator: of the noise.
        rows: along the strands.
        columns: around the head.
        width: standard deviation of the blur across the strands, cells.
        length: along them.
    """
    pad = int(3 * length) + 1
    noise = generator.standard_normal((rows + 2 * pad, columns))
    noise = ndimage.gaussian_filter(noise, (length, width), mode=("nearest", "wrap"))[pad:-pad]
    return noise / noise.std()
