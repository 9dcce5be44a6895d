"""A photo comes in: what the page shows, and what the server keeps."""

import base64
import io
import threading

import numpy as np
import pytest
from PIL import Image

from id2head_core.errors import FaceProfileError, NoFaceError, SeveralFacesError
from id2head_core.structures import Inspection
from id2head_core.ui.generate import LOADING, PHOTO_GONE, Studio
from id2head_core.ui.head_store import HeadStore
from id2head_core.ui.intake import (
    FOUND_EXAMPLE,
    IS_THIS_YOU,
    LOOKING,
    WHICH,
    choose_face,
    forget_photo,
    keep_photo,
    take_in,
)
from id2head_core.ui.photo_input import PhotoChoice
from id2head_core.ui.shared_pipeline import SharedPipeline
from id2head_core.ui.turns import Turns
from tests.ui.studio import ScriptedPipeline, studio_of

CROP = np.full((40, 40, 3), 200, np.uint8)
ALONE = Inspection(0, [(300.0, 200.0, 900.0, 600.0)], CROP)
TWO = [(0.0, 0.0, 600.0, 400.0), (600.0, 400.0, 1300.0, 800.0)]


@pytest.fixture
def upload(cache):
    path = cache / "abc" / "photo"
    Image.new("RGB", (1200, 800), (200, 30, 30)).save(path, "JPEG")
    return path


def values(pipeline, files, choice):
    studio = studio_of(pipeline, files)
    return studio, list(take_in(studio, "a", choice))


def size(data_url):
    return Image.open(io.BytesIO(base64.b64decode(data_url.split(",")[1]))).size


def test_face_is_shown_and_the_file_is_gone(files, upload):
    studio, (looking, found) = values(
        ScriptedPipeline(inspection=ALONE), files, PhotoChoice(upload)
    )
    assert looking["note"] == LOOKING and looking["face"] is None
    assert size(looking["preview"]) == (640, 427)
    assert found["note"] == IS_THIS_YOU and found["face"] == 0 and not found["several"]
    assert size(found["preview"]) == (40, 40) and found["boxes"] == []
    photo = files.visitor("a").photo
    assert photo.size == (1200, 800) and photo.face == 0 and photo.data[:2] == b"\xff\xd8"
    assert not upload.exists() and list(files.root.iterdir()) == []


@pytest.mark.parametrize("answer", [NoFaceError("No face. Use another."), RuntimeError("/secret")])
def test_refused_photo_is_not_kept(files, upload, answer):
    _, (_, refused) = values(ScriptedPipeline(inspection=answer), files, PhotoChoice(upload))
    assert refused["kind"] == "none" and "secret" not in refused["error"]
    assert isinstance(answer, RuntimeError) or refused["error"] == "No face. Use another."
    assert files.visitor("a").photo is None and not upload.exists()


def test_broken_upload_is_refused_with_the_reason(files, upload):
    upload.write_bytes(b"%PDF-1.4 not a photo")
    _, (refused,) = values(ScriptedPipeline(), files, PhotoChoice(upload))
    assert "PDF" in refused["error"]
    assert files.visitor("a").photo is None and not upload.exists()


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        (PhotoChoice(), "did not arrive"),
        (PhotoChoice(example="../../weights"), "There is no example photo"),
    ],
)
def test_choice_without_a_photo_is_refused(files, choice, sentence):
    _, (refused,) = values(ScriptedPipeline(), files, choice)
    assert refused["kind"] == "none" and sentence in refused["error"]


def test_example_is_nobody_who_could_be_asked(files):
    _, (_, found) = values(
        ScriptedPipeline(inspection=ALONE), files, PhotoChoice(example="person_1")
    )
    assert found["note"] == FOUND_EXAMPLE


def test_several_faces_are_a_question(files, upload):
    pipeline = ScriptedPipeline(inspection=SeveralFacesError("Two faces.", TWO))
    studio, (_, asked) = values(pipeline, files, PhotoChoice(upload))
    assert asked["note"] == WHICH and asked["face"] is None and not asked["error"]
    assert asked["boxes"] == [[0.0, 0.0, 0.5, 0.5], [0.5, 0.5, 1.0, 1.0]]  # inside the picture
    pipeline.inspection = Inspection(1, TWO, CROP)
    chosen = choose_face(studio, "a", 1)
    assert chosen["face"] == 1 and chosen["several"] and chosen["boxes"] == []
    assert pipeline.calls[-1][2] == 1 and files.visitor("a").photo.face == 1
    again = choose_face(studio, "a", None)
    assert again["boxes"] == asked["boxes"] and files.visitor("a").photo.face is None
    pipeline.inspection = FaceProfileError("From the side.")
    refused = choose_face(studio, "a", 0)
    assert refused["error"] == "From the side." and refused["boxes"] == asked["boxes"]


def test_newer_photo_silences_the_one_before(files, upload):
    studio = studio_of(ScriptedPipeline(inspection=ALONE), files)
    first = take_in(studio, "a", PhotoChoice(upload))
    next(first)
    list(take_in(studio, "a", PhotoChoice(example="person_1")))
    assert list(first) == []
    assert files.visitor("a").photo.example == "person_1"


def test_removed_photo_is_forgotten(files, upload):
    studio = studio_of(ScriptedPipeline(inspection=ALONE), files)
    looking = take_in(studio, "a", PhotoChoice(upload))
    next(looking)
    forget_photo(files.visitor("a"))
    assert list(looking) == [] and files.visitor("a").photo is None
    assert "gone" in choose_face(studio, "a", 0)["error"]


def test_photo_is_kept_only_as_long_as_it_is_wanted(files, upload):
    studio, _ = values(ScriptedPipeline(inspection=ALONE), files, PhotoChoice(upload))
    visitor = files.visitor("a")
    keep_photo(visitor, True)
    visitor.photo.used = True
    assert visitor.photo.data is not None
    keep_photo(visitor, False)
    assert visitor.photo.data is None
    assert choose_face(studio, "a", 0)["error"] == PHOTO_GONE


def test_visitors_are_told_while_the_models_load(files, upload):
    loaded = threading.Event()
    pipeline = SharedPipeline(lambda: loaded.wait(10) and ScriptedPipeline(inspection=ALONE))
    pipeline.warm_up()
    studio = Studio(pipeline, files, HeadStore(files.root), Turns(1))
    events = take_in(studio, "a", PhotoChoice(upload))
    assert [next(events)["note"] for _ in range(3)] == [LOOKING, LOADING, LOADING]
    loaded.set()
    assert list(events)[-1]["note"] == IS_THIS_YOU
