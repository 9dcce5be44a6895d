"""Where the photo shows how wide a face is: the landmark detector draws heavy jaws too narrow.

It puts the outline of every face near that of a usual one, and a fit to it leaves the far cheek of
a turned head too wide. The parser's mask ends where the face ends, which is certain where nothing
but background lies beyond it: hair, an ear, a collar or the neck do not tell.
"""

import numpy as np

from ..ramp import smoothstep
from ..structures import FaceParsing, HeadFit
from .head_template import HeadTemplate

CHAIN = np.r_[1, 9:17, 2:9, 0, 24:17:-1, 32:24:-1, 17]
"""Landmarks of the outline, from the temple at the image's left over the chin to the other one."""

BACKGROUND, FACE = 0, (1, 2, 3, 4, 5, 6, 10, 11, 12, 13)
"""Parser classes: what a face's edge is seen against, and all that lies within a face."""

OUTWARDS, INWARDS = 0.12, 0.15
"""How far from the detected outline the face's edge is looked for, widths of the face."""

BEYOND = 8
"""Pixels of the crop past the edge that have to be background: less is a gap between strands."""

FADE = 2.5
"""Along the outline from what is seen, landmarks: there the widening falls to 1/e."""

ROUNDS, STRIP, LARGEST = 2, 0.03, 0.012
"""Of the correction: rounds, half width of a ray (face widths), longest step (metres)."""

REACH, RIDGE = 0.025, 0.3
"""Of the correction: deviation of its Gaussian kernel (metres), and its regularisation."""

TURNED, APART = (8.0, 20.0), 0.02
"""Degrees of yaw between which the hidden cheek begins to follow the one that is seen, and how far
from a seen edge it does, metres."""


def widened_outline(parsing: FaceParsing, landmarks: np.ndarray) -> np.ndarray:
    """Move the outline out to the edge of the face, where the photo shows that edge.

    It is never moved inwards, and never past the mask of the face.

    Args:
        parsing: of the photo.
        landmarks: ``[106, 2]``, the order of 2d106det, photo pixels.

    Returns:
        All landmarks, ``[106, 2]``.
    """
    points, outwards, width = _chain(parsing, landmarks)
    room, seen = _room(parsing.labels, points, outwards, OUTWARDS * width)
    away = np.abs(np.subtract.outer(np.arange(len(CHAIN)), np.flatnonzero(seen)))  # [33, seen]
    carried = (room[seen] * np.exp(-away / FADE)).max(1, initial=0)
    moved = landmarks.copy()
    moved[CHAIN] = parsing.in_photo(points + np.minimum(room, carried)[:, None] * outwards)
    return moved


def outline_correction(
    fit: HeadFit,
    template: HeadTemplate,
    anchors: np.ndarray,
    landmarks: np.ndarray,
    parsing: FaceParsing,
    size: tuple[int, int],
) -> np.ndarray:
    """Offset that brings the edge of the fitted face onto the edge that the photo shows.

    A turned head shows the edge of one cheek; the other cheek follows it.

    Args:
        fit: landmark fit.
        template: of the fit.
        anchors: ``[M, 3]``, metres, points of the fitted face that keep their place.
        landmarks: ``[106, 2]``, photo pixels.
        parsing: of the same photo.
        size: width and height of the photo, pixels.

    Returns:
        float32 ``[N, 3]``, metres.
    """
    points, outwards, width = _chain(parsing, landmarks)
    start = points - INWARDS * width * outwards
    room, seen = _room(parsing.labels, start, outwards, (INWARDS + OUTWARDS) * width)
    edge, outwards = (start + room[:, None] * outwards)[seen], outwards[seen]  # [E, 2]
    offset = np.zeros_like(fit.neutral)
    if len(edge) == 0:
        return offset
    rows = np.flatnonzero(_may_be_edge(template))
    direction = _in_head(fit, parsing, outwards)  # [E, 3]
    focal = fit.camera.projection[1, 1] * size[1] / 2 * parsing.scale  # pixels of the crop
    turned = float(smoothstep(*TURNED, np.float32(abs(fit.yaw))))
    for _ in range(ROUNDS):
        vertices = fit.vertices + offset
        pixels = fit.camera.pixels(vertices[rows], *size)
        past, outermost = _past(parsing.in_crop(pixels[:, :2]), edge, outwards, STRIP * width)
        step = np.clip(-past * pixels[outermost, 2] / focal, -LARGEST, LARGEST)  # metres
        met, steps = rows[outermost], step[:, None] * direction
        offset += _spread(template, vertices, met, steps, anchors, turned)
    return offset


