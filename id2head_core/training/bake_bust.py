"""Cut a sculptural bust out of the full-body base mesh.

Every vertex of the bust is a fixed linear combination of vertices of ``base.obj``, so shapes and
actions of the full body carry over. The cut follows one smooth surface and is closed with a
rounded rim and a concave bottom, as on a plaster bust.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.spatial import cKDTree

from .bake_refine import split_long_edges
from .bake_sources import SKULL_DEPTH, SKULL_HEIGHT, SKULL_WIDTH, VERTEX_COUNT, BaseMesh

CUT_HALF_WIDTH, CUT_TOP, CUT_DEPTH = 1.22, 6.28, 1.06
"""Elliptic cut seen from the front (decimetres): half width, height of its centre, semi-axis."""

CUT_TILT = 0.22
"""Rise of the cut towards the back, decimetres per decimetre."""

SKULL_BOTTOM = 7.0
"""Height (decimetres, at depth 0) above which long edges are halved; falls towards the face."""

SNAP = 0.3
"""Vertices nearer to the cut than this share of an edge are moved onto it."""

RIM = ((0.04, -0.005), (0.12, 0.02), (0.30, 0.07), (0.60, 0.11))
"""Rings of the closed bottom: share of the way to its centre, and rise in decimetres."""


@dataclass(frozen=True)
class Bust:
    """The template's vertices and its skin.

    Attributes:
        combination: sparse ``[N, 19158]``; template vertices are ``combination @ base``.
        lift: float64 ``[N]``, decimetres, added to y (bottom rings only).
        skin: int, the first ``skin`` template vertices are the skin; helpers follow.
        faces: int ``[F, 3]``, template vertices.
        uv_faces: int ``[F, 3]``, rows of ``uv``.
        uv: float64 ``[T, 2]``, MakeHuman's layout, v up; the bottom's rows are ``nan``.
        base_row: int ``[19158]``, template vertex that equals a base vertex, or -1.
        bottom: bool ``[N]``, vertices of the closed bottom.
        rim: int ``[B]``, boundary of the cut, in order.
    """

    combination: sparse.csr_matrix
    lift: np.ndarray
    skin: int
    faces: np.ndarray
    uv_faces: np.ndarray
    uv: np.ndarray
    base_row: np.ndarray
    bottom: np.ndarray
    rim: np.ndarray

    def apply(self, base: np.ndarray, *, shape: bool = False) -> np.ndarray:
        """Map ``[..., 19158, 3]`` to ``[..., N, 3]``; ``shape`` marks differences of heads."""
        flat = np.moveaxis(base, -2, 0).reshape(VERTEX_COUNT, -1)
        out = self.combination @ flat
        out = np.moveaxis(out.reshape(len(self.lift), *base.shape[:-2], 3), 0, -2)
        if not shape:
            out = out.copy()
            out[..., 1] += self.lift
        return out


def cut_bust(mesh: BaseMesh, helpers: np.ndarray) -> Bust:
    """Cut the bust.

    Args:
        mesh: the base mesh.
        helpers: base vertices that bound parts refer to.
    """
    faces, uv_faces = _triangles(mesh.quads["body"], mesh.quad_uv["body"], mesh.vertices)
    level = _cut_level(mesh.vertices)
    kept = _head_component(faces, (level[faces] < 0).any(1))
    faces, uv_faces = faces[kept], uv_faces[kept]
    edges = np.unique(
        np.sort(np.concatenate([faces[:, [i, (i + 1) % 3]] for i in range(3)])), axis=0
    )
    snap = _snap_to_cut(edges, level)
    level = level.copy()
    level[list(snap)] = 0
    faces, uv_faces, crossings, uv = _clip(faces, uv_faces, mesh.uv, level)
    # rows: surviving base vertices, then crossings of edges with the cut
    combination = sparse.lil_matrix((VERTEX_COUNT + len(crossings), VERTEX_COUNT))
    combination.setdiag(1.0)
    for row, (a, b, share) in [(v, (v, *move)) for v, move in snap.items()] + list(
        enumerate(crossings, VERTEX_COUNT)
    ):
        combination[row, row if row < VERTEX_COUNT else a] = 0
        combination[row, a], combination[row, b] = 1 - share, share
    skin = np.unique(faces)
    new_row = np.full(combination.shape[0], -1)
    new_row[skin] = np.arange(len(skin))
    base_row = new_row[:VERTEX_COUNT].copy()
    base_row[list(snap)] = -1
    faces = new_row[faces]
    combination = combination.tocsr()
    kept = base_row[:VERTEX_COUNT] >= 0
    skull = np.zeros(len(skin), bool)
    x, y, z = mesh.vertices[kept].T
    throat = (np.abs(x) < 0.36) & (y < 7.0) & (z < 1.52)
    skull[base_row[kept]] = (y > SKULL_BOTTOM - 0.35 * z) & ~throat
    faces, uv_faces, uv, surface = split_long_edges(
        faces, uv_faces, uv, combination[skin], mesh.vertices, skull
    )
    visible = surface.shape[0]
    rim = _boundary_loop(faces)
    rings, lift, cap = _bottom(surface, rim, visible)
    skin_count = visible + rings.shape[0]
    extra = np.array([v for v in np.unique(helpers) if base_row[v] < 0], int)
    base_row[extra] = skin_count + np.arange(len(extra))
    helper_rows = sparse.identity(VERTEX_COUNT, format="csr")[extra]
    bottom = np.zeros(skin_count + len(extra), bool)
    bottom[visible:skin_count] = True
    cap_vertices = np.unique(cap)
    uv_row = np.full(skin_count, -1)
    uv_row[cap_vertices] = len(uv) + np.arange(len(cap_vertices))
    return Bust(
        combination=sparse.vstack([surface, rings, helper_rows]).tocsr(),
        lift=np.r_[np.zeros(visible), lift, np.zeros(len(extra))],
        skin=skin_count,
        faces=np.concatenate([faces, cap]),
        uv_faces=np.concatenate([uv_faces, uv_row[cap]]),
        uv=np.concatenate([uv, np.full((len(cap_vertices), 2), np.nan)]),
        base_row=base_row,
        bottom=bottom,
        rim=rim,
    )


def mirror_rows(vertices: np.ndarray, faces: np.ndarray | None = None) -> np.ndarray:
    """Index of each vertex's counterpart under x -> -x, int ``[N]``.

    Raises:
        ValueError: the mesh is not symmetric.
    """
    distance, index = cKDTree(vertices).query(vertices * [-1, 1, 1])
    if distance.max() > 1e-3 or (index[index] != np.arange(len(index))).any():
        raise ValueError(
            f"The template is not symmetric: {distance.max():.4f} dm at vertex {distance.argmax()}."
        )
    return index


def skull_frame(base: np.ndarray) -> np.ndarray:
    """Middle of the skull ``[3]`` (on the symmetry plane), the origin of the template."""
    height = base[list(SKULL_HEIGHT), 1].mean()
    depth = base[list(SKULL_DEPTH), 2].mean()
    return np.array([base[list(SKULL_WIDTH), 0].mean(), height, depth])


def _cut_level(base: np.ndarray) -> np.ndarray:
    """Signed level of the cutting surface at each base vertex; negative is kept."""
    x, y, z = base.T
    drop = np.maximum(0, CUT_TOP - y - CUT_TILT * (z - 0.3))
    return (np.abs(x) / CUT_HALF_WIDTH) ** 2.4 + (drop / CUT_DEPTH) ** 2.4 - 1


def _head_component(faces: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Mask of the kept faces that hang together with the head."""
    part = faces[kept]
    graph = sparse.csr_matrix(
        (np.ones(2 * len(part)), (np.r_[part[:, 0], part[:, 1]], np.r_[part[:, 1], part[:, 2]])),
        (VERTEX_COUNT, VERTEX_COUNT),
    )
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    out = np.zeros_like(kept)
    out[np.flatnonzero(kept)[label[part[:, 0]] == label[SKULL_HEIGHT[0]]]] = True
    return out


