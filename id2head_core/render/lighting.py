"""Light on a resolved surface buffer, compiled by numba; ``shading.py`` has the obvious twins.

``hair_light.glance`` is compiled into this file's cached machine code, whose age is this file's:
whoever changes it must change this file too.
"""

import cv2
import numpy as np

from .compiled import in_bands, kernel, packed
from .hair_light import SKY, glance
from .shading import SHOULDER, SRGB_TABLE
from .surface_buffer import SurfaceBuffer

OCCLUSION_RINGS = np.array([[0.005, 1.1], [0.012, 1.2], [0.03, 1.0]], np.float32)
"""Ambient occlusion: radius in metres and strength of each ring of eight samples."""

OCCLUSION_TINT = (0.8, 1.0, 1.1)
"""Exponents of the openness per channel: light that skin scatters into a fold is red."""


def ambient_occlusion(surface: SurfaceBuffer, pixels_per_metre: float) -> np.ndarray:
    """Openness to the surroundings in [0, 1], estimated from the depth image, float32 ``[H, W]``.

    Works at half resolution. A neighbour occludes a pixel by the sine of its elevation above the
    tangent plane; what is much nearer to the camera (another part of the body) counts less.

    Args:
        surface: of the view; its normals must be in the camera frame.
        pixels_per_metre: scale of the image at the head.
    """
    height, width = surface.depth.shape
    small = (max(1, width // 2), max(1, height // 2))
    scale = pixels_per_metre * small[0] / width
    cover = (surface.coverage > 0).astype(np.float32)
    weight = cv2.resize(cover, small, interpolation=cv2.INTER_AREA)
    depth = cv2.resize(surface.depth, small, interpolation=cv2.INTER_AREA)
    depth = np.where(weight > 0.5, depth / np.maximum(weight, 1e-3), 0.0).astype(np.float32)
    normals = cv2.resize(surface.normals, small, interpolation=cv2.INTER_AREA)
    openness = np.ones_like(depth)
    arrays = packed(depth, np.float32), packed(normals, np.float32), _ring_offsets(scale)

    def band(begin: int, end: int) -> None:
        _occlude(*arrays, OCCLUSION_RINGS, np.float32(scale), begin, end, openness)

    in_bands(band, len(depth))
    openness = cv2.GaussianBlur(openness, (0, 0), max(0.7, 0.0012 * scale))
    return cv2.resize(openness, (width, height), interpolation=cv2.INTER_LINEAR)


def light_surface(
    surface: SurfaceBuffer,
    openness: np.ndarray,
    irradiance: np.ndarray,
    towards_light: np.ndarray,
    strength: float,
    gloss: np.ndarray,
    shelter: np.ndarray,
    upwards: np.ndarray,
    view_rays: np.ndarray,
    backdrop: np.ndarray,
) -> np.ndarray:
    """Diffuse light times albedo, plus highlights, toned, over the backdrop.

    Skin and the like have one GGX highlight; light glances off hair along its strands.

    Args:
        surface: of the view, normals in the camera frame.
        openness: of ``ambient_occlusion``.
        irradiance: ``irradiance_coefficients`` in the camera frame, ``[9, 3]``.
        towards_light: unit vectors to the light of each part's highlight, camera frame, ``[P, 3]``.
        strength: shading by that light alone.
        gloss: strength of the highlight by part, ``[P]``.
        shelter: share of the light that reaches each part, ``[P]``.
        upwards: of the world, camera frame, ``[3]``: where the uniform light glances off hair from.
        view_rays: camera ray ``(x0, dx, y0, dy)``: the pixel at (row, column) looks along
            ``(x0 + dx column, y0 + dy row, -1)``.
        backdrop: sRGB ``[H, W, 3]``.

    Returns:
        sRGB, float32 ``[H, W, 3]``.
    """
    image = np.array(backdrop, np.float32, order="C")
    arrays = (
        surface.albedo,
        surface.roughness,
        surface.normals,
        surface.coverage,
        surface.part_index,
        packed(openness, np.float32),
        packed(irradiance, np.float32),
        packed(towards_light, np.float32),
        np.float32(strength),
        packed(gloss, np.float32),
        packed(shelter, np.float32),
        packed(surface.strands, np.float32),
        packed(upwards, np.float32),
        packed(view_rays, np.float32),
        SRGB_TABLE,
    )

    def band(begin: int, end: int) -> None:
        _light(*arrays, begin, end, image)

    in_bands(band, len(image))
    return image


def _ring_offsets(scale: float) -> np.ndarray:
    """Pixel offsets (column, row) of the rings, int64 ``[R, 8, 2]``."""
    angles = np.arange(8) * (np.pi / 4) + np.arange(len(OCCLUSION_RINGS))[:, None] * 0.26
    radii = np.maximum(OCCLUSION_RINGS[:, :1] * scale, 1.0)
    return np.rint(radii[..., None] * np.stack([np.cos(angles), np.sin(angles)], -1)).astype(int)


@kernel
def _occlude(depth, normals, offsets, rings, scale, begin, end, openness):
    """Fill rows ``[begin, end)`` of ``openness``."""
    height, width = depth.shape
    for row in range(begin, end):
        for column in range(width):
            z = depth[row, column]
            if z <= 0:
                continue
            open_share = np.float32(1)
            nx, ny, nz = normals[row, column, 0], normals[row, column, 1], normals[row, column, 2]
            for ring in range(rings.shape[0]):
                reach = np.float32(2.5) * rings[ring, 0]
                total = np.float32(0)
                for k in range(offsets.shape[1]):
                    dx, dy = offsets[ring, k, 0], offsets[ring, k, 1]
                    x, y = column + dx, row + dy
                    if x < 0 or y < 0 or x >= width or y >= height or depth[y, x] <= 0:
                        continue
                    px, py, pz = dx / scale, -dy / scale, z - depth[y, x]
                    distance2 = px * px + py * py + pz * pz
                    elevation = (nx * px + ny * py + nz * pz) / np.sqrt(distance2)
                    far = distance2 / (reach * reach)
                    total += max(elevation - 0.12, 0.0) / (1 + far * far)
                open_share *= max(1 - rings[ring, 1] * total / offsets.shape[1], 0.15)
            openness[row, column] = open_share


@kernel
def _light(
    albedo, roughness, normals, coverage, part_index, openness, irradiance, towards, strength,
    gloss, shelter, strands, upwards, rays, table, begin, end, image,
):  # fmt: skip
    """Fill rows ``[begin, end)`` of ``image``, which holds the backdrop."""
    top = table.shape[0] - 1
    colour = np.empty(3, np.float32)
    basis = np.empty(9, np.float32)
    view, above = np.empty(3, np.float32), np.empty(3, np.float32)
    sky = SKY * np.float32(0.28209479) * irradiance[0].mean()
    has_strands = strands.shape[0] > 0
    for row in range(begin, end):
        for column in range(image.shape[1]):
            cover = coverage[row, column]
            if cover <= 0:
                continue
            x, y, z = normals[row, column, 0], normals[row, column, 1], normals[row, column, 2]
            basis[0] = 0.28209479  # the order of shading.sh_basis
            basis[1] = 0.48860251 * y
            basis[2] = 0.48860251 * z
            basis[3] = 0.48860251 * x
            basis[4] = 1.09254843 * x * y
            basis[5] = 1.09254843 * y * z
            basis[6] = 0.31539157 * (3 * z * z - 1)
            basis[7] = 1.09254843 * x * z
            basis[8] = 0.54627422 * (x * x - y * y)
            part = part_index[row, column]
            lx, ly, lz = towards[part, 0], towards[part, 1], towards[part, 2]
            vx, vy = -(rays[0] + rays[1] * column), -(rays[2] + rays[3] * row)
            length = 1 / np.sqrt(vx * vx + vy * vy + 1)
            vx, vy, vz = vx * length, vy * length, length
            hx, hy, hz = vx + lx, vy + ly, vz + lz
            length = 1 / np.sqrt(hx * hx + hy * hy + hz * hz + 1e-8)
            hx, hy, hz = hx * length, hy * length, hz * length
            n_h = min(max(x * hx + y * hy + z * hz, 0.0), 1.0)
            n_l = min(max(x * lx + y * ly + z * lz, 0.0), 1.0)
            n_v = min(max(x * vx + y * vy + z * vz, 0.05), 1.0)
            v_h = min(max(vx * hx + vy * hy + vz * hz, 0.0), 1.0)
            rough2 = roughness[row, column] ** 2
            spread = n_h * n_h * (rough2 * rough2 - 1) + 1
            lobe = rough2 * rough2 / max(spread * spread, 1e-8)
            k = rough2 / 2
            shine = lobe * 0.25 / ((n_l * (1 - k) + k) * (n_v * (1 - k) + k)) * n_l
            shine *= 0.028 + 0.972 * (1 - v_h) ** 5
            air = openness[row, column] * shelter[part]
            shine *= gloss[part] * strength * air
            tinted = np.float32(0)
            if has_strands and strands[row, column].any():
                strand, slope = strands[row, column, :3], strands[row, column, 3]
                normal, rough = normals[row, column], roughness[row, column]
                view[0], view[1], view[2] = vx, vy, vz
                for k in range(3):
                    above[k] = upwards[k] + 0.5 * view[k]
                above /= np.sqrt(above[0] ** 2 + above[1] ** 2 + above[2] ** 2 + 1e-8)
                white, own = glance(strand, slope, rough, normal, towards[part], view)
                white_above, own_above = glance(strand, slope, rough, normal, above, view)
                shine += (strength * white + sky * white_above) * air
                tinted = (strength * own + sky * own_above) * air
            peak = np.float32(0)
            for c in range(3):
                diffuse = np.float32(0)
                for i in range(9):
                    diffuse += basis[i] * irradiance[i, c]
                diffuse = max(diffuse, 0.02)
                diffuse *= air ** OCCLUSION_TINT[c]
                colour[c] = albedo[row, column, c] * (diffuse + tinted) + shine
                peak = max(peak, colour[c])
            scale, glare = np.float32(1), np.float32(0)
            if peak > SHOULDER:  # the curve of shading.tone_mapped
                room = 1 - SHOULDER
                toned = 1 - room * room / (peak - SHOULDER + room)
                fade = 1 - 1 / (0.15 * (peak - toned) + 1)
                scale, glare = toned / peak * (1 - fade), toned * fade
            for c in range(3):
                value = min(max(colour[c] * scale + glare, 0.0), 1.0)
                value = table[int(value * top + 0.5)]
                image[row, column, c] += (value - image[row, column, c]) * cover
