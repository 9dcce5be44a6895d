"""Eyeballs and eyelids of the template: spheres that fit behind the lids, and lids that close.

The skin around each eye is a polar grid of vertices, ``[rings, 28 columns]``: rings run from the
socket over the rim of the lids (three rings, the last one is the lid's front edge) to the face;
column 0 is the corner at the nose, 1 to 13 the upper lid, 14 the other corner, 15 to 27 the lower
lid back to the nose. The subject's right eye comes first everywhere. Lengths are metres.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

RIM = slice(2, 5)
"""Rings of the lid's rim: back edge, middle, front edge."""

FRONT = 4
"""The ring of the front edge."""

UPPER, LOWER = np.arange(1, 14), np.arange(27, 14, -1)
"""Columns of the lids; equal positions face each other."""

FALL_OFF = np.array([0.25, 0.6, 1, 1, 1, 0.93, 0.82, 0.68, 0.52, 0.36, 0.22, 0.11, 0.04, 0.0])
"""Share of a correction at the rim that each ring follows."""

CLEARANCE = 0.0005
"""The lids stay this far outside the eyeball, metres."""

MEETING = 0.3
"""Where closing lids meet: share of the upper lid's position."""


@dataclass(frozen=True)
class EyeFrame:
    """Vertices that belong to the eyes.

    Attributes:
        ball: int32 ``[2, B]``, helper vertices on each eyeball.
        rest: float32 ``[2, B, 3]``, the same on the mean head.
        rings: int32 ``[2, 14, 28]``, template vertices around each eye.
        rest_gap: float32 ``[28]``, height of the rim's back edge above the mean head's eyeball.
    """

    ball: np.ndarray
    rest: np.ndarray
    rings: np.ndarray
    rest_gap: np.ndarray

    def distance(self, vertices: np.ndarray) -> float:
        """Distance between the centres of the eyeballs of ``vertices [N, 3]``."""
        right, left = vertices[self.ball].mean(1)
        return float(np.linalg.norm(left - right))

    def balls(self, vertices: np.ndarray) -> tuple[np.ndarray, float]:
        """Centres ``[2, 3]`` and the radius of the eyeballs of ``vertices [N, 3]``."""
        centre = vertices[self.ball].mean(1, keepdims=True)
        return centre[:, 0], float(np.linalg.norm(vertices[self.ball] - centre, axis=-1).mean())

    def settle(self, vertices: np.ndarray) -> np.ndarray:
        """Make both eyeballs equal spheres that touch the lids from behind.

        Args:
            vertices: ``[N, 3]``, not changed.

        Returns:
            A copy with the eyeballs' helper vertices replaced.
        """
        vertices = np.array(vertices)
        centres, radius = self.balls(vertices)
        scale = radius / self._rest_radius
        for eye, centre in enumerate(centres):
            rim = vertices[self.rings[eye, RIM]]  # [3, 28, 3]
            for _ in range(3):
                away = rim[0] - centre
                height = np.linalg.norm(away, axis=1)
                normal_z = away[:, 2] / height
                # along z only: the gap of the rim's back edge becomes the mean head's
                gap = height - radius - self.rest_gap * scale
                centre[2] += np.clip((gap * normal_z).sum() / (normal_z**2).sum(), -0.004, 0.004)
            for _ in range(3):  # and nowhere may the front edge sink in
                away = rim[2] - centre
                height = np.linalg.norm(away, axis=1)
                deepest = (radius + CLEARANCE - height) / np.maximum(away[:, 2] / height, 0.3)
                centre[2] -= np.clip(deepest.max(), 0, 0.004)
            shape = self.rest[eye] - self.rest[eye].mean(0)
            vertices[self.ball[eye]] = centre + shape * scale
        return vertices

    @cached_property
    def _rest_radius(self) -> float:
        centre = self.rest.mean(1, keepdims=True)
        return float(np.linalg.norm(self.rest - centre, axis=-1).mean())

    def correct(self, neutral: np.ndarray, offset: np.ndarray, closing: np.ndarray) -> np.ndarray:
        """One expression with sound lids.

        Args:
            neutral: ``[N, 3]``, settled.
            offset: ``[N, 3]``, the sum of the expression's actions.
            closing: ``[2]``, how far each eye shuts; at least 0.8 counts as shut.

        Returns:
            Posed vertices ``[N, 3]``: shut lids meet exactly, others do not cross, and no lid
            enters the eyeball.
        """
        posed = neutral + offset
        centres, radius = self.balls(neutral)
        for eye, centre in enumerate(centres):
            grid = posed[self.rings[eye]]  # [14, 28, 3]
            if closing[eye] >= 0.8:
                grid = _shut(grid, centre, radius)
            else:
                grid = _uncrossed(grid)
            front = grid[FRONT:]
            away = front - centre
            height = np.linalg.norm(away, axis=-1, keepdims=True)
            grid[FRONT:] = centre + away * np.maximum(1, (radius + CLEARANCE) / height)
            posed[self.rings[eye]] = grid
        return posed


def _shut(grid: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Move the lids of one eye ``[14, 28, 3]`` until their rims coincide."""
    rim = grid[RIM]
    upper, lower = rim[:, UPPER], rim[:, LOWER]  # [3, 13, 3]
    meeting = MEETING * upper + (1 - MEETING) * lower
    meeting[2] = _smooth(np.concatenate([rim[2, :1], meeting[2], rim[2, 14:15]]))[1:-1]
    # the front edges meet one clearance above the eyeball or higher, the rest right behind them
    away = meeting - centre
    height = np.linalg.norm(away, axis=-1, keepdims=True)
    low = radius + CLEARANCE * np.array([0.4, 1.2, 2.0])[:, None, None]
    meeting = centre + away * np.maximum(low / height, 1)
    moved = grid.copy()
    for columns, now in ((UPPER, upper), (LOWER, lower)):
        correction = meeting - now  # [3, 13, 3]
        moved[: RIM.start, columns] += FALL_OFF[: RIM.start, None, None] * correction[0]
        moved[RIM, columns] = meeting
        moved[RIM.stop :, columns] += FALL_OFF[RIM.stop :, None, None] * correction[2]
    return moved


def _uncrossed(grid: np.ndarray) -> np.ndarray:
    """Part the lids of one eye ``[14, 28, 3]`` where narrow eyes squint beyond shut."""
    rim = grid[RIM]
    beyond = np.maximum(rim[:, LOWER, 1] - rim[:, UPPER, 1], 0).max(0)  # [13]
    if not beyond.any():
        return grid
    moved = grid.copy()
    for columns, share in ((UPPER, 1 - MEETING), (LOWER, -MEETING)):
        moved[:, columns, 1] += share * FALL_OFF[:, None] * beyond
    return moved


def _smooth(line: np.ndarray) -> np.ndarray:
    """Two binomial passes along a polyline ``[M, 3]``; the ends stay."""
    for _ in range(2):
        line[1:-1] = 0.25 * line[:-2] + 0.5 * line[1:-1] + 0.25 * line[2:]
    return line
