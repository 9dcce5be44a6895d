"""What happens between a visitor's click and the events on their page. No Gradio in here."""

import logging
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ID2HeadError, SeveralFacesError
from ..structures import Progress
from .run_status import progress_value
from .session_files import SessionFiles

log = logging.getLogger(__name__)

UNEXPECTED = (
    "Something went wrong on our side, and it has been logged. Try again, or try another photo."
)
"""Shown for every exception that is not meant for the visitor."""

CHOOSE = "Click the face that you want."
"""Added to the error of a photo with several faces."""

SHORTEST_PAUSE = 0.2
"""Seconds between two events that carry neither an image nor a head; quicker ones are dropped."""


class SharedPipeline:
    """Builds the pipeline once, in the background, and shares it between visitors."""

    def __init__(self, build: Callable[[], Any]):
        self._build = build
        self._pipeline: Any = None
        self._lock = threading.Lock()

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
                self._pipeline = self._build()
            return self._pipeline


@dataclass(frozen=True)
class Update:
    """What changes on the page.

    Attributes:
        status: value of RunStatus.
        head: .glb to show, or None for no change.
        boxes: faces to choose from, photo pixels, or None for no change.
        over: the run has ended.
    """

    status: dict
    head: Path | None = None
    boxes: list[tuple[float, float, float, float]] | None = None
    over: bool = False


def run_head(
    pipeline: SharedPipeline, files: SessionFiles, session: str, photo: Path, face: int | None
) -> Iterator[Update]:
    """Make one head and yield what to show; closing the generator cancels the run.

    Args:
        pipeline: its ``stream`` yields the events.
        files: where the heads are put.
        session: the visitor.
        photo: the photo's file.
        face: which face, counted from the left, or None.
    """
    run, folder = secrets.token_hex(4), files.work_folder(session)
    yield Update({"state": "waiting", "run": run, "message": "Getting ready…"})
    try:
        ready = pipeline.get()
        events = ready.stream(photo.read_bytes(), output_dir=folder, face_index=face)
        with closing(events):
            for event in _paced(events):
                yield _update(run, event, files, session)
    except SeveralFacesError as error:
        status = {"state": "idle", "run": run, "message": f"{error} {CHOOSE}"}
        yield Update(status, boxes=list(error.boxes), over=True)
    except ID2HeadError as error:
        yield Update({"state": "error", "run": run, "error": str(error)}, over=True)
    except Exception:
        log.exception("a run failed")
        yield Update({"state": "error", "run": run, "error": UNEXPECTED}, over=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _paced(events: Iterator[Progress]) -> Iterator[Progress]:
    """Drop events that only count steps where they come too quickly for the page."""
    last = -SHORTEST_PAUSE
    for event in events:
        now = time.monotonic()
        plain = event.image is None and event.asset is None and not event.final
        if plain and event.step and now - last < SHORTEST_PAUSE:
            continue
        last = now
        yield event


def _update(run: str, event: Progress, files: SessionFiles, session: str) -> Update:
    """One event of the pipeline as a change of the page."""
    status = progress_value(run, event)
    head = None
    if event.asset is not None and event.asset.path is not None:
        head = files.publish_head(session, Path(event.asset.path))
    if event.final:
        text = "Your head is ready. Move the sliders, turn it, change the light."
        status |= {"state": "done", "message": text, "seconds_left": None}
    return Update(status, head=head, over=event.final)
