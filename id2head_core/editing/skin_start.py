"""What a wish does to the skin and the eyes at once."""

from dataclasses import replace

import cv2
import numpy as np

from ..appearance.albedo import AppearanceBuilder
from ..appearance.completion import paint_scalp
from ..appearance.face_regions import FaceRegions
from ..colour import luma, to_srgb
from ..ramp import smoothstep
from ..structures import HairFit, Material
from ..template.hair import HairTemplate, scalp_coverage
from ..template.head_template import HeadTemplate
from .head_state import HeadState
from .wish_list import Wish

YEARS = {"older": 68.0, "younger": 24.0, "child": 18.0, "baby": 18.0}
"""Age of the stock skin that a wish looks at."""

RELIEF = 1.5
"""Exponent on the relief of the stock skins: theirs is soft."""

RATIO = (0.55, 1.6)
"""Bounds of the ratio of two stock skins."""

SMOOTH = {"baby": 0.85, "child": 0.6, "younger": 0.45}
"""Share by which the relief of the skin is smoothed."""

NAPE = (-0.10, -0.07)
"""Heights between which hair stops to lie on the skin, metres."""

TONE = {"dark": 0.6, "pale": 1.45}
"""Factor on the skin's albedo."""

STUBBLE, BEARD = 0.35, 0.92
"""How far a beard covers the skin."""

BEARDLESS = (Wish("gender", "woman"), Wish("age", "baby"), Wish("age", "child"))
"""Wishes for heads without a beard."""

SHAVED = 0.8
"""Share of plain skin where a beard or its shadow was, on heads that have none any more."""

LIPS = {"woman": (1.0, 0.8, 0.86), "man": (0.95, 1.08, 1.05)}
"""Factors on the lips' red, green and blue."""

FRECKLES, FRECKLE_SIZE = 380, (0.007, 0.017)
"""Number of freckles, and their radii in inter-ocular units."""


def changed_skin(
    builder: AppearanceBuilder, state: HeadState, wishes: tuple[Wish, ...], strength: float
) -> np.ndarray:
    """Skin albedo ``[S, S, 3]``, linear, with every wish but those about hair."""
    skin = state.appearance.materials["skin"].albedo
    for wish in wishes:
        if wish.kind in ("age", "gender"):
            skin = _stock_ratio(builder, state, skin, wish, strength)
        if wish in BEARDLESS:
            skin = shaved(builder, state, skin)
        if wish.kind == "gender":
            tint = np.float32(LIPS[wish.value]) ** strength
            skin = skin * (1 + (tint - 1) * np.clip(builder.regions.lips, 0, 1)[..., None])
        if wish.kind == "age" and wish.value in SMOOTH:
            skin = _smoothed(builder.regions, skin, SMOOTH[wish.value] * strength)
        elif wish.kind == "beard":
            skin = bearded(builder.regions, skin, wish.value, beard_colour(state), strength)
        elif wish.kind == "freckles":
            skin = freckled(builder.regions, skin, strength)
        elif wish.kind == "skin":
            skin = np.clip(skin * TONE[wish.value] ** strength, 0, 0.95)
    return skin.astype(np.float32)


def repainted_scalp(
    builder: AppearanceBuilder,
    hair_template: HairTemplate,
    state: HeadState,
    skin: np.ndarray,
    hair: HairFit,
) -> np.ndarray:
    """The skin below the hair for other hair: the old hair's paint goes, the new one's comes."""
    neutral, regions = state.fit.neutral, builder.regions
    if state.hair is not None and (state.hair.thickness > 0).any():
        covered = scalp_coverage(hair_template, state.hair, neutral)
        share = np.clip(1.6 * builder.atlas.image(covered), 0, 1)
        soft = cv2.GaussianBlur(share, (0, 0), 0.008 * len(share))
        share = np.maximum(share, soft)[..., None]  # a blur alone would open the texture's seams
        skin = skin * (1 - share) + bare_skin(builder, state, skin) * share
    if (hair.thickness > 0).any():
        covered = scalp_coverage(hair_template, hair, neutral)
        covered = covered * smoothstep(*NAPE, neutral[:, 1])  # long hair hangs free of the neck
        covered = covered * (1 - builder.template.regions["ears"])
        skin = paint_scalp(skin, covered, hair.colour, regions)
    return skin.astype(np.float32)