def _snap_to_cut(edges: np.ndarray, level: np.ndarray) -> dict[int, tuple[int, float]]:
    """Vertices close to the cut that move onto it: vertex -> (neighbour, share of the way)."""
    options: dict[int, list[tuple[float, int]]] = {}
    for a, b in edges[level[edges[:, 0]] * level[edges[:, 1]] < 0].tolist():
        share = level[a] / (level[a] - level[b])
        vertex, other, share = (a, b, share) if share < 0.5 else (b, a, 1 - share)
        if share < SNAP:
            options.setdefault(vertex, []).append((round(float(share), 9), other))
    return {v: (min(o)[1], min(o)[0]) for v, o in sorted(options.items())}


def _clip(faces, uv_faces, uv, level):
    """Clip triangles at level 0.

    Returns:
        Faces (crossings are numbered from VERTEX_COUNT), texture faces, the crossings as
        ``(vertex, vertex, share)``, and the grown texture coordinates.
    """
    crossings, uv = [], list(map(tuple, uv))
    rows: dict[tuple, int] = {}
    uv_rows: dict[tuple, int] = {}

    def cross(a, b, ua, ub):
        share = level[a] / (level[a] - level[b])
        if a > b:
            a, b, ua, ub, share = b, a, ub, ua, 1 - share
        if (a, b) not in rows:
            rows[a, b] = VERTEX_COUNT + len(crossings)
            crossings.append((a, b, float(share)))
        if (ua, ub) not in uv_rows:
            uv_rows[ua, ub] = len(uv)
            uv.append(tuple((1 - share) * np.array(uv[ua]) + share * np.array(uv[ub])))
        return rows[a, b], uv_rows[ua, ub]

    out, uv_out = [], []
    for face, uv_face in zip(faces.tolist(), uv_faces.tolist(), strict=True):
        polygon = []
        for i in range(3):
            a, b, ua, ub = face[i], face[(i + 1) % 3], uv_face[i], uv_face[(i + 1) % 3]
            if level[a] <= 0:
                polygon.append((a, ua))
            if level[a] * level[b] < 0:
                polygon.append(cross(a, b, ua, ub))
        if min(level[v] for v in face) >= 0:
            continue
        for i in range(1, len(polygon) - 1):
            corners = (polygon[0], polygon[i], polygon[i + 1])
            out.append([c[0] for c in corners])
            uv_out.append([c[1] for c in corners])
    return np.array(out), np.array(uv_out), crossings, np.array(uv)


