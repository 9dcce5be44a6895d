"""Hair as a solid shell of its own: a height field above a smooth skull proxy without ears.

The proxy is a grid of rays: rows from the crown down to the chest, columns around the head with a
seam at the back. Columns run like combed hair, so one axis of the texture is the direction of the
strands. Thickness is measured along the rays; the shell is the proxy raised by it, closed at the
outline by a rim that dips below the skin.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .. import weights
from ..errors import WeightsError
from ..structures import HairFit, HeadPart

WEIGHT_FILE = "hair/hair_template.npz"

BALD = "bald"
"""Style of a head without hair."""

CELL = 0.006
"""Typical edge of a grid cell, metres."""

TUCK = 0.003
"""Depth of the rim below the proxy, metres."""

FRINGE_LIFT = 0.0016
"""Height above the proxy of the outermost strands, where only single hairs are left, metres."""

EXPRESSION_REACH = 0.008
"""Hair this far above the skin follows the skin's expressions by a third, metres."""

BEND_ROWS, BEND_BLUR = 9, 3.5
"""Rows around the end of the skull's in which rays are smoothed, and by how many rows."""


@dataclass(frozen=True)
class HairTemplate:
    """The skull proxy and the styles.

    Attributes:
        styles: names, in the order of ``thickness``.
        thickness: float32 ``[S, P]``, metres along the rays; <= 0 (minus the distance to the
            style's outline) where there is no hair.
        faces: int32 ``[F, 3]``, counter-clockwise from outside.
        uv: float32 ``[P, 2]``, u around (0 and 1 at the back, 0.5 in front), v down.
        weld: int32 ``[P]``, equal for duplicated vertices.
        grid: rows, columns (the seam counted twice), rows on the skull.
        free: bool ``[P]``, never any hair: brows, eyes, nose, mouth, and below the bust.
        skin_faces: int32 ``[F', 3]``, triangles of the head template (what hides hair).
        ear_height: float32 ``[P]``, metres that the ears stand out along the rays.
        vertex_count: N of the head template that this was bound to.
    """

    styles: tuple[str, ...]
    thickness: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    weld: np.ndarray
    grid: tuple[int, int, int]
    free: np.ndarray
    skin_faces: np.ndarray
    ear_height: np.ndarray
    vertex_count: int
    _direction: np.ndarray
    _index: np.ndarray
    _weight: np.ndarray
    _offset: np.ndarray

    @classmethod
    def load(cls) -> "HairTemplate":
        """Read the shipped template; raises WeightsError."""
        with np.load(weights.path(WEIGHT_FILE)) as data:
            return cls.from_arrays(data)

    @classmethod
    def from_arrays(cls, data) -> "HairTemplate":
        """Build from the arrays that ``training.bake_hair`` writes."""
        return cls(
            styles=tuple(str(name) for name in data["styles"]),
            thickness=data["thickness"].astype(np.float32),
            faces=data["faces"],
            uv=data["uv"],
            weld=data["weld"],
            grid=tuple(int(n) for n in data["grid"]),
            free=data["free"],
            skin_faces=data["skin_faces"],
            ear_height=data["ear_height"],
            vertex_count=int(data["vertex_count"][0]),
            _direction=_smooth_directions(data["direction"], tuple(int(n) for n in data["grid"])),
            _index=data["index"],
            _weight=data["weight"],
            _offset=data["offset"],
        )

    def proxy_vertices(self, neutral: np.ndarray) -> np.ndarray:
        """The proxy on a head.

        Args:
            neutral: template vertices ``[N, 3]``, metres.

        Returns:
            float32 ``[P, 3]``, about 1 mm inside the skin; smooth below the ears.

        Raises:
            WeightsError: bound to another head template.
        """
        if len(neutral) != self.vertex_count:
            raise WeightsError(
                f"weights/{WEIGHT_FILE} is bound to a head of {self.vertex_count} vertices, not "
                f"{len(neutral)}. Bake it again: python -m id2head_core.training.bake_hair"
            )
        return self.carried(neutral) + self._offset

    def carried(self, values: np.ndarray) -> np.ndarray:
        """Mean of per-vertex ``values [..., N, 3]`` under each proxy vertex, ``[..., P, 3]``."""
        return (values[..., self._index, :] * self._weight[..., None]).sum(-2).astype(np.float32)

    def directions(self, neutral: np.ndarray) -> np.ndarray:
        """Unit rays ``[P, 3]``: they fan out from the skull, the same on every head."""
        return self._direction

    def image(self, values: np.ndarray) -> np.ndarray:
        """Per-vertex ``[P, ...]`` as a grid ``[R, C + 1, ...]``."""
        return values.reshape(*self.grid[:2], *values.shape[1:])

    def blur(self, image: np.ndarray, sigma: float) -> np.ndarray:
        """Gaussian blur of a grid ``[R, C + 1]``, ``sigma`` in cells as wide as at the equator.

        Columns wrap around; at the crown rows continue on the other side.
        """
        body = np.asarray(image[:, :-1], np.float32)
        columns, cap = body.shape[1], self.grid[2]
        reach = min(len(body) - 1, int(4 * sigma) + 1)
        across = np.roll(body[1 : reach + 1][::-1], columns // 2, axis=1)
        body = np.concatenate([across, body])
        body = ndimage.gaussian_filter1d(body, sigma, axis=0, mode="nearest")[reach:]
        widths = sigma / np.sin(np.linspace(0, np.pi / 2, cap)).clip(0.05)
        for row in range(cap - 1):
            width = min(widths[row], columns / 4)
            body[row] = ndimage.gaussian_filter1d(body[row], width, mode="wrap")
        body[cap - 1 :] = ndimage.gaussian_filter1d(body[cap - 1 :], sigma, axis=1, mode="wrap")
        return np.concatenate([body, body[:, :1]], axis=1)

    def outline_distance(self, thickness: np.ndarray) -> np.ndarray:
        """Signed distance to the outline of the hair, metres, > 0 inside, grid ``[R, C + 1]``."""
        has = self.image(thickness)[:, :-1] > 0
        if not has.any():
            return np.full(self.grid[:2], -1.0, np.float32)
        columns = has.shape[1]
        tiled = np.concatenate([has] * 3, axis=1)
        inside, outside = (ndimage.distance_transform_edt(m) for m in (tiled, ~tiled))
        signed = np.where(tiled, inside - 0.5, 0.5 - outside)[:, columns : 2 * columns] * CELL
        signed = np.clip(signed, -0.06, 0.06)
        return self.blur(np.c_[signed, signed[:, :1]], 0.8).astype(np.float32)


def _smooth_directions(directions: np.ndarray, grid: tuple[int, int, int]) -> np.ndarray:
    """Rays ``[P, 3]`` without the bend where the skull's rows end: thick hair would have a crease.

    Args:
        directions: unit rays ``[P, 3]``.
        grid: rows, columns, rows on the skull.
    """
    rows, columns, cap = grid
    image = directions.reshape(rows, columns, 3).astype(np.float32)
    near = np.exp(-(((np.arange(rows) - cap + 1) / BEND_ROWS) ** 2))[:, None, None]
    image = image + near * (ndimage.gaussian_filter1d(image, BEND_BLUR, axis=0) - image)
    image /= np.linalg.norm(image, axis=-1, keepdims=True)
    return image.reshape(-1, 3).astype(np.float32)


def hair_part(
    template: HairTemplate,
    hair: HairFit,
    neutral: np.ndarray,
    displacements: np.ndarray | None = None,
) -> HeadPart | None:
    """The shell of a head's hair.

    Args:
        template: proxy and styles.
        hair: measured hair.
        neutral: template vertices ``[N, 3]``, metres.
        displacements: of the template vertices ``[13, N, 3]``, metres; hair close to the skin
            follows them. None leaves the hair still.

    Returns:
        The mesh, or None where there is no hair.
    """
    thickness = hair.thickness.astype(np.float32)
    if not (thickness > 0).any():
        return None
    height = shell_height(template, thickness)
    vertices = shell_vertices(template, height, neutral)
    faces = shell_faces(template, height)
    used = np.unique(faces)
    row = np.zeros(len(vertices), np.int32)
    row[used] = np.arange(len(used), dtype=np.int32)
    _, weld = np.unique(template.weld[used], return_inverse=True)
    moved = np.zeros((13, len(used), 3), np.float32)
    if displacements is not None:
        share = np.exp(-np.maximum(height, 0) / EXPRESSION_REACH)
        moved = (template.carried(displacements) * share[:, None])[:, used]
    return HeadPart(
        "hair",
        np.ascontiguousarray(vertices[used], np.float32),
        row[faces].astype(np.int32),
        texture_uv(template, hair)[used],
        weld.astype(np.int32),
        moved.astype(np.float32),
    )


def shell_vertices(template: HairTemplate, height: np.ndarray, neutral: np.ndarray) -> np.ndarray:
    """The proxy on a head ``neutral [N, 3]``, raised by ``height [P]``: ``[P, 3]``, metres."""
    return template.proxy_vertices(neutral) + template.directions(neutral) * height[:, None]


def shell_faces(template: HairTemplate, height: np.ndarray) -> np.ndarray:
    """Faces ``[F', 3]`` of the template with hair; ``hair_part`` keeps their points, in order."""
    return template.faces[(height[template.faces] > 0).any(1)]


def shell_height(template: HairTemplate, thickness: np.ndarray) -> np.ndarray:
    """Height of the shell above the proxy ``[P]``: the hair, its last strands, then the rim."""
    image = template.image(thickness)
    has = image > 0
    wide = np.pad(has[:, :-1], ((0, 0), (2, 2)), "wrap")
    ring = ndimage.binary_dilation(wide, np.ones((3, 3)))[:, 2:-2]
    ring = np.c_[ring, ring[:, :1]] & ~template.image(template.free)
    ring[-1] = False
    height = np.where(has, image + 0.001, np.where(ring, FRINGE_LIFT, -TUCK))
    height[0] = height[0].mean()
    return height.ravel().astype(np.float32)


def texture_uv(template: HairTemplate, hair: HairFit | None = None) -> np.ndarray:
    """Texture coordinates ``[P, 2]``: v along the strands of ``hair``, None for uncombed hair.

    v keeps clear of the wrap-around at the top and bottom.
    """
    uv = template.uv
    if hair is not None and hair.comb is not None:
        uv = np.c_[hair.comb, uv[:, 1]]
    return (uv * [1.0, 0.99] + [0.0, 0.005]).astype(np.float32)


def scalp_coverage(template: HairTemplate, hair: HairFit, neutral: np.ndarray) -> np.ndarray:
    """How much hair lies over each point of the skin.

    Args:
        template: proxy and styles.
        hair: measured hair.
        neutral: template vertices ``[N, 3]``, metres.

    Returns:
        float32 ``[N]`` in [0, 1]: 0 without hair, half at the hairline, 1 well inside.
    """
    distance = template.outline_distance(hair.thickness).ravel()
    covered = np.clip(0.5 + distance / 0.016, 0, 1)
    away, near = cKDTree(template.proxy_vertices(neutral)).query(neutral, 3)
    share = 1 / (away + 1e-3)
    coverage = (covered[near] * share).sum(1) / share.sum(1)
    return (coverage * np.clip(2.0 - away[:, 0] / 0.004, 0, 1)).astype(np.float32)
