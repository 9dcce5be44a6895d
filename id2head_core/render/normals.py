"""Smooth vertex normals, weighted by the area of the faces, continuous across UV seams.

``weld [V]`` numbers the points of the surface: vertices that were duplicated at a seam share a
number and get the same normal.
"""

import numpy as np
import torch


def vertex_normals(vertices: np.ndarray, faces: np.ndarray, weld: np.ndarray) -> np.ndarray:
    """Unit normals, float32 ``[V, 3]``; (0, 0, 1) at vertices without any area.

    Args:
        vertices: float ``[V, 3]``.
        faces: integer ``[F, 3]``, counter-clockwise from outside.
        weld: integer ``[V]``.
    """
    if len(vertices) == 0:
        return np.zeros((0, 3), np.float32)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    u, v = b - a, c - a
    points = weld[faces].T.reshape(-1)  # [3 F]
    sums = np.empty((int(weld.max()) + 1, 3))
    for k, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        cross = u[:, i] * v[:, j] - u[:, j] * v[:, i]  # twice the area times the face normal
        sums[:, k] = np.bincount(points, np.tile(cross, 3), len(sums))
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    normals = np.where(lengths > 1e-20, sums / np.maximum(lengths, 1e-20), (0.0, 0.0, 1.0))
    return normals[weld].astype(np.float32)


def vertex_normals_torch(
    vertices: torch.Tensor, faces: torch.Tensor, weld: torch.Tensor
) -> torch.Tensor:
    """The same, differentiable, ``[V, 3]``; zero at vertices without any area."""
    a, b, c = (vertices[faces[:, k].long()] for k in range(3))
    cross = torch.linalg.cross(b - a, c - a)  # [F, 3]
    sums = vertices.new_zeros(int(weld.max()) + 1, 3)
    for k in range(3):
        sums = sums.index_add(0, weld[faces[:, k].long()].long(), cross)
    return torch.nn.functional.normalize(sums, dim=1, eps=1e-20)[weld.long()]
