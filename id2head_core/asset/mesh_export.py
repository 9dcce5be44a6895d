"""The neutral for programs without morph targets: ``.obj`` with textures, ``.ply`` with colours."""

import io
from pathlib import Path

import numpy as np
import trimesh
from PIL import Image
from scipy.ndimage import map_coordinates

from ..errors import GeometryError, OptionError
from ..render.normals import vertex_normals
from ..structures import HeadAsset, HeadPart, Material
from .gltf import NOTE
from .morph_targets import check_part
from .texture_files import base_colour_image, encode, srgb_bytes


def write_mesh(asset: HeadAsset, path: Path) -> Path:
    """Write the neutral to ``path`` in the format of its suffix and return it.

    ``.obj``: one object per part, with normals, UV, ``<name>.mtl`` and one picture per part
    beside it. ``.ply``: one mesh with sRGB vertex colours.

    Raises:
        OptionError: another suffix.
        GeometryError: a part is empty, not finite, inconsistent, or has no material.
    """
    path = Path(path)
    writers = {".obj": _write_obj, ".ply": _write_ply}
    if path.suffix.lower() not in writers:
        raise OptionError(f"'{path.name}' has the suffix '{path.suffix}'. Use .obj or .ply.")
    for part in asset.geometry.parts:
        check_part(part)
        if part.name not in asset.appearance.materials:
            raise GeometryError(f"Part '{part.name}' has no material. Add one to the appearance.")
    writers[path.suffix.lower()](asset, path)
    return path


def _write_obj(asset: HeadAsset, path: Path) -> None:
    meshes, pictures, cut_outs = [], {}, []
    for part in asset.geometry.parts:
        material = asset.appearance.materials[part.name]
        data, _ = encode(base_colour_image(material))
        image = Image.open(io.BytesIO(data))
        name = f"{path.stem}_{part.name}"
        picture = f"{name}.{image.format.lower()}"
        pictures[picture] = data
        if material.alpha is not None:
            cut_outs.append(picture)
        mesh = _mesh(part)
        mesh.metadata["name"] = part.name
        mesh.visual = trimesh.visual.TextureVisuals(
            uv=part.uv * (1, -1) + (0, 1),  # OBJ counts v from the bottom
            material=trimesh.visual.material.SimpleMaterial(
                image=image,
                name=name,
                ambient=(255, 255, 255),
                diffuse=(255, 255, 255),
                specular=(0, 0, 0),
            ),
        )
        meshes.append(mesh)
    mtl_name = f"{path.stem}.mtl"
    text, files = trimesh.exchange.obj.export_obj(
        _SceneAsIs(meshes),
        include_normals=True,
        return_texture=True,
        mtl_name=mtl_name,
        header=NOTE,
    )
    mtl = files[mtl_name].decode()
    for picture in cut_outs:
        mtl = mtl.replace(f"map_Kd {picture}", f"map_Kd {picture}\nmap_d {picture}")
    files |= pictures | {mtl_name: mtl.encode()}  # our own JPEG, not a second compression
    for name, data in files.items():
        (path.parent / name).write_bytes(data)
    path.write_text(text)


def _write_ply(asset: HeadAsset, path: Path) -> None:
    meshes = []
    for part in asset.geometry.parts:
        mesh = _mesh(part)
        colours = srgb_bytes(_sample(asset.appearance.materials[part.name], part.uv))  # [V, 3]
        mesh.visual = trimesh.visual.ColorVisuals(vertex_colors=colours)
        meshes.append(mesh)
    whole = trimesh.util.concatenate(meshes)
    path.write_bytes(trimesh.exchange.ply.export_ply(whole, vertex_normal=True))


class _SceneAsIs(trimesh.Scene):
    """A scene that hands out its meshes themselves: trimesh's copies forget our normals."""

    def dump(self) -> list[trimesh.Trimesh]:
        return list(self.geometry.values())


def _mesh(part: HeadPart) -> trimesh.Trimesh:
    """The neutral with normals that are smooth across seams; vertices keep their order."""
    return trimesh.Trimesh(
        vertices=part.vertices,
        faces=part.faces,
        vertex_normals=vertex_normals(part.vertices, part.faces, part.weld),
        process=False,
    )


def _sample(material: Material, uv: np.ndarray) -> np.ndarray:
    """Linear albedo ``[V, 3]`` at ``uv [V, 2]``, bilinear, texel centres at (i + 0.5) / size."""
    height, width = material.albedo.shape[:2]
    coordinates = [uv[:, 1] * height - 0.5, uv[:, 0] * width - 0.5]
    channels = [
        map_coordinates(material.albedo[..., channel], coordinates, order=1, mode="nearest")
        for channel in range(3)
    ]
    return np.stack(channels, axis=1)
