"""The drawn eyes of the template, tinted to any iris colour."""

import cv2
import numpy as np
import torch

from ..colour import luma
from ..errors import OptionError
from ..ramp import smoothstep
from ..render.cpu_rasterizer import CpuRasterizer
from ..render.normals import vertex_normals
from ..structures import HeadPart
from ..template.head_template import HeadTemplate
from .eye_view import IRIS

DRAWN_IRIS, DRAWN_PUPIL = 0.394, 0.118
"""Radii in the stock textures, in radii of the eyeball."""

ISLAND, BACK, POWER = 0.285, np.radians(102), 0.7
"""Layout of the stock textures: an island's radius, as a share of the side, the angle from straight
ahead at its rim, and the power of that angle that the distance from its middle grows with."""

TURNED = (0.6, 1.2)
"""Angle from straight ahead, radians, up to which the drawing turns with the gaze, and from which
it stays."""

PUPIL = DRAWN_PUPIL * IRIS / DRAWN_IRIS
"""Radius of the pupils, in radii of the eyeball."""

WHITER = 0.5
"""Share of the drawn white's tint that is taken out."""

PLAIN = 0.55
"""Share of the fibres' contrast that is taken out: drawn ones look like spokes."""

LIMBUS_BLUR = 2.5
"""Softness of the iris's rim, texels."""

LIGHT, GREENISH = (0.06, 0.12), (-0.25, -0.05)
"""Luminance of an iris, or log of green over red of one that is not black, up to which it is brown
(a mirrored sky tints it), and from which any hue is possible."""

BLACK = (0.02, 0.04)
"""Luminance of irises up to which no hue is seen, and from which it is."""

VIVID = 0.3
"""How much stronger the hue of a light iris is drawn than the photo's soft picture of it."""

HAZEL, PLAIN_BROWN = 1.5, 2.5
"""Red over green of the drawn irises that are any brown, and of those without an amber ring."""

BELIEVED = 0.85
"""How far the hue of a brown iris is believed where the photo shows it large."""

CERTAIN = (3.0, 9.0)
"""Radius of a photographed iris, pixels, from which its hue means something, to where it is
believed."""


