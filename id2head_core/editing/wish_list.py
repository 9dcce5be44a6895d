"""What the weights know to change, in many words each, and what they do not.

Free text is matched by the meaning of its sentence embedding, not by these words; they only are the
points that a text is compared with (``wishes``).
"""

from dataclasses import dataclass

from ..prompts import COLOUR_SYNONYMS, HAIR_COLOURS, HAIR_STYLES

EYE_COLOURS = ("brown", "dark", "hazel", "green", "blue", "grey")


@dataclass(frozen=True)
class Wish:
    """One change.

    Attributes:
        kind: ``"colour"`` and ``"style"`` of the hair, ``"age"``, ``"gender"``, ``"beard"``,
            ``"eyes"``, ``"freckles"``, ``"face"`` or ``"skin"``.
        value: of ``HAIR_COLOURS``, ``HAIR_STYLES``, ``BEARDS``, ``EYE_COLOURS``; ``"baby"``,
            ``"child"``, ``"younger"``, ``"older"``; ``"man"``, ``"woman"``; ``"thin"``,
            ``"round"``; ``"dark"``, ``"pale"``; ``"yes"``.
    """

    kind: str
    value: str


OLDER, YOUNGER = Wish("age", "older"), Wish("age", "younger")
BABY, CHILD = Wish("age", "baby"), Wish("age", "child")
MAN, WOMAN = Wish("gender", "man"), Wish("gender", "woman")

PHRASES: dict[tuple[Wish, ...], tuple[str, ...]] = {
    (OLDER,): ("older", "much older", "as an old person", "aged", "elderly", "with wrinkles",
               "make the person older", "as a senior", "seventy years old"),
    (YOUNGER,): ("younger", "much younger", "youthful", "make the person look young",
                 "as a teenager", "twenty years old"),
    (BABY,): ("as a baby", "as a cute baby", "as an infant", "as a toddler", "baby face"),
    (CHILD,): ("as a child", "as a kid", "as a ten year old", "as a little child"),
    (BABY, WOMAN): ("as a baby girl",),
    (BABY, MAN): ("as a baby boy",),
    (CHILD, WOMAN): ("as a little girl", "as a girl"),
    (CHILD, MAN): ("as a little boy", "as a boy"),
    (MAN,): ("as a male", "as a man", "masculine", "make her a man", "male face", "more manly",
             "as a guy"),
    (WOMAN,): ("as a female", "as a woman", "feminine", "make him a woman", "female face",
               "more womanly", "as a lady"),
    (OLDER, MAN): ("as an old man", "as a grandfather"),
    (OLDER, WOMAN): ("as an old woman", "as a grandmother"),
    (YOUNGER, MAN): ("as a young man",),
    (YOUNGER, WOMAN): ("as a young woman",),
    (Wish("beard", "beard"),): ("with a beard", "with a full beard", "bearded", "grow a beard",
                                "with a bushy beard", "with facial hair", "with a goatee"),
    (Wish("beard", "stubble"),): ("with stubble", "unshaven", "with a five o'clock shadow",
                                  "with designer stubble"),
    (Wish("beard", "moustache"),): ("with a moustache", "with a mustache",
                                    "with a thick moustache"),
    (Wish("freckles", "yes"),): ("with freckles", "freckled skin", "freckled", "add freckles",
                                 "freckles on the cheeks and nose"),
    (Wish("face", "thin"),): ("thinner face", "slimmer face", "narrow face", "a slim face",
                              "skinny", "lose weight", "hollow cheeks"),
    (Wish("face", "round"),): ("rounder face", "chubby face", "fuller cheeks", "fat face",
                               "chubby cheeks", "gain weight"),
    (Wish("skin", "dark"),): ("tanned skin", "darker skin", "with a suntan", "dark skin"),
    (Wish("skin", "pale"),): ("pale skin", "lighter skin", "fair skin", "paler"),
}  # fmt: skip
"""Ways to say each wish or combination of wishes."""

