"""Which surface points the 106-landmark detector finds, measured on renders of the template.

Random heads with random expressions and lights are rendered in nine yaw bins and shown to the
detector. For each bin and landmark the surface point with the smallest error is kept: the vertex
first, then a point of an adjacent triangle. Contour landmarks slide over the surface with the yaw,
which is why every bin has its own correspondence.
"""

import logging
from dataclasses import dataclass

import numpy as np

from ..appearance.spherical_harmonics import random_light
from ..appearance.uv_atlas import UVAtlas
from ..camera import orbit_camera
from ..expressions import EXPRESSIONS
from ..identity.face_analysis import FaceAnalysis
from ..render.head_renderer import HeadRenderer
from ..render.normals import vertex_normals
from ..structures import HeadAppearance, HeadGeometry, Material, Photo
from ..template.head_template import HeadTemplate

logger = logging.getLogger(__name__)

YAWS = np.arange(-60, 61, 15)
HEADS, SIDE = 60, 288
RIGHT_EYE, LEFT_EYE = slice(33, 43), slice(87, 97)


@dataclass
class _Bin:
    """What was seen in one yaw bin: ``[n, 106, 2]``, ``[n, N, 2]`` (eye distances), ``[n, N]``."""

    landmarks: list
    vertices: list
    facing: list


def measure_landmarks(template: HeadTemplate, seed: int = 4) -> dict[str, np.ndarray]:
    """The four ``landmark_*`` arrays of HeadTemplate."""
    bins = _observe(template, seed)
    neighbours: dict[int, list[np.ndarray]] = {}
    for face in template.skin_vertex[template.skin_faces]:
        for vertex in face.tolist():
            neighbours.setdefault(vertex, []).append(face)
    vertices = np.zeros((len(YAWS), 106, 3), np.int32)
    weights = np.zeros((len(YAWS), 106, 3), np.float32)
    sigma = np.zeros((len(YAWS), 106), np.float32)
    above_neck = (template.regions["neck"] < 0.5) & (template.regions["mouth_interior"] < 0.5)
    for row, seen in enumerate(bins):
        landmarks, points = np.stack(seen.landmarks), np.stack(seen.vertices)
        candidates = np.unique(template.skin_vertex)
        facing = np.mean(seen.facing, axis=0)
        candidates = candidates[(facing > -0.15)[candidates] & above_neck[candidates]]
        for mark in range(106):
            error = np.linalg.norm(points[:, candidates] - landmarks[:, None, mark], axis=-1)
            score = np.median(error, 0) + 0.3 * np.sqrt((error**2).mean(0))
            best = int(candidates[score.argmin()])
            options = [
                (*_point_in(points[:, face], landmarks[:, mark]), face) for face in neighbours[best]
            ]
            _, rms, share, face = min(options, key=lambda option: option[0])
            vertices[row, mark], weights[row, mark], sigma[row, mark] = face, share, rms
        logger.info("yaw %d: %d heads, rms %.4f", YAWS[row], len(landmarks), sigma[row].mean())
    return {
        "landmark_yaw": YAWS.astype(np.float32),
        "landmark_vertices": vertices,
        "landmark_weights": np.round(weights, 4),
        "landmark_sigma": np.round(sigma, 4),
    }


