"""Prompts are grammatical, name what was measured, and vary for training."""

import itertools
import re

import numpy as np
import pytest

from id2head_core.prompts import (
    BEARDS,
    COLOUR_SYNONYMS,
    DYES,
    HAIR_COLOURS,
    HAIR_STYLES,
    SKIN_TONES,
    Looks,
    age_word,
    colour_name,
    colour_of,
    describe,
    gender_of,
    gender_word,
    hair_colour,
    skin_word,
    style_word,
    tone_of,
)
from id2head_core.template.hair import BALD
from tests.geometry.geometry_oracle import templates

NATURAL = [name for name in HAIR_COLOURS if name not in DYES]
SAID = {name: (name, *COLOUR_SYNONYMS[name]) for name in HAIR_COLOURS}


@pytest.mark.parametrize(
    ("looks", "prompt"),
    [
        (Looks(), "a person with short hair"),
        (Looks(50, "woman", "long", "blonde"), "a middle-aged woman with long blonde hair"),
        (Looks(30, "man", "afro"), "a man with an afro"),
        (Looks(30, "man", "afro", "black"), "a man with a black afro"),
        (Looks(30, "woman", "bob", "auburn"), "a woman with an auburn bob"),
        (Looks(66, "man", "bald"), "an old bald man"),
        (Looks(25, "man", "bald", "", "", "beard"), "a young bald man with a beard"),
        (Looks(25, "man", "bald", "", "", "stubble"), "a young bald man with stubble"),
        (Looks(30, "man", "short", "red", "", "moustache"),
         "a man with short red hair and a moustache"),
        (Looks(1, "man", "bald"), "a bald baby boy"),
        (Looks(8, "woman", "braid", "brown"), "a girl with braided brown hair"),
        (Looks(8), "a child with short hair"),
        (Looks(2), "a baby with short hair"),
        (Looks(30, "woman", "bob", "", "asian"), "an asian woman with a bob"),
        (Looks(20, "woman", "bob", "", "asian"), "a young asian woman with a bob"),
        (Looks(30, "woman", "bob", "", "european"), "a european woman with a bob"),
        (Looks(30, "woman", "bob", skin="fair"), "a fair-skinned woman with a bob"),
        (Looks(70, "man", "bald", skin="dark"), "an old bald dark-skinned man"),
    ],
)  # fmt: skip
def test_canonical_prompts(looks, prompt):
    assert describe(looks) == prompt


def sound(prompt: str) -> bool:
    """One space between words, nothing unfilled, the right articles."""
    spaced = "  " not in prompt and prompt == prompt.strip() and "{" not in prompt
    wrong = re.search(r"\ba (?!european)[aeiou]|\ban ([^aeiou]|european)", prompt)
    return spaced and not wrong and prompt.split()[0] in ("a", "an")


def test_every_style_and_colour_is_said_in_sound_grammar():
    colours = ["", *itertools.chain(*SAID.values())]
    for style, colour, beard in itertools.product(HAIR_STYLES, colours, ["", *BEARDS]):
        prompt = describe(Looks(40, "man", style, colour, "african", beard))
        assert sound(prompt), prompt
        assert style == "bald" or colour in prompt
        assert not beard or BEARDS[beard].split()[-1] in prompt
    prompts = {style: describe(Looks(style=style)) for style in HAIR_STYLES}
    assert len(set(prompts.values())) == len(HAIR_STYLES)


@pytest.mark.parametrize("style", HAIR_STYLES)
def test_training_prompts_vary_soundly_and_never_lie(style):
    generator = np.random.default_rng(0)
    looks = Looks(62, "woman", style, "red", "european")
    prompts = [describe(looks, generator) for _ in range(300)]
    assert all(sound(prompt) for prompt in prompts)
    assert len(set(prompts)) > 15
    ways = [way.replace("{c} ", "") for way in HAIR_STYLES[style]]
    others = itertools.chain(*(SAID[name] for name in HAIR_COLOURS if name != "red"))
    lie = re.compile(rf"\b({'|'.join(others)}|man|young|asian|african)\b")
    for prompt in prompts:
        assert not lie.search(prompt)
        assert any(way in without_red(prompt) for way in ways), prompt
    with_age = np.mean(["old" in prompt.split() for prompt in prompts])
    assert 0.78 < with_age < 0.92
    assert 0.7 < np.mean(["european" in prompt for prompt in prompts]) < 0.9
    assert 0.01 < np.mean(["person" in prompt for prompt in prompts]) < 0.12
    if style != "bald":
        assert 0.6 < np.mean([" red" in prompt for prompt in prompts]) < 0.8
        colourless = np.mean([not re.search("|".join(SAID["red"]), p) for p in prompts])
        assert 0.02 < colourless < 0.13


