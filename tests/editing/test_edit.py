"""What a wish changes at once, and what it leaves alone."""

from dataclasses import replace

import numpy as np
import pytest

from id2head_core import weights
from id2head_core.appearance.albedo import AppearanceBuilder
from id2head_core.appearance.hair_texture import cut_out
from id2head_core.appearance.plain_look import plain_appearance
from id2head_core.camera import orbit_camera
from id2head_core.editing.edit import HeadEditor
from id2head_core.editing.head_state import HeadState
from id2head_core.editing.skin_start import beard_area, bearded
from id2head_core.editing.wish_list import Wish
from id2head_core.errors import EditError
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.prompts import BEARDS, hair_colour
from id2head_core.structures import HairFit, HeadFit
from id2head_core.template.hair import HairTemplate, texture_uv
from id2head_core.template.head_template import HeadTemplate

SIZE = 256


@pytest.fixture(scope="module")
def template():
    return HeadTemplate.load()


@pytest.fixture(scope="module")
def hair_template():
    return HairTemplate.load()


@pytest.fixture(scope="module")
def editor(template, hair_template):
    return HeadEditor(template, hair_template, AppearanceBuilder(template, hair_template, SIZE))


@pytest.fixture(scope="module")
def head(template, hair_template):
    """A man with a bob who was never photographed."""
    neutral = template.neutral(np.zeros(0, np.float32))
    none = np.zeros_like(neutral)
    fit = HeadFit(orbit_camera(), 0.0, 0.0, 0.0, np.zeros(3, np.float32),
                  np.zeros(len(template.action_names), np.float32), none, neutral, neutral,
                  1.0)  # fmt: skip
    index = hair_template.styles.index("bob01")
    colour = np.float32([0.05, 0.03, 0.02])
    hair = HairFit("bob01", hair_template.thickness[index].astype(np.float32), colour)
    geometry = build_geometry(template, hair_template, fit, hair)
    look = plain_appearance(template, geometry, 30, 0.1, SIZE)
    embedding = np.eye(512, dtype=np.float32)[0]
    return HeadState(fit, hair, look, np.ones((SIZE, SIZE), np.float32), None, embedding, 30.0,
                     0.1, 0.36)  # fmt: skip


def start(editor, head, *wishes, target="both", strength=1.0):
    return editor.start(head, tuple(Wish(*wish) for wish in wishes), "text", target, strength)


def luminance(image):
    return image @ np.float32([0.2126, 0.7152, 0.0722])


def test_hair_takes_the_named_colour_and_nothing_else_moves(editor, head):
    after = start(editor, head, ("colour", "green")).state
    red, green, blue = after.appearance.materials["hair"].albedo.mean((0, 1))
    assert green > 2 * red and green > 2 * blue
    np.testing.assert_allclose(after.hair.colour, hair_colour("green"))
    assert np.array_equal(after.fit.neutral, head.fit.neutral)
    assert np.array_equal(after.hair.thickness, head.hair.thickness)
    face = editor.builder.regions.skin_reference
    before, now = (s.appearance.materials["skin"].albedo[face] for s in (head, after))
    assert np.quantile(np.abs(now - before), 0.9) < 2e-3  # the rim of the hair lies on cheeks


def test_buzzcut_loses_four_fifths_of_the_volume_and_keeps_the_colour(editor, head):
    started = start(editor, head, ("style", "buzzcut"))
    before, after = (np.maximum(h.thickness, 0).sum() for h in (head.hair, started.state.hair))
    assert 0 < after < 0.2 * before
    assert started.new_hair and "buzzcut" in started.prompt and "bob" in started.against
    np.testing.assert_array_equal(started.state.hair.colour, head.hair.colour)


def test_buzzcut_keeps_a_receding_hairline_and_covers_a_bald_head(editor, head):
    receding = head.hair.thickness.copy()
    bare = np.flatnonzero(receding > 0)[::5]
    receding[bare] = -0.01
    cropped, covered = (
        start(editor, replace(head, hair=replace(head.hair, thickness=thickness)),
              ("style", "buzzcut")).state.hair.thickness
        for thickness in (receding, np.full_like(receding, -0.01))
    )  # fmt: skip
    assert (cropped[bare] < 0).all() and (cropped > 0).any()
    assert (covered > 0).sum() > (cropped > 0).sum()


