"""Fold fields of the skin: what furrows and bulges when a face moves.

A fold follows a path of mesh edges near a curve drawn on the mean face, so that its crease is as
sharp as the mesh allows. The skin sinks along the path and bulges beside it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components, dijkstra
from scipy.spatial import cKDTree

from ..ramp import smoothstep
from ..render.normals import vertex_normals


@dataclass(frozen=True)
class Fold:
    """One crease.

    Attributes:
        curve: points (x, y) from the front, millimetres, in the template's frame.
        depth: of the crease, millimetres.
        width: of the crease, to 1/e, millimetres.
        bulge: height, distance from the crease, and width of the bulge, millimetres.
        side: a point (x, y) on the side that bulges, millimetres; None = both sides.
        ends: shares of the length over which the crease runs out at its two ends.
        pinch: how far the bulge leans over the crease, millimetres.
    """

    curve: tuple[tuple[float, float], ...]
    depth: float
    width: float
    bulge: tuple[float, float, float]
    side: tuple[float, float] | None = None
    ends: tuple[float, float] = (0.2, 0.3)
    pinch: float = 0.0


def _furrow(y: float, half: float, depth: float) -> Fold:
    """A line across the forehead at height ``y``."""
    curve = ((-half, y - 1.5), (-half / 2, y), (0.0, y - 1), (half / 2, y), (half, y - 1.5))
    return Fold(curve, depth, 3.5, (0.8 * depth, 6.0, 4.0), ends=(0.2, 0.2))


def _crow(start: tuple[float, float], end: tuple[float, float]) -> Fold:
    """A line outwards from the corner of the eye."""
    return Fold((start, end), 1.3, 2.0, (0.85, 4.0, 2.5), ends=(0.2, 0.35))


FOLDS: dict[str, tuple[Fold, ...]] = {
    "nasolabial": (
        Fold(
            ((17, -17), (27, -22), (34, -30), (38, -39), (38, -50), (35, -60), (32, -68)),
            2.5, 3.5, (2.5, 7.0, 6.0), side=(50, -30), ends=(0.12, 0.3), pinch=1.7,
        ),
    ),
    "forehead": (_furrow(32, 30, 1.8), _furrow(44, 34, 2.2), _furrow(55, 30, 1.8)),
    "glabella": (
        Fold(((6.5, 14), (8.5, 20), (9, 27), (9, 33)), 2.4, 3.0, (1.7, 5.5, 4.0), side=(14, 24)),
    ),
    "crows_feet": (_crow((48, 10), (60, 15)), _crow((48, 8), (62, 8)), _crow((48, 6), (60, 1))),
    "marionette": (
        Fold(
            ((27, -62), (29, -68), (29, -76), (27, -83)),
            1.9, 3.0, (1.2, 6.0, 5.0), side=(40, -74), ends=(0.15, 0.4),
        ),
    ),
    "chin": (
        Fold(
            ((-14, -80), (-7, -77), (0, -76.5), (7, -77), (14, -80)),
            2.2, 3.5, (2.2, 8.0, 6.0), side=(0, -88), ends=(0.25, 0.25),
        ),
    ),
    "under_eye": (
        Fold(
            ((17, -9), (25, -14), (34, -14), (43, -9)),
            1.2, 2.5, (1.2, 5.0, 4.0), side=(32, -20), ends=(0.25, 0.3),
        ),
    ),
}  # fmt: skip
"""The fold fields at strength 1: deep folds of old age. Curves on one side are mirrored."""

SNAP = 0.002
"""How near the path of edges keeps to its curve, metres: a cost doubles at this distance."""

STEP = 0.0004
"""Sampling of curves and paths, metres."""


def fold_fields(
    mean: np.ndarray, faces: np.ndarray, mirror: np.ndarray, regions: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Displacement of each fold at strength 1, float32 ``[N, 3]``, metres, by name.

    Args:
        mean: the mean head ``[N, 3]``, metres.
        faces: of the skin ``[F, 3]``, template vertices.
        mirror: ``[N]``, counterpart under x -> -x.
        regions: masks ``[N]`` in [0, 1]; lids and lips do not fold, so that they go on meeting.
    """
    skin = _Skin(mean.astype(float), faces, regions["mouth_interior"] > 0.5)
    still = (1 - regions["eyelids"]) * (1 - regions["lips"])
    fields = {}
    for name, folds in FOLDS.items():
        field = sum(skin.field(fold) for fold in folds)
        if folds[0].curve[0][0] > 0:
            mirrored = field[mirror] * [-1, 1, 1]
            size, other = (np.linalg.norm(f, axis=1, keepdims=True) for f in (field, mirrored))
            field = np.where(size > other, field, mirrored)
        fields[name] = (field * still[:, None]).astype(np.float32)
    return fields


