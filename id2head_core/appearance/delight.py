"""Take the light of the photo out of the skin: shading, side shadows, highlights."""

import cv2
import numpy as np

from ..colour import luma, to_linear, to_srgb
from ..ramp import smoothstep
from ..render.shading import sh_basis
from .face_regions import FaceRegions
from .photo_projection import PhotoTexture
from .uv_atlas import gaussian

SHADING_EXPONENT = 0.6
"""Share of the estimated shading (in log space) that is divided out; 1 also removes real tone."""

SYMMETRY = 0.85
"""Share of the coarse left-right difference in brightness that counts as light."""

HIGHLIGHT_SHARE = 0.45
"""Share of the estimated specular reflection that is subtracted; all of it also takes real tone
(SFace at the front, without refinement: 0.718 at 0, 0.693 at 0.75)."""

HUE_SHARE = 0.8
"""How far the hue of grazing skin moves to that of the cheeks."""

GRAZING = (0.5, 0.95)
"""Cosines between normal and view at which skin is grazing, and not at all."""

LEVEL_SHARE, LEVEL_LIMITS = 0.6, (-0.3, 0.5)
"""How far the coarse brightness of grazing skin moves to that of the cheeks, and limits (log)."""

TARGET_LUMINANCE, EXPOSURE_SHARE = 0.32, 0.2
"""Linear luminance that a darker photo's skin is pulled towards, and how far (in log space)."""

SKIN_A, SKIN_B = (5.0, 19.0), (8.0, 25.0)
"""CIELAB a* and b* within which measured human skin lies, from pale to dark, generously."""

TINT_SHARE = 0.4
"""Share of what lies outside that is kept: the rest is the light and the camera."""


def remove_light(photo: PhotoTexture, regions: FaceRegions) -> np.ndarray:
    """Estimate the albedo of the seen skin.

    Args:
        photo: the photo in texture space.
        regions: of the same atlas.

    Returns:
        float32 ``[S, S, 3]``, linear RGB; meaningful where ``photo.weight`` is high.
    """
    albedo = _remove_highlights(photo.colour, photo.weight, regions)
    albedo = albedo / _shading(photo, regions)[..., None] ** SHADING_EXPONENT
    albedo = _balance_sides(albedo, photo.weight, regions)
    albedo = _soften_peaks(albedo, photo.weight, regions)
    albedo = _steady_sides(albedo, photo, regions)
    return np.clip(albedo * _exposure(albedo, photo, regions), 0.0, 1.0).astype(np.float32)


def _steady_sides(albedo: np.ndarray, photo: PhotoTexture, regions: FaceRegions) -> np.ndarray:
    """Give skin seen at a grazing angle the hue and, coarsely, the brightness of the cheeks.

    There the surface mirrors its surroundings (Fresnel) and turns away from the light, which shows
    as grey, coloured or dark bands at temples and jaw. A beard is darker than cheeks in any light.
    """
    size = regions.atlas.size
    reference = np.median(albedo[reference_texels(photo.weight, regions)], axis=0)
    skin = np.clip(photo.probabilities[..., 1] + photo.probabilities[..., 14], 0, 1)
    beside = skin * smoothstep(0.3, 0.5, np.abs(regions.x))
    grazing = gaussian((1 - smoothstep(*GRAZING, photo.facing)) * beside, 0.004 * size)
    tinted = (luma(albedo) / luma(reference))[..., None] * reference
    albedo = albedo + (tinted - albedo) * (HUE_SHARE * grazing)[..., None]
    seen = skin * photo.weight + 1e-4
    coarse = gaussian(luma(albedo) * seen, 0.03 * size) / gaussian(seen, 0.03 * size)
    darker = np.clip(np.log(luma(reference) / np.maximum(coarse, 1e-3)), *LEVEL_LIMITS)
    share = LEVEL_SHARE * grazing * (1 - regions.beard) * smoothstep(0.1, 0.5, photo.weight)
    return albedo * np.exp(gaussian(share, 0.01 * size) * darker)[..., None]


def _exposure(albedo: np.ndarray, photo: PhotoTexture, regions: FaceRegions) -> np.ndarray:
    """Gain per channel ``[3]``: a usual brightness, and the hue that the photo showed.

    Without its highlights skin is more saturated than people see it; the hue of the whole reference
    is kept instead.
    """
    reference = reference_texels(photo.weight, regions)
    seen = plausible_tint(np.median(photo.colour[reference], axis=0))
    matte = np.median(albedo[reference], axis=0)
    level = float(luma(matte))
    gain = np.clip(TARGET_LUMINANCE / max(level, 1e-3), 1.0, 3.0) ** EXPOSURE_SHARE
    return gain * (seen / luma(seen)) / np.maximum(matte / level, 1e-3)


def plausible_tint(colour: np.ndarray) -> np.ndarray:
    """Linear RGB ``[3]`` of skin with less of a tint that skin does not have."""
    srgb = to_srgb(colour.clip(0, 1)).astype(np.float32)
    lab = cv2.cvtColor(srgb[None, None], cv2.COLOR_RGB2LAB)
    bounds = np.array([SKIN_A, SKIN_B], np.float32)
    inside = np.clip(lab[0, 0, 1:], bounds[:, 0], bounds[:, 1])
    lab[0, 0, 1:] = inside + TINT_SHARE * (lab[0, 0, 1:] - inside)
    return to_linear(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)[0, 0].clip(0, 1))


