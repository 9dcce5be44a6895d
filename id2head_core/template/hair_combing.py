"""Which way the strands run: the texture of the hair's shell, combed.

Columns of the shell's grid run from the crown straight down, and so would strands. Where the photo
shows another direction (structure tensor, Bigun & Granlund 1987) the texture is carried along it,
row by row from the crown: a point has the ``u`` of the strand that it lies on.
"""

import cv2
import numpy as np
from scipy import ndimage

from .hair_locks import wave_shift
from .hair_view import HIDDEN, HairView

BEND = 4.0
"""Rows over which the columns' own direction is smoothed: they bend where the skull's rows end."""

GRAIN = 3.0
"""Standard deviation of the window in which a direction is measured, pixels of the map."""

SMOOTH = 2.0
"""Standard deviation of the blur of directions over the shell, cells."""

PRIOR = 0.12
"""Weight of the columns' direction against the photo's."""

TURN = 0.25
"""Holds back directions across the columns, whose sign is uncertain."""

STEEPEST = 2.0
"""Greatest slope of strands, columns per row."""

BACK = 10
"""Columns beside the seam at the back in which strands turn into its direction."""

CROWN_ROWS = (3, 9)
"""Rows of the grid, whose columns are narrow, in which strands leave the columns' direction."""

EVEN, AROUND = 0.15, 6.0
"""Share by which strands that spread or crowd become with each row as dense as those around them,
and within how many columns."""

NARROWEST = 0.35
"""Least distance of two strands, columns, that are one column apart at the crown."""


def combed(view: HairView, thickness: np.ndarray, curl: float, volume: float) -> np.ndarray:
    """``u`` of the texture at each ray, grid ``[R, C + 1]`` in [0, 1].

    Args:
        view: of the photo.
        thickness: of the hair, grid ``[R, C + 1]``, metres.
        curl: 0 for straight hair, 1 for curls, which are wavy.
        volume: of the hair, metres.
    """
    frame = _Frame(view, np.maximum(thickness, 0))
    photo, weight = _seen_directions(view, frame)
    blur = view.template.blur
    cosine = blur(weight * photo[..., 0] + PRIOR, SMOOTH)  # of twice the angle
    sine = blur(weight * photo[..., 1], SMOOTH)
    length = np.hypot(cosine, sine) + 1e-6
    slope = frame.columns_per_row(sine / (length + cosine + TURN * length))
    return carried(slope, wave_shift(view.template, curl, volume))