def bare_skin(builder: AppearanceBuilder, state: HeadState, skin: np.ndarray) -> np.ndarray:
    """Plain skin in the person's tone, ``[S, S, 3]``."""
    template: HeadTemplate = builder.template
    stock = template.stock_skin(state.age, state.gender, state.darkness)
    stock = cv2.resize(stock, skin.shape[1::-1], interpolation=cv2.INTER_AREA)
    cheeks = builder.regions.skin_reference
    tone = np.median(skin[cheeks], axis=0) / np.maximum(np.median(stock[cheeks], axis=0), 1e-3)
    return np.clip(stock * tone, 0, 1).astype(np.float32)


def changed_eyes(builder: AppearanceBuilder, state: HeadState, colour: str) -> Material:
    """Eyes of another colour; the own white stays as bright as it was."""
    own, stock = state.appearance.materials["eyes"], builder.eyes.plain(state.fit.neutral, colour)
    albedo = cv2.resize(stock, own.albedo.shape[1::-1], interpolation=cv2.INTER_AREA)
    bright = np.quantile(luma(own.albedo), 0.9) / max(float(np.quantile(luma(albedo), 0.9)), 1e-3)
    return replace(own, albedo=np.clip(albedo * np.clip(bright, 0.6, 1.3), 0, 1).astype(np.float32))


def bearded(
    regions: FaceRegions, skin: np.ndarray, beard: str, colour: np.ndarray, strength: float = 1.0
) -> np.ndarray:
    """Skin with a painted beard, stubble or moustache.

    Args:
        regions: of the same atlas.
        skin: linear albedo ``[S, S, 3]``.
        beard: key of ``prompts.BEARDS``.
        colour: linear RGB ``[3]``.
        strength: of the cover.
    """
    area = beard_area(regions, beard)
    generator = np.random.default_rng(5)
    fine = generator.standard_normal(area.shape).astype(np.float32)
    hairs = cv2.GaussianBlur(fine, (0, 0), sigmaX=0.7, sigmaY=2.2 if beard != "stubble" else 0.8)
    hairs = hairs / (hairs.std() + 1e-6)
    cover = strength * (STUBBLE if beard == "stubble" else BEARD)
    rim = np.clip(area + 0.35 * (hairs * area * (1 - area) * 4), 0, 1)  # single hairs at the edge
    cover = np.clip(rim * cover * (1 + 0.15 * hairs), 0, 1)[..., None]
    strands = np.clip(colour * (1 + 0.3 * hairs[..., None]), 0.003, 0.6)
    return (skin * (1 - cover) + strands * cover).astype(np.float32)


def beard_area(regions: FaceRegions, beard: str = "beard") -> np.ndarray:
    """Where a beard, stubble or a moustache grows, ``[S, S]`` in [0, 1]."""
    x, y = np.abs(regions.x), regions.y
    nose, mouth, chin = regions.nose_tip[1], regions.mouth[1], regions.chin[1]
    nostrils = 1 - smoothstep(nose - 0.25, nose - 0.1, y - np.clip(x - 0.3, 0, 0.5))
    top = mouth + 0.2 + 0.9 * np.clip(x - 0.45, 0, 1) ** 1.2  # falls below the cheek
    area = (1 - smoothstep(top - 0.12, top + 0.3, y)) * smoothstep(chin - 0.55, chin - 0.25, y)
    back = 0.35 * smoothstep(chin + 0.15, mouth + 0.3, y)  # up to the ear, not along the throat
    area = area * smoothstep(-0.9, -0.45, regions.z + 0.2 + back) * nostrils
    below = 1 - smoothstep(chin - 0.1, chin + 0.15, y)  # the throat lies behind the chin
    area = area * (1 - below * (1 - smoothstep(-0.55, -0.25, regions.z - regions.chin[2])))
    if beard == "moustache":
        area = area * (1 - smoothstep(0.4, 0.55, x)) * smoothstep(mouth - 0.02, mouth + 0.05, y)
    return area * (1 - smoothstep(0.2, 0.7, regions.lips)) * (1 - regions.ears)