@pytest.mark.parametrize("style", ["long", "short"])
def test_strands_end_at_the_new_outline(editor, head, hair_template, style):
    old = head.appearance.materials["hair"]
    cut = replace(old, alpha=cut_out(hair_template, head.hair, head.fit, len(old.albedo)))
    after = start(editor, head.with_materials(hair=cut), ("style", style)).state
    alpha = after.appearance.materials["hair"].alpha
    outline = hair_template.outline_distance(after.hair.thickness).ravel()
    column, row = (texture_uv(hair_template) * (alpha.shape[1], alpha.shape[0])).T.astype(int)
    shown = alpha[row.clip(0, len(alpha) - 1), column.clip(0, alpha.shape[1] - 1)]
    assert (shown[outline > 0.008] > 0.5).all()  # no holes where hair is new
    assert (shown[outline < -0.012] < 0.5).all()
    was = hair_template.outline_distance(head.hair.thickness).ravel()
    grown, gone = (outline > 0.008) & (was < -0.012), (was > 0.008) & (outline < -0.012)
    assert (grown if style == "long" else gone).sum() > 100


def test_bald_leaves_no_hair_and_plain_skin_on_the_scalp(editor, head, template):
    covered = start(editor, head, ("colour", "black")).state  # paints the scalp
    bald = start(editor, covered, ("style", "bald")).state
    assert not (bald.hair.thickness > 0).any()
    scalp = editor.builder.atlas.image(template.regions["scalp"]) > 0.9
    cheeks = editor.builder.regions.skin_reference
    skin = luminance(bald.appearance.materials["skin"].albedo)
    assert np.median(skin[scalp]) > 0.6 * np.median(skin[cheeks])


def test_gender_and_age_move_the_shape_along_their_axes(editor, head):
    def moved(*wishes):
        return start(editor, head, *wishes).state.fit.neutral - head.fit.neutral

    woman, man = moved(("gender", "woman")), moved(("gender", "man"))
    assert (woman * man).sum() < 0
    assert np.abs(woman).max() > 2 * np.abs(man).max()  # the head is a man's already
    baby, old = moved(("age", "baby")), moved(("age", "older"))
    face = editor.template.regions["face"] > 0.5
    assert np.abs(baby[face]).mean() > 0.002
    assert np.abs(old[face]).mean() > 0.0005


def test_a_woman_gets_longer_hair_only_from_short(editor, head, hair_template):
    index = hair_template.styles.index("short03")
    short = HairFit("short03", hair_template.thickness[index].astype(np.float32),
                    head.hair.colour)  # fmt: skip
    longer = start(editor, replace(head, hair=short), ("gender", "woman"))
    assert longer.new_hair and longer.state.hair.style == "long01"
    same = start(editor, head, ("gender", "woman"))
    assert not same.new_hair and same.state.hair.style == "bob01"


def test_thin_face_is_local(editor, head, template):
    moved = np.linalg.norm(
        start(editor, head, ("face", "thin")).state.fit.neutral - head.fit.neutral, axis=1
    )
    scalp = template.regions["scalp"] > 0.9
    assert np.median(moved[scalp]) < 0.001
    assert moved[template.regions["face"] > 0.5].max() > 0.002


@pytest.mark.parametrize("beard", ["beard", "stubble", "moustache"])
def test_beard_darkens_the_lower_face_only(editor, head, beard):
    after = start(editor, head, ("beard", beard)).state
    before, now = (luminance(s.appearance.materials["skin"].albedo) for s in (head, after))
    regions, change = editor.builder.regions, now - before
    above = regions.y > 0.0  # at the eyes
    assert np.abs(change[above]).max() < 1e-5
    assert change.min() < (-0.02 if beard == "stubble" else -0.1)


def test_a_moustache_is_narrow_and_stubble_is_thin(editor):
    regions, black = editor.builder.regions, np.full(3, 0.01, np.float32)
    skin, areas, widths, covers = np.full((*regions.face.shape, 3), 0.5, np.float32), {}, {}, {}
    for beard in BEARDS:
        cover = (skin - bearded(regions, skin, beard, black))[..., 0]
        areas[beard] = float((cover > 0.03).mean())
        widths[beard] = float(np.abs(regions.x[cover > 0.03]).max())
        covers[beard] = float(cover.max())
        upper = (regions.y > regions.nose_tip[1]) & (np.abs(regions.x) < 0.5)
        assert cover[upper & (regions.face > 0.5)].max() < 1e-3  # nose, inner cheeks, brow
    assert areas["moustache"] < 0.5 * areas["beard"]
    assert widths["moustache"] < 0.6 < 0.9 < widths["beard"]
    assert 0.1 < covers["stubble"] < 0.3 < min(covers["beard"], covers["moustache"])


