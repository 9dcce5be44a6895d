import threading

import numpy as np
import pytest

from id2head_core.errors import NoFaceError, SeveralFacesError
from id2head_core.structures import HeadAppearance, HeadAsset, HeadGeometry, Progress
from id2head_core.ui.generate import UNEXPECTED, SharedPipeline, run_head
from id2head_core.ui.session_files import SessionFiles


class ScriptedPipeline:
    """Yields the given events, or raises those that are exceptions; writes the .glb of heads."""

    def __init__(self, *script):
        self.script = script
        self.closed = False
        self.calls = []

    def stream(self, photo, *, output_dir, face_index=None, seed=None):
        self.calls.append((photo, output_dir, face_index))
        try:
            for entry in self.script:
                if isinstance(entry, Exception):
                    raise entry
                if entry.asset is not None:
                    (output_dir / "head.glb").write_bytes(entry.asset.metadata["bytes"])
                    asset = HeadAsset(*PARTS, path=output_dir / "head.glb")
                    entry = Progress(
                        entry.stage, entry.step, entry.total, asset=asset, final=entry.final
                    )
                yield entry
        finally:
            self.closed = True


PARTS = (HeadGeometry(()), HeadAppearance({}))


def head(content: bytes, *, final: bool = False) -> Progress:
    return Progress("asset", 1, 1, asset=HeadAsset(*PARTS, {"bytes": content}), final=final)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return SessionFiles()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo"
    path.write_bytes(b"the photo")
    return path


def run(pipeline, files, photo, face=None):
    return run_head(SharedPipeline(lambda: pipeline), files, "visitor", photo, face)


def test_events_become_updates_in_order(files, photo):
    pipeline = ScriptedPipeline(
        Progress("face", 0, 1, "Reading", 9.0),
        Progress("fit", 1, 1, "Fitted", 5.0, image=np.zeros((8, 8, 3), np.uint8)),
        head(b"first"),
        head(b"last", final=True),
    )
    waiting, reading, fitted, first, last = run(pipeline, files, photo, face=2)
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
    assert pipeline.calls[0][0] == b"the photo" and pipeline.calls[0][2] == 2


def test_work_folder_is_gone_afterwards(files, photo):
    pipeline = ScriptedPipeline(head(b"x", final=True))
    list(run(pipeline, files, photo))
    assert not pipeline.calls[0][1].exists()


def test_closing_cancels_the_pipeline_and_cleans_up(files, photo):
    pipeline = ScriptedPipeline(*[head(b"x") for _ in range(9)])
    events = run(pipeline, files, photo)
    next(events)
    next(events)
    assert not pipeline.closed and pipeline.calls[0][1].exists()
    events.close()
    assert pipeline.closed and not pipeline.calls[0][1].exists()


def test_error_for_the_visitor_is_shown_as_it_is(files, photo):
    *_, last = run(ScriptedPipeline(NoFaceError("No face. Try again.")), files, photo)
    assert last.over and last.status["state"] == "error"
    assert last.status["error"] == "No face. Try again."


def test_other_errors_are_logged_and_not_shown(files, photo, caplog):
    *_, last = run(ScriptedPipeline(RuntimeError("/secret/path")), files, photo)
    assert last.over and last.status["error"] == UNEXPECTED
    assert "/secret/path" in caplog.text


def test_several_faces_come_with_their_boxes(files, photo):
    boxes = [(1.0, 2.0, 3.0, 4.0), (5.0, 6.0, 7.0, 8.0)]
    *_, last = run(ScriptedPipeline(SeveralFacesError("Two faces.", boxes)), files, photo)
    assert last.over and last.boxes == boxes
    assert last.status["message"].startswith("Two faces. Click")


def test_quick_steps_are_thinned_but_heads_and_the_end_are_not(files, photo):
    steps = [Progress("fit", step, 500) for step in range(500)]
    updates = list(run(ScriptedPipeline(*steps, head(b"a"), head(b"b", final=True)), files, photo))
    assert len(updates) < 50
    assert [update.head is not None for update in updates[-2:]] == [True, True]


def test_pipeline_is_built_once_for_all_threads():
    built = []
    shared = SharedPipeline(lambda: built.append(1) or "pipeline")
    threads = [threading.Thread(target=shared.get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == [1] and shared.get() == "pipeline"


def test_failed_warm_up_is_tried_again(caplog):
    answers = iter([RuntimeError("weights missing"), "pipeline"])

    def build():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = SharedPipeline(build)
    shared.warm_up().join()
    assert "weights missing" in caplog.text
    assert shared.get() == "pipeline"
