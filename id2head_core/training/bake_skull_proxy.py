"""The rays of the hair template, and the smooth skull without ears that they start from."""

import numba
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

CAP_ROWS, FALL_ROWS, COLUMNS = 28, 36, 96
"""Rows on the skull, rows below it, and columns around (the one at the back exists twice)."""

CENTRE = np.array([0.0, 0.030, -0.008])
"""Where the rays of the skull start, metres in the template's frame."""

TILT = np.radians(24.0)
"""Of the axis through the crown, backwards from the vertical."""

FALL = 0.235
"""Length of the axis below the skull, metres."""

BOUND = 10
"""Template vertices that carry one vertex of the proxy."""


def ray_grid() -> tuple[np.ndarray, np.ndarray]:
    """Origins and unit directions of the rays, float64 ``[R, C + 1, 3]`` each, metres."""
    turn = np.linspace(-1, 1, COLUMNS + 1)
    azimuth = np.pi * (turn + 0.22 * np.sin(np.pi * turn) / np.pi * -1)  # denser in front
    polar = np.linspace(0, np.pi / 2, CAP_ROWS)
    step = np.linspace(0, 1, FALL_ROWS + 1)[1:]
    drop = FALL * (0.62 * step + 0.38 * step**2)
    ease = np.clip(drop / 0.17, 0, 1)
    tilt = np.r_[np.full(CAP_ROWS, TILT), TILT * (1 - ease * ease * (3 - 2 * ease))]
    polar = np.r_[polar, np.full(FALL_ROWS, np.pi / 2)]
    drop = np.r_[np.zeros(CAP_ROWS), drop]
    zeros = np.zeros_like(tilt)
    crown = np.stack([zeros, np.cos(tilt), -np.sin(tilt)], 1)  # [R, 3]
    ahead = np.stack([zeros, np.sin(tilt), np.cos(tilt)], 1)
    across = np.array([1.0, 0.0, 0.0])
    around = (
        np.sin(azimuth)[None, :, None] * across + np.cos(azimuth)[None, :, None] * ahead[:, None]
    )  # [R, C + 1, 3]
    direction = (
        np.cos(polar)[:, None, None] * crown[:, None] + np.sin(polar)[:, None, None] * around
    )
    origin = CENTRE - drop[:, None] * [0, 1, 0.08]
    return np.broadcast_to(origin[:, None], direction.shape).copy(), direction


@numba.njit(fastmath=False)
def _cast(origin, direction, corner, edge1, edge2, uv, alpha, outermost):
    """Distance and triangle of the outermost (or first) opaque hit of each ray; 0, -1 = none.

    ``origin, direction [M, 3]``, triangles as corner and two edges ``[F, 3]``, ``uv [F, 3, 2]``
    (v up), ``alpha [h, w]``. Moeller and Trumbore 1997.
    """
    count = len(origin)
    distance = np.zeros(count)
    index = np.full(count, -1)
    share = np.zeros((count, 2))
    height, width = alpha.shape
    for i in range(count):
        ox, oy, oz = origin[i]
        dx, dy, dz = direction[i]
        for f in range(len(corner)):
            e1x, e1y, e1z = edge1[f]
            e2x, e2y, e2z = edge2[f]
            px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
            det = e1x * px + e1y * py + e1z * pz
            if abs(det) < 1e-14:
                continue
            tx, ty, tz = ox - corner[f, 0], oy - corner[f, 1], oz - corner[f, 2]
            u = (tx * px + ty * py + tz * pz) / det
            if u < 0 or u > 1:
                continue
            qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
            v = (dx * qx + dy * qy + dz * qz) / det
            if v < 0 or u + v > 1:
                continue
            t = (e2x * qx + e2y * qy + e2z * qz) / det
            if t <= 0 or (index[i] >= 0 and (t > distance[i]) != outermost):
                continue
            a = uv[f, 0, 0] * (1 - u - v) + uv[f, 1, 0] * u + uv[f, 2, 0] * v
            b = uv[f, 0, 1] * (1 - u - v) + uv[f, 1, 1] * u + uv[f, 2, 1] * v
            column = min(width - 1, int((a - np.floor(a)) * width))
            row = min(height - 1, int((1 - (b - np.floor(b))) * height))
            if alpha[row, column] < 0.4:
                continue
            distance[i], index[i], share[i, 0], share[i, 1] = t, f, u, v
    return distance, index, share


