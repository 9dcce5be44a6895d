"""Heads as the prior sees them: camera-space normals and unlit albedo, without gradients.

A *prior image* is float ``[3, S, S]`` in [0, 1], RGB, row 0 on top, background 0.5. Normals are
written as ``n / 2 + 0.5``, albedo in sRGB; both are averaged over sub-samples first. Hair is drawn
opaque, without its cut-out: a shell that can be optimised has no alpha.
"""

from dataclasses import replace

import cv2
import numpy as np

from ..camera import Camera
from ..render.normals import vertex_normals
from ..render.scene import Scene, build_scene
from ..render.surface_buffer import resolve_surface
from ..render.visibility import visible_faces
from ..structures import HeadAppearance, HeadGeometry, Material
from ..template.head_template import HeadTemplate

BARE_PARTS = ("eyes", "teeth", "tongue", "brows")
"""Bound parts that are drawn besides the skin; lashes are thinner than a pixel."""

STOCK_SKIN = (32.0, 0.5, 0.36)
"""Age, gender and darkness of the skin in the control maps: nobody's."""

STOCK_SIZE = 384
"""Side of the stock skin's texture in the control maps."""


class PriorScene:
    """Meshes with textures, ready to be drawn as prior images.

    Args:
        geometry: parts; only topology and texture coordinates are kept.
        appearance: materials of the parts that are drawn.
    """

    def __init__(self, geometry: HeadGeometry, appearance: HeadAppearance):
        materials = {
            name: material if name == "brows" else replace(material, alpha=None)
            for name, material in appearance.materials.items()
        }
        parts = [p for p in geometry.parts if p.name in materials]
        self._scene: Scene = build_scene(HeadGeometry(tuple(parts)), HeadAppearance(materials))
        offset, welds = 0, []
        for part in parts:
            welds.append(part.weld + offset)
            offset += int(part.weld.max()) + 1
        self._weld = np.concatenate(welds)

    def render(
        self, vertices: np.ndarray, camera: Camera, size: int, supersample: int = 2
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Draw one view.

        Args:
            vertices: all parts' vertices ``[V, 3]`` in the order of the geometry, metres.
            camera: view.
            size: S, pixels.
            supersample: samples per pixel along each axis.

        Returns:
            Normals and albedo as prior images, and coverage ``[S, S]``; float32 in [0, 1].
        """
        scene = self._scene
        normals = vertex_normals(vertices, scene.faces, self._weld)
        clip = camera.clip_positions(vertices)
        side = size * supersample
        face_index = visible_faces(clip, scene.faces, side, side, scene.alpha_test)
        surface = resolve_surface(
            face_index, clip, scene.faces, normals @ camera.world_to_camera[:3, :3].T, scene.uv,
            scene.face_part, scene.atlas, scene.turn_back_faces, supersample,
        )  # fmt: skip
        coverage = surface.coverage[..., None]
        albedo = np.clip(surface.albedo, 0, 1) ** np.float32(1 / 2.2)
        images = (surface.normals * 0.5 + 0.5, albedo)
        normal_image, albedo_image = (
            np.ascontiguousarray((0.5 + (i - 0.5) * coverage).transpose(2, 0, 1), np.float32)
            for i in images
        )
        return normal_image, albedo_image, surface.coverage


class ControlRenderer:
    """Control maps: the bare fitted template with somebody else's skin, for camera and expression.

    Args:
        template: the head template.
        size: S, pixels.
    """

    def __init__(self, template: HeadTemplate, size: int):
        self.template, self.size = template, size
        self._bound = [part for part in template.bound if part.name in BARE_PARTS]
        self._bound.sort(key=lambda part: BARE_PARTS.index(part.name))
        skin = template.stock_skin(*STOCK_SKIN)
        skin = cv2.resize(skin, (STOCK_SIZE, STOCK_SIZE), interpolation=cv2.INTER_AREA)
        materials = {"skin": Material(skin), **template.stock_materials(BARE_PARTS)}
        self._scene = PriorScene(self._geometry(), HeadAppearance(materials))

    def __call__(
        self,
        vertices: np.ndarray,
        camera: Camera,
        neutral: np.ndarray | None = None,
        folded: np.ndarray | None = None,
    ) -> np.ndarray:
        """Normals and albedo of the bare head, float32 ``[6, S, S]`` in [0, 1].

        Args:
            vertices: template vertices ``[N, 3]`` with their expression, metres.
            camera: view.
            neutral: ``[N, 3]``, sets the size of bound parts; None = ``vertices``.
            folded: ``vertices`` with the deepest folds of the skin, ``[N, 3]``: their normals
                follow, ``[9, S, S]``.
        """
        neutral = vertices if neutral is None else neutral
        drawn = bare_vertices(self.template, vertices, neutral)
        normals, albedo, _ = self._scene.render(drawn, camera, self.size)
        if folded is None:
            return np.concatenate([normals, albedo])
        deep = normals
        if folded is not vertices:
            drawn = bare_vertices(self.template, folded, neutral)
            deep = self._scene.render(drawn, camera, self.size)[0]
        return np.concatenate([normals, albedo, deep])

    def _geometry(self) -> HeadGeometry:
        """The mean head, for its topology."""
        template = self.template
        still = np.zeros((13, *template.mean.shape), np.float32)
        skin, *bound = template.parts(template.mean, still)
        bound = [p for p in bound if p.name in BARE_PARTS]
        return HeadGeometry((skin, *bound, template.brows(template.mean, still)))


def bare_vertices(
    template: HeadTemplate, vertices: np.ndarray, neutral: np.ndarray | None = None
) -> np.ndarray:
    """Vertices of skin, eyes, teeth, tongue and brows, concatenated, float32 ``[V, 3]``.

    Args:
        template: the head template.
        vertices: template vertices ``[N, 3]``, metres.
        neutral: ``[N, 3]``, sets the size of bound parts; None = ``vertices``.
    """
    neutral = vertices if neutral is None else neutral
    by_name = {part.name: part for part in template.bound}
    bound = [
        by_name[name].vertices(vertices, by_name[name].fit_scale(neutral)) for name in BARE_PARTS
    ]
    return np.concatenate([vertices[template.skin_vertex], *bound]).astype(np.float32)
