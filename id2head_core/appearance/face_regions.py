"""Named regions of the face in texture space, from the landmarks of the mean head.

Positions are those of the mean head (``x`` to the subject's left, ``y`` up, ``z`` to the front), so
that a region means the same thing on every fitted head. Soft masks: float32 ``[S, S]`` in [0, 1].
"""

from functools import cached_property

import numpy as np

from ..ramp import smoothstep
from ..template.fit import BROWS, CHIN, LEFT_EYE, MOUTH, NOSE_TIP, RIGHT_EYE
from ..template.head_template import HeadTemplate
from .uv_atlas import UVAtlas


class FaceRegions:
    """Masks and coordinates on the texels of an atlas.

    Attributes:
        position: float32 ``[S, S, 3]``, mean head in units of its inter-ocular distance, origin
            between the eyes.
        unit: inter-ocular distance of the mean head, metres.
    """

    def __init__(self, template: HeadTemplate, atlas: UVAtlas):
        middle = len(template.landmark_yaw) // 2
        points = (
            template.mean[template.landmark_vertices[middle]]
            * template.landmark_weights[middle][..., None]
        ).sum(1)  # [106, 3]
        right, left = points[RIGHT_EYE].mean(0), points[LEFT_EYE].mean(0)
        self.atlas, self.template = atlas, template
        self.unit = float(np.linalg.norm(left - right))
        self.origin = (left + right) / 2

        def local(point):
            return (point - self.origin) / self.unit

        self.position = (atlas.image(template.mean) - self.origin) / self.unit
        self.brow_height = local(points[BROWS])[:, 1].max()
        self.nose_tip, self.mouth, self.chin = (
            local(p) for p in (points[NOSE_TIP], points[MOUTH].mean(0), points[CHIN])
        )
        self.x, self.y, self.z = np.moveaxis(self.position, -1, 0)

    def _soft(self, name: str) -> np.ndarray:
        """A region of the template as a texel image."""
        return self.atlas.image(np.asarray(self.template.regions[name], np.float32))

    @cached_property
    def ears(self) -> np.ndarray:
        """Both ears."""
        return smoothstep(0.3, 0.7, self._soft("ears"))

    @cached_property
    def mouth_interior(self) -> np.ndarray:
        """The cavity behind the lips."""
        return self._soft("mouth_interior")

    @cached_property
    def lips(self) -> np.ndarray:
        """Red of the lips."""
        return self._soft("lips")

    @cached_property
    def neck(self) -> np.ndarray:
        """Everything below the jaw."""
        return smoothstep(0.0, 0.15, self.chin[1] - 0.05 - self.y) * (1 - self.ears)

    @cached_property
    def face(self) -> np.ndarray:
        """The front of the face up to the brows: what the photo is trusted to show."""
        y, x, z = self.y, np.abs(self.x), self.z
        below = 1 - smoothstep(self.brow_height, self.brow_height + 0.2, y)
        above = smoothstep(self.chin[1] - 0.12, self.chin[1] + 0.02, y)
        limit = 1.02 - 0.16 * smoothstep(self.nose_tip[1] - 0.2, self.nose_tip[1] + 0.2, y)
        side = 1 - smoothstep(limit - 0.1, limit + 0.1, x)
        return below * above * side * (z > -1.0)

    @cached_property
    def skin_reference(self) -> np.ndarray:
        """Cheeks and the ridge of the nose: bool, texels that measure the skin's colour."""
        x, y = np.abs(self.x), self.y
        cheeks = np.hypot(x - 0.55, y - self.nose_tip[1] - 0.03) < 0.3
        ridge = (x < 0.14) & (y > self.nose_tip[1]) & (y < 0.15)
        return (cheeks | ridge) & (self.z > -0.3)

    @cached_property
    def forehead(self) -> np.ndarray:
        """Bool, skin between brows and hairline."""
        y = self.y - self.brow_height
        return (y > 0.1) & (y < 0.75) & (np.abs(self.x) < 0.85) & (self.z > -0.8)

    def eye_distance(self) -> np.ndarray:
        """Distance to the nearer eye centre, inter-ocular units (sides count less)."""
        return np.hypot((np.abs(self.x) - 0.5) * 0.8, self.y)

    def mouth_distance(self) -> np.ndarray:
        """Distance to the centre of the mouth, inter-ocular units (sides count less)."""
        return np.hypot(self.x * 0.7, self.y - self.mouth[1])

    @cached_property
    def beard(self) -> np.ndarray:
        """Where hair in front of the face is a beard or a moustache, ``[S, S]`` in [0, 1]."""
        y, x = self.y, np.abs(self.x)
        bottom = smoothstep(self.chin[1] - 0.45, self.chin[1] - 0.25, y)
        low = (1 - smoothstep(self.nose_tip[1] - 0.2, self.nose_tip[1], y)) * (
            1 - smoothstep(0.65, 0.85, x)
        )
        sideburn = (1 - smoothstep(self.nose_tip[1] - 0.1, self.nose_tip[1] + 0.2, y)) * (
            smoothstep(0.5, 0.7, x) * (1 - smoothstep(0.9, 1.1, x))
        )
        return np.maximum(low, sideburn) * bottom * (self.z > -1.0)
