"""Materials of a head of which there is no photo: where the pure mode starts."""

import cv2
import numpy as np

from ..structures import HeadAppearance, HeadGeometry, Material
from ..template.head_template import HeadTemplate

HAIR_BROWN = (0.085, 0.052, 0.032)
"""Linear albedo of the hair."""

HAIR_ROUGHNESS, SKIN_ROUGHNESS = 0.55, 0.58


def plain_appearance(
    template: HeadTemplate,
    geometry: HeadGeometry,
    age: float,
    gender: float,
    size: int,
    hair: tuple[float, float, float] = HAIR_BROWN,
    darkness: float = 0.36,
) -> HeadAppearance:
    """Stock skin and eyes, plain hair.

    Args:
        template: the head template.
        geometry: decides which parts get a material.
        age: years.
        gender: probability of "female" in [0, 1].
        size: side of the skin's texture.
        hair: linear albedo of the hair.
        darkness: of the skin, see ``StockLook.skin``.
    """
    skin = cv2.resize(
        template.stock_skin(age, gender, darkness), (size, size), interpolation=cv2.INTER_AREA
    )
    bound = [part.name for part in geometry.parts if part.name not in ("skin", "hair")]
    materials = {"skin": Material(skin, roughness=SKIN_ROUGHNESS)}
    materials.update(template.stock_materials(bound))
    if geometry.part("hair") is not None:
        materials["hair"] = Material(strand_texture(colour=hair), roughness=HAIR_ROUGHNESS)
    return HeadAppearance(materials)


def strand_texture(size: int = 512, colour: tuple[float, float, float] = HAIR_BROWN) -> np.ndarray:
    """Strands along v, periodic in u, linear RGB ``[size, size, 3]`` around ``colour``."""
    generator = np.random.default_rng(11)
    total = np.zeros((size, size), np.float32)
    for width, length, share in ((0.8, 0.05 * size, 0.8), (3.0, 0.1 * size, 0.6)):
        noise = generator.standard_normal((size, 2 * size)).astype(np.float32)
        noise[:, size:] = noise[:, :size]
        noise = cv2.GaussianBlur(noise, (0, 0), sigmaX=width, sigmaY=length)
        noise = np.roll(noise[:, size // 2 : size // 2 + size], size // 2, axis=1)
        total += share * noise / noise.std()
    strands = np.exp(0.22 * (total - total.mean()))[..., None]
    return np.clip(np.float32(colour) * strands, 0, 1).astype(np.float32)
