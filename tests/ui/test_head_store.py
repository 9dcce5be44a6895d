import os

import pytest

from id2head_core.ui.head_store import GLB, HeadStore, head_key


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def finish(root, tmp_path):
    """Put a head into a store: finish(store, visitor, key) -> StoredHead."""

    def work(store, visitor, key, content=b"glTF"):
        made = tmp_path / "run"
        made.mkdir(exist_ok=True)
        (made / "head.glb").write_bytes(content)
        (made / "contact_sheet.jpg").write_bytes(b"jpeg")
        (root / visitor).mkdir(exist_ok=True)
        head = store.put(root / visitor, key, made, "label")
        os.utime(head.folder, (work.clock, work.clock))
        work.clock += 1
        return head

    work.clock = 1000
    return work


def test_head_is_found_by_its_visitor_only(root, finish):
    store = HeadStore(root)
    finish(store, "a", "k")
    found = store.find(root / "a", "k")
    assert found.glb.read_bytes() == b"glTF" and found.sheet.read_bytes() == b"jpeg"
    assert found.state is None
    assert store.find(root / "a", "other") is None and store.find(root / "b", "k") is None


def test_unfinished_head_is_not_found(root, finish, monkeypatch):
    store = HeadStore(root)
    monkeypatch.setattr(os, "rename", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        finish(store, "a", "k")
    assert store.find(root / "a", "k") is None and list((root / "a" / "heads").iterdir()) == []


def test_same_head_twice_keeps_the_first(root, finish):
    store = HeadStore(root)
    finish(store, "a", "k", b"first")
    assert finish(store, "a", "k", b"second").glb.read_bytes() == b"first"
    assert [folder.name for folder in (root / "a" / "heads").iterdir()] == ["k"]


def test_least_used_heads_of_a_visitor_go_first(root, finish):
    store = HeadStore(root, kept=2)
    first, second = finish(store, "a", "1"), finish(store, "a", "2")
    os.utime(first.folder, (5000, 5000))
    finish(store, "b", "3")
    third = finish(store, "a", "4")
    assert [one.glb.exists() for one in (first, second, third)] == [True, False, True]
    assert store.find(root / "b", "3")


def test_disk_is_limited_over_all_visitors(root, finish):
    store = HeadStore(root, max_bytes=250)
    heads = [finish(store, name, "k", bytes(100)) for name in "abc"]
    assert [head.glb.exists() for head in heads] == [False, True, True]
    huge = finish(store, "d", "k", bytes(900))
    assert huge.glb.exists() and not heads[2].glb.exists()


def test_keys_do_not_mix_their_parts_up():
    keys = [head_key("ab", "c"), head_key("a", "bc"), head_key("a", "b", "c"), head_key(b"ab", "c")]
    assert len(set(keys)) == 4 and head_key("ab", "c") == keys[0]
    assert GLB == "id2head.glb"  # the name of the download