def cast(origin, direction, vertices, faces, uv=None, alpha=None, outermost=True):
    """Cast rays ``[..., 3]``: distance, triangle (-1 = none) and barycentric ``[..., 3]``."""
    shape = direction.shape[:-1]
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    uv = np.zeros((len(faces), 3, 2)) if uv is None else uv
    alpha = np.ones((1, 1)) if alpha is None else alpha
    distance, index, share = _cast(
        origin.reshape(-1, 3), direction.reshape(-1, 3), a, b - a, c - a, uv, alpha, outermost
    )
    weights3 = np.c_[1 - share.sum(1), share]
    return distance.reshape(shape), index.reshape(shape), weights3.reshape(*shape, 3)


def skull_radius(vertices, faces, ears, origin, direction):
    """Distance of a smooth head without ears along each ray.

    Args:
        vertices: of the mean head ``[N, 3]``.
        faces: of its skin.
        ears: bool ``[N]``.
        origin: of the rays ``[R, C, 3]``.
        direction: of the rays, unit.

    Returns:
        Radius ``[R, C]``, triangle ``[R, C]`` (-1 where the skin is not followed) and barycentric.
    """
    radius, triangle, share = cast(origin, direction, vertices, faces)
    triangle = np.where(triangle >= 0, triangle, 0) - (triangle < 0)
    ear = ears[faces[np.maximum(triangle, 0)]].any(-1)
    ear = ndimage.binary_dilation(ear, iterations=1)
    drop = CENTRE[1] - origin[..., 1]
    cap = np.interp(drop, [0.0, 0.10, 0.14, 0.235], [0.2, 0.125, 0.078, 0.098])
    followed = (triangle >= 0) & ~ear & (radius < cap)
    fixed = (triangle >= 0) & ~ear & (radius >= cap)
    radius = np.where(fixed, cap, radius)
    known = followed | fixed
    radius = harmonic(radius, known)
    side = ~followed
    smooth = ndimage.gaussian_filter(radius, (1.5, 1.5), mode=("nearest", "wrap"))
    radius = np.where(side, smooth, radius)
    return radius, np.where(followed, triangle, -1), share


def ear_height(vertices, faces, origin, direction, radius, triangle) -> np.ndarray:
    """How far the ears stand out of the proxy along each ray, float32 ``[R, C + 1]``, metres."""
    outermost, hit, _ = cast(origin, direction, vertices, faces)
    y = (origin + direction * radius[..., None])[..., 1]
    ear = (hit >= 0) & (triangle < 0) & (np.abs(y + 0.01) < 0.06)
    height = np.where(ear, np.clip(outermost - radius, 0, 0.035), 0)
    return height.astype(np.float32)


def harmonic(image: np.ndarray, known: np.ndarray, steps: int = 1500) -> np.ndarray:
    """Fill the unknown part of a grid ``[R, C + 1]`` smoothly (columns wrap around)."""
    value = np.where(known, image, image[known].mean())[:, :-1]
    fixed, kept = known[:, :-1], image[:, :-1]
    for _ in range(steps):
        padded = np.pad(np.pad(value, ((0, 0), (1, 1)), "wrap"), ((1, 1), (0, 0)), "edge")
        mean = (padded[2:, 1:-1] + padded[:-2, 1:-1] + padded[1:-1, 2:] + padded[1:-1, :-2]) / 4
        value = np.where(fixed, kept, mean)
    return np.c_[value, value[:, :1]]


def bind(points, triangle, share, vertices, faces, ears):
    """Carry ``points [P, 3]`` by template vertices.

    Where the skin is followed the weights are barycentric; elsewhere they are a Gaussian of the
    nearest vertices that are no ears.

    Returns:
        Index int32 ``[P, BOUND]``, weight float32 ``[P, BOUND]``, offset float32 ``[P, 3]``.
    """
    plain = np.setdiff1d(np.unique(faces), np.flatnonzero(ears))
    distance, near = cKDTree(vertices[plain]).query(points, BOUND)
    index = plain[near]
    width = distance[:, -1:] / 2
    weight = np.exp(-0.5 * (distance / width) ** 2)
    followed = triangle >= 0
    index[followed] = 0
    index[followed, :3] = faces[triangle[followed]]
    weight[followed] = 0
    weight[followed, :3] = share[followed]
    weight /= weight.sum(1, keepdims=True)
    offset = points - (vertices[index] * weight[..., None]).sum(1)
    return index.astype(np.int32), weight.astype(np.float32), offset.astype(np.float32)
