"""A photo comes in: is there a usable face, and is it the visitor? Before anything is queued."""

import hashlib
import logging
import time
from collections.abc import Iterator

from ..errors import ID2HeadError, PhotoError, SeveralFacesError
from ..identity.photo import decode
from ..structures import Inspection
from .examples import example_path
from .generate import LOADING, PHOTO_GONE, UNEXPECTED, Studio
from .photo_input import PhotoChoice, ready_value, refused_value
from .run_status import jpeg_data_url
from .session_files import HeldPhoto, Visitor

log = logging.getLogger(__name__)

LOOKING = "Looking for the face…"
IS_THIS_YOU = "Is this you? Then generate your head."
WHICH = "Which one is you? Click a face."
FOUND_EXAMPLE = "This face will become a head."


def take_in(studio: Studio, session: str, choice: PhotoChoice) -> Iterator[dict]:
    """Read a photo, look for its face, and yield values of the PhotoInput.

    The file is deleted at once; its bytes stay in memory with the visitor. A photo that comes
    while this one is looked at ends it silently.
    """
    visitor = studio.files.visitor(session)
    visitor.arrivals += 1
    mine, visitor.photo = visitor.arrivals, None
    try:
        photo = read_photo(choice)
        visitor.photo = photo
        yield ready_value(photo.preview, note=LOOKING)
        if studio.pipeline.state != "ready":
            yield ready_value(photo.preview, note=LOADING)
        while studio.pipeline.state == "loading":
            time.sleep(0.3)
            yield ready_value(photo.preview, note=LOADING)
        value = _look(studio, photo, None)
    except ID2HeadError as error:
        value = refused_value(str(error))
    except Exception:
        log.exception("a photo could not be taken in")
        value = refused_value(UNEXPECTED)
    if visitor.arrivals == mine:
        if value["kind"] == "none":
            visitor.photo = None
        yield value


def choose_face(studio: Studio, session: str, face: int | None) -> dict:
    """The visitor clicked a face of their photo, or (None) wants to choose another one."""
    photo = studio.files.visitor(session).photo
    if photo is None:
        return refused_value("The photo is gone. Choose it again.")
    photo.face = None
    if face is None:
        return ready_value(photo.preview, photo.boxes, note=WHICH)
    try:
        if photo.data is None:
            raise PhotoError(PHOTO_GONE)
        return _look(studio, photo, face)
    except ID2HeadError as error:
        return ready_value(photo.preview, photo.boxes, note=WHICH, error=str(error))
    except Exception:
        log.exception("a face could not be chosen")
        return ready_value(photo.preview, photo.boxes, note=WHICH, error=UNEXPECTED)


def keep_photo(visitor: Visitor, wanted: bool) -> None:
    """The visitor wants their photo kept after its head is finished, or no longer."""
    photo = visitor.photo
    if photo is not None:
        photo.keep = wanted
        if photo.used and not wanted:
            photo.data = None


def forget_photo(visitor: Visitor) -> None:
    """Delete the visitor's photo; one that is being looked at too."""
    visitor.arrivals += 1
    visitor.photo = None


def read_photo(choice: PhotoChoice) -> HeldPhoto:
    """Bytes and preview of what the visitor sent; an upload's file is deleted."""
    if choice.example is not None:
        data = example_path(choice.example).read_bytes()
    elif choice.upload is not None:
        try:
            data = choice.upload.read_bytes()
        finally:
            choice.upload.unlink(missing_ok=True)
    else:
        raise PhotoError("The photo did not arrive. Choose it again.")
    decoded = decode(data)
    return HeldPhoto(
        data=data,
        digest=hashlib.sha256(data).hexdigest(),
        preview=jpeg_data_url(decoded.pixels, 640),
        size=decoded.size,
        example=choice.example,
    )


def _look(studio: Studio, photo: HeldPhoto, face: int | None) -> dict:
    """Inspect and remember the face; several faces are a question, not an error."""
    try:
        found: Inspection = studio.pipeline.inspect(photo.data, face)
    except SeveralFacesError as several:
        photo.boxes = _relative(several.boxes, photo.size)
        return ready_value(photo.preview, photo.boxes, note=WHICH)
    photo.face, photo.boxes = found.index, _relative(found.boxes, photo.size)
    crop = jpeg_data_url(found.preview, 384)
    note = IS_THIS_YOU if photo.example is None else FOUND_EXAMPLE
    return ready_value(crop, [], face=found.index, note=note, several=len(photo.boxes) > 1)


def _relative(boxes: list, size: tuple[int, int]) -> list[tuple[float, float, float, float]]:
    """Corners in pixels to corners in [0, 1]."""
    scale = (*size, *size)
    return [
        tuple(min(1.0, max(0.0, float(c) / s)) for c, s in zip(box, scale, strict=True))
        for box in boxes
    ]
