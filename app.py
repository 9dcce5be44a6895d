"""Starts the ID2Head app: ``python app.py``, then open the address that it prints."""

import atexit
import logging
import os
import shutil
import tempfile

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
if "GRADIO_TEMP_DIR" not in os.environ:  # uploads and heads: nobody else's folder, gone at the end
    os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="id2head_served_")
    atexit.register(shutil.rmtree, os.environ["GRADIO_TEMP_DIR"], ignore_errors=True)

from starlette.middleware import Middleware  # noqa: E402

from id2head_core.ui.blocks import build_app  # noqa: E402
from id2head_core.ui.client_component import STATIC  # noqa: E402
from id2head_core.ui.generate import Studio  # noqa: E402
from id2head_core.ui.head_store import HeadStore  # noqa: E402
from id2head_core.ui.hosting import health_route, server_options  # noqa: E402
from id2head_core.ui.own_files import OwnFiles  # noqa: E402
from id2head_core.ui.session_files import SessionFiles  # noqa: E402
from id2head_core.ui.shared_pipeline import SharedPipeline  # noqa: E402
from id2head_core.ui.theme import theme  # noqa: E402
from id2head_core.ui.turns import Turns  # noqa: E402

MAX_UPLOAD = "24mb"
"""A little above the largest photo that is read, so that our own sentence is seen first."""

EVENTS_WAITING = 200
"""Events of all visitors that Gradio queues; heads wait in a line of their own."""


def build_pipeline(preset: str):
    """Load all weights; heavy, called in the background."""
    from id2head_core import config
    from id2head_core.pipeline import HeadPipeline

    pipeline = HeadPipeline(config.preview() if preset == "preview" else config.full())
    pipeline.warm_up()
    return pipeline


def main(arguments: list[str] | None = None) -> None:
    """Run the app until it is stopped."""
    options = server_options(arguments)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    files = SessionFiles()
    atexit.register(files.close_all)
    files.sweep_regularly()
    pipeline = SharedPipeline(lambda: build_pipeline(options.preset))
    pipeline.warm_up()
    studio = Studio(pipeline, files, HeadStore(files.root), Turns(options.max_queue))
    app = build_app(studio)
    app.queue(max_size=EVENTS_WAITING, default_concurrency_limit=4)
    app.launch(
        server_name=options.host,
        server_port=options.port,
        share=options.share,
        auth=options.auth,
        root_path=options.root_path,
        app_kwargs={
            "routes": [health_route(studio)],
            "middleware": [Middleware(OwnFiles, files=files)],
        },
        show_error=False,
        ssr_mode=False,
        max_file_size=MAX_UPLOAD,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        footer_links=[],
        theme=theme(),
        css_paths=[STATIC / "app.css", STATIC / "edit.css"],
    )


if __name__ == "__main__":
    main()
