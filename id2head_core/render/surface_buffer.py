"""Material and normal of what each pixel shows, box-filtered over sub-samples; numba, no gradients.

The picture for people needs speed, not gradients: this resolves the visible faces of a
supersampled image into one value per pixel, and light is computed once per pixel afterwards.
"""

from dataclasses import dataclass

import numpy as np

from .compiled import in_bands, kernel, packed
from .hair_light import tilt
from .visibility import screen_positions

TEXEL = 4
"""Floats per texel: linear red, green, blue, roughness."""


@dataclass(frozen=True)
class TextureAtlas:
    """Textures of all parts in one array.

    Attributes:
        texels: float32 ``[N, 4]``: linear RGB and roughness.
        layout: int64 ``[P, 3]``: first texel, height and width of each part's texture.
    """

    texels: np.ndarray
    layout: np.ndarray


@dataclass(frozen=True)
class SurfaceBuffer:
    """One value per pixel, averaged over the covered sub-samples.

    Attributes:
        albedo: linear RGB, float32 ``[H, W, 3]``.
        roughness: float32 ``[H, W]``.
        normals: float32 ``[H, W, 3]``, frame of the vertex normals, unit length or 0.
        depth: metres along the view axis, float32 ``[H, W]``; 0 in the background.
        coverage: float32 ``[H, W]`` in [0, 1].
        part_index: int16 ``[H, W]``, part of the first covered sub-sample; -1 in the background.
        strands: float32 ``[H, W, 4]``, direction of the hair's strands in the frame of the normals,
            and the mean of ``hair_light.tilt``; 0 where there are none; ``[0, 0, 4]`` if not asked.
    """

    albedo: np.ndarray
    roughness: np.ndarray
    normals: np.ndarray
    depth: np.ndarray
    coverage: np.ndarray
    part_index: np.ndarray
    strands: np.ndarray


