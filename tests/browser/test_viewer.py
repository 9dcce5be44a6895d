"""The viewer in a browser: expressions, light, looks, pictures, presenter mode, no WebGL."""

import io

import numpy as np
import pytest
from PIL import Image

from id2head_core.expressions import EXPRESSIONS
from tests.browser.conftest import Visit, changed_pixels
from tests.synthetic_head import STILL_IN_SKIN

pytestmark = pytest.mark.browser

GREY = (120, 120, 120)
KEYS = "1234567890qwe"


@pytest.fixture(scope="module")
def finished(chromium, stub_site, tmp_path_factory):
    """A visitor whose head is finished and whose expressions have their pictures; shared."""
    path = tmp_path_factory.mktemp("photo") / "photo.png"
    Image.new("RGB", (320, 400), GREY).save(path)
    visitor = Visit(chromium, stub_site[0]).open()
    visitor.upload(path)
    visitor.generate()
    visitor.wait_head()
    visitor.page.wait_for_selector(".viewer-strip[data-pictures]")
    yield visitor
    visitor.context.close()


@pytest.fixture
def viewer(finished):
    """The shared visitor with everything as it was at first, the keyboard on the head."""
    finished.page.focus("canvas")
    finished.page.keyboard.press("r")
    finished.page.evaluate("() => document.querySelector('[data-background=studio]').click()")
    finished.settle()
    return finished


def state(visitor, field: str):
    return visitor.page.evaluate(f"() => id2head.{field}")


def test_every_expression_has_a_picture_of_the_head_itself(viewer):
    camera = state(viewer, "viewer.camera.position.toArray()")
    pictures = viewer.page.evaluate(
        "() => [...document.querySelectorAll('canvas.tile-face')].map((c) => c.toDataURL())"
    )
    assert len(pictures) == len(EXPRESSIONS)
    moving = [p for p, name in zip(pictures, EXPRESSIONS, strict=True) if name != STILL_IN_SKIN]
    assert len(set(moving)) > 0.7 * len(moving)
    before = viewer.pixels()
    viewer.requests.clear()
    taken = viewer.page.evaluate(
        "() => id2head.viewer.portrait({ Angry: 1 }, 96, { preset: 'back' }).toDataURL()"
    )
    assert taken not in pictures
    assert state(viewer, "viewer.camera.position.toArray()") == pytest.approx(camera)
    assert changed_pixels(before, viewer.pixels()) == 0
    assert viewer.requests == []


def test_picture_has_the_colours_of_the_screen(viewer):
    data = viewer.page.evaluate(
        """() => { const picture = id2head.viewer.portrait({}, 96, { preset: 'front' });
          return [...picture.getContext('2d').getImageData(1, 1, 1, 1).data]; }"""
    )
    backdrop = viewer.pixels()[2, 2]
    assert np.abs(np.array(data[:3]) - backdrop).max() < 8


def test_click_on_a_picture_shows_it_and_another_click_neutral(viewer):
    neutral = viewer.pixels()
    viewer.page.click("[data-expression=Grin]")
    viewer.settle()
    assert viewer.page.input_value("#expression-grin") == "1"
    assert viewer.page.get_attribute("[data-expression=Grin]", "aria-pressed") == "true"
    assert changed_pixels(neutral, viewer.pixels()) > 300
    viewer.page.click("[data-expression=Grin]")
    viewer.settle()
    assert set(state(viewer, "expressions").values()) == {0}
    assert changed_pixels(neutral, viewer.pixels()) < 50


def test_play_all_shows_every_expression_and_ends_neutral(viewer):
    viewer.page.evaluate(
        """() => { window.seen = new Set(); window.watching = setInterval(() => {
          const on = Object.entries(id2head.expressions).filter(([, weight]) => weight === 1);
          for (const [name] of on) seen.add(name);
        }, 50); }"""
    )
    viewer.page.click("#play-all")
    assert state(viewer, "playing") is True
    viewer.page.wait_for_function("() => !id2head.playing", timeout=60_000)
    seen = viewer.page.evaluate("() => { clearInterval(watching); return [...seen]; }")
    assert sorted(seen) == sorted(EXPRESSIONS)
    assert set(state(viewer, "expressions").values()) == {0}


