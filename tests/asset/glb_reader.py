"""Reads a .glb back to arrays by the letter of the specification, sparse accessors included."""

import io

import numpy as np
from PIL import Image
from pygltflib import GLTF2

TYPES = {5121: np.uint8, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
COLUMNS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


def view_bytes(document: GLTF2, index: int) -> bytes:
    view = document.bufferViews[index]
    start = view.byteOffset or 0
    return document.binary_blob()[start : start + view.byteLength]


def read_accessor(document: GLTF2, index: int) -> np.ndarray:
    accessor = document.accessors[index]
    columns = COLUMNS[accessor.type]
    if accessor.bufferView is None:
        values = np.zeros((accessor.count, columns), TYPES[accessor.componentType])
    else:
        data = view_bytes(document, accessor.bufferView)
        values = np.frombuffer(data, TYPES[accessor.componentType]).reshape(-1, columns).copy()
    if accessor.sparse is not None:
        sparse = accessor.sparse
        where = np.frombuffer(
            view_bytes(document, sparse.indices.bufferView), TYPES[sparse.indices.componentType]
        )
        new = np.frombuffer(
            view_bytes(document, sparse.values.bufferView), TYPES[accessor.componentType]
        )
        assert len(where) == sparse.count
        assert (np.diff(where.astype(int)) > 0).all(), "sparse indices must increase strictly"
        values[where] = new.reshape(-1, columns)
    assert len(values) == accessor.count
    return values


def read_texture(document: GLTF2, texture: int) -> Image.Image:
    image = document.images[document.textures[texture].source]
    return Image.open(io.BytesIO(view_bytes(document, image.bufferView)))
