"""The hair's thickness while it is optimised: a residual on the shell grid's signed distance.

The signed distance of a column is ``height - thickness``. The residual of the thickness is a sum of
coarse to fine grids over rows and columns, which wrap around the head, and the relief of the locks,
which moves last. Thickness at or below zero
means no hair and grows more negative away from the hairline, so a smooth residual makes hair grow,
shrink and recede.
"""

import numpy as np
import torch
import torch.nn.functional as functional
from scipy import ndimage
from torch import nn

from ..structures import HairFit
from ..template.hair import FRINGE_LIFT, HairTemplate, shell_height

LEVELS = ((8, 12), (16, 24), (32, 48))
"""Rows and columns of the residual's grids, coarse first."""

LOCK_CAP, LOCK_HEIGHT = 0.45, 0.008
"""Largest relief of the locks, share of the thickness, and metres."""

BESIDE = 8
"""Locks lie side by side: what is alike over this many cells to both sides is no lock."""

LOCK_KNOWN = 0.5
"""Share of the locks' relief that hair keeps whose thickness the photo tells: depth along the
line of sight is not among what it tells."""

CHANGE_CAP = 0.08
"""Largest change of the thickness, metres."""

CROWN_BLUR = 3.0
"""Standard deviation of the blur where columns are half as wide as at the equator, cells."""

ASYMMETRY = 0.3
"""Share of the left-right difference of a change that is kept: what no photo shows of the hair is
mostly symmetric, and the noise of score distillation is not."""

RIM = 3
"""Cells from where a head never grows hair within which a fitted outline does not move, below the
skull."""

LONGEST = 0.17
"""Thickest hair, metres."""


class HairField(nn.Module):
    """Thickness per ray of the hair template.

    Args:
        template: the hair template.
        hair: where to start.
        known: ``[P]`` in [0, 1]: 1 keeps the thickness as it is.
        least: share of the thickness that stays wherever there was hair, so that it can be
            reshaped but gets no holes; 0 lets it recede.
        reach: how far beyond its outline the hair may grow, metres.
    """

    def __init__(
        self,
        template: HairTemplate,
        hair: HairFit,
        known: np.ndarray,
        least: float = 0.0,
        reach: float = np.inf,
    ):
        super().__init__()
        self.least, self.reach = least, reach
        self.template = template
        self.levels = nn.ParameterList(nn.Parameter(torch.zeros(level)) for level in LEVELS)
        rows, columns, _ = template.grid
        self.locks = nn.Parameter(torch.zeros(rows, columns - 1))
        fixed = template.image(template.free | ((hair.thickness <= 0) & (known > 0.5))).copy()
        fixed[-1] = True
        if np.isfinite(reach):  # no stray strands below the bust's rim or on the throat
            bare = _near_rim(template) | _before_the_neck(template)
            fixed |= bare & (template.image(hair.thickness) <= 0)
        free = np.where(fixed, 0.0, 1 - template.image(known))
        start = torch.from_numpy(template.image(hair.thickness).astype(np.float32).copy())
        waves = torch.from_numpy(kept_waves(*template.grid))
        self.register_buffer("_kept_waves", waves, persistent=False)
        self.register_buffer("start", start, persistent=False)
        self.register_buffer("free", torch.from_numpy(free.astype(np.float32)), persistent=False)
        combed = torch.from_numpy(_combed(template, np.asarray(free), fixed))
        self.register_buffer("combed", combed, persistent=False)

    def change(self) -> torch.Tensor:
        """Residual of the thickness before it is masked, grid ``[R, C + 1]``, metres."""
        rows, columns = self.start.shape
        total = sum(_enlarged(level, rows, columns - 1) for level in self.levels)
        waves = torch.fft.rfft(total, dim=1) * self._kept_waves
        total = torch.fft.irfft(waves, n=columns - 1, dim=1)
        total = CHANGE_CAP * torch.tanh(total / CHANGE_CAP)
        total = torch.cat([total, total[:, :1]], dim=1)
        return total.lerp(total.flip(1), (1 - ASYMMETRY) / 2)

    def relief(self, thickness: torch.Tensor) -> torch.Tensor:
        """What the locks add to a ``thickness`` grid ``[R, C + 1]``, metres; the outline stays."""
        room = (LOCK_CAP * thickness).clamp(1e-4, LOCK_HEIGHT)
        locks = _side_by_side(_smooth(self.locks))
        locks = torch.cat([locks, locks[:, :1]], dim=1)
        return self.combed * (thickness > 0) * room * torch.tanh(locks / room)

    def thickness(self) -> torch.Tensor:
        """Thickness ``[P]``, metres, <= 0 without hair."""
        change = self.free * self.change()
        if self.least:
            room = (1 - self.least) * self.start.clamp(min=1e-4)  # how far it may shrink
            shrunk = torch.where(self.start > 0, room * torch.tanh(change / room), change)
            change = torch.where(change < 0, shrunk, change)
        if np.isfinite(self.reach):
            beyond = (1 + self.start / self.reach).clamp(0, 1)  # 1 at the outline, 0 out of reach
            grown = beyond * self.reach * torch.tanh(change / self.reach)  # thin: no tails
            change = torch.where((self.start < 0) & (change > 0), grown, change)
        smooth = self.start + change
        return (smooth + self.relief(smooth)).clamp(max=LONGEST).reshape(-1)

    def height(self, thickness: torch.Tensor) -> torch.Tensor:
        """Height of the shell ``[P]``, as ``shell_height`` of the mesh that is exported.

        The outermost strands have a fixed height; the gradient passes them nevertheless, so the
        hairline can move outwards.
        """
        shell = shell_height(self.template, thickness.detach().numpy())
        active = (shell == np.float32(FRINGE_LIFT)) | (thickness.detach().numpy() > 0)
        through = torch.from_numpy(active.astype(np.float32)) * (thickness - thickness.detach())
        through = through.view(self.start.shape)
        pole = through[:1].mean().expand(1, through.shape[1])
        return torch.from_numpy(shell) + torch.cat([pole, through[1:]]).reshape(-1)


