"""Programs that call the app, against a running server whose pipeline needs no weights."""

import json
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

import pygltflib
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image

from id2head_core.expressions import EXPRESSIONS
from tests.browser.conftest import ROOT, serve


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Address of the stub app."""
    for address, _ in serve(["-m", "tests.browser.stub_app"], tmp_path_factory.mktemp("site")):
        yield address


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Flat pictures that the stub pipeline answers to, by colour."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, colour in {"grey": (120,) * 3, "red": (255, 0, 0), "green": (0, 255, 0)}.items():
        Image.new("RGB", (320, 400), colour).save(folder / f"{name}.png")
    return {path.stem: handle_file(path) for path in folder.iterdir()}


@pytest.fixture
def client(site, tmp_path):
    """A client, as a visitor of its own."""
    client = Client(site, verbose=False, download_files=str(tmp_path))
    yield client
    client.close()


def load(path: str) -> pygltflib.GLTF2:
    return pygltflib.GLTF2().load_binary(path)


def test_endpoints_are_typed(client):
    endpoints = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    assert set(endpoints) == {"/generate", "/edit", "/export"}
    names = {
        name: [(p["parameter_name"], p["parameter_has_default"]) for p in endpoint["parameters"]]
        for name, endpoint in endpoints.items()
    }
    assert names == {
        "/generate": [("photo", False), ("face", True), ("seed", True)],
        "/edit": [("text", False), ("target", True), ("strength", True)],
        "/export": [("expressions", True)],
    }


def test_generate_edit_and_export(client, pictures):
    head, facts = client.predict(photo=pictures["grey"], api_name="/generate")
    assert load(head).meshes[0].extras["targetNames"] == list(EXPRESSIONS)
    assert facts["editable"] and facts["label"] == "From the photo"
    edited, facts = client.predict(text="with green hair", target="texture", api_name="/edit")
    assert load(edited).asset.extras["text"] == "with green hair"
    assert facts["label"] == "with green hair"
    posed = client.predict(expressions={"Grin": 0.5}, api_name="/export")
    mesh = load(posed).meshes[0]
    assert mesh.extras["expression_weights"] == {"Grin": 0.5}
    assert not any(primitive.targets for primitive in mesh.primitives)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"photo": "red", "api_name": "/generate"}, "No face was found"),
        ({"photo": "green", "api_name": "/generate"}, "2 faces of similar size"),
        ({"photo": "grey", "seed": -1, "api_name": "/generate"}, "Seed -1"),
        ({"text": "older", "api_name": "/edit"}, "Generate one first"),
        ({"expressions": {"Grin": 1}, "api_name": "/export"}, "no finished head to export"),
    ],
)
def test_errors_reach_the_client(client, pictures, arguments, words):
    if "photo" in arguments:
        arguments["photo"] = pictures[arguments["photo"]]
    with pytest.raises(AppError, match=words):
        client.predict(**arguments)


@pytest.mark.parametrize(
    ("expressions", "words"),
    [({"Smirk": 1}, "'Smirk' is unknown"), ({"Grin": 2}, "weight of 'Grin' is 2"), ([1], "dict")],
)
def test_bad_expressions_are_refused(client, pictures, expressions, words):
    client.predict(photo=pictures["grey"], api_name="/generate")
    with pytest.raises(AppError, match=words):
        client.predict(expressions=expressions, api_name="/export")


def test_face_of_a_group_photo(client, pictures):
    head, _ = client.predict(photo=pictures["green"], face=0, api_name="/generate")
    assert Path(head).name == "id2head.glb"


def test_clients_do_not_share_heads(client, site, pictures, tmp_path):
    client.predict(photo=pictures["grey"], api_name="/generate")
    other = Client(site, verbose=False, download_files=str(tmp_path))
    with pytest.raises(AppError, match="no finished head"):
        other.predict(expressions={}, api_name="/export")
    other.close()


def test_photos_do_not_stay_on_the_server(client, site, pictures, tmp_path_factory):
    client.predict(photo=pictures["grey"], api_name="/generate")
    content = Path(pictures["grey"]["path"]).read_bytes()
    folder = tmp_path_factory.getbasetemp() / "site0"
    left = [p for p in folder.rglob("*") if p.is_file() and p.read_bytes() == content]
    assert left == []


def test_health(site):
    with urllib.request.urlopen(site + "health") as answer:
        assert json.load(answer) == {"status": "ready", "waiting": 0}


def test_nothing_can_be_listed(site, client, pictures):
    client.predict(photo=pictures["grey"], api_name="/generate")
    for path in ("gradio_api/file=", "gradio_api/file=heads", "heads/", "gradio_api/file=/tmp"):
        with pytest.raises(urllib.error.HTTPError) as error:
            urllib.request.urlopen(site + path)
        assert error.value.code in (403, 404)


def test_example_in_the_readme_runs(site, tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
    (example,) = [block for block in blocks if "gradio_client" in block]
    assert "http://127.0.0.1:7860/" in example
    monkeypatch.chdir(tmp_path)
    os.symlink(ROOT / "weights", tmp_path / "weights")
    exec(example.replace("http://127.0.0.1:7860/", site), {})
    files = re.findall(r"\S+\.glb", capsys.readouterr().out)
    assert len(files) == 3 and [Path(file).name for file in files] == ["id2head.glb"] * 3