def test_a_woman_and_a_baby_have_no_beard(editor, head):
    own = start(editor, head, ("beard", "beard")).state
    chin = beard_area(editor.builder.regions) > 0.95
    before = np.median(luminance(own.appearance.materials["skin"].albedo)[chin])
    for wish in (("gender", "woman"), ("age", "baby")):
        shaved = start(editor, own, wish)
        skin = shaved.state.appearance.materials["skin"].albedo
        assert np.median(luminance(skin)[chin]) > 2 * before
        assert "beard" in shaved.against and "beard" not in shaved.prompt


def test_freckles_are_small_darker_spots_on_the_cheeks(editor, head):
    after = start(editor, head, ("freckles", "yes")).state
    before, now = (luminance(s.appearance.materials["skin"].albedo) for s in (head, after))
    spots = now < before - 0.01
    assert 0.002 < spots.mean() < 0.1
    assert not (now > before + 1e-5).any()


def test_eyes_change_colour_and_the_skin_does_not(editor, head):
    after = start(editor, head, ("eyes", "blue")).state
    eyes = [s.appearance.materials["eyes"].albedo for s in (head, after)]
    assert np.abs(eyes[1] - eyes[0]).max() > 0.05
    skins = [s.appearance.materials["skin"].albedo for s in (head, after)]
    np.testing.assert_allclose(*skins, atol=1e-6)


def test_target_limits_the_edit_to_its_half(editor, head):
    wishes = (("age", "older"), ("gender", "woman"))
    shape = start(editor, head, *wishes, target="geometry").state
    assert not np.array_equal(shape.fit.neutral, head.fit.neutral)
    for name, material in head.appearance.materials.items():
        assert np.array_equal(shape.appearance.materials[name].albedo, material.albedo)
    texture = start(editor, head, *wishes, target="texture").state
    assert np.array_equal(texture.fit.neutral, head.fit.neutral)
    assert np.array_equal(texture.hair.thickness, head.hair.thickness)
    skins = [s.appearance.materials["skin"].albedo for s in (head, texture)]
    assert np.abs(skins[1] - skins[0]).max() > 0.01


@pytest.mark.parametrize(
    ("wish", "options", "match"),
    [
        (("colour", "green"), {"target": "geometry"}, "changes nothing of the geometry"),
        (("face", "thin"), {"target": "texture"}, "changes nothing of the texture"),
        (("age", "older"), {"target": "hat"}, "target 'hat' is unknown"),
        (("age", "older"), {"strength": 3.0}, "strength is 3"),
    ],
)
def test_wrong_options_are_refused(editor, head, wish, options, match):
    with pytest.raises(EditError, match=match):
        start(editor, head, wish, **options)


def test_edits_stack_and_are_remembered(editor, head):
    first = start(editor, head, ("colour", "blonde")).state
    second = start(editor, first, ("beard", "stubble"))
    assert second.state.edits == ("text", "text")
    assert "stubble" in second.prompt and "stubble" not in second.against
    assert "blonde" in second.prompt and "blonde" in second.against


def test_state_survives_the_disk(head, tmp_path):
    path = tmp_path / "head.npz"
    combed = replace(head.hair, comb=np.linspace(0, 1, len(head.hair.thickness)))
    replace(head, hair=combed, edits=("with green hair",), beard="beard").save(path)
    again = HeadState.load(path)
    assert again.edits == ("with green hair",) and again.beard == "beard"
    assert np.array_equal(again.fit.neutral, head.fit.neutral)
    assert np.array_equal(again.hair.thickness, head.hair.thickness)
    assert np.array_equal(again.hair.comb, combed.comb)
    assert again.age == head.age and again.displacements is None
    for name, material in head.appearance.materials.items():
        np.testing.assert_allclose(
            again.appearance.materials[name].albedo, material.albedo, atol=1e-3
        )
    assert [p.name for p in tmp_path.iterdir()] == ["head.npz"]


def test_missing_and_damaged_states_say_so(tmp_path):
    with pytest.raises(EditError, match="not kept for edits"):
        HeadState.load(tmp_path / "none.npz")
    (tmp_path / "bad.npz").write_bytes(b"PK not really")
    with pytest.raises(EditError, match="damaged"):
        HeadState.load(tmp_path / "bad.npz")


def test_ready_heads_can_be_edited():
    states = sorted((weights.weights_root() / "examples").glob("*/head.npz"))
    assert len(states) >= 2
    for path in states:
        head = HeadState.load(path)  # refuses one that an earlier version left
        assert "hair" in head.appearance.materials
