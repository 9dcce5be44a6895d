"""Pictures of a finished head for people (and for face recognisers), on the CPU."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..camera import Camera, orbit_camera
from ..errors import GeometryError, OptionError
from ..expressions import EXPRESSIONS
from ..structures import HeadAppearance, HeadGeometry, HeadPart, Material
from .lighting import ambient_occlusion, light_surface
from .normals import vertex_normals
from .scene import Scene, build_scene
from .shading import (
    LUMINANCE,
    diffuse_shading,
    dominant_direction,
    irradiance_coefficients,
    rotated,
    sh_basis,
)
from .surface_buffer import SurfaceBuffer, resolve_surface
from .visibility import visible_faces

CATCHLIGHT = np.array([0.0, -0.35, 0.6])
"""Added to the direction of the light for eyes: the lids would hide a light from further above."""

STUDIO_KEY = ((-0.45, 0.5, 0.85), 0.52, (1.03, 1.0, 0.96))
"""Default light, camera frame: direction to the main light, its shading, its colour."""

STUDIO_FILL = ((0.8, 0.1, 0.5), 0.14, (0.96, 1.0, 1.05))
"""Weaker light from the other side."""

STUDIO_AMBIENT = 0.5
"""Uniform light of the studio."""


@dataclass(frozen=True)
class RenderedHead:
    """One picture and what it was made of; all ``[H, W, ...]``, row 0 on top.

    Attributes:
        shaded: float32, sRGB in [0, 1], over the background.
        albedo: float32, linear RGB, black in the background.
        normals: float32, unit vectors in the camera frame, 0 in the background.
        mask: float32, coverage in [0, 1], ``[H, W]``.
        part_index: int16, index into ``geometry.parts``, -1 in the background, ``[H, W]``.
    """

    shaded: np.ndarray
    albedo: np.ndarray
    normals: np.ndarray
    mask: np.ndarray
    part_index: np.ndarray


class HeadRenderer:
    """Draws heads; remembers the textures of the last one.

    Safe to use from several threads, as long as each head's arrays stay unchanged.
    """

    def __init__(self):
        self._last: tuple[HeadGeometry, HeadAppearance, Scene] | None = None

    def render(
        self,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        camera: Camera,
        size: tuple[int, int] = (512, 512),
        *,
        expression: dict[str, float] | None = None,
        light: np.ndarray | None = None,
        supersample: int = 2,
        background: float | np.ndarray | None = None,
    ) -> RenderedHead:
        """One view.

        Args:
            geometry: meshes; parts without a material are not drawn.
            appearance: materials; parts with ``alpha`` are cut out.
            camera: view.
            size: width and height, pixels.
            expression: weights by expression name; missing names are 0.
            light: ``sh_coefficients [9, 3]``, world frame; None is a studio that turns with the
                camera.
            supersample: samples per pixel along each axis.
            background: sRGB grey level, colour ``[3]`` or image ``[H, W, 3]``; None is a studio
                backdrop.

        Raises:
            OptionError: an expression name is unknown.
            GeometryError: there is nothing to draw, or a vertex is not finite.
        """
        width, height = size
        scene = self._scene(geometry, appearance)
        parts = [p for p in geometry.parts if p.name in appearance.materials]
        vertices, normals = _posed(parts, _weights(expression))
        rotation = camera.world_to_camera[:3, :3]
        clip = camera.clip_positions(vertices)
        face_index = visible_faces(
            clip, scene.faces, height * supersample, width * supersample, scene.alpha_test
        )
        surface = resolve_surface(
            face_index,
            clip,
            scene.faces,
            normals @ rotation.T,
            scene.uv,
            scene.face_part,
            scene.atlas,
            scene.turn_back_faces,
            supersample,
            None if scene.strands is None else scene.strands @ rotation.T,
        )
        backdrop = _backdrop(background, height, width)
        shaded = _lit(surface, camera, light, scene, backdrop)
        return RenderedHead(
            shaded,
            surface.albedo,
            surface.normals,
            surface.coverage,
            _geometry_index(geometry, parts)[surface.part_index],
        )

    def _scene(self, geometry: HeadGeometry, appearance: HeadAppearance) -> Scene:
        last = self._last
        if last is None or last[0] is not geometry or last[1] is not appearance:
            last = geometry, appearance, build_scene(geometry, appearance)
            self._last = last
        return last[2]


def warm_up() -> None:
    """Compile the kernels: seconds on a fresh checkout, else 0.3 s. Meant for a spare thread."""
    corners = np.array([[0, 0.1, 0], [-0.1, -0.1, 0], [0.1, -0.1, 0]], np.float32)
    part = HeadPart(
        "skin",
        corners,
        np.array([[0, 1, 2]], np.int32),
        np.zeros((3, 2), np.float32),
        np.arange(3, dtype=np.int32),
        np.zeros((len(EXPRESSIONS), 3, 3), np.float32),
    )
    appearance = HeadAppearance({"skin": Material(np.zeros((2, 2, 3), np.float32))})
    HeadRenderer().render(HeadGeometry((part,)), appearance, orbit_camera(), (16, 16))


def _weights(expression: dict[str, float] | None) -> np.ndarray:
    """Weights in the order of EXPRESSIONS, ``[13]``."""
    weights = np.zeros(len(EXPRESSIONS), np.float32)
    for name, weight in (expression or {}).items():
        if name not in EXPRESSIONS:
            raise OptionError(
                f"Expression '{name}' is unknown. Use one of: {', '.join(EXPRESSIONS)}."
            )
        weights[EXPRESSIONS.index(name)] = weight
    return weights


def _posed(parts: list[HeadPart], weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices and normals of all parts with an expression, ``[V, 3]`` each."""
    active = weights.nonzero()[0]
    vertices, normals = [], []
    for part in parts:
        moved = part.vertices
        for index in active:
            moved = moved + weights[index] * part.displacements[index]
        vertices.append(moved)
        normals.append(vertex_normals(moved, part.faces, part.weld))
    everything = np.concatenate(vertices)
    if not np.isfinite(everything).all():
        bad = int((~np.isfinite(everything)).any(1).sum())
        raise GeometryError(f"{bad} vertices of the head are not finite. Rebuild its geometry.")
    return everything, np.concatenate(normals)


