"""Starts the real page with a pipeline that needs no weights.

The photo's colour decides the answer. Red: no face. Green: two faces, the second in profile. Blue:
an unforeseen failure of the run. White: a head in slow steps. Magenta: one that takes minutes.
Anything else: a head in quick steps.
It loads until the file $STUB_WAITS_FOR exists; $STUB_EXAMPLES is a folder of ready example heads.
"""

import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

import app
from id2head_core.asset.gltf import write_glb
from id2head_core.errors import FaceProfileError, NoFaceError, OptionError, SeveralFacesError
from id2head_core.identity.photo import decode
from id2head_core.structures import HeadAppearance, HeadAsset, Inspection, Progress
from id2head_core.ui import examples
from tests.synthetic_head import synthetic_head

STEP, SLOW_STEP = 0.2, 3.0  # seconds
NO_FACE = "No face was found in this photo. Use one where your face is clearly visible."
PROFILE = "The face is seen from the side. Use a photo from the front."
NO_EDIT = "The text “impossible” cannot be followed. Try “blonde hair”."


def colours(photo: bytes) -> tuple[bool, bool, bool]:
    red, green, blue = decode(photo).pixels[0, 0].astype(int) > 200
    return bool(red), bool(green), bool(blue)


class StubPipeline:
    def __init__(self):
        awaited = os.environ.get("STUB_WAITS_FOR")
        while awaited and not Path(awaited).exists():
            time.sleep(0.1)
        self.head = synthetic_head(columns=48, rows=24)

    def write(self, path: Path, note: str = "") -> HeadAsset:
        """A head whose skin is green if the note says so."""
        skin = self.head.appearance.materials["skin"]
        green = (skin.albedo * (0.3, 1.6, 0.3)).clip(0, 1).astype(np.float32)
        materials = self.head.appearance.materials | {
            "skin": replace(skin, albedo=green if "green" in note else skin.albedo)
        }
        asset = HeadAsset(self.head.geometry, HeadAppearance(materials), {"text": note}, path)
        write_glb(asset, path)
        return asset

    def inspect(self, photo, *, face_index=None):
        pixels = decode(photo).pixels
        height, width = pixels.shape[:2]
        seen = colours(photo)
        if seen == (True, False, False):
            raise NoFaceError(NO_FACE)
        if seen != (False, True, False):
            return Inspection(0, [(0.2 * width, 0.2 * height, 0.8 * width, 0.8 * height)], pixels)
        w, h = width, height
        boxes = [(0.1 * w, 0.2 * h, 0.4 * w, 0.6 * h), (0.6 * w, 0.2 * h, 0.9 * w, 0.6 * h)]
        if face_index is None:
            raise SeveralFacesError("There are 2 faces of similar size.", boxes)
        if face_index == 1:
            raise FaceProfileError(PROFILE)
        return Inspection(face_index, boxes, pixels[: height // 2])

    def edit(self, state, text, *, target="both", strength=1.0, output_dir, seed=None):
        yield Progress("geometry", 0, 4, "Reading the text", 1.0)
        if text == "impossible":
            raise OptionError(NO_EDIT)
        before = np.load(state)["texts"].tolist()
        for step in range(1, 5):
            time.sleep(STEP)
            yield Progress("appearance", step, 4, "Changing", 1.0)
        asset = self.write(output_dir / "head.glb", text)
        np.savez(output_dir / "head.npz", texts=[*before, text])
        yield Progress("asset", 1, 1, "Done", 0.0, asset=asset, final=True)

    def stream(self, photo, *, output_dir, face_index=None, seed=None):
        pixels, seen = decode(photo).pixels, colours(photo)
        pause = SLOW_STEP if all(seen) else STEP
        steps = 900 if seen == (True, False, True) else 5
        yield Progress("face", 0, 1, "Reading the photo", 3.0)
        time.sleep(STEP)
        if face_index is None:
            self.inspect(photo)
        if seen == (False, False, True):
            raise RuntimeError("/secret/place/model.onnx is broken")
        which = "" if face_index is None else f" {face_index}"
        yield Progress("face", 1, 1, f"Found the face{which}", 2.5, image=pixels)
        time.sleep(STEP)
        first = self.write(output_dir / "head_preview.glb")
        yield Progress("appearance", 0, steps, "First head", 2.0, pixels[::2, ::2], first)
        for step in range(1, steps + 1):
            time.sleep(pause)
            yield Progress("appearance", step, steps, "Matching", 2.0 - 0.3 * step)
        asset = self.write(output_dir / "head.glb")
        np.savez(output_dir / "head.npz", texts=np.array([], str))
        yield Progress("asset", 1, 1, "Done", 0.0, asset=asset, final=True)


if __name__ == "__main__":
    examples.HEADS = Path(os.environ.get("STUB_EXAMPLES", "nowhere"))
    app.build_pipeline = lambda preset: StubPipeline()
    app.main()