class _Skin:
    """The front of the face as a graph of edges."""

    def __init__(self, points: np.ndarray, faces: np.ndarray, inside: np.ndarray):
        self.points, self.normals = points, vertex_normals(points, faces, np.arange(len(points)))
        edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
        edges = np.unique(np.sort(edges, axis=1), axis=0)
        front = (points[:, 2] > 0) & (self.normals[:, 2] > 0) & ~inside
        edges = edges[front[edges].all(1)]
        piece = connected_components(self._graph(edges, np.ones(len(edges))))[1]
        self.front = piece == np.bincount(piece).argmax()
        self.edges = edges[self.front[edges].all(1)]

    def field(self, fold: Fold) -> np.ndarray:
        """Displacement ``[N, 3]``, metres."""
        path = self.points[self._path(np.array(fold.curve, float) / 1000)]
        line, share = _sampled(path)
        distance, nearest = cKDTree(line).query(self.points)
        first, last = fold.ends
        share = share[nearest]
        taper = smoothstep(0, first, share) * smoothstep(0, last, 1 - share) * self.front
        offset = self.points - line[nearest]
        beside = np.ones(len(offset))
        if fold.side is not None:
            tangent = np.gradient(line, axis=0)
            across = np.cross(tangent / np.linalg.norm(tangent, axis=1, keepdims=True), [0, 0, 1.0])
            middle = len(line) // 2
            towards = np.array(fold.side) / 1000 - line[middle, :2]
            across = across * np.sign(across[middle, :2] @ towards)
            beside = np.clip(0.5 + (offset * across[nearest]).sum(1) / 0.002, 0, 1)
        millimetre = 1e-3
        crease = np.exp(-((distance / (fold.width * millimetre)) ** 2))
        height, away, width = fold.bulge
        bulge = np.exp(-(((distance - away * millimetre) / (width * millimetre)) ** 2)) * beside
        rise = -fold.depth * crease + height * bulge * (1 - crease)
        field = (rise * taper)[:, None] * self.normals
        if fold.pinch:
            lean = np.exp(-(((distance - 0.7 * away * millimetre) / 0.004) ** 2)) * beside * taper
            field -= (fold.pinch * lean / np.maximum(distance, 1e-6))[:, None] * offset
        return field * millimetre

    def _path(self, curve: np.ndarray) -> np.ndarray:
        """Vertices along the edges that follow a curve ``[K, 2]`` (metres, from the front)."""
        rows = np.flatnonzero(self.front)
        flat, _ = _sampled(curve)
        distance, near = cKDTree(self.points[rows, :2]).query(flat, k=4)
        weight = 1 / (distance + 1e-4)
        depth = (self.points[rows][near, 2] * weight).sum(1) / weight.sum(1)
        line = np.column_stack([flat, depth])
        away = cKDTree(line).query(self.points)[0]
        length = np.linalg.norm(np.subtract(*self.points[self.edges.T]), axis=1)
        cost = length * (1 + (away[self.edges].mean(1) / SNAP) ** 2)
        start, end = rows[cKDTree(self.points[rows]).query(line[[0, -1]])[1]]
        before = dijkstra(self._graph(self.edges, cost), indices=start, return_predecessors=True)[1]
        path = [end]
        while path[-1] != start:
            path.append(before[path[-1]])
        return np.array(path[::-1])

    def _graph(self, edges: np.ndarray, cost: np.ndarray):
        """Symmetric sparse matrix of costs."""
        count = len(self.points)
        graph = coo_matrix((cost, (edges[:, 0], edges[:, 1])), shape=(count, count))
        return (graph + graph.T).tocsr()


def _sampled(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points along a polyline, ``STEP`` apart, and their share of its length."""
    reach = np.r_[0, np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))]
    at = np.arange(0, reach[-1] + 1e-9, STEP)
    return np.stack([np.interp(at, reach, axis) for axis in line.T], axis=1), at / reach[-1]
