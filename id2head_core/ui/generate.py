"""What happens between a visitor's click and the events on their page. No Gradio in here."""

import logging
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from ..errors import ID2HeadError, PhotoError
from ..render.contact_sheet import contact_sheet, render_views
from ..structures import HeadAsset, Progress
from .head_store import SHEET, HeadStore, StoredHead
from .run_status import progress_value
from .session_files import SessionFiles, Visitor
from .shared_pipeline import SharedPipeline
from .turns import Turns

log = logging.getLogger(__name__)

UNEXPECTED = (
    "Something went wrong on our side, and it has been logged. Try again, or try another photo."
)
"""Shown for every exception that is not meant for the visitor."""

READY = "Your head is ready. Move the sliders, turn it, change the light."
"""Shown after a run."""

AGAIN = "This head was made before, so it is here at once."
"""Shown for a head that was stored."""

LOADING = "The models are still loading; this takes a few seconds after a start."
"""Shown while nothing can be done yet."""

PHOTO_GONE = (
    "The photo was deleted when its head was finished. Choose it again; to make several heads of "
    "it, tick “Keep my photo” first."
)
"""Shown when a photo is needed that is no longer there."""

SHORTEST_PAUSE = 0.4
"""Seconds between two events that carry neither an image nor a head; quicker ones are dropped."""

SHEET_TILE = 160
"""Side of a picture on the contact sheet, pixels."""


@dataclass(frozen=True)
class Studio:
    """What all visitors share."""

    pipeline: SharedPipeline
    files: SessionFiles
    heads: HeadStore
    turns: Turns


@dataclass(frozen=True)
class Update:
    """What changes on the page.

    Attributes:
        status: value of RunStatus.
        head: .glb to show, or None for no change.
        over: the run has ended.
        stored: the finished head, at the end of a successful run.
    """

    status: dict
    head: Path | None = None
    over: bool = False
    stored: StoredHead | None = None


def run_head(studio: Studio, session: str, *, seed: int | None = None) -> Iterator[Update]:
    """Make a head of the visitor's photo and yield what to show.

    Closing the generator cancels the run. A head that this visitor has had already is shown at
    once. The photo is deleted when the head is finished, unless the visitor wants it kept.
    """
    visitor = studio.files.visitor(session)
    photo = visitor.photo

    def key() -> str:
        return studio.pipeline.key(photo.digest, photo.face, seed)

    def start(folder: Path) -> Iterator[Progress]:
        if photo.data is None:
            raise PhotoError(PHOTO_GONE)
        return studio.pipeline.stream(photo.data, folder, photo.face, seed)

    def finish(head: StoredHead) -> None:
        visitor.versions[:] = [head]
        photo.used = True
        if not photo.keep and photo.example is None:
            photo.data = None

    if photo is None:
        yield refusal("There is no photo. Choose one first.")
        return
    yield from follow_run(studio, session, visitor, key, start, finish, "From the photo")


def follow_run(
    studio: Studio,
    session: str,
    visitor: Visitor,
    key: Callable[[], str],
    start: Callable[[Path], Iterator[Progress]],
    finish: Callable[[StoredHead], None],
    label: str,
) -> Iterator[Update]:
    """Find the head with ``key``, or wait for a turn and follow the run that ``start`` begins."""
    run, folder = secrets.token_hex(4), studio.files.work_folder(session)
    try:
        if studio.pipeline.state != "ready":
            yield _waiting(run, LOADING)
        while studio.pipeline.state == "loading":
            time.sleep(0.5)
            yield _waiting(run, LOADING)
        head_name, shelf = key(), studio.files.private_folder(session)
        stored = studio.heads.find(shelf, head_name, label)
        if stored is not None:
            finish(stored)
            yield _finished(studio, session, run, stored, AGAIN)
            return
        with studio.turns.ticket() as ticket:
            yield _waiting(run, "Getting ready…")
            while not ticket.wait(1.0):
                yield _waiting(run, str(ticket))
            with closing(start(folder)) as events:
                for event in _paced(events):
                    if not studio.files.is_here(session, visitor):
                        return
                    ticket.expect(event.seconds_left)
                    if event.final:
                        _draw_sheet(event.asset, folder / SHEET)
                        studio.heads.touch(visitor.versions)
                        stored = studio.heads.put(shelf, head_name, folder, label)
                        ticket.finished = True
                        finish(stored)
                        yield _finished(studio, session, run, stored, READY, event)
                    else:
                        yield _step(studio, session, run, event)
    except ID2HeadError as error:
        yield refusal(str(error), run)
    except Exception:
        if studio.files.is_here(session, visitor):  # or its folder was deleted under the run
            log.exception("a run failed")
            yield refusal(UNEXPECTED, run)
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


def _step(studio: Studio, session: str, run: str, event: Progress) -> Update:
    """One event of the pipeline as a change of the page."""
    head = None
    if event.asset is not None and event.asset.path is not None:
        head = studio.files.publish_head(session, Path(event.asset.path))
    return Update(progress_value(run, event), head=head)


def _finished(
    studio: Studio,
    session: str,
    run: str,
    stored: StoredHead,
    text: str,
    event: Progress | None = None,
) -> Update:
    """A finished head, new with the run's last ``event`` or stored."""
    status = progress_value(run, event or Progress("asset", 1, 1))
    status |= {"state": "done", "message": text, "seconds_left": None}
    head = studio.files.publish_head(session, stored.glb, stored.sheet)
    return Update(status, head=head, over=True, stored=stored)


def _waiting(run: str, text: str) -> Update:
    return Update({"state": "waiting", "run": run, "message": text})


def refusal(text: str, run: str = "") -> Update:
    """A run that ends, or does not begin, with a sentence."""
    return Update({"state": "error", "run": run, "error": text}, over=True)


def _draw_sheet(asset: HeadAsset, path: Path) -> None:
    """Pictures of the head for browsers without WebGL; a head is shown without them if need be."""
    try:
        pictures = render_views(asset.geometry, asset.appearance, size=SHEET_TILE)
        sheet = contact_sheet(pictures, tile=SHEET_TILE)
        Image.fromarray(sheet).save(path, "JPEG", quality=85)
    except Exception:
        log.exception("a contact sheet could not be drawn")
