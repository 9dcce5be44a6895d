"""Options of the server, and the address that says whether it works."""

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from id2head_core.ui.hosting import health_route, server_options
from id2head_core.ui.shared_pipeline import SharedPipeline
from tests.ui.studio import ScriptedPipeline, studio_of


def test_defaults_are_for_one_machine(monkeypatch):
    for name in ("GRADIO_SERVER_NAME", "GRADIO_SERVER_PORT", "GRADIO_ROOT_PATH", "ID2HEAD_AUTH"):
        monkeypatch.delenv(name, raising=False)
    options = server_options([])
    assert (options.host, options.port, options.share, options.auth) == (
        "127.0.0.1", 7860, False, None,
    )  # fmt: skip
    assert options.root_path == "" and options.preset == "full" and options.max_queue == 12


def test_options_and_environment(monkeypatch):
    monkeypatch.setenv("ID2HEAD_AUTH", "eve:se:cret")
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/head")
    options = server_options(["--host", "0.0.0.0", "--max-queue", "3", "--share"])
    assert options.auth == ("eve", "se:cret") and options.root_path == "/head"
    assert options.host == "0.0.0.0" and options.max_queue == 3 and options.share


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--auth", "password"], "USER:PASSWORD"),
        (["--max-queue", "-1"], "not a number of visitors"),
        (["--port", "http"], "invalid int"),
    ],
)
def test_wrong_options_say_what_is_right(capsys, arguments, words):
    with pytest.raises(SystemExit):
        server_options(arguments)
    assert words in capsys.readouterr().err


def test_health_tells_loading_ready_and_failed(files):
    studio = studio_of(ScriptedPipeline(), files)
    client = TestClient(Starlette(routes=[health_route(studio)]))
    answer = client.get("/health")
    assert answer.status_code == 200 and answer.json() == {"status": "ready", "waiting": 0}
    answers = iter(["loading", "failed"])

    def build():
        assert client.get("/health").json()["status"] == next(answers)
        raise RuntimeError("weights missing")

    pipeline = SharedPipeline(build)
    object.__setattr__(studio, "pipeline", pipeline)
    assert client.get("/health").json()["status"] == "loading"
    with pytest.raises(RuntimeError, match="weights missing"):
        pipeline.get()
    answer = client.get("/health")
    assert answer.status_code == 503 and answer.json()["status"] == next(answers)