def shaved(builder: AppearanceBuilder, state: HeadState, skin: np.ndarray) -> np.ndarray:
    """Skin without beard, stubble or their shadow."""
    share = SHAVED * beard_area(builder.regions)[..., None]
    return skin * (1 - share) + bare_skin(builder, replace(state, gender=1.0), skin) * share


def beard_colour(state: HeadState) -> np.ndarray:
    """A little darker than the hair; brown on a head without."""
    if state.hair is None or not (state.hair.thickness > 0).any():
        return np.float32([0.05, 0.032, 0.022])
    return np.clip(0.75 * np.asarray(state.hair.colour, np.float32), 0.006, 0.35)


def freckled(regions: FaceRegions, skin: np.ndarray, strength: float) -> np.ndarray:
    """Skin with freckles on nose and cheeks."""
    generator = np.random.default_rng(3)
    x, y, z = regions.x, regions.y, regions.z
    middle = regions.nose_tip[1] + 0.12
    chance = np.exp(-(((np.abs(x) - 0.35) / 0.45) ** 2) - ((y - middle) / 0.32) ** 2) * (z > -0.6)
    chance *= (regions.eye_distance() > 0.3) * np.clip(1 - regions.lips, 0, 1)
    flat = chance.ravel() / max(float(chance.sum()), 1e-6)
    chosen = generator.choice(flat.size, FRECKLES, p=flat)
    side = len(skin)
    texel = _texel_size(regions)
    spots = np.zeros((side, side), np.float32)
    for place in chosen:
        row, column = divmod(int(place), side)
        radius = generator.uniform(*FRECKLE_SIZE) / texel
        shade = float(generator.uniform(0.35, 1.0))
        reach = int(radius) + 2
        rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
        spot = shade * (1 - smoothstep(radius * 0.55, radius * 1.2, np.hypot(rows, columns)))
        top, left = row - reach, column - reach
        if top < 0 or left < 0 or top + len(spot) > side or left + len(spot) > side:
            continue
        window = spots[top : top + len(spot), left : left + len(spot)]
        np.maximum(window, spot, out=window)
    tint = np.float32([0.72, 0.5, 0.38])
    return (skin * (1 - strength * 0.75 * spots[..., None] * (1 - tint))).astype(np.float32)


def _texel_size(regions: FaceRegions) -> float:
    """Typical size of a texel on the cheeks, inter-ocular units."""
    step = np.linalg.norm(np.diff(regions.position, axis=1), axis=2)[:, :][
        regions.skin_reference[:, 1:]
    ]
    return float(np.median(step[step > 0]))


def _stock_ratio(builder, state: HeadState, skin: np.ndarray, wish: Wish, strength: float):
    """What the stock skins say of another age or gender, as a factor."""
    stock = builder.template.stock_skin
    age, gender = min(state.age, 60.0), state.gender
    if wish.kind == "age":
        other = stock(YEARS[wish.value], gender, state.darkness)
    else:
        other = stock(age, float(wish.value == "woman"), state.darkness)
    ratio = other / np.maximum(stock(age, gender, state.darkness), 1e-3)
    grey = luma(ratio)[..., None]  # relief only: hues differ by who was photographed
    grey = cv2.resize(np.clip(grey, *RATIO), skin.shape[1::-1])[..., None]
    keep = builder.regions.eye_distance()[..., None]  # lids of others do not fit
    share = RELIEF * strength * smoothstep(0.18, 0.34, keep)
    return skin * grey**share


def _smoothed(regions: FaceRegions, skin: np.ndarray, share: float) -> np.ndarray:
    """Younger skin: less relief, but the same eyes, brows and lips."""
    size = len(skin) / 512
    srgb = to_srgb(np.clip(skin, 0, 1)).astype(np.float32)
    soft = cv2.bilateralFilter(srgb, -1, 0.09, 6 * size)
    kept = np.clip(1 - smoothstep(0.22, 0.42, regions.eye_distance()) + regions.lips, 0, 1)
    mixed = srgb + (soft - srgb) * (share * (1 - kept))[..., None]
    return np.where(mixed <= 0.04045, mixed / 12.92, ((mixed + 0.055) / 1.055) ** 2.4)
