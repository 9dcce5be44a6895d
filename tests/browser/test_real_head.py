"""The app as it is, with its real pipeline and weights: from an example photo to the download."""

import pygltflib
import pytest

from id2head_core.expressions import EXPRESSIONS
from id2head_core.ui.light_picker import PRESETS
from tests.browser.conftest import changed_pixels

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def visitor(chromium, real_site):
    """A visitor whose head was made from the first example."""
    from tests.browser.conftest import Visit

    visitor = Visit(chromium, real_site[0]).open()
    visitor.page.click("[data-example=astronaut]")
    visitor.generate()
    visitor.wait_head()
    yield visitor
    visitor.context.close()


def test_head_appears(visitor):
    picture = visitor.pixels()
    visitor.page.evaluate("() => { id2head.viewer.root.visible = false }")
    empty = visitor.pixels()
    visitor.page.evaluate("() => { id2head.viewer.root.visible = true }")
    assert changed_pixels(picture, empty) > 0.15 * picture[..., 0].size
    assert not visitor.errors


def test_smooth_hair_shines_and_leaves_the_skin_alone(visitor):
    meshes = "id2head.viewer.head.meshes.filter((m) => /hair|strands/.test(m.userData.part))"
    before = visitor.page.evaluate(f"() => {meshes}.map((m) => m.userData.shaded.roughness)")
    pictures = []
    paint = f"""values => {{
        {meshes}.forEach((mesh, i) => {{ mesh.userData.shaded.roughness = values[i]; }});
        id2head.viewer.invalidate();
    }}"""
    for values in ([0.55] * len(before), [1.0] * len(before), before):
        visitor.page.evaluate(paint, values)
        visitor.settle()
        pictures.append(visitor.pixels().sum(-1))
    brighter = pictures[0] - pictures[1]
    assert (brighter > 9).sum() > 0.03 * brighter.size
    assert (brighter < -9).sum() < 0.02 * (brighter > 9).sum()
    height, width = brighter.shape
    face = brighter[height // 2 :, 2 * width // 5 : 3 * width // 5]
    assert (abs(face) > 9).mean() < 0.001  # a strand may hang there
    assert not visitor.errors


def test_every_expression_moves_the_face(visitor):
    neutral = visitor.pixels()
    visitor.requests.clear()
    for name in EXPRESSIONS:
        slider = visitor.page.locator("#expression-" + name.lower().replace(" ", "-"))
        slider.focus()
        visitor.page.keyboard.press("End")
        visitor.settle()
        moved = changed_pixels(neutral, visitor.pixels())
        assert moved > 300, f"{name} changed {moved} pixels"
        visitor.page.keyboard.press("Home")
        visitor.settle()
    assert changed_pixels(neutral, visitor.pixels()) < 50
    assert visitor.requests == []


def test_every_light_shades_the_face(visitor):
    pictures = {}
    for preset in PRESETS:
        visitor.page.click(f"[data-preset={preset}]")
        visitor.settle()
        pictures[preset] = visitor.pixels()
    visitor.page.click("[data-preset=front]")
    names = sorted(PRESETS)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            assert changed_pixels(pictures[first], pictures[second]) > 5000, (first, second)


def test_download_has_13_morph_targets(visitor, tmp_path):
    with visitor.page.expect_download() as waiting:
        visitor.page.click("#download")
    waiting.value.save_as(tmp_path / "head.glb")
    head = pygltflib.GLTF2().load(str(tmp_path / "head.glb"))
    assert head.meshes[0].extras["targetNames"] == list(EXPRESSIONS)
