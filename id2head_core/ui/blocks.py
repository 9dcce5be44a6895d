"""The page: layout and wiring. The work behind it is in ``intake.py`` and ``generate.py``."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import gradio as gr

from .api import add_api
from .edit_panel import EditPanel
from .edits import run_edit, undo
from .examples import example_buttons, example_head, example_heads
from .expression_panel import ExpressionPanel
from .generate import Studio, Update, run_head
from .head_viewer import HeadViewer
from .intake import choose_face, forget_photo, keep_photo, take_in
from .light_picker import LightPicker
from .own_files import COOKIE
from .photo_input import PhotoChoice, PhotoInput
from .run_status import RunStatus

READY_EXAMPLE = "This head was made from an example photo. Add a photo to make yours."
"""Shown with the first page."""

EXAMPLE_OPENED = "A ready head of this example. Generate makes it anew, before your eyes."
"""Shown when an example with a ready head is clicked."""

HEADER = """
<header class="top">
  <h1>ID2Head</h1><p>One selfie. A 3D head with 13 expressions. On a plain CPU.</p>
</header>
"""

NOTES = """
<footer class="notes">
  <p><strong>AI-generated likeness.</strong> Heads are made by a program from one photo. Use only
    photos of people who agreed to it, and say that the result is generated.</p>
  <p><strong>Privacy.</strong> The server reads your photo into memory and deletes the file at once.
    The photo is forgotten when its head is finished; if you tick “Keep my photo”, when you leave.
    Heads and previews can be opened by you only and are deleted when you leave the page, or after
    two hours without use.</p>
  <p><strong>Licences.</strong> The code is MIT. The face models (InsightFace), the face parser
    (trained on CelebAMask-HQ), the 2D prior and the generated example people (FFHQ-derived) are for
    non-commercial research only.</p>
</footer>
"""


def build_app(studio: Studio) -> gr.Blocks:
    """Assemble the page; ``studio`` is shared by all visitors."""
    gr.set_static_paths([head.folder for head in example_heads()])
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
                keep = gr.Checkbox(
                    False, label="Keep my photo for another run", elem_id="keep", container=False
                )
                with gr.Row(elem_id="run-buttons"):
                    start = gr.Button(
                        "Generate head", variant="primary", elem_id="generate", interactive=False
                    )
                    stop = gr.Button("Cancel", elem_id="cancel", visible=False)
                status = RunStatus(elem_id="status")
                edit = EditPanel.build()
            with gr.Column(elem_id="stage", min_width=0):
                viewer = HeadViewer(elem_id="viewer")
            with gr.Column(elem_id="pose", min_width=0):
                ExpressionPanel(elem_id="expressions")
                LightPicker(elem_id="light")
        gr.HTML(NOTES, padding=False)
        page = _Page(photo, keep, viewer, status, start, stop, edit)
        _wire_photo(page, studio, *_wire_runs(page, studio))
        _wire_visit(app, page, studio)
        add_api(studio)
    return app


@dataclass(frozen=True)
class _Page:
    """The components that take part in a run."""

    photo: PhotoInput
    keep: gr.Checkbox
    viewer: HeadViewer
    status: RunStatus
    start: gr.Button
    stop: gr.Button
    edit: EditPanel

    @property
    def outputs(self) -> list:
        """Components that ``show`` and ``idle`` give values for."""
        return [self.viewer, self.status, self.start, self.stop, *self.edit.outputs]


QUICK = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of events that only change the page."""

LONG = {
    "concurrency_limit": None,  # the line of generate.Studio.turns is the queue
    "show_progress": "hidden",
    "api_visibility": "private",
}
"""Options of events that wait for something."""


def _wire_runs(page: _Page, studio: Studio) -> tuple:
    """Generate, edit and undo; returns the two events that can be cancelled."""
    edit = page.edit

    def follow(updates: Iterator[Update], session: str) -> Iterator[tuple]:
        with closing(updates):
            for number, update in enumerate(updates):
                yield _show(studio, session, update, first=number == 0)

    def make_head(keep: bool, request: gr.Request) -> Iterator[tuple]:
        keep_photo(studio.files.visitor(request.session_hash), keep)
        yield from follow(run_head(studio, request.session_hash), request.session_hash)

    def change(text: str, target: str, request: gr.Request) -> Iterator[tuple]:
        updates = run_edit(studio, request.session_hash, text, target)
        yield from follow(updates, request.session_hash)

    def go_back(request: gr.Request) -> tuple:
        shown = undo(studio, request.session_hash)
        gone = {"state": "error", "error": "The version before is no longer stored."}
        undone = {"state": "idle", "message": "Undone.", "edit": True}
        status = undone if shown else gone
        return _idle(studio, request.session_hash, status, head=shown)

    def cancelled(request: gr.Request) -> tuple:
        return _idle(studio, request.session_hash, {"state": "idle", "message": "Stopped."})

    run = page.start.click(make_head, page.keep, page.outputs, trigger_mode="once", **LONG)
    change_inputs = [edit.text, edit.target]
    changing = gr.on(
        [edit.apply.click, edit.text.submit],
        change, change_inputs, page.outputs, trigger_mode="once", **LONG,
    )  # fmt: skip
    edit.undo.click(go_back, None, page.outputs, **QUICK)
    page.stop.click(cancelled, None, page.outputs, cancels=[run, changing], **QUICK)
    return run, changing


