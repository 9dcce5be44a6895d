"""Who may open a head, and what the page forgets."""

import pytest
from gradio.state_holder import StateHolder
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import FileResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from id2head_core.ui.blocks import build_app
from id2head_core.ui.own_files import COOKIE, OwnFiles
from tests.ui.studio import ScriptedPipeline, studio_of


@pytest.fixture
def head(files):
    """Address of a head of visitor "a", whose browser has the cookie "mine"."""
    visitor = files.visitor("a")
    visitor.cookie = "mine"
    return f"/gradio_api/file=/tmp/heads/{visitor.token}/0/id2head.glb"


@pytest.fixture
def get(files):
    async def answer(request):
        return PlainTextResponse("here")

    app = Starlette(routes=[Route("/{rest:path}", answer)])
    client = TestClient(OwnFiles(app, files))

    def work(path, cookie=None):
        headers = {"cookie": f"{COOKIE}={cookie}; other=1"} if cookie else {}
        client.cookies.clear()
        return client.get(path, headers=headers)

    return work


def test_heads_open_in_their_visitors_browser_only(get, head):
    assert get(head, "mine").text == "here"
    for cookie in (None, "theirs"):
        answer = get(head, cookie)
        assert answer.status_code == 403 and "another visitor" in answer.text


@pytest.mark.parametrize(
    "change", [("/heads/", "//heads//./"), ("file=", "file/"), ("/tmp/", "/tmp/x/%2e%2e/")]
)
def test_other_spellings_of_the_path_do_not_help(get, head, change):
    assert get(head.replace(*change), "theirs").status_code == 403


def test_address_alone_opens_where_there_are_no_cookies(get, head, files):
    files.visitor("a").cookie = None
    assert get(head).text == "here"


def test_everything_else_is_open_and_the_page_sets_a_cookie_once(get):
    assert get("/gradio_api/file=/static/app.css").status_code == 200
    first = get("/").headers["set-cookie"]
    assert first.startswith(f"{COOKIE}=") and "HttpOnly" in first and "SameSite=Lax" in first
    assert get("/").headers["set-cookie"] != first
    assert "set-cookie" not in get("/", "mine").headers
    assert "set-cookie" not in get("/config").headers


def test_page_forgets_its_values_when_the_visitor_leaves(files):
    app = build_app(studio_of(ScriptedPipeline(), files))
    holder = StateHolder()
    holder.set_blocks(app)
    assert holder["a"] and holder["b"]
    files.close("a")
    assert "a" not in holder and "b" in holder


def test_a_head_that_is_deleted_meanwhile_is_not_found(files, head, tmp_path):
    async def answer(request):
        return FileResponse(tmp_path / "gone.glb")

    app = Starlette(
        routes=[Route("/{rest:path}", answer)], middleware=[Middleware(OwnFiles, files=files)]
    )
    client = TestClient(app, headers={"cookie": f"{COOKIE}=mine"})
    assert client.get(head).status_code == 404
    with pytest.raises(RuntimeError, match="does not exist"):
        client.get("/gradio_api/file=/tmp/other")
