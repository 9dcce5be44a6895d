"""The skin's texture atlas: MakeHuman's islands of head, neck, mouth and eye sockets, re-packed.

One square. The head lies upright, symmetric about u = 0.5, and is stretched by smooth monotone
functions of each axis so that the face gets most of the texels. All coordinates of the atlas are
glTF's (0 to 1, v down); those of the source are MakeHuman's (v up).
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from .bake_bust import Bust

ATLAS = 1024
"""Side that the placement is laid out for, texels."""

FACE_GAIN = (5.0, 3.0)
"""Texel density of the face relative to the back of the head, across and down."""


@dataclass(frozen=True)
class Island:
    """A rectangle of the source and where it lies in the atlas.

    Attributes:
        source: left, bottom, right, top in MakeHuman's texture coordinates.
        target: left, top, right, bottom in texels of an ``ATLAS`` square.
        upright: the source lies on its side (its v is the atlas's u, its u is the atlas's v).
        stretch: the head's non-linear axes.
    """

    source: tuple[float, float, float, float]
    target: tuple[float, float, float, float]
    upright: bool = False
    stretch: bool = False

    def _shares(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Samples of the two axes' monotone maps from [0, 1] to [0, 1]."""
        t = np.linspace(0, 1, 2001)
        if not self.stretch:
            return t, t, t
        across = 1 + (FACE_GAIN[0] - 1) * _bump(t, 0.5, 0.105, 0.17)
        down = 1 + (FACE_GAIN[1] - 1) * _bump(t, 0.72, 0.20, 0.20)
        sums = (np.r_[0, np.cumsum((d[1:] + d[:-1]) / 2)] for d in (across, down))
        return t, *(total / total[-1] for total in sums)

    def place(self, uv: np.ndarray) -> np.ndarray:
        """Source coordinates ``[..., 2]`` to atlas coordinates."""
        left, bottom, right, top = self.source
        a, b = (uv[..., 0] - left) / (right - left), (uv[..., 1] - bottom) / (top - bottom)
        x, y = (b, a) if self.upright else (a, 1 - b)
        t, across, down = self._shares()
        x, y = np.interp(x, t, across), np.interp(y, t, down)
        x0, y0, x1, y1 = (edge / ATLAS for edge in self.target)
        return np.stack([x0 + x * (x1 - x0), y0 + y * (y1 - y0)], -1)

    def source_uv(self, atlas_uv: np.ndarray) -> np.ndarray:
        """Inverse of ``place``; outside the island the nearest source point of its rectangle."""
        x0, y0, x1, y1 = (edge / ATLAS for edge in self.target)
        x = np.clip((atlas_uv[..., 0] - x0) / (x1 - x0), 0, 1)
        y = np.clip((atlas_uv[..., 1] - y0) / (y1 - y0), 0, 1)
        t, across, down = self._shares()
        x, y = np.interp(x, across, t), np.interp(y, down, t)
        a, b = (y, x) if self.upright else (x, 1 - y)
        left, bottom, right, top = self.source
        return np.stack([left + a * (right - left), bottom + b * (top - bottom)], -1)


ISLANDS = {
    "head": Island((0.6405, 0.147947, 0.9943, 0.818383), (2, 2, 1022, 704), True, True),
    "neck": Island((0.2350, 0.7900, 0.5260, 0.9750), (371, 708, 653, 876)),
    "mouth": Island((0.7570, 0.0111, 0.92434, 0.1372), (412, 880, 612, 1022)),
    "socket_right": Island((0.0110, 0.5466, 0.0776, 0.6337), (262, 900, 342, 1010)),
    "socket_left": Island((0.0853, 0.5466, 0.1519, 0.6337), (682, 900, 762, 1010)),
}
"""Placement of the islands; all are symmetric about u = 0.5 (the sockets as a pair)."""

BOTTOM = (512.0, 34.0, 30.0)
"""Centre and radius, texels, of the disc that the closed bottom of the bust gets."""