def without_red(prompt: str) -> str:
    """The prompt without its colour, whatever the article before it was."""
    plain = re.sub(rf"\b({'|'.join(SAID['red'])})( |$)", "", prompt)
    return plain.replace("with an ", "with a ").strip()


def test_variation_is_the_generators():
    looks = Looks(62, "woman", "long", "red", "european")
    first, again, other = (
        [describe(looks, generator) for _ in range(20)]
        for generator in map(np.random.default_rng, (3, 3, 4))
    )
    assert first == again != other


@pytest.mark.parametrize(
    ("age", "word"),
    [(None, ""), (0, "baby"), (2.9, "baby"), (3, "child"), (11.9, "child"), (12, "young"),
     (28, ""), (44.9, ""), (45, "middle-aged"), (60, "old"), (99, "old")],
)  # fmt: skip
def test_age_words(age, word):
    assert age_word(age) == word


def test_gender_words():
    assert [gender_word(p) for p in (0.0, 0.39, 0.4, 0.6, 0.61, 1.0)] == [
        "man", "man", "person", "person", "woman", "woman"]  # fmt: skip


@pytest.mark.parametrize("name", NATURAL)
def test_colour_names_come_back_from_their_colour(name):
    colour = hair_colour(name)
    assert colour.shape == (3,) and (0 < colour).all() and (colour < 1).all()
    assert colour_name(colour) == name
    assert colour_name(colour * np.float32(1.04)) == name


def test_dyes_are_colours_but_never_measured():
    assert all(colour_name(hair_colour(dye)) in NATURAL for dye in DYES)
    assert {colour_name(np.full(3, x)) for x in (-0.2, 0.0)} == {"black"}


def test_black_hair_that_shines_is_black():
    shining, brown = ((np.array(c) / 255) ** 2.2 for c in ((57, 55, 54), (68, 59, 54)))
    assert colour_name(shining) == "black" and colour_name(brown) == "dark brown"


def test_style_of_each_template_hair():
    """``short04`` is 3 mm high: a buzzcut by its measure."""
    template, hair = templates()
    proxy = hair.proxy_vertices(template.mean)
    words = dict(zip(hair.styles, hair.thickness, strict=True))
    words = {name: style_word(shell, proxy, name) for name, shell in words.items()}
    assert words == {
        "afro01": "afro", "bob01": "bob", "bob02": "bob", "braid01": "braid", "long01": "long",
        "ponytail01": "ponytail", "short01": "short", "short02": "short", "short03": "short",
        "short04": "buzzcut",
    }  # fmt: skip
    assert set(words.values()) | {"bald"} == set(HAIR_STYLES)


def test_style_is_measured_where_the_template_style_does_not_say_it():
    template, hair = templates()
    proxy = hair.proxy_vertices(template.mean)
    shell = hair.thickness[hair.styles.index("afro01")]
    assert style_word(0.4 * shell, proxy, "afro01") == "short"
    assert style_word(np.minimum(shell, 0.004), proxy, "short01") == "buzzcut"
    assert style_word(np.full(len(proxy), -0.01), proxy, BALD) == "bald"
    few = np.where(proxy[:, 1] > 0.1, shell, -0.01)  # a tuft on the crown
    assert style_word(few, proxy, "short01") == ("bald" if share(few, proxy) < 0.15 else "short")
    ring = np.where(proxy[:, 1] < 0.05, shell, -0.01)  # a bald crown
    assert style_word(ring, proxy, "short01") == "bald"


def share(thickness: np.ndarray, proxy: np.ndarray) -> float:
    """Part of the skull with hair."""
    skull = proxy[:, 1] > 0.04
    return float((thickness[skull] > 0.001).mean())


def test_the_gender_of_a_prompt():
    for looks, gender in ((Looks(1, "woman"), "woman"), (Looks(8, "man"), "man"), (Looks(), "")):
        assert gender_of(describe(looks)) == gender
    assert gender_of("a woman, no man") == "woman" and gender_of("a human") == ""


def test_the_skin_has_one_word_for_each_darkness():
    assert skin_word(None) == ""
    for word, (_, typical) in SKIN_TONES.items():
        assert skin_word(typical) == word
        prompt = describe(Looks(40, "woman", "long", "red", skin=word))
        assert (tone_of(prompt), colour_of(prompt)) == (word, "red")
    assert [skin_word(d) for d in (0.0, 1.0)] == ["pale", "dark"]
    assert tone_of("a woman with dark brown hair") == ""
    assert tone_of("an old man with dark skin") == "dark"
    said = [describe(Looks(skin="tan"), np.random.default_rng(i)) for i in range(200)]
    assert 0.4 < np.mean(["tan-skinned" in prompt for prompt in said]) < 0.6
