"""Bring the photo's skin into texture space: what was seen, and how far to trust each texel."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch

from ..camera import Camera
from ..colour import luma, to_linear, to_srgb
from ..ramp import smoothstep
from ..render.cpu_rasterizer import CpuRasterizer
from ..render.normals import vertex_normals
from ..structures import FaceParsing, HeadFit, Identity
from ..template.fit import LEFT_EYE, RIGHT_EYE
from .face_regions import FaceRegions
from .uv_atlas import UVAtlas, gaussian

SKIN = (1, 2, 3, 10, 12, 13)
"""Parser classes of facial skin: skin, brows, nose, lips."""
EYES, EARS, NECK, GLASSES, MOUTH, HAIR = (4, 5), (7, 8), (14,), (6,), (11,), (17,)

TEXELS_BETWEEN_EYES = 240
"""The photo is shrunk to this inter-ocular distance (pixels) before it is sampled."""


@dataclass(frozen=True)
class PhotoTexture:
    """The photo in texture space; all images ``[S, S, ...]``.

    Attributes:
        colour: float32, linear RGB as photographed (light included).
        weight: float32 in [0, 1], trust in the texel.
        normal: float32, unit, camera frame.
        facing: float32, cosine between normal and the direction to the camera.
        probabilities: float32 ``[S, S, 19]``, the parser's classes (0 where unseen).
    """

    colour: np.ndarray
    weight: np.ndarray
    normal: np.ndarray
    facing: np.ndarray
    probabilities: np.ndarray


def project_photo(
    identity: Identity, fit: HeadFit, atlas: UVAtlas, regions: FaceRegions
) -> PhotoTexture:
    """Sample the photo at every texel of the fitted head.

    A texel is trusted where it faces the camera, nothing hides it, and the parser says that the
    photo shows skin there (an ear on the ears, neck on the neck).
    """
    position = atlas.image(fit.vertices)  # [S, S, 3]
    width, height = identity.photo.size
    pixels = fit.camera.pixels(position.reshape(-1, 3), width, height).astype(np.float32)
    columns, rows, depth = (pixels[:, i].reshape(atlas.mask.shape) for i in range(3))
    normal, facing = _facing(fit, atlas, position)
    colour = sample_photo(identity, columns, rows)
    probabilities = sample_parsing(identity.parsing, columns, rows)
    inside = (columns > 2) & (rows > 2) & (columns < width - 2) & (rows < height - 2)
    vertices, faces = fit.vertices[atlas.template.skin_vertex], atlas.template.skin_faces
    size = (width, height)
    nearest = nearest_depth(fit.camera, vertices, faces, columns, rows, atlas.mask, size, 640)
    visible = depth < nearest + 0.004
    weight = smoothstep(0.2, 0.55, facing) * (visible & inside & atlas.mask)
    weight *= _shows_skin(probabilities, regions, bearded(identity.gender))
    return PhotoTexture(colour * atlas.mask[..., None], weight, normal, facing, probabilities)


def _facing(fit: HeadFit, atlas: UVAtlas, position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Camera-space normals ``[S, S, 3]`` and their cosine to the view direction ``[S, S]``."""
    template = atlas.template
    normals = vertex_normals(
        fit.vertices[template.skin_vertex], template.skin_faces, template.skin_vertex
    )
    normal = atlas.render_image(normals)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
    view = fit.camera.position - position
    view /= np.linalg.norm(view, axis=-1, keepdims=True) + 1e-9
    facing = (normal * view).sum(-1)
    return normal @ fit.camera.world_to_camera[:3, :3].T, facing


