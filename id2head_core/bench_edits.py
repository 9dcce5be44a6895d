"""Ten text edits of finished heads: ``python -m id2head_core.bench_edits OUT HEAD.npz ...``.

``HEAD.npz`` lies beside a ``head.glb``. For each head, ``OUT`` receives a sheet (before and after,
shaded and normals, four views) and the pictures for a recogniser of one's own; one table of all
heads is printed at the end.
"""

import argparse
import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .colour import to_srgb
from .config import full
from .editing import shape_start
from .editing.head_state import HeadState
from .errors import FaceError
from .identity.analyse import IdentityAnalyser
from .pipeline import HeadPipeline
from .prompts import hair_colour
from .render.contact_sheet import INK, PAPER, portrait_camera
from .structures import HeadAsset, Photo
from .template.head_template import HeadTemplate

OTHER_GENDER = "as the other gender"
"""Replaced by "as a male" or "as a female"."""

EDITS = (
    OTHER_GENDER, "as a cute baby", "blonde hair", "with green hair",
    "with short buzzcut hairstyle", "older", "with a beard", "with freckles", "with blue eyes",
    "thinner face",
)  # fmt: skip
"""The columns of the matrix."""

COLOURS = {"blonde hair": "blonde", "with green hair": "green"}
"""Edits that name a hair colour."""

HELD_STILL = {
    "blonde hair": "face", "with green hair": "face", "with short buzzcut hairstyle": "face",
    "with a beard": "scalp", "with freckles": "face", "with blue eyes": "face",
    "thinner face": "scalp",
}  # fmt: skip
"""Region of the template that a local edit must not move."""

AXES = {"as a cute baby": ("baby", 1), "older": ("old", 1), "as a male": ("female", -1),
        "as a female": ("female", 1)}  # fmt: skip
"""Shape axis of an edit, and the direction along it."""

YAWS = (0.0, 60.0, -60.0, 180.0)
"""Views of the sheet, degrees."""

TILE, RENDERED = 176, 352
"""Side of a picture on the sheet, and as it is rendered."""


@dataclass(frozen=True)
class Look:
    """What is measured of a head.

    Attributes:
        pictures: shaded and normals, uint8 ``[S, S, 3]``, by yaw.
        age: years that the network sees from the front, None without a face.
        gender: the same, probability of "female".
        embedding: ArcFace ``[512]`` of the front, or None.
    """

    pictures: dict[float, tuple[np.ndarray, np.ndarray]]
    age: float | None
    gender: float | None
    embedding: np.ndarray | None