def carried(slope: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    """``u`` of the strand through each point, grid ``[R, C + 1]`` in [0, 1], growing in each row.

    Args:
        slope: of the strands, columns per row, grid; ``u`` is 0 and 1 at the seam in any case.
        shift: of waves on top, columns, grid.
    """
    rows, columns = slope.shape[0], slope.shape[1] - 1
    place = np.arange(columns + 1, dtype=np.float32)
    seam = np.clip(np.minimum(place, columns - place) / BACK, 0, 1)
    crown = np.interp(np.arange(rows), CROWN_ROWS, (0, 1))[:, None]
    slope = np.clip(slope, -STEEPEST, STEEPEST) * seam * crown
    out = np.tile(place, (rows, 1))
    for row in range(1, rows):
        came = place - (slope[row - 1] + slope[row]) / 2
        step = np.diff(np.interp(came, place, out[row - 1]))
        around = ndimage.gaussian_filter1d(step, AROUND, mode="nearest")
        out[row, 1:] = np.cumsum(step + EVEN * (around - step))
    steps = np.maximum(np.diff(out + shift * seam * crown, axis=1), NARROWEST)
    ends = np.cumsum(steps, axis=1) * (columns / steps.sum(1, keepdims=True))
    return (np.c_[np.zeros(rows), ends] / columns).astype(np.float32)


class _Frame:
    """Axes of the shell's surface, unit ``[R, C + 1, 3]``: down along uncombed hair, and across.

    Uncombed hair follows the columns, but not their bend. Rows and columns of the grid are measured
    in these axes: ``row`` and ``column`` are metres down and across ``[R, C + 1, 2]`` per step.
    """

    def __init__(self, view: HairView, thickness: np.ndarray):
        template = view.template
        rays = template.image(template.directions(view.fit.neutral))
        self.position = template.image(view.proxy) + rays * thickness[..., None]
        row, column = _gradient(self.position)
        self.normal = _unit(np.cross(row, column))
        smooth = ndimage.gaussian_filter1d(_unit(row), BEND, axis=0, mode="nearest")
        smooth -= (smooth * self.normal).sum(-1, keepdims=True) * self.normal
        self.down = _unit(smooth)
        self.across = np.cross(self.normal, self.down)
        axes = np.stack([self.down, self.across], -2)  # [R, C + 1, 2, 3]
        self.row, self.column = ((axes @ step[..., None])[..., 0] for step in (row, column))

    def columns_per_row(self, tangent: np.ndarray) -> np.ndarray:
        """Slope in the grid of strands that leave ``down`` by this tangent."""
        along = self.column[..., 1] - tangent * self.column[..., 0]
        return (tangent * self.row[..., 0] - self.row[..., 1]) / np.maximum(along, 1e-4)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def _gradient(grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Change per row and per column of ``[R, C + 1, K]``; columns wrap around."""
    wide = np.concatenate([grid[:, -2:-1], grid, grid[:, 1:2]], axis=1)
    return np.gradient(grid, axis=0), (wide[:, 2:] - wide[:, :-2]) / 2


def _seen_directions(view: HairView, frame: _Frame) -> tuple[np.ndarray, np.ndarray]:
    """Cosine and sine of twice the strands' angle from ``down``, grid ``[R, C + 1, 2]``.

    With its weight, grid: how clearly and how well the photo shows it. The angle between strands
    and columns is measured on the surface: the tensor of the picture is carried onto it.
    """
    located = view.locate(frame.position)
    steps = np.stack([frame.row, frame.column], -1)  # [R, C + 1, 2, 2]
    steps += 1e-6 * np.eye(2, dtype=np.float32)
    pixels = np.stack(_gradient(located[..., :2]), -1) @ np.linalg.inv(steps)  # per metre
    down, across = pixels[..., 0], pixels[..., 1]
    xx, xy, yy = (view.sample(image, located) for image in _tensor(view))

    def product(a, b):
        mixed = a[..., 0] * b[..., 1] + a[..., 1] * b[..., 0]
        return xx * a[..., 0] * b[..., 0] + xy * mixed + yy * a[..., 1] * b[..., 1]

    along, beside, both = product(down, down), product(across, across), product(down, across)
    energy = along + beside + 1e-9
    twice = np.stack([beside - along, -2 * both], -1) / energy[..., None]
    depth = view.sample(view.head_depth.clip(0, 9), located, nearest=True)
    towards = view.fit.camera.position - frame.position
    towards /= np.linalg.norm(towards, axis=-1, keepdims=True)
    facing = np.clip((abs((frame.normal * towards).sum(-1)) - 0.15) / 0.4, 0, 1)
    shown = (view.template.image(view.toward) > 0) & (located[..., 2] < depth + 4 * HIDDEN)
    inner = view.sample(cv2.erode(view.hair, np.ones((7, 7))), located)
    return twice, facing * shown * np.clip(2 * inner - 1, 0, 1)


def _tensor(view: HairView) -> list[np.ndarray]:
    """Structure tensor (xx, xy, yy) of the map's log brightness within the hair, ``[M, M]``."""
    shape = view.hair.shape
    crop = cv2.warpAffine(
        view.identity.photo.pixels, view.to_map, shape[::-1], flags=cv2.INTER_AREA
    )
    log = np.log(cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY).astype(np.float32) + 8)
    hair = cv2.erode((view.hair > 0.7).astype(np.uint8), np.ones((5, 5), np.uint8))
    dx, dy = (cv2.Sobel(log, cv2.CV_32F, *order) * hair for order in ((1, 0), (0, 1)))
    return [cv2.GaussianBlur(p, (0, 0), GRAIN) for p in (dx * dx, dx * dy, dy * dy)]
