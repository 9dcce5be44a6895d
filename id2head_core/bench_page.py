"""What a visitor's browser waits for: ``python -m id2head_core.bench page``.

Opens the app in headless Chromium with software WebGL (needs Debian's ``chromium`` and the package
``playwright``) and reports bytes, time to the first head on screen, frames and latency.
"""

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import weights
from .bench_queue import running_app
from .errors import ID2HeadError

FLAGS = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader")
"""Of Chromium: WebGL in software."""

WINDOW = {"width": 1040, "height": 760}
"""Pixels of the window; the viewer is about 600 x 600 in it."""

VISITS = 3
"""Times that the page is opened in a browser without cache."""

TURN = 5.0
"""Seconds of turning that frames are counted over."""

SLIDES = 12
"""Moves of a slider that are timed."""

LATENCY = """async (value) => {
    const viewer = id2head.viewer, before = viewer.frames, started = performance.now();
    const slider = document.querySelector(".expression-row input");
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    while (viewer.frames === before) await new Promise(requestAnimationFrame);
    return performance.now() - started;
}"""


def bench_page(say: Callable[[str], None], script: tuple[str, ...] = ("app.py",)) -> None:
    """Report the page's weight and quickness.

    Args:
        say: receives the lines.
        script: the app and its options.

    Raises:
        ID2HeadError: there is no Chromium.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        raise ID2HeadError("Chromium is not installed. Install Debian's package 'chromium'.")
    with tempfile.TemporaryDirectory(prefix="id2head-bench-") as folder:
        with running_app(script, Path(folder)) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            opened = []
            for _ in range(VISITS):
                if opened:
                    opened[-1][0].context.close()
                opened.append(_open(browser, address))
            page = opened[-1][0]
            for title, place in (("usable after", 1), ("ready head on screen after", 2)):
                _times(say, title, [visit[place] for visit in opened])
            _bytes(say, "page, without a head", [visit[3] for visit in opened])
            _bytes(say, "ready head", [visit[4] for visit in opened])
            _interact(say, page)
            _generate(say, page)
            browser.close()


def _open(browser, address: str) -> tuple:
    """The page; seconds until it is usable and until the head is drawn; bytes of page and head."""
    page = browser.new_context(viewport=WINDOW).new_page()
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    urls, sizes = {}, {}
    network.on(
        "Network.responseReceived", lambda e: urls.update({e["requestId"]: e["response"]["url"]})
    )
    network.on(
        "Network.loadingFinished", lambda e: sizes.update({e["requestId"]: e["encodedDataLength"]})
    )
    started = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".expression-row:nth-child(13)")
    usable = time.perf_counter() - started
    page.wait_for_function("() => window.id2head?.shownUrl && id2head.viewer.frames > 0")
    seen = time.perf_counter() - started
    page.wait_for_timeout(1500)  # events are streamed, so the network is never idle
    head = sum(size for key, size in sizes.items() if ".glb" in urls.get(key, ""))
    return page, usable, seen, sum(sizes.values()) - head, head


def _interact(say: Callable[[str], None], page) -> None:
    """Frames per second while the head turns, and from a slider to the picture."""
    size = page.evaluate("() => { const c = id2head.viewer.renderer.domElement;"
                         " return `${c.clientWidth} x ${c.clientHeight}`; }")  # fmt: skip
    page.evaluate("() => { id2head.viewer.turning = true; id2head.viewer.invalidate(); }")
    time.sleep(1.5)  # the viewer learns how many pixels it can draw
    before, started = page.evaluate("() => id2head.viewer.frames"), time.perf_counter()
    time.sleep(TURN)
    frames = page.evaluate("() => id2head.viewer.frames") - before
    rate = frames / (time.perf_counter() - started)
    page.evaluate("() => { id2head.viewer.turning = false; }")
    say(f"{'turning in software, ' + size:44s} {rate:9.1f} frames/s")
    time.sleep(1)
    values = [page.evaluate(LATENCY, (i % 2) * 0.8 + 0.1) / 1000 for i in range(SLIDES)]
    _times(say, "slider to picture", values)


def _generate(say: Callable[[str], None], page) -> None:
    """Seconds from the click to the first and to the finished head."""
    page.set_input_files("#photo-file", str(weights.path("examples/person_3.jpg")))
    page.wait_for_selector(".photo-frame img")
    page.wait_for_selector("#generate:not([disabled])")
    shown = page.evaluate("() => id2head.shownUrl")
    started = time.perf_counter()
    page.click("#generate")
    page.wait_for_function("url => id2head.shownUrl !== url", arg=shown, timeout=120_000)
    say(f"{'photo to first head in the page':44s} {time.perf_counter() - started:9.2f} s")
    page.wait_for_selector(".run[data-state=done]", state="attached", timeout=600_000)
    say(f"{'photo to finished head in the page':44s} {time.perf_counter() - started:9.2f} s")


def _times(say: Callable[[str], None], title: str, seconds: list[float]) -> None:
    spread = f"{min(seconds):.2f} ... {max(seconds):.2f}"
    say(f"{title:44s} {statistics.median(seconds):9.2f} s    {spread}")


def _bytes(say: Callable[[str], None], title: str, sizes: list[float]) -> None:
    say(f"{title:44s} {statistics.median(sizes) / 1e6:9.2f} MB")
