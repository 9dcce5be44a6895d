"""Training subjects look as their words say."""

from dataclasses import replace

import numpy as np
import pytest

from id2head_core.prompts import BEARDS, HAIR_COLOURS, HAIR_STYLES, hair_colour, style_word
from id2head_core.template.hair import BALD
from id2head_core.training import subjects as subjects_module
from id2head_core.training.subjects import (
    ANCESTRY_DARKNESS,
    COLOUR_SHARES,
    STYLE_SHARES,
    SubjectMaker,
    drawn_folds,
    strand_texture,
    subjects,
)
from tests.geometry.geometry_oracle import templates
from tests.training.subject_bench import BLONDE, maker, write_person


@pytest.fixture(scope="module")
def painted() -> list:
    return [subject for _, subject in subjects(maker(), 0, 24, seed=0)]


def brightness(subject) -> float:
    """Median of the face's skin."""
    skin = subject.appearance.materials["skin"].albedo
    return float(np.median(skin[maker().regions.face > 0.5]))


def test_shares_are_distributions_over_what_can_be_said():
    assert len(COLOUR_SHARES) == len(HAIR_COLOURS) and sum(COLOUR_SHARES) == pytest.approx(1)
    for shares in STYLE_SHARES.values():
        assert set(shares) == set(HAIR_STYLES) and sum(shares.values()) == pytest.approx(1)


def test_hair_is_what_the_words_say(painted):
    template, hair = templates()
    proxy = hair.proxy_vertices(template.mean)
    styles = {subject.looks.style for subject in painted}
    assert len(styles) >= 6
    for subject in painted:
        looks, shell = subject.looks, subject.geometry.part("hair")
        if looks.style == "bald":
            assert shell is None and subject.hair.style == BALD and looks.colour == ""
            assert "hair" not in subject.appearance.materials
            continue
        measured = style_word(subject.hair.thickness, proxy, subject.hair.style)
        nearly = {"afro": {"afro", "short"}, "short": {"short", "buzzcut"}}
        assert measured in nearly.get(looks.style, {looks.style}), subject.hair.style
        ratio = np.log(subject.hair.colour / hair_colour(looks.colour))
        assert np.abs(ratio).max() < 0.6 or subject.hair.colour.max() > 0.9
        albedo = subject.appearance.materials["hair"].albedo.reshape(-1, 3)
        np.testing.assert_allclose(np.median(albedo, 0), subject.hair.colour, rtol=0.2, atol=0.02)


def test_skin_is_as_dark_as_its_ancestry(painted):
    medians = {
        name: np.median([brightness(s) for s in painted if s.looks.ancestry == name])
        for name in ANCESTRY_DARKNESS
    }
    assert medians["european"] > medians["asian"] > 1.3 * medians["african"]


def test_folds_deepen_with_age_and_differ_between_people():
    drawn = {
        age: np.stack([drawn_folds(age, np.random.default_rng(seed)) for seed in range(40)])
        for age in (8, 30, 70)
    }
    assert drawn[8].mean() < 0.3 < 0.45 < drawn[30].mean() < 0.7 < 0.85 < drawn[70].mean()
    assert all((d >= 0).all() and (d <= 1).all() and d.mean(1).std() > 0.02 for d in drawn.values())


def test_only_grown_men_have_beards(painted):
    bearded = [s for s in painted if s.looks.beard]
    assert bearded and {s.looks.beard for s in painted} <= {"", *BEARDS}
    assert all(s.looks.gender == "man" and s.looks.age > 20 for s in bearded)


def test_subjects_are_deterministic_and_different(painted):
    _, again = next(subjects(maker(), 7, 1, seed=0))
    assert again.looks == painted[7].looks
    np.testing.assert_array_equal(again.neutral, painted[7].neutral)
    for name, material in again.appearance.materials.items():
        np.testing.assert_array_equal(material.albedo, painted[7].appearance.materials[name].albedo)
    _, other = next(subjects(maker(), 7, 1, seed=1))
    assert not np.array_equal(other.neutral, again.neutral)
    assert all(s.embedding is None and s.kind == "painted" for s in painted)
    assert all(np.isfinite(s.neutral).all() for s in painted)


