"""The page: layout and wiring. The work behind it is in ``generate.py``."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from ..errors import ID2HeadError
from ..identity.photo import decode
from .examples import example_buttons, example_path
from .expression_panel import ExpressionPanel
from .generate import UNEXPECTED, SharedPipeline, Update, run_head
from .head_viewer import HeadViewer
from .light_picker import LightPicker
from .photo_input import PhotoChoice, PhotoInput, ready_value, refused_value
from .run_status import RunStatus, jpeg_data_url
from .session_files import SessionFiles

log = logging.getLogger(__name__)

QUEUE_LENGTH = 12
"""Visitors who may wait at once; the next one is asked to come back later."""

BUSY = "Too many visitors are waiting. Try again in a minute."
"""Shown when Gradio's queue did not take a run."""

HEADER = """
<header class="top">
  <h1>ID2Head</h1><p>One selfie. A 3D head with 13 expressions. On a plain CPU.</p>
</header>
"""

NOTES = """
<footer class="notes">
  <p><strong>AI-generated likeness.</strong> Heads are made by a program from one photo. Use only
    photos of people who agreed to it, and say that the result is generated.</p>
  <p><strong>Privacy.</strong> Photo and head stay on this server for your visit only and are
    deleted when you leave the page.</p>
  <p><strong>Licences.</strong> The code is MIT. The face models (InsightFace), the face parser
    (trained on CelebAMask-HQ) and the generated example people (FFHQ-derived) are for
    non-commercial research only.</p>
</footer>
"""


@dataclass(frozen=True)
class AcceptedPhoto:
    """The visitor's photo on the server: file, width and height in pixels, preview (data URL)."""

    path: Path
    size: tuple[int, int]
    preview: str


def build_app(pipeline: SharedPipeline, files: SessionFiles) -> gr.Blocks:
    """Assemble the page.

    Args:
        pipeline: shared by all visitors.
        files: receives photos and heads.
    """
    with gr.Blocks(
        title="ID2Head",
        analytics_enabled=False,
        delete_cache=(600, 3600),
        fill_width=True,
    ) as app:
        gr.HTML(HEADER, padding=False)
        with gr.Row(elem_id="studio"):
            with gr.Column(elem_id="create", min_width=0):
                photo = PhotoInput(example_buttons(), elem_id="photo")
                with gr.Row(elem_id="run-buttons"):
                    start = gr.Button(
                        "Generate head", variant="primary", elem_id="generate", interactive=False
                    )
                    stop = gr.Button("Cancel", elem_id="cancel", visible=False)
                status = RunStatus(elem_id="status")
            with gr.Column(elem_id="stage", min_width=0):
                viewer = HeadViewer(elem_id="viewer")
            with gr.Column(elem_id="pose", min_width=0):
                ExpressionPanel(elem_id="expressions")
                LightPicker(elem_id="light")
        gr.HTML(NOTES, padding=False)
        accepted = gr.State(None)
        page = _Page(photo, accepted, viewer, status, start, stop)
        _wire(app, page, pipeline, files)
    return app


@dataclass(frozen=True)
class _Page:
    """The components that take part in a run."""

    photo: PhotoInput
    accepted: gr.State
    viewer: HeadViewer
    status: RunStatus
    start: gr.Button
    stop: gr.Button


