"""Free text is understood or refused by meaning, on texts that the phrase list does not hold."""

import pytest

from id2head_core.editing.wish_list import UNKNOWN, Wish, known_phrases
from id2head_core.editing.wishes import WishReader, clauses, digest, stored_vectors
from id2head_core.errors import EditError
from id2head_core.guidance.text_encoder import MiniLMTextEncoder
from id2head_core.ui.edit_panel import SUGGESTIONS

KNOWN = {
    "emerald coloured hair": "green", "bright green hair please": "green", "golden locks": "blonde",
    "blond curls": None, "fiery red hair": "red", "ginger haired": "red",
    "her hair is silver": "grey", "hair as black as coal": "black", "pink dyed hair": "pink",
    "lavender coloured hair": "purple", "chestnut brown hair": "dark brown",
    "hair white as chalk": "white", "make the hair blue": "blue", "sandy blonde hair": "blonde",
    "wavy brown curls": "brown", "huge afro": "afro", "completely bald": "bald",
    "without any hair": "bald", "shave the head": "bald", "buzzcut": "buzzcut",
    "a very short military buzz cut": "buzzcut", "long straight hair": "long",
    "shoulder length hair": "bob", "wearing a ponytail": "ponytail", "plaits": "braid",
    "female": "woman", "turn me into a girl": "woman", "male version": "man",
    "look like a man": "man", "more feminine": "woman", "a lady": "woman",
    "cute little baby": "baby", "as a newborn": "baby", "as a small child": "child",
    "make me look old": "older", "at the age of 80": "older", "an elderly woman": "older",
    "with more wrinkles": "older", "thirty years older": "older", "ten years younger": "younger",
    "a youthful look": "younger", "a long beard": "beard", "a big bushy beard": "beard",
    "some stubble": "stubble", "not shaved for three days": None, "moustache": "moustache",
    "a walrus mustache": "moustache", "freckles all over the face": "yes", "freckly": "yes",
    "his eyes are brown": "brown", "deep green eyes": "green", "eyes as blue as the sea": "blue",
    "a slim narrow face": "thin", "slimmer": "thin", "puffy cheeks": "round",
    "a chubbier face": "round", "tanned": "dark", "darker skin colour": "dark",
    "pale complexion": "pale", "whiter skin": "pale",
}  # fmt: skip
"""60 paraphrases and a value that must be among their wishes (None: any)."""

STRANGE = (
    "with a pirate captain's hat", "wearing a top hat", "with round glasses", "with ski goggles",
    "with a golden tiara", "with a red clown nose", "as the terminator", "like a tiger",
    "as an orc", "as Batman", "with elven ears", "wearing a kimono", "with a tie",
    "with diamond earrings", "with a lip piercing", "a tattoo on the neck", "with red lips paint",
    "as a bronze statue", "made of chocolate", "in the rain", "at the office", "with a sword",
    "eating pizza", "the capital of France", "I like trains", "xyzzy", "with vampire teeth",
    "with a scar over the eye", "in a spaceship", "write me a poem",
)  # fmt: skip
"""30 texts that mean nothing that can be changed."""


@pytest.fixture(scope="module")
def reader():
    return WishReader(MiniLMTextEncoder.load())


def values(reader, text):
    """Values of the wishes, or an empty tuple for a refusal."""
    try:
        return tuple(wish.value for wish in reader(text))
    except EditError:
        return ()


@pytest.mark.parametrize("text", SUGGESTIONS)
def test_a_suggestion_means_one_thing(reader, text):
    (wish,) = reader(text)
    assert wish.value in text or wish.value in ("woman", "man")


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("with long hair", {"long"}), ("wearing long hair", {"long"}),
        ("with long straight hair", {"long"}), ("with a bob cut", {"bob"}),
        ("very long wavy hair", {"long"}), ("with very short hair", {"short"}),
        ("with long white hair", {"long", "white"}), ("with long dark hair", {"long", "black"}),
        ("a long blonde mane", {"long", "blonde"}), ("with a pink bob", {"bob", "pink"}),
        ("long red locks", {"long", "red"}),
    ],
)  # fmt: skip
def test_a_colour_is_not_made_up(reader, text, meant):
    assert set(values(reader, text)) == meant


def test_lists_are_as_long_as_they_say_and_new():
    phrases = {text for text, _ in known_phrases()} | set(UNKNOWN)
    assert len(KNOWN) == 60 and len(STRANGE) == 30
    assert len([t for t in (*KNOWN, *STRANGE) if t in phrases]) == 0


def test_paraphrases_are_understood(reader):
    read = {text: values(reader, text) for text in KNOWN}
    refused = [text for text, found in read.items() if not found]
    wrong = [(t, read[t]) for t, v in KNOWN.items() if read[t] and v and v not in read[t]]
    assert len(refused) <= 6, refused
    assert len(wrong) <= 3, wrong


def test_strange_wishes_are_refused(reader):
    accepted = [(text, found) for text in STRANGE if (found := values(reader, text))]
    assert len(accepted) <= 3, accepted


def test_a_refusal_names_the_clause_and_what_can_be_asked(reader):
    with pytest.raises(EditError, match='"with a pirate hat" is outside.*green hair'):
        reader("blonde hair, with a pirate hat")


def test_several_wishes_in_one_sentence_in_any_order(reader):
    one = set(reader("as an old man with white hair and blue eyes"))
    other = set(reader("blue eyes, white hair, as an old man"))
    assert one == other
    assert {Wish("age", "older"), Wish("gender", "man"), Wish("colour", "white"),
            Wish("eyes", "blue")} == one  # fmt: skip


def test_the_last_wish_of_a_kind_counts(reader):
    assert reader("green hair, blue hair") == (Wish("colour", "blue"),)


@pytest.mark.parametrize(("text", "match"), [("  ", "empty"), ("long green hair " * 20, "letters")])
def test_empty_and_endless_texts_are_refused(reader, text, match):
    with pytest.raises(EditError, match=match):
        reader(text)


def test_clauses_lose_their_filler():
    assert clauses("Please make me bald, and give me a beard!") == ["bald", "a beard"]
    assert clauses("as an old man with green hair") == ["as an old man", "with green hair"]


def test_stored_vectors_belong_to_the_phrases(reader):
    texts = [text for text, _ in known_phrases()] + list(UNKNOWN)
    stored = stored_vectors(texts)
    assert stored is not None, "phrases changed: run store_vectors"
    fresh = reader._encode(texts[::40])
    assert (fresh * stored[::40]).sum(1).min() > 0.999
    assert digest(texts) != digest(texts[1:])
    assert stored_vectors(texts[1:]) is None
