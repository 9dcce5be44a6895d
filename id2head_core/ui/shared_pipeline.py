"""The one pipeline of the process: built in the background, shared by all visitors."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from .. import __version__, weights
from ..asset.posed_glb import write_posed_glb
from ..structures import Inspection, Progress
from .head_store import StoredHead, head_key

log = logging.getLogger(__name__)

INSPECTIONS = 2
"""Photos that are looked at at once."""

GPU_SECONDS = 120
"""Longest run on a machine that lends its GPU by the call."""


def on_gpu(function: Callable) -> Callable:
    """The function, with a GPU lent for each call where the host offers that."""
    try:
        import spaces
    except ImportError:
        return function
    return spaces.GPU(duration=GPU_SECONDS)(function)


class SharedPipeline:
    """Builds the pipeline once and hands out its operations."""

    def __init__(self, build: Callable[[], Any]):
        self._build = build
        self._pipeline: Any = None
        self._settings = ""
        self._building = False
        self._failed = False
        self._lock = threading.Lock()
        self._inspecting = threading.Semaphore(INSPECTIONS)
        self.stream = on_gpu(self._stream)
        self.edit = on_gpu(self._edit)

    def warm_up(self) -> threading.Thread:
        """Start to build in a daemon thread; a failure is logged and tried again on first use."""
        thread = threading.Thread(target=self._warm_up, name="warm-up", daemon=True)
        thread.start()
        return thread

    def _warm_up(self) -> None:
        started = time.perf_counter()
        try:
            self.get()
            log.info("pipeline ready after %.1f s", time.perf_counter() - started)
        except Exception:
            log.exception("the pipeline could not be built")

    def get(self) -> Any:
        """The pipeline; waits while it is being built."""
        with self._lock:
            if self._pipeline is None:
                self._building, self._failed = True, True
                try:
                    pipeline = self._build()
                    self._settings = _settings(pipeline)
                    self._pipeline, self._failed = pipeline, False
                finally:
                    self._building = False
            return self._pipeline

    @property
    def state(self) -> str:
        """``"ready"``, ``"loading"``, ``"failed"`` or ``"cold"`` (not begun); never waits."""
        if self._pipeline is not None:
            return "ready"
        if self._building:
            return "loading"
        return "failed" if self._failed else "cold"

    @property
    def can_edit(self) -> bool:
        """Whether text edits are there; not with the preview preset; never waits."""
        distils = getattr(self._pipeline, "distillation", True) is not None
        return hasattr(self._pipeline, "edit") and distils

    def pose(self, head: StoredHead, weights: dict[str, float], path: Path) -> Path:
        """Write one pose of a head without morph targets.

        ``HeadPipeline.blend`` evaluates the expression transformer at the blended code; where it or
        the head's state is missing, the morph targets are blended.
        """
        blend = getattr(self.get(), "blend", None)
        if blend is not None and head.state is not None:
            blend(head.state, weights, path=path)
            return path
        return write_posed_glb(head.glb, weights, path)

    def key(self, *parts: object) -> str:
        """Name of a head by what it is made from, this program, its settings and its weights."""
        self.get()
        return head_key(self._settings, *parts)

    def inspect(self, photo: bytes, face_index: int | None) -> Inspection:
        """Quick look at a photo; see ``HeadPipeline.inspect``."""
        pipeline = self.get()
        with self._inspecting:
            return pipeline.inspect(photo, face_index=face_index)

    def _stream(
        self, photo: bytes, folder: Path, face_index: int | None, seed: int | None
    ) -> Iterator[Progress]:
        yield from self.get().stream(photo, output_dir=folder, face_index=face_index, seed=seed)

    def _edit(
        self, state: Path, folder: Path, text: str, target: str, strength: float
    ) -> Iterator[Progress]:
        edit = self.get().edit
        yield from edit(state, text, target=target, strength=strength, output_dir=folder)


def _settings(pipeline: Any) -> str:
    """Everything besides the photo that a head depends on."""
    manifest = weights.weights_root() / weights.MANIFEST
    digest = weights.sha256(manifest) if manifest.is_file() else ""
    return repr((__version__, getattr(pipeline, "config", None), digest))