def _wire(app: gr.Blocks, page: _Page, pipeline: SharedPipeline, files: SessionFiles) -> None:
    """Connect the components with the handlers."""
    photo, accepted, status = page.photo, page.accepted, page.status
    buttons = [page.start, page.stop]
    waiting: set[str] = set()  # visitors whose run has been asked for and has not started

    def accept(choice: PhotoChoice, request: gr.Request):
        waiting.discard(request.session_hash)
        value, kept = accept_photo(choice, files, request.session_hash)
        return value, kept, {"state": "idle"}, *_idle(interactive=kept is not None)

    def forget(request: gr.Request):
        waiting.discard(request.session_hash)
        return None, {"state": "idle"}, *_idle(interactive=False)

    def begin(request: gr.Request):
        waiting.add(request.session_hash)
        patience = {"state": "waiting", "message": "Waiting for a free place…"}
        return patience, gr.Button(visible=False), gr.Button(visible=True)

    def generate(choice: PhotoChoice, kept: AcceptedPhoto | None, request: gr.Request) -> Iterator:
        waiting.discard(request.session_hash)
        if kept is None or not kept.path.is_file():
            error = "The photo is gone. Choose it again."
            yield _outputs(page, Update({"state": "error", "error": error}, over=True), None)
            return
        run = run_head(pipeline, files, request.session_hash, kept.path, choice.face)
        try:
            for update in run:
                yield _outputs(page, update, kept)
        finally:
            run.close()

    def cancelled(request: gr.Request):
        waiting.discard(request.session_hash)
        return {"state": "idle", "message": "Stopped."}, *_idle()

    def refused(request: gr.Request):
        # Gradio calls this for a full queue, but also after a cancelled run.
        time.sleep(0.5)
        if request.session_hash not in waiting:
            return gr.skip(), gr.skip(), gr.skip()
        waiting.discard(request.session_hash)
        return {"state": "error", "error": BUSY}, *_idle()

    def leave(request: gr.Request):
        waiting.discard(request.session_hash)
        files.close(request.session_hash)

    quick = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    clicked = gr.on([page.start.click, photo.select], begin, None, [status, *buttons], **quick)
    run = clicked.then(
        generate,
        [photo, accepted],
        [photo, page.viewer, status, *buttons],
        concurrency_limit=1,
        concurrency_id="head",
        trigger_mode="once",
        show_progress="hidden",
        api_visibility="private",
    )
    run.failure(refused, None, [status, *buttons], **quick)
    photo.upload(
        accept, photo, [photo, accepted, status, *buttons], cancels=[run], **quick | {"queue": True}
    )
    photo.clear(forget, None, [accepted, status, *buttons], cancels=[run], **quick)
    page.stop.click(cancelled, None, [status, *buttons], cancels=[run], **quick)
    app.unload(leave)


def accept_photo(
    choice: PhotoChoice, files: SessionFiles, session: str
) -> tuple[dict, AcceptedPhoto | None]:
    """Decode what the visitor sent; returns the PhotoInput's value and the photo, if it is one."""
    try:
        if choice.example is not None:
            path = files.keep_photo(session, example_path(choice.example), move=False)
        elif choice.upload is not None:
            path = files.keep_photo(session, choice.upload, move=True)
        else:
            return refused_value("The photo did not arrive. Choose it again."), None
        decoded = decode(path.read_bytes())
    except ID2HeadError as error:
        return refused_value(str(error)), None
    except Exception:
        log.exception("a photo could not be taken in")
        return refused_value(UNEXPECTED), None
    preview = jpeg_data_url(decoded.pixels, 640)
    return ready_value(preview), AcceptedPhoto(path, decoded.size, preview)


def _outputs(page: _Page, update: Update, kept: AcceptedPhoto | None) -> tuple:
    """Values for photo, viewer, status and the two buttons."""
    photo = gr.skip()
    if update.boxes is not None and kept is not None:
        width, height = kept.size
        scale = (width, height, width, height)
        boxes = [
            tuple(min(1.0, max(0.0, float(c) / s)) for c, s in zip(box, scale, strict=True))
            for box in update.boxes
        ]
        photo = ready_value(kept.preview, boxes)
    viewer = gr.skip() if update.head is None else update.head
    buttons = _idle() if update.over else (gr.skip(), gr.skip())
    return photo, viewer, update.status, *buttons


def _idle(**start) -> tuple[gr.Button, gr.Button]:
    """Generate and Cancel while nothing runs; ``start`` are further changes of Generate."""
    return gr.Button(visible=True, **start), gr.Button(visible=False)
