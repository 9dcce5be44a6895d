import pytest

from id2head_core.ui import session_files
from id2head_core.ui.session_files import KEPT_HEADS, SessionFiles


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return SessionFiles()


@pytest.fixture
def glb(tmp_path):
    path = tmp_path / "made.glb"
    path.write_bytes(b"glTF")
    return path


def test_visitors_do_not_share_folders(files, glb):
    assert files.private_folder("a") != files.private_folder("b")
    assert files.private_folder("a") == files.private_folder("a")
    first, second = files.publish_head("a", glb), files.publish_head("b", glb)
    assert first.parents[1] != second.parents[1]


def test_photo_is_never_below_the_served_folder(files, glb, tmp_path):
    photo = files.keep_photo("a", glb, move=False)
    assert tmp_path / "cache" not in photo.parents
    assert files.publish_head("a", glb).is_relative_to(tmp_path / "cache")


def test_moving_a_photo_consumes_the_upload_and_replaces_the_last_one(files, glb, tmp_path):
    files.keep_photo("a", glb, move=False)
    assert glb.exists()
    upload = tmp_path / "upload"
    upload.write_bytes(b"second")
    kept = files.keep_photo("a", upload, move=True)
    assert not upload.exists() and kept.read_bytes() == b"second"
    assert len(list(files.private_folder("a").iterdir())) == 1


def test_only_the_newest_heads_are_kept(files, glb):
    heads = [files.publish_head("a", glb) for _ in range(KEPT_HEADS + 3)]
    assert [head.exists() for head in heads] == [False] * 3 + [True] * KEPT_HEADS
    assert len(set(heads)) == len(heads)


def test_leaving_deletes_everything_of_this_visitor_only(files, glb):
    mine, theirs = files.publish_head("a", glb), files.publish_head("b", glb)
    folder = files.private_folder("a")
    files.close("a")
    files.close("never came")
    assert not mine.exists() and not folder.exists()
    assert theirs.exists()


def test_forgotten_visitors_are_swept(files, glb, monkeypatch):
    forgotten = files.publish_head("a", glb)
    now = session_files.time.monotonic()
    monkeypatch.setattr(session_files.time, "monotonic", lambda: now + session_files.LIFETIME + 1)
    files.private_folder("b")
    assert not forgotten.exists()


def test_end_of_the_server_deletes_all(files, glb):
    heads = [files.publish_head(name, glb) for name in "abc"]
    folder = files.private_folder("a")
    files.close_all()
    assert not any(head.exists() for head in heads) and not folder.exists()
