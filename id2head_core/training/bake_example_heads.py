"""Bake ready heads of the example photos: ``python -m id2head_core.training.bake_example_heads``.

Each becomes a folder ``weights/examples/NAME`` with what the app serves: the head, pictures for
browsers without WebGL and, with ``--state``, what edits go on from. The first head is what a
visitor sees before anything is uploaded.
"""

import argparse
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from .. import weights
from ..asset.gltf import write_glb
from ..render.contact_sheet import contact_sheet, render_views
from ..ui.examples import LABELS
from ..ui.head_store import GLB, SHEET, STATE

logger = logging.getLogger(__name__)

NAMES = ("person_1", "astronaut")
"""Examples that are baked by default, the first one first."""

TILE = 192
"""Side of a picture on the contact sheet, pixels."""

LICENCE = "non-commercial research only"
"""Of heads made with the face models, whatever the photo's licence is."""


def main(arguments: Sequence[str] | None = None, pipeline=None) -> None:
    """Command line; ``pipeline`` replaces the full one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help=f"default: {' '.join(NAMES)}")
    parser.add_argument("--state", action="store_true", help="also keep what edits go on from")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    names = options.names or NAMES
    if unknown := [name for name in names if name not in LABELS]:
        parser.error(f"there is no example '{unknown[0]}', use any of {', '.join(LABELS)}")
    if pipeline is None:
        from ..config import full
        from ..pipeline import HeadPipeline

        pipeline = HeadPipeline(full())
    for name in names:
        bake(pipeline, name, state=options.state)


def bake(pipeline, name: str, *, state: bool) -> Path:
    """Make the head of one example, record its files in the manifest and return its folder."""
    folder = weights.weights_root() / "examples" / name
    folder.mkdir(exist_ok=True)
    photo = weights.path(f"examples/{name}.jpg")
    with tempfile.TemporaryDirectory() as work:
        *_, last = pipeline.stream(photo.read_bytes(), output_dir=Path(work))
        write_glb(last.asset, folder / GLB)
        made = [GLB, SHEET]
        if state and (Path(work) / STATE).is_file():
            with np.load(Path(work) / STATE, allow_pickle=False) as arrays:
                np.savez_compressed(folder / STATE, **arrays)
            made.append(STATE)
    pictures = render_views(last.asset.geometry, last.asset.appearance, size=TILE)
    sheet = contact_sheet(pictures, tile=TILE)
    Image.fromarray(sheet).save(folder / SHEET, "JPEG", quality=88)
    for file in made:
        origin = f"made from examples/{name}.jpg by training/bake_example_heads.py"
        weights.add(f"examples/{name}/{file}", LICENCE, origin)
        logger.info("examples/%s/%s  %.1f MB", name, file, (folder / file).stat().st_size / 1e6)
    return folder


if __name__ == "__main__":
    main()
