"""Noise that looks like strands of hair, in the texture of the hair shell (v runs along them).

The shell is a grid whose columns converge at the crown; the width of the grain in texels follows
the circumference, which keeps it constant in millimetres.
"""

import cv2
import numpy as np

STRAND = 0.0011
"""Width of a visible strand, metres."""


def texel_widths(grid: np.ndarray, rows: int, columns: int | None = None) -> np.ndarray:
    """Metres per texel across, float32 ``[rows, 1]``.

    Args:
        grid: vertices of the shell ``[R, C + 1, 3]``, metres.
        rows: of the texture.
        columns: of the texture; None for as many.
    """
    around = np.linalg.norm(np.diff(grid, axis=1), axis=-1).sum(1)  # [R]
    v = ((np.arange(rows) + 0.5) / rows - 0.005) / 0.99 * (len(around) - 1)  # as texture_uv
    widths = np.interp(v, np.arange(len(around)), around) / (columns or rows)
    return widths[:, None].astype(np.float32)


def strand_length(volume: float) -> float:
    """Length of the grain in widths, by a typical large thickness of the hair, metres."""
    return float(np.interp(volume, [0.004, 0.012, 0.03], [2.0, 12.0, 60.0]))


def strand_noise(
    texel: np.ndarray,
    generator: np.random.Generator,
    width: float,
    aspect: float,
    columns: int | None = None,
) -> np.ndarray:
    """Noise of zero mean and about unit deviation, periodic in u, float32 ``[rows, columns]``.

    Args:
        texel: metres per texel across ``[rows, 1]``.
        generator: of the noise.
        width: of the grain across, metres.
        aspect: length of the grain in widths, with as many rows as columns.
        columns: of the texture; None for as many as rows.
    """
    rows, columns = len(texel), columns or len(texel)
    texels = width / np.maximum(texel, 1e-5)  # [rows, 1]
    out, total = np.zeros((rows, columns), np.float32), np.zeros((rows, 1), np.float32)
    sizes = 0.7 * 2.0 ** np.arange(9)
    for grain in sizes:
        near = np.abs(np.log2(np.clip(texels, sizes[0], sizes[-1]) / grain))
        share = np.clip(1 - near, 0, 1).astype(np.float32)
        used = np.flatnonzero(share[:, 0])
        if len(used):
            begin, end = used[0], used[-1] + 1
            length = aspect * np.median(texels[used]) * 0.6 * rows / columns
            noise = _stretched(generator, end - begin, columns, grain, length)
            out[begin:end] += share[begin:end] * noise
            total[begin:end] += share[begin:end] ** 2
    return out / np.sqrt(np.maximum(total, 1e-6))


def wandering(image: np.ndarray, generator: np.random.Generator, waves: float) -> np.ndarray:
    """Let the strands of ``image [rows, columns]`` wander sideways, more towards the ends.

    ``waves`` of curly hair, 0 to 1, are shorter.
    """
    rows, columns = image.shape
    ends = np.linspace(0.3, 1, rows, dtype=np.float32)[:, None]
    drift = 0.009 * columns * ends * _stretched(generator, rows, columns, columns / 14, rows / 5)
    if waves > 0.1:
        wave = _stretched(generator, rows, columns, columns / 16, rows / 22)
        drift += 0.009 * waves * columns * wave
    u, v = np.meshgrid(np.arange(columns, dtype=np.float32), np.arange(rows, dtype=np.float32))
    return cv2.remap(image, u + drift, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)


def _stretched(
    generator: np.random.Generator, rows: int, columns: int, width: float, length: float
) -> np.ndarray:
    """Gaussian noise of this grain in texels ``[rows, columns]``, unit deviation, periodic in u."""
    step_x, step_y = max(1.0, width / 1.5), max(1.0, length / 3)
    count = max(4, round(columns / step_x))
    noise = generator.standard_normal((int(rows / step_y) + 5, count)).astype(np.float32)
    noise = np.pad(noise, ((0, 0), (3, 3)), "wrap")
    noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.8, sigmaY=1.0)[:, 1:-1]
    u = (np.arange(columns, dtype=np.float32) + 0.5) * count / columns + 1.5
    v = np.arange(rows, dtype=np.float32) / step_y + 2
    grid_u, grid_v = np.meshgrid(u, v)
    noise = cv2.remap(noise, grid_u, grid_v, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return noise / max(noise.std(), 1e-6)
