import json

import pytest

from id2head_core import weights
from id2head_core.errors import WeightsError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A weights folder with one recorded file."""
    monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
    (tmp_path / "face").mkdir()
    (tmp_path / "face/a.bin").write_bytes(b"one")
    weights.add("face/a.bin", licence="CC0-1.0", origin="made up")
    return tmp_path


def test_all_shipped_files_are_as_listed(weights_dir):
    assert weights.check() == []
    entries = weights.read_manifest()
    assert len(entries) >= 10
    for entry in entries:
        assert entry["licence"] and entry["origin"], entry["file"]


def test_recognition_file_is_insightfaces():
    entry = next(e for e in weights.read_manifest() if e["file"] == "face/w600k_mbf.onnx")
    assert entry["sha256"].startswith("9cc6e4a75f0e2bf0b1aed94578f144d15175f357")


def test_path_of_an_unaltered_file(folder):
    assert weights.path("face/a.bin").read_bytes() == b"one"


def test_missing_file_names_the_remedy(monkeypatch):
    monkeypatch.delenv("ID2HEAD_WEIGHTS", raising=False)
    entry = {"file": "face/gone.bin", "bytes": 1, "sha256": "", "licence": "", "origin": ""}
    monkeypatch.setattr(weights, "read_manifest", lambda: [entry])
    with pytest.raises(
        WeightsError, match=r"weights/face/gone\.bin is missing\. .*git checkout -- weights/face/g"
    ):
        weights.path("face/gone.bin")


def test_size_and_content_are_checked_even_after_a_good_read(folder):
    file = folder / "face/a.bin"
    weights.path("face/a.bin")
    file.write_bytes(b"longer")
    with pytest.raises(WeightsError, match="has 6 bytes instead of 3. Copy weights/face/a.bin"):
        weights.path("face/a.bin")
    file.write_bytes(b"two")
    with pytest.raises(WeightsError, match="altered: its sha256 starts with"):
        weights.path("face/a.bin")


def test_unlisted_file(folder):
    (folder / "face/new.bin").write_bytes(b"x")
    with pytest.raises(WeightsError, match="not listed in weights/manifest.json. Record it"):
        weights.path("face/new.bin")
    assert weights.check() == ["weights/face/new.bin is not listed in manifest.json."]


def test_update_and_add_keep_the_texts(folder):
    (folder / "face/a.bin").write_bytes(b"three")
    assert weights.main(["--update"]) == 0
    (entry,) = json.loads((folder / "manifest.json").read_text())["files"]
    assert (entry["bytes"], entry["licence"], entry["origin"]) == (5, "CC0-1.0", "made up")
    assert weights.path("face/a.bin").name == "a.bin"


def test_licence_is_required(folder):
    (folder / "b.bin").write_bytes(b"b")
    assert weights.main(["--add", "b.bin"]) == 0
    assert weights.main([]) == 1
    assert weights.check() == ["weights/b.bin has no licence or origin in manifest.json."]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"files": 1'])
def test_damaged_manifest(folder, content):
    (folder / "manifest.json").write_text(content)
    with pytest.raises(WeightsError, match="manifest.json cannot be read"):
        weights.path("face/a.bin")
    (folder / "manifest.json").unlink()
    with pytest.raises(WeightsError, match="manifest.json is missing"):
        weights.path("face/a.bin")