def _lit(
    surface: SurfaceBuffer,
    camera: Camera,
    light: np.ndarray | None,
    scene: Scene,
    backdrop: np.ndarray,
) -> np.ndarray:
    """The finished picture, sRGB, float32 ``[H, W, 3]``."""
    seen = surface.depth > 0
    height, width = seen.shape
    if not seen.any():
        return np.array(backdrop, np.float32, order="C")
    if light is None:
        light = STUDIO
    else:  # from the world to the camera frame
        light = rotated(np.asarray(light, np.float32), camera.world_to_camera[:3, :3])
    scale = camera.projection[1, 1] * height / 2 / np.median(surface.depth[seen])
    openness = ambient_occlusion(surface, scale)
    towards = dominant_direction(light)
    highlights = np.where(scene.glossy[:, None], towards + CATCHLIGHT, towards)  # [P, 3]
    highlights /= np.linalg.norm(highlights, axis=1, keepdims=True) + 1e-6
    strength = (diffuse_shading(towards, light) - diffuse_shading(-towards, light)) @ LUMINANCE
    return light_surface(
        surface,
        openness,
        irradiance_coefficients(light),
        highlights,
        max(0.0, float(strength)),
        scene.gloss,
        scene.shelter,
        camera.world_to_camera[:3, 1],
        _view_rays(camera, height, width),
        backdrop,
    )


def _view_rays(camera: Camera, height: int, width: int) -> np.ndarray:
    """Rays through the pixel centres, as ``lighting.light_surface`` takes them, ``[4]``."""
    projection = camera.projection
    x0 = (1 / width - 1 + projection[0, 2]) / projection[0, 0]
    y0 = (1 - 1 / height + projection[1, 2]) / projection[1, 1]
    return np.array([x0, 2 / width / projection[0, 0], y0, -2 / height / projection[1, 1]])


def _geometry_index(geometry: HeadGeometry, parts: list[HeadPart]) -> np.ndarray:
    """From drawn part to index in ``geometry.parts``; the last entry (-1) is the background."""
    names = [p.name for p in geometry.parts]
    return np.array([names.index(p.name) for p in parts] + [-1], np.int16)


@lru_cache(maxsize=4)
def _studio_backdrop(height: int, width: int) -> np.ndarray:
    """A calm gradient, brightest behind the head, sRGB ``[H, W, 3]``."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    glow = np.exp(-(0.55 * x * x + 0.5 * (y + 0.1) ** 2))[..., None]
    dark, bright = np.array([0.56, 0.58, 0.61]), np.array([0.87, 0.88, 0.89])
    return (dark + (bright - dark) * glow).astype(np.float32)


def _backdrop(background: float | np.ndarray | None, height: int, width: int) -> np.ndarray:
    """Background as sRGB, broadcastable to ``[H, W, 3]``."""
    if background is not None:
        return np.broadcast_to(np.asarray(background, np.float32), (height, width, 3))
    return _studio_backdrop(height, width)


def _studio() -> np.ndarray:
    """The default light in the camera frame, ``[9, 3]``."""
    light = np.zeros((9, 3))
    light[0] = STUDIO_AMBIENT * 2 * np.sqrt(np.pi)
    for direction, strength, colour in (STUDIO_KEY, STUDIO_FILL):
        unit = np.asarray(direction) / np.linalg.norm(direction)
        lobe = sh_basis(unit)
        light += np.outer(lobe * strength / diffuse_shading(unit, lobe[:, None]), colour)
    return light.astype(np.float32)


STUDIO = _studio()
"""The default light in the camera frame, ``sh_coefficients [9, 3]``."""
