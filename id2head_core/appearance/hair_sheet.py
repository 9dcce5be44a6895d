"""The hair's shell sampled at the texels of its texture."""

import cv2
import numpy as np

from ..structures import HairFit, HeadFit
from ..template.hair import HairTemplate, shell_faces, shell_height, shell_vertices
from ..template.hair_thickness import hanging
from ..template.hair_view import HIDDEN, HairView
from .strand_noise import texel_widths


def grid_places(
    template: HairTemplate, hair: HairFit, rows: int, columns: int
) -> tuple[np.ndarray, np.ndarray]:
    """Column and row of the template's grid at each texel, float32 ``[rows, columns]`` each.

    Args:
        template: the hair template.
        hair: whose texture it is.
        rows: of the texture.
        columns: of the texture.
    """
    last_row, last = template.grid[0] - 1, template.grid[1] - 1
    v = np.clip(((np.arange(rows) + 0.5) / rows - 0.005) / 0.99, 0, 1) * last_row
    u = (np.arange(columns, dtype=np.float32) + 0.5) / columns
    place = np.tile(u * last, (last_row + 1, 1))
    if hair.comb is not None:
        comb = template.image(hair.comb)
        place = np.stack([np.interp(u, row, np.arange(last + 1)) for row in comb])
    at = np.tile(v[:, None].astype(np.float32), (1, columns))
    across = np.tile(np.arange(columns, dtype=np.float32), (rows, 1))
    return cv2.remap(place.astype(np.float32), across, at, cv2.INTER_LINEAR), at


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
        self._places = grid_places(template, hair, size, size)
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
        return cv2.remap(
            np.ascontiguousarray(grid, np.float32), *self._places, cv2.INTER_LINEAR,
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
