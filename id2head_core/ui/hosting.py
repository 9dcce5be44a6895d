"""What a server needs besides the page: its options and an address that says whether it works."""

import argparse
import os

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .generate import Studio

WAITING = 12
"""Visitors who may wait for their head at once; the next one is asked to come back later."""


def server_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command line of the app; the environment variables are those of Gradio and hosted Spaces."""
    parser = argparse.ArgumentParser(
        prog="python app.py", description="Starts the ID2Head app and prints its address."
    )
    environment = os.environ.get
    parser.add_argument(
        "--host",
        default=environment("GRADIO_SERVER_NAME", "127.0.0.1"),
        help="address to listen at; 0.0.0.0 for all (default: this machine only)",
    )
    parser.add_argument("--port", type=int, default=int(environment("GRADIO_SERVER_PORT", "7860")))
    parser.add_argument(
        "--share", action="store_true", help="also ask Gradio for a public address (tunnel)"
    )
    parser.add_argument(
        "--auth",
        type=_credentials,
        metavar="USER:PASSWORD",
        default=os.environ.get("ID2HEAD_AUTH"),
        help="ask visitors to log in; also read from $ID2HEAD_AUTH, which other users cannot see",
    )
    parser.add_argument(
        "--max-queue",
        type=_count,
        default=WAITING,
        metavar="N",
        help=f"visitors who may wait for their head (default: {WAITING})",
    )
    parser.add_argument(
        "--root-path",
        default=environment("GRADIO_ROOT_PATH", ""),
        metavar="PATH",
        help="path at which a reverse proxy shows the app, such as /head",
    )
    parser.add_argument(
        "--preset",
        choices=("preview", "full"),
        default="full",
        help="preview stops after the photo fit, for slow machines (default: full)",
    )
    return parser.parse_args(arguments)


def health_route(studio: Studio) -> Route:
    """``GET /health``: 200 while loading or ready, 503 if the models could not be loaded."""

    def health(request: Request) -> JSONResponse:
        state = studio.pipeline.state
        status = "loading" if state == "cold" else state
        answer = {"status": status, "waiting": studio.turns.waiting}
        return JSONResponse(answer, 503 if status == "failed" else 200)

    return Route("/health", health)


def _credentials(text: str) -> tuple[str, str]:
    user, colon, password = text.partition(":")
    if not (user and colon and password):
        raise argparse.ArgumentTypeError("give a user and a password as USER:PASSWORD")
    return user, password


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"'{text}' is not a number of visitors, such as 12")
    return int(text)