@dataclass(frozen=True)
class SkinLayout:
    """Render vertices of the skin.

    Attributes:
        skin_vertex: int ``[R]``, template vertex of each render vertex.
        faces: int ``[F, 3]``, render vertices.
        uv: float ``[R, 2]``, glTF convention.
        island: str ``[F]``, name of each face's island (``"bottom"`` for the cap).
    """

    skin_vertex: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    island: np.ndarray


def lay_out(bust: Bust) -> SkinLayout:
    """Place the bust's skin in the atlas and split vertices at seams."""
    island = _face_islands(bust)
    pairs = np.stack([bust.faces, bust.uv_faces], -1).reshape(-1, 2)
    unique, inverse = np.unique(pairs, axis=0, return_inverse=True)
    faces = inverse.reshape(-1, 3)
    uv = np.empty((len(unique), 2))
    for name, placement in ISLANDS.items():
        rows = np.unique(faces[island == name])
        uv[rows] = placement.place(bust.uv[unique[rows, 1]])
    cap = np.unique(faces[island == "bottom"])
    uv[cap] = _disc(bust, unique[cap, 0])
    return SkinLayout(unique[:, 0], faces, uv, island)


def island_images(size: int) -> dict[str, tuple[tuple[slice, slice], np.ndarray]]:
    """For each island its texels (row and column slices) and their source coordinates."""
    out = {}
    for name, placement in ISLANDS.items():
        x0, y0, x1, y1 = (round(edge * size / ATLAS) for edge in placement.target)
        margin = 2
        columns = np.arange(max(0, x0 - margin), min(size, x1 + margin))
        rows = np.arange(max(0, y0 - margin), min(size, y1 + margin))
        grid = np.stack(np.meshgrid((columns + 0.5) / size, (rows + 0.5) / size), -1)
        window = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        out[name] = (window, placement.source_uv(grid))
    return out


def _bump(t: np.ndarray, centre: float, half: float, ramp: float) -> np.ndarray:
    """1 within ``half`` of ``centre``, 0 beyond ``half + ramp``, smooth between."""
    s = np.clip((half + ramp - np.abs(t - centre)) / ramp, 0, 1)
    return s * s * (3 - 2 * s)


def _face_islands(bust: Bust) -> np.ndarray:
    """Name of the island of each face."""
    uv_faces = bust.uv_faces
    rows = len(bust.uv)
    graph = sparse.csr_matrix(
        (
            np.ones(2 * len(uv_faces)),
            (np.r_[uv_faces[:, 0], uv_faces[:, 1]], np.r_[uv_faces[:, 1], uv_faces[:, 2]]),
        ),
        (rows, rows),
    )
    _, label = sparse.csgraph.connected_components(graph, directed=False)
    face_label = label[uv_faces[:, 0]]
    island = np.full(len(uv_faces), "bottom", dtype="<U16")
    for value in np.unique(face_label):
        points = bust.uv[uv_faces[face_label == value]].reshape(-1, 2)
        if np.isnan(points).any():
            continue
        centre = (points.min(0) + points.max(0)) / 2
        for name, placement in ISLANDS.items():
            left, low, right, high = placement.source
            if left < centre[0] < right and low < centre[1] < high:
                island[face_label == value] = name
    return island


def _disc(bust: Bust, vertices: np.ndarray) -> np.ndarray:
    """Atlas coordinates of the bottom: concentric rings, the rim outside."""
    count = len(bust.rim)
    first = int(np.flatnonzero(bust.bottom)[0])
    rings = (bust.bottom.sum() - 1) // count
    position = {int(v): (0, i) for i, v in enumerate(bust.rim)}
    for ring in range(rings):
        for i in range(count):
            position[first + ring * count + i] = (ring + 1, i)
    uv = np.zeros((len(vertices), 2))
    x, y, radius = BOTTOM
    for row, vertex in enumerate(vertices.tolist()):
        ring, i = position.get(vertex, (rings + 1, 0))
        share = 1 - ring / (rings + 1)
        angle = 2 * np.pi * (i + 0.5) / count
        uv[row] = (
            (x - radius * share * np.sin(angle)) / ATLAS,
            (y + radius * share * np.cos(angle)) / ATLAS,
        )
    return uv
