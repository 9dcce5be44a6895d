"""Eight visitors at once: ``python -m id2head_core.bench queue``.

Starts the app in a process of its own and sends it visitors through ``gradio_client``, each with
another photo (another cut of an example), while the page is fetched again and again.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from . import weights
from .errors import ID2HeadError

VISITORS = 8
"""Who come at once."""

START = 180.0
"""Longest start of the app, seconds."""

ROOT = Path(__file__).resolve().parent.parent


def bench_queue(
    say: Callable[[str], None], script: tuple[str, ...] = ("app.py", "--preset", "preview")
) -> None:
    """Report the visitors' waits, and how quickly the page answers meanwhile.

    Args:
        say: receives the lines.
        script: the app and its options.
    """
    with tempfile.TemporaryDirectory(prefix="id2head-bench-") as folder:
        photos = _photos(Path(folder))
        with running_app(script, Path(folder)) as address:
            finished, failures, pages = _visit_together(address, photos, Path(folder))
    if failures:
        say(f"{len(failures)} of {VISITORS} visitors got no head: {failures[0]}")
    if finished:
        gaps = np.diff([0.0, *finished])
        say(f"{'first head finished after':44s} {finished[0]:9.2f} s")
        say(f"{'last head finished after':44s} {finished[-1]:9.2f} s")
        spread = f"{gaps.min():.2f} ... {gaps.max():.2f}"
        say(f"{'a head every':44s} {np.median(gaps):9.2f} s    {spread}")
    say(f"{'page meanwhile, median':44s} {1e3 * np.median(pages):9.2f} ms")
    say(f"{'page meanwhile, slowest of ' + str(len(pages)):44s} {1e3 * max(pages):9.2f} ms")


def _visit_together(
    address: str, photos: list[Path], folder: Path
) -> tuple[list[float], list[str], list[float]]:
    """Seconds to each head, sorted; what went wrong; and seconds of each fetch of the page."""
    from gradio_client import Client, handle_file

    clients = [Client(address, verbose=False, download_files=str(folder)) for _ in photos]
    finished, failures, pages = [], [], []
    started = time.perf_counter()

    def visit(client: Client, photo: Path) -> None:
        try:
            client.predict(photo=handle_file(photo), api_name="/generate")
            finished.append(time.perf_counter() - started)
        except Exception as error:  # a bench reports it
            failures.append(str(error))

    threads = [
        threading.Thread(target=visit, args=pair) for pair in zip(clients, photos, strict=True)
    ]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or not pages:
        before = time.perf_counter()
        urllib.request.urlopen(address, timeout=60).close()
        pages.append(time.perf_counter() - before)
        time.sleep(0.5)
    for client in clients:
        client.close()
    return sorted(finished), failures, pages


def _photos(folder: Path) -> list[Path]:
    """One example, cut a little differently for each visitor, so that none is in a cache."""
    photo = Image.open(weights.path("examples/person_3.jpg"))
    paths = []
    for i in range(VISITORS):
        paths.append(folder / f"visitor_{i}.jpg")
        photo.crop((i, i, photo.width, photo.height)).save(paths[-1], quality=92)
    return paths


@contextlib.contextmanager
def running_app(script: tuple[str, ...], folder: Path) -> Iterator[str]:
    """Run the app until the block ends; gives its address once the models are loaded."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, *script, "--port", str(port)]
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}
    with (folder / "app.log").open("wb") as log:
        app = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        address = f"http://127.0.0.1:{port}/"
        try:
            _wait_until_ready(app, address, folder / "app.log")
            yield address
        finally:
            app.terminate()
            app.wait(20)


def _wait_until_ready(app: subprocess.Popen, address: str, log: Path) -> None:
    deadline = time.monotonic() + START
    while time.monotonic() < deadline and app.poll() is None:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(address + "health", timeout=5) as answer:
                if json.load(answer)["status"] == "ready":
                    return
        time.sleep(0.3)
    raise ID2HeadError(f"The app did not start. Its last words: {log.read_text()[-500:]}")
