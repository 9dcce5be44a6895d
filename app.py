"""Starts the ID2Head app: ``python app.py``, then open the address that it prints."""

import argparse
import atexit
import logging
import os

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # before gradio is imported
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from id2head_core.ui.blocks import QUEUE_LENGTH, build_app  # noqa: E402
from id2head_core.ui.client_component import STATIC  # noqa: E402
from id2head_core.ui.generate import SharedPipeline  # noqa: E402
from id2head_core.ui.session_files import SessionFiles  # noqa: E402
from id2head_core.ui.theme import theme  # noqa: E402

MAX_UPLOAD = "24mb"
"""A little above the largest photo that is read, so that our own sentence is seen first."""


def build_pipeline():
    """Load all weights; heavy, called in the background."""
    from id2head_core.pipeline import HeadPipeline

    return HeadPipeline()


def arguments() -> argparse.Namespace:
    """Command line; the environment variables are those of Gradio and of hosted Spaces."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default=os.environ.get("GRADIO_SERVER_NAME", "127.0.0.1"))
    parser.add_argument(
        "--port", type=int, default=int(os.environ.get("GRADIO_SERVER_PORT", "7860"))
    )
    return parser.parse_args()


def main() -> None:
    """Run the app until it is stopped."""
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    options = arguments()
    files = SessionFiles()
    atexit.register(files.close_all)
    pipeline = SharedPipeline(build_pipeline)
    pipeline.warm_up()
    app = build_app(pipeline, files)
    app.queue(max_size=QUEUE_LENGTH, default_concurrency_limit=4)
    app.launch(
        server_name=options.host,
        server_port=options.port,
        share=False,
        show_error=False,
        ssr_mode=False,
        max_file_size=MAX_UPLOAD,
        run_history=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        footer_links=[],
        theme=theme(),
        css_paths=[STATIC / "app.css"],
    )


if __name__ == "__main__":
    main()
