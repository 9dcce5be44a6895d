"""Round ends for the ear lobes, which the template's source cuts off flat."""

import numpy as np

HEIGHT = 0.009
"""Of the part of an ear that is rounded, above its lowest point, metres."""

TIP = 0.3
"""Width that is left at the lowest point."""

JOINT = 0.004
"""Depth of the seam with the cheek, metres: it keeps its length."""

SHORTER = 0.7
"""Share of the rounding that is made from front to back."""


def rounded_lobes(mean: np.ndarray, ears: np.ndarray) -> np.ndarray:
    """The mean head with lobes that narrow towards the cheek in a quarter of an ellipse.

    Args:
        mean: ``[N, 3]``, metres.
        ears: mask ``[N]`` in [0, 1].

    Returns:
        float32 ``[N, 3]``; only the lowest part of the ears differs, and not in height.
    """
    rounded = mean.copy()
    for side in (-1, 1):
        rows = np.flatnonzero((ears > 0.5) & (np.sign(mean[:, 0]) == side))
        x, y, z = side * mean[rows, 0], mean[rows, 1], mean[rows, 2]
        low = np.clip((y.min() + HEIGHT - y) / HEIGHT, 0, 1)  # 1 at the tip
        cheek, middle = x[low > 0].min(), np.median(z[low > 0])
        width = TIP + (1 - TIP) * np.sqrt(1 - low**2)
        free = np.clip((x - cheek) / JOINT, 0, 1)
        rounded[rows, 0] = side * (cheek + (x - cheek) * width)
        rounded[rows, 2] = middle + (z - middle) * (1 - SHORTER * free * (1 - width))
    return rounded