def _triangles(quads, uv_quads, base) -> tuple[np.ndarray, np.ndarray]:
    """Split quads along their shorter diagonal (mirror images split alike)."""
    points = base[quads]
    beside = np.abs(points[..., 0])  # decides between equal diagonals, alike on both sides
    first, second = (
        np.linalg.norm(points[:, a] - points[:, b], axis=1)
        + 1e-3 * np.minimum(beside[:, a], beside[:, b])
        + 1e-4 * points[:, [a, b], 1].min(1)
        for a, b in ((0, 2), (1, 3))
    )
    turn = (second < first)[:, None]
    halves = []
    for table in (quads, uv_quads):
        a = np.where(turn, table[:, [0, 1, 3]], table[:, [0, 1, 2]])
        b = np.where(turn, table[:, [1, 2, 3]], table[:, [0, 2, 3]])
        halves.append(np.concatenate([a, b]))
    return halves[0], halves[1]


def _boundary_loop(faces: np.ndarray) -> np.ndarray:
    """The longest boundary loop, in the direction of the faces' edges."""
    edges = {(int(f[i]), int(f[(i + 1) % 3])) for f in faces for i in range(3)}
    following = {a: b for a, b in edges if (b, a) not in edges}
    loops = []
    while following:
        start = min(following)
        loop, current = [], start
        while current in following:
            loop.append(current)
            current = following.pop(current)
        loops.append(loop)
    return np.array(max(loops, key=len))


def _bottom(combination, rim: np.ndarray, first: int):
    """Rings that close the cut: their rows, their lift, and their faces."""
    boundary = combination[rim]
    count = len(rim)
    mean = sparse.csr_matrix(np.full((count, count), 1 / count)) @ boundary
    rings, lift, faces = [], [], []
    previous = rim
    for share, rise in RIM:
        rings.append(boundary * (1 - share) + mean * share)
        lift.append(np.full(count, rise))
        ring = first + np.arange(count)
        first += count
        after = np.roll(np.arange(count), -1)
        faces.append(np.stack([previous[after], previous, ring], 1))
        faces.append(np.stack([previous[after], ring, ring[after]], 1))
        previous = ring
    rings.append(mean[:1])
    lift.append(np.array([RIM[-1][1] + 0.02]))
    faces.append(np.stack([np.roll(previous, -1), previous, np.full(count, first)], 1))
    return sparse.vstack(rings).tocsr(), np.concatenate(lift), np.concatenate(faces)