class EditBench:
    """Runs edits and measures them."""

    def __init__(self):
        self.pipeline = HeadPipeline(full())
        self.template: HeadTemplate = self.pipeline.template
        self.analyse: IdentityAnalyser = self.pipeline.analyse
        self.axes = shape_start.axes()

    def head(self, state_path: Path, out: Path) -> list[dict]:
        """Rows of the table for one head; writes its sheet."""
        state = HeadState.load(state_path)
        before = self.look(self.pipeline.asset_of(state))
        self._save(before, out / "before")
        columns, rows = [("before", before)], []
        for text in EDITS:
            if text == OTHER_GENDER:
                text = "as a male" if state.gender > 0.5 else "as a female"
            with tempfile.TemporaryDirectory(prefix="id2head-edit-") as folder:
                asset, first, total = self._edit(state_path, text, Path(folder))
                after = HeadState.load(Path(folder) / "head.npz")
            look = self.look(asset)
            self._save(look, out / text.replace(" ", "_"))
            columns.append((text, look))
            row = {"edit": text, "first": first, "total": total}
            rows.append(row | self.measures(text, state, after, before, look))
        Image.fromarray(matrix(columns)).save(out / "matrix.png")
        (out / "rows.json").write_text(json.dumps(rows, indent=1))
        return rows

    def look(self, asset: HeadAsset) -> Look:
        """Pictures, and what networks see in the front."""
        pictures = {}
        for yaw in YAWS:
            camera = portrait_camera(asset.geometry, yaw)
            view = self.pipeline.renderer.render(
                asset.geometry, asset.appearance, camera, (RENDERED, RENDERED)
            )
            pictures[yaw] = _bytes(view.shaded), _bytes(view.normals * 0.5 + 0.5)
        try:
            identity = self.analyse(Photo(pictures[0.0][0]))
        except FaceError:
            return Look(pictures, None, None, None)
        return Look(pictures, identity.age, identity.gender, identity.embedding)

    def measures(
        self, text: str, state: HeadState, after: HeadState, before: Look, look: Look
    ) -> dict:
        """Numbers of one edit; those that do not apply are left out."""
        moved = after.fit.neutral - state.fit.neutral
        found: dict[str, float] = {}
        if before.embedding is not None and look.embedding is not None:
            found["arcface"] = float(before.embedding @ look.embedding)
            found["years"] = look.age - before.age
            found["female"] = look.gender - before.gender
        if text in COLOURS and "hair" in after.appearance.materials:
            target = _lab(hair_colour(COLOURS[text]))
            for name, one in (("dE_before", state), ("dE_after", after)):
                mean = one.appearance.materials["hair"].albedo.reshape(-1, 3).mean(0)
                found[name] = float(np.linalg.norm(_lab(mean) - target))
        if text in HELD_STILL:
            still = self.template.regions[HELD_STILL[text]] > 0.9
            found["moved_mm"] = 1000 * float(np.median(np.linalg.norm(moved[still], axis=1)))
        if "buzzcut" in text and state.hair is not None:
            volumes = [np.maximum(one.hair.thickness, 0).sum() for one in (state, after)]
            if volumes[0] > 0:
                found["volume"] = float(volumes[1] / volumes[0])
        if text in AXES:
            name, sign = AXES[text]
            axis = self.axes[name]
            found["axis"] = float(sign * (moved * axis).sum() / (axis * axis).sum())
        return found

    def _edit(self, state: Path, text: str, folder: Path) -> tuple[HeadAsset, float, float]:
        """The edited head, seconds to the first change and to the end."""
        start, first, last = time.perf_counter(), None, None
        for event in self.pipeline.edit(state, text, output_dir=folder):
            if event.asset is not None and first is None:
                first = time.perf_counter() - start
            last = event
        return last.asset, first, time.perf_counter() - start

    @staticmethod
    def _save(look: Look, stem: Path) -> None:
        """The shaded pictures, for other judges."""
        for yaw, (shaded, _) in look.pictures.items():
            Image.fromarray(shaded).save(f"{stem}_yaw{yaw:.0f}.png")


def matrix(columns: list[tuple[str, Look]]) -> np.ndarray:
    """Edits from left to right; shaded views and then normals from top to bottom."""
    label = 24
    sheet = Image.new("RGB", (len(columns) * TILE, label + 2 * len(YAWS) * TILE), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=12)
    for c, (title, look) in enumerate(columns):
        draw.text(((c + 0.5) * TILE, label / 2), title, INK, font, anchor="mm")
        tiles = [p for kind in (0, 1) for p in (look.pictures[yaw][kind] for yaw in YAWS)]
        for r, picture in enumerate(tiles):
            small = cv2.resize(picture, (TILE, TILE), interpolation=cv2.INTER_AREA)
            sheet.paste(Image.fromarray(small), (c * TILE, label + r * TILE))
    return np.asarray(sheet)


def table(rows: list[dict]) -> str:
    """Medians over all heads and the worst value, one line per edit."""
    lines = []
    for text in dict.fromkeys(row["edit"] for row in rows):
        same = [row for row in rows if row["edit"] == text]
        cells = [f"{text:30s} {len(same):2d} heads"]
        for key in dict.fromkeys(k for row in same for k in row if k != "edit"):
            values = np.array([row[key] for row in same if key in row])
            cells.append(
                f"{key} {np.median(values):.3g} ({values.min():.3g} to {values.max():.3g})"
            )
        lines.append("  ".join(cells))
    return "\n".join(lines)


def _lab(linear: np.ndarray) -> np.ndarray:
    """CIELAB of a linear colour ``[3]``."""
    srgb = to_srgb(np.asarray(linear, np.float32)).astype(np.float32)
    return cv2.cvtColor(srgb.reshape(1, 1, 3), cv2.COLOR_RGB2LAB)[0, 0]


def _bytes(image: np.ndarray) -> np.ndarray:
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("heads", type=Path, nargs="+", help="head.npz of finished heads")
    options = parser.parse_args()
    bench, rows = EditBench(), []
    for path in options.heads:
        folder = options.out / path.resolve().parent.name
        folder.mkdir(parents=True, exist_ok=True)
        rows += bench.head(path, folder)
        print(f"{folder.name}\n{table(rows)}", flush=True)  # noqa: T201 - a benchmark prints


if __name__ == "__main__":
    main()
