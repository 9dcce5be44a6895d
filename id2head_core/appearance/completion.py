"""Complete the seen skin to a whole head: the other side first, then colour-matched stock skin."""

import cv2
import numpy as np

from ..colour import luma, to_srgb
from ..ramp import smoothstep
from .delight import reference_texels
from .face_regions import FaceRegions
from .photo_projection import HAIR, PhotoTexture
from .uv_atlas import UVAtlas, gaussian, pull_push

MOUTH_COLOUR = (0.13, 0.035, 0.03)
"""Linear RGB of the cavity behind the lips."""

HAIRLINE_BLUR = 9.0
"""Standard deviation of the blur of the photo's hairline on the skin, texels."""


def plausible_skin(
    albedo: np.ndarray, weight: np.ndarray, regions: FaceRegions, beard: float
) -> np.ndarray:
    """Trust by colour, ``[S, S]`` in [0, 1]: rejects hair, shadow and cloth beside the face.

    The middle of the face is exempt (brows, lips, beard and lashes belong there); elsewhere a texel
    must look like the cheeks (robust distance in CIE Lab). ``beard`` in [0, 1] tells whether the
    jaw may be covered by one.
    """
    lab = cv2.cvtColor(to_srgb(albedo).astype(np.float32), cv2.COLOR_RGB2LAB)
    reference = lab[reference_texels(weight, regions)]
    median = np.median(reference, axis=0)
    spread = np.median(np.abs(reference - median), axis=0) * 1.48 + [5.0, 2.5, 3.0]
    distance = np.sqrt((((lab - median) / spread * [0.7, 0.6, 0.6]) ** 2).sum(-1))
    alike = 1 - smoothstep(1.8, 3.0, distance)
    size = max(3, round(0.01 * regions.atlas.size)) | 1
    alike = gaussian(cv2.erode(alike.astype(np.float32), np.ones((size, size))), size * 0.6)
    x, y = np.abs(regions.x), regions.y
    middle = (1 - smoothstep(0.66, 0.8, x)) * (1 - smoothstep(0.02, 0.12, y - regions.brow_height))
    brow_ends = (1 - smoothstep(0.05, 0.14, np.abs(y - regions.brow_height + 0.08))) * (
        1 - smoothstep(0.92, 1.02, x)
    )
    exempt = np.maximum(np.maximum(middle, brow_ends), beard * regions.beard * (x < 0.95))
    exempt = np.maximum(exempt, 1 - smoothstep(0.4, 0.5, regions.eye_distance()))
    return np.maximum(alike, gaussian(exempt.astype(np.float32), size * 0.6))


def complete_skin(
    albedo: np.ndarray,
    weight: np.ndarray,
    stock: np.ndarray,
    regions: FaceRegions,
) -> np.ndarray:
    """Fill unseen skin.

    Args:
        albedo: float32 ``[S, S, 3]``, linear, of the seen skin.
        weight: float32 ``[S, S]``, trust.
        stock: float32 ``[S, S, 3]``, linear, a whole skin of similar tone.
        regions: of the same atlas.

    Returns:
        float32 ``[S, S, 3]``, linear RGB, every texel filled.
    """
    atlas = regions.atlas
    mirrored, mirrored_weight = atlas.mirrored(albedo), mirrored_trust(weight, atlas)
    sides = (albedo * weight[..., None] + mirrored * mirrored_weight[..., None]) / np.maximum(
        weight + mirrored_weight, 1e-4
    )[..., None]
    seen = np.clip(weight + mirrored_weight, 0, 1)
    filler = match_stock(sides, seen, weight, stock, regions)
    return blend_bands(sides, filler, seen, atlas.mask)


def mirrored_trust(weight: np.ndarray, atlas: UVAtlas) -> np.ndarray:
    """Trust in the mirrored other side where ``weight [S, S]`` leaves room for it."""
    return (1 - weight) * atlas.mirrored(weight) * 0.95


