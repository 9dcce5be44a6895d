"""The skin's texture space: which point of the surface each texel shows.

Texel images are ``[S, S]`` arrays with row 0 on top; texel centres are at ``(column + 0.5) / S``.
"""

from functools import cached_property

import cv2
import numpy as np
import torch

from ..render.cpu_rasterizer import CpuRasterizer
from ..template.head_template import HeadTemplate


class UVAtlas:
    """Rasterized UV layout of the template's skin.

    Attributes:
        size: side of the texture, pixels.
        mask: bool ``[S, S]``, texels that lie on the surface.
    """

    def __init__(self, template: HeadTemplate, size: int):
        self.template, self.size = template, size
        uv = template.skin_uv
        clip = np.c_[2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1], np.zeros(len(uv)), np.ones(len(uv))]
        fragments = CpuRasterizer().rasterize(
            torch.from_numpy(clip.astype(np.float32)),
            torch.from_numpy(template.skin_faces.astype(np.int64)),
            size,
            size,
        )
        face_index = fragments.face_index.numpy()
        self.mask = face_index >= 0
        self._corners = template.skin_faces[face_index[self.mask]]  # [n, 3] render vertices
        self._barycentric = fragments.barycentric.numpy()[self.mask].astype(np.float32)  # [n, 3]

    def image(self, values: np.ndarray) -> np.ndarray:
        """Interpolate a template-vertex attribute ``[N, ...]`` to a texel image ``[S, S, ...]``."""
        return self.render_image(values[self.template.skin_vertex])

    def render_image(self, values: np.ndarray) -> np.ndarray:
        """Interpolate a render-vertex attribute ``[R, ...]``."""
        weights = self._barycentric.reshape(*self._barycentric.shape, *[1] * (values.ndim - 1))
        out = np.zeros((self.size, self.size, *values.shape[1:]), np.float32)
        corners = self._corners
        out[self.mask] = sum(
            values[corners[:, i]].astype(np.float32) * weights[:, i] for i in range(3)
        )
        return out

    @cached_property
    def mirror_map(self) -> np.ndarray:
        """Texel position of each texel's left-right counterpart, float32 ``[S, S, 2]`` (x, y)."""
        template = self.template
        copies: dict[int, list[int]] = {}
        for render_vertex, vertex in enumerate(template.skin_vertex.tolist()):
            copies.setdefault(vertex, []).append(render_vertex)
        flipped = template.skin_uv * [-1, 1] + [1, 0]
        counterpart = np.empty(len(template.skin_vertex), np.int64)
        for render_vertex, vertex in enumerate(template.skin_vertex.tolist()):
            options = copies[int(template.mirror[vertex])]
            distance = np.abs(template.skin_uv[options] - flipped[render_vertex]).sum(1)
            counterpart[render_vertex] = options[int(distance.argmin())]
        return self.render_image(template.skin_uv[counterpart]) * self.size - 0.5

    def mirrored(self, image: np.ndarray) -> np.ndarray:
        """The texture of the other side of the face, same shape as ``image``."""
        return cv2.remap(
            image, self.mirror_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )

    def blurred(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur in texels that does not mix in texels off the surface."""
        weight = gaussian(self.mask.astype(np.float32), sigma)
        masked = image * (self.mask[..., None] if image.ndim == 3 else self.mask)
        total = gaussian(masked.astype(np.float32), sigma)
        weight = np.maximum(weight, 1e-4)
        return total / (weight[..., None] if image.ndim == 3 else weight)


def gaussian(image: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur of ``[H, W]`` or ``[H, W, C]``; a wide one at a lower resolution."""
    factor = int(sigma // 3)
    if factor < 2:
        return cv2.GaussianBlur(image, (0, 0), sigma)
    height, width = image.shape[:2]
    size = (max(1, width // factor), max(1, height // factor))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), sigma / factor)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)


def pull_push(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fill texels of low weight smoothly from their neighbourhood.

    The pull-push algorithm of Gortler et al., "The Lumigraph" (1996), section 3.3.

    Args:
        values: float32 ``[H, W, C]``.
        weights: float32 ``[H, W]`` in [0, 1]; 1 keeps the value, 0 replaces it.

    Returns:
        float32 ``[H, W, C]``.
    """
    levels = []
    total, weight = values * weights[..., None], weights.astype(np.float32)
    while min(weight.shape) >= 2:
        levels.append((total, weight))
        half = (max(1, weight.shape[1] // 2), max(1, weight.shape[0] // 2))
        small, small_weight = (cv2.resize(a, half, interpolation=cv2.INTER_AREA)
                               for a in (total, weight))  # fmt: skip
        small = small.reshape(*small_weight.shape, -1)
        gain = np.minimum(1, small_weight * 4) / np.maximum(small_weight, 1e-6)
        total, weight = small * gain[..., None], small_weight * gain
    filled = total / np.maximum(weight, 1e-6)[..., None]
    for total, weight in reversed(levels):
        size = (weight.shape[1], weight.shape[0])
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR).reshape(total.shape)
        share = np.clip(weight, 0, 1)[..., None]
        filled = total / np.maximum(weight, 1e-6)[..., None] * share + coarse * (1 - share)
    return filled
