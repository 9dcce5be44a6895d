"""What a visitor sees while a head is made, and what the page leaves alone meanwhile."""

import pytest

pytestmark = pytest.mark.browser

GREY, WHITE, MAGENTA = (120,) * 3, (255,) * 3, (255, 0, 255)
FRAMES = """async () => {
    const bar = document.querySelector(".run-bar i");
    let glides = 0, steps = 0;
    bar.addEventListener("transitionrun", () => glides++);
    new MutationObserver(() => steps++).observe(bar, { attributes: true });
    for (let i = 0; i < 100 && steps < 2; i++) await new Promise((done) => setTimeout(done, 100));
    return [steps, glides];
}"""
LEAVE = """() => {
    const event = new Event("beforeunload", { cancelable: true });
    window.dispatchEvent(event);
    return event.defaultPrevented;
}"""


def in_sight(visitor) -> bool:
    """Whether the line of progress is between the head and the lower edge of the window."""
    line = visitor.page.locator(".run-message").bounding_box()
    head = visitor.page.locator("#stage").bounding_box()
    lower = visitor.page.viewport_size["height"]
    return head["y"] + head["height"] <= line["y"] and line["y"] + line["height"] <= lower


def test_software_draws_no_frames_between_two_steps_of_the_bar(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(WHITE))
    visitor.generate(until="running")
    visitor.wait_head()
    steps, glides = visitor.page.evaluate(FRAMES)
    assert steps >= 2 and glides == 0


def test_the_photo_makes_room_while_its_head_is_made(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(WHITE))
    asks = (".photo-note", ".photo-remove", ".photo-examples-row")
    visitor.page.wait_for_selector("#generate:not([disabled])")
    assert all(visitor.page.is_visible(one) for one in asks)
    height = visitor.page.locator(".photo-frame").bounding_box()["height"]
    visitor.generate(until="running")
    assert not any(visitor.page.is_visible(one) for one in asks)
    assert visitor.page.is_visible("#keep")
    assert visitor.page.locator(".photo-frame").bounding_box()["height"] < 0.6 * height
    visitor.page.wait_for_selector(".run-strip img")
    visitor.wait_run("done")
    assert visitor.page.is_visible(".photo-examples-row")
    assert not visitor.page.is_visible(".photo-note") and visitor.text(".run-message")
    assert not visitor.page.is_visible(".run-strip")


def test_progress_is_in_sight_on_a_phone(visit, stub_site, photo):
    visitor = visit(stub_site[0], has_touch=True)
    visitor.page.set_viewport_size({"width": 390, "height": 844})
    visitor.upload(photo(GREY))
    visitor.generate()
    visitor.wait_head()  # from now on the head stays at the top of the window
    visitor.page.fill("#edit-text :is(input, textarea)", "with green skin")
    visitor.page.evaluate("() => document.querySelector('#edit-apply').scrollIntoView(false)")
    assert not in_sight(visitor)
    visitor.page.click("#edit-apply")
    visitor.wait_run("running")
    visitor.page.wait_for_timeout(300)
    assert in_sight(visitor)
    visitor.wait_run("done")
    visitor.upload(photo(MAGENTA))
    visitor.generate(until="running")
    visitor.page.wait_for_timeout(300)
    assert in_sight(visitor)


def test_leaving_is_asked_about_only_while_something_would_be_lost(visit, stub_site, photo):
    visitor = visit(stub_site[0])
    visitor.upload(photo(MAGENTA))
    assert visitor.page.evaluate(LEAVE) is False
    visitor.generate(until="running")
    assert visitor.page.evaluate(LEAVE) is True
    visitor.page.click("#cancel")
    visitor.wait_run("idle")
    assert visitor.page.evaluate(LEAVE) is False
