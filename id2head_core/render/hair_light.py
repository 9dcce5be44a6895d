"""Light that glances off hair along its strands.

Two highlights, shifted along the strands, the second in the hair's own colour (Kajiya and Kay
1989, with the lobes of Marschner et al. 2003 as Scheuermann 2004 draws them).
``viewer_src/hair_light.js`` has the same for the page.
"""

import numpy as np

from .compiled import kernel

SKY = 0.4
"""Brightness of the light that glances off from above, relative to the uniform light. The page,
whose lights are others, has 0.7 of its light probe."""


def strand_directions(vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Unit direction in which the texture's v grows, along the strands, ``[V, 3]``.

    Args:
        vertices: ``[V, 3]``.
        faces: ``[F, 3]``.
        uv: ``[V, 2]``.
    """
    origin, first, second = (vertices[faces[:, k]] for k in range(3))
    edges = uv[faces[:, 1:]] - uv[faces[:, :1]]  # [F, 2, 2]
    u, area = edges[..., 0], np.linalg.det(edges)
    along = (second - origin) * u[:, :1] - (first - origin) * u[:, 1:]
    length = np.linalg.norm(along, axis=1) + 1e-12
    along *= (np.sign(area) / length)[:, None]
    strands = np.zeros_like(vertices, dtype=np.float32)
    for k in range(3):
        np.add.at(strands, faces[:, k], along.astype(np.float32))
    return strands / (np.linalg.norm(strands, axis=1, keepdims=True) + 1e-12)


@kernel
def tilt(u, v):
    """Of a strand against its neighbours, in [-1, 1]; hardly changes along it."""
    return np.float32(1.1 * _noise(400 * u + 6 * v) + 0.9 * _noise(90 * u - 4 * v) - 1)


@kernel
def glance(strand, slope, roughness, normal, light, view):
    """White and coloured highlight of a light of unit shading, float32 each.

    Strands that lie side by side (roughness 0.55) shine most, curls and crops less.

    Args:
        strand: along the strand, ``[3]``, any length but 0.
        slope: of ``tilt``.
        roughness: perceptual, in (0, 1].
        normal: unit ``[3]``.
        light: unit vector to the light, ``[3]``.
        view: unit vector to the camera, ``[3]``.
    """
    rise = n_l = s_h = n_h = s_s = h_h = 0.0
    for k in range(3):
        rise += strand[k] * normal[k]
    for k in range(3):
        along, half = strand[k] - rise * normal[k], light[k] + view[k]
        s_s += along * along
        h_h += half * half
        s_h += along * half
        n_h += normal[k] * half
        n_l += normal[k] * light[k]
    s_h /= np.sqrt(s_s * h_h + 1e-12)
    n_h /= np.sqrt(h_h + 1e-12)
    facing = min(max((n_l + 0.1) / 0.7, 0.0), 1.0)
    facing *= facing * (3 - 2 * facing)
    facing *= min(max(1 - 2.6 * (roughness - 0.55), 0.35), 1.0)
    first = _lobe(s_h, n_h, 0.06 + 0.3 * slope, 90.0) * (0.1 + 0.1 * slope)
    second = _lobe(s_h, n_h, -0.12 + 0.3 * slope, 22.0) * 1.1
    return np.float32(facing * first), np.float32(facing * second)


@kernel
def _lobe(s_h, n_h, shift, width):
    """Highlight of a strand tilted by ``shift`` out of the surface."""
    along = (s_h + shift * n_h) / np.sqrt(1 + shift * shift)
    return max(0.0, 1 - along * along) ** width


@kernel
def _noise(at):
    """Value noise in [0, 1] with one value per unit."""
    cell = np.floor(at)
    share = at - cell
    share *= share * (3 - 2 * share)
    return _scattered(cell) * (1 - share) + _scattered(cell + 1) * share


@kernel
def _scattered(cell):
    """A number in [0, 1) for each integer (Hoskins' hash without sine)."""
    value = cell * 0.1031
    value -= np.floor(value)
    value *= value + 33.33
    value *= 2 * value
    return value - np.floor(value)