class StockEyes:
    """Textures of both eyes ``[E, E, 3]``, linear, and where each texel lies.

    Attributes:
        direction: float32 ``[E, E, 3]``, unit, from the eyeball's centre; +Z is straight ahead.
        eye: int ``[E, E]``, 0 for the subject's right one.
        mask: bool ``[E, E]``.
        white: float32 ``[3]``, colour of the drawn white around the iris.
        irises: float32 ``[6, 3]``, colours of the drawn irises.
    """

    def __init__(self, template: HeadTemplate):
        still = np.zeros((1, *template.mean.shape), np.float32)
        parts = template.parts(template.neutral(np.zeros(0, np.float32)), still)
        eyes = next(part for part in parts if part.name == "eyes")
        self.names = template.look.eye_colours
        pictures = [template.eye_material(name).albedo for name in self.names]
        self.direction, position, self.mask = _texels(eyes, pictures[0].shape[0])
        self.eye = (position[..., 0] > 0).astype(int)
        away = np.hypot(self.direction[..., 0], self.direction[..., 1])
        away = np.where(self.direction[..., 2] > 0, away, 1)
        self._middle = [
            divmod(int(np.where(self.of(i), self.direction[..., 2], -1).argmax()), len(away))
            for i in range(2)
        ]
        self._pictures = [self._fitted(picture, away) for picture in pictures]
        rim, pupil = self._soft_rim(smoothstep(0.96, 1.075, away / IRIS), away), away / PUPIL
        self._white_share, self._hue_share = (
            rim[..., None],
            smoothstep(0.95, 1.15, pupil)[..., None],
        )
        ring = self.mask & (away > 0.4 * IRIS) & (away < 0.85 * IRIS)
        white = self.mask & (away > 1.2 * IRIS) & (away < 1.6 * IRIS)
        self.irises = np.stack([picture[ring].mean(0) for picture in self._pictures])
        self.white = self._pictures[0][white].mean(0)

    def plain(self, name: str) -> tuple[np.ndarray, float]:
        """A drawn eye by its colour's name ``[E, E, 3]``, and the luminance of its iris.

        Raises:
            OptionError: the name is unknown.
        """
        if name not in self.names:
            raise OptionError(
                f"Eye colour '{name}' is unknown. Use one of {', '.join(self.names)}."
            )
        index = self.names.index(name)
        return self._pictures[index], float(luma(self.irises[index]))

    def tinted(self, iris: np.ndarray, pixels: float) -> tuple[np.ndarray, float]:
        """The nearest drawn eye, tinted.

        Args:
            iris: colour ``[3]``, linear albedo.
            pixels: radius of the iris that it was measured on; the hue of a small one is not
                believed.

        Returns:
            float32 ``[E, E, 3]``, and the luminance of its irises.
        """
        trust = float(smoothstep(*CERTAIN, np.float32(pixels)))
        iris = iris * (0.5 + 0.5 * trust)  # a small one is mixed with the white around it
        hued = trust * _hued(iris)
        iris = iris * (0.65 + 0.35 * hued)
        ratio = np.log(iris) - np.log(self.irises)  # [6, 3]
        level = ratio.mean(1, keepdims=True)
        distance = 0.25 * level[:, 0] ** 2 + hued * ((ratio - level) ** 2).sum(1)
        if hued < 0.5:
            redness = self.irises[:, 0] / self.irises[:, 1]
            distance += 1e3 * (redness < (HAZEL if trust > 0.5 else PLAIN_BROWN))
        index = int(distance.argmin())
        colour, drawn = (np.log(c / luma(c)) for c in (iris, self.irises[index]))
        paler = np.linalg.norm(colour) < np.linalg.norm(drawn)  # what skin mixes in is no less red
        hue = np.clip(ratio[index] - level[index], -0.9, 0.9)
        hue *= max(hued, BELIEVED * max(trust, 0.6 * paler))
        tint = np.exp(hue + VIVID * hued * (drawn + hue) + np.clip(level[index], -1.1, 0.7))
        picture = self._pictures[index]
        iris = np.clip(picture - self.white * self._white_share, 0, None) * self._hue_share
        iris = iris * (1 - smoothstep(0.4, 0.8, self._white_share))  # no tinted halo
        picture = np.clip(picture + (tint - 1) * iris, 0, 1)
        return picture.astype(np.float32), float(luma(self.irises[index] * tint))

    def turned(self, picture: np.ndarray, up: float) -> np.ndarray:
        """A texture of both eyes with irises ``up`` radians higher; the back of the eyes stays."""
        x, y, z = np.moveaxis(self.direction, -1, 0)
        angle = np.arccos(np.clip(z, -1, 1))
        turn = up * (1 - smoothstep(*TURNED, angle))
        y, z = y * np.cos(turn) - z * np.sin(turn), y * np.sin(turn) + z * np.cos(turn)
        flat = np.maximum(np.hypot(x, y), 1e-6)
        angle = np.arctan2(flat, z)
        radius = ISLAND * len(picture) * (angle / BACK) ** POWER
        rows, columns = np.empty_like(radius), np.empty_like(radius)
        for eye, (row, column) in enumerate(self._middle):
            own = self.eye == eye
            columns[own] = (column + radius * x / flat)[own]
            rows[own] = (row - radius * y / flat)[own]
        moved = cv2.remap(picture, columns.astype(np.float32), rows.astype(np.float32), 1)
        return np.where(self.mask[..., None], moved, picture)

    def of(self, eye: int) -> np.ndarray:
        """Texels of one eye, bool ``[E, E]``."""
        return self.mask & (self.eye == eye)

    def _fitted(self, picture: np.ndarray, away: np.ndarray) -> np.ndarray:
        """A stock texture with irises of the size that photos show, and softer fibres."""
        scale = float((np.arcsin(DRAWN_IRIS) / np.arcsin(IRIS)) ** POWER)
        rows, columns = np.indices(away.shape, np.float32)
        out = picture.copy()
        for eye, (row, column) in enumerate(self._middle):
            own = self.of(eye)
            x, y = column + (columns - column) * scale, row + (rows - row) * scale
            moved = cv2.remap(picture, x, y, cv2.INTER_LINEAR)
            near = own & (away < 1.5 * IRIS)
            share = (1 - smoothstep(1.15 * IRIS, 1.5 * IRIS, away[near]))[:, None]
            out[near] = moved[near] * share + picture[near] * (1 - share)
            iris = own & (away < 0.97 * IRIS)
            ring = (away[iris] / IRIS * 40).astype(int)
            count = np.bincount(ring, minlength=40)
            mean = np.stack([np.bincount(ring, out[iris][:, c], 40) for c in range(3)], 1)
            mean /= np.maximum(count, 1)[:, None]
            out[iris] += PLAIN * (mean[ring] - out[iris])
        white = smoothstep(0.96, 1.075, away / IRIS)[..., None]
        out += WHITER * white * (luma(out)[..., None] - out)
        return self._soft_rim(out, away)

    def _soft_rim(self, image: np.ndarray, away: np.ndarray) -> np.ndarray:
        """The image ``[E, E, ...]``, blurred where the iris ends."""
        near = smoothstep(0.75, 0.9, away / IRIS) * (1 - smoothstep(1.15, 1.3, away / IRIS))
        near = near.reshape(*near.shape, *[1] * (image.ndim - 2))
        return image + near * (cv2.GaussianBlur(image, (0, 0), LIMBUS_BLUR) - image)


def _hued(iris: np.ndarray) -> float:
    """How far an iris ``[3]`` may be anything but brown, in [0, 1]."""
    light = luma(iris)
    greenish = smoothstep(*GREENISH, np.log(iris[1] / iris[0])) * smoothstep(*BLACK, light)
    return float(max(smoothstep(*LIGHT, light), greenish))


def _texels(part: HeadPart, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Unit normals ``[E, E, 3]``, positions ``[E, E, 3]`` and bool mask of a part's texture."""
    clip = np.c_[
        2 * part.uv[:, 0] - 1, 1 - 2 * part.uv[:, 1], np.zeros(len(part.uv)), np.ones(len(part.uv))
    ]
    rasterizer = CpuRasterizer()
    faces = torch.from_numpy(part.faces.astype(np.int64))
    clip = torch.from_numpy(clip.astype(np.float32))
    fragments = rasterizer.rasterize(clip, faces, side, side)
    normals = vertex_normals(part.vertices, part.faces, part.weld)
    values = torch.from_numpy(np.c_[normals, part.vertices].astype(np.float32))
    image = rasterizer.interpolate(values, faces, fragments).numpy()
    length = np.linalg.norm(image[..., :3], axis=-1, keepdims=True)
    return (
        image[..., :3] / np.maximum(length, 1e-6),
        image[..., 3:],
        fragments.face_index.numpy() >= 0,
    )
