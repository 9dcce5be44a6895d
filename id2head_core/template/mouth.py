"""Lips of the template: closed in the neutral head, and never through one another.

The skin around the mouth is a polar grid of vertices, ``[rings, columns]``, from the inside of the
lips over the line where closed lips touch to the face. Lengths are metres.
"""

from dataclasses import dataclass

import numpy as np

CONTACT = 4
"""The ring where closed lips touch."""

FALL_OFF = np.array([0.2, 0.45, 0.7, 0.9, 1, 0.85, 0.7, 0.55, 0.4, 0.28, 0.18, 0.1, 0.05, 0.0])
"""Share of a correction at the contact line that each ring follows."""


@dataclass(frozen=True)
class MouthFrame:
    """Vertices that belong to the lips.

    Attributes:
        rings: int32 ``[14, C]``, template vertices.
        opposite: float32 ``[C, C]``: ``opposite @ contact line`` are the facing points of the other
            lip.
        upper: bool ``[C]``, columns of the upper lip (corners are in neither lip).
        lower: bool ``[C]``.
    """

    rings: np.ndarray
    opposite: np.ndarray
    upper: np.ndarray
    lower: np.ndarray

    def gap(self, vertices: np.ndarray) -> np.ndarray:
        """How far the lips are apart at each column of ``vertices [N, 3]``; < 0 if they cross."""
        line = vertices[self.rings[CONTACT]]
        rise = (line - self.opposite @ line)[:, 1]
        return np.where(self.upper, rise, np.where(self.lower, -rise, 0))

    def close(self, vertices: np.ndarray) -> np.ndarray:
        """A copy of ``vertices [N, 3]`` whose lips touch along the whole contact line."""
        return self._move(vertices, np.ones(len(self.upper)))

    def separate(self, vertices: np.ndarray) -> np.ndarray:
        """A copy of ``vertices [N, 3]`` whose lips touch wherever they crossed before."""
        return self._move(vertices, self.gap(vertices) < 0)

    def _move(self, vertices: np.ndarray, share: np.ndarray) -> np.ndarray:
        """Move the lips to the middle between them by ``share [C]``."""
        vertices = np.array(vertices)
        line = vertices[self.rings[CONTACT]]
        correction = 0.5 * (self.opposite @ line - line) * share[:, None]  # [C, 3]
        vertices[self.rings] += FALL_OFF[:, None, None] * correction
        return vertices
