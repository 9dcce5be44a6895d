"""Text edits of a finished head: box, suggestions, what may change, and the way back."""

import html
from dataclasses import dataclass

import gradio as gr

from .edits import LONGEST_TEXT
from .session_files import Visitor

SUGGESTIONS = (
    "with green hair", "blonde hair", "brown hair", "short buzzcut hairstyle", "with long hair",
    "as a cute baby", "older", "as a female", "as a male",
)  # fmt: skip
"""Texts that a click puts into the box."""

TARGETS = (("Shape", "geometry"), ("Texture", "texture"), ("Both", "both"))
"""Label and value of what an edit may change."""

HEADING = """<h2>Change it with words</h2>"""


@dataclass(frozen=True)
class EditPanel:
    """The panel's components."""

    box: gr.Column
    text: gr.Textbox
    target: gr.Radio
    apply: gr.Button
    undo: gr.Button
    history: gr.HTML

    @classmethod
    def build(cls) -> "EditPanel":
        """Lay the panel out in the current block, hidden."""
        with gr.Column(visible=False, elem_id="edit", elem_classes=["card"], min_width=0) as box:
            gr.HTML(HEADING, padding=False)
            text = gr.Textbox(
                label="What should change?",
                placeholder="with green hair",
                max_lines=1,
                max_length=LONGEST_TEXT,
                elem_id="edit-text",
                container=False,
            )
            with gr.Row(elem_id="edit-chips"):
                for suggestion in SUGGESTIONS:
                    chip = gr.Button(suggestion, size="sm", elem_classes=["edit-chip"], min_width=0)
                    chip.click(
                        fn=None, outputs=text, js=f"() => {suggestion!r}", show_progress="hidden"
                    )
            target = gr.Radio(
                list(TARGETS), value="both", label="May change", elem_id="edit-target"
            )
            with gr.Row(elem_id="edit-buttons"):
                apply = gr.Button("Apply", variant="primary", elem_id="edit-apply", min_width=0)
                undo = gr.Button("Undo", elem_id="edit-undo", min_width=0, visible=False)
            history = gr.HTML("", padding=False, elem_id="edit-history")
        return cls(box, text, target, apply, undo, history)

    @property
    def outputs(self) -> list:
        """Components of ``state`` and ``unchanged``."""
        return [self.box, self.apply, self.undo, self.history]

    @staticmethod
    def unchanged() -> tuple:
        """Values for ``outputs`` that change nothing."""
        return (gr.skip(),) * 4

    @staticmethod
    def state(visitor: Visitor, can_edit: bool, *, busy: bool = False) -> tuple:
        """Values for ``outputs``: hidden where there is nothing that could be edited."""
        versions = visitor.versions
        editable = can_edit and bool(versions) and versions[-1].state is not None
        several = len(versions) > 1
        return (
            gr.Column(visible=editable),
            gr.Button(interactive=not busy),
            gr.Button(visible=several, interactive=not busy),
            _history([version.label for version in versions]) if several else "",
        )


def _history(labels: list[str]) -> str:
    """The versions as a line, oldest first; the texts are the visitor's, so they are escaped."""
    items = "".join(f"<li>{html.escape(label)}</li>" for label in labels)
    return f'<ol class="edit-versions" aria-label="Versions">{items}</ol>'
