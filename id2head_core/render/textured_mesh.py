"""The opaque parts of a head as one mesh in torch, with small textures of their albedo.

What the differentiable pictures of the appearance (``appearance/shaded_render.py``) and of the
identity (``geometry/identity_shape.py``) have in common. Everything is opaque but the brows, and
there are no lashes, like in the images that the prior was trained on (``guidance/prior_image.py``).
"""

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from ..structures import HeadAppearance, HeadGeometry
from .rasterizer import AlphaTest, Fragments

DRAWN = ("skin", "eyes", "teeth", "tongue", "brows", "hair")
"""Parts that are drawn, if they have a material."""

WRAPPED = "hair"
"""The part whose texture coordinate u is a circle."""


class TexturedMesh:
    """Parts of one head, concatenated.

    Args:
        geometry: of the head.
        appearance: of the head; parts without a material are left out.
        side: largest side of a texture, texels. Two texels or less to a sample need no mipmaps.

    Attributes:
        parts: those that are drawn.
        start: first row of each part and the number of rows, int ``[P + 1]``.
        faces: int64 ``[F, 3]``.
        weld: number of the point of each row, int64 ``[V]``.
        uv: float32 ``[V, 2]``.
        alpha_test: of the brows, or None.
    """

    def __init__(self, geometry: HeadGeometry, appearance: HeadAppearance, side: int):
        parts = [geometry.part(name) for name in DRAWN if name in appearance.materials]
        self.parts = [part for part in parts if part is not None and len(part.faces)]
        materials = [appearance.materials[part.name] for part in self.parts]
        self.start = np.cumsum([0] + [len(part.vertices) for part in self.parts])
        welds = np.cumsum([0] + [int(part.weld.max()) + 1 for part in self.parts])
        rows = list(zip(self.parts, self.start, welds, strict=False))
        faces = np.concatenate([part.faces + offset for part, offset, _ in rows])
        self.faces = torch.from_numpy(faces.astype(np.int64))
        self.weld = torch.from_numpy(
            np.concatenate([part.weld + start for part, _, start in rows]).astype(np.int64)
        )
        uv = np.concatenate([part.uv for part in self.parts]).astype(np.float32)
        self.uv = torch.from_numpy(uv)
        counts = [len(part.faces) for part in self.parts]
        self._face_part = torch.from_numpy(np.repeat(np.arange(len(counts)), counts))
        self._textures = [small_texture(material.albedo, side) for material in materials]
        self.alpha_test = self._cut_out(materials, uv)

    def vertices(self, expression: np.ndarray | None = None) -> np.ndarray:
        """All vertices with expression weights ``[13]``, float32 ``[V, 3]``."""
        posed = [
            part.vertices
            if expression is None
            else part.vertices + np.tensordot(expression, part.displacements, 1)
            for part in self.parts
        ]
        return np.concatenate(posed).astype(np.float32)

    def pixels(self, fragments: Fragments) -> dict[str, torch.Tensor]:
        """Flat pixel numbers that show each part, long ``[M]`` by name."""
        index = fragments.face_index.view(-1).long()
        part = torch.where(index >= 0, self._face_part[index.clamp(min=0)], -1)
        return {p.name: (part == i).nonzero()[:, 0] for i, p in enumerate(self.parts)}

    def albedo(self, uv: torch.Tensor, pixels: dict[str, torch.Tensor]) -> torch.Tensor:
        """Linear albedo ``[R, 3]``, 0 in the background; differentiable in ``uv [R, 2]``."""
        image = uv.new_zeros(len(uv), 3)
        for (name, shown), texture in zip(pixels.items(), self._textures, strict=True):
            values = sample_map(texture, uv[shown], wrap=name == WRAPPED)
            image = image.index_copy(0, shown, values)
        return image

    def _cut_out(self, materials, uv: np.ndarray) -> AlphaTest | None:
        """Alpha test of the brows: a card would hide the skin."""
        names = [part.name for part in self.parts]
        if "brows" not in names or materials[names.index("brows")].alpha is None:
            return None
        index = names.index("brows")
        layer = np.where(self._face_part.numpy() == index, 0, -1).astype(np.int32)
        return AlphaTest(uv, (materials[index].alpha,), layer, dither=True)


def small_texture(texture: np.ndarray, side: int) -> torch.Tensor:
    """A texture ``[H, W, C]`` at most ``side`` wide, ``[C, h, w]``."""
    height, width = texture.shape[:2]
    size = (min(side, width), min(side, height))
    small = cv2.resize(np.float32(texture), size, interpolation=cv2.INTER_AREA)
    small = small.reshape(size[1], size[0], -1)
    return torch.from_numpy(np.ascontiguousarray(small.transpose(2, 0, 1)))


def sample_map(values: torch.Tensor, uv: torch.Tensor, wrap: bool = False) -> torch.Tensor:
    """Bilinear values ``[M, C]`` of a map ``[C, H, W]`` at ``uv [M, 2]``; ``wrap``: u is a circle.

    Beyond the outermost texel centres the map is constant.
    """
    u, v = uv[:, 0], uv[:, 1]
    if wrap:
        width = values.shape[2]
        values = torch.cat([values[..., -1:], values, values[..., :1]], dim=2)
        u = (u * width + 1) / (width + 2)
    grid = torch.stack([u, v], 1)[None, None] * 2 - 1  # [1, 1, M, 2]
    sampled = functional.grid_sample(
        values[None], grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    return sampled[0, :, 0].T
