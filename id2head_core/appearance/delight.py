"""Take the light of the photo out of the skin: shading, side shadows, highlights."""

import cv2
import numpy as np

from .face_regions import FaceRegions, smoothstep
from .photo_projection import PhotoTexture, luma
from .spherical_harmonics import sh_basis

SHADING_EXPONENT = 0.6
"""Share of the estimated shading (in log space) that is divided out; 1 also removes real tone."""

SYMMETRY = 0.85
"""Share of the coarse left-right difference in brightness that counts as light."""

TARGET_LUMINANCE, EXPOSURE_SHARE = 0.32, 0.35
"""Linear luminance that the reference skin is pulled towards, and how far (in log space)."""


def remove_light(photo: PhotoTexture, regions: FaceRegions) -> np.ndarray:
    """Estimate the albedo of the seen skin.

    Args:
        photo: the photo in texture space.
        regions: of the same atlas.

    Returns:
        float32 ``[S, S, 3]``, linear RGB; meaningful where ``photo.weight`` is high.
    """
    albedo = photo.colour / _shading(photo, regions)[..., None] ** SHADING_EXPONENT
    albedo = _balance_sides(albedo, photo.weight, regions)
    albedo = _soften_highlights(albedo, photo.weight, regions)
    reference = reference_texels(photo.weight, regions)
    level = float(np.median(luma(albedo)[reference]))
    gain = np.clip(TARGET_LUMINANCE / max(level, 1e-3), 0.5, 3.0) ** EXPOSURE_SHARE
    return np.clip(albedo * gain, 0.0, 1.0).astype(np.float32)


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
    total = cv2.GaussianBlur(skin, (0, 0), sigma)
    log = np.log(np.clip(albedo, 0.004, 1))
    coarse = cv2.GaussianBlur(log * skin[..., None], (0, 0), sigma)
    coarse = coarse / np.maximum(total, 1e-3)[..., None]
    trust = smoothstep(0.15, 0.5, np.minimum(total, atlas.mirrored(total)))
    difference = np.clip(coarse - atlas.mirrored(coarse), -1.2, 1.2)
    correction = cv2.GaussianBlur(difference * trust[..., None], (0, 0), sigma * 0.5)
    return albedo * np.exp(-0.5 * SYMMETRY * correction)


def _soften_highlights(albedo: np.ndarray, weight: np.ndarray, regions: FaceRegions) -> np.ndarray:
    """Compress what is brighter and paler than the skin around it: specular reflection."""
    atlas = regions.atlas
    luminance = luma(albedo)
    skin = weight * (regions.eye_distance() > 0.3) * (1 - np.clip(regions.lips, 0, 1))
    sigma = 0.05 * atlas.size
    total = np.maximum(cv2.GaussianBlur(skin, (0, 0), sigma), 1e-3)
    level = cv2.GaussianBlur(luminance * skin, (0, 0), sigma) / total
    ratio = luminance / np.maximum(level, 1e-3)
    chroma = 1 - albedo.min(-1) / np.maximum(albedo.max(-1), 1e-3)
    usual = cv2.GaussianBlur(chroma * skin, (0, 0), sigma) / total
    pale = smoothstep(-0.02, 0.12, usual - chroma)
    excess = np.maximum(ratio - 1.12, 0)
    compressed = (1.12 + 0.3 * excess) / np.maximum(ratio, 1e-3)
    factor = np.where(excess > 0, 1 - (1 - compressed) * (0.35 + 0.65 * pale), 1)
    return albedo * (1 - skin + skin * factor)[..., None]
