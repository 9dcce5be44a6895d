"""What a photo shows of each eyeball: seen from straight ahead, where the iris is, its colours."""

from dataclasses import dataclass

import cv2
import numpy as np

from ..colour import luma, to_srgb
from ..ramp import smoothstep
from ..structures import HeadFit, HeadPart, Identity
from .photo_projection import EYES, GLASSES, nearest_depth, sample_parsing, sample_photo

SIDE, SPAN = 96, 0.75
"""Pixels of a view, and how far it reaches from its centre, in radii of the eyeball."""

IRIS = 0.36
"""Radius of an iris, in radii of the template's eyeball: what photos show (21°)."""

GAZE = 0.3
"""Furthest that an iris is looked for from straight ahead, in radii of the eyeball."""

LEAST = 40
"""Pixels of a view that a colour is measured from, at least."""


@dataclass(frozen=True)
class EyeView:
    """The front of one eyeball, ``[96, 96]``, row 0 on top.

    Attributes:
        colour: float32 ``[96, 96, 3]``, linear, as photographed.
        seen: float32 in [0, 1], how surely the photo shows the eyeball there.
        iris_pixels: radius of the iris in the photo, pixels.
    """

    colour: np.ndarray
    seen: np.ndarray
    iris_pixels: float


@dataclass(frozen=True)
class EyeColours:
    """What was measured on one eye; all linear, as photographed.

    Attributes:
        gaze: where the iris is, ``[2]``, right and up, radii of the eyeball.
        iris: float32 ``[3]``.
        white: float32 ``[3]``.
    """

    gaze: np.ndarray
    iris: np.ndarray
    white: np.ndarray


def plane() -> tuple[np.ndarray, np.ndarray]:
    """Right and up of a view's pixels, in radii of the eyeball, float32 ``[96, 96]`` each."""
    line = ((np.arange(SIDE, dtype=np.float32) + 0.5) / SIDE * 2 - 1) * SPAN
    right, down = np.meshgrid(line, line)
    return right, -down


def plane_directions() -> np.ndarray:
    """Directions of a view's pixels from the eyeball's centre, float32 ``[96, 96, 3]``."""
    right, up = plane()
    return np.stack([right, up, np.sqrt(np.clip(1 - right**2 - up**2, 0, 1))], -1)