def match_stock(sides, seen, weight, stock, regions: FaceRegions) -> np.ndarray:
    """Stock skin times a smooth field of colour ratios taken from the seen skin, ``[S, S, 3]``."""
    atlas = regions.atlas
    ratio = np.log(np.clip(sides, 0.004, 1)) - np.log(np.clip(stock, 0.004, 1))
    plain = (regions.mouth_distance() > 0.36) & (regions.eye_distance() > 0.33)
    wide = plain & (weight > 0.7) & atlas.mask  # all bare skin: cheeks alone are redder than a neck
    chosen = wide if wide.sum() > 500 else reference_texels(weight, regions)
    base = np.median(ratio[chosen], axis=0)
    trust = (smoothstep(0.5, 1.0, seen) * plain) * atlas.mask
    difference = ratio - base
    brightness = np.clip(difference.mean(-1, keepdims=True), -0.45, 0.45)
    tint = np.clip(difference - difference.mean(-1, keepdims=True), -0.08, 0.08)
    field = pull_push((brightness + tint).astype(np.float32), trust.astype(np.float32))
    field = atlas.blurred(field, 0.03 * atlas.size)
    away = np.linalg.norm(regions.position - [0, -0.3, -0.2], axis=-1)
    fade = 1 - smoothstep(1.0, 2.6, away)
    return np.clip(stock * np.exp(base + field * fade[..., None]), 0, 1).astype(np.float32)


def blend_bands(front, back, weight, mask, levels: int = 5) -> np.ndarray:
    """Laplacian-pyramid blend (Burt & Adelson 1983) of two ``[S, S, 3]`` images.

    Args:
        front: shown where ``weight`` is 1.
        back: shown where it is 0.
        weight: float32 ``[S, S]``.
        mask: bool ``[S, S]``, texels that exist; both images are extended beyond them first.
        levels: of the pyramid.
    """
    seen = (weight > 0.02) & mask
    extended = pull_push(front.astype(np.float32), seen.astype(np.float32))
    front = np.where((weight > 0.02)[..., None], front, extended)
    exists = mask.astype(np.float32)
    front, back = pull_push(front, exists), pull_push(back.astype(np.float32), exists)
    pyramid_front, pyramid_back, weights = [front], [back], [weight.astype(np.float32)]
    for _ in range(levels):
        pyramid_front.append(cv2.pyrDown(pyramid_front[-1]))
        pyramid_back.append(cv2.pyrDown(pyramid_back[-1]))
        weights.append(cv2.pyrDown(weights[-1]))
    out = None
    for level in range(levels, -1, -1):
        a, b = pyramid_front[level], pyramid_back[level]
        if level < levels:
            size = (a.shape[1], a.shape[0])
            a = a - cv2.pyrUp(pyramid_front[level + 1], dstsize=size)
            b = b - cv2.pyrUp(pyramid_back[level + 1], dstsize=size)
            out = cv2.pyrUp(out, dstsize=size)
        band = b + (a - b) * weights[level][..., None]
        out = band if out is None else out + band
    return np.clip(out, 0, 1)


def paint_mouth(albedo: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Paint the cavity of the mouth dark red, scaled with the skin's brightness."""
    inside = smoothstep(0.25, 0.7, regions.mouth_interior)[..., None]
    level = float(np.median(luma(albedo)[regions.skin_reference]))
    colour = np.array(MOUTH_COLOUR, np.float32) * np.clip(level / 0.3, 0.5, 1.2)
    return albedo * (1 - inside) + colour * inside


def paint_scalp(
    albedo: np.ndarray,
    coverage: np.ndarray,
    colour: np.ndarray,
    regions: FaceRegions,
    photo: PhotoTexture | None = None,
) -> np.ndarray:
    """Blend the hair's colour into the skin below hair.

    Args:
        albedo: float32 ``[S, S, 3]``.
        coverage: float32 ``[N]`` per template vertex, 0..1.
        colour: float32 ``[3]``, linear RGB of the hair.
        regions: of the same atlas.
        photo: whose hairline counts where it is seen; None for none.
    """
    share = np.clip(regions.atlas.image(coverage), 0, 1)
    if photo is not None:
        hair = gaussian(photo.probabilities[..., list(HAIR)].max(-1), HAIRLINE_BLUR)
        trust = smoothstep(0.2, 0.45, photo.facing) * smoothstep(0.0, 0.1, share)
        share = share + trust * (smoothstep(0.4, 1.0, hair) - share)
    noise = np.random.default_rng(0).standard_normal(share.shape).astype(np.float32)
    strands = cv2.GaussianBlur(noise, (0, 0), sigmaX=0.8, sigmaY=5.0)
    strands = 1 + 0.25 * strands / (strands.std() + 1e-6)
    share = smoothstep(0.0, 1.0, np.clip(share * 1.15 + 0.12 * (strands - 1), 0, 1))[..., None]
    return albedo * (1 - share) + np.clip(colour * 0.8 * strands[..., None], 0, 1) * share
