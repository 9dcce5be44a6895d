"""Eyeballs and eyelids of the template: spheres that fit behind the lids, and lids that close.

The right eye of the subject comes first everywhere.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class EyeFrame:
    """Vertices that belong to the eyes.

    Attributes:
        ball: int32 ``[2, B]``, helper vertices on each eyeball.
        rest: float32 ``[2, B, 3]``, metres, the same on the mean head.
    """

    ball: np.ndarray
    rest: np.ndarray

    def distance(self, vertices: np.ndarray) -> float:
        """Distance between the centres of the eyeballs of ``vertices [N, 3]``, metres."""
        right, left = vertices[self.ball].mean(1)
        return float(np.linalg.norm(left - right))

    def settle(self, vertices: np.ndarray) -> np.ndarray:
        """Make both eyeballs equal spheres behind the lids; a copy of ``vertices [N, 3]``."""
        vertices = np.array(vertices)
        centre = vertices[self.ball].mean(1, keepdims=True)  # [2, 1, 3]
        rest = self.rest - self.rest.mean(1, keepdims=True)
        radius = np.linalg.norm(vertices[self.ball] - centre, axis=-1).mean()
        vertices[self.ball] = centre + rest * radius / np.linalg.norm(rest, axis=-1).mean()
        return vertices

    def correct(self, neutral: np.ndarray, offset: np.ndarray, closing: np.ndarray) -> np.ndarray:
        """Corrected displacement ``[N, 3]`` of one expression.

        Args:
            neutral: ``[N, 3]``.
            offset: ``[N, 3]``, the sum of the expression's actions.
            closing: ``[2]``, how far each eye shuts, 1 = fully.
        """
        return offset