def _wire_photo(page: _Page, studio: Studio, *runs) -> None:
    """What happens when a photo comes, a face is clicked, or the photo is removed."""
    photo = page.photo

    def accept(choice: PhotoChoice, request: gr.Request) -> Iterator[tuple]:
        session = request.session_hash
        ready = None if choice.example is None else example_head(choice.example)
        status, head = {"state": "idle"}, None
        if ready is not None:
            studio.files.visitor(session).versions[:] = [ready]
            status["message"], head = EXAMPLE_OPENED, ready.glb
        first = True
        for value in take_in(studio, session, choice):
            found = value["kind"] == "ready" and value["face"] is not None
            if first:
                yield value, *_idle(studio, session, status, head=head, start=found)
            else:
                yield value, *_only_start(found)
            first = False

    def choose(choice: PhotoChoice, request: gr.Request) -> tuple:
        value = choose_face(studio, request.session_hash, choice.face)
        return value, gr.Button(interactive=value.get("face") is not None)

    def forget(request: gr.Request) -> tuple:
        forget_photo(studio.files.visitor(request.session_hash))
        return _idle(studio, request.session_hash, {"state": "idle"}, start=False)

    def set_keep(keep: bool, request: gr.Request) -> None:
        keep_photo(studio.files.visitor(request.session_hash), keep)

    photo.upload(
        accept, photo, [photo, *page.outputs], cancels=list(runs), trigger_mode="multiple", **LONG
    )
    photo.select(choose, photo, [photo, page.start], **LONG)
    photo.clear(forget, None, page.outputs, cancels=list(runs), **QUICK)
    page.keep.input(set_keep, page.keep, None, **QUICK)


def _wire_visit(app: gr.Blocks, page: _Page, studio: Studio) -> None:
    """What happens when a visitor comes and leaves."""

    def arrive(request: gr.Request) -> tuple:
        ready, visitor = example_heads(), studio.files.visitor(request.session_hash)
        visitor.cookie = request.cookies.get(COOKIE)
        if not ready:
            return (gr.skip(),) * len(page.outputs)
        visitor.versions[:] = ready[:1]
        status = {"state": "idle", "message": READY_EXAMPLE}
        return _idle(studio, request.session_hash, status, head=ready[0].glb)

    def leave(request: gr.Request) -> None:
        studio.files.close(request.session_hash)

    def forget_values(session: str) -> None:
        # Gradio remembers the components' values of every visitor, previews too, without end.
        holder = getattr(app, "state_holder", None)
        if holder is not None:
            holder.session_data.pop(session, None)
            holder.time_last_used.pop(session, None)

    app.load(arrive, None, page.outputs, **QUICK)
    app.unload(leave)
    studio.files.on_close.append(forget_values)


def _show(studio: Studio, session: str, update: Update, *, first: bool) -> tuple:
    """Values for ``_Page.outputs`` for one step of a run."""
    if update.over:
        return _idle(studio, session, update.status, head=update.head)
    head = update.head or gr.skip()
    if not first:
        return head, update.status, *(gr.skip(),) * 2, *EditPanel.unchanged()
    visitor, can_edit = studio.files.visitor(session), studio.pipeline.can_edit
    buttons = gr.Button(visible=False), gr.Button(visible=True)
    return head, update.status, *buttons, *EditPanel.state(visitor, can_edit, busy=True)


def _idle(
    studio: Studio, session: str, status: dict, head=None, start: bool | None = None
) -> tuple:
    """Values for ``_Page.outputs`` while nothing runs."""
    change = {} if start is None else {"interactive": start}
    buttons = gr.Button(visible=True, **change), gr.Button(visible=False)
    panel = EditPanel.state(studio.files.visitor(session), studio.pipeline.can_edit)
    return head or gr.skip(), status, *buttons, *panel


def _only_start(found: bool) -> tuple:
    """Values for ``_Page.outputs`` that change only whether Generate can be clicked."""
    return gr.skip(), gr.skip(), gr.Button(interactive=found), gr.skip(), *EditPanel.unchanged()
