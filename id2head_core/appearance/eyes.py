"""Put the photo's irises and whites on the eyeballs."""

import cv2
import numpy as np
import torch

from ..colour import luma
from ..ramp import smoothstep
from ..render.cpu_rasterizer import CpuRasterizer
from ..render.normals import vertex_normals
from ..structures import HeadFit, HeadPart, Identity
from .photo_projection import EYES, GLASSES, nearest_depth, sample_parsing, sample_photo
from .uv_atlas import pull_push

IRIS_COSINE, PUPIL_COSINE = 0.93, 0.985
"""Cosines of the angles from the eyeball's axis to the rims of iris (21.6°) and pupil (10°)."""


def project_eyes(
    identity: Identity, fit: HeadFit, eyes: HeadPart, skin: HeadPart, stock: np.ndarray, gain: float
) -> np.ndarray:
    """Texture of the eyeballs.

    Args:
        identity: photo and its parsing.
        fit: of the same photo.
        eyes: the eyeballs posed as in the photo (``eyes.vertices`` on ``fit.vertices``).
        skin: the skin posed as in the photo, which hides most of the eyeballs.
        stock: float32 ``[E, E, 3]``, linear, a stock eye texture for what the lids hide.
        gain: exposure that the skin was given.

    Returns:
        float32 ``[E, E, 3]``, linear RGB.
    """
    side = stock.shape[0]
    position, normal, mask = _texels(eyes, side)
    width, height = identity.photo.size
    pixels = fit.camera.pixels(position.reshape(-1, 3), width, height).astype(np.float32)
    columns, rows, depth = (pixels[:, i].reshape(side, side) for i in range(3))
    view = fit.camera.position - position
    facing = (normal * view).sum(-1) / (np.linalg.norm(view, axis=-1) + 1e-9)
    probabilities = sample_parsing(identity.parsing, columns, rows)
    shown = probabilities[..., list(EYES)].sum(-1) + probabilities[..., list(GLASSES)].sum(-1)
    weight = (mask & (facing > 0.3)) * np.clip((shown - 0.3) / 0.4, 0, 1)
    size = (width, height)
    lids = nearest_depth(fit.camera, skin.vertices, skin.faces, columns, rows, mask, size, 512)
    weight = weight * (depth < lids + 0.0005)
    weight = cv2.GaussianBlur(cv2.erode(weight.astype(np.float32), np.ones((3, 3))), (0, 0), 1.2)
    if weight.sum() < 0.001 * side * side:
        return stock
    photo = np.clip(sample_photo(identity, columns, rows) * gain, 0, 1)
    seen = weight > 0.6
    ratio = np.log(np.clip(luma(photo[seen]), 0.01, 1)).mean()
    ratio -= np.log(np.clip(luma(stock[seen]), 0.01, 1)).mean()
    matched = stock * np.exp(np.clip(ratio, -0.9, 0.2))
    photo, matched = _clear_irises(photo, matched, weight, normal[..., 2])
    blended = matched * (1 - weight[..., None]) + photo * weight[..., None]
    return pull_push(blended.astype(np.float32), mask.astype(np.float32))


def _clear_irises(photo, stock, weight, ahead):
    """Take the mirrored light off the irises, and give the hidden part of them the seen colour.

    Args:
        photo: float32 ``[E, E, 3]``, linear.
        stock: likewise.
        weight: float32 ``[E, E]``, where the photo shows the eyeball.
        ahead: float32 ``[E, E]``, cosine between the eyeball's normal and straight ahead.

    Returns:
        Both textures, changed inside the irises.
    """
    iris = smoothstep(IRIS_COSINE - 0.015, IRIS_COSINE + 0.01, ahead)
    pupil = smoothstep(PUPIL_COSINE - 0.006, PUPIL_COSINE + 0.004, ahead)
    ring = (iris > 0.9) & (pupil < 0.1)
    shown = ring & (weight > 0.6)
    if shown.sum() < 30:
        return photo, stock
    luminance = luma(photo)
    darker = shown & (luminance <= np.median(luminance[shown]))
    colour = np.median(photo[darker], axis=0)
    level = float(luma(colour))
    mirrored = iris * smoothstep(1.3 * level, 2.2 * level, luminance)
    mirrored = cv2.GaussianBlur(mirrored.astype(np.float32), (0, 0), 1.0)[..., None]
    tint = np.clip(colour / np.maximum(np.median(stock[ring], axis=0), 1e-3), 0.3, 2.5)
    stock = stock * (1 + (tint - 1) * (iris * (1 - pupil))[..., None])
    photo = photo * (1 - 0.9 * mirrored) + stock * 0.9 * mirrored
    return photo * (1 - 0.6 * pupil[..., None]), stock


def _texels(part: HeadPart, side: int):
    """Positions ``[E, E, 3]``, unit normals ``[E, E, 3]`` and bool mask of a part's texture."""
    clip = np.c_[
        2 * part.uv[:, 0] - 1, 1 - 2 * part.uv[:, 1], np.zeros(len(part.uv)), np.ones(len(part.uv))
    ]
    rasterizer = CpuRasterizer()
    faces = torch.from_numpy(part.faces.astype(np.int64))
    clip = torch.from_numpy(clip.astype(np.float32))
    fragments = rasterizer.rasterize(clip, faces, side, side)
    normals = vertex_normals(part.vertices, part.faces, part.weld)
    values = torch.from_numpy(np.c_[part.vertices, normals].astype(np.float32))
    image = rasterizer.interpolate(values, faces, fragments).numpy()
    return image[..., :3], image[..., 3:], fragments.face_index.numpy() >= 0
