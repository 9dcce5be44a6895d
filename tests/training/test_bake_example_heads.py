"""The bake with a pipeline without weights, and the heads that are shipped."""

import json

import numpy as np
import pygltflib
import pytest
from PIL import Image

from id2head_core import weights
from id2head_core.asset.gltf import write_glb
from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import HeadAsset, Progress
from id2head_core.training.bake_example_heads import main
from id2head_core.ui.examples import example_heads
from tests.synthetic_head import synthetic_head


class Stub:
    def stream(self, photo, *, output_dir):
        assert photo[:2] == b"\xff\xd8"
        head = synthetic_head()
        np.savez(output_dir / "head.npz", numbers=np.zeros(1000))
        path = write_glb(head, output_dir / "head.glb")
        asset = HeadAsset(head.geometry, head.appearance, {}, path)
        yield Progress("asset", 1, 1, asset=asset, final=True)


@pytest.fixture
def folder(tmp_path, selfies, monkeypatch):
    """A folder of weights with one example photo."""
    photo = tmp_path / "examples" / "person_1.jpg"
    photo.parent.mkdir()
    photo.write_bytes(selfies["person_1"].read_bytes())
    (tmp_path / "manifest.json").write_text(json.dumps({"files": []}))
    monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
    weights.add("examples/person_1.jpg", "l", "o")
    return tmp_path


@pytest.mark.parametrize("state", [False, True])
def test_baked_files_are_recorded_and_complete(folder, state):
    main(["person_1", *["--state"] * state], Stub())
    made = folder / "examples" / "person_1"
    names = {"id2head.glb", "contact_sheet.jpg"} | ({"head.npz"} if state else set())
    assert {file.name for file in made.iterdir()} == names and weights.check() == []
    head = pygltflib.GLTF2().load_binary(str(made / "id2head.glb"))
    assert head.meshes[0].extras["targetNames"] == list(EXPRESSIONS)
    assert np.asarray(Image.open(made / "contact_sheet.jpg")).std() > 10
    if state:
        assert (np.load(made / "head.npz")["numbers"] == 0).all()
        assert (made / "head.npz").stat().st_size < 1000


def test_unknown_example_is_refused(folder, capsys):
    with pytest.raises(SystemExit):
        main(["nobody"], Stub())
    assert "no example 'nobody'" in capsys.readouterr().err


def test_shipped_heads_are_whole():
    heads = example_heads()
    if not heads:
        pytest.skip("no example head is baked: python -m id2head_core.training.bake_example_heads")
    for head in heads:
        for file in head.folder.iterdir():
            assert weights.path(file.relative_to(weights.weights_root()).as_posix())
        document = pygltflib.GLTF2().load_binary(str(head.glb))
        assert document.meshes[0].extras["targetNames"] == list(EXPRESSIONS)
        assert {material.name for material in document.materials} >= {"skin", "eyes", "hair"}
        assert Image.open(head.sheet).width > 1000
