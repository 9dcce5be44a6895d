"""The CUDA backend: an adapter to nvdiffrast, and the only file that imports it."""

import torch

from .rasterizer import AlphaTest, Fragments

MAX_LAYERS = 8
"""Depth layers that the alpha test looks through."""


class NvdiffrastRasterizer:
    """Rasterizer on a CUDA device; see ``rasterizer.Rasterizer`` for the operations.

    nvdiffrast puts image row 0 at clip y = -1, so y is negated on the way in. It draws triangles
    that cross the near plane (clipped), which the CPU backend drops.
    """

    def __init__(self, device: str | torch.device = "cuda"):
        import nvdiffrast.torch as dr

        self._dr = dr
        self._context = dr.RasterizeCudaContext(device=device)

    def rasterize(
        self,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
        height: int,
        width: int,
        alpha_test: AlphaTest | None = None,
    ) -> Fragments:
        """Visible faces, barycentrics and depth; see the protocol."""
        positions, triangles = _flipped(clip_positions), faces.int().contiguous()
        size = (height, width)
        if alpha_test is None:
            raster, _ = self._dr.rasterize(self._context, positions, triangles, size)
        else:
            raster = self._peel(positions, triangles, size, alpha_test)
        face_index = raster[0, ..., 3].int() - 1  # [H, W]
        mask = face_index >= 0
        weights = torch.cat([raster[0, ..., :2], 1 - raster[0, ..., :2].sum(-1, keepdim=True)], -1)
        barycentric = torch.where(mask[..., None], weights, 0.0)
        corner_depths = clip_positions[faces[face_index.clamp(min=0).long()].long()][..., 3]
        depth = torch.where(mask, (barycentric * corner_depths).sum(-1), torch.inf)
        return Fragments(face_index, barycentric, depth)

    def interpolate(
        self, attributes: torch.Tensor, faces: torch.Tensor, fragments: Fragments
    ) -> torch.Tensor:
        """Vertex attributes at each pixel; see the protocol."""
        image, _ = self._dr.interpolate(
            attributes[None].contiguous(), _raster(fragments), faces.int().contiguous()
        )
        return image[0]

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
    ) -> torch.Tensor:
        """Blend across silhouettes; see the protocol."""
        return self._dr.antialias(
            image[None].contiguous(),
            _raster(fragments),
            _flipped(clip_positions),
            faces.int().contiguous(),
        )[0]

    def _peel(
        self,
        positions: torch.Tensor,
        triangles: torch.Tensor,
        size: tuple[int, int],
        alpha_test: AlphaTest,
    ) -> torch.Tensor:
        """First depth layer whose alpha passes, ``[1, H, W, 4]`` as nvdiffrast returns it."""
        result = None
        with self._dr.DepthPeeler(self._context, positions, triangles, size) as peeler:
            for _ in range(MAX_LAYERS):
                raster, _ = peeler.rasterize_next_layer()
                if result is None:
                    result = torch.zeros_like(raster)
                open_pixels = result[..., 3:] == 0
                alive = self._alive(raster, triangles, alpha_test) & open_pixels
                result = torch.where(alive, raster, result)
                if not (open_pixels & (raster[..., 3:] > 0)).any():
                    break
        return result

    def _alive(
        self, raster: torch.Tensor, triangles: torch.Tensor, alpha_test: AlphaTest
    ) -> torch.Tensor:
        """Fragments that pass the alpha test, bool ``[1, H, W, 1]``."""
        uv = torch.as_tensor(alpha_test.uv, dtype=torch.float32, device=raster.device)
        at_pixels, _ = self._dr.interpolate(uv[None].contiguous(), raster, triangles)
        face = raster[..., 3].long() - 1  # [1, H, W]
        layer = torch.zeros(len(triangles), dtype=torch.int32, device=raster.device)
        if alpha_test.face_texture is not None:
            layer = torch.as_tensor(alpha_test.face_texture, device=raster.device)
        here = torch.where(face >= 0, layer[face.clamp(min=0)], -2)[..., None]
        threshold = alpha_test.threshold
        if alpha_test.dither:
            block = torch.tensor([[0.125, 0.625], [0.875, 0.375]], device=raster.device)
            rows, columns = torch.meshgrid(
                *(torch.arange(n, device=raster.device) % 2 for n in raster.shape[1:3]),
                indexing="ij",
            )
            threshold = block[rows, columns][None, ..., None]
        alive = here == -1
        for index, texture in enumerate(alpha_test.textures):
            alpha = torch.as_tensor(texture, dtype=torch.float32, device=raster.device)
            sampled = self._dr.texture(
                alpha[None, ..., None].contiguous(), at_pixels.contiguous(), filter_mode="linear"
            )
            alive = alive | ((here == index) & (sampled >= threshold))
        return alive


def _flipped(clip_positions: torch.Tensor) -> torch.Tensor:
    """Clip positions with y negated, ``[1, V, 4]``: image row 0 on top."""
    sign = clip_positions.new_tensor([1.0, -1.0, 1.0, 1.0])
    return (clip_positions * sign)[None].contiguous()


def _raster(fragments: Fragments) -> torch.Tensor:
    """Fragments as nvdiffrast's raster tensor ``[1, H, W, 4]``: u, v, depth order, face + 1."""
    order = torch.where(fragments.mask, 1 - 1 / fragments.depth.detach(), 0.0)
    return torch.cat(
        [
            fragments.barycentric[..., :2],
            order[..., None],
            (fragments.face_index + 1).to(fragments.barycentric)[..., None],
        ],
        dim=-1,
    )[None].contiguous()
