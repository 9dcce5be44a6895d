"""A reverse proxy that shows a local app below a path, as a web server in front of it would."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host"}


@contextmanager
def proxy(target: str, path: str, port: int) -> Iterator[str]:
    """Show ``target`` below a path of a local port; gives the address."""
    client = httpx.AsyncClient(base_url=target, timeout=None)

    async def forward(request: Request) -> Response:
        inner = request.url.path.removeprefix(path) or "/"
        url = httpx.URL(path=inner, query=request.url.query.encode())
        headers = [(k, v) for k, v in request.headers.raw if k.decode().lower() not in HOP_BY_HOP]
        headers += [(b"x-forwarded-host", request.headers["host"].encode())]
        message = client.build_request(
            request.method, url, headers=headers, content=request.stream()
        )
        answer = await client.send(message, stream=True)
        return StreamingResponse(
            answer.aiter_raw(),
            answer.status_code,
            {k: v for k, v in answer.headers.items() if k not in HOP_BY_HOP},
            background=BackgroundTask(answer.aclose),
        )

    methods = ["GET", "POST", "HEAD"]
    routes = [
        Route(path, forward, methods=methods),
        Route(path + "/{rest:path}", forward, methods=methods),
    ]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), port=port, log_level="warning")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}{path}/"
    server.should_exit = True
    thread.join(10)
