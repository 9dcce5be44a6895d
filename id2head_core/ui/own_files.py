"""A visitor's heads answer to this visitor's browser only, even if their address leaks.

The page sets a random cookie, and a session remembers it. Where a browser keeps no cookies (a page
inside another site's frame, or a program), the address alone protects: it has 160 random bits.
"""

import posixpath
import re
import secrets
from http.cookies import CookieError, SimpleCookie

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .session_files import SessionFiles

COOKIE = "id2head_visitor"
"""Name of the cookie."""

SERVED = re.compile(r"/file[=/].*/heads/(\w+)/")
"""Normalised path of a served head; the group is its visitor's token."""


class OwnFiles:
    """ASGI middleware that sets the cookie and asks for it."""

    def __init__(self, app: ASGIApp, files: SessionFiles):
        self._app, self._files = app, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 403 to other visitors; hand everything else on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        cookie = _cookie(scope)
        served = SERVED.search(posixpath.normpath(scope["path"]))
        if served:
            owner = self._files.owner(served[1])
            if owner and owner != cookie:
                answer = PlainTextResponse("This head belongs to another visitor.", 403)
                return await answer(scope, receive, send)
            return await self._head(scope, receive, send)
        page = scope["method"] == "GET" and scope["path"].rstrip("/") == scope.get(
            "root_path", ""
        ).rstrip("/")
        if cookie or not page:
            return await self._app(scope, receive, send)

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                value = f"{COOKIE}={secrets.token_hex(20)}; Path=/; HttpOnly; SameSite=Lax"
                message["headers"] = [*message["headers"], (b"set-cookie", value.encode())]
            await send(message)

        await self._app(scope, receive, send_with_cookie)

    async def _head(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a head out; 404 if it is deleted between the check and the answer."""
        started = False

        async def watched(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except (OSError, RuntimeError):
            if started:
                raise
            await PlainTextResponse("This head is gone.", 404)(scope, receive, send)


def _cookie(scope: Scope) -> str | None:
    """Value of our cookie in a request."""
    for name, value in scope["headers"]:
        if name == b"cookie":
            try:
                cookies = SimpleCookie(value.decode("latin-1"))
            except CookieError:
                return None
            return cookies[COOKIE].value if COOKIE in cookies else None
    return None
