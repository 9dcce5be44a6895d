"""Marching tetrahedra in plain PyTorch: from a signed distance on a tetrahedral grid to a mesh.

The topology is found without gradients; the vertices are a differentiable function of the grid's
vertices and of the signed distance: on the edge between a and b the surface lies at
``(a sdf_b - b sdf_a) / (sdf_b - sdf_a)`` (Shen et al., "Deep Marching Tetrahedra", 2021, eq. 3).
"""

from typing import NamedTuple

import torch

from ..errors import GeometryError

EDGES = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
"""The six edges of a tetrahedron, by its corners."""


class SurfaceMesh(NamedTuple):
    """The zero level set.

    Attributes:
        vertices: ``[N, 3]``, differentiable.
        faces: int64 ``[F, 3]``, counter-clockwise from outside (where sdf > 0).
        edges: int64 ``[N, 2]``, the grid edge on which each vertex lies, smaller index first.
        weights: ``[N, 2]``, of the edge's two ends; ``vertices = sum(weights * grid[edges])``.
    """

    vertices: torch.Tensor
    faces: torch.Tensor
    edges: torch.Tensor
    weights: torch.Tensor


def marching_tetrahedra(
    vertices: torch.Tensor, sdf: torch.Tensor, tetrahedra: torch.Tensor
) -> SurfaceMesh:
    """Extract the surface where ``sdf`` changes its sign.

    Args:
        vertices: of the grid, ``[G, 3]``.
        sdf: ``[G]``, negative inside; 0 counts as outside.
        tetrahedra: integer ``[T, 4]``, each with its corners in positive order:
            ``det(b - a, c - a, d - a) > 0``. Tetrahedra that a deformation has inverted keep their
            order, and the surface stays connected.

    Raises:
        GeometryError: the surface is empty, or an input is not finite.
    """
    if not (torch.isfinite(vertices).all() and torch.isfinite(sdf).all()):
        raise GeometryError(
            "The tetrahedral grid holds values that are not finite. Refit the head."
        )
    with torch.no_grad():
        faces, edges = _topology(sdf, tetrahedra.long())
    if len(faces) == 0:
        raise GeometryError(
            f"The surface is empty: the signed distance runs from {sdf.min().item():.4g} to "
            f"{sdf.max().item():.4g}. It must change its sign."
        )
    weights = crossing_weights(sdf[edges])  # [N, 2]
    points = (vertices[edges] * weights[..., None]).sum(1)  # [N, 3]
    return SurfaceMesh(points, faces, edges, weights)


def crossing_weights(sdf: torch.Tensor) -> torch.Tensor:
    """Weights of an edge's ends at the zero crossing, ``[..., 2]``, from its ``sdf [..., 2]``."""
    share = sdf[..., 0] / (sdf[..., 0] - sdf[..., 1])  # of the second end
    return torch.stack([1 - share, share], dim=-1)


def _topology(sdf: torch.Tensor, tetrahedra: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Faces ``[F, 3]`` over the crossed grid edges ``[N, 2]``."""
    inside = sdf < 0  # [G]
    corners = inside[tetrahedra]  # [T, 4]
    crossed = corners.any(1) & ~corners.all(1)
    tetrahedra, corners = tetrahedra[crossed], corners[crossed]
    case = (corners.long() << torch.arange(4, device=sdf.device)).sum(1)  # [T]
    table, used = _case_table(sdf.device)
    local, used = table[case], used[case]  # [T, 2, 3] edge of each corner; [T, 2]
    ends = tetrahedra[:, torch.tensor(EDGES, device=sdf.device)].sort(-1).values  # [T, 6, 2]
    keys = ends[..., 0] * len(sdf) + ends[..., 1]  # [T, 6]
    face_keys = keys.gather(1, local.reshape(-1, 6)).view(-1, 2, 3)[used]  # [F, 3]
    unique, faces = face_keys.unique(return_inverse=True)
    edges = torch.stack([unique.div(len(sdf), rounding_mode="floor"), unique % len(sdf)], dim=1)
    return faces, edges


def _case_table(device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Triangles of the 16 sign patterns.

    Bit i of the case says that corner i is inside.

    Returns:
        Edge numbers ``[16, 2, 3]`` of up to two triangles, and which of them exist ``[16, 2]``.
    """
    table = torch.zeros(16, 2, 3, dtype=torch.long, device=device)
    used = torch.zeros(16, 2, dtype=torch.bool, device=device)
    for case, triangles in enumerate(case_triangles()):
        for k, triangle in enumerate(triangles):
            table[case, k] = torch.tensor(triangle, device=device)
            used[case, k] = True
    return table, used


def case_triangles() -> list[list[tuple[int, int, int]]]:
    """For each of the 16 sign patterns its triangles, as numbers of ``EDGES``.

    Built from two facts about a tetrahedron (a, b, c, d) in positive order, and from even
    permutations of it: with a alone inside, the triangle ab, ac, ad faces away from a; with a and
    b inside, the quadrilateral ac, ad, bd, bc faces away from them.
    """

    def edge(i: int, j: int) -> int:
        return EDGES.index((min(i, j), max(i, j)))

    cases: list[list[tuple[int, int, int]]] = [[] for _ in range(16)]
    for a, b, c, d in ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0)):
        alone = (edge(a, b), edge(a, c), edge(a, d))
        cases[1 << a] = [alone]
        cases[15 - (1 << a)] = [alone[::-1]]
    for a, b, c, d in (
        (0, 1, 2, 3), (2, 3, 0, 1), (0, 2, 3, 1), (3, 1, 0, 2), (0, 3, 1, 2), (1, 2, 0, 3)
    ):  # fmt: skip
        ac, ad, bd, bc = edge(a, c), edge(a, d), edge(b, d), edge(b, c)
        cases[(1 << a) | (1 << b)] = [(ac, ad, bd), (ac, bd, bc)]
    return cases
