"""From a click to the events on the page, with pipelines that follow a script."""

import threading

import numpy as np
import pytest

from id2head_core.errors import NoFaceError
from id2head_core.structures import Progress
from id2head_core.ui.generate import AGAIN, PHOTO_GONE, UNEXPECTED, run_head
from id2head_core.ui.shared_pipeline import SharedPipeline
from tests.ui.studio import ScriptedPipeline, head, held_photo, studio_of


@pytest.fixture
def run(files):
    """Run a pipeline for the visitor, or go on with a studio of an earlier run."""

    def start(pipeline, photo=None, seed=None):
        studio = pipeline if hasattr(pipeline, "turns") else studio_of(pipeline, files)
        if photo is not None:
            studio.files.visitor("visitor").photo = photo
        return run_head(studio, "visitor", seed=seed)

    return start


def test_events_become_updates_in_order(run, files):
    pipeline = ScriptedPipeline(
        Progress("face", 0, 1, "Reading", 9.0),
        Progress("fit", 1, 1, "Fitted", 5.0, image=np.zeros((8, 8, 3), np.uint8)),
        head(b"first"),
        head(b"last", final=True),
    )
    waiting, reading, fitted, first, last = run(pipeline, held_photo(face=2), seed=7)
    assert waiting.status["state"] == "waiting"
    assert reading.status | {"run": ""} == {
        "state": "running", "run": "", "stage": "face", "step": 0, "total": 1,
        "message": "Reading", "seconds_left": 9.0, "image": "",
    }  # fmt: skip
    assert fitted.status["image"].startswith("data:image/jpeg;base64,")
    assert first.head.read_bytes() == b"first" and not first.over
    assert last.head.read_bytes() == b"last" and last.over
    assert last.head != first.head  # a new name, or the browser would show the cached one
    assert last.status["state"] == "done"
    assert last.stored.state.read_bytes() == b"state of last"
    assert files.visitor("visitor").versions == [last.stored]
    ((photo, _, face, seed),) = pipeline.calls
    assert (photo, face, seed) == (b"the photo", 2, 7)


def test_work_folder_is_gone_afterwards(run):
    pipeline = ScriptedPipeline(head(b"x", final=True))
    list(run(pipeline, held_photo()))
    assert not pipeline.calls[0][1].exists()


def test_closing_cancels_the_pipeline_and_cleans_up(run):
    pipeline = ScriptedPipeline(*[head(b"x") for _ in range(9)])
    events = run(pipeline, held_photo())
    next(events)
    next(events)
    assert not pipeline.closed and pipeline.calls[0][1].exists()
    events.close()
    assert pipeline.closed and not pipeline.calls[0][1].exists()


def test_run_of_a_visitor_who_left_stops_and_leaves_nothing(run, files):
    pipeline = ScriptedPipeline(*[head(b"x") for _ in range(9)])
    events = run(pipeline, held_photo())
    next(events)
    next(events)
    files.close("visitor")
    assert list(events) == [] and pipeline.closed
    assert list(files.root.iterdir()) == []


def test_error_for_the_visitor_is_shown_as_it_is(run):
    *_, last = run(ScriptedPipeline(NoFaceError("No face. Try again.")), held_photo())
    assert last.over and last.status["state"] == "error"
    assert last.status["error"] == "No face. Try again."


def test_other_errors_are_logged_and_not_shown(run, caplog):
    *_, last = run(ScriptedPipeline(RuntimeError("/secret/path")), held_photo())
    assert last.over and last.status["error"] == UNEXPECTED
    assert "/secret/path" in caplog.text


def test_nothing_starts_without_a_photo(run):
    (only,) = run(ScriptedPipeline())
    assert only.over and "no photo" in only.status["error"]


def test_quick_steps_are_thinned_but_heads_and_the_end_are_not(run):
    steps = [Progress("fit", step, 500) for step in range(500)]
    pipeline = ScriptedPipeline(*steps, head(b"a"), head(b"b", final=True))
    updates = list(run(pipeline, held_photo()))
    assert len(updates) < 50
    assert [update.head is not None for update in updates[-2:]] == [True, True]


def test_same_photo_again_is_there_at_once_and_needs_no_photo(run, files):
    pipeline = ScriptedPipeline(head(b"x", final=True))
    studio = studio_of(pipeline, files)
    photo = held_photo(face=0)
    *_, first = run(studio, photo)
    assert photo.data is None, "the photo was not deleted"
    (again,) = run(studio)
    assert again.over and again.head.read_bytes() == b"x" and again.status["message"] == AGAIN
    assert again.head != first.head and len(pipeline.calls) == 1


@pytest.mark.parametrize("change", [{"data": b"other"}, {"face": 1}, {"seed": 3}])
def test_another_photo_face_or_seed_is_another_head(run, files, change):
    pipeline = ScriptedPipeline(head(b"x", final=True))
    studio = studio_of(pipeline, files)
    list(run(studio, held_photo(face=0)))
    seed = change.pop("seed", None)
    list(run(studio, held_photo(**({"face": 0} | change)), seed=seed))
    assert len(pipeline.calls) == 2


def test_other_settings_or_weights_are_another_head(tmp_path, monkeypatch):
    keys = []
    for number, content in enumerate((b"a", b"b")):
        (tmp_path / "manifest.json").write_bytes(content)
        monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
        for config in ("full", "preview"):
            pipeline = ScriptedPipeline()
            pipeline.config = config
            keys.append(SharedPipeline(lambda made=pipeline: made).key("photo"))
        assert len(set(keys)) == 2 * (number + 1)


def test_kept_photo_makes_another_head_and_a_deleted_one_says_so(run, files):
    studio = studio_of(ScriptedPipeline(head(b"x", final=True)), files)
    kept = held_photo(keep=True)
    list(run(studio, kept))
    assert kept.data == b"the photo"
    *_, last = run(studio, seed=5)
    assert last.status["state"] == "done"
    kept.keep = False
    list(run(studio))
    *_, last = run(studio, seed=6)
    assert last.status["error"] == PHOTO_GONE and kept.data is None


def test_photo_of_a_failed_run_is_still_there(run):
    photo = held_photo()
    list(run(ScriptedPipeline(NoFaceError("No face.")), photo))
    assert photo.data == b"the photo"


def test_pipeline_is_built_once_for_all_threads():
    built = []
    shared = SharedPipeline(lambda: built.append(1) or "pipeline")
    assert shared.state == "cold"
    threads = [threading.Thread(target=shared.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1] and shared.get() == "pipeline" and shared.state == "ready"


def test_failed_warm_up_is_tried_again(caplog):
    answers = iter([RuntimeError("weights missing"), "pipeline"])

    def build():
        assert shared.state == "loading"
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedPipeline(build)
    shared.warm_up().join()
    assert "weights missing" in caplog.text and shared.state == "failed"
    assert shared.get() == "pipeline" and shared.state == "ready"


def test_gpu_is_asked_for_where_the_host_lends_one(monkeypatch):
    asked = []

    class Spaces:
        @staticmethod
        def GPU(duration):  # noqa: N802
            return lambda function: asked.append((function.__name__, duration)) or function

    monkeypatch.setitem(__import__("sys").modules, "spaces", Spaces)
    SharedPipeline(lambda: None)
    assert [name for name, _ in asked] == ["_stream", "_edit"] and all(t > 60 for _, t in asked)
