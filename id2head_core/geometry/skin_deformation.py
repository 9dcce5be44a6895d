"""A smooth residual on the fitted head, mostly where no photo saw it.

Gaussian kernels around control points that are spread over the head carry one vector each; their
normalised sum moves the columns of the tetrahedral grid. Its length is limited softly, and a mask
holds what the photo saw.
"""

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import nn

CONTROL_POINTS = 200

REACH = 1.0
"""Standard deviation of the kernels, in units of the mean distance between control points."""


class SkinDeformation(nn.Module):
    """Residual of the template's vertices.

    Args:
        vertices: template vertices ``[N, 3]``, metres.
        surface: those that are skin, integer ``[W]``; the others follow the nearest of them.
        mask: ``[N]`` in [0, 1]: 0 keeps a vertex where it is.
        cap: largest residual, metres.
    """

    def __init__(self, vertices: np.ndarray, surface: np.ndarray, mask: np.ndarray, cap: float):
        super().__init__()
        points = vertices[surface].astype(np.float64)
        centres = points[spread_out(points, CONTROL_POINTS)]  # [K, 3]
        spacing = cKDTree(centres).query(centres, 2)[0][:, 1].mean()
        near = cKDTree(points).query(vertices)[1]
        squared = ((points[near][:, None] - centres[None]) ** 2).sum(-1)  # [N, K]
        kernels = np.exp(-squared / (2 * (REACH * spacing) ** 2))
        kernels /= np.maximum(kernels.sum(1, keepdims=True), 1e-12)
        self.control = nn.Parameter(torch.zeros(len(centres), 3))  # metres
        self.cap = cap
        for name, values in {"_kernels": kernels, "_mask": mask[:, None]}.items():
            values = torch.from_numpy(np.ascontiguousarray(values, np.float32))
            self.register_buffer(name, values, persistent=False)

    def forward(self) -> torch.Tensor:
        """Residual ``[N, 3]``, metres, nowhere longer than ``cap`` times the mask."""
        offset = self._kernels @ self.control  # [N, 3]
        squared = offset.square().sum(1, keepdim=True)
        return self._mask * offset * (1 + squared / self.cap**2).rsqrt()


def spread_out(points: np.ndarray, count: int) -> np.ndarray:
    """Rows of ``points [P, 3]`` chosen farthest from those before (Gonzalez 1985), ``[count]``."""
    chosen = [int(points[:, 1].argmax())]
    away = np.full(len(points), np.inf)
    for _ in range(min(count, len(points)) - 1):
        away = np.minimum(away, ((points - points[chosen[-1]]) ** 2).sum(1))
        chosen.append(int(away.argmax()))
    return np.array(chosen)
