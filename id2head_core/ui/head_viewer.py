"""The 3D view of the finished head."""

from pathlib import Path

from gradio.data_classes import FileData

from ..expressions import EXPRESSIONS
from .client_component import ClientComponent

TEMPLATE = """
<section class="viewer" aria-label="3D head">
  <div class="viewer-stage">
    <div class="viewer-canvas"></div>
    <div class="viewer-empty" aria-hidden="true">
      <svg viewBox="0 0 200 240"><path d="M100 18c-38 0-62 26-62 68 0 22 5 36 9 50 6 22 20 46 40
        52v22c0 8-44 10-58 26h142c-14-16-58-18-58-26v-22c20-6 34-30 40-52 4-14 9-28
        9-50 0-42-24-68-62-68z"/></svg>
      <p>Your 3D head appears here</p>
    </div>
    <img class="viewer-sheet" alt="Views of the head, rendered by the server" hidden>
    <div class="viewer-note" role="status" hidden></div>
    <div class="viewer-top">
      <div class="viewer-views" aria-label="View"></div>
      <div class="viewer-corner"></div>
    </div>
    <div class="viewer-bottom">
      <div class="viewer-tools"></div>
      <div class="viewer-actions"></div>
    </div>
  </div>
  <div class="viewer-strip"></div>
</section>
"""
"""Filled by ``viewer_src/head_viewer_component.js``: canvas, buttons, expressions below."""


class HeadViewer(ClientComponent):
    """Shows a .glb; its value is a path, from the server to the browser only.

    A browser without WebGL shows ``contact_sheet.jpg`` from the same folder instead.
    """

    data_model = FileData

    def __init__(self, **kwargs):
        super().__init__(None, TEMPLATE, {"names": list(EXPRESSIONS)}, **kwargs)

    def preprocess(self, payload: FileData | None) -> None:
        """The browser's copy is never needed nor trusted."""
        return None

    def postprocess(self, value: str | Path | None) -> FileData | None:
        """Path of a .glb to what the browser fetches."""
        return None if value is None else FileData(path=str(value), orig_name=Path(value).name)
