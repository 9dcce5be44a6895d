"""The hair's shell sampled at the texels of its texture."""

import cv2
import numpy as np

from ..structures import HairFit, HeadFit
from ..template.hair import HairTemplate, shell_faces, shell_height, shell_vertices
from ..template.hair_thickness import hanging
from ..template.hair_view import HIDDEN, HairView
from .strand_noise import texel_widths


class HairSheet:
    """The shell sampled at the texels.

    Attributes:
        position: float32 ``[S, S, 3]``, metres.
        normal: float32 ``[S, S, 3]``, unit.
        relief: float32 ``[S, S]``, -1 between the locks to 1 on them.
        outline: float32 ``[S, S]``, signed distance to the outline, metres, > 0 in the hair.
        hangs: float32 ``[S, S]``, 1 where hair hangs over skin that grows none, 0 at its roots.
        texel: metres per texel across, float32 ``[S, 1]``.
        faces: of the shell, and ``vertices``.
        volume: a typical large thickness, metres.
    """

    def __init__(self, template: HairTemplate, hair: HairFit, fit: HeadFit, size: int):
        self.size = size
        height = shell_height(template, hair.thickness)
        self.volume = hair.volume
        self.vertices = shell_vertices(template, height, fit.neutral).astype(np.float32)
        self.faces = shell_faces(template, height)
        grid = template.image(self.vertices)
        self.position = self.upsample(grid)
        across = np.gradient(grid, axis=1)
        across[:, 0] = across[:, -1] = (grid[:, 1] - grid[:, -2]) / 2
        normal = np.cross(np.gradient(grid, axis=0), across)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True) + 1e-9
        self.normal = self.upsample(normal)
        self.normal /= np.linalg.norm(self.normal, axis=-1, keepdims=True) + 1e-9
        image = template.image(np.maximum(hair.thickness, 0))
        relief = np.clip((image - template.blur(image, 1.5)) / 0.002, -1, 1)
        self.relief = self.upsample(relief)
        self.outline = self.upsample(template.outline_distance(hair.thickness))
        self.hangs = self.upsample(hanging(template, template.image(hair.thickness) > 0))
        self.texel = texel_widths(grid, size)

    def upsample(self, grid: np.ndarray) -> np.ndarray:
        """Grid ``[R, C + 1, ...]`` to texels ``[S, S, ...]``, following ``texture_uv``."""
        rows, columns = grid.shape[:2]
        centre = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        v = np.clip((centre - 0.005) / 0.99, 0, 1) * (rows - 1)
        u = centre * (columns - 1)
        u, v = np.meshgrid(u, v)
        return cv2.remap(
            np.ascontiguousarray(grid, np.float32), u, v, cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip

    def shown(self, view: HairView) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the photo shows each texel.

        Returns:
            Place on the view's map and depth ``[S, S, 3]``; cosine between the normal and the
            direction to the camera ``[S, S]``; whether nothing hides it, bool ``[S, S]``.
        """
        fit = view.fit
        located = view.locate(self.position)
        blocker, _ = view.depth_of(
            np.concatenate([fit.vertices, self.vertices]).astype(np.float32),
            np.concatenate([view.template.skin_faces, self.faces + len(fit.vertices)]),
        )
        blocker = cv2.dilate(np.where(np.isfinite(blocker), blocker, 9.0), np.ones((3, 3)))
        seen = located[..., 2] < view.sample(blocker, located, nearest=True) + 2 * HIDDEN
        toward = fit.camera.position - self.position
        toward /= np.linalg.norm(toward, axis=-1, keepdims=True)
        return located, (toward * self.normal).sum(-1), seen