@pytest.fixture(scope="module")
def of_people(tmp_path_factory) -> SubjectMaker:
    folder = tmp_path_factory.mktemp("people")
    for number in range(2):
        write_person(folder / f"person_0_{number:05d}.npz", age=50.0 + number)
    return SubjectMaker(*templates(), sorted(folder.iterdir()))


def test_kinds_take_turns_and_people_are_used_one_after_the_other(of_people):
    drawn = list(subjects(of_people, 2, 5, seed=0))
    assert [number for number, _ in drawn] == [2, 3, 4, 5, 6]
    assert [subject.kind for _, subject in drawn] == [
        "recombined", "painted", "photoreal", "recombined", "painted"]  # fmt: skip
    assert [drawn[i][1].looks.age for i in (0, 2, 3)] == [50, 51, 51]


def test_a_person_keeps_hair_and_face(of_people):
    with np.load(of_people.people[0]) as person:
        subject = of_people.photoreal(0, np.random.default_rng(0))
        np.testing.assert_array_equal(subject.embedding, person["embedding"])
        np.testing.assert_array_equal(subject.neutral, person["neutral"])
        own, combed = person["thickness"].astype(np.float32), subject.hair.thickness
    assert np.array_equal(combed[own <= 0], own[own <= 0]) and (combed[own > 0] > 0).all()
    changed = np.abs(combed - own)[own > 0]  # their own hair in other locks
    assert 5e-4 < changed.mean() < 6e-3
    assert abs(combed[own > 0].mean() / own[own > 0].mean() - 1) < 0.05
    scalp = of_people.atlas.image(templates()[0].regions["scalp"]) > 0.9
    skin = subject.appearance.materials["skin"].albedo  # the photo's hair, as it was
    np.testing.assert_allclose(np.median(skin[scalp], 0), BLONDE, rtol=0.1)
    looks = subject.looks
    assert (looks.age, looks.gender, looks.style, looks.colour) == (50, "woman", "long", "blonde")
    hair = subject.appearance.materials["hair"].albedo  # darker between the locks
    assert np.median(hair) == pytest.approx(0.3, abs=0.02) and 0.2 < hair.min() < hair.max() < 0.4
    assert subject.geometry.part("brows") is None  # their skin shows their own
    assert subject.geometry.part("hair") is not None and subject.geometry.part("lashes") is None


def test_a_recombined_person_keeps_the_face_and_changes_the_hair(of_people):
    own = of_people.photoreal(0, np.random.default_rng(0))
    drawn = [of_people.recombined(0, np.random.default_rng(seed)) for seed in range(2)]
    assert len({subject.hair.style for subject in drawn}) == 2
    inner = of_people.regions.face > 0.9
    for subject in drawn:
        np.testing.assert_array_equal(subject.embedding, own.embedding)
        np.testing.assert_array_equal(subject.neutral, own.neutral)
        assert (subject.looks.age, subject.looks.gender) == (50, "woman")
        same = replace(own.looks, style=subject.looks.style, colour=subject.looks.colour)
        assert subject.looks == same
        skins = [s.appearance.materials["skin"].albedo for s in (own, subject)]
        changed = np.abs(skins[0] - skins[1]).max(-1)
        assert np.median(changed[inner]) < 1e-3


def test_no_scalp_in_hair_colour_stays_on_a_bald_recombination(of_people, monkeypatch):
    monkeypatch.setattr(subjects_module, "STYLE_SHARES", {"woman": {"bald": 1.0}})
    subject = of_people.recombined(0, np.random.default_rng(0))
    assert subject.looks.style == "bald" and subject.geometry.part("hair") is None
    skin = subject.appearance.materials["skin"].albedo
    scalp = of_people.atlas.image(templates()[0].regions["scalp"]) > 0.9
    face = np.median(skin[of_people.regions.face > 0.9], 0)
    np.testing.assert_allclose(np.median(skin[scalp], 0), face, rtol=0.15)


def test_strands_vary_across_and_hardly_along():
    """Columns run around the head, rows along the strands."""
    texture = strand_texture(np.array([0.2, 0.1, 0.05]), np.random.default_rng(0))
    assert texture.dtype == np.float32 and texture.min() >= 0 and texture.max() <= 1
    along, across = (np.abs(np.diff(texture[..., 0], axis=axis)).mean() for axis in (0, 1))
    assert across > 3 * along
    np.testing.assert_allclose(np.median(texture, (0, 1)), [0.2, 0.1, 0.05], rtol=0.1)
