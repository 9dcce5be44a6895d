"""What the server keeps of one visitor: a photo, heads and their history; gone when they leave.

Photos are kept in memory only. Work files and finished heads lie in a folder that the server never
hands out. The heads on screen are copied below Gradio's cache, the only place from which it serves
files, into a folder whose name cannot be guessed.
"""

import contextlib
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from gradio.utils import get_upload_folder

from .head_store import GLB, SHEET, StoredHead

log = logging.getLogger(__name__)

LIFETIME = 2 * 3600.0
"""Seconds without use after which everything of a visitor is deleted, even if the page is open."""

SWEEP_EVERY = 60.0
"""Seconds between two looks for forgotten visitors."""

KEPT_HEADS = 2
"""Heads served per visitor: the one on screen and the one before, which may still be loading."""


@dataclass
class HeldPhoto:
    """The visitor's photo.

    Attributes:
        data: the file's bytes; None once they have been deleted.
        digest: sha256 of the file.
        preview: the whole photo, small, as a data URL.
        size: width and height, pixels.
        boxes: faces to choose from, corners in [0, 1], left to right.
        face: number of the chosen face.
        example: name of the example that it is, or None.
        keep: the visitor wants it kept after its head is finished.
        used: its head is finished.
    """

    data: bytes | None
    digest: str
    preview: str
    size: tuple[int, int]
    boxes: list[tuple[float, float, float, float]] = field(default_factory=list)
    face: int | None = None
    example: str | None = None
    keep: bool = False
    used: bool = False


@dataclass
class Visitor:
    """One visitor; ``token`` names their folders and cannot be guessed.

    Attributes:
        used: monotonic time of the last use.
        arrivals: photos that came so far; tells a newer one from the one being looked at.
        photo: the one that heads are made from, or None.
        versions: the head and its edits, oldest first; the last is on screen.
        cookie: of the browser, the only one that may open this visitor's heads; see OwnFiles.
    """

    token: str
    used: float
    arrivals: int = 0
    photo: HeldPhoto | None = None
    versions: list[StoredHead] = field(default_factory=list)
    cookie: str | None = None


class SessionFiles:
    """Visitors by session; thread-safe."""

    def __init__(self):
        self._private = Path(tempfile.mkdtemp(prefix="id2head_private_"))
        self._visitors: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self.on_close: list[Callable[[str], None]] = []
        """Called with the session of everybody who leaves or is forgotten."""

    @property
    def root(self) -> Path:
        """Holds one private folder per visitor."""
        return self._private

    def visitor(self, session: str) -> Visitor:
        """What is kept of a visitor; also removes what other visitors forgot."""
        now = time.monotonic()
        with self._lock:
            visitor = self._visitors.setdefault(session, Visitor(secrets.token_hex(20), now))
            visitor.used = now
        self.sweep()
        return visitor

    def is_here(self, session: str, visitor: Visitor) -> bool:
        """Whether this visitor has neither left nor been forgotten."""
        with self._lock:
            return self._visitors.get(session) is visitor

    def owner(self, token: str) -> str | None:
        """Cookie of the visitor with this token, or None."""
        with self._lock:
            found = (one.cookie for one in self._visitors.values() if one.token == token)
            return next(found, None)

    def sweep(self) -> None:
        """Delete everything of visitors who were not seen for LIFETIME, and uploads nobody read."""
        now = time.monotonic()
        with self._lock:
            stale = [name for name, one in self._visitors.items() if now - one.used > LIFETIME]
        for name in stale:
            self.close(name)
        for upload in Path(get_upload_folder()).glob("*/photo"):  # the page names them so
            with contextlib.suppress(FileNotFoundError):
                if time.time() - upload.stat().st_mtime > LIFETIME:
                    upload.unlink()

    def sweep_regularly(self) -> None:
        """Sweep in the background from now on, also when nobody comes."""

        def work() -> None:
            while True:
                time.sleep(SWEEP_EVERY)
                self.sweep()

        threading.Thread(target=work, name="sweep", daemon=True).start()

    def private_folder(self, session: str) -> Path:
        """Folder for work files and finished heads, never served."""
        folder = self._private / self.visitor(session).token
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def work_folder(self, session: str) -> Path:
        """A new empty folder for one run; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="run_", dir=self.private_folder(session)))

    def publish_head(self, session: str, glb: Path, sheet: Path | None = None) -> Path:
        """Put a head, and pictures beside it, where only this visitor finds it; drops older ones.

        Returns:
            The served copy of ``glb``.
        """
        folder = Path(get_upload_folder()) / "heads" / self.visitor(session).token
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for old in earlier[: max(0, len(earlier) + 1 - KEPT_HEADS)]:
            shutil.rmtree(old, ignore_errors=True)
        target = folder / secrets.token_hex(8) / GLB
        target.parent.mkdir()
        if sheet is not None:
            shutil.copyfile(sheet, target.with_name(SHEET))
        unfinished = target.with_suffix(".part")
        shutil.copyfile(glb, unfinished)
        os.replace(unfinished, target)
        return target

    def close(self, session: str) -> None:
        """Delete everything of a visitor."""
        with self._lock:
            visitor = self._visitors.pop(session, None)
        if visitor is not None:
            shutil.rmtree(self._private / visitor.token, ignore_errors=True)
            shutil.rmtree(Path(get_upload_folder()) / "heads" / visitor.token, ignore_errors=True)
            log.info("everything of a visitor deleted")
        for forget in self.on_close:
            forget(session)

    def close_all(self) -> None:
        """Delete everything of every visitor."""
        for session in list(self._visitors):
            self.close(session)
        shutil.rmtree(self._private, ignore_errors=True)
