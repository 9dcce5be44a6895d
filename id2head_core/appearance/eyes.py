"""Draw the eyeballs: the person's iris colour, the shadow of their lids, the photo's coarse shade.

A photo shows some twenty pixels of an eye, mirrors a room in them, and ends where its lids ended.
So iris and white are drawn, and the photo only says which colour and how dark.
"""

import cv2
import numpy as np

from ..colour import luma
from ..structures import HeadFit, HeadPart, Identity
from ..template.head_template import HeadTemplate
from .eye_view import (
    SIDE,
    SPAN,
    EyeColours,
    coarse_shade,
    measure_eye,
    plane_directions,
    view_eye,
)
from .lid_shadow import corner_flesh, lid_rim, lid_shadow
from .stock_eyes import StockEyes

DARKEST, BRIGHTEST = -0.7, 0.2
"""Limits of the photo's coarse shade, factors of e."""

SHARED = 0.7
"""How far the two eyes' shades are pulled together: the photo's light comes from one side."""

IRIS_AHEAD = 0.9
"""An iris faces the light more than its white does; the drawn one is so much darker."""

IRIS_HEIGHT = 0.59
"""Height of the iris's middle between the lower and the upper lid, as a share."""

UPPER_MIDDLE, LOWER_MIDDLE = 6, 22
"""Columns of the lids above and below the pupil."""

GAZE = (-0.14, 0.08)
"""Limits of the irises' height, radians."""

ODD, LARGE = 0.7, 9.0
"""Eyes are of two colours where the channels of their log ratio differ by this much, and the photo
shows irises of at least this radius, pixels."""

WHITENED, WARM = (0.35, 0.85), (1.2, 1.8)
"""Shares of the tint of the photo's white that are taken for the light's and off the iris, where
its red over blue is this much the drawn white's: in a warm light brown eyes would turn amber."""

COARSE = 2
"""Texels between those at which shadows are computed."""

FLESH = np.array((0.42, 0.2, 0.17), np.float32)
"""Linear albedo of the flesh in the eye's corner."""


class EyePainter:
    """Draws both eyes of a head into one texture."""

    def __init__(self, template: HeadTemplate):
        self.frame = template.eye_frame
        self.stock = StockEyes(template)

    def __call__(self, identity: Identity, fit: HeadFit, skin: HeadPart, gain: float) -> np.ndarray:
        """Texture of the eyeballs.

        Args:
            identity: photo and its parsing.
            fit: of the same photo.
            skin: the skin posed as in the photo, which hides most of the eyeballs.
            gain: exposure that the skin was given.

        Returns:
            float32 ``[E, E, 3]``, linear RGB. Eyes that the photo does not show are brown.
        """
        centres, radius = self.frame.balls(fit.vertices)
        views = [view_eye(identity, fit, centre, radius, skin) for centre in centres]
        found = [measure_eye(view) for view in views]
        painted, levels = self._painted(found, views[0].iris_pixels)
        painted = self.stock.turned(painted, self._gaze(fit.neutral))
        shades = []
        for eye, (view, colours) in enumerate(zip(views, found, strict=True)):
            shade = None
            if colours is not None:
                expected = np.array([levels[eye] / IRIS_AHEAD, luma(self.stock.white)])
                light = lid_shadow(plane_directions(), lid_rim(self.frame, fit.vertices, eye))
                shade = coarse_shade(view, colours, expected, light) + np.log(gain)
            shades.append(shade)
        painted = painted * np.exp(self._spread(shades))[..., None]
        return self._under_lids(painted, fit.neutral)

    def plain(self, neutral: np.ndarray, colour: str) -> np.ndarray:
        """Texture ``[E, E, 3]`` of eyes of a named colour between the lids of ``neutral [N, 3]``.

        Raises:
            OptionError: the colour is unknown.
        """
        picture, _ = self.stock.plain(colour)
        return self._under_lids(self.stock.turned(picture, self._gaze(neutral)), neutral)

    def _gaze(self, neutral: np.ndarray) -> float:
        """How far up both irises sit between the lids of ``neutral [N, 3]``, radians.

        Both eyes look straight ahead, but the fitted lids do not tell how high an eyeball lies:
        people's irises touch the lower lid, and the upper one covers the top of them.
        """
        heights = []
        for eye in range(2):
            up = np.arcsin(lid_rim(self.frame, neutral, eye)[:, 1])  # [28]
            low, high = up[LOWER_MIDDLE], up[UPPER_MIDDLE]
            heights.append(low + IRIS_HEIGHT * (high - low))
        return float(np.clip(np.mean(heights), *GAZE))

    def _painted(
        self, found: list[EyeColours | None], pixels: float
    ) -> tuple[np.ndarray, list[float]]:
        """Eyes without light ``[E, E, 3]``, and the luminance of each iris."""
        logs = [np.log(self._iris_albedo(colours)) for colours in found if colours is not None]
        if not logs:
            picture, level = self.stock.plain("brown")
            return picture, [level, level]
        if len(logs) == 2 and pixels > LARGE:
            apart = logs[1] - logs[0]
            if np.ptp(apart) > ODD:
                (right, first), (left, second) = (
                    self.stock.tinted(np.exp(own), pixels) for own in logs
                )
                return np.where(self.stock.eye[..., None] == 0, right, left), [first, second]
        picture, level = self.stock.tinted(np.exp(np.mean(logs, axis=0)), pixels)
        return picture, [level, level]

    def _iris_albedo(self, colours: EyeColours) -> np.ndarray:
        """Albedo of an iris ``[3]``, as if its white were the drawn one."""
        white, level = self.stock.white, luma(colours.white) / luma(self.stock.white)
        tint = colours.white / (white * level)
        share = np.interp(tint[0] / tint[2], WARM, WHITENED)
        light = level * np.clip(tint, 0.5, 1.8) ** share
        return np.clip(IRIS_AHEAD * colours.iris / light, 0.004, 0.6)

    def _spread(self, shades: list[np.ndarray | None]) -> np.ndarray:
        """Shades of both eyes at the texels, ``[E, E]``; an eye that was not seen takes a mean."""
        stock = self.stock
        known = [float(shade.mean()) for shade in shades if shade is not None]
        mean = float(np.mean(known)) if known else 0.0
        out = np.full(stock.mask.shape, mean, np.float32)
        right, up = (stock.direction[..., i] / SPAN for i in range(2))
        columns, rows = (((v + 1) / 2 * SIDE - 0.5).astype(np.float32) for v in (right, -up))
        for eye, shade in enumerate(shades):
            if shade is not None:
                shade = shade + SHARED * (mean - shade.mean())
                there = cv2.remap(
                    shade, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
                )
                out = np.where(stock.eye == eye, there, out)
        return np.clip(out, DARKEST, BRIGHTEST)

    def _under_lids(self, painted: np.ndarray, neutral: np.ndarray) -> np.ndarray:
        """Shadows of the lids of ``neutral [N, 3]`` on both eyes, and flesh in their corners."""
        stock, out = self.stock, painted.copy()
        size, coarse = stock.mask.shape, stock.direction[::COARSE, ::COARSE]  # smooth images
        for eye in range(2):
            own, rim = stock.of(eye), lid_rim(self.frame, neutral, eye)
            flesh, light = (
                cv2.resize(f(coarse, rim).astype(np.float32), size)[own][:, None]
                for f in (corner_flesh, lid_shadow)
            )
            level = luma(painted[own]).mean() / luma(stock.white)
            shaded = painted[own] * light
            out[own] = shaded + (FLESH * level - shaded) * flesh
        return np.clip(out, 0, 1).astype(np.float32)
