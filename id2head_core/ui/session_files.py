"""Files of one visitor: photos and heads, gone when the visitor leaves.

Photos lie in a folder that the server never hands out. Heads lie below Gradio's cache, the only
place from which it serves files, in a folder whose name cannot be guessed.
"""

import logging
import secrets
import shutil
import tempfile
import threading
import time
from pathlib import Path

from gradio.utils import get_upload_folder

log = logging.getLogger(__name__)

LIFETIME = 2 * 3600.0
"""Seconds without use after which a visitor's files are deleted even if the page stays open."""

KEPT_HEADS = 2
"""Heads kept per visitor: the one on screen and the one before, which may still be loading."""


HEAD_NAME = "id2head.glb"
"""Name under which a head is downloaded."""


class SessionFiles:
    """Folders by session; thread-safe."""

    def __init__(self):
        self._private = Path(tempfile.mkdtemp(prefix="id2head_photos_"))
        self._tokens: dict[str, tuple[str, float]] = {}  # session -> token, time of last use
        self._lock = threading.Lock()

    def _token(self, session: str) -> str:
        """Unguessable name of the session's folders; also removes what other visitors forgot."""
        now = time.monotonic()
        with self._lock:
            token = self._tokens.get(session, (secrets.token_hex(20), now))[0]
            self._tokens[session] = (token, now)
            stale = [name for name, (_, used) in self._tokens.items() if now - used > LIFETIME]
        for name in stale:
            self.close(name)
        return token

    def private_folder(self, session: str) -> Path:
        """Folder for photos and work files, never served."""
        folder = self._private / self._token(session)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def work_folder(self, session: str) -> Path:
        """A new empty folder for one run; the caller deletes it."""
        return Path(tempfile.mkdtemp(prefix="run_", dir=self.private_folder(session)))

    def keep_photo(self, session: str, source: Path, *, move: bool) -> Path:
        """Make ``source`` the visitor's photo, replacing an earlier one; ``move`` consumes it."""
        target = self.private_folder(session) / "photo"
        target.unlink(missing_ok=True)
        (shutil.move if move else shutil.copyfile)(source, target)
        return target

    def publish_head(self, session: str, glb: Path) -> Path:
        """Copy a head to a new place from which the visitor may fetch it; drops the oldest."""
        folder = Path(get_upload_folder()) / "heads" / self._token(session)
        folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for old in earlier[: max(0, len(earlier) + 1 - KEPT_HEADS)]:
            shutil.rmtree(old, ignore_errors=True)
        target = folder / secrets.token_hex(8) / HEAD_NAME
        target.parent.mkdir()
        shutil.copyfile(glb, target)
        return target

    def close(self, session: str) -> None:
        """Delete everything of a visitor."""
        with self._lock:
            token, _ = self._tokens.pop(session, ("", 0.0))
        if token:
            shutil.rmtree(self._private / token, ignore_errors=True)
            shutil.rmtree(Path(get_upload_folder()) / "heads" / token, ignore_errors=True)
            log.info("files of a visitor deleted")

    def close_all(self) -> None:
        """Delete everything of every visitor."""
        for session in list(self._tokens):
            self.close(session)
        shutil.rmtree(self._private, ignore_errors=True)
