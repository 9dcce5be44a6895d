"""Find the rings of vertices around the eye openings and the mouth of the base mesh.

The mesh around each opening is a polar grid: a fixed number of columns, one ring after the other.
Knowing it, lids and lips can be closed exactly: column j of the upper lid or lip meets column -j
of the lower one.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from .bake_sources import BaseMesh


@dataclass(frozen=True)
class Opening:
    """Where an opening's polar grid is found.

    Attributes:
        start: two neighbouring base vertices of the ring where the two sides meet.
        columns: vertices per ring.
        inner: rings kept behind that ring.
        outer: rings kept around it.
    """

    start: tuple[int, int]
    columns: int
    inner: int
    outer: int


LEFT_EYE = Opening((6784, 6785), 28, 4, 9)
"""The subject's left eye; the start ring is the front edge of the lids."""

MOUTH = Opening((474, 7229), 38, 4, 9)
"""The start ring is where closed lips touch."""


def lid_rings(mesh: BaseMesh) -> np.ndarray:
    """Base vertices around the eyes, int ``[2, 14, 28]``, the right eye first."""
    left = polar_rings(mesh, LEFT_EYE)
    _, mirror = cKDTree(mesh.vertices).query(mesh.vertices * [-1, 1, 1])
    return np.stack([mirror[left], left])


def lip_rings(mesh: BaseMesh) -> np.ndarray:
    """Base vertices around the mouth, int ``[14, 38]``."""
    return polar_rings(mesh, MOUTH)


def polar_rings(mesh: BaseMesh, opening: Opening) -> np.ndarray:
    """Base vertices of the rings, int ``[inner + 1 + outer, columns]``, from the inside outwards.

    Column 0 is the corner at the smallest x, the upper side follows, then the other corner and the
    lower side back.
    """
    neighbours, faces_of = _topology(mesh.quads["body"])
    ring = _loop(*opening.start, neighbours, faces_of)
    if len(ring) != opening.columns:
        raise ValueError(f"The opening has {len(ring)} columns instead of {opening.columns}.")
    ring = np.roll(ring, -int(mesh.vertices[ring, 0].argmin()))
    quarter = opening.columns // 4
    if mesh.vertices[ring[quarter], 1] < mesh.vertices[ring[-quarter], 1]:
        ring = np.r_[ring[:1], ring[:0:-1]]
    outer, inner = _rings_from(ring, neighbours, mesh.vertices, max(opening.inner, opening.outer))
    return np.array([*inner[: opening.inner][::-1], ring, *outer[: opening.outer]])


def _topology(quads: np.ndarray):
    """Neighbours of each vertex, and the quads of each edge."""
    neighbours: dict[int, set[int]] = {}
    faces_of: dict[frozenset, set[int]] = {}
    for row, quad in enumerate(quads.tolist()):
        for i in range(4):
            a, b = quad[i], quad[(i + 1) % 4]
            neighbours.setdefault(a, set()).add(b)
            neighbours.setdefault(b, set()).add(a)
            faces_of.setdefault(frozenset((a, b)), set()).add(row)
    return neighbours, faces_of


def _loop(first: int, second: int, neighbours, faces_of) -> np.ndarray:
    """The closed edge loop through two neighbours."""
    loop = [first, second]
    while True:
        here = loop[-1]
        behind = faces_of[frozenset(loop[-2:])]
        ahead = [
            v
            for v in sorted(neighbours[here])
            if v != loop[-2] and not faces_of[frozenset((here, v))] & behind
        ]
        if ahead[0] == first:
            return np.array(loop)
        loop.append(ahead[0])


def _rings_from(margin: np.ndarray, neighbours, vertices: np.ndarray, count: int):
    """Up to ``count`` rings on both sides of ``margin``: around the opening, and into it."""
    sides = []
    centre = vertices[margin].mean(0)
    for sign in (1, -1):  # the outer side lies farther from the middle of the opening
        previous, current, rings = None, margin, []
        used = set(margin.tolist())
        for _ in range(count):
            ring = []
            for vertex in current.tolist():
                options = sorted(neighbours[vertex] - used)
                if not options:
                    break
                distance = [np.linalg.norm(vertices[o] - centre) for o in options]
                if previous is None:
                    # depth tells the rim from the face: the rim runs backwards
                    order = np.argsort([sign * vertices[o][2] for o in options])
                    ring.append(options[int(order[-1])])
                else:
                    ring.append(
                        options[int(np.argmin(distance))] if len(options) > 1 else options[0]
                    )
            if len(set(ring)) != len(margin):
                break
            previous, current = current, np.array(ring)
            used |= set(ring)
            rings.append(current)
        sides.append(rings)
    return sides
