"""Camera-space normals as prior images, differentiable in the vertices.

The same pictures as ``guidance/prior_image.py`` draws for training, with silhouettes that carry
gradients: float ``[3, S, S]`` in [0, 1], ``n / 2 + 0.5``, background 0.5, everything opaque.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional

from ..camera import Camera
from ..render.normals import vertex_normals_torch
from ..render.rasterizer import Fragments, create_rasterizer

SUPERSAMPLE = 2
"""Samples per pixel along each axis."""

SHORTEST = 0.02
"""Mean normals shorter than this are not stretched to unit length: their direction is noise."""


@dataclass(frozen=True)
class DrawnMesh:
    """All parts of a head, welded, in one mesh.

    Attributes:
        vertices: ``[V, 3]``, metres, differentiable.
        faces: int64 ``[F, 3]``; hair comes last.
        hair_start: first face of the hair.
    """

    vertices: torch.Tensor
    faces: torch.Tensor
    hair_start: int


class NormalRenderer:
    """Draws ``DrawnMesh``; keeps the silhouette edges of the last topology."""

    def __init__(self):
        self._rasterizer = create_rasterizer()

    def __call__(
        self, mesh: DrawnMesh, camera: Camera, size: int, supersample: int = SUPERSAMPLE
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Normals ``[3, S, S]`` as a prior image, and coverage ``[S, S]`` in [0, 1].

        Args:
            mesh: what to draw.
            camera: view.
            size: S, pixels.
            supersample: samples per pixel along each axis.
        """
        side = size * supersample
        clip = clip_positions(mesh.vertices, camera)
        fragments = self._rasterizer.rasterize(clip, mesh.faces, side, side)
        points = torch.arange(len(mesh.vertices))
        normals = vertex_normals_torch(mesh.vertices, mesh.faces, points)
        turn = torch.from_numpy(camera.world_to_camera[:3, :3]).to(normals)
        image = self._rasterizer.interpolate(normals @ turn.T, mesh.faces, fragments)
        image = functional.normalize(image, dim=2, eps=1e-6) * _towards(clip, mesh, fragments)
        image = torch.cat([image, fragments.mask[..., None].to(image)], dim=2)  # [R, R, 4]
        image = self._rasterizer.antialias(image, fragments, clip, mesh.faces)
        image = functional.avg_pool2d(image.permute(2, 0, 1)[None], supersample)[0]  # [4, S, S]
        mean, coverage = image[:3], image[3]
        length = (mean.square().sum(0) + SHORTEST**2).sqrt()
        return 0.5 + 0.5 * mean / length * coverage, coverage


def clip_positions(vertices: torch.Tensor, camera: Camera) -> torch.Tensor:
    """World ``[V, 3]`` to clip ``[V, 4]``."""
    matrix = torch.from_numpy(camera.projection @ camera.world_to_camera).to(vertices)  # [4, 4]
    return vertices @ matrix[:, :3].T + matrix[:, 3]


@torch.no_grad()
def _towards(clip: torch.Tensor, mesh: DrawnMesh, fragments: Fragments) -> torch.Tensor:
    """-1 where the back of a face other than hair is seen, else 1, ``[R, R, 1]``."""
    ndc = clip[:, :2] / clip[:, 3:]
    a, b, c = (ndc[mesh.faces[: mesh.hair_start, k]] for k in range(3))
    u, v = b - a, c - a
    signs = torch.ones(len(mesh.faces))
    signs[: mesh.hair_start] = 1 - 2 * (u[:, 0] * v[:, 1] < u[:, 1] * v[:, 0]).float()
    return signs[fragments.face_index.clamp(min=0).long()][..., None]
