"""Finished heads on disk, so that the same photo with the same settings opens at once.

A head is a folder of three files. It appears under its final name only when it is complete, lies
in its visitor's private folder and goes with it.
"""

import hashlib
import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

GLB, STATE, SHEET = "id2head.glb", "head.npz", "contact_sheet.jpg"
"""Files of a head: what is shown, what edits go on from, pictures for browsers without WebGL."""

KEPT = 8
"""Heads kept per visitor."""

MAX_BYTES = 4 * 2**30
"""Most that the heads of all visitors may take on disk."""


@dataclass(frozen=True)
class StoredHead:
    """A finished head.

    Attributes:
        key: of what it was made from.
        folder: with the files GLB and, where they exist, STATE and SHEET.
        label: what it is, for the visitor.
    """

    key: str
    folder: Path
    label: str = ""

    @property
    def glb(self) -> Path:
        """The file that is shown and downloaded."""
        return self.folder / GLB

    @property
    def state(self) -> Path | None:
        """What an edit goes on from, or None."""
        return self._if_there(STATE)

    @property
    def sheet(self) -> Path | None:
        """Pictures of the head, or None."""
        return self._if_there(SHEET)

    def _if_there(self, name: str) -> Path | None:
        return self.folder / name if (self.folder / name).is_file() else None


def head_key(*parts: object) -> str:
    """Name of a head by everything that it was made from; bytes and texts are hashed."""
    digest = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else repr(part).encode()
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:40]


class HeadStore:
    """Heads of all visitors.

    Args:
        root: holds one private folder per visitor, with the heads in ``heads``.
    """

    def __init__(self, root: Path, max_bytes: int = MAX_BYTES, kept: int = KEPT):
        self._root, self._max_bytes, self._kept = root, max_bytes, kept

    def find(self, visitor: Path, key: str, label: str = "") -> StoredHead | None:
        """The visitor's head with this key; looking counts as use."""
        folder = visitor / "heads" / key
        if not (folder / GLB).is_file():
            return None
        os.utime(folder)
        return StoredHead(key, folder, label)

    def touch(self, heads: list[StoredHead]) -> None:
        """Count as use: these are needed for going back."""
        for head in heads:
            if head.folder.is_relative_to(self._root) and head.folder.is_dir():
                os.utime(head.folder)

    def put(self, visitor: Path, key: str, made: Path, label: str = "") -> StoredHead:
        """Take the files ``head.glb``, STATE and SHEET out of the folder of a finished run.

        Args:
            visitor: the visitor's private folder.
            key: of what the head was made from.
            made: the run's folder; its files are moved.
            label: see StoredHead.
        """
        shelf = visitor / "heads"
        shelf.mkdir(exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix="unfinished_", dir=shelf))
        try:
            shutil.move(made / "head.glb", unfinished / GLB)
            for name in (STATE, SHEET):
                if (made / name).is_file():
                    shutil.move(made / name, unfinished / name)
            if not (shelf / key).exists():
                os.rename(unfinished, shelf / key)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        os.utime(shelf / key)
        self._make_room(shelf, shelf / key)
        return StoredHead(key, shelf / key, label)

    def _make_room(self, shelf: Path, newest: Path) -> None:
        """Drop what was not used for longest: of this visitor, then of everybody."""
        own = sorted(_finished(shelf), key=_last_use)
        for folder in own[: max(0, len(own) - self._kept)]:
            shutil.rmtree(folder, ignore_errors=True)
        everything = [head for one in self._root.glob("*/heads") for head in _finished(one)]
        sizes = {folder: _bytes(folder) for folder in everything}
        total = sum(sizes.values())
        for folder in sorted(everything, key=_last_use):
            if total <= self._max_bytes:
                return
            if folder != newest:
                total -= sizes[folder]
                shutil.rmtree(folder, ignore_errors=True)
                log.warning("a stored head was deleted to make room")


def _finished(shelf: Path) -> list[Path]:
    return [folder for folder in shelf.iterdir() if not folder.name.startswith("unfinished_")]


def _last_use(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except FileNotFoundError:  # its visitor has just left
        return time.time()


def _bytes(folder: Path) -> int:
    try:
        return sum(file.stat().st_size for file in folder.iterdir())
    except FileNotFoundError:
        return 0
