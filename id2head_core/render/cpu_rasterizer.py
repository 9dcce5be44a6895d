"""The CPU backend: numba finds the visible faces, everything with a gradient is plain torch.

Pixels at a silhouette are blended with their neighbour in proportion to how far the silhouette
reaches beyond the middle of the two centres (``silhouettes.py``).
"""

import torch

from .rasterizer import AlphaTest, Fragments
from .silhouettes import Edges, mesh_edges, silhouette_crossings
from .visibility import visible_faces


class CpuRasterizer:
    """Rasterizer for CPU tensors; see ``rasterizer.Rasterizer`` for the operations."""

    def __init__(self):
        self._faces: torch.Tensor | None = None  # of the remembered topology
        self._edges: Edges | None = None

    def rasterize(
        self,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
        height: int,
        width: int,
        alpha_test: AlphaTest | None = None,
    ) -> Fragments:
        """Visible faces, barycentrics and depth; see the protocol."""
        face_index = torch.from_numpy(
            visible_faces(clip_positions.detach().numpy(), faces.numpy(), height, width, alpha_test)
        )
        mask = face_index >= 0
        pixels = mask.reshape(-1).nonzero()[:, 0]  # [M]
        seen = face_index.reshape(-1)[pixels].long()
        weights, w = _barycentric(clip_positions, faces[seen].long(), pixels, height, width)
        barycentric = weights.new_zeros(height * width, 3).index_copy(0, pixels, weights)
        depth = w.new_full((height * width,), torch.inf).index_copy(0, pixels, w)
        return Fragments(face_index, barycentric.view(height, width, 3), depth.view(height, width))

    def interpolate(
        self, attributes: torch.Tensor, faces: torch.Tensor, fragments: Fragments
    ) -> torch.Tensor:
        """Vertex attributes at each pixel; see the protocol."""
        height, width = fragments.face_index.shape
        pixels = fragments.mask.reshape(-1).nonzero()[:, 0]  # [M]
        corners = faces[fragments.face_index.reshape(-1)[pixels].long()].long()  # [M, 3]
        weights = fragments.barycentric.reshape(-1, 3)[pixels]  # [M, 3]
        values = attributes[corners[:, 0]] * weights[:, :1]  # [M, C]
        values = values + attributes[corners[:, 1]] * weights[:, 1:2]
        values = values + attributes[corners[:, 2]] * weights[:, 2:]
        image = values.new_zeros(height * width, attributes.shape[1])
        return image.index_copy(0, pixels, values).view(height, width, -1)

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        clip_positions: torch.Tensor,
        faces: torch.Tensor,
    ) -> torch.Tensor:
        """Blend across silhouettes; see the protocol.

        Faces that meet at a UV seam should be given with welded vertices, or the seam counts as a
        boundary. The edges of the last ``faces`` tensor are remembered: do not write into it.
        """
        if self._faces is not faces:
            self._faces, self._edges = faces, mesh_edges(faces)
        crossings = silhouette_crossings(clip_positions, self._edges, fragments)
        flat = image.reshape(-1, image.shape[-1])
        overlap = crossings.position[:, None] - 0.5  # > 0: the surface reaches into `far`
        difference = flat[crossings.near] - flat[crossings.far]
        blended = flat.index_add(0, crossings.far, overlap.clamp(min=0) * difference)
        blended = blended.index_add(0, crossings.near, overlap.clamp(max=0) * difference)
        return blended.view_as(image)


def _barycentric(
    clip_positions: torch.Tensor,
    corners: torch.Tensor,
    pixels: torch.Tensor,
    height: int,
    width: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Perspective-correct weights ``[M, 3]`` and w ``[M]`` at the centres of flat ``pixels [M]``.

    Homogeneous edge functions (Olano and Greer 1997): no division by w before the end.
    """
    x_centre = ((pixels % width).to(clip_positions) + 0.5) * (2.0 / width) - 1.0  # [M]
    y_centre = 1.0 - (pixels.div(width, rounding_mode="floor").to(clip_positions) + 0.5) * (
        2.0 / height
    )
    points = clip_positions[corners]  # [M, 3, 4]
    w = points[:, :, 3]  # [M, 3]
    x = points[:, :, 0] - x_centre[:, None] * w
    y = points[:, :, 1] - y_centre[:, None] * w
    areas = torch.stack(
        [
            x[:, 1] * y[:, 2] - x[:, 2] * y[:, 1],
            x[:, 2] * y[:, 0] - x[:, 0] * y[:, 2],
            x[:, 0] * y[:, 1] - x[:, 1] * y[:, 0],
        ],
        dim=1,
    )  # [M, 3]
    weights = areas / areas.sum(1, keepdim=True)
    return weights, (weights * w).sum(1)
