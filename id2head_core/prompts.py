"""Words for heads: prompts of training subjects and of visitors come from the same functions.

A prompt names what was measured, such as ``"a middle-aged woman with long blonde hair"``; words
for the camera and for the expression are added by the prior (``guidance/``).
"""

import re
from dataclasses import dataclass, replace

import cv2
import numpy as np

from .expressions import EXPRESSIONS, NEUTRAL

HAIR_COLOURS: dict[str, tuple[int, int, int]] = {
    "black": (28, 24, 23), "dark brown": (62, 44, 34), "brown": (98, 70, 50),
    "light brown": (138, 105, 76), "blonde": (190, 158, 106), "platinum blonde": (222, 206, 172),
    "red": (148, 66, 34), "grey": (142, 140, 138), "white": (214, 213, 211),
    "green": (62, 138, 66), "blue": (52, 84, 168), "pink": (212, 112, 156),
    "purple": (112, 62, 148),
}  # fmt: skip
"""sRGB of each named hair colour; the last four are dyes."""

DYES = ("green", "blue", "pink", "purple")
"""Colours that no hair grows in."""

COLOUR_SYNONYMS: dict[str, tuple[str, ...]] = {
    "black": ("jet black", "raven", "dark"), "dark brown": ("chestnut", "espresso brown"),
    "brown": ("brunette", "chocolate brown"), "light brown": ("hazel brown", "caramel"),
    "blonde": ("blond", "golden", "golden blonde"), "platinum blonde": ("platinum", "pale blonde"),
    "red": ("ginger", "auburn", "copper", "crimson"), "grey": ("gray", "silver"),
    "white": ("snow white",), "green": ("emerald", "emerald green", "lime green", "bright green"),
    "blue": ("azure", "navy blue", "bright blue"), "pink": ("rose", "hot pink", "magenta"),
    "purple": ("violet", "lilac", "lavender"),
}  # fmt: skip
"""Other words for the colours, for the variety of training prompts."""

AGES = ((3.0, "baby"), (12.0, "child"), (28.0, "young"), (45.0, ""), (60.0, "middle-aged"))
"""Upper bound in years of each word; above the last one ``"old"``."""

SKIN_TONES: dict[str, tuple[float, float]] = {
    "pale": (0.30, 0.25), "fair": (0.40, 0.35), "tan": (0.52, 0.45), "brown": (0.62, 0.57),
    "dark": (1.0, 0.68),
}  # fmt: skip
"""Darkness of the skin (see ``StockLook.skin``): upper bound and typical value of each word."""

HAIR_STYLES: dict[str, tuple[str, ...]] = {
    "bald": ("bald", "with a bald head", "with no hair"),
    "buzzcut": ("with a {c} buzzcut", "with very short cropped {c} hair", "with a {c} buzz cut"),
    "short": ("with short {c} hair", "with a {c} short haircut", "with {c} hair, short"),
    "bob": ("with a {c} bob", "with chin-length {c} hair", "with medium length {c} hair"),
    "long": ("with long {c} hair", "with {c} long hair", "with long flowing {c} hair"),
    "afro": ("with a {c} afro", "with curly {c} hair", "with a round {c} afro"),
    "ponytail": ("with {c} hair in a ponytail", "with a {c} ponytail"),
    "braid": ("with braided {c} hair", "with a {c} braid"),
}
"""Ways to say each style; the first is the canonical one."""

STYLE_WORDS = {
    "bald": r"\bbald\b|no hair", "buzzcut": r"buzz|cropped", "ponytail": "ponytail",
    "braid": "braid", "afro": r"\bafro|curly", "bob": r"\bbob\b|chin-length|medium length",
    "long": r"\blong\b", "short": r"\bshort\b",
}  # fmt: skip
"""Pattern that tells each style in a prompt; the first that fits counts."""

BEARDS = {"beard": "and a beard", "stubble": "and stubble", "moustache": "and a moustache"}

EXPRESSION_TEXTS: dict[str, str] = {
    NEUTRAL: "a neutral, relaxed face",
    "Angry": "an angry face with bared teeth and lowered brows",
    "Brow Raised": "a surprised face with raised eyebrows",
    "Lips Down": "a sad face with the corners of the lips pulled down",
    "Squeeze": "a face squeezed together with eyes shut tight",
    "Brow Lowerer": "a frowning face with lowered eyebrows",
    "Cheeks Puffed": "a face with puffed cheeks",
    "Mouth Stretch": "a screaming face with the mouth wide open",
    "Dimpler": "a face with dimples and pressed lips",
    "Grin": "a grinning face that shows the teeth",
    "Lip Roll": "a face with the lips rolled inwards",
    "Neutral Open": "a relaxed face with an open mouth",
    "Eyes Closed": "a calm face with closed eyes",
    "Nose Down": "a face with the nose pulled down and a long upper lip",
}
"""The expression descriptors; their text embedding conditions the prior."""

assert tuple(EXPRESSION_TEXTS) == (NEUTRAL, *EXPRESSIONS)  # noqa: S101 - one order everywhere


@dataclass(frozen=True)
class Looks:
    """What a prompt can name.

    Attributes:
        age: years, or None if unknown.
        gender: ``"man"``, ``"woman"`` or ``"person"``.
        style: key of ``HAIR_STYLES``.
        colour: key of ``HAIR_COLOURS``, or empty.
        ancestry: such as ``"asian"``, or empty.
        beard: key of ``BEARDS``, or empty.
        skin: key of ``SKIN_TONES``, or empty.
    """

    age: float | None = None
    gender: str = "person"
    style: str = "short"
    colour: str = ""
    ancestry: str = ""
    beard: str = ""
    skin: str = ""


