"""What the photo knows of the geometry: what it saw, where landmarks lie, where the head ends."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from scipy.spatial import cKDTree

from ..camera import Camera
from ..render.normals import vertex_normals
from ..structures import HairFit, HeadFit, Identity
from ..template.hair import HairTemplate
from ..template.hair_view import CLOTH, EARS, HAT, HIDDEN, MAP_SIZE, NECK, SKIN, HairView
from ..template.head_template import HeadTemplate
from .normal_render import clip_positions

MASK_SIZE = 64
"""Side of the head mask, pixels."""

BUST = -0.11
"""The mask says nothing where skin below this height would be, metres."""

GROWN, FADE = 0.018, 0.025
"""Skin this near to seen skin counts as seen, then less and less over another distance, metres."""

BEHIND, FRONT, KNOWN_BLUR = -0.25, 0.35, 2.0
"""Cosine of a ray to the camera up to which hair is free, from which it is known; blur, cells."""

EAR_MARGIN = 3.0
"""Gain of the blurred mask of the ears: how far around them the hair is kept."""

RIGHT_EYE, LEFT_EYE = slice(33, 43), slice(87, 97)
"""Landmarks of the eyes."""


@dataclass(frozen=True)
class PhotoEvidence:
    """The photo as evidence for the geometry.

    Attributes:
        identity: photo and parsing.
        hair: False where the hair is to be edited: the photo's hair counts no more.
    """

    identity: Identity
    hair: bool = True


def seen_skin(
    template: HeadTemplate, hair_template: HairTemplate, fit: HeadFit, evidence: PhotoEvidence
) -> np.ndarray:
    """How far the photo shows each template vertex, float32 ``[N]`` in [0, 1].

    Smooth in space, so that folds within the seen face (nostrils, lips, eyes) move with it.
    """
    view = HairView(evidence.identity, fit, hair_template)
    faces = template.skin_vertex[template.skin_faces]  # [F, 3]
    points = np.arange(len(fit.vertices))
    normals = vertex_normals(fit.vertices, faces, points)
    towards = fit.camera.position - fit.vertices
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    located = view.locate(fit.vertices)
    depth = view.sample(view.head_depth.clip(0, 9), located, nearest=True)
    skin = view.sample(view.classes(SKIN, EARS, NECK), located)
    facing = np.clip(((normals * towards).sum(1) - 0.05) / 0.25, 0, 1)
    seen = facing * (located[:, 2] < depth + HIDDEN) * skin > 0.25
    if not seen.any():
        return np.zeros(len(seen), np.float32)
    away = cKDTree(fit.vertices[seen]).query(fit.vertices)[0]
    return np.clip(1 - (away - GROWN) / FADE, 0, 1).astype(np.float32)


def known_hair(
    hair_template: HairTemplate, fit: HeadFit, hair: HairFit, evidence: PhotoEvidence
) -> np.ndarray:
    """How far the photo tells the hair's thickness along each ray, float32 ``[P]`` in [0, 1].

    Rays towards the camera are known, rays behind are free; the change is gradual, or a wall would
    rise at the crown. In between the silhouette holds the outline. Hair around the ears stays as
    it was fitted: a prior of few pixels takes ears for hair and buries them.
    """
    view = HairView(evidence.identity, fit, hair_template)
    tips = view.proxy + hair_template.directions(fit.neutral) * np.maximum(
        hair.thickness[:, None], 0
    )
    located = view.locate(tips)
    shown = view.sample(view.inside, located) * (1 - view.sample(view.classes(HAT), located))
    facing = np.clip((view.toward - BEHIND) / (FRONT - BEHIND), 0, 1)
    known = hair_template.image(facing * shown * evidence.hair)
    known = hair_template.blur(known, KNOWN_BLUR)
    ears = hair_template.image((hair_template.ear_height > 0).astype(np.float32)) * evidence.hair
    ears = np.clip(EAR_MARGIN * hair_template.blur(ears, KNOWN_BLUR), 0, 1)
    return np.maximum(known, ears).ravel().astype(np.float32)


class PhotoTerms:
    """Losses in the photo's own camera.

    Args:
        template: the head template.
        hair_template: the hair template.
        fit: the fit to the photo.
        evidence: the photo.
    """

    def __init__(
        self,
        template: HeadTemplate,
        hair_template: HairTemplate,
        fit: HeadFit,
        evidence: PhotoEvidence,
    ):
        view = HairView(evidence.identity, fit, hair_template)
        self._expression = torch.from_numpy((fit.vertices - fit.neutral).astype(np.float32))
        self._camera = map_camera(fit.camera, evidence.identity.photo.size, view.to_map, MAP_SIZE)
        self._vertices, self._weights = _landmarks(template, fit.yaw)
        start = torch.from_numpy(fit.vertices.astype(np.float32))
        self._target = self._located(start)
        eyes = self._target[RIGHT_EYE].mean(0) - self._target[LEFT_EYE].mean(0)
        self._scale = eyes.norm()
        mask = view.hair + view.classes(SKIN, EARS)
        faces = template.skin_vertex[template.skin_faces]
        low = faces[fit.vertices[faces, 1].mean(1) < BUST]
        bust = np.isfinite(view.depth_of(fit.vertices, low)[0])
        valid = (view.inside > 0.99) & (view.classes(CLOTH, NECK, HAT) < 0.5) & ~bust
        self._mask, self._valid = (
            torch.from_numpy(
                cv2.resize(np.float32(m), (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA)
            )
            for m in (mask > 0.5, valid)
        )
        self.has_silhouette = evidence.hair

    def landmarks(self, neutral: torch.Tensor) -> torch.Tensor:
        """Mean squared motion of the landmarks in the photo since the fit.

        Args:
            neutral: ``[N, 3]``; in inter-ocular distances.
        """
        moved = self._located(neutral + self._expression) - self._target
        return (moved / self._scale).square().sum(1).mean()

    def silhouette(self, model, renderer) -> torch.Tensor:
        """Mean squared difference between the photo's head mask and the drawn coverage."""
        mesh = model.mesh(self._expression)
        _, coverage = renderer(mesh, self._camera, MASK_SIZE)
        return (self._valid * (coverage - self._mask).square()).mean()

    def _located(self, vertices: torch.Tensor) -> torch.Tensor:
        """Landmarks ``[106, 2]`` of ``vertices [N, 3]``, normalised device coordinates."""
        points = (vertices[self._vertices] * self._weights[..., None]).sum(-2)
        clip = clip_positions(points, self._camera)
        return clip[:, :2] / clip[:, 3:]