STYLE_PHRASES: dict[str, tuple[str, ...]] = {
    "bald": ("bald", "no hair", "with a shaved head", "hairless head", "remove the hair"),
    "buzzcut": ("short buzzcut hairstyle", "buzz cut", "crew cut", "very short cropped hair",
                "shaved short hair", "military haircut"),
    "short": ("short hair", "a short haircut", "pixie cut", "cut the hair short",
              "with short hair"),
    "bob": ("bob haircut", "a bob", "chin-length hair", "shoulder-length hair",
            "medium length hair", "with a bob", "with medium length hair"),
    "long": ("long hair", "long flowing hair", "very long hair", "hair down to the shoulders",
             "with long hair"),
    "afro": ("afro hair", "an afro", "curly hair", "big curly hair", "frizzy hair",
             "with curly hair"),
    "ponytail": ("a ponytail", "hair in a ponytail", "hair tied back", "with a ponytail"),
    "braid": ("a braid", "braided hair", "plaited hair", "with a braid"),
}  # fmt: skip
"""Ways to say each hair style without a colour."""

UNKNOWN = (
    "with a pirate hat", "wearing a hat", "with a baseball cap", "wearing a crown", "with a helmet",
    "wearing glasses", "with sunglasses", "with earrings", "with a nose ring", "with a necklace",
    "with a scarf", "wearing a suit", "in a red dress", "with a tattoo", "with a scar on the face",
    "with lipstick", "with heavy makeup", "with face paint", "as a clown", "as a zombie",
    "as a vampire", "as a robot", "as a cat", "as a dog", "as an alien", "as an elf",
    "with pointed ears", "with horns", "with wings", "as a superhero", "as a cartoon character",
    "in the style of a painting", "as a marble statue", "made of gold", "made of stone",
    "on a beach", "in the snow", "with a city in the background", "change the background",
    "holding a phone", "with a microphone", "smoking a cigarette", "with a cigar", "crying tears",
    "with blood", "on fire", "as a famous actor", "as the president", "as a queen",
    "with three eyes", "with a second head", "with missing teeth", "with braces on the teeth",
    "with a monocle", "wearing headphones", "wearing a mask", "with an eye patch", "as a dragon",
    "as a werewolf", "as a soldier", "as a doctor", "happy", "smiling", "angry", "better",
    "more beautiful", "the weather today", "sell me a car", "a house with a garden", "hello",
    "what is your name", "asdf qwerty", "a bigger nose", "with a long neck", "bigger ears",
    "with eye shadow", "a bigger mouth", "smaller lips", "with green skin", "with blue skin",
    "a metal face", "transparent skin",
)  # fmt: skip
"""Wishes and texts that the weights know nothing of."""


ADJECTIVES = {"short": "short", "long": "long", "afro": "curly", "braid": "braided",
              "bob": "medium length"}  # fmt: skip
"""Words before a colour that name a style."""


def known_phrases() -> list[tuple[str, tuple[Wish, ...]]]:
    """All phrases with what they mean."""
    found = [(text, wishes) for wishes, texts in PHRASES.items() for text in texts]
    for style, texts in STYLE_PHRASES.items():
        found += [(text, (Wish("style", style),)) for text in texts]
    for colour in HAIR_COLOURS:
        for word in (colour, *COLOUR_SYNONYMS.get(colour, ())):
            found += [(f"{way}{word} hair", (Wish("colour", colour),)) for way in ("", "with ")]
        found.append((f"with the hair dyed {colour}", (Wish("colour", colour),)))
        for style, ways in HAIR_STYLES.items():
            if style != "bald":
                text = ways[0].format(c=colour)
                found.append((text, (Wish("style", style), Wish("colour", colour))))
            if adjective := ADJECTIVES.get(style):
                text = f"{adjective} {colour} hair"
                found.append((text, (Wish("style", style), Wish("colour", colour))))
    for colour in EYE_COLOURS:
        found += [(f"{way} {colour} eyes", (Wish("eyes", colour),)) for way in ("with", "bright")]
    return found
