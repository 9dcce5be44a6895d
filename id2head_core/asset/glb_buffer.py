"""The binary half of a .glb: accessors and images in one buffer, all aligned to four bytes."""

import numpy as np
from pygltflib import (
    ARRAY_BUFFER,
    ELEMENT_ARRAY_BUFFER,
    FLOAT,
    GLTF2,
    SCALAR,
    UNSIGNED_INT,
    UNSIGNED_SHORT,
    VEC2,
    VEC3,
    Accessor,
    AccessorSparseIndices,
    AccessorSparseValues,
    Buffer,
    BufferView,
    Sparse,
)
from pygltflib import Image as GltfImage

LARGEST_SHORT = 65535
"""The first 16-bit index that glTF forbids (it restarts primitives)."""


class GlbBuffer:
    """Collects arrays and images, and adds their accessors and views to a glTF document."""

    def __init__(self, document: GLTF2):
        self._document = document
        self._bytes = bytearray()
        self._zeros: dict[int, int] = {}  # vertex count -> accessor

    def attribute(self, values: np.ndarray) -> int:
        """Add a vertex attribute, ``[V, 2]`` or ``[V, 3]``; returns its accessor."""
        view = self._view(np.ascontiguousarray(values, np.float32).tobytes(), ARRAY_BUFFER)
        return self._accessor(values, bufferView=view, byteOffset=0)

    def indices(self, faces: np.ndarray, vertex_count: int) -> int:
        """Add triangles ``[F, 3]``; returns their accessor."""
        dtype, component = _index_type(vertex_count)
        view = self._view(faces.astype(dtype).tobytes(), ELEMENT_ARRAY_BUFFER)
        accessor = Accessor(
            bufferView=view, componentType=component, count=int(faces.size), type=SCALAR
        )
        return self._append(accessor)

    def morph_delta(self, deltas: np.ndarray) -> int:
        """Add offsets ``[V, 3]`` of a morph target in the smallest of three forms.

        All zero: one accessor without data, which glTF defines as zeros, shared by all still
        targets of this vertex count. Mostly zero: sparse. Else: plain.
        """
        moved = np.flatnonzero(deltas.any(axis=1))  # [M]
        dtype, component = _index_type(len(deltas))
        if len(moved) == 0:
            if len(deltas) not in self._zeros:
                self._zeros[len(deltas)] = self._accessor(deltas, byteOffset=None)
            return self._zeros[len(deltas)]
        if len(moved) * (12 + dtype().itemsize) >= len(deltas) * 12:
            view = self._view(np.ascontiguousarray(deltas, np.float32).tobytes(), ARRAY_BUFFER)
            return self._accessor(deltas, bufferView=view, byteOffset=0)
        indices = self._view(moved.astype(dtype).tobytes())
        values = self._view(deltas[moved].astype(np.float32).tobytes())
        sparse = Sparse(
            count=len(moved),
            indices=AccessorSparseIndices(bufferView=indices, componentType=component),
            values=AccessorSparseValues(bufferView=values),
        )
        return self._accessor(deltas, byteOffset=None, sparse=sparse)

    def image(self, data: bytes, mime_type: str, name: str) -> int:
        """Add an image file; returns the image's index."""
        image = GltfImage(bufferView=self._view(data), mimeType=mime_type, name=name)
        self._document.images.append(image)
        return len(self._document.images) - 1

    def close(self) -> None:
        """Hand the collected bytes to the document. Call once, at the end."""
        self._pad()
        self._document.buffers = [Buffer(byteLength=len(self._bytes))]
        self._document.set_binary_blob(bytes(self._bytes))

    def _accessor(self, values: np.ndarray, **fields) -> int:
        """A float accessor with bounds, ``values`` ``[V, 2]`` or ``[V, 3]``."""
        values = np.asarray(values, np.float32)
        accessor = Accessor(
            componentType=FLOAT,
            count=len(values),
            type=VEC2 if values.shape[1] == 2 else VEC3,
            min=values.min(axis=0).tolist(),
            max=values.max(axis=0).tolist(),
            **fields,
        )
        return self._append(accessor)

    def _append(self, accessor: Accessor) -> int:
        self._document.accessors.append(accessor)
        return len(self._document.accessors) - 1

    def _view(self, data: bytes, target: int | None = None) -> int:
        self._pad()
        view = BufferView(
            buffer=0, byteOffset=len(self._bytes), byteLength=len(data), target=target
        )
        self._bytes += data
        self._document.bufferViews.append(view)
        return len(self._document.bufferViews) - 1

    def _pad(self) -> None:
        self._bytes += bytes(-len(self._bytes) % 4)


def _index_type(vertex_count: int) -> tuple[type, int]:
    """Smallest numpy type, and its glTF name, that can index this many vertices."""
    if vertex_count <= LARGEST_SHORT:
        return np.uint16, UNSIGNED_SHORT
    return np.uint32, UNSIGNED_INT
