"""Text edits of a finished head, and the way back. No Gradio in here."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from ..errors import ID2HeadError, OptionError
from ..structures import Progress
from .generate import Studio, Update, follow_run, refusal
from .head_store import StoredHead

LONGEST_TEXT = 200
"""Characters of an edit."""

LONGEST_HISTORY = 6
"""Versions of a head that can be gone back to."""

TARGETS = ("geometry", "texture", "both")
"""What an edit may change."""


def run_edit(
    studio: Studio, session: str, text: str, target: str = "both", strength: float = 1.0
) -> Iterator[Update]:
    """Change the visitor's newest head as a text says; otherwise like ``run_head``."""
    visitor = studio.files.visitor(session)
    base = visitor.versions[-1] if visitor.versions else None
    text = " ".join(text.split())

    def key() -> str:
        return studio.pipeline.key("edit", base.key, text, target, strength)

    def start(folder: Path) -> Iterator[Progress]:
        return studio.pipeline.edit(base.state, folder, text, target, strength)

    def finish(head: StoredHead) -> None:
        visitor.versions.append(head)
        del visitor.versions[:-LONGEST_HISTORY]

    try:
        _check_edit(base, text, target, strength)
    except ID2HeadError as error:
        yield refusal(str(error))
        return
    with closing(follow_run(studio, session, visitor, key, start, finish, text)) as updates:
        for update in updates:
            yield replace(update, status=update.status | {"edit": True})


def undo(studio: Studio, session: str) -> Path | None:
    """Go back by one version, to exactly its files; None if there is none."""
    versions = studio.files.visitor(session).versions
    if len(versions) < 2 or not versions[-2].glb.is_file():
        return None
    versions.pop()
    return studio.files.publish_head(session, versions[-1].glb, versions[-1].sheet)


def _check_edit(base: StoredHead | None, text: str, target: str, strength: float) -> None:
    if base is None or base.state is None:
        raise OptionError("There is no finished head to change. Generate one first.")
    if not text:
        raise OptionError("The text is empty. Type what should change, such as “blonde hair”.")
    if len(text) > LONGEST_TEXT:
        raise OptionError(f"The text has {len(text)} characters. Use at most {LONGEST_TEXT}.")
    if target not in TARGETS:
        raise OptionError(f"Target '{target}' is unknown. Use one of {', '.join(TARGETS)}.")
    if not 0 < strength <= 2:
        raise OptionError(f"Strength {strength} is out of range. Use a number up to 2.")