def _observe(template: HeadTemplate, seed: int) -> list[_Bin]:
    """Render and detect."""
    analysis, renderer = FaceAnalysis(), HeadRenderer()
    atlas = UVAtlas(template, 1024)
    scalp = atlas.image(template.regions["scalp"])[..., None]
    bins = [_Bin([], [], []) for _ in YAWS]
    for head in range(HEADS):
        generator = np.random.default_rng((seed, head))
        neutral = template.neutral(generator.normal(size=len(template.identity_basis)))
        displacements = template.expression_displacements(neutral)
        geometry, appearance = _dressed(template, neutral, displacements, scalp, generator)
        for seen, yaw in zip(bins, YAWS, strict=True):
            name = EXPRESSIONS[generator.integers(len(EXPRESSIONS))]
            strength = 0.0 if generator.random() < 0.5 else generator.uniform(0.3, 1.0)
            camera = orbit_camera(
                yaw + generator.uniform(-5, 5), generator.normal(0, 9), distance=1.4, fov_y=12.5,
                target=(0.0, -0.02, 0.02),
            )  # fmt: skip
            picture = renderer.render(
                geometry, appearance, camera, (SIDE, SIDE), expression={name: strength},
                light=random_light(generator), background=float(generator.uniform(0.2, 0.9)),
            ).shaded  # fmt: skip
            faces = analysis.faces(Photo((np.clip(picture, 0, 1) * 255).astype(np.uint8)))
            if not faces:
                continue
            face = max(faces, key=lambda f: f.score)
            posed = neutral + strength * displacements[EXPRESSIONS.index(name)]
            points = camera.pixels(posed, SIDE, SIDE)[:, :2]
            skin = posed[template.skin_vertex]
            normals = vertex_normals(skin, template.skin_faces, template.skin_vertex)
            facing = np.zeros(len(posed), np.float32)
            facing[template.skin_vertex] = normals @ camera.world_to_camera[2, :3]
            pixels_per_metre = camera.projection[1, 1] * SIDE / 2 / 1.4
            unit = template.eye_frame.distance(neutral) * pixels_per_metre
            seen.landmarks.append(face.landmarks / unit)
            seen.vertices.append((points / unit).astype(np.float32))
            seen.facing.append(facing)
    return bins


def _dressed(template, neutral, displacements, scalp, generator):
    """Geometry and materials of a synthetic head with brows and, half of the time, short hair."""
    dark = generator.choice([generator.uniform(0.22, 0.40), generator.uniform(0.5, 0.75)])
    skin = template.stock_skin(generator.uniform(20, 70), generator.uniform(0, 1), float(dark))
    hair = np.array([0.02, 0.015, 0.01]) * generator.uniform(0.5, 6)
    if generator.random() < 0.5:
        skin = skin * (1 - 0.9 * scalp) + hair * 0.9 * scalp
    parts = template.parts(neutral, displacements)
    names = [part.name for part in parts[1:]]
    materials = {"skin": Material(skin.astype(np.float32)), **template.stock_materials(names)}
    colours = template.look.eye_colours
    materials["eyes"] = template.eye_material(colours[generator.integers(len(colours))])
    brows = template.brows(neutral, displacements)
    material = template.look.material("brows")
    materials["brows"] = Material(np.ones_like(material.albedo) * hair, material.alpha)
    return HeadGeometry((*parts, brows)), HeadAppearance(materials)


def _point_in(corners: np.ndarray, target: np.ndarray):
    """Robust barycentric fit.

    Args:
        corners: ``[n, 3, 2]``, one triangle in n views.
        target: ``[n, 2]``.

    Returns:
        Mean error, RMS error, and weights ``[3]`` of the point that follows the target best.
    """
    origin = corners[:, 0]
    matrix = np.stack([corners[:, 1] - origin, corners[:, 2] - origin], -1)  # [n, 2, 2]
    right = target - origin
    trust = np.ones(len(right))
    for _ in range(4):  # iteratively reweighted: L1
        weighted = (matrix * trust[:, None, None]).reshape(-1, 2)
        share = np.linalg.lstsq(weighted, (right * trust[:, None]).ravel(), rcond=None)[0]
        share = np.clip(share, 0, 1)
        share = share / max(1.0, share.sum())
        error = np.linalg.norm(right - matrix @ share, axis=-1)
        trust = 1 / np.sqrt(np.maximum(error, 1e-3))
    rms = float(np.sqrt((error**2).mean()))
    return float(error.mean()), rms, np.array([1 - share.sum(), *share])
