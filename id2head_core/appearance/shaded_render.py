"""Views of the head's albedo as prior images, differentiable in the textures' log gains.

The geometry is fixed here, so a view is rasterized once without gradients; only the gains at its
skin and hair pixels are differentiated. Everything is opaque but the brows, without lashes, like
the images that the prior was trained on (``guidance/prior_image.py``).
"""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from ..camera import Camera
from ..render.normals import vertex_normals_torch
from ..render.rasterizer import AlphaTest, create_rasterizer
from ..structures import HeadAppearance, HeadGeometry
from .gain_maps import sample_map
from .relighting import encoded
from .spherical_harmonics import sh_basis

DRAWN = ("skin", "eyes", "teeth", "tongue", "brows", "hair")
"""Parts in a prior image."""

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
        parts = [geometry.part(name) for name in DRAWN if name in appearance.materials]
        self._parts = [part for part in parts if part is not None and len(part.faces)]
        materials = [appearance.materials[part.name] for part in self._parts]
        offsets = np.cumsum([0] + [len(part.vertices) for part in self._parts])
        welds = np.cumsum([0] + [int(part.weld.max()) + 1 for part in self._parts])
        rows = list(zip(self._parts, offsets, welds, strict=False))
        faces = np.concatenate([part.faces + offset for part, offset, _ in rows])
        self._faces = torch.from_numpy(faces.astype(np.int64))
        self._weld = torch.from_numpy(
            np.concatenate([part.weld + start for part, _, start in rows]).astype(np.int64)
        )
        uv = np.concatenate([part.uv for part in self._parts]).astype(np.float32)
        self._uv = torch.from_numpy(uv)
        counts = [len(part.faces) for part in self._parts]
        self._face_part = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        side = 4 * size  # two texels or less to a sample: area filter instead of mipmaps
        self._textures = [_filtered(material.albedo, side) for material in materials]
        self._allowed = None if allowed is None else _filtered(allowed[..., None], side)
        self._alpha_test = self._cut_out(materials, uv)
        self._rasterizer = create_rasterizer()
        self.size = size

    @torch.no_grad()
    def view(self, camera: Camera, expression: np.ndarray) -> View:
        """Rasterize one camera with expression weights ``[13]``."""
        side = SUPERSAMPLE * self.size
        vertices = np.concatenate(
            [p.vertices + np.tensordot(expression, p.displacements, 1) for p in self._parts]
        ).astype(np.float32)
        clip = torch.from_numpy(camera.clip_positions(vertices))
        normals = vertex_normals_torch(torch.from_numpy(vertices), self._faces, self._weld)
        fragments = self._rasterizer.rasterize(clip, self._faces, side, side, self._alpha_test)
        attributes = torch.cat([self._uv, normals], dim=1)
        image = self._rasterizer.interpolate(attributes, self._faces, fragments).view(-1, 5)
        covered = fragments.mask.view(-1)
        normals = functional.normalize(image[:, 2:], dim=1)
        part = torch.where(
            covered, self._face_part[fragments.face_index.view(-1).long().clamp(min=0)], -1
        )
        pixels = {p.name: (part == i).nonzero()[:, 0] for i, p in enumerate(self._parts)}
        base = torch.zeros(side * side, 3)
        for (name, seen), texture in zip(pixels.items(), self._textures, strict=True):
            base[seen] = sample_map(texture, image[seen, :2], wrap=name == "hair")
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

    def _cut_out(self, materials, uv: np.ndarray) -> AlphaTest | None:
        """Alpha test of the brows: a card would hide the skin."""
        names = [part.name for part in self._parts]
        if "brows" not in names or materials[names.index("brows")].alpha is None:
            return None
        index = names.index("brows")
        layer = np.where(self._face_part.numpy() == index, 0, -1).astype(np.int32)
        return AlphaTest(uv, (materials[index].alpha,), layer, dither=True)


def _filtered(texture: np.ndarray, side: int) -> torch.Tensor:
    """A texture ``[H, W, C]`` at most ``side`` wide, ``[C, h, w]``."""
    height, width = texture.shape[:2]
    size = (min(side, width), min(side, height))
    small = cv2.resize(np.float32(texture), size, interpolation=cv2.INTER_AREA)
    small = small.reshape(size[1], size[0], -1)
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))


def _pooled_basis(normals: torch.Tensor, covered: torch.Tensor, side: int) -> torch.Tensor:
    """Mean basis over the covered samples of each pixel, ``[9, S, S]``."""
    basis = sh_basis(normals) * covered[:, None]
    basis = functional.avg_pool2d(basis.T.reshape(1, 9, side, side), SUPERSAMPLE)[0]
    cover = functional.avg_pool2d(covered.float().view(1, 1, side, side), SUPERSAMPLE)[0]
    return basis / cover.clamp(min=1e-3)
