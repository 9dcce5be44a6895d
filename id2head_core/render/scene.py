"""All parts of a head in one set of arrays, ready to be drawn from any camera."""

from dataclasses import dataclass

import numpy as np

from ..errors import GeometryError
from ..structures import HeadAppearance, HeadGeometry, HeadPart, Material
from .hair_light import strand_directions
from .rasterizer import AlphaTest
from .surface_buffer import TextureAtlas

GLOSS = {"skin": 0.55, "eyes": 1.3, "teeth": 1.0, "tongue": 0.8}
"""Strength of the highlight by part; 0 for others. Eyes get more: their light is a small window."""

HAIR = ("hair", "strands")
"""Parts that light glances off along their strands."""

SHELTER = {"tongue": 0.55}
"""Share of the light that gets into the mouth, by part; 1 for others."""

ROUGHNESS_LIMIT = {"eyes": (0.16, 0.22)}
"""Range of a part's roughness in these pictures; a sharper catchlight would fall between pixels."""


@dataclass(frozen=True)
class Scene:
    """What of a head does not depend on camera, expression and light."""

    faces: np.ndarray  # [F, 3]
    uv: np.ndarray  # [V, 2]
    face_part: np.ndarray  # [F]
    atlas: TextureAtlas
    alpha_test: AlphaTest | None
    turn_back_faces: np.ndarray  # [P]
    gloss: np.ndarray  # [P]
    shelter: np.ndarray  # [P]
    glossy: np.ndarray  # [P], eyes
    strands: np.ndarray | None  # [V, 3], unit or 0


def build_scene(geometry: HeadGeometry, appearance: HeadAppearance) -> Scene:
    """Concatenate the parts that have a material."""
    parts = [p for p in geometry.parts if p.name in appearance.materials]
    if not any(len(p.faces) for p in parts):
        raise GeometryError("The head has no faces to draw. Rebuild its geometry.")
    materials = [appearance.materials[p.name] for p in parts]
    offsets = np.cumsum([0] + [len(p.vertices) for p in parts])
    faces = np.concatenate([p.faces + o for p, o in zip(parts, offsets, strict=False)])
    face_part = np.repeat(np.arange(len(parts)), [len(p.faces) for p in parts])
    uv = np.concatenate([p.uv for p in parts])
    return Scene(
        faces.astype(np.int32),
        uv.astype(np.float32),
        face_part.astype(np.int32),
        _atlas(parts, materials),
        _alpha_test(uv, face_part, materials),
        np.array([p.name not in HAIR for p in parts]),
        np.array([GLOSS.get(p.name, 0.0) for p in parts], np.float32),
        np.array([SHELTER.get(p.name, 1.0) for p in parts], np.float32),
        np.array([p.name == "eyes" for p in parts]),
        _strands(parts),
    )


def _strands(parts: list[HeadPart]) -> np.ndarray | None:
    """Unit vectors along the neutral's hair, 0 on other parts, ``[V, 3]``; None without hair."""
    if not any(p.name in HAIR for p in parts):
        return None
    directions = [
        strand_directions(p.vertices, p.faces, p.uv) if p.name in HAIR
        else np.zeros_like(p.vertices)
        for p in parts
    ]  # fmt: skip
    return np.concatenate(directions)


def _atlas(parts: list[HeadPart], materials: list[Material]) -> TextureAtlas:
    """Albedo and roughness of all parts in one array."""
    layout = np.zeros((len(parts), 3), np.int64)
    blocks, first = [], 0
    for row, part, material in zip(layout, parts, materials, strict=True):
        height, width = material.albedo.shape[:2]
        row[:] = first, height, width
        block = np.empty((height, width, 4), np.float32)
        block[..., :3] = material.albedo
        block[..., 3] = np.clip(material.roughness, *ROUGHNESS_LIMIT.get(part.name, (0.3, 1.0)))
        blocks.append(block.reshape(-1, 4))
        first += height * width
    return TextureAtlas(np.concatenate(blocks), layout)


def _alpha_test(uv: np.ndarray, face_part: np.ndarray, materials: list[Material]):
    """Alpha test of the parts with a cut-out, or None."""
    cut = [i for i, m in enumerate(materials) if m.alpha is not None]
    if not cut:
        return None
    layer = np.full(len(materials), -1, np.int32)
    layer[cut] = np.arange(len(cut))
    return AlphaTest(uv, tuple(materials[i].alpha for i in cut), layer[face_part], dither=True)
