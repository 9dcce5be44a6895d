"""Priors on a signed distance, a deformation or a mesh while they are optimised.

Pure functions of tensors. Each returns a scalar that is a *mean* over its terms (edges, vertices,
faces), so loss weights do not depend on the resolution. Empty inputs give 0.
"""

import torch


def sign_change_entropy(sdf: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Keep floaters and inner shells away: cross-entropy across each grid edge that changes sign.

    Munkberg et al., "Extracting Triangular 3D Models" (2022), eq. 2, mean over such edges.

    Args:
        sdf: ``[G]``, in units in which 1 is a confident distance.
        edges: ``[E, 2]``.
    """
    values = sdf[edges]  # [E, 2]
    values = values[(values[:, 0] < 0) != (values[:, 1] < 0)]
    if len(values) == 0:
        return sdf.sum() * 0
    other = (values.flip(1) >= 0).to(sdf)
    return torch.nn.functional.binary_cross_entropy_with_logits(values, other)


def column_monotony(sdf: torch.Tensor, heights: torch.Tensor) -> torch.Tensor:
    """The signed distance should grow along each column at the rate of the height.

    Mean of ``(d sdf / d height - 1)^2`` over neighbouring layers: the eikonal equation along the
    columns, which keeps each column crossed exactly once.

    Args:
        sdf: ``[G]``, metres.
        heights: ``[K, V]``, metres, of the ``TetGrid``.
    """
    values = sdf.reshape(heights.shape)
    slope = (values[1:] - values[:-1]) / (heights[1:] - heights[:-1])
    return (slope - 1).square().mean()


def smoothness(values: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of ``values [N, C]`` across ``edges [E, 2]``."""
    if len(edges) == 0:
        return values.sum() * 0
    return (values[edges[:, 0]] - values[edges[:, 1]]).square().sum(1).mean()


def weighted_square(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean over rows of the squared length of ``values [N, C]`` times ``weights [N]``."""
    if len(values) == 0:
        return values.sum() * 0
    return (values.square().sum(1) * weights).mean()


def grid_smoothness(grid: torch.Tensor) -> torch.Tensor:
    """Mean squared step of ``grid [R, C]`` between rows plus that between columns.

    A grid that wraps around repeats its first column at the end.
    """
    steps = [grid.diff(dim=axis).square() for axis in (0, 1)]
    return sum(step.mean() if step.numel() else step.sum() for step in steps)


def laplacian(vertices: torch.Tensor, edges: torch.Tensor) -> torch.Tensor:
    """Mean squared distance of each vertex from the mean of its neighbours (uniform weights).

    Args:
        vertices: ``[V, 3]``.
        edges: undirected, each once, ``[E, 2]``.
    """
    start, end = torch.cat([edges, edges.flip(1)]).T  # [2 E]
    count = vertices.new_zeros(len(vertices)).index_add(0, start, vertices.new_ones(len(start)))
    around = torch.zeros_like(vertices).index_add(0, start, vertices[end])
    used = count > 0
    if not used.any():
        return vertices.sum() * 0
    return (around[used] / count[used, None] - vertices[used]).square().sum(1).mean()


def normal_consistency(vertices: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
    """Mean of ``1 - cos`` between the normals of faces that share an edge.

    Args:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``, welded.
    """
    first, second = adjacent_faces(faces)
    if len(first) == 0:
        return vertices.sum() * 0
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    normals = torch.nn.functional.normalize(torch.linalg.cross(b - a, c - a), dim=1, eps=1e-20)
    return (1 - (normals[first] * normals[second]).sum(1)).mean()


def adjacent_faces(faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Pairs of faces that share an edge, ``[E]`` each; edges with other counts are left out."""
    edges = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]).sort(1).values
    face = torch.arange(len(faces), device=faces.device).repeat(3)
    _, number, count = torch.unique(edges, dim=0, return_inverse=True, return_counts=True)
    order = number.argsort(stable=True)
    order = order[count[number[order]] == 2].view(-1, 2)
    return face[order[:, 0]], face[order[:, 1]]
