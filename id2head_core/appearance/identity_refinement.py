"""Pull the rendered head towards the photo's ArcFace embedding by a coarse change of brightness.

Only the logarithm of the skin's luminance moves, on a low-resolution map with a hard cap: that is
enough for the identity loss and cannot paint the coloured blotches that a free texture would.
"""

from collections.abc import Iterator

import cv2
import numpy as np
import torch
import torch.nn.functional as functional

from ..camera import orbit_camera
from ..identity.arcface import ArcFace
from ..render.cpu_rasterizer import CpuRasterizer
from ..render.head_renderer import HeadRenderer
from ..render.shading import linear_to_srgb, srgb_to_linear
from ..structures import HeadAppearance, HeadGeometry

YAWS = {-50.0: 0.7, -20.0: 1.0, 0.0: 1.3, 20.0: 1.0, 50.0: 0.7}
"""Cameras of the identity loss, degrees, and their weights.

The outer two raise the similarity at 60 degrees and in profile by 0.015 for a recogniser that takes
no part (seven people)."""

MAP_SIZE, CAP = 64, 0.25
"""Side of the luminance map, and the largest change of log luminance."""

LEARNING_RATE, AMPLITUDE_WEIGHT, SMOOTHNESS_WEIGHT = 0.05, 4.0, 40.0

RENDER_SIZE = 400


def refine_identity(
    geometry: HeadGeometry,
    appearance: HeadAppearance,
    keypoints: np.ndarray,
    embedding: np.ndarray,
    arcface: ArcFace,
    renderer: HeadRenderer,
    allowed: np.ndarray,
    *,
    steps: int,
    generator: torch.Generator,
) -> Iterator[tuple[int, np.ndarray]]:
    """Optimise the luminance of the skin.

    Args:
        geometry: the head, hair included.
        appearance: its materials.
        keypoints: ``[5, 3]``, world positions of ArcFace's five points, image left first.
        embedding: ``[512]``, of the photo, unit norm.
        arcface: differentiable recogniser.
        renderer: draws what does not change.
        allowed: float32 ``[S, S]`` in [0, 1], where the skin may change.
        steps: of Adam.
        generator: of the random crops.

    Yields:
        Number of steps done and the factor on the skin's linear albedo so far, ``[S, S]``.
    """
    views = [_view(geometry, appearance, yaw, keypoints, renderer) for yaw in YAWS]
    images = torch.cat([view[0] for view in views])  # [V, 3, H, W] linear
    grids = torch.cat([view[1] for view in views])  # [V, H, W, 2]
    skin = torch.cat([view[2] for view in views])  # [V, 1, H, W]
    points = torch.stack([view[3] for view in views])  # [V, 5, 2]
    weights = torch.tensor(list(YAWS.values())) / sum(YAWS.values())
    mask = torch.from_numpy(cv2.resize(allowed, (MAP_SIZE,) * 2, interpolation=cv2.INTER_AREA))
    target = torch.from_numpy(embedding)[None]
    change = torch.zeros(1, 1, MAP_SIZE, MAP_SIZE, requires_grad=True)
    optimizer = torch.optim.Adam([change], lr=LEARNING_RATE)
    for step in range(steps):
        log_gain = CAP * torch.tanh(change / CAP) * mask
        gain = functional.grid_sample(
            log_gain.expand(len(images), -1, -1, -1), grids, align_corners=False
        ).exp()
        image = linear_to_srgb(images * (gain * skin + 1 - skin))
        noise = torch.randn(len(images), 5, 2, generator=generator)
        aligned = arcface.align(image, points + noise * 0.006 * RENDER_SIZE)
        brightness = 0.92 + 0.14 * torch.rand(1, generator=generator)
        cosine = arcface.embed((aligned * brightness).clamp(0, 1)) @ target.T  # [V, 1]
        rough = (change.diff(dim=2) ** 2).mean() + (change.diff(dim=3) ** 2).mean()
        loss = (weights * (1 - cosine[:, 0])).sum()
        loss = loss + AMPLITUDE_WEIGHT * (change**2).mean() + SMOOTHNESS_WEIGHT * rough
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield step + 1, _gain(change, mask, allowed.shape)


def _gain(change: torch.Tensor, mask: torch.Tensor, shape: tuple[int, int]) -> np.ndarray:
    """The map as a factor per texel, ``[S, S]``."""
    log_gain = (CAP * torch.tanh(change.detach() / CAP) * mask)[0, 0].numpy()
    return np.exp(cv2.resize(log_gain, shape[::-1], interpolation=cv2.INTER_CUBIC))


def _view(geometry, appearance, yaw, keypoints, renderer):
    """One camera: image ``[1, 3, H, W]`` (linear), UV grid, skin mask and 2D keypoints."""
    camera = orbit_camera(yaw, distance=1.4, fov_y=13.0)
    rendered = renderer.render(geometry, appearance, camera, size=(RENDER_SIZE, RENDER_SIZE))
    image = torch.from_numpy(rendered.shaded).permute(2, 0, 1)[None].float()
    image = srgb_to_linear(image)
    part = geometry.parts[0]
    rasterizer = CpuRasterizer()
    faces = torch.from_numpy(part.faces.astype(np.int64))
    clip = torch.from_numpy(camera.clip_positions(part.vertices))
    fragments = rasterizer.rasterize(clip, faces, RENDER_SIZE, RENDER_SIZE)
    uv = rasterizer.interpolate(torch.from_numpy(part.uv), faces, fragments)  # [H, W, 2]
    skin = torch.from_numpy((rendered.part_index == 0).astype(np.float32))
    pixels = camera.pixels(keypoints, RENDER_SIZE, RENDER_SIZE)[:, :2] - 0.5  # as the detector
    pixels = torch.from_numpy(pixels.astype(np.float32))
    return image, (uv * 2 - 1)[None].float(), skin[None, None], pixels