def view_eye(
    identity: Identity, fit: HeadFit, centre: np.ndarray, radius: float, skin: HeadPart
) -> EyeView:
    """Look at one eyeball in the photo.

    Args:
        identity: photo and its parsing.
        fit: of the same photo.
        centre: of the eyeball, ``[3]``, metres.
        radius: metres.
        skin: posed as in the photo, hides most of the eyeball.
    """
    normal = plane_directions()
    position = (centre + radius * normal).astype(np.float32)
    width, height = identity.photo.size
    pixels = fit.camera.pixels(position.reshape(-1, 3), width, height).astype(np.float32)
    columns, rows, depth = (pixels[:, i].reshape(SIDE, SIDE) for i in range(3))
    towards = fit.camera.position - position
    facing = (normal * towards).sum(-1) / (np.linalg.norm(towards, axis=-1) + 1e-9)
    probabilities = sample_parsing(identity.parsing, columns, rows)
    shown = probabilities[..., [*EYES, *GLASSES]].sum(-1)
    ball = normal[..., 2] > 0
    size = (width, height)
    lids = nearest_depth(fit.camera, skin.vertices, skin.faces, columns, rows, ball, size, 256)
    seen = ball * (facing > 0.3) * (depth < lids + 0.0005) * np.clip((shown - 0.3) / 0.4, 0, 1)
    seen = cv2.GaussianBlur(cv2.erode(seen.astype(np.float32), np.ones((3, 3))), (0, 0), 1.0)
    scale = fit.camera.projection[1, 1] * height / 2 / float(depth[SIDE // 2, SIDE // 2])
    return EyeView(sample_photo(identity, columns, rows), seen, float(IRIS * radius * scale))


def measure_eye(view: EyeView) -> EyeColours | None:
    """Find the iris and the colours of iris and white; None where too little is seen."""
    gaze = find_iris(view)
    if gaze is None:
        return None
    right, up = plane()
    away = np.hypot(right - gaze[0], up - gaze[1]) / IRIS
    light = luma(view.colour)
    # above lies the lid's shadow, in the middle the pupil, at the rim the white mixes in
    ring = (view.seen > 0.6) & (away > 0.4) & (away < 0.85) & (up - gaze[1] < 0.25 * IRIS)
    white = (view.seen > 0.6) & (away > 1.15)
    if ring.sum() < LEAST or white.sum() < LEAST:
        return None
    plain = _between(light, ring, 0.25, 0.75)  # neither mirrored windows nor lashes
    bright = _between(light, white, 0.6, 0.95)
    return EyeColours(gaze, view.colour[plain].mean(0), view.colour[bright].mean(0))


def _between(light: np.ndarray, where: np.ndarray, low: float, high: float) -> np.ndarray:
    """The pixels ``where`` whose ``light`` lies between two of its quantiles there, bool."""
    least, most = np.quantile(light[where], (low, high))
    return where & (light >= least) & (light <= most)


def find_iris(view: EyeView) -> np.ndarray | None:
    """Where a dark disc of the iris's size stands out most, ``[2]`` as ``EyeColours.gaze``."""
    if (view.seen > 0.6).sum() < 4 * LEAST:
        return None
    light = to_srgb(np.clip(luma(view.colour), 0, 1)).astype(np.float32)
    light = np.minimum(light, np.quantile(light[view.seen > 0.6], 0.9))
    right, up = plane()
    away = np.hypot(right, up) / IRIS
    scores, covers = [], []
    for kernel in (away < 1, (away > 1.1) & (away < 1.4)):
        kernel = kernel.astype(np.float32)
        cover = cv2.filter2D(view.seen, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        total = cv2.filter2D(view.seen * light, -1, kernel, borderType=cv2.BORDER_CONSTANT)
        scores.append(total / np.maximum(cover, 1e-3))
        covers.append(cover / kernel.sum())
    possible = (covers[0] > 0.35) & (covers[1] > 0.1) & (np.hypot(right, up) < GAZE)
    if not possible.any():
        return None
    contrast = scores[1] - scores[0] - 0.5 * (right**2 + up**2)
    best = np.argmax(np.where(possible, contrast, -np.inf))
    return np.array([right.flat[best], up.flat[best]])


def coarse_shade(
    view: EyeView, colours: EyeColours, expected: np.ndarray, shadow: np.ndarray
) -> np.ndarray:
    """Log of how much darker the photo is than what is drawn, without any detail.

    Args:
        view: of the eye.
        colours: measured in it.
        expected: luminance ``[2]`` of what is drawn as iris and as white ...
        shadow: ``[96, 96]``: ... and the light that lids leave of it.

    Returns:
        float32 ``[96, 96]``.
    """
    right, up = plane()
    away = np.hypot(right - colours.gaze[0], up - colours.gaze[1]) / IRIS
    drawn = expected[0] + (expected[1] - expected[0]) * smoothstep(0.9, 1.1, away)
    light = np.clip(luma(view.colour), 0.004, max(float(luma(colours.white)), 0.01))
    difference = np.log(light / (drawn * shadow)).astype(np.float32)
    blur = 0.22 / SPAN * SIDE / 2
    weight = cv2.GaussianBlur(view.seen, (0, 0), blur)
    mean = float((difference * view.seen).sum() / max(view.seen.sum(), 1e-3))
    total = cv2.GaussianBlur(difference * view.seen, (0, 0), blur)
    return (total + 0.03 * mean) / (weight + 0.03)
