"""Where silhouette edges pass between pixel centres, differentiably.

The coverage rule is that of Laine et al., "Modular Primitives for High-Performance Differentiable
Rendering" (2020), section 3.5. The search is ours: it starts from the mesh's silhouette edges, not
from the triangles under the pixel centres, because near the limb of a head triangles are thinner
than a pixel and most silhouettes would be missed.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..camera import NEAR
from .rasterizer import Fragments

BOUNDARY = -1


@dataclass(frozen=True)
class Edges:
    """The edges of a mesh.

    Attributes:
        ends: int64 ``[E, 2]``, vertices.
        thirds: int64 ``[E, 2]``, third vertices of the two faces; ``BOUNDARY`` in the second place
            where there is no second face, or more than two.
    """

    ends: torch.Tensor
    thirds: torch.Tensor


@dataclass(frozen=True)
class Crossings:
    """Silhouette edges between neighbouring pixel centres.

    Attributes:
        near: flat index of the pixel on the side of the surface, ``[K]``.
        far: flat index of its neighbour, which shows what is behind, ``[K]``.
        position: 0 at the centre of ``near``, 1 at that of ``far``; differentiable, ``[K]``.
    """

    near: torch.Tensor
    far: torch.Tensor
    position: torch.Tensor


def mesh_edges(faces: torch.Tensor) -> Edges:
    """All edges of ``faces [F, 3]``."""
    array = faces.cpu().numpy().astype(np.int64)
    ends = np.stack([array, np.roll(array, -1, axis=1)], axis=2).reshape(-1, 2)  # [3 F, 2]
    ends.sort(axis=1)
    third = np.roll(array, -2, axis=1).reshape(-1)
    keys = ends[:, 0] * (array.max(initial=0) + 1) + ends[:, 1]
    order = np.argsort(keys, kind="stable")
    _, start, count = np.unique(keys[order], return_index=True, return_counts=True)
    first = order[start]
    thirds = np.full((len(start), 2), BOUNDARY, np.int64)
    thirds[:, 0] = third[first]
    thirds[count == 2, 1] = third[order[start[count == 2] + 1]]
    return Edges(torch.from_numpy(ends[first]), torch.from_numpy(thirds))


def silhouette_crossings(
    clip_positions: torch.Tensor, edges: Edges, fragments: Fragments
) -> Crossings:
    """Visible silhouette crossings of one view.

    An edge that is closer to vertical is tested against the rows of pixel centres, any other edge
    against the columns. Of several edges between two centres the outermost counts.

    Args:
        clip_positions: ``[V, 4]``.
        edges: of the mesh.
        fragments: of the same view.
    """
    height, width = fragments.face_index.shape
    with torch.no_grad():
        ends, inside = _silhouettes(clip_positions, edges, height, width)
    points = clip_positions[ends]  # [S, 2, 4]
    screen = _to_pixels(points, height, width)  # [S, 2, 2]
    steep = (screen[:, 1] - screen[:, 0]).detach().abs()  # [S, 2]
    steep = steep[:, 1] >= steep[:, 0]
    parts = [
        _axis_crossings(points[chosen], screen[chosen], inside[chosen], fragments, axis)
        for axis, chosen in ((0, steep), (1, ~steep))
    ]
    return Crossings(*(torch.cat(values) for values in zip(*parts, strict=True)))


def _silhouettes(
    clip: torch.Tensor, edges: Edges, height: int, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Edges with the whole surface on one side: ends ``[S, 2]``, that side's sign ``[S]``."""
    if len(edges.ends) == 0:
        return edges.ends, edges.ends.new_zeros(0)
    screen = _to_pixels(clip, height, width)  # [V, 2]
    start, end = screen[edges.ends[:, 0]], screen[edges.ends[:, 1]]
    first = _side(start, end, screen[edges.thirds[:, 0]]).sign()
    second = _side(start, end, screen[edges.thirds[:, 1].clamp(min=0)]).sign()
    outline = (edges.thirds[:, 1] == BOUNDARY) | (first * second > 0)
    outline &= (clip[edges.ends, 3] > NEAR).all(1) & (first != 0)
    return edges.ends[outline], first[outline]


