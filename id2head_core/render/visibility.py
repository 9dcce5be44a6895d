"""Z-buffer visibility on the CPU: the only non-differentiable step, compiled by numba."""

import numpy as np

from ..camera import NEAR
from .compiled import in_bands, kernel, packed
from .rasterizer import AlphaTest

SUBPIXELS = 256
"""Vertices snap to this fraction of a pixel; edge tests are then exact and leave no cracks."""

GUARD_BAND = 2.0**20
"""Triangles that reach further outside, in pixels, are not drawn (the integers would overflow)."""


def visible_faces(
    clip_positions: np.ndarray,
    faces: np.ndarray,
    height: int,
    width: int,
    alpha_test: AlphaTest | None = None,
) -> np.ndarray:
    """Nearest face per pixel centre.

    Args:
        clip_positions: float ``[V, 4]``.
        faces: integer ``[F, 3]``.
        height: pixels.
        width: pixels.
        alpha_test: cut-outs, or None.

    Returns:
        int32 ``[height, width]``, -1 where nothing is drawn. Equal depth: the earlier face wins.
    """
    clip = packed(clip_positions, np.float32)
    faces = packed(faces, np.int32)
    face_index = np.full((height, width), -1, np.int32)
    inverse_depth = np.zeros((height, width), np.float32)
    cut = _packed_alpha(alpha_test, len(faces))
    screen = screen_positions(clip, height, width)  # [V, 3]

    def band(begin: int, end: int) -> None:
        _draw(screen, faces, *cut, begin, end, face_index, inverse_depth)

    in_bands(band, height)
    return face_index


def screen_positions(clip: np.ndarray, height: int, width: int) -> np.ndarray:
    """Column and row in sub-pixels, and 1/w (0 where the vertex must not be drawn), ``[V, 3]``."""
    inverse = 1.0 / np.maximum(clip[:, 3].astype(np.float64), NEAR)
    screen = np.empty((len(clip), 3))
    screen[:, 0] = np.rint((clip[:, 0] * inverse * 0.5 + 0.5) * (width * SUBPIXELS))
    screen[:, 1] = np.rint((0.5 - clip[:, 1] * inverse * 0.5) * (height * SUBPIXELS))
    inside = (clip[:, 3] > NEAR) & (np.abs(screen[:, :2]) < GUARD_BAND * SUBPIXELS).all(1)
    screen[:, 2] = np.where(inside, inverse, 0.0)
    screen[~inside, :2] = 0.0
    return screen


def _packed_alpha(alpha_test: AlphaTest | None, face_count: int) -> tuple:
    """The alpha test as flat arrays, always of the same types."""
    if alpha_test is None:
        nothing = np.zeros(0, np.float32)
        empty = np.zeros((0, 3), np.int64)
        return np.zeros((0, 2), np.float32), np.zeros(0, np.int32), empty, nothing, 0.5, False
    layers = np.zeros((len(alpha_test.textures), 3), np.int64)  # offset, height, width
    offset = 0
    for row, texture in zip(layers, alpha_test.textures, strict=True):
        row[:] = offset, *texture.shape
        offset += texture.size
    texels = np.concatenate([np.ravel(t) for t in alpha_test.textures])
    face_texture = alpha_test.face_texture
    if face_texture is None:
        face_texture = np.zeros(face_count, np.int32)
    return (
        packed(alpha_test.uv, np.float32),
        packed(face_texture, np.int32),
        layers,
        packed(texels, np.float32),
        float(alpha_test.threshold),
        bool(alpha_test.dither),
    )


@kernel
def _draw(
    screen, faces, uv, face_texture, layers, texels, threshold, dither, begin, end, out, zbuf
):
    """Draw rows ``[begin, end)`` into ``out`` (face index) and ``zbuf`` (1/w)."""
    half = 128  # half a pixel, in sub-pixels
    width = out.shape[1]
    cut_out = len(face_texture) > 0
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = screen[a, 2], screen[b, 2], screen[c, 2]
        if wa <= 0.0 or wb <= 0.0 or wc <= 0.0:
            continue
        ya, yb, yc = np.int64(screen[a, 1]), np.int64(screen[b, 1]), np.int64(screen[c, 1])
        row0 = max(begin, (min(ya, yb, yc) - half + 255) >> 8)
        row1 = min(end - 1, (max(ya, yb, yc) - half) >> 8)
        if row1 < row0:
            continue
        xa, xb, xc = np.int64(screen[a, 0]), np.int64(screen[b, 0]), np.int64(screen[c, 0])
        col0 = max(0, (min(xa, xb, xc) - half + 255) >> 8)
        col1 = min(width - 1, (max(xa, xb, xc) - half) >> 8)
        if col1 < col0:
            continue
        area = (xb - xa) * (yc - ya) - (xc - xa) * (yb - ya)
        if area == 0:
            continue
        sign = 1 if area > 0 else -1
        scale = 1.0 / (area * sign)
        # edge functions, >= 0 inside; steps per column and per row
        stepa, stepb, stepc = sign * (yb - yc) << 8, sign * (yc - ya) << 8, sign * (ya - yb) << 8
        downa, downb, downc = sign * (xc - xb) << 8, sign * (xa - xc) << 8, sign * (xb - xa) << 8
        px, py = (col0 << 8) + half, (row0 << 8) + half
        rowa = sign * ((xc - xb) * (py - yb) - (yc - yb) * (px - xb))
        rowb = sign * ((xa - xc) * (py - yc) - (ya - yc) * (px - xc))
        rowc = sign * ((xb - xa) * (py - ya) - (yb - ya) * (px - xa))
        layer = face_texture[f] if cut_out else -1
        for y in range(row0, row1 + 1):
            ea, eb, ec = rowa, rowb, rowc
            for x in range(col0, col1 + 1):
                if ea >= 0 and eb >= 0 and ec >= 0:
                    w = (ea * wa + eb * wb + ec * wc) * scale
                    if np.float32(w) > zbuf[y, x]:
                        alive = True
                        if layer >= 0:
                            ka, kb = ea * wa * scale / w, eb * wb * scale / w
                            kc = 1.0 - ka - kb
                            u = ka * uv[a, 0] + kb * uv[b, 0] + kc * uv[c, 0]
                            v = ka * uv[a, 1] + kb * uv[b, 1] + kc * uv[c, 1]
                            limit = threshold
                            if dither:
                                limit = 0.125 + 0.25 * ((2 * (x & 1) + 3 * (y & 1)) & 3)
                            off, th, tw = layers[layer, 0], layers[layer, 1], layers[layer, 2]
                            tx, ty = (u - np.floor(u)) * tw - 0.5, (v - np.floor(v)) * th - 0.5
                            ix, iy = np.int64(np.floor(tx)), np.int64(np.floor(ty))
                            fx, fy = tx - ix, ty - iy
                            x0, x1 = (ix + tw) % tw, (ix + 1) % tw
                            y0, y1 = (iy + th) % th, (iy + 1) % th
                            upper = texels[off + y0 * tw + x0] * (1 - fx)
                            upper += texels[off + y0 * tw + x1] * fx
                            lower = texels[off + y1 * tw + x0] * (1 - fx)
                            lower += texels[off + y1 * tw + x1] * fx
                            alive = upper * (1 - fy) + lower * fy >= limit
                        if alive:
                            zbuf[y, x] = w
                            out[y, x] = f
                ea += stepa
                eb += stepb
                ec += stepc
            rowa += downa
            rowb += downb
            rowc += downc
