"""Split the long edges of the bust, so that a bald head has a round silhouette."""

import numpy as np
from scipy import sparse

LONGEST = 0.115
"""Edges above this length are halved, decimetres."""


def split_long_edges(faces, uv_faces, uv, surface, base, movable):
    """Halve long edges; new vertices lie on the butterfly scheme's smooth surface.

    Dyn, Levin & Gregory, "A butterfly subdivision scheme for surface interpolation" (1990), with
    tension 1/16.

    Args:
        faces: int ``[F, 3]`` of a closed or open surface.
        uv_faces: int ``[F, 3]``, rows of ``uv``.
        uv: float ``[T, 2]``.
        surface: sparse ``[V, B]``; vertices are ``surface @ base``.
        base: float ``[B, 3]``, decimetres.
        movable: bool ``[V]``, vertices whose edges may be halved.

    Returns:
        The four grown arrays; the old vertices keep their numbers.
    """
    points = surface @ base
    opposite: dict[tuple[int, int], int] = {}
    for a, b, c in faces.tolist():
        opposite |= {(a, b): c, (b, c): a, (c, a): b}
    split: dict[tuple[int, int], int] = {}
    rows = []
    for a, b in sorted(opposite):
        long = np.linalg.norm(points[a] - points[b]) > LONGEST
        if a < b and (b, a) in opposite and movable[a] and movable[b] and long:
            split[a, b] = surface.shape[0] + len(rows)
            rows.append(_stencil(a, b, opposite, surface.shape[0]))
    surface = sparse.vstack([surface, sparse.csr_matrix(np.array(rows)) @ surface]).tocsr()
    uv, uv_split = list(map(tuple, uv)), {}

    def middle(a, b, ua, ub):
        row = split.get((min(a, b), max(a, b)))
        if row is None:
            return None
        key = min(ua, ub), max(ua, ub)
        if key not in uv_split:
            uv_split[key] = len(uv)
            uv.append(tuple((np.array(uv[ua]) + np.array(uv[ub])) / 2))
        return row, uv_split[key]

    out, uv_out = [], []
    for face, uv_face in zip(faces.tolist(), uv_faces.tolist(), strict=True):
        corners = list(zip(face, uv_face, strict=True))
        middles = [
            middle(face[i], face[(i + 1) % 3], uv_face[i], uv_face[(i + 1) % 3]) for i in range(3)
        ]
        for triangle in _pieces(corners, middles, points):
            out.append([corner[0] for corner in triangle])
            uv_out.append([corner[1] for corner in triangle])
    return np.array(out), np.array(uv_out), np.array(uv), surface


def _stencil(a: int, b: int, opposite, count: int) -> np.ndarray:
    """Weights ``[count]`` of the new vertex on edge a-b."""
    weights = np.zeros(count)
    weights[[a, b]] += 0.5
    for one, two in ((a, b), (b, a)):
        wing = opposite[one, two]
        weights[wing] += 1 / 8
        for edge in ((two, wing), (wing, one)):
            tip = opposite.get(edge[::-1], opposite[edge])
            weights[tip] -= 1 / 16
    return weights


def _pieces(corners, middles, points):
    """Triangles that replace one face; ``middles[i]`` halves the edge from corner i, or None."""
    count = sum(m is not None for m in middles)
    if count == 0:
        return [corners]
    if count == 3:
        a, b, c = corners
        d, e, f = middles
        return [(a, d, f), (d, b, e), (f, e, c), (d, e, f)]
    if count == 1:
        i = next(i for i in range(3) if middles[i] is not None)
        a, b, c = (corners[(i + k) % 3] for k in range(3))
        return [(a, middles[i], c), (middles[i], b, c)]
    i = next(i for i in range(3) if middles[i] is None)
    a, b, c = (corners[(i + k) % 3] for k in range(3))  # a-b stays whole
    d, e = middles[(i + 1) % 3], middles[(i + 2) % 3]  # halves of b-c and c-a
    shorter = np.linalg.norm(points[a[0]] - (points[b[0]] + points[c[0]]) / 2) < np.linalg.norm(
        points[b[0]] - (points[c[0]] + points[a[0]]) / 2
    )
    rest = [(a, b, d), (a, d, e)] if shorter else [(a, b, e), (b, d, e)]
    return [(e, d, c), *rest]
