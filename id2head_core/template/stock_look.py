"""Stock textures of the template: skins, irises, teeth, tongue, lashes and brows."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ..errors import OptionError
from ..structures import Material

BAKED = "template/looks.npz"

ANCESTRIES = ("caucasian", "asian", "african")
"""Families of stock skins, from light to dark."""

YOUNG, OLD = 30.0, 68.0
"""Years at which a skin is entirely the young and entirely the old one."""

PORE_DEPTH = 0.25
"""Change of the albedo at the extremes of the pore texture."""

ROUGHNESS = {"eyes": 0.12, "teeth": 0.25, "tongue": 0.4, "lashes": 0.8, "brows": 0.8}

HAIR_COLOUR = (0.012, 0.009, 0.007)
"""Linear albedo of lashes and brows."""

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


class StockLook:
    """Decodes and mixes the baked textures.

    Args:
        locate: maps a name below ``weights/`` to a path.
    """

    def __init__(self, locate: Callable[[str], Path]):
        with np.load(locate(BAKED), allow_pickle=False) as file:
            self._data = {name: file[name] for name in file.files}

    @property
    def eye_colours(self) -> tuple[str, ...]:
        """Names that ``eye_material`` knows."""
        names = (name.partition(".") for name in self._data)
        return tuple(colour for part, _, colour in names if part == "eyes")

    def skin(self, age: float, gender: float, darkness: float) -> np.ndarray:
        """Skin of somebody else.

        Args:
            age: years.
            gender: probability of "female" in [0, 1].
            darkness: 1 minus the sRGB value of the cheek's luminance, in [0, 1].

        Returns:
            float32 ``[1024, 1024, 3]``, linear RGB, in the template's atlas.
        """
        old = float(np.clip((age - YOUNG) / (OLD - YOUNG), 0, 1))
        female = float(np.clip(gender, 0, 1))
        total, own = np.zeros((), np.float32), 0.0
        for years, share in (("young", 1 - old), ("old", old)):
            for sex, part in (("male", 1 - female), ("female", female)):
                shades = [float(self._data[f"darkness.{years}.{a}.{sex}"]) for a in ANCESTRIES]
                for ancestry, mix in zip(ANCESTRIES, _tents(shades, darkness), strict=True):
                    weight = share * part * mix
                    if weight > 0.01:
                        picture = self._picture(f"skin.{years}.{ancestry}.{sex}")
                        total = total + weight * _to_linear(picture)
                        own += weight
        skin = total / own
        shade = self._shade(skin)
        gain = _to_linear(np.float32(np.clip(1 - darkness, 0.08, 0.95))) / shade
        pores = (self._picture("pores") * 255 - 128) / 127 * PORE_DEPTH
        return np.clip(skin * gain * (1 + pores[..., None]), 0, 1).astype(np.float32)

    def _shade(self, skin: np.ndarray) -> float:
        """Linear luminance of a skin's plain part (the forehead's edge of the atlas)."""
        side = skin.shape[0]
        plain = skin[int(0.12 * side) : int(0.16 * side), int(0.4 * side) : int(0.6 * side)]
        return float(np.median(plain @ LUMA))

    def eye_material(self, colour: str = "brown") -> Material:
        """Eyeballs.

        Args:
            colour: one of ``eye_colours``.

        Raises:
            OptionError: the colour is unknown.
        """
        if colour not in self.eye_colours:
            raise OptionError(
                f"Eye colour '{colour}' is unknown. Use one of {', '.join(self.eye_colours)}."
            )
        albedo = _to_linear(self._picture(f"eyes.{colour}"))
        return Material(albedo, roughness=ROUGHNESS["eyes"])

    def material(self, name: str) -> Material:
        """Material of a bound part: eyes (brown), teeth, tongue, lashes or brows."""
        if name == "eyes":
            return self.eye_material()
        if name in ("lashes", "brows"):
            alpha = self._picture(f"{name}.alpha")
            albedo = np.empty((*alpha.shape, 3), np.float32)
            albedo[:] = HAIR_COLOUR
            return Material(albedo, alpha, ROUGHNESS[name])
        return Material(_to_linear(self._picture(name)), roughness=ROUGHNESS[name])

    def _picture(self, key: str) -> np.ndarray:
        """Decode one picture, float32 in [0, 1], RGB or grey."""
        image = cv2.imdecode(self._data[key], cv2.IMREAD_COLOR_RGB)
        if key == "pores" or key.endswith(".alpha"):
            image = image[..., 1]
        return image.astype(np.float32) / 255


def _tents(anchors: list[float], value: float) -> np.ndarray:
    """Linear interpolation weights of ``value`` between increasing ``anchors``."""
    rows = np.eye(len(anchors))
    return np.array([np.interp(value, anchors, row) for row in rows])


def _to_linear(srgb: np.ndarray) -> np.ndarray:
    """SRGB in [0, 1] to linear RGB, float32."""
    srgb = np.asarray(srgb, np.float32)
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4).astype(
        np.float32
    )
