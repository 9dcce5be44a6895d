"""Where the visitor's photo comes from."""

from dataclasses import dataclass
from pathlib import Path

from gradio.utils import get_upload_folder

from ..identity.photo import MAX_BYTES
from .client_component import ClientComponent

TEMPLATE = """
<div class="photo">
  <div class="photo-zone"></div>
  <p class="photo-error" role="alert" hidden></p>
  <div class="photo-examples-row">
    <span>No photo? Try one:</span><div class="photo-examples"></div>
  </div>
</div>
"""


@dataclass(frozen=True)
class PhotoChoice:
    """What the browser sent.

    Attributes:
        upload: file in Gradio's upload folder, or None.
        example: name of an example, or None.
        face: number of the chosen face, counted from the left, or None.
    """

    upload: Path | None = None
    example: str | None = None
    face: int | None = None


class PhotoInput(ClientComponent):
    """Takes any file by drop, browse, paste or camera; the server judges it.

    Value from the browser: ``{"kind": "upload", "path"}``, ``{"kind": "example", "name"}``,
    ``{"kind": "ready", "face"}`` or ``{"kind": "none"}``. Value to the browser: see ``ready_value``
    and ``refused_value``.
    """

    def __init__(self, examples: list[dict[str, str]], **kwargs):
        """``examples``: dicts with ``name``, ``label`` and ``thumb`` (an image URL)."""
        props = {"examples": examples, "max_bytes": MAX_BYTES}
        super().__init__({"kind": "none"}, TEMPLATE, props, **kwargs)

    def preprocess(self, payload: object) -> PhotoChoice:
        """Check what the browser sent; anything that is not an upload of Gradio's is dropped."""
        if not isinstance(payload, dict):
            return PhotoChoice()
        face = payload.get("face")
        face = face if isinstance(face, int) and not isinstance(face, bool) else None
        if payload.get("kind") == "upload":
            return PhotoChoice(upload=_uploaded_file(payload.get("path")), face=face)
        if payload.get("kind") == "example" and isinstance(payload.get("name"), str):
            return PhotoChoice(example=payload["name"], face=face)
        return PhotoChoice(face=face)


def _uploaded_file(path: object) -> Path | None:
    """The file if it lies in Gradio's upload folder; None for any other path."""
    if not isinstance(path, str):
        return None
    folder = Path(get_upload_folder()).resolve()
    file = Path(path).resolve()
    inside = folder in file.parents and "heads" not in file.relative_to(folder).parts[:1]
    return file if inside and file.is_file() else None


def ready_value(
    preview: str,
    boxes: list[tuple[float, float, float, float]] = (),
    face: int | None = None,
    *,
    note: str = "",
    error: str = "",
    several: bool = False,
) -> dict:
    """A readable photo.

    Args:
        preview: picture as a data URL: the whole photo, or the chosen face.
        boxes: faces to choose from by a click, corners in [0, 1] of the preview.
        face: the chosen face; None while there is none.
        note: a line below the picture.
        error: why the face that was clicked cannot be used.
        several: offer to choose another face.
    """
    return {
        "kind": "ready",
        "preview": preview,
        "boxes": [list(box) for box in boxes],
        "face": face,
        "note": note,
        "error": error,
        "several": several,
    }


def refused_value(error: str = "") -> dict:
    """No photo, and why the last one was refused."""
    return {"kind": "none", "error": error}
