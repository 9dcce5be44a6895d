"""What a wish does to the hair at once: another style of the template, another colour."""

from dataclasses import replace

import cv2
import numpy as np

from ..appearance.plain_look import HAIR_ROUGHNESS, strand_texture
from ..prompts import hair_colour, style_word
from ..structures import HairFit, Material
from ..template.hair import BALD, HairTemplate
from .head_state import HeadState
from .wish_list import Wish

TEMPLATE_STYLES = {
    "short": "short03", "bob": "bob01", "long": "long01", "afro": "afro01",
    "ponytail": "ponytail01", "braid": "braid01", "buzzcut": "short01",
}  # fmt: skip
"""Template style that each word starts from (names are compared without case)."""

BUZZ = 0.0025
"""Thickness of a buzz cut, metres."""

OWN_HAIRLINE = 0.5
"""Share of a buzz cut's area that must have had hair for the old hairline to be the new one."""

BABY_SHARE, BABY_MOST = 0.35, 0.006
"""Share of the thickness that a baby keeps, and the most of it, metres."""

OPPOSITE = {"woman": (("short", "buzzcut", "bald"), "long"),
            "man": (("long", "bob", "ponytail", "braid"), "short")}  # fmt: skip
"""Styles that give way with the gender, unless the text names one."""

LIT = 0.72
"""Share of a named colour that is albedo: the names are for hair as it looks in light."""

STRANDS = 0.7
"""Contrast of the strands that is kept when their colour changes."""


def wanted_style(
    template: HairTemplate, state: HeadState, wishes: tuple[Wish, ...], proxy: np.ndarray
) -> str | None:
    """The style that the hair must change to, or None."""
    named = [wish.value for wish in wishes if wish.kind == "style"]
    if named:
        return named[-1]
    own = current_style(template, state, proxy)
    for wish in wishes:
        if wish.kind == "gender" and wish.value in OPPOSITE:
            giving_way, style = OPPOSITE[wish.value]
            other = (state.gender > 0.5) != (wish.value == "woman")
            if other and own in giving_way:
                return style
    return None


def current_style(template: HairTemplate, state: HeadState, proxy: np.ndarray) -> str:
    """Word for the hair as it is."""
    if state.hair is None:
        return "bald"
    return style_word(state.hair.thickness, proxy, state.hair.style)


def restyled(template: HairTemplate, hair: HairFit | None, style: str) -> HairFit:
    """Hair of a named style in the present colour."""
    colour = np.float32([0.05, 0.035, 0.025]) if hair is None else hair.colour
    if style == "bald":
        return HairFit(BALD, np.full(len(template.uv), -0.01, np.float32), colour)
    lower = [name.lower() for name in template.styles]
    index = lower.index(TEMPLATE_STYLES[style])
    thickness = template.thickness[index].astype(np.float32).copy()
    if style == "buzzcut":
        thickness = _buzzed(thickness, hair)
    comb = None if hair is None else hair.comb  # of the texture, which stays
    return HairFit(template.styles[index], thickness.astype(np.float32), colour, comb)


def _buzzed(style: np.ndarray, hair: HairFit | None) -> np.ndarray:
    """Cropped hair ``[P]`` that grows where the head's own hair did."""
    grows = style > 0
    cropped = np.where(grows, np.minimum(style, BUZZ), style)
    if hair is None or (hair.thickness[grows] > 0).mean() < OWN_HAIRLINE:
        return cropped
    return np.where(hair.thickness > 0, cropped, np.minimum(cropped, hair.thickness))


def baby_hair(hair: HairFit | None) -> HairFit | None:
    """Thinner hair."""
    if hair is None:
        return None
    thin = np.minimum(np.maximum(BABY_SHARE * hair.thickness, 0.0015), BABY_MOST)
    return replace(hair, thickness=np.where(hair.thickness > 0, thin, hair.thickness))


def greyed(material: Material, share: float) -> Material:
    """Strands of which a share has turned grey."""
    target = recoloured(material, "grey").albedo
    albedo = material.albedo * (1 - share) + share * target
    return replace(material, albedo=albedo.astype(np.float32))


def recoloured(material: Material | None, colour: str) -> Material:
    """Strands in a named colour.

    Args:
        material: of the hair so far, or None for a head without.
        colour: of ``prompts.HAIR_COLOURS``.
    """
    wanted = LIT * hair_colour(colour)
    if material is None:
        return Material(strand_texture(512, tuple(wanted)), roughness=HAIR_ROUGHNESS)
    grey = np.log(np.maximum(material.albedo.mean(2), 1e-3))
    relief = grey - cv2.GaussianBlur(grey, (0, 0), 0.12 * len(grey))  # strands, not the old colour
    strands = np.exp(STRANDS * relief)[..., None]
    albedo = np.clip(wanted * strands / strands.mean(), 0, 1).astype(np.float32)
    return replace(material, albedo=albedo)
