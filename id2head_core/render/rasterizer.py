"""The rasterization protocol, what travels through it, and the one place that chooses a backend.

Conventions of all backends: clip space is OpenGL's, image row 0 is on top, pixel centres are at
``(column + 0.5, row + 0.5)``, nothing is culled by orientation, and a triangle with a vertex at or
behind the camera's near plane (``w <= NEAR``) is not drawn.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch


@dataclass(frozen=True)
class Fragments:
    """What is visible in each pixel.

    Attributes:
        face_index: int32 ``[H, W]``, row of ``faces``; -1 is background.
        barycentric: ``[H, W, 3]``, perspective-correct weights of the face's vertices; 0 in the
            background. Differentiable with respect to the clip positions.
        depth: ``[H, W]``, metres along the view axis (clip w); infinity in the background.
    """

    face_index: torch.Tensor
    barycentric: torch.Tensor
    depth: torch.Tensor

    @property
    def mask(self) -> torch.Tensor:
        """Covered pixels, bool ``[H, W]``."""
        return self.face_index >= 0


@dataclass(frozen=True)
class AlphaTest:
    """Cut-out transparency: fragments below the threshold do not exist, what is behind them shows.

    Attributes:
        uv: float32 ``[V, 2]``, (0, 0) = top left of the texture; wraps around.
        textures: alpha maps, float32 ``[h, w]`` in [0, 1].
        face_texture: int32 ``[F]``, index into ``textures``, -1 for opaque faces; None = all 0.
        threshold: a fragment lives where its (bilinear) alpha is at least this.
        dither: use thresholds 1/8, 5/8, 7/8, 3/8 in the pixels of each 2 x 2 block instead, so that
            averaging the blocks gives soft edges.
    """

    uv: np.ndarray
    textures: tuple[np.ndarray, ...]
    face_texture: np.ndarray | None = None
    threshold: float = 0.5
    dither: bool = False


class Rasterizer(Protocol):
    """The three operations of a differentiable rasterizer."""

    def rasterize(
        self,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
        height: int,
        width: int,
        alpha_test: AlphaTest | None = None,
    ) -> Fragments:
        """Find the visible face of each pixel.

        Args:
            clip_positions: float32 ``[V, 4]``.
            faces: integer ``[F, 3]``.
            height: of the image, pixels.
            width: of the image, pixels.
            alpha_test: cut-outs, or None where everything is opaque.
        """
        ...

    def interpolate(
        self, attributes: torch.Tensor, faces: torch.Tensor, fragments: Fragments
    ) -> torch.Tensor:
        """Vertex ``attributes [V, C]`` at each pixel, ``[H, W, C]``; 0 in the background."""
        ...

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
    ) -> torch.Tensor:
        """Blend pixels across silhouettes by coverage; this carries the silhouettes' gradients.

        Args:
            image: ``[H, W, C]``, colours at the pixel centres (background included).
            fragments: of the same view.
            clip_positions: ``[V, 4]``, the same that were rasterized.
            faces: ``[F, 3]``.
        """
        ...


def create_rasterizer(device: str | torch.device = "cpu") -> Rasterizer:
    """The backend for a device: nvdiffrast on CUDA where it is installed, else the CPU backend."""
    if torch.device(device).type == "cuda":
        from .nvdiffrast_rasterizer import NvdiffrastRasterizer

        return NvdiffrastRasterizer(device)
    from .cpu_rasterizer import CpuRasterizer

    return CpuRasterizer()
