import os

import pytest

from id2head_core.ui import session_files
from id2head_core.ui.session_files import KEPT_HEADS


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


def test_names_cannot_be_guessed(files, glb):
    heads = [files.publish_head(f"{i}", glb) for i in range(50)]
    assert len({head.parents[1].name for head in heads}) == 50
    assert all(len(head.parents[1].name) == 40 for head in heads)  # 160 bits


def test_only_heads_on_screen_are_below_the_served_folder(files, glb, cache):
    assert cache not in files.private_folder("a").parents
    assert files.publish_head("a", glb).is_relative_to(cache)


def test_pictures_lie_beside_the_head(files, glb, tmp_path):
    (tmp_path / "sheet").write_bytes(b"jpeg")
    head = files.publish_head("a", glb, tmp_path / "sheet")
    assert head.with_name("contact_sheet.jpg").read_bytes() == b"jpeg"
    alone = files.publish_head("a", glb)
    assert [file.name for file in alone.parent.iterdir()] == ["id2head.glb"]


def test_only_the_newest_heads_are_kept(files, glb):
    heads = [files.publish_head("a", glb) for _ in range(KEPT_HEADS + 3)]
    assert [head.exists() for head in heads] == [False] * 3 + [True] * KEPT_HEADS
    assert len(set(heads)) == len(heads)


def test_leaving_deletes_everything_of_this_visitor_only(files, glb):
    mine, theirs = files.publish_head("a", glb), files.publish_head("b", glb)
    folder, visitor = files.private_folder("a"), files.visitor("a")
    left = []
    files.on_close.append(left.append)
    files.close("a")
    files.close("never came")
    assert not mine.exists() and not folder.exists() and not files.is_here("a", visitor)
    assert theirs.exists() and left == ["a", "never came"]


def test_forgotten_visitors_are_swept(files, glb, monkeypatch):
    forgotten = files.publish_head("a", glb)
    now = session_files.time.monotonic()
    monkeypatch.setattr(session_files.time, "monotonic", lambda: now + session_files.LIFETIME - 1)
    files.visitor("b")
    assert forgotten.exists()
    monkeypatch.setattr(session_files.time, "monotonic", lambda: now + session_files.LIFETIME + 1)
    files.sweep()
    assert not forgotten.exists() and files.private_folder("b").exists()


def test_sweeping_needs_no_visitor(files, monkeypatch):
    folder = files.private_folder("a")
    monkeypatch.setattr(session_files, "LIFETIME", -1.0)
    monkeypatch.setattr(session_files, "SWEEP_EVERY", 0.02)
    files.sweep_regularly()
    deadline = session_files.time.monotonic() + 10
    while folder.exists() and session_files.time.monotonic() < deadline:
        session_files.time.sleep(0.02)
    assert not folder.exists()


def test_uploads_that_nobody_read_are_swept(files, cache):
    old, new = cache / "abc" / "photo", cache / "def" / "photo"
    new.parent.mkdir()
    for file in (old, new):
        file.write_bytes(b"x")
    os.utime(old, (0, 0))
    files.sweep()
    assert not old.exists() and new.exists()


def test_end_of_the_server_deletes_all(files, glb):
    heads = [files.publish_head(name, glb) for name in "abc"]
    folder = files.private_folder("a")
    files.close_all()
    assert not any(head.exists() for head in heads) and not folder.exists()
