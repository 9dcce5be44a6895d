"""sRGB, linear light and luminance of images in NumPy."""

import numpy as np


def luma(linear: np.ndarray) -> np.ndarray:
    """Luminance (Rec. 709) of linear RGB ``[..., 3]``."""
    return linear @ np.array([0.2126, 0.7152, 0.0722], np.float32)


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """SRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    srgb = np.clip(srgb, 0, 1)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def to_srgb(linear: np.ndarray) -> np.ndarray:
    """Linear light in [0, 1] to sRGB (IEC 61966-2-1)."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