def sample_photo(identity: Identity, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Photo colours at pixel positions, linear RGB; shrunk first where it is finer than texels."""
    landmarks = identity.face.landmarks
    eyes = np.linalg.norm(landmarks[LEFT_EYE].mean(0) - landmarks[RIGHT_EYE].mean(0))
    scale = min(1.0, TEXELS_BETWEEN_EYES / float(eyes))
    pixels = identity.photo.pixels
    if scale < 1:
        pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    scale_x = pixels.shape[1] / identity.photo.size[0]
    scale_y = pixels.shape[0] / identity.photo.size[1]
    sampled = cv2.remap(
        pixels,
        columns * scale_x - 0.5,
        rows * scale_y - 0.5,
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return to_linear(sampled.astype(np.float32) / 255)


def sample_parsing(parsing: FaceParsing, columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Class probabilities at photo pixel positions, ``[S, S, 19]``; 0 outside the parser's crop."""
    matrix = parsing.photo_to_crop.astype(np.float32)
    columns, rows = columns - 0.5, rows - 0.5  # the parser counts from pixel centres
    x = matrix[0, 0] * columns + matrix[0, 1] * rows + matrix[0, 2]
    y = matrix[1, 0] * columns + matrix[1, 1] * rows + matrix[1, 2]
    layers = [cv2.remap(layer, x, y, cv2.INTER_LINEAR) for layer in parsing.probabilities]
    return np.stack(layers, axis=-1)


def nearest_depth(
    camera: Camera,
    vertices: np.ndarray,
    faces: np.ndarray,
    columns: np.ndarray,
    rows: np.ndarray,
    mask: np.ndarray,
    size: tuple[int, int],
    side: int,
) -> np.ndarray:
    """Distance (metres) of the surface that the camera sees at photo pixels; 99 where none.

    Args:
        camera: of the photo.
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``.
        columns: pixel positions, float32 ``[S, S]``.
        rows: likewise.
        mask: bool ``[S, S]``, positions that count; the others get the answer of the first.
        size: width and height of the photo.
        side: of the depth image that is drawn around the positions.
    """
    columns = np.where(mask, columns, columns[mask][0])
    rows = np.where(mask, rows, rows[mask][0])
    low = np.array([columns.min(), rows.min()])
    scale = side / float(max(columns.max() - low[0], rows.max() - low[1]) + 1)
    pixels = camera.pixels(vertices, *size)
    ndc = (pixels[:, :2] - low) * scale / side * 2 - 1
    distance = pixels[:, 2]
    clip = np.c_[ndc * [1, -1] * distance[:, None], 0 * distance, distance].astype(np.float32)
    fragments = CpuRasterizer().rasterize(
        torch.from_numpy(clip), torch.from_numpy(faces.astype(np.int64)), side, side
    )
    depth = np.minimum(fragments.depth.numpy(), 99).astype(np.float32)
    depth = cv2.dilate(depth, np.ones((3, 3)))  # tolerate half a pixel at silhouettes
    x, y = (columns - low[0]) * scale - 0.5, (rows - low[1]) * scale - 0.5
    return cv2.remap(
        depth, x.astype(np.float32), y.astype(np.float32), cv2.INTER_NEAREST, borderValue=99
    )


def bearded(gender: float) -> float:
    """Whether hair on chin and cheeks may be a beard, from the probability of "female"."""
    return float(1 - smoothstep(0.5, 0.8, np.float32(gender)))


def _shows_skin(probabilities: np.ndarray, regions: FaceRegions, beard: float) -> np.ndarray:
    """How surely the photo shows the surface itself, ``[S, S]`` in [0, 1].

    It does within glasses, which are taken off the photo before.
    """

    def share(classes):
        return probabilities[..., list(classes)].sum(-1)

    atlas = regions.atlas
    near_eye = 1 - smoothstep(0.3, 0.38, regions.eye_distance())
    allowed = share(SKIN) + share(EYES) * near_eye + share(HAIR) * regions.beard * beard
    allowed = allowed + share(EARS) * regions.ears + share(NECK) * regions.neck + share(GLASSES)
    allowed = smoothstep(0.35, 0.75, allowed)
    radius = max(1, round(atlas.size * 0.006))
    outer = cv2.erode(allowed, np.ones((2 * radius + 1,) * 2))
    outer = gaussian(outer, radius)
    inner = np.clip(regions.face, 0, 1) * (regions.eye_distance() < 0.42)
    allowed = np.minimum(allowed, outer * (1 - inner) + allowed * inner)
    hole = cv2.dilate(share(MOUTH), np.ones((5, 5))) * (regions.mouth_distance() < 0.55)
    return allowed * (1 - smoothstep(0.2, 0.6, hole))


def skin_darkness(albedo: np.ndarray, where=...) -> float:
    """Of skin, see ``StockLook.skin``: of ``albedo [..., 3]``, linear, at the texels ``where``."""
    return 1 - float(np.median(to_srgb(luma(albedo))[where]))
