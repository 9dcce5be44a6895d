"""Endpoints for programs: ``/generate``, ``/edit`` and ``/export``, by ``gradio_client``.

A client is a visitor like any other: its head stays on the server until the client is closed, and
edits and exports go on from it.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import gradio as gr

from ..errors import ID2HeadError, OptionError
from ..expressions import EXPRESSIONS
from .edits import TARGETS, run_edit
from .generate import Studio, Update, run_head
from .intake import read_photo
from .photo_input import PhotoChoice


def add_api(studio: Studio) -> None:
    """Add the endpoints to the current Blocks; their components are never shown."""

    def generate(photo: str | None, face: int, seed: int, request: gr.Request) -> tuple[str, dict]:
        """Make a head of the photo; returns the .glb and what is known about it."""
        session = request.session_hash
        with _errors_for_the_client():
            if photo is None:
                raise OptionError("There is no photo. Pass handle_file('selfie.jpg').")
            if not 0 <= seed < 2**31:
                raise OptionError(f"Seed {seed} is out of range. Use 0 to 2147483647.")
            held = read_photo(PhotoChoice(upload=Path(photo)))
            held.face = face if face >= 0 else None
            studio.files.visitor(session).photo = held
            return _last(run_head(studio, session, seed=int(seed)))

    def edit(text: str, target: str, strength: float, request: gr.Request) -> tuple[str, dict]:
        """Change the newest head as the text says; returns the new .glb."""
        with _errors_for_the_client():
            if not studio.pipeline.can_edit:
                raise OptionError("This server cannot edit heads.")
            return _last(run_edit(studio, request.session_hash, text, target, strength))

    def export(expressions: dict, request: gr.Request) -> str:
        """Pose the newest head; returns a .glb without morph targets."""
        with _errors_for_the_client():
            return str(export_posed(studio, request.session_hash, expressions))

    with gr.Row(visible=False):
        photo = gr.File(label="photo", type="filepath")
        face = gr.Number(-1, label="face", precision=0)
        seed = gr.Number(0, label="seed", precision=0)
        text = gr.Textbox(label="text")
        target = gr.Radio(list(TARGETS), value="both", label="target")
        strength = gr.Number(1.0, label="strength")
        expressions = gr.JSON({}, label="expressions")
        glb, facts, call = gr.File(label="glb"), gr.JSON(label="facts"), gr.Button()
        options = {"concurrency_limit": None, "show_progress": "hidden"}
        call.click(generate, [photo, face, seed], [glb, facts], api_name="generate", **options)
        call.click(edit, [text, target, strength], [glb, facts], api_name="edit", **options)
        call.click(export, expressions, glb, api_name="export", **options)


def export_posed(studio: Studio, session: str, expressions: dict) -> Path:
    """Write the visitor's newest head with the expressions' weights applied, ready to be served.

    Raises:
        OptionError: there is no head, an unknown expression, or a weight outside [0, 1].
    """
    visitor = studio.files.visitor(session)
    if not visitor.versions:
        raise OptionError("There is no finished head to export. Generate one first.")
    weights = checked_weights(expressions)
    with tempfile.TemporaryDirectory(dir=studio.files.private_folder(session)) as folder:
        posed = studio.pipeline.pose(visitor.versions[-1], weights, Path(folder) / "posed.glb")
        return studio.files.publish_head(session, posed)


def checked_weights(given: object) -> dict[str, float]:
    """Weights by expression; raises OptionError for what is not one."""
    if not isinstance(given, dict):
        raise OptionError(f'Expressions are {given!r}. Pass a dict such as {{"Grin": 0.8}}.')
    for name, weight in given.items():
        if name not in EXPRESSIONS:
            raise OptionError(f"Expression '{name}' is unknown. Use {', '.join(EXPRESSIONS)}.")
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 <= weight <= 1:
            raise OptionError(f"The weight of '{name}' is {weight!r}. Use a number from 0 to 1.")
    return {name: float(weight) for name, weight in given.items()}


def _last(updates: Iterator[Update]) -> tuple[str, dict]:
    """Follow a run to its end; raises OptionError with the visitor's text if it fails."""
    with closing(updates):
        for update in updates:
            if update.stored is not None:
                facts = {"label": update.stored.label, "editable": update.stored.state is not None}
                return str(update.head), facts | {"message": update.status["message"]}
            if update.over:
                raise OptionError(update.status["error"])
    raise OptionError("The run was stopped because its visitor has left.")


@contextmanager
def _errors_for_the_client() -> Iterator[None]:
    """Hands the texts of our errors to the client; of others only that there was one."""
    try:
        yield
    except ID2HeadError as error:
        raise gr.Error(str(error), print_exception=False) from error
