"""A head as one binary glTF 2.0 file: one mesh, 13 named morph targets, core features only.

Frame as in ``camera.py``, which is glTF's: metres, +Y up, the head faces +Z. Every part is a
primitive of the one mesh, so that one set of weights drives skin, eyes, teeth and hair.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from pygltflib import (
    CLAMP_TO_EDGE,
    GLTF2,
    LINEAR,
    LINEAR_MIPMAP_LINEAR,
    MASK,
    OPAQUE,
    Asset,
    Attributes,
    Mesh,
    Node,
    PbrMetallicRoughness,
    Primitive,
    Sampler,
    Scene,
    Texture,
    TextureInfo,
)
from pygltflib import Material as GltfMaterial

from .. import __version__
from ..appearance.loose_strands import PART as STRANDS
from ..errors import GeometryError
from ..expressions import EXPRESSIONS
from ..structures import HeadAsset, HeadPart, Material
from .glb_buffer import GlbBuffer
from .morph_targets import morph_targets
from .texture_files import base_colour_image, encode, roughness_image

NOTE = "AI-generated likeness of a person, made from a photo. Ask that person before you share it."

ALPHA_CUTOFF = 0.5


def write_glb(asset: HeadAsset, path: Path) -> Path:
    """Write the head to ``path`` (replaced only when the new file is complete) and return it.

    Raises:
        GeometryError: a part is empty, not finite, inconsistent, or has no material.
    """
    path = Path(path)
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_bytes(glb_bytes(asset))
    os.replace(unfinished, path)
    return path


def glb_bytes(asset: HeadAsset) -> bytes:
    """The file that ``write_glb`` writes."""
    if not asset.geometry.parts:
        raise GeometryError("The head has no parts. Build its geometry before exporting it.")
    document = GLTF2(
        asset=Asset(
            generator=f"ID2Head {__version__}",
            copyright=NOTE,
            extras={"note": NOTE, "units": "metres", "facing": "+Z", **asset.metadata},
        ),
        scene=0,
        scenes=[Scene(name="scene", nodes=[0])],
        nodes=[Node(name="head", mesh=0)],
        samplers=[
            Sampler(
                magFilter=LINEAR,
                minFilter=LINEAR_MIPMAP_LINEAR,
                wrapS=CLAMP_TO_EDGE,
                wrapT=CLAMP_TO_EDGE,
            )
        ],
    )
    buffer = GlbBuffer(document)
    mesh = Mesh(
        name="head",
        weights=[0.0] * len(EXPRESSIONS),
        extras={"targetNames": list(EXPRESSIONS)},
        primitives=[_primitive(buffer, part) for part in asset.geometry.parts],
    )
    document.meshes = [mesh]
    drawn = {part.name for part in asset.geometry.parts}
    materials = {k: m for k, m in asset.appearance.materials.items() if k in drawn}
    with ThreadPoolExecutor() as pool:  # compression takes most of the time, and no lock
        pictures = dict(zip(materials, pool.map(_pictures, materials.values()), strict=True))
    for index, (primitive, part) in enumerate(
        zip(mesh.primitives, asset.geometry.parts, strict=True)
    ):
        material = materials.get(part.name)
        if material is None:
            raise GeometryError(f"Part '{part.name}' has no material. Add one to the appearance.")
        document.materials.append(
            _material(document, buffer, part.name, material, *pictures[part.name])
        )
        primitive.material = index
    buffer.close()
    return b"".join(document.save_to_bytes())


def _primitive(buffer: GlbBuffer, part: HeadPart) -> Primitive:
    """Geometry of one part with all 13 targets: glTF wants as many on parts that do not move."""
    targets = morph_targets(part)
    return Primitive(
        attributes=Attributes(
            POSITION=buffer.attribute(part.vertices),
            NORMAL=buffer.attribute(targets.normals),
            TEXCOORD_0=buffer.attribute(part.uv),
        ),
        indices=buffer.indices(_without_collapsed(part.faces), len(part.vertices)),
        targets=[
            {"POSITION": buffer.morph_delta(positions), "NORMAL": buffer.morph_delta(normals)}
            for positions, normals in zip(
                targets.position_deltas, targets.normal_deltas, strict=True
            )
        ],
    )


def _pictures(material: Material) -> tuple[tuple[bytes, str], tuple[bytes, str] | None]:
    """Files of albedo and roughness, each with its MIME type; None for one roughness everywhere."""
    rough = isinstance(material.roughness, np.ndarray)
    return (
        encode(base_colour_image(material)),
        encode(roughness_image(material.roughness)) if rough else None,
    )


def _material(
    document: GLTF2,
    buffer: GlbBuffer,
    name: str,
    material: Material,
    albedo: tuple[bytes, str],
    roughness: tuple[bytes, str] | None,
) -> GltfMaterial:
    """Metal-free PBR material; cut-outs are masked at 0.5.

    They are seen from both sides, but loose strands of the far side would float at the outline.
    """
    surface = PbrMetallicRoughness(
        metallicFactor=0.0,
        baseColorTexture=_texture(document, buffer, name, *albedo),
    )
    if roughness is not None:
        surface.metallicRoughnessTexture = _texture(
            document, buffer, f"{name}_roughness", *roughness
        )
    else:
        surface.roughnessFactor = float(material.roughness)
    cut_out = material.alpha is not None
    return GltfMaterial(
        name=name,
        pbrMetallicRoughness=surface,
        alphaMode=MASK if cut_out else OPAQUE,
        alphaCutoff=ALPHA_CUTOFF if cut_out else None,
        doubleSided=cut_out and name != STRANDS,
    )


def _texture(
    document: GLTF2, buffer: GlbBuffer, name: str, data: bytes, mime_type: str
) -> TextureInfo:
    """Add a picture's file as a texture."""
    source = buffer.image(data, mime_type, name)
    document.textures.append(Texture(name=name, sampler=0, source=source))
    return TextureInfo(index=len(document.textures) - 1)


def _without_collapsed(faces: np.ndarray) -> np.ndarray:
    """Faces ``[F, 3]`` less those that use a vertex twice (invisible, and validators complain)."""
    a, b, c = faces.T
    return faces[(a != b) & (b != c) & (c != a)]