def resolve_surface(
    face_index: np.ndarray,
    clip_positions: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    uv: np.ndarray,
    face_part: np.ndarray,
    atlas: TextureAtlas,
    turn_back_faces: np.ndarray,
    supersample: int,
    strands: np.ndarray | None = None,
) -> SurfaceBuffer:
    """Average what ``supersample x supersample`` blocks of ``face_index`` show.

    Args:
        face_index: int32 ``[H s, W s]``, of ``visible_faces``.
        clip_positions: float32 ``[V, 4]``.
        faces: int32 ``[F, 3]``.
        normals: float32 ``[V, 3]``.
        uv: float32 ``[V, 2]``, (0, 0) = top left; wraps around.
        face_part: int32 ``[F]``.
        atlas: textures by part.
        turn_back_faces: bool ``[P]``: negate the normal where a part is seen from its back.
        supersample: s.
        strands: float32 ``[V, 3]``, unit vectors along hair, 0 on other parts; None = not asked.
    """
    height, width = (n // supersample for n in face_index.shape)
    screen = screen_positions(packed(clip_positions, np.float32), *face_index.shape)
    buffer = SurfaceBuffer(
        np.zeros((height, width, 3), np.float32),
        np.zeros((height, width), np.float32),
        np.zeros((height, width, 3), np.float32),
        np.zeros((height, width), np.float32),
        np.zeros((height, width), np.float32),
        np.full((height, width), -1, np.int16),
        np.zeros((0, 0, 4) if strands is None else (height, width, 4), np.float32),
    )
    arrays = (
        packed(face_index, np.int32),
        screen,
        packed(faces, np.int32),
        packed(normals, np.float32),
        packed(uv, np.float32),
        packed(face_part, np.int32),
        packed(atlas.texels, np.float32),
        packed(atlas.layout, np.int64),
        packed(turn_back_faces, np.bool_),
        packed(np.zeros((0, 3)) if strands is None else strands, np.float32),
    )

    def band(begin: int, end: int) -> None:
        _resolve(
            *arrays,
            supersample,
            begin,
            end,
            buffer.albedo,
            buffer.roughness,
            buffer.normals,
            buffer.depth,
            buffer.coverage,
            buffer.part_index,
            buffer.strands,
        )

    in_bands(band, height)
    return buffer


@kernel
def _resolve(
    face_index, screen, faces, normals, uv, face_part, texels, layout, turn_back_faces,
    strands, supersample, begin, end, albedo, roughness, normal_out, depth, coverage, part_index,
    strand_out,
):  # fmt: skip
    """Fill rows ``[begin, end)`` of the outputs."""
    width = albedo.shape[1]
    per_sample = np.float32(1.0 / (supersample * supersample))
    has_strands = strands.shape[0] > 0
    for row in range(begin, end):
        for column in range(width):
            count = 0
            red = green = blue = rough = nx = ny = nz = far = np.float32(0)
            for y in range(row * supersample, (row + 1) * supersample):
                for x in range(column * supersample, (column + 1) * supersample):
                    f = face_index[y, x]
                    if f < 0:
                        continue
                    part = face_part[f]
                    if count == 0:
                        part_index[row, column] = part
                    count += 1
                    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
                    px, py = 256.0 * x + 128.0, 256.0 * y + 128.0
                    xa, ya = screen[a, 0] - px, screen[a, 1] - py
                    xb, yb = screen[b, 0] - px, screen[b, 1] - py
                    xc, yc = screen[c, 0] - px, screen[c, 1] - py
                    ea, eb, ec = xb * yc - xc * yb, xc * ya - xa * yc, xa * yb - xb * ya
                    area = ea + eb + ec
                    wa, wb, wc = ea * screen[a, 2], eb * screen[b, 2], ec * screen[c, 2]
                    total = 1.0 / (wa + wb + wc)
                    ka, kb = np.float32(wa * total), np.float32(wb * total)
                    kc = np.float32(1.0) - ka - kb
                    far += np.float32(area * total)
                    # a face that is counter-clockwise from outside has area < 0 here (y is down)
                    sign = np.float32(-1.0 if area > 0 and turn_back_faces[part] else 1.0)
                    mx = ka * normals[a, 0] + kb * normals[b, 0] + kc * normals[c, 0]
                    my = ka * normals[a, 1] + kb * normals[b, 1] + kc * normals[c, 1]
                    mz = ka * normals[a, 2] + kb * normals[b, 2] + kc * normals[c, 2]
                    sign /= np.sqrt(mx * mx + my * my + mz * mz + np.float32(1e-12))
                    nx += sign * mx
                    ny += sign * my
                    nz += sign * mz
                    u = ka * uv[a, 0] + kb * uv[b, 0] + kc * uv[c, 0]
                    v = ka * uv[a, 1] + kb * uv[b, 1] + kc * uv[c, 1]
                    if has_strands:
                        sx = ka * strands[a, 0] + kb * strands[b, 0] + kc * strands[c, 0]
                        sy = ka * strands[a, 1] + kb * strands[b, 1] + kc * strands[c, 1]
                        sz = ka * strands[a, 2] + kb * strands[b, 2] + kc * strands[c, 2]
                        if sx != 0 or sy != 0 or sz != 0:
                            strand_out[row, column, 0] += sx
                            strand_out[row, column, 1] += sy
                            strand_out[row, column, 2] += sz
                            strand_out[row, column, 3] += tilt(u, v)
                    first, th, tw = layout[part, 0], layout[part, 1], layout[part, 2]
                    tx = (u - np.floor(u)) * tw - np.float32(0.5)
                    ty = (v - np.floor(v)) * th - np.float32(0.5)
                    ix, iy = np.int64(np.floor(tx)), np.int64(np.floor(ty))
                    fx, fy = np.float32(tx - ix), np.float32(ty - iy)
                    x0 = ix if ix >= 0 else tw - 1
                    x1 = ix + 1 if ix + 1 < tw else 0
                    y0 = first + (iy if iy >= 0 else th - 1) * tw
                    y1 = first + (iy + 1 if iy + 1 < th else 0) * tw
                    q00, q01 = (1 - fx) * (1 - fy), fx * (1 - fy)
                    q10, q11 = (1 - fx) * fy, fx * fy
                    i00, i01, i10, i11 = y0 + x0, y0 + x1, y1 + x0, y1 + x1
                    red += (
                        q00 * texels[i00, 0] + q01 * texels[i01, 0]
                        + q10 * texels[i10, 0] + q11 * texels[i11, 0]
                    )  # fmt: skip
                    green += (
                        q00 * texels[i00, 1] + q01 * texels[i01, 1]
                        + q10 * texels[i10, 1] + q11 * texels[i11, 1]
                    )  # fmt: skip
                    blue += (
                        q00 * texels[i00, 2] + q01 * texels[i01, 2]
                        + q10 * texels[i10, 2] + q11 * texels[i11, 2]
                    )  # fmt: skip
                    rough += (
                        q00 * texels[i00, 3] + q01 * texels[i01, 3]
                        + q10 * texels[i10, 3] + q11 * texels[i11, 3]
                    )  # fmt: skip
            if count == 0:
                continue
            share = np.float32(1.0) / np.float32(count)
            if has_strands:
                for k in range(4):
                    strand_out[row, column, k] *= share
            albedo[row, column, 0] = red * share
            albedo[row, column, 1] = green * share
            albedo[row, column, 2] = blue * share
            roughness[row, column] = rough * share
            depth[row, column] = far * share
            length = np.float32(1.0) / np.sqrt(nx * nx + ny * ny + nz * nz + np.float32(1e-12))
            normal_out[row, column, 0] = nx * length
            normal_out[row, column, 1] = ny * length
            normal_out[row, column, 2] = nz * length
            coverage[row, column] = count * per_sample
