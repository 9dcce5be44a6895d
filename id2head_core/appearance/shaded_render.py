"""Views of the head's albedo as prior images, differentiable in the textures' log gains.

The geometry is fixed here, so a view is rasterized once without gradients; only the gains at its
skin and hair pixels are differentiated.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional

from ..camera import Camera
from ..render.normals import vertex_normals_torch
from ..render.rasterizer import create_rasterizer
from ..render.textured_mesh import TexturedMesh, sample_map, small_texture
from ..structures import HeadAppearance, HeadGeometry
from .relighting import encoded
from .spherical_harmonics import sh_basis

SUPERSAMPLE = 2
"""Samples per pixel along each axis."""

BACKGROUND = 0.5


@dataclass(frozen=True)
class View:
    """One camera and expression; R = SUPERSAMPLE S samples along each axis.

    Attributes:
        base: linear albedo of the textures, ``[R * R, 3]``, 0 in the background.
        mask: covered samples, float ``[R * R]``.
        skin: samples that show skin, long ``[M]``, and ``skin_uv [M, 2]``.
        allowed: how far the skin's own gain acts there, ``[M]`` in [0, 1].
        hair: samples that show hair, long ``[H]``, and ``hair_uv [H, 2]``.
        normals: unit, world frame, ``[R * R, 3]``, 0 in the background.
        basis: mean ``sh_basis`` of the normals, ``[9, S, S]``, 0 in the background.
        size: S, pixels.
    """

    base: torch.Tensor
    mask: torch.Tensor
    skin: torch.Tensor
    skin_uv: torch.Tensor
    allowed: torch.Tensor
    hair: torch.Tensor
    hair_uv: torch.Tensor
    normals: torch.Tensor
    basis: torch.Tensor
    size: int

    def image(
        self, skin_map: torch.Tensor, hair_map: torch.Tensor, expression_map: torch.Tensor
    ) -> torch.Tensor:
        """The albedo as a prior image, encoded ``[3, S, S]`` over the grey background.

        Args:
            skin_map: log gain of the head, ``[3, h, w]``; acts where ``allowed``.
            hair_map: ``[3, h, w]``.
            expression_map: log gain that the expression adds, ``[3, h, w]``.
        """
        log_gain = self.allowed[:, None] * sample_map(skin_map, self.skin_uv)
        log_gain = log_gain + sample_map(expression_map, self.skin_uv)
        factor = torch.ones_like(self.base).index_copy(0, self.skin, log_gain.exp())
        if len(self.hair):
            hair = sample_map(hair_map, self.hair_uv, wrap=True).exp()
            factor = factor.index_copy(0, self.hair, hair)
        side = SUPERSAMPLE * self.size
        linear = (self.base * factor).clamp(max=1).T.reshape(1, 3, side, side)
        cover = functional.avg_pool2d(self.mask.view(1, 1, side, side), SUPERSAMPLE)
        linear = functional.avg_pool2d(linear, SUPERSAMPLE) / cover.clamp(min=1e-3)
        return (BACKGROUND + (encoded(linear) - BACKGROUND) * cover)[0]


class AlbedoRenderer:
    """Makes views of one head.

    Args:
        geometry: of the head.
        appearance: the textures that gains are applied to.
        size: S, pixels.
        allowed: float32 ``[T, T]`` in [0, 1], where the skin's own gain acts; None = everywhere.
    """

    def __init__(
        self,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        size: int,
        allowed: np.ndarray | None = None,
    ):
        side = 4 * size
        self._mesh = TexturedMesh(geometry, appearance, side)
        self._allowed = None if allowed is None else small_texture(allowed[..., None], side)
        self._rasterizer = create_rasterizer()
        self.size = size

    @torch.no_grad()
    def view(self, camera: Camera, expression: np.ndarray) -> View:
        """Rasterize one camera with expression weights ``[13]``."""
        side, mesh = SUPERSAMPLE * self.size, self._mesh
        vertices = mesh.vertices(expression)
        clip = torch.from_numpy(camera.clip_positions(vertices))
        normals = vertex_normals_torch(torch.from_numpy(vertices), mesh.faces, mesh.weld)
        fragments = self._rasterizer.rasterize(clip, mesh.faces, side, side, mesh.alpha_test)
        attributes = torch.cat([mesh.uv, normals], dim=1)
        image = self._rasterizer.interpolate(attributes, mesh.faces, fragments).view(-1, 5)
        covered = fragments.mask.view(-1)
        normals = functional.normalize(image[:, 2:], dim=1)
        pixels = mesh.pixels(fragments)
        base = mesh.albedo(image[:, :2], pixels)
        nothing = torch.zeros(0, dtype=torch.long)
        skin, hair = pixels.get("skin", nothing), pixels.get("hair", nothing)
        return View(
            base,
            covered.float(),
            skin,
            image[skin, :2],
            self._where_allowed(image[skin, :2]),
            hair,
            image[hair, :2],
            normals,
            _pooled_basis(normals, covered, side),
            self.size,
        )

    def _where_allowed(self, uv: torch.Tensor) -> torch.Tensor:
        if self._allowed is None:
            return torch.ones(len(uv))
        return sample_map(self._allowed, uv)[:, 0]


def _pooled_basis(normals: torch.Tensor, covered: torch.Tensor, side: int) -> torch.Tensor:
    """Mean basis over the covered samples of each pixel, ``[9, S, S]``."""
    basis = sh_basis(normals) * covered[:, None]
    basis = functional.avg_pool2d(basis.T.reshape(1, 9, side, side), SUPERSAMPLE)[0]
    cover = functional.avg_pool2d(covered.float().view(1, 1, side, side), SUPERSAMPLE)[0]
    return basis / cover.clamp(min=1e-3)
