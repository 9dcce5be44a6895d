"""A smooth ramp, for masks that fade."""

import numpy as np


def smoothstep(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Cubic ramp from 0 at ``low`` to 1 at ``high``."""
    t = np.clip((value - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)
