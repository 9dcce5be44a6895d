"""Progress of a run, as the visitor sees it."""

import base64
import math

import cv2
import numpy as np

from ..structures import Progress
from .client_component import ClientComponent

STAGES: dict[str, str] = {
    "face": "Face",
    "fit": "Fit",
    "geometry": "Shape",
    "appearance": "Skin",
    "asset": "Finish",
}
"""Title of each stage of ``structures.Progress``, in order."""

TEMPLATE = """
<div class="run">
  <ol class="run-stages" aria-label="Stages"></ol>
  <div class="run-bar" role="progressbar" aria-label="Progress" aria-valuemin="0"
    aria-valuemax="100"><i></i></div>
  <div class="run-line">
    <span class="run-message" role="status"></span><span class="run-left"></span>
  </div>
  <p class="run-error" role="alert" hidden></p>
  <div class="run-strip"></div>
</div>
"""


class RunStatus(ClientComponent):
    """Value: a dict with ``state`` ("idle", "waiting", "running", "done", "error") and details.

    ``edit`` is true in a run that changes a head with words, and when that is undone.
    """

    def __init__(self, **kwargs):
        stages = [{"name": name, "title": title} for name, title in STAGES.items()]
        super().__init__({"state": "idle"}, TEMPLATE, {"stages": stages}, **kwargs)


def progress_value(run: str, event: Progress) -> dict:
    """The component's value for one event of the pipeline; ``run`` tells runs apart."""
    left = event.seconds_left
    shown = event.normals if event.image is None else event.image
    return {
        "state": "running",
        "run": run,
        "stage": event.stage,
        "step": event.step,
        "total": event.total,
        "message": event.message,
        "seconds_left": left if left is not None and math.isfinite(left) else None,
        "image": "" if shown is None else jpeg_data_url(shown, 320),
    }


def jpeg_data_url(image: np.ndarray, longest_side: int) -> str:
    """Image ``[H, W, 3]``, uint8 RGB, shrunk to ``longest_side`` pixels, as a JPEG data URL."""
    height, width = image.shape[:2]
    scale = min(1.0, longest_side / max(height, width))
    if scale < 1.0:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    if not done:
        raise ValueError(f"An image of shape {image.shape} cannot be written as JPEG.")
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