def test_a_moved_slider_stops_play_all(viewer):
    viewer.page.click("#play-all")
    viewer.page.fill("#expression-dimpler", "0.5")
    assert state(viewer, "playing") is False
    viewer.page.wait_for_timeout(1500)
    assert state(viewer, "expressions.Dimpler") == 0.5


def test_views_differ_and_albedo_knows_no_light(viewer):
    pictures = {}
    for view in ("shaded", "albedo", "normals", "wireframe"):
        viewer.page.click(f"[data-view={view}]")
        viewer.settle()
        pictures[view] = viewer.pixels()
        assert viewer.page.get_attribute(f"[data-view={view}]", "aria-checked") == "true"
    for first in pictures:
        for second in pictures:
            if first < second:
                assert changed_pixels(pictures[first], pictures[second]) > 5000, (first, second)
    viewer.page.click("[data-view=albedo]")
    viewer.page.click("[data-preset=back]")
    viewer.settle()
    assert changed_pixels(pictures["albedo"], viewer.pixels()) == 0
    height, width = pictures["normals"].shape[:2]
    towards_camera = pictures["normals"][height // 2, width // 2]
    assert towards_camera[2] > 200 and np.abs(towards_camera[:2] - 128).max() < 70


def test_colour_of_the_light_tints_the_head(viewer):
    white = viewer.pixels()
    viewer.page.click("[title='Cool light']")
    viewer.settle()
    cool = viewer.pixels()
    assert (cool[..., 2] - cool[..., 0]).mean() > (white[..., 2] - white[..., 0]).mean() + 3


def test_shadow_gets_softer(viewer):
    viewer.page.click("[data-preset=direct]")
    pictures = []
    for softness in ("0", "1"):
        viewer.page.fill("#light-softness", softness)
        viewer.settle()
        pictures.append(viewer.pixels())
    viewer.page.fill("#light-softness", "0.35")
    assert changed_pixels(*pictures) > 100


def test_turntable_turns_until_it_is_stopped(viewer):
    start = state(viewer, "viewer.camera.position.x")
    viewer.page.click("#turntable")
    assert viewer.page.get_attribute("#turntable", "aria-pressed") == "true"
    viewer.page.wait_for_function(
        "x => Math.abs(id2head.viewer.camera.position.x - x) > 0.05", arg=start
    )
    viewer.page.click("#turntable")
    viewer.settle()
    viewer.page.wait_for_timeout(600)
    frames = state(viewer, "viewer.frames")
    viewer.page.wait_for_timeout(600)
    assert state(viewer, "viewer.frames") == frames


def saved(visitor, selector: str) -> tuple[str, bytes]:
    """Click and return the name and content of the file that the browser saves."""
    with visitor.page.expect_download(timeout=120_000) as waiting:
        visitor.page.click(selector)
    download = waiting.value
    return download.suggested_filename, download.path().read_bytes()


def test_picture_without_a_background_is_cut_out(viewer):
    viewer.page.click("#background")
    viewer.page.click("[data-background=clear]")
    name, content = saved(viewer, "#save-picture")
    picture = np.asarray(Image.open(io.BytesIO(content)))
    height, width = picture.shape[:2]
    assert name == "id2head.png" and height >= 900
    assert picture[5, 5, 3] == 0 and picture[height // 2, width // 2, 3] == 255


def test_video_of_one_turn(viewer):
    camera = state(viewer, "viewer.camera.position.toArray()")
    name, content = saved(viewer, "#save-video")
    kind = content[4:8] == b"ftyp" if name.endswith(".mp4") else content[:4] == b"\x1a\x45\xdf\xa3"
    assert kind and len(content) > 10_000
    after = state(viewer, "viewer.camera.position.toArray()")
    assert after == pytest.approx(camera, abs=1e-3)


def test_video_is_refused_with_a_reason(viewer):
    viewer.page.evaluate("() => { window.kept = MediaRecorder; delete window.MediaRecorder; }")
    viewer.page.click("#save-video")
    assert "cannot record video" in viewer.text(".viewer-note")
    viewer.page.evaluate(
        """() => { window.MediaRecorder = kept;
          document.querySelector('.viewer-note').hidden = true; }"""
    )


def test_keys_panel_opens_and_escape_closes_it(viewer):
    viewer.page.click("#keys")
    assert viewer.page.is_visible(".viewer-keys")
    assert "turntable" in viewer.text(".viewer-keys")
    viewer.page.keyboard.press("Escape")
    assert not viewer.page.is_visible(".viewer-keys")


def test_presenter_mode_by_the_keyboard_alone(viewer):
    page = viewer.page
    viewer.requests.clear()
    page.keyboard.press("p")
    box = page.locator(".viewer").bounding_box()
    assert (box["x"], box["y"]) == (0, 0)
    assert (box["width"], box["height"]) == (1100, 640)
    assert not page.is_visible("#generate") and not page.is_visible("#light")
    for key, name in zip(KEYS, EXPRESSIONS, strict=True):
        page.keyboard.press(key)
        assert state(viewer, f"expressions[{name!r}]") == 1, name
        assert sum(state(viewer, "expressions").values()) == 1
    assert viewer.text(".presenter-caption") == EXPRESSIONS[-1]
    page.keyboard.press(KEYS[-1])
    assert sum(state(viewer, "expressions").values()) == 0
    azimuth = state(viewer, "light.azimuth")
    page.keyboard.press("ArrowRight")
    assert state(viewer, "light.azimuth") == azimuth + 10
    page.keyboard.press("t")
    assert state(viewer, "viewer.turning") is True
    page.keyboard.press("Space")
    assert state(viewer, "playing") is True
    page.keyboard.press("r")
    assert state(viewer, "playing") is False and state(viewer, "viewer.turning") is False
    assert state(viewer, "light.preset") == "front"
    page.keyboard.press("s")
    assert not page.is_visible("#expressions")
    page.keyboard.press("s")
    assert page.is_visible("#expressions")
    assert "present" in page.url
    page.keyboard.press("Escape")
    assert page.is_visible("#generate") and "present" not in page.url
    assert viewer.requests == []


def test_address_opens_presenter_mode_with_an_example(chromium, stub_site):
    visitor = Visit(chromium, stub_site[0] + "?present=person_1")
    try:
        visitor.page.goto(visitor.address)
        visitor.page.wait_for_selector("body.presenting")
        visitor.wait_head()
        visitor.page.keyboard.press("9")
        assert state(visitor, "expressions.Grin") == 1
        assert not visitor.errors
    finally:
        visitor.context.close()


def test_hold_for_the_head_before(viewer):
    after_first = viewer.pixels()
    assert not viewer.page.is_visible("#compare")
    viewer.page.fill("#edit-text :is(input, textarea)", "with green skin")
    first = state(viewer, "shownUrl")
    viewer.page.press("#edit-text :is(input, textarea)", "Enter")
    viewer.page.wait_for_function("url => id2head.shownUrl !== url", arg=first, timeout=60_000)
    viewer.settle()
    edited = viewer.pixels()
    assert changed_pixels(after_first, edited) > 5000
    viewer.page.wait_for_selector("#compare:not([hidden])")
    viewer.page.wait_for_timeout(2500)
    viewer.requests.clear()
    box = viewer.page.locator("#compare").bounding_box()
    viewer.page.mouse.move(box["x"] + 20, box["y"] + 20)
    viewer.page.mouse.down()
    viewer.settle()
    assert changed_pixels(after_first, viewer.pixels()) < 200
    viewer.page.mouse.up()
    viewer.settle()
    assert changed_pixels(edited, viewer.pixels()) < 200
    assert viewer.requests == []


def test_reduced_motion_jumps(visit, stub_site, photo):
    visitor = visit(stub_site[0], reduced_motion="reduce")
    visitor.upload(photo(GREY))
    visitor.generate()
    visitor.wait_head()
    gliding = visitor.page.evaluate(
        """() => { document.querySelector('[data-expression=Grin]').click();
          return id2head.viewer.glide; }"""
    )
    assert gliding is None
    assert state(visitor, "viewer.weights.Grin") == 1


@pytest.mark.parametrize("there", [True, False])
def test_without_webgl_a_picture_of_the_head_is_shown(visit, stub_site, photo, there):
    visitor = visit(stub_site[0])
    visitor.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    jpeg = io.BytesIO()
    Image.new("RGB", (60, 40), GREY).save(jpeg, "JPEG")
    answer = {"body": jpeg.getvalue(), "content_type": "image/jpeg"} if there else {"status": 404}
    visitor.page.route("**/contact_sheet.jpg*", lambda route: route.fulfill(**answer))
    visitor.open()
    assert "WebGL" in visitor.text(".viewer-note")
    visitor.upload(photo(GREY))
    visitor.generate()
    visitor.page.wait_for_selector("#download")
    if there:
        visitor.page.wait_for_selector(".viewer-sheet:not([hidden])")
        assert not visitor.page.is_visible(".viewer-note")
    else:
        visitor.page.wait_for_timeout(1000)
        assert not visitor.page.is_visible(".viewer-sheet")
        assert "WebGL" in visitor.text(".viewer-note")


def test_touch_targets_on_a_phone(visit, stub_site, photo):
    visitor = visit(stub_site[0], has_touch=True)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.upload(photo(GREY))
    visitor.generate()
    visitor.wait_head()
    assert visitor.page.evaluate("() => document.documentElement.scrollWidth") <= 390
    small = visitor.page.evaluate(
        """() => [...document.querySelectorAll('#stage :is(button, a), #pose :is(button, input)')]
          .filter((e) => e.checkVisibility({ visibilityProperty: true }))
          .map((e) => [e.id || e.className, e.offsetWidth, e.offsetHeight])
          .filter(([, width, height]) => width < 44 || height < 44)"""
    )
    assert small == []


@pytest.mark.parametrize("size", [(1440, 900), (1040, 640), (390, 844)])
def test_no_button_covers_the_face_or_the_hair(viewer, size):
    usual = viewer.page.viewport_size
    try:
        viewer.page.set_viewport_size(dict(zip(("width", "height"), size, strict=True)))
        viewer.page.evaluate("() => { id2head.viewer.resize(); id2head.viewer.resetView(); }")
        viewer.settle()
        top, buttons = viewer.page.evaluate(
            """() => {
              const { head: { box }, camera, canvas } = id2head.viewer;
              const place = camera.position.clone();
              place.set(0, box.max.y, (box.min.z + box.max.z) / 2).project(camera);
              const { top, height } = canvas.getBoundingClientRect();
              const lowest = document.querySelector(".viewer-views").getBoundingClientRect().bottom;
              return [(height * (1 - place.y)) / 2, lowest - top];
            }"""
        )
        assert buttons < top < buttons + 60
    finally:
        viewer.page.set_viewport_size(usual)


def test_a_taller_head_is_framed_anew_unless_the_visitor_chose_the_view(viewer):
    own = state(viewer, "viewer.camera.position.toArray()")
    grow = "(by) => { const v = id2head.viewer; v.head.box.max.y += by; v.frame(); }"
    try:
        viewer.page.evaluate(grow, 0.01)  # little: the picture stays calm
        assert state(viewer, "viewer.camera.position.toArray()") == pytest.approx(own)
        viewer.page.evaluate(grow, 0.07)
        taller = state(viewer, "viewer.camera.position.toArray()")
        assert taller[1] > own[1] and taller[2] > own[2] + 0.05
        viewer.page.evaluate("() => id2head.viewer.orbit(20, 0)")
        turned = state(viewer, "viewer.camera.position.toArray()")
        viewer.page.evaluate(grow, 0.08)
        assert state(viewer, "viewer.camera.position.toArray()") == pytest.approx(turned)
    finally:
        viewer.page.evaluate("() => { id2head.viewer.head.box.max.y -= 0.16; }")
