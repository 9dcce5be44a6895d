"""Starts the real page with a pipeline that needs no weights.

The photo's colour decides the answer. Red: no face. Green: two faces. Blue: an unforeseen failure.
White: a head in slow steps. Anything else: a head in quick steps.
"""

import sys
import time
from pathlib import Path

import app
from id2head_core.asset.gltf import write_glb
from id2head_core.errors import NoFaceError, SeveralFacesError
from id2head_core.identity.photo import decode
from id2head_core.structures import HeadAsset, Progress
from tests.synthetic_head import synthetic_head

STEP, SLOW_STEP = 0.2, 3.0  # seconds
NO_FACE = "No face was found in this photo. Use one where your face is clearly visible."


class StubPipeline:
    def __init__(self):
        self.head = synthetic_head(columns=48, rows=24)

    def write(self, path: Path) -> HeadAsset:
        write_glb(self.head, path)
        return HeadAsset(self.head.geometry, self.head.appearance, {}, path)

    def stream(self, photo, *, output_dir, face_index=None, seed=None):
        pixels = decode(photo).pixels
        height, width = pixels.shape[:2]
        red, green, blue = pixels[0, 0].astype(int) > 200
        pause = SLOW_STEP if red and green and blue else STEP
        yield Progress("face", 0, 1, "Reading the photo", 3.0)
        time.sleep(STEP)
        if red and not green and not blue:
            raise NoFaceError(NO_FACE)
        if green and not red and not blue and face_index is None:
            w, h = width, height
            boxes = [(0.1 * w, 0.2 * h, 0.4 * w, 0.6 * h), (0.6 * w, 0.2 * h, 0.9 * w, 0.6 * h)]
            raise SeveralFacesError("There are 2 faces of similar size.", boxes)
        if blue and not red and not green:
            raise RuntimeError("/secret/place/model.onnx is broken")
        which = "" if face_index is None else f" {face_index}"
        yield Progress("face", 1, 1, f"Found the face{which}", 2.5, image=pixels)
        time.sleep(STEP)
        first = self.write(output_dir / "head_preview.glb")
        yield Progress("appearance", 0, 5, "First head", 2.0, pixels[::2, ::2], first)
        for step in range(1, 6):
            time.sleep(pause)
            yield Progress("appearance", step, 5, "Matching", 2.0 - 0.3 * step)
        yield Progress(
            "asset", 1, 1, "Done", 0.0, asset=self.write(output_dir / "head.glb"), final=True
        )


if __name__ == "__main__":
    sys.argv[0] = "app.py"
    app.build_pipeline = StubPipeline
    app.main()
