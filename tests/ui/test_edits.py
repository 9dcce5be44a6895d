"""Edits go on from the newest head, and undoing gives exactly the earlier files."""

import pytest

from id2head_core.ui.edits import LONGEST_HISTORY, run_edit, undo
from id2head_core.ui.generate import AGAIN, run_head
from tests.ui.studio import EditingPipeline, ScriptedPipeline, head, held_photo, studio_of


@pytest.fixture
def studio(files):
    """A studio whose visitor has a finished head."""
    studio = studio_of(EditingPipeline(head(b"made", final=True)), files)
    files.visitor("visitor").photo = held_photo()
    list(run_head(studio, "visitor"))
    return studio


def edit(studio, text, **options):
    *_, last = run_edit(studio, "visitor", text, **options)
    return last


def test_edits_build_on_each_other(studio):
    edit(studio, "blonde hair", target="texture")
    last = edit(studio, "  older \n person ", strength=0.5)
    assert last.status["state"] == "done"
    expected = b"state of made blonde hair texture 1.0 older person both 0.5"
    assert last.head.read_bytes() == expected
    labels = [version.label for version in studio.files.visitor("visitor").versions]
    assert labels == ["From the photo", "blonde hair", "older person"]


def test_every_status_of_an_edit_says_that_it_is_one(studio):
    assert all(update.status["edit"] for update in run_edit(studio, "visitor", "older"))
    assert not any("edit" in update.status for update in run_head(studio, "visitor"))


def test_undo_gives_the_earlier_files_again(studio):
    visitor = studio.files.visitor("visitor")
    first = visitor.versions[-1]
    before = first.glb.read_bytes(), first.state.read_bytes()
    second = edit(studio, "older").head.read_bytes()
    assert edit(studio, "blonde").status["state"] == "done"
    assert undo(studio, "visitor").read_bytes() == second
    assert undo(studio, "visitor").read_bytes() == before[0]
    assert visitor.versions == [first] and first.state.read_bytes() == before[1]
    assert undo(studio, "visitor") is None and visitor.versions == [first]


def test_same_edit_of_the_same_head_is_there_at_once(studio):
    edit(studio, "older")
    undo(studio, "visitor")
    assert edit(studio, "older").status["message"] == AGAIN
    assert edit(studio, "older").status["message"] != AGAIN  # of another head


def test_history_is_limited_and_stays_on_disk(studio):
    for number in range(LONGEST_HISTORY + 3):
        edit(studio, f"text {number}")
    versions = studio.files.visitor("visitor").versions
    assert len(versions) == LONGEST_HISTORY and all(one.glb.is_file() for one in versions)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": "  "}, "The text is empty"),
        ({"text": "x" * 201}, "has 201 characters"),
        ({"text": "older", "target": "mood"}, "Target 'mood' is unknown"),
        ({"text": "older", "strength": 9.0}, "Strength 9.0 is out of range"),
        ({"text": "older", "strength": float("nan")}, "out of range"),
    ],
)
def test_bad_edits_are_refused_with_the_remedy(studio, arguments, words):
    text = arguments.pop("text")
    last = edit(studio, text, **arguments)
    assert last.over and words in last.status["error"]
    assert len(studio.files.visitor("visitor").versions) == 1


def test_nothing_to_edit(files):
    studio = studio_of(EditingPipeline(), files)
    assert "Generate one first" in edit(studio, "older").status["error"]


def test_pipeline_without_edits_offers_none(files):
    assert studio_of(EditingPipeline(), files).pipeline.can_edit
    assert not studio_of(ScriptedPipeline(), files).pipeline.can_edit
    preview = EditingPipeline()
    preview.distillation = None
    assert not studio_of(preview, files).pipeline.can_edit


def test_pose_is_blended_exactly_where_the_pipeline_can(studio, tmp_path):
    def blend(state, weights, *, path):
        path.write_bytes(state.read_bytes() + repr(weights).encode())

    studio.pipeline.get().blend = blend
    version = studio.files.visitor("visitor").versions[-1]
    posed = studio.pipeline.pose(version, {"Grin": 0.5}, tmp_path / "posed.glb")
    assert posed.read_bytes() == b"state of made{'Grin': 0.5}"