def describe(looks: Looks, generator: np.random.Generator | None = None) -> str:
    """A prompt for these looks.

    Args:
        looks: what to name.
        generator: varies the words and leaves some out, for training; None says everything.
    """
    if generator is not None:
        looks = replace(
            looks,
            age=looks.age if generator.random() < 0.85 else None,
            gender=looks.gender if generator.random() < 0.95 else "person",
            colour=_said(looks.colour, generator) if generator.random() < 0.93 else "",
            ancestry=looks.ancestry if generator.random() < 0.8 else "",
            skin=looks.skin if generator.random() < 0.5 else "",
        )
    age = age_word(looks.age)
    noun = looks.gender
    if age in ("baby", "child"):
        noun = {"man": {"baby": "baby boy", "child": "boy"}[age],
                "woman": {"baby": "baby girl", "child": "girl"}[age]}.get(noun, age)  # fmt: skip
        age = ""
    ways = HAIR_STYLES[looks.style]
    way = ways[0] if generator is None else str(generator.choice(ways))
    hair = " ".join(way.format(c=looks.colour).replace("  ", " ").split())
    if hair.startswith("with a ") and hair[7:8] in "aeiou":
        hair = "with an " + hair[7:]
    before = ["bald"] if hair == "bald" else []
    skin = looks.skin and f"{looks.skin}-skinned"
    words = [word for word in (age, *before, skin, looks.ancestry, noun) if word]
    article = "an" if words[0][0] in "aeiou" and words[0] != "european" else "a"
    after = [] if before else [hair]
    if looks.beard:
        after.append(BEARDS[looks.beard] if after else BEARDS[looks.beard].replace("and", "with"))
    return " ".join([article, *words, *after])


def _said(colour: str, generator: np.random.Generator) -> str:
    """The colour, in a quarter of the cases by another word."""
    if colour not in COLOUR_SYNONYMS or generator.random() < 0.75:
        return colour
    return str(generator.choice(COLOUR_SYNONYMS[colour]))


def age_word(age: float | None) -> str:
    """Word for an age in years; empty where none is needed."""
    if age is None:
        return ""
    return next((word for bound, word in AGES if age < bound), "old")


def skin_word(darkness: float | None) -> str:
    """Word for the darkness of skin; empty if it is unknown."""
    if darkness is None:
        return ""
    return next(word for word, (bound, _) in SKIN_TONES.items() if darkness <= bound)


def gender_word(female: float) -> str:
    """Word for a probability of "female"."""
    return "woman" if female > 0.6 else "man" if female < 0.4 else "person"


DARK, COLOURLESS = 28.0, 4.5
"""Lightness and chroma (CIELAB) below which hair is black."""


def colour_name(colour: np.ndarray, *, dyes: bool = False) -> str:
    """Hair colour that is nearest to a linear RGB ``[3]`` (CIELAB distance).

    Without ``dyes`` only natural colours are considered: a photo's light may tint the hair.
    """
    names = [name for name in HAIR_COLOURS if dyes or name not in DYES]
    table = np.array([[HAIR_COLOURS[name] for name in names]], np.float32) / 255
    srgb = np.clip(np.asarray(colour, np.float32), 0, 1) ** (1 / 2.2)
    lab = cv2.cvtColor(np.concatenate([table, srgb.reshape(1, 1, 3)], 1), cv2.COLOR_RGB2LAB)[0]
    if lab[-1, 0] < DARK and np.linalg.norm(lab[-1, 1:]) < COLOURLESS:
        return "black"  # with a shine; the nearest may be dark brown
    return names[int(np.linalg.norm(lab[:-1] - lab[-1], axis=1).argmin())]


def style_of(prompt: str) -> str:
    """Style that a prompt names; empty if none."""
    return next((s for s, pattern in STYLE_WORDS.items() if re.search(pattern, prompt)), "")


def colour_of(prompt: str) -> str:
    """Hair colour that a prompt names by its main word; empty if none."""
    longest_first = sorted(HAIR_COLOURS, key=len, reverse=True)
    return next((c for c in longest_first if re.search(rf"\b{c}\b(?!-skin)", prompt)), "")


def tone_of(prompt: str) -> str:
    """Skin tone that a prompt names; empty if none."""
    return next((tone for tone in SKIN_TONES if re.search(rf"\b{tone}[- ]skin", prompt)), "")


def gender_of(prompt: str) -> str:
    """``"woman"`` or ``"man"`` as a prompt names them; empty if it names neither."""
    if re.search(r"\b(woman|girl|lady|female)\b", prompt):
        return "woman"
    return "man" if re.search(r"\b(man|boy|male)\b", prompt) else ""


def hair_colour(name: str) -> np.ndarray:
    """Linear RGB ``[3]`` of a named colour."""
    return (np.array(HAIR_COLOURS[name], np.float32) / 255) ** np.float32(2.2)


def style_word(thickness: np.ndarray, proxy: np.ndarray, style: str = "") -> str:
    """Key of ``HAIR_STYLES`` for a hair shell.

    Args:
        thickness: ``[P]``, metres, <= 0 where there is no hair.
        proxy: ``[P, 3]``, metres, the skull proxy.
        style: name of the nearest template style.
    """
    has = thickness > 0.001
    skull = proxy[:, 1] > 0.04
    if (has & skull).sum() < 0.15 * skull.sum():
        return "bald"
    volume = np.quantile(thickness[has & skull], 0.8)
    if style.startswith(("ponytail", "braid")) or (style.startswith("afro") and volume > 0.014):
        return style.rstrip("0123456789")
    if volume < 0.006:
        return "buzzcut"
    lowest = float(np.quantile(proxy[has, 1], 0.01))
    return "long" if lowest < -0.15 else "bob" if lowest < -0.085 else "short"
