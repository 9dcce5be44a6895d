"""The example photos: a portrait in the public domain and people who do not exist."""

from pathlib import Path

from ..errors import PhotoError
from ..identity.photo import decode
from .head_store import GLB, StoredHead
from .run_status import jpeg_data_url

FOLDER = Path(__file__).resolve().parents[2] / "weights" / "examples"
"""Where the example photos lie."""

HEADS = FOLDER
"""Holds one folder per ready head, written by ``training/bake_example_heads.py``."""

LABELS: dict[str, str] = {
    "person_1": "A generated person who does not exist",
    "astronaut": "Astronaut Eileen Collins (NASA portrait)",
    "person_2": "Another generated person",
    "person_3": "A third generated person",
}
"""Text of each example by file name."""


def example_path(name: str) -> Path:
    """File of an example; raises PhotoError for any other name."""
    path = FOLDER / f"{name}.jpg"
    if name not in LABELS or not path.is_file():
        raise PhotoError(f"There is no example photo '{name}'. Choose one of the pictures shown.")
    return path


def example_head(name: str) -> StoredHead | None:
    """The ready head of an example, or None; everybody may see it."""
    folder = HEADS / name
    if name not in LABELS or not (folder / GLB).is_file():
        return None
    return StoredHead(f"example {name}", folder, "From an example photo")


def example_heads() -> list[StoredHead]:
    """All ready heads; the first is shown before anything is uploaded."""
    return [head for name in LABELS if (head := example_head(name)) is not None]


def example_buttons() -> list[dict[str, str]]:
    """Name, label and thumbnail of every example that is installed."""
    found = [name for name in LABELS if (FOLDER / f"{name}.jpg").is_file()]
    return [
        {"name": name, "label": LABELS[name], "thumb": _thumbnail(FOLDER / f"{name}.jpg")}
        for name in found
    ]


def _thumbnail(path: Path) -> str:
    """The middle square of a photo as a small data URL."""
    pixels = decode(path).pixels  # [H, W, 3]
    height, width = pixels.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 4, (width - side) // 2  # faces are above the middle
    return jpeg_data_url(pixels[top : top + side, left : left + side], 112)