def map_camera(
    camera: Camera, photo_size: tuple[int, int], to_map: np.ndarray, size: int
) -> Camera:
    """The photo's camera behind an affine crop.

    Args:
        camera: clip space covers the whole photo.
        photo_size: width and height, pixels.
        to_map: ``[2, 3]``, photo pixels to pixels of the map.
        size: side of the map, pixels.
    """
    width, height = photo_size
    pixels = np.array([[width / 2, 0, width / 2], [0, -height / 2, height / 2], [0, 0, 1]])
    crop = np.vstack([to_map, [0, 0, 1]])
    device = np.array([[2 / size, 0, -1], [0, -2 / size, 1], [0, 0, 1]])
    change = np.eye(4)
    change[np.ix_([0, 1, 3], [0, 1, 3])] = device @ crop @ pixels
    return Camera(camera.world_to_camera, (change @ camera.projection).astype(np.float32))


def _landmarks(template: HeadTemplate, yaw: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Template vertices ``[106, 3]`` and weights of the landmarks nearest to a fit's ``yaw``."""
    row = int(np.abs(template.landmark_yaw + yaw).argmin())  # the table's sign is the image's
    vertices = torch.from_numpy(template.landmark_vertices[row].astype(np.int64))
    return vertices, torch.from_numpy(template.landmark_weights[row].astype(np.float32))