def _chain(parsing: FaceParsing, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """The outline ``[33, 2]`` in the crop, its unit normals ``[33, 2]``, the face's width."""
    points = parsing.in_crop(landmarks[CHAIN])
    padded = np.r_[points[:1], points, points[-1:]]
    along = padded[2:] - padded[:-2]
    outwards = np.c_[-along[:, 1], along[:, 0]]
    outwards /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
    return points, outwards, float(np.linalg.norm(points[-1] - points[0]))


def _room(
    labels: np.ndarray, start: np.ndarray, outwards: np.ndarray, reach: float
) -> tuple[np.ndarray, np.ndarray]:
    """Distance to the end of the face, pixels ``[33]``, and whether that is its edge, ``[33]``.

    0 from a start outside of the face, or where no end is within ``reach`` pixels.
    """
    steps = np.arange(int(reach) + BEYOND + 1)
    path = (start[:, None] + steps[:, None] * outwards[:, None]).astype(int)  # [33, steps, 2]
    limit = np.array(labels.shape[::-1])
    inside = ((path >= 0) & (path < limit)).all(-1)
    column, row = np.moveaxis(np.clip(path, 0, limit - 1), -1, 0)
    met = np.where(inside, labels[row, column], 255)  # [33, steps]
    room = (~np.isin(met, FACE)).argmax(1)
    after = np.minimum(room[:, None] + np.arange(BEYOND), len(steps) - 1)
    beyond = np.take_along_axis(met, after, 1)  # [33, BEYOND]
    return room.astype(float), (room > 0) & (room <= reach) & (beyond == BACKGROUND).all(1)


def _may_be_edge(template: HeadTemplate) -> np.ndarray:
    """Bool ``[N]``: skin that can be the outline of a face; not ears, neck and mouth."""
    other = sum(template.regions[name] for name in ("ears", "neck", "mouth_interior"))
    skin = np.zeros(len(template.mean), bool)
    skin[template.skin_vertex] = True
    return skin & (other < 0.3)


def _in_head(fit: HeadFit, parsing: FaceParsing, directions: np.ndarray) -> np.ndarray:
    """Directions in the crop ``[E, 2]`` as unit vectors of the head's frame, ``[E, 3]``."""
    photo = directions @ np.linalg.inv(parsing.photo_to_crop[:, :2]).T * parsing.scale
    plane = np.c_[photo * [1, -1], np.zeros(len(photo))]
    return plane @ fit.camera.world_to_camera[:3, :3]


def _past(
    crop: np.ndarray, edge: np.ndarray, outwards: np.ndarray, strip: float
) -> tuple[np.ndarray, np.ndarray]:
    """How far the model reaches past each edge, pixels ``[E]``, and which vertex does, ``[E]``.

    Args:
        crop: vertices ``[R, 2]``, pixels of the crop.
        edge: where each ray meets the edge, ``[E, 2]``.
        outwards: directions of the rays, ``[E, 2]``.
        strip: half width of a ray, pixels.
    """
    away = crop[None] - edge[:, None]  # [E, R, 2]
    along = (away * outwards[:, None]).sum(-1)
    across = away[..., 0] * outwards[:, None, 1] - away[..., 1] * outwards[:, None, 0]
    along[np.abs(across) > strip] = -np.inf
    outermost = along.argmax(1)
    past = along[np.arange(len(edge)), outermost]
    return np.where(np.isfinite(past), past, 0), outermost


def _spread(template, vertices, rows, step, anchors, turned: float) -> np.ndarray:
    """Smooth offset ``[N, 3]`` that moves the vertices ``rows [E]`` by about ``step [E, 3]``.

    Kernel ridge regression; ``turned`` in [0, 1] is the trust in the mirrored steps.
    """
    moved, mirrored = vertices[rows], vertices[template.mirror[rows]]
    apart = np.linalg.norm(mirrored[:, None] - moved[None], axis=-1).min(1)
    follows = (apart > APART) & (turned > 0.01)
    points = np.r_[moved, anchors, mirrored[follows]]
    values = np.r_[step, np.zeros_like(anchors), (step * [-1, 1, 1])[follows]]
    trust = np.ones(len(points))
    trust[len(points) - follows.sum() :] = max(turned, 0.01)
    solution = np.linalg.solve(_kernel(points, points) + np.diag(RIDGE / trust), values)
    return (_kernel(vertices, points) @ solution).astype(np.float32)


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Gaussian of the distance, ``[len(a), len(b)]``."""
    squared = ((a[:, None] - b[None]) ** 2).sum(-1)
    return np.exp(-squared / (2 * REACH**2))
