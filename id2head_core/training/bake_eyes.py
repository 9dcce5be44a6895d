"""Paint the eyeballs: iris, limbus, sclera. Procedural, so sharp and free of any licence."""

import cv2
import numpy as np

from ..ramp import smoothstep
from .bake_parts import EYE_DISC, EYE_ISLANDS, EYE_RINGS, EYE_UV_POWER

SIZE = 512

LIMBUS, PUPIL = 23.2, 6.8
"""Polar angles of the iris's rim and of the pupil, degrees."""

IRISES = {
    "brown": ((0.20, 0.105, 0.055), (0.34, 0.19, 0.09)),
    "dark": ((0.085, 0.048, 0.03), (0.15, 0.085, 0.05)),
    "hazel": ((0.24, 0.20, 0.11), (0.42, 0.27, 0.11)),
    "green": ((0.25, 0.29, 0.22), (0.38, 0.35, 0.22)),
    "blue": ((0.26, 0.34, 0.42), (0.43, 0.49, 0.53)),
    "grey": ((0.30, 0.35, 0.38), (0.46, 0.48, 0.48)),
}
"""sRGB colours of the iris's outer and inner part."""

SCLERA, VEIN = (0.80, 0.765, 0.735), (0.66, 0.40, 0.35)


def eye_texture(colour: str, seed: int = 3) -> np.ndarray:
    """SRGB texture ``[512, 512, 3]`` in [0, 1] of both eyes with irises of ``colour``."""
    image = np.empty((SIZE, SIZE, 3), np.float32)
    image[:] = SCLERA
    for eye, (u, v) in enumerate(EYE_ISLANDS):
        generator = np.random.default_rng((seed, eye))
        y, x = (np.mgrid[:SIZE, :SIZE] + 0.5) / SIZE
        radius = np.hypot(x - u, y - v) / EYE_DISC
        inside = radius < 1.02
        polar = EYE_RINGS[-1] * np.minimum(radius, 1) ** (1 / EYE_UV_POWER)  # degrees
        angle = np.arctan2(v - y, x - u)
        painted = _paint(polar, angle, IRISES[colour], generator)
        image[inside] = painted[inside]
    return image


def _paint(polar, angle, iris, generator) -> np.ndarray:
    """One eye as a function of polar angle (degrees) and direction (radians)."""
    outer, inner = (np.array(c) for c in iris)
    depth = np.clip((polar - PUPIL) / (LIMBUS - PUPIL), 0, 1)
    fibres = _fibres(angle, depth, generator)
    collarette = np.exp(-(((depth - 0.28 - 0.05 * np.sin(5 * angle)) / 0.17) ** 2))
    blend = np.clip(0.75 * collarette + 0.25 * (1 - depth) + 0.22 * fibres, 0, 1)[..., None]
    colour = outer * (1 - blend) + inner * blend
    colour = colour * (1 + 0.30 * fibres)[..., None]
    colour = colour * (1 - 0.62 * smoothstep(LIMBUS - 4.0, LIMBUS - 0.2, polar))[..., None]
    pupil = 1 - smoothstep(PUPIL - 0.6, PUPIL + 0.7, polar)
    colour = colour * (1 - pupil[..., None]) + 0.012 * pupil[..., None]
    white = _sclera(polar, angle, generator)
    edge = smoothstep(LIMBUS - 0.9, LIMBUS + 2.0, polar)[..., None]
    out = colour * (1 - edge) + white * edge
    # the upper lid and its lashes shade the top of the eye
    height = np.sin(np.radians(polar)) * np.sin(angle)
    shade = 1 - 0.30 * smoothstep(0.10, 0.42, height) - 0.10 * smoothstep(0.22, 0.5, -height)
    return np.clip(out * shade[..., None], 0, 1)


def _fibres(angle, depth, generator) -> np.ndarray:
    """Radial fibres of the iris, about [-1, 1]."""
    total = np.zeros_like(angle)
    for count, weight, twist in ((38, 0.55, 0.10), (73, 0.45, -0.06), (19, 0.35, 0.18)):
        phases = generator.uniform(0, 2 * np.pi, 3)
        wobble = twist * np.sin(3 * angle + phases[0]) + 0.05 * np.sin(9 * depth + phases[1])
        total += weight * np.sin(count * (angle + wobble) + phases[2] + 2.5 * depth)
    return total * np.minimum(1, 0.35 + depth)


def _sclera(polar, angle, generator) -> np.ndarray:
    """White of the eye with faint veins that fade towards the iris."""
    noise = cv2.GaussianBlur(generator.normal(size=polar.shape), (0, 0), 7)
    noise /= noise.std()
    veins = np.zeros_like(polar)
    for _ in range(22):
        start, bend, phase = generator.uniform(-np.pi, np.pi), *generator.uniform(0, 6, 2)
        track = start + 0.09 * np.sin(polar / (4 + bend) + phase) + 0.03 * noise
        gap = np.abs(np.angle(np.exp(1j * (angle - track)))) * np.maximum(polar, 10)
        veins = np.maximum(veins, np.exp(-((gap / 0.55) ** 2)) * smoothstep(34, 62, polar))
    pink = 0.42 * smoothstep(36, 80, polar)
    share = np.clip(pink + 0.28 * veins, 0, 1)[..., None]
    white = np.array(SCLERA) * (1 - share) + np.array(VEIN) * share
    return white * (1 - 0.16 * smoothstep(34, 62, polar))[..., None]
