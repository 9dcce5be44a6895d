"""Pull the shape towards the photo's ArcFace embedding where the photo alone cannot tell it.

One photo says little about depth: nose, brow, cheeks and chin of the fit are what landmarks and the
identity basis expect. Here an ArcFace loss on views from the side moves the head *within* the
identity basis. Skin that the photo shows moves along the photo's own rays only, so the photo stays
explained and the projected texture stays where it is.

A free smooth residual instead of the basis raises the loss's own similarity just as far (0.57 to
0.74) but not that of a recogniser that takes no part; the basis raises both.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from scipy.spatial import cKDTree

from ..camera import Camera, orbit_camera
from ..identity.arcface import ArcFace
from ..ramp import smoothstep
from ..render.head_renderer import STUDIO
from ..render.normals import vertex_normals_torch
from ..render.rasterizer import create_rasterizer
from ..render.shading import diffuse_shading, linear_to_srgb
from ..render.textured_mesh import TexturedMesh
from ..structures import HeadAppearance, HeadFit, HeadGeometry
from ..template.head_template import HeadTemplate
from .normal_render import clip_positions

BUST = (-0.16, -0.09)
"""Heights between which the motion fades, metres: no recogniser knows shoulders."""

BACKGROUND = 0.45
"""Linear grey behind the head."""


@dataclass(frozen=True)
class IdentityShapeConfig:
    """Settings; loss weights are relative to ``1 - cosine``."""

    yaws: tuple[float, float] = (15.0, 75.0)
    """Cameras to either side, degrees from the front."""
    pitches: tuple[float, float] = (-8.0, 12.0)
    """Heights of the cameras, degrees."""
    rate: float = 0.1
    """Learning rate of the coefficients, standard deviations per step."""
    prior: float = 3e-3
    """Loss weight of the coefficients' sum of squares."""
    free_prior: float = 1e-2
    """The same without a photo, which would hold the face: less gave a man's nose to women."""
    symmetric: bool = True
    """Whether left and right move alike."""
    cap: float = 0.02
    """Motion that no vertex exceeds, metres; half of it is rare."""
    size: int = 224
    """Side of the pictures, pixels; the recogniser's own are a little coarser."""
    jitter: float = 0.006
    """Standard deviation of the keypoints, relative to the picture: nobody aligns better."""


