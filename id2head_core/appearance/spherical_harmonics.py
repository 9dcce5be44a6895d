"""Lights as degree-2 spherical harmonics: presets, free directions, random lights.

``sh_coefficients (9, 3)`` are radiance coefficients in the world frame of ``camera.py``; their
convention and the shading itself are in ``render/shading.py``.
"""

import numpy as np

from ..errors import OptionError
from ..render.shading import (
    COSINE_LOBE,
    diffuse_shading,
    irradiance_coefficients,
    rotated,
    sh_basis,
)

__all__ = [
    "PRESETS",
    "diffuse_shading",
    "directional_light",
    "irradiance_coefficients",
    "preset_light",
    "random_light",
    "rotated",
    "sh_basis",
]

PRESETS = ("front", "right", "back", "left", "direct", "diffuse")
"""Names of the lights; right and left as somebody sees them who faces the head."""

_DIRECTIONS = {
    "front": (0.0, 0.35, 1.0),
    "right": (1.0, 0.25, 0.25),
    "back": (0.0, 0.45, -1.0),
    "left": (-1.0, 0.25, 0.25),
    "direct": (0.35, 0.6, 1.0),
}
"""Towards the light, world frame, any length."""

_FILL = {"front": 0.45, "right": 0.25, "back": 0.25, "left": 0.25, "direct": 0.12}
"""Radiance of the uniform light that accompanies each direction."""


def directional_light(
    direction: tuple[float, float, float] | np.ndarray,
    *,
    intensity: float = 1.0,
    fill: float = 0.25,
    colour: tuple[float, float, float] | np.ndarray = (1.0, 1.0, 1.0),
) -> np.ndarray:
    """A distant light plus a uniform one, float32 ``[9, 3]``.

    Args:
        direction: towards the light, world frame, any length but 0.
        intensity: shading of a surface that faces the light, without the fill.
        fill: radiance of the uniform light.
        colour: linear RGB of the distant light.

    Raises:
        OptionError: the direction has no length.
    """
    direction = np.asarray(direction, np.float64)
    length = np.linalg.norm(direction)
    if not np.isfinite(length) or length < 1e-9:
        raise OptionError(f"The light direction {direction.tolist()} has no length. Use (x, y, z).")
    lobe = sh_basis(direction / length)  # [9]
    peak = (lobe * lobe) @ np.asarray(COSINE_LOBE)
    coefficients = np.outer(lobe * (intensity / peak), colour)
    coefficients[0] += fill * 2 * np.sqrt(np.pi)
    return coefficients.astype(np.float32)


def preset_light(name: str) -> np.ndarray:
    """The light with this name of ``PRESETS``, float32 ``[9, 3]``.

    Raises:
        OptionError: there is no such name.
    """
    if name == "diffuse":
        coefficients = np.zeros((9, 3), np.float32)
        coefficients[0] = 2 * np.sqrt(np.pi)
        return coefficients
    if name not in _DIRECTIONS:
        raise OptionError(f"Light '{name}' is unknown. Use one of: {', '.join(PRESETS)}.")
    fill = _FILL[name]
    return directional_light(_DIRECTIONS[name], intensity=1.05 - fill, fill=fill)


def random_light(generator: np.random.Generator) -> np.ndarray:
    """A plausible light of random direction, colour and contrast, float32 ``[9, 3]``.

    One main light from the front half-space, one weak coloured light from anywhere, and a uniform
    fill; a surface that faces the main light is shaded to 0.75 ... 1.15.
    """
    main = generator.normal(size=3)
    main[2] = abs(main[2]) + 0.5
    main[1] = abs(main[1]) * 0.8 + 0.1
    fill = generator.uniform(0.25, 0.6)
    light = directional_light(
        main,
        intensity=generator.uniform(0.75, 1.15) - fill,
        fill=fill,
        colour=np.exp(generator.normal(0, 0.05, 3)),
    )
    second = generator.normal(size=3)
    return light + directional_light(
        second,
        intensity=generator.uniform(0.0, 0.2),
        fill=0.0,
        colour=np.exp(generator.normal(0, 0.15, 3)),
    )
