"""Layers over a surface: their direction, their thickness, and the tetrahedra between them."""

import numpy as np

from ..render.normals import vertex_normals

NORMAL_SMOOTHING = 3
"""Rounds of averaging the vertex normals with their neighbours."""

FACING, FACING_ROUNDS = 0.25, 12
"""A direction is bent until its cosine to every face around the vertex is at least this, if it
can be; rounds."""

HALVINGS = 6
"""How often a thickness may be halved."""

THICKNESS_SMOOTHING = 3
"""Rounds in which a thickness may not exceed the mean of its neighbours by much."""


def local_edge_length(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Mean length of the edges at each vertex, ``[V]``, metres."""
    start, end = _directed_edges(faces)
    lengths = np.linalg.norm(vertices[start] - vertices[end], axis=1)
    return _mean(start, lengths, len(vertices))


def extrusion_directions(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Smoothed unit normals that face away from all faces around a vertex where possible.

    Args:
        vertices: ``[V, 3]``, without duplicates at seams.
        faces: ``[F, 3]``.

    Returns:
        float64 ``[V, 3]``.
    """
    count = len(vertices)
    normals = vertex_normals(vertices, faces, np.arange(count)).astype(np.float64)
    start, end = _directed_edges(faces)
    for _ in range(NORMAL_SMOOTHING):
        around = np.stack([_mean(start, normals[end, k], count) for k in range(3)], 1)
        normals = _unit(normals + around)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    face_normals = _unit(np.cross(b - a, c - a))
    corner, face = faces.T.reshape(-1), np.tile(np.arange(len(faces)), 3)
    for _ in range(FACING_ROUNDS):
        facing = (normals[corner] * face_normals[face]).sum(1)
        lacking = facing < FACING
        if not lacking.any():
            break
        push = (FACING + 0.05 - facing[lacking])[:, None] * face_normals[face[lacking]]
        np.add.at(normals, corner[lacking], push)
        normals = _unit(normals)
    return normals


def limited_thickness(
    vertices: np.ndarray,
    directions: np.ndarray,
    thickness: np.ndarray,
    tetrahedra: np.ndarray,
    layers: np.ndarray,
) -> np.ndarray:
    """Halve the thickness around inverted tetrahedra, then smooth it downwards.

    Args:
        vertices: ``[V, 3]``.
        directions: unit ``[V, 3]``.
        thickness: wanted, ``[V]``, metres.
        tetrahedra: of all layers, grid vertex = layer * V + column, ``[T, 4]``.
        layers: heights in units of the thickness, ``[K]``.

    Returns:
        ``[V]``, metres. Tetrahedra in sharp creases may stay inverted.
    """
    wanted, columns = thickness, len(vertices)
    thickness = thickness.copy()
    start = np.concatenate([tetrahedra[:, i] for i in range(4) for _ in range(3)]) % columns
    end = np.concatenate([tetrahedra[:, j] for i in range(4) for j in range(4) if j != i]) % columns
    floor = wanted / 2**HALVINGS
    for _ in range(HALVINGS + THICKNESS_SMOOTHING):
        grid = vertices + (layers[:, None] * thickness)[..., None] * directions
        inverted = tetrahedron_volumes(grid.reshape(-1, 3), tetrahedra) <= 0
        hit = np.unique(tetrahedra[inverted] % columns)
        thickness[hit] = np.maximum(thickness[hit] / 2, floor[hit])
        around = _mean(start, thickness[end], columns)
        thickness = np.minimum(thickness, np.maximum(1.5 * around, floor))
    return thickness


def tetrahedron_volumes(vertices: np.ndarray, tetrahedra: np.ndarray) -> np.ndarray:
    """Signed volumes, float64 ``[T]``; positive in positive order."""
    a, b, c, d = (vertices[tetrahedra[:, k]].astype(np.float64) for k in range(4))
    u, v, w = b - a, c - a, d - a
    cross = np.stack(
        [u[:, i] * v[:, j] - u[:, j] * v[:, i] for i, j in ((1, 2), (2, 0), (0, 1))], 1
    )
    return (cross * w).sum(1) / 6


def prism_tetrahedra(faces: np.ndarray, order: np.ndarray, layers: int) -> np.ndarray:
    """Split the prisms over ``faces`` between neighbouring layers, int64 ``[3 F (layers - 1), 4]``.

    Each prism's corners are taken in the global ``order [V]``, so that neighbours cut their common
    side along the same diagonal: from the lower of its two columns at the bottom to the higher at
    the top. All tetrahedra are in positive order.
    """
    rank = order[faces]  # [F, 3]
    sorted_columns = np.argsort(rank, axis=1)
    a, b, c = np.take_along_axis(faces.astype(np.int64), sorted_columns, axis=1).T
    odd = _odd(sorted_columns)
    columns = len(order)
    tetrahedra = []
    for layer in range(layers - 1):
        low, high = layer * columns, (layer + 1) * columns
        for corners in (
            (a + low, b + low, c + low, c + high),
            (a + low, b + low, c + high, b + high),
            (a + low, a + high, b + high, c + high),
        ):
            block = np.stack(corners, axis=1)
            block[odd] = block[odd][:, [0, 1, 3, 2]]
            tetrahedra.append(block)
    return np.concatenate(tetrahedra)


def _directed_edges(faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both directions of every face's edges, ``[6 F]`` each."""
    start = faces.T.reshape(-1)
    end = np.roll(faces, -1, axis=1).T.reshape(-1)
    return np.concatenate([start, end]), np.concatenate([end, start])


def _mean(group: np.ndarray, values: np.ndarray, count: int) -> np.ndarray:
    """Mean of ``values`` by ``group``, ``[count]``; 0 for empty groups."""
    return np.bincount(group, values, count) / np.maximum(np.bincount(group, minlength=count), 1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-20)


def _odd(permutations: np.ndarray) -> np.ndarray:
    """Odd permutations among rows of 0, 1, 2, bool ``[F]``."""
    p, q, r = permutations.T
    return ((p > q).astype(int) + (p > r) + (q > r)) % 2 == 1