def _axis_crossings(
    points: torch.Tensor,
    screen: torch.Tensor,
    inside: torch.Tensor,
    fragments: Fragments,
    axis: int,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Crossings between pixels side by side (axis 0) or stacked (axis 1).

    Args:
        points: clip positions of the edges' ends, ``[S, 2, 4]``.
        screen: the same in pixels, ``[S, 2, 2]``.
        inside: sign of the surface's side, ``[S]``.
        fragments: of the view.
        axis: along which the pixels are neighbours.
    """
    height, width = fragments.face_index.shape
    along, across = axis, 1 - axis
    limit, lines = (width, height) if axis == 0 else (height, width)
    edge, line = _expand(screen[:, :, across].detach(), lines)  # [N]: edge and pixel line
    start, end = screen[edge, 0], screen[edge, 1]  # [N, 2]
    t = (line + 0.5 - start[:, across]) / (end[:, across] - start[:, across])
    where = start[:, along] + t * (end[:, along] - start[:, along]) - 0.5  # 0 = first centre
    with torch.no_grad():
        before = where.floor().long()  # the pixel before the crossing
        direction = inside[edge] * (end - start)[:, across].sign() * (-1 if axis == 0 else 1)
        behind = direction > 0  # the surface lies at larger coordinates
        kept = (before >= 0) & (before + 1 < limit)
        near_at, far_at = before + behind.long(), before + (~behind).long()
        near, far = _flat(near_at, line, width, axis), _flat(far_at, line, width, axis)
        near, far = torch.where(kept, near, 0), torch.where(kept, far, 0)
        w = 1 / ((1 - t) / points[edge, 0, 3] + t / points[edge, 1, 3])
        kept &= _visible(fragments, near, far, w)
    position = torch.where(behind, near_at - where, where - near_at)
    chosen = _outermost(near, far, position.detach(), kept)
    return near[chosen], far[chosen], position[chosen]


def _expand(spans: torch.Tensor, lines: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel lines whose centres lie within each of ``spans [S, 2]``: (span, line), ``[N]`` each."""
    low = (spans.min(1).values - 0.5).ceil().clamp(0, lines).long()
    high = (spans.max(1).values - 0.5).ceil().clamp(0, lines).long()  # exclusive
    count = high - low
    span = torch.repeat_interleave(torch.arange(len(spans)), count)
    first = count.cumsum(0) - count
    return span, low[span] + torch.arange(len(span)) - first[span]


def _flat(at: torch.Tensor, line: torch.Tensor, width: int, axis: int) -> torch.Tensor:
    """Flat pixel index from the coordinate along the axis and the line."""
    return line * width + at if axis == 0 else at * width + line


def _visible(
    fragments: Fragments, near: torch.Tensor, far: torch.Tensor, w: torch.Tensor
) -> torch.Tensor:
    """Whether an edge at depth ``w`` is the outline of what ``near`` shows in front of ``far``."""
    face = fragments.face_index.reshape(-1)
    depth = fragments.depth.detach().reshape(-1)
    front, back = depth[near], depth[far]
    belongs = (w - front).abs() <= (w - back).abs()  # to the nearer of the two surfaces
    return (face[near] != face[far]) & (front < back) & belongs


def _outermost(
    near: torch.Tensor, far: torch.Tensor, position: torch.Tensor, kept: torch.Tensor
) -> torch.Tensor:
    """Of the kept crossings of each (near, far) pair, the row with the largest position."""
    rows = kept.nonzero()[:, 0].numpy()
    near, far, position = near.numpy()[rows], far.numpy()[rows], position.numpy()[rows]
    order = np.lexsort((position, far, near))
    near, far = near[order], far[order]
    last = np.ones(len(order), bool)
    last[:-1] = (near[1:] != near[:-1]) | (far[1:] != far[:-1])
    return torch.from_numpy(rows[order[last]])


def _to_pixels(clip: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Clip ``[..., 4]`` to column and row, ``[..., 2]``."""
    ndc = clip[..., :2] / clip[..., 3:]
    return torch.stack(
        [(ndc[..., 0] * 0.5 + 0.5) * width, (0.5 - ndc[..., 1] * 0.5) * height], dim=-1
    )


def _side(start: torch.Tensor, end: torch.Tensor, point: torch.Tensor) -> torch.Tensor:
    """Twice the signed area of (start, end, point), ``[N]``."""
    edge, offset = end - start, point - start
    return edge[:, 0] * offset[:, 1] - edge[:, 1] * offset[:, 0]
