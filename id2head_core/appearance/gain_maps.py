"""Low-resolution maps of log gains on a texture, coarse to fine, and the priors on them.

A *log gain* is added to the logarithm of the linear albedo. Maps are ``[C, H, W]`` over the unit
square of the texture coordinates (texel centres at ``(column + 0.5) / W``). The priors are means.
"""

import numpy as np
import torch
import torch.nn.functional as functional
from torch import nn

from ..render.textured_mesh import sample_map
from ..structures import HeadPart

SKIN_LEVELS = ((16, 3), (32, 3), (64, 1))
"""Side and channels of the skin's maps; the finest changes brightness only: coloured detail from a
prior that sees few pixels is blotches."""

SKIN_CAP = 0.6
"""Largest log gain on skin that the photo did not see."""

COLOUR_ALONE = 0.15
"""Share of the fit in which only the colour of the whole skin moves, where it is free."""

HAIR_LEVELS = ((8, 12), (16, 24))
"""Rows and columns of the hair's maps; rows run along the strands, columns around the head."""

HAIR_HUE = 0.25
"""Share of the changes of hue over the head that is kept where the hair's colour is known."""

HAIR_CAP, HAIR_COLOUR_CAP = 0.8, 3.2
"""Largest log gain of the hair's map and of the hair as a whole (black to platinum is about 3)."""


def as_texture(log_gain: torch.Tensor, side: int, wrap: bool = False) -> torch.Tensor:
    """A map at the texels of a square texture, ``[side, side, C]``."""
    centre = (torch.arange(side, dtype=torch.float32) + 0.5) / side
    v, u = torch.meshgrid(centre, centre, indexing="ij")
    values = sample_map(log_gain, torch.stack([u, v], -1).view(-1, 2), wrap)
    return values.view(side, side, -1)


class SkinGain(nn.Module):
    """The head's own change of the skin: a free global colour (pure mode) and coarse-to-fine maps.

    Args:
        free_colour: whether the colour of the whole skin may change.
    """

    def __init__(self, free_colour: bool):
        super().__init__()
        self._first = COLOUR_ALONE if free_colour else 0.0
        self.colour = nn.Parameter(torch.zeros(3), requires_grad=free_colour)
        self.levels = nn.ParameterList(
            torch.zeros(channels, side, side) for side, channels in SKIN_LEVELS
        )

    def forward(self, neutral_map: torch.Tensor, progress: float = 1.0) -> torch.Tensor:
        """Log gain ``[3, 64, 64]``.

        Args:
            neutral_map: neutral's map of Psi_a, ``[3, 16, 16]``.
            progress: in [0, 1]; the levels join one after the other, finest last.
        """
        side = SKIN_LEVELS[-1][0]
        total = _resized(neutral_map, side) * (progress >= self._first)
        for index, level in enumerate(self.levels):
            if progress >= self._first + 0.25 * index:
                total = total + _resized(level, side)
        return self.colour[:, None, None] + SKIN_CAP * torch.tanh(total / SKIN_CAP)


class HairGain(nn.Module):
    """The change of the hair: its colour as a whole and slow changes over the head.

    Args:
        area: share of the hair in each cell of the finest level, ``[16, 24]`` of sum 1: the hair as
            a whole keeps its colour, changes over the head have zero mean there and keep most of
            their hue. None = any colour.
    """

    def __init__(self, area: np.ndarray | None = None):
        super().__init__()
        self._area = None if area is None else torch.from_numpy(np.float32(area))
        self.colour = nn.Parameter(torch.zeros(3), requires_grad=area is None)
        self.levels = nn.ParameterList(torch.zeros(3, *size) for size in HAIR_LEVELS)

    def forward(self, progress: float = 1.0) -> torch.Tensor:
        """Log gain ``[3, 16, 24]``; the finer level joins at a third of the fit."""
        rows, columns = HAIR_LEVELS[-1]
        v, u = torch.meshgrid(
            (torch.arange(rows) + 0.5) / rows, (torch.arange(columns) + 0.5) / columns,
            indexing="ij",
        )  # fmt: skip
        uv = torch.stack([u, v], -1).view(-1, 2)
        total = sample_map(self.levels[0], uv, wrap=True).T.view(3, rows, columns)
        if progress >= 1 / 3:
            total = total + self.levels[1]
        if self._area is not None:
            grey = total.mean(0, keepdim=True)
            total = grey + HAIR_HUE * (total - grey)
        total = HAIR_CAP * torch.tanh(total / HAIR_CAP)
        if self._area is not None:
            total = total - (total * self._area).sum((1, 2), keepdim=True)
        return self.whole()[:, None, None] + total

    def whole(self) -> torch.Tensor:
        """Log gain of the hair as a whole, ``[3]``."""
        return HAIR_COLOUR_CAP * torch.tanh(self.colour / HAIR_COLOUR_CAP)


def hair_area(part: HeadPart | None) -> np.ndarray:
    """Share of a hair mesh's surface in each cell of the finest map, ``[16, 24]``, sum 1."""
    rows, columns = HAIR_LEVELS[-1]
    if part is None:
        return np.full((rows, columns), 1 / (rows * columns), np.float32)
    corners = part.vertices[part.faces]  # [F, 3, 3]
    sides = corners[:, 1:] - corners[:, :1]
    size = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    centre = part.uv[part.faces].mean(1)
    total = np.histogram2d(
        centre[:, 1], centre[:, 0], (rows, columns), ((0, 1), (0, 1)), weights=size
    )[0]
    return (total / max(total.sum(), 1e-9)).astype(np.float32)


def roughness(log_gain: torch.Tensor) -> torch.Tensor:
    """Mean squared slope of a map, per unit of the texture coordinates divided by 16."""
    rows, columns = log_gain.shape[-2:]
    down = log_gain.diff(dim=-2).square().mean() * (rows / 16) ** 2
    across = log_gain.diff(dim=-1).square().mean() * (columns / 16) ** 2
    return down + across


class Seam:
    """Vertices that were duplicated where the texture is cut: both copies need the same gain."""

    def __init__(self, part: HeadPart):
        order = np.argsort(part.weld, kind="stable")
        same = part.weld[order][1:] == part.weld[order][:-1]
        first, second = order[:-1][same], order[1:][same]
        self._uv = torch.from_numpy(np.stack([part.uv[first], part.uv[second]]).astype(np.float32))

    def __call__(self, log_gain: torch.Tensor, wrap: bool = False) -> torch.Tensor:
        """Mean squared step of a map across the cut; 0 for a part without one."""
        if self._uv.shape[1] == 0:
            return log_gain.sum() * 0
        one, other = (sample_map(log_gain, uv, wrap) for uv in self._uv)
        return (one - other).square().mean()


def _resized(log_gain: torch.Tensor, side: int) -> torch.Tensor:
    """A square map at another side, bilinear; one channel counts for all three."""
    log_gain = log_gain.expand(3, -1, -1)[None]
    size = (side, side)
    return functional.interpolate(log_gain, size, mode="bilinear", align_corners=False)[0]
