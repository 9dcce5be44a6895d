"""One pose of a finished head as a plain mesh, for programs that know no morph targets."""

import copy
from pathlib import Path

import numpy as np
from pygltflib import FLOAT, GLTF2, UNSIGNED_INT, UNSIGNED_SHORT, Accessor

from ..errors import OptionError
from ..expressions import EXPRESSIONS
from .glb_buffer import GlbBuffer

TYPES = {FLOAT: np.float32, UNSIGNED_SHORT: np.uint16, UNSIGNED_INT: np.uint32}
"""numpy type by glTF component type; the ones that ``gltf.py`` writes."""

WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}
"""Numbers per element by accessor type."""


def write_posed_glb(source: Path, weights: dict[str, float], target: Path) -> Path:
    """Apply the weights to the morph targets of a head and write it without them.

    The blend is linear, as in every program that shows the head: neutral + sum of weight times
    offset, normals too, then of unit length.

    Args:
        source: .glb of ``write_glb``.
        weights: by expression; missing ones are 0.
        target: file to write.

    Raises:
        OptionError: an unknown expression.
    """
    if unknown := set(weights) - set(EXPRESSIONS):
        raise OptionError(
            f"Expression '{sorted(unknown)[0]}' is unknown. Use {', '.join(EXPRESSIONS)}."
        )
    head = GLTF2().load_binary(str(source))
    posed = copy.deepcopy(head)
    posed.accessors, posed.bufferViews, posed.images = [], [], []
    buffer = GlbBuffer(posed)
    mesh = posed.meshes[0]
    mesh.weights, mesh.extras = [], {"expression_weights": weights}
    for primitive in mesh.primitives:
        attributes = primitive.attributes
        positions = _blended(head, attributes.POSITION, primitive.targets, "POSITION", weights)
        normals = _blended(head, attributes.NORMAL, primitive.targets, "NORMAL", weights)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True).clip(1e-12)
        faces = read_accessor(head, primitive.indices).reshape(-1, 3)
        uv = read_accessor(head, attributes.TEXCOORD_0)
        attributes.POSITION = buffer.attribute(positions)
        attributes.NORMAL = buffer.attribute(normals)
        attributes.TEXCOORD_0 = buffer.attribute(uv)
        primitive.indices = buffer.indices(faces, len(positions))
        primitive.targets = []
    for image in head.images:
        view = head.bufferViews[image.bufferView]
        data = head.binary_blob()[view.byteOffset : view.byteOffset + view.byteLength]
        buffer.image(data, image.mimeType, image.name)
    buffer.close()
    target.write_bytes(b"".join(posed.save_to_bytes()))
    return target


def read_accessor(document: GLTF2, index: int) -> np.ndarray:
    """Values of an accessor, ``[N, width]``: plain, sparse, or all zeros."""
    accessor: Accessor = document.accessors[index]
    width = WIDTHS[accessor.type]
    values = np.zeros((accessor.count, width), TYPES[accessor.componentType])
    if accessor.bufferView is not None:
        values[:] = _view(document, accessor.bufferView, values.dtype).reshape(-1, width)
    if accessor.sparse is not None:
        dtype = TYPES[accessor.sparse.indices.componentType]
        rows = _view(document, accessor.sparse.indices.bufferView, dtype)
        moved = _view(document, accessor.sparse.values.bufferView, values.dtype)
        values[rows] = moved.reshape(-1, width)
    return values


def _blended(
    document: GLTF2, base: int, targets: list, attribute: str, weights: dict[str, float]
) -> np.ndarray:
    """Attribute ``[V, 3]`` of the neutral plus the weighted offsets."""
    values = read_accessor(document, base)
    for name, target in zip(EXPRESSIONS, targets, strict=True):
        if weights.get(name):
            offsets = target[attribute] if isinstance(target, dict) else getattr(target, attribute)
            values += np.float32(weights[name]) * read_accessor(document, offsets)
    return values


def _view(document: GLTF2, index: int, dtype: type) -> np.ndarray:
    view = document.bufferViews[index]
    start = view.byteOffset or 0
    return np.frombuffer(document.binary_blob()[start : start + view.byteLength], dtype)
