"""The page in a browser, with a pipeline that needs no weights."""

import time

import pytest
from PIL import Image

from id2head_core.expressions import EXPRESSIONS
from id2head_core.ui.generate import UNEXPECTED
from id2head_core.ui.light_picker import PRESETS
from tests.browser.conftest import Visit, changed_pixels
from tests.browser.stub_app import NO_FACE
from tests.synthetic_head import STILL_IN_SKIN

pytestmark = pytest.mark.browser

GREY, WHITE = (120, 120, 120), (255, 255, 255)
RED, BLUE = (255, 0, 0), (0, 0, 255)


@pytest.fixture(scope="module")
def finished(chromium, stub_site, tmp_path_factory):
    """A visitor whose head is finished; shared, see ``with_head``."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.new("RGB", (320, 400), GREY).save(path)
    visitor = Visit(chromium, stub_site[0]).open()
    visitor.upload(path)
    visitor.generate()
    visitor.wait_head()
    yield visitor
    visitor.context.close()


@pytest.fixture
def with_head(finished):
    """The shared visitor with everything as it was at first."""
    finished.page.click("[data-preset=front]")
    finished.page.click(".expression-reset")
    finished.page.evaluate(
        "() => { id2head.viewer.root.visible = true; id2head.viewer.resetView() }"
    )
    finished.settle()
    return finished


def test_first_head_appears_during_the_run_and_the_last_replaces_it(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(WHITE))
    visitor.generate(until="running")
    visitor.wait_head()
    assert visitor.page.get_attribute(".run", "data-state") == "running"
    first = visitor.page.evaluate("() => id2head.shownUrl")
    assert visitor.page.is_visible("#cancel") and not visitor.page.is_visible("#generate")
    visitor.page.evaluate("() => id2head.viewer.orbit(30, 5)")
    visitor.page.evaluate("() => { window.canvas = document.querySelector('canvas') }")
    camera = visitor.page.evaluate("() => id2head.viewer.camera.position.toArray()")
    visitor.wait_run("done")
    visitor.page.wait_for_function("url => id2head.shownUrl !== url", arg=first)
    assert visitor.page.evaluate("() => document.querySelector('canvas') === window.canvas")
    after = visitor.page.evaluate("() => id2head.viewer.camera.position.toArray()")
    assert after == pytest.approx(camera, abs=1e-6)
    assert visitor.page.is_visible("#generate") and not visitor.page.is_visible("#cancel")
    assert not visitor.errors


def test_head_is_on_the_canvas(with_head):
    picture = with_head.pixels()
    with_head.page.evaluate("() => { id2head.viewer.root.visible = false }")
    assert changed_pixels(picture, with_head.pixels()) > 0.15 * picture[..., 0].size


def test_each_slider_changes_pixels_and_asks_the_server_nothing(with_head):
    neutral = with_head.pixels()
    with_head.requests.clear()
    for name in EXPRESSIONS:
        slider = with_head.page.locator("#expression-" + name.lower().replace(" ", "-"))
        slider.focus()
        with_head.page.keyboard.press("End")
        with_head.settle()
        moved = changed_pixels(neutral, with_head.pixels())
        assert moved > 300 or name == STILL_IN_SKIN, f"{name} changed {moved} pixels"
        with_head.page.keyboard.press("Home")
        with_head.settle()
        assert changed_pixels(neutral, with_head.pixels()) < 50, f"{name} did not go back"
    assert with_head.requests == []


def test_combination_and_reset(with_head):
    neutral = with_head.pixels()
    with_head.page.click("text=Surprised")
    with_head.settle()
    assert with_head.page.input_value("#expression-brow-raised") == "1"
    assert changed_pixels(neutral, with_head.pixels()) > 300
    with_head.page.click(".expression-reset")
    with_head.settle()
    assert changed_pixels(neutral, with_head.pixels()) < 50
    weights = with_head.page.evaluate("() => Object.values(id2head.expressions)")
    assert weights == [0] * len(EXPRESSIONS)


def test_each_light_preset_shades_differently_without_requests(with_head):
    with_head.requests.clear()
    pictures = {}
    for preset in PRESETS:
        with_head.page.click(f"[data-preset={preset}]")
        with_head.settle()
        pictures[preset] = with_head.pixels()
        assert with_head.page.get_attribute(f"[data-preset={preset}]", "aria-checked") == "true"
    for first in PRESETS:
        for second in PRESETS:
            if first < second:
                changed = changed_pixels(pictures[first], pictures[second])
                assert changed > 5000, f"{first} looks like {second}"
    middle = pictures["right"].shape[1] // 2
    left, right = (pictures["right"][:, s].mean() for s in (slice(middle), slice(middle, None)))
    assert right > left + 3
    assert pictures["back"].mean() < pictures["front"].mean()
    assert with_head.requests == []


def test_light_pad_follows_mouse_and_keys(with_head):
    pad = with_head.page.locator(".light-pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    with_head.page.mouse.move(box["x"] + 0.75 * box["width"], box["y"] + 0.5 * box["height"])
    with_head.page.mouse.down()
    with_head.page.mouse.up()
    light = with_head.page.evaluate("() => id2head.light")
    assert light["preset"] is None
    assert light["azimuth"] == pytest.approx(85, abs=4)
    assert light["elevation"] == pytest.approx(0, abs=3)
    with_head.page.focus(".light-pad")
    with_head.page.keyboard.press("ArrowLeft")
    moved = with_head.page.evaluate("() => id2head.light.azimuth")
    assert moved == pytest.approx(light["azimuth"] - 5, abs=0.01)


def test_intensity_brightens(with_head):
    pictures = []
    for key in ("End", "Home"):
        with_head.page.focus("#light-intensity")
        with_head.page.keyboard.press(key)
        with_head.settle()
        pictures.append(with_head.pixels().mean())
    with_head.page.fill("#light-intensity", "1")
    assert pictures[0] > pictures[1] + 20


def test_idle_viewer_draws_nothing(with_head):
    with_head.page.wait_for_selector(".viewer-strip[data-pictures]")
    with_head.page.wait_for_timeout(1000)  # a slow machine draws once more in all pixels
    before = with_head.page.evaluate("() => id2head.viewer.frames")
    with_head.page.wait_for_timeout(1200)
    assert with_head.page.evaluate("() => id2head.viewer.frames") == before


def test_keys_turn_the_head(with_head):
    before = with_head.pixels()
    with_head.page.focus("canvas")
    with_head.page.keyboard.press("ArrowRight")
    with_head.settle()
    assert changed_pixels(before, with_head.pixels()) > 1000
    with_head.page.keyboard.press("Home")
    with_head.settle()
    assert changed_pixels(before, with_head.pixels()) < 200


def test_lost_graphics_context_comes_back(with_head):
    before = with_head.pixels()
    with_head.page.evaluate(
        "() => { window.ext = id2head.viewer.renderer.getContext().getExtension("
        "'WEBGL_lose_context'); ext.loseContext(); }"
    )
    with_head.page.wait_for_selector(".viewer-note:not([hidden])")
    with_head.page.evaluate("() => window.ext.restoreContext()")
    with_head.page.wait_for_selector(".viewer-note", state="hidden")
    with_head.settle()
    assert changed_pixels(before, with_head.pixels()) < 0.01 * before[..., 0].size


def test_download_is_the_glb_on_screen(with_head, tmp_path):
    with with_head.page.expect_download() as waiting:
        with_head.page.click("#download")
    waiting.value.save_as(tmp_path / "head.glb")
    assert waiting.value.suggested_filename == "id2head.glb"
    assert (tmp_path / "head.glb").read_bytes()[:4] == b"glTF"


def test_no_request_leaves_the_machine(with_head):
    foreign = [
        url
        for url in with_head.requests
        if not url.startswith((with_head.address, "data:", "blob:"))
    ]
    assert foreign == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"not an image at all, just text", "is not an image"),
        (b"%PDF-1.7 something", "This is a PDF document, not a photo."),
        (b"\x89PNG\r\n\x1a\n" + bytes(60), "is not an image"),
        (b"", "This file is empty."),
    ],
)
def test_bad_file_gets_a_sentence(visit, stub_site, tmp_path, content, sentence):
    (tmp_path / "selfie.png").write_bytes(content)
    visitor = visit(stub_site[0])
    visitor.upload(tmp_path / "selfie.png")
    visitor.page.wait_for_selector(".photo-error:not([hidden])")
    assert sentence in visitor.text(".photo-error")
    assert "/" not in visitor.text(".photo-error").replace("JPEG, PNG", "")
    assert visitor.page.is_disabled("#generate")
    assert visitor.page.is_visible(".photo-browse")


def test_too_large_file_is_refused_before_it_is_sent(visit, stub_site, tmp_path):
    (tmp_path / "huge.jpg").write_bytes(bytes(21 * 2**20))
    visitor = visit(stub_site[0])
    visitor.requests.clear()
    visitor.upload(tmp_path / "huge.jpg")
    visitor.page.wait_for_selector(".photo-error:not([hidden])")
    assert "the limit is 21.0 MB" in visitor.text(".photo-error")
    assert visitor.requests == []


def test_refused_photo_says_why_and_the_next_one_works(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(RED))
    visitor.page.wait_for_selector(".photo-error:not([hidden])")
    assert visitor.text(".photo-error") == NO_FACE
    assert visitor.page.is_disabled("#generate")
    visitor.upload(photo(GREY))
    visitor.generate()
    assert not visitor.page.is_visible(".photo-error")


def test_unforeseen_failure_shows_no_path_and_no_trace(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(BLUE))
    visitor.generate(until="error")
    assert visitor.text(".run-error") == UNEXPECTED
    assert "secret" not in visitor.page.content()
    assert "/secret/place" in stub_site[1].read_text()


def test_cancel_keeps_the_head_so_far(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(WHITE))
    visitor.generate(until="running")
    visitor.wait_head()
    first = visitor.page.evaluate("() => id2head.shownUrl")
    visitor.page.click("#cancel")
    visitor.wait_run("idle")
    assert visitor.text(".run-message") == "Stopped."
    visitor.page.wait_for_timeout(4000)
    assert visitor.page.evaluate("() => id2head.shownUrl") == first
    assert visitor.page.get_attribute(".run", "data-state") == "idle"
    assert visitor.page.is_visible("#download")
    visitor.upload(photo(GREY))
    visitor.generate()


def test_second_visitor_sees_nothing_of_the_first(with_head, visit):
    second = visit(with_head.address)
    assert second.page.evaluate("() => window.id2head.shownUrl ?? null") is None
    assert not second.page.is_visible("#download")
    assert second.page.locator(".photo-frame").count() == 0
    assert second.page.get_attribute(".run", "data-state") == "idle"


def test_files_are_deleted_when_the_visitor_leaves(visit, stub_site, photo):
    from playwright.sync_api import Error  # only where there is a browser

    visitor = visit(stub_site[0])
    visitor.upload(photo(GREY))
    visitor.generate()
    url = visitor.page.evaluate("() => document.querySelector('#download').href")
    assert visitor.context.request.get(url).status == 200
    visitor.page.close()
    for _ in range(40):
        try:
            status = visitor.context.request.get(url).status
        except Error:  # deleted in the middle of this transfer
            continue
        if status != 200:
            assert status in (403, 404)
            return
        time.sleep(0.25)
    pytest.fail("the head could still be fetched 10 s after its visitor had left")


def test_camera_gives_a_photo(visit, stub_site):
    visitor = visit(stub_site[0], permissions=["camera"])
    visitor.page.click(".photo-camera")
    visitor.page.wait_for_function("() => document.querySelector('video')?.videoWidth > 0")
    visitor.page.click(".photo-shoot")
    visitor.page.wait_for_selector(".photo-frame img")
    visitor.page.wait_for_selector("#generate:not([disabled])")


def test_pasted_picture_is_taken(visit, stub_site):
    visitor = visit(stub_site[0])
    visitor.page.evaluate(
        """async () => {
          const canvas = Object.assign(document.createElement("canvas"), {width: 200, height: 200});
          canvas.getContext("2d").fillRect(0, 0, 200, 200);
          const blob = await new Promise((done) => canvas.toBlob(done));
          const data = new DataTransfer();
          data.items.add(new File([blob], "x.png", {type: "image/png"}));
          document.body.dispatchEvent(
            new ClipboardEvent("paste", {clipboardData: data, bubbles: true}));
        }"""
    )
    visitor.page.wait_for_selector(".photo-frame img")


def test_photo_can_be_removed(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(GREY))
    visitor.page.wait_for_selector("#generate:not([disabled])")
    visitor.page.click(".photo-remove")
    visitor.page.wait_for_selector("#generate[disabled]")
    assert visitor.page.is_visible(".photo-browse")


def test_without_webgl_the_page_still_works(visit, stub_site, photo):
    script = "HTMLCanvasElement.prototype.getContext = () => null;"
    visitor = visit(stub_site[0])
    visitor.page.add_init_script(script)
    visitor.open()
    assert "WebGL" in visitor.text(".viewer-note")
    visitor.upload(photo(GREY))
    visitor.generate()
    visitor.page.wait_for_selector("#download")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_phone_scrolls_down_only_and_the_viewer_stays_in_sight(visit, stub_site, scheme):
    visitor = visit(stub_site[0], color_scheme=scheme, has_touch=True)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    visitor.page.evaluate("() => window.scrollTo(0, 900)")
    assert visitor.page.evaluate("() => window.scrollY") == 900
    assert visitor.page.locator(".viewer").bounding_box()["y"] == pytest.approx(0, abs=12)
    assert visitor.page.evaluate(
        "dark => document.body.classList.contains('dark') === dark", scheme == "dark"
    )
