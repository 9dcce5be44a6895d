"""A running app on a free port, and headless Chromium with software WebGL."""

import base64
import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
START = 120.0  # seconds
NEWEST_SHOWN = """() => {
    const shown = window.id2head?.shownUrl, newest = document.querySelector("#download").href;
    return shown && new URL(shown, document.baseURI).href === newest;
}"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(script: list[str], folder: Path, **variables: str):
    """Run a script of ours until the page answers; yields its address and its log file.

    ``variables`` are added to its environment.
    """
    port, log = free_port(), folder / "app.log"
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONUNBUFFERED": "1",
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "TMPDIR": str(folder),
        **variables,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *script, "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    address, deadline = f"http://127.0.0.1:{port}/", time.monotonic() + START
    try:
        while True:
            try:
                urllib.request.urlopen(address, timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                if process.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"The app did not start:\n{log.read_text()[-3000:]}")
                time.sleep(0.3)
        yield address, log
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="session")
def stub_site(tmp_path_factory):
    """The page with the stub pipeline of ``stub_app.py``: (address, log file)."""
    script = ["-m", "tests.browser.stub_app"]
    yield from serve(script, tmp_path_factory.mktemp("stub_site"))


@pytest.fixture(scope="session")
def real_site(tmp_path_factory):
    """The app as a visitor gets it: (address, log file)."""
    yield from serve(["app.py"], tmp_path_factory.mktemp("real_site"))


@pytest.fixture(scope="session")
def chromium():
    """One browser for all tests."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Visit:
    """One visitor's tab, and what happened in it."""

    def __init__(self, browser, address: str, **options):
        self.context = browser.new_context(viewport={"width": 1100, "height": 640}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(60_000)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._keep_shader_error)
        self.address = address

    def open(self):
        self.page.goto(self.address)
        self.page.wait_for_selector("#generate")
        self.page.wait_for_selector(".expression-row:nth-child(13)")
        return self

    def upload(self, file: Path):
        self.page.set_input_files("#photo-file", file)

    def generate(self, *, until: str = "done"):
        """Press Generate and wait for a state of the run."""
        self.page.wait_for_selector(".photo-frame img")
        self.page.click("#generate:not([disabled])")
        self.wait_run(until)

    def wait_run(self, state: str):
        self.page.wait_for_selector(f".run[data-state={state}]", state="attached", timeout=400_000)

    def wait_head(self):
        """Wait until the newest head is on screen, also if one more is just arriving."""
        for _ in range(2):
            self.page.wait_for_function(NEWEST_SHOWN, timeout=120_000)
            self.page.wait_for_timeout(500)
        self.settle()

    def settle(self):
        """Wait until the viewer has drawn everything that was asked for."""
        self.page.wait_for_function(
            "() => { const v = id2head.viewer; return !v.pending && !v.glide && v.frames > 0; }"
        )

    def pixels(self) -> np.ndarray:
        """The viewer's picture over its background, int ``[H, W, 3]``."""
        url = self.page.evaluate("() => id2head.viewer.snapshot().toDataURL()")
        data = base64.b64decode(url.split(",")[1])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)

    def _keep_shader_error(self, message) -> None:
        """three.js only prints what is wrong with a shader, and draws nothing."""
        if "WebGLProgram" in message.text:
            self.errors.append(message.text)

    def text(self, selector: str) -> str:
        return self.page.inner_text(selector)


@pytest.fixture
def visit(chromium):
    """Make visits: ``visit(address, **context_options) -> Visit``, already on the page."""
    made = []

    def start(address: str, **options) -> Visit:
        made.append(Visit(chromium, address, **options))
        return made[-1].open()

    yield start
    for one in made:
        one.context.close()


def changed_pixels(before: np.ndarray, after: np.ndarray) -> int:
    """Number of pixels that differ visibly."""
    return int((np.abs(before - after).sum(-1) > 20).sum())


@pytest.fixture
def photo(tmp_path):
    """Make a flat PNG: ``photo((r, g, b)) -> Path``."""

    def paint(colour: tuple[int, int, int]) -> Path:
        path = tmp_path / "photo.png"
        Image.new("RGB", (320, 400), colour).save(path)
        return path

    return paint
