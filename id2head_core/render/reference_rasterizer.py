"""The slow, obvious twin of the CPU backend: per-pixel loops in Python. Test oracle only.

It shares no code with the CPU backend, does not snap vertices to sub-pixels, and finds silhouette
edges by trying every face that shares an edge.
"""

from collections.abc import Iterator

import numpy as np
import torch

from ..camera import NEAR
from .rasterizer import AlphaTest, Fragments


class ReferenceRasterizer:
    """Rasterizer by brute force; see ``rasterizer.Rasterizer`` for the operations."""

    def rasterize(
        self,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
        height: int,
        width: int,
        alpha_test: AlphaTest | None = None,
    ) -> Fragments:
        """Test every pixel centre against every face."""
        clip = clip_positions.detach().double().numpy()
        face_index = np.full((height, width), -1, np.int32)
        barycentric = np.zeros((height, width, 3))
        depth = np.full((height, width), np.inf)
        for f, corners in enumerate(faces.tolist()):
            w = clip[corners, 3]
            if (w <= NEAR).any():
                continue
            points = _pixels(clip[corners], height, width)  # [3, 2]
            area = _area(*points)
            if area == 0:
                continue
            for row in range(height):
                for column in range(width):
                    centre = np.array([column + 0.5, row + 0.5])
                    flat = np.array(
                        [
                            _area(centre, points[1], points[2]),
                            _area(points[0], centre, points[2]),
                            _area(points[0], points[1], centre),
                        ]
                    )
                    flat = flat / area  # weights in the image plane
                    if (flat < 0).any():
                        continue
                    here = 1.0 / (flat / w).sum()
                    weights = flat / w * here  # perspective-correct
                    if here >= depth[row, column]:
                        continue
                    if alpha_test and not _alive(alpha_test, f, corners, weights, row, column):
                        continue
                    face_index[row, column] = f
                    barycentric[row, column] = weights
                    depth[row, column] = here
        return Fragments(
            torch.from_numpy(face_index),
            torch.from_numpy(barycentric).to(clip_positions.dtype),
            torch.from_numpy(depth).to(clip_positions.dtype),
        )

    def interpolate(
        self, attributes: torch.Tensor, faces: torch.Tensor, fragments: Fragments
    ) -> torch.Tensor:
        """Weighted sum of the three corners, pixel by pixel."""
        height, width = fragments.face_index.shape
        image = torch.zeros(height, width, attributes.shape[1], dtype=attributes.dtype)
        for row in range(height):
            for column in range(width):
                face = int(fragments.face_index[row, column])
                if face >= 0:
                    weights = fragments.barycentric[row, column].to(attributes)
                    image[row, column] = weights @ attributes[faces[face].long()]
        return image

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
    ) -> torch.Tensor:
        """Blend each pair of neighbouring pixels across the nearer face's silhouette edges."""
        height, width = fragments.face_index.shape
        clip = clip_positions.detach().double().numpy()
        points = _pixels(clip, height, width)  # [V, 2]
        triangles = faces.tolist()
        outermost = {}  # (near pixel, far pixel) -> position
        for a, b, inside in _outline(points, triangles):
            if min(clip[a, 3], clip[b, 3]) <= NEAR:
                continue
            for near, far, position, t in _edge_crossings(points[a], points[b], inside):
                pixels = np.array([near, far])
                if (pixels < 0).any() or (pixels >= (height, width)).any():
                    continue
                w = 1 / ((1 - t) / clip[a, 3] + t / clip[b, 3])
                front, back = float(fragments.depth[near]), float(fragments.depth[far])
                same = fragments.face_index[near] == fragments.face_index[far]
                if same or front >= back or abs(w - front) > abs(w - back):
                    continue
                outermost[near, far] = max(position, outermost.get((near, far), 0.0))
        blended = image.clone()
        for (near, far), position in outermost.items():
            difference = image[near] - image[far]
            if position > 0.5:
                blended[far] += (position - 0.5) * difference
            else:
                blended[near] -= (0.5 - position) * difference
        return blended


def _pixels(clip: np.ndarray, height: int, width: int) -> np.ndarray:
    """Clip ``[N, 4]`` to column and row, ``[N, 2]``."""
    ndc = clip[:, :2] / clip[:, 3:]
    return np.stack([(ndc[:, 0] + 1) / 2 * width, (1 - ndc[:, 1]) / 2 * height], axis=1)


def _area(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    """Twice the signed area of a triangle in the image."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _alive(
    alpha_test: AlphaTest,
    face: int,
    corners: list[int],
    weights: np.ndarray,
    row: int,
    column: int,
) -> bool:
    """Whether the fragment passes the alpha test (bilinear, wrapping around)."""
    layer = 0 if alpha_test.face_texture is None else int(alpha_test.face_texture[face])
    if layer < 0:
        return True
    texture = alpha_test.textures[layer]
    u, v = weights @ alpha_test.uv[corners]
    x, y = u % 1 * texture.shape[1] - 0.5, v % 1 * texture.shape[0] - 0.5
    x0, y0 = int(np.floor(x)), int(np.floor(y))
    alpha = 0.0
    for dy, weight_y in ((0, 1 - (y - y0)), (1, y - y0)):
        for dx, weight_x in ((0, 1 - (x - x0)), (1, x - x0)):
            texel = texture[(y0 + dy) % texture.shape[0], (x0 + dx) % texture.shape[1]]
            alpha += weight_y * weight_x * texel
    threshold = alpha_test.threshold
    if alpha_test.dither:
        threshold = {(0, 0): 0.125, (0, 1): 0.625, (1, 0): 0.875, (1, 1): 0.375}[
            row % 2, column % 2
        ]
    return alpha >= threshold


def _outline(
    points: np.ndarray, triangles: list[list[int]]
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Edges with all of their faces on one side: both ends, and a point on that side."""
    thirds = {}
    for corners in triangles:
        for k in range(3):
            a, b, c = (corners[(k + i) % 3] for i in range(3))
            thirds.setdefault((min(a, b), max(a, b)), []).append(c)
    for (a, b), others in thirds.items():
        sides = [_area(points[a], points[b], points[c]) for c in others]
        if sides[0] != 0 and (len(others) != 2 or sides[0] * sides[1] > 0):
            yield a, b, points[others[0]]


def _edge_crossings(
    start: np.ndarray, end: np.ndarray, inside: np.ndarray
) -> Iterator[tuple[tuple[int, int], tuple[int, int], float, float]]:
    """(near pixel, far pixel, position between them, position along the edge) of one edge."""
    edge = end - start
    across = 1 if abs(edge[1]) >= abs(edge[0]) else 0
    along = 1 - across
    low, high = sorted((start[across], end[across]))
    for line in range(int(np.ceil(low - 0.5)), int(np.ceil(high - 0.5))):
        t = (line + 0.5 - start[across]) / edge[across]
        at = start[along] + t * edge[along]
        foot = start[along] + (inside[across] - start[across]) / edge[across] * edge[along]
        towards_larger = inside[along] > foot
        before = int(np.floor(at - 0.5))
        near, far = (before + 1, before) if towards_larger else (before, before + 1)
        position = abs(at - (near + 0.5))
        if along == 0:
            yield (line, near), (line, far), position, t
        else:
            yield (near, line), (far, line), position, t