class HeadPicture:
    """Studio pictures of a textured head, differentiable in the motion of its skin.

    Args:
        geometry: of the head.
        appearance: of the head.
        template: whose vertices move.
        neutral: template vertices ``[N, 3]`` of ``geometry``.
        size: side of a picture, pixels.
    """

    def __init__(
        self,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        template: HeadTemplate,
        neutral: np.ndarray,
        size: int,
    ):
        self.size, self._mesh = size, TexturedMesh(geometry, appearance, 2 * size)
        self._vertices = torch.from_numpy(self._mesh.vertices())
        nearest = cKDTree(neutral).query(self._vertices.numpy())[1]
        rows = slice(*self._mesh.start[:2])  # the skin comes first
        nearest[rows] = template.skin_vertex
        self._carrier = torch.from_numpy(nearest.astype(np.int64))
        self._light = torch.from_numpy(STUDIO)
        self._rasterizer = create_rasterizer()
        _, rows, point = np.unique(self._mesh.weld, return_index=True, return_inverse=True)
        self._points = torch.from_numpy(rows)
        self._outline = torch.from_numpy(point)[self._mesh.faces]  # seams of the texture closed

    def posed(self, motion: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Vertices and normals ``[V, 3]`` after a ``motion [N, 3]`` of the template's vertices.

        Other parts follow the skin next to them.
        """
        vertices = self._vertices + motion[self._carrier]
        return vertices, vertex_normals_torch(vertices, self._mesh.faces, self._mesh.weld)

    def __call__(self, posed: tuple[torch.Tensor, torch.Tensor], camera: Camera) -> torch.Tensor:
        """A picture ``[1, 3, S, S]``, sRGB, of what ``posed`` returned."""
        mesh, size = self._mesh, self.size
        vertices, normals = posed
        clip = clip_positions(vertices, camera)
        fragments = self._rasterizer.rasterize(clip, mesh.faces, size, size, mesh.alpha_test)
        turn = torch.from_numpy(camera.world_to_camera[:3, :3]).to(normals)
        attributes = torch.cat([mesh.uv, normals @ turn.T], dim=1)
        image = self._rasterizer.interpolate(attributes, mesh.faces, fragments).view(-1, 5)
        albedo = mesh.albedo(image[:, :2], mesh.pixels(fragments))
        shading = diffuse_shading(functional.normalize(image[:, 2:], dim=1), self._light)
        covered = fragments.mask.view(-1, 1)
        linear = torch.where(covered, albedo * shading.clamp(min=0.02), BACKGROUND)
        srgb = linear_to_srgb(linear.clamp(1e-4, 1)).view(size, size, 3)
        srgb = self._rasterizer.antialias(srgb, fragments, clip[self._points], self._outline)
        return srgb.permute(2, 0, 1)[None]


class IdentityMotion:
    """Motion of the template's vertices by coefficients of the identity basis.

    Args:
        template: the head template.
        fit: the head.
        seen: ``[N]`` in [0, 1], what the photo shows of each vertex; None = no photo.
        config: settings.
    """

    def __init__(
        self,
        template: HeadTemplate,
        fit: HeadFit,
        seen: np.ndarray | None,
        config: IdentityShapeConfig,
    ):
        self._cap = config.cap
        basis = template.identity_basis.astype(np.float32)  # [K, N, 3]
        if config.symmetric:
            basis = (basis + basis[:, template.mirror] * np.float32([-1, 1, 1])) / 2
        basis = basis * smoothstep(*BUST, fit.neutral[:, 1])[:, None]
        if seen is not None:
            rays = fit.camera.position - fit.vertices
            rays /= np.linalg.norm(rays, axis=1, keepdims=True)
            along = (basis * rays).sum(2, keepdims=True) * rays
            basis = basis + seen[:, None] * (along - basis)
        self._basis = torch.from_numpy(np.ascontiguousarray(basis, np.float32))
        self.coefficients = torch.zeros(len(basis), requires_grad=True)

    def __call__(self) -> torch.Tensor:
        """``[N, 3]``, metres."""
        motion = torch.tensordot(self.coefficients, self._basis, 1)
        return motion * (1 + motion.square().sum(1, keepdim=True) / self._cap**2).rsqrt()


def fit_identity_shape(
    template: HeadTemplate,
    geometry: HeadGeometry,
    appearance: HeadAppearance,
    fit: HeadFit,
    seen: np.ndarray | None,
    keypoints: np.ndarray,
    embedding: torch.Tensor,
    arcface: ArcFace,
    *,
    steps: int,
    config: IdentityShapeConfig | None = None,
    generator: torch.Generator,
) -> Iterator[tuple[int, HeadFit | None]]:
    """Optimise the shape of a textured head; closing the iterator stops it within a step.

    Args:
        template: the head template.
        geometry: meshes of ``fit``, hair included.
        appearance: their materials.
        fit: where to start.
        seen: ``[N]`` in [0, 1], what the photo shows of each template vertex; None = no photo.
        keypoints: ``[5, 3]``, world positions of ArcFace's five points, image left first.
        embedding: ``[512]``, of the photo, unit norm.
        arcface: differentiable recogniser.
        steps: of Adam.
        config: settings.
        generator: of cameras and crops.

    Yields:
        Number of steps done, and with the last one the new fit.
    """
    config = config or IdentityShapeConfig()
    picture = HeadPicture(geometry, appearance, template, fit.neutral, config.size)
    motion = IdentityMotion(template, fit, seen, config)
    optimizer = torch.optim.Adam([motion.coefficients], lr=config.rate)
    carrier = torch.from_numpy(cKDTree(fit.neutral).query(keypoints)[1])
    points = torch.from_numpy(keypoints.astype(np.float32))
    prior = config.free_prior if seen is None else config.prior
    for step in range(steps):
        moved = motion()
        now, posed = (points + moved[carrier]).detach().numpy(), picture.posed(moved)
        crops = [
            _aligned(picture, posed, now, side, arcface, config, generator) for side in (1, -1)
        ]
        loss = 1 - (arcface.embed(torch.cat(crops)) @ embedding).mean()
        loss = loss + prior * motion.coefficients.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step + 1 < steps:
            yield step + 1, None
    yield steps, template.moved(fit, motion().detach().numpy())


def _aligned(
    picture: HeadPicture,
    posed: tuple[torch.Tensor, torch.Tensor],
    keypoints: np.ndarray,
    side: int,
    arcface: ArcFace,
    config: IdentityShapeConfig,
    generator: torch.Generator,
) -> torch.Tensor:
    """ArcFace's crop ``[1, 3, 112, 112]`` of a random view from the left (1) or the right (-1)."""
    draw = torch.rand(3, generator=generator).tolist()
    yaw = config.yaws[0] + (config.yaws[1] - config.yaws[0]) * draw[0]
    pitch = config.pitches[0] + (config.pitches[1] - config.pitches[0]) * draw[1]
    camera = orbit_camera(side * yaw, pitch, distance=1.4, fov_y=13.0)
    image = picture(posed, camera) * (0.92 + 0.14 * draw[2])
    points = camera.pixels(keypoints, config.size, config.size)[:, :2] - 0.5  # as the detector
    points = torch.from_numpy(points.astype(np.float32))[None]
    points = points + config.jitter * config.size * torch.randn(1, 5, 2, generator=generator)
    return arcface.align(image.clamp(0, 1), points)