def _combed(template: HairTemplate, free: np.ndarray, fixed: np.ndarray) -> np.ndarray:
    """Where hair may fall into locks, grid ``[R, C + 1]`` in [0, 1]: not around ears."""
    ears = template.blur(template.image((template.ear_height > 0).astype(np.float32)), 1.0)
    rows, _, cap = template.grid
    crown = np.clip(np.arange(rows)[:, None] / cap * 3 - 0.3, 0, 1)  # narrow columns
    combed = np.maximum(free, LOCK_KNOWN) * np.clip(1 - 2 * ears, 0, 1) * crown
    return np.where(fixed, 0, combed).astype(np.float32)


def _near_rim(template: HairTemplate) -> np.ndarray:
    """Cells below the skull that touch cells without hair, bool grid ``[R, C + 1]``."""
    bare = template.image(template.free).copy()
    bare[: template.grid[2]] = False
    wide = np.pad(bare[:, :-1], ((0, 0), (RIM, RIM)), "wrap")
    near = ndimage.binary_dilation(wide, iterations=RIM)[:, RIM:-RIM]
    return np.c_[near, near[:, :1]]


def _before_the_neck(template: HairTemplate) -> np.ndarray:
    """Cells below the skull on the front half, which a photo shows, bool grid ``[R, C + 1]``."""
    u = template.image(template.uv)[..., 0]  # 0.5 in front
    front = np.abs(u - 0.5) < 0.25
    front[: template.grid[2]] = False
    return front


def kept_waves(rows: int, columns: int, cap: int) -> np.ndarray:
    """Share of each wave around the head that is kept, float32 ``[rows, (columns - 1) // 2 + 1]``.

    A Gaussian blur that gets wider, in cells, where columns converge: none at the widest row of
    the skull, all but the mean at the crown.

    Args:
        rows: of the hair template's grid.
        columns: of the grid, the seam counted twice.
        cap: rows on the skull.
    """
    around = np.sin(np.clip(np.arange(rows) / (cap - 1), 0, 1) * np.pi / 2)
    width = CROWN_BLUR * (1 / np.maximum(around, 1e-3) - 1)  # cells
    frequency = 2 * np.pi * np.arange((columns - 1) // 2 + 1) / (columns - 1)
    return np.exp(-0.5 * (width[:, None] * frequency) ** 2).astype(np.float32)


def _smooth(grid: torch.Tensor) -> torch.Tensor:
    """Mean with the neighbours (1 2 1 in both directions), ``[R, C]``; columns wrap around."""
    wide = torch.cat([grid[:, -1:], grid, grid[:, :1]], dim=1)
    wide = (wide[:, :-2] + 2 * wide[:, 1:-1] + wide[:, 2:]) / 4
    tall = torch.cat([wide[:1], wide, wide[-1:]])
    return (tall[:-2] + 2 * tall[1:-1] + tall[2:]) / 4


def _side_by_side(grid: torch.Tensor) -> torch.Tensor:
    """A relief ``[R, C]`` without its mean over ``BESIDE`` columns to both sides."""
    wide = torch.cat([grid[:, -BESIDE:], grid, grid[:, :BESIDE]], dim=1)
    return grid - functional.avg_pool1d(wide[:, None], 2 * BESIDE + 1, stride=1)[:, 0]


def _enlarged(level: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Bicubic enlargement ``[rows, columns]`` that wraps around from the last to the first column.

    ``level [r, c]`` must divide the wanted size.
    """
    pad = 3
    wide = torch.cat([level[:, -pad:], level, level[:, :pad]], dim=1)  # [r, c + 2 pad]
    tall = torch.cat([wide[:1]] * pad + [wide] + [wide[-1:]] * pad)
    scale = (rows // level.shape[0], columns // level.shape[1])
    large = functional.interpolate(
        tall[None, None], scale_factor=scale, mode="bicubic", align_corners=False
    )[0, 0]
    return large[pad * scale[0] :][:rows, pad * scale[1] :][:, :columns]