def reference_texels(weight: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Bool ``[S, S]``: well-seen cheeks and nose, which stand for the colour of the skin."""
    for threshold in (0.7, 0.2, 0.02):
        chosen = regions.skin_reference & (weight > threshold)
        if chosen.sum() > 500:
            return chosen
    return regions.skin_reference & regions.atlas.mask


def _shading(photo: PhotoTexture, regions: FaceRegions) -> np.ndarray:
    """Relative shading ``[S, S]`` (1 on average) from a robust degree-2 SH fit to the luminance.

    Ramamoorthi & Hanrahan 2001: nine coefficients describe the light on a matte surface.
    """
    skin = regions.face * (regions.eye_distance() > 0.33) * (regions.mouth_distance() > 0.4)
    chosen = np.flatnonzero((np.maximum(skin, regions.forehead) * photo.weight) > 0.5)
    if len(chosen) < 300:
        return np.ones_like(photo.weight)
    chosen = chosen[:: max(1, len(chosen) // 8000)]
    basis = sh_basis(photo.normal.reshape(-1, 3)[chosen])  # [n, 9]
    luminance = luma(photo.colour).reshape(-1)[chosen]
    luminance = luminance / np.median(luminance)
    ridge = np.diag([0, 0.02, 0.02, 0.02] + [0.15] * 5) * len(chosen)
    weights = np.ones(len(chosen))
    for _ in range(6):  # iteratively reweighted least squares, Cauchy weights
        weighted = basis * weights[:, None]
        light = np.linalg.solve(weighted.T @ basis + ridge, weighted.T @ luminance)
        error = luminance - basis @ light
        spread = np.median(np.abs(error)) * 1.48 + 1e-4
        weights = 1 / (1 + (error / (2 * spread)) ** 2)
    shading = sh_basis(photo.normal.reshape(-1, 3)) @ light
    shading = shading / np.median(shading[chosen])
    return np.clip(shading, 0.35, 1.9).reshape(photo.weight.shape).astype(np.float32)


def _balance_sides(albedo: np.ndarray, weight: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Remove coarse left-right differences: side light and cast shadows, not identity."""
    atlas = regions.atlas
    sigma = 0.035 * atlas.size
    skin = weight * (regions.eye_distance() > 0.3)
    total = gaussian(skin, sigma)
    log = np.log(np.clip(albedo, 0.004, 1))
    coarse = gaussian(log * skin[..., None], sigma)
    coarse = coarse / np.maximum(total, 1e-3)[..., None]
    trust = smoothstep(0.15, 0.5, np.minimum(total, atlas.mirrored(total)))
    difference = np.clip(coarse - atlas.mirrored(coarse), -1.2, 1.2)
    correction = gaussian(difference * trust[..., None], sigma * 0.5)
    return albedo * np.exp(-0.5 * SYMMETRY * correction)


def _remove_highlights(colour: np.ndarray, weight: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Subtract specular reflection from linear RGB ``[S, S, 3]``.

    Dichromatic reflection (Shafer 1985): what is paler than the skin's own colour is skin plus
    white light. With the blue-to-red ratio ``k`` of matte skin, the white part is
    ``(blue - k red) / (1 - k)``.
    """
    atlas = regions.atlas
    luminance = luma(colour)
    chosen = reference_texels(weight, regions)
    level = float(np.median(luminance[chosen]))
    matte = chosen & (luminance < level)
    ratio = float(np.median(colour[matte, 2] / np.maximum(colour[matte, 0], 1e-3)))
    ratio = min(ratio, 0.85)
    white = (colour[..., 2] - ratio * colour[..., 0]) / (1 - ratio)
    white = gaussian(np.clip(white, 0, 0.8 * colour.min(-1)), 0.0015 * atlas.size)
    skin = weight * smoothstep(0.28, 0.34, regions.eye_distance())
    skin = skin * (1 - np.clip(regions.lips, 0, 1)) * (1 - 0.7 * regions.beard)
    skin = skin * smoothstep(0.5, 0.85, luminance / level)
    matte_skin = np.clip(colour - HIGHLIGHT_SHARE * (skin * white)[..., None], 0, 1)
    return _fill_glare(matte_skin, white / np.maximum(luminance, 1e-3), skin, regions)


def _fill_glare(colour, glare, skin, regions: FaceRegions) -> np.ndarray:
    """Replace skin that is mostly reflection (share ``glare [S, S]``) by the matte skin around."""
    sigma = 0.03 * regions.atlas.size
    trust = skin * (1 - smoothstep(0.1, 0.35, glare)) + 1e-4
    around = gaussian(colour * trust[..., None], sigma) / gaussian(trust, sigma)[..., None]
    share = gaussian(smoothstep(0.25, 0.5, glare) * skin, 0.004 * regions.atlas.size)
    return colour + (around - colour) * share[..., None]


def _soften_peaks(albedo: np.ndarray, weight: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Compress small patches that are brighter than the skin around them."""
    sigma = 0.05 * regions.atlas.size
    skin = weight * smoothstep(0.28, 0.34, regions.eye_distance())
    skin = skin * (1 - np.clip(regions.lips, 0, 1))
    luminance = luma(albedo)
    total = np.maximum(gaussian(skin, sigma), 1e-3)
    ratio = luminance / np.maximum(gaussian(luminance * skin, sigma) / total, 1e-3)
    excess = np.maximum(ratio - 1.15, 0)
    factor = np.where(excess > 0, (1.15 + 0.35 * excess) / np.maximum(ratio, 1e-3), 1)
    return albedo * (1 - skin + skin * factor)[..., None]
