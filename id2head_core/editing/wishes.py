"""From free text to wishes: the nearest meaning, or a refusal where nothing known is near.

Each clause of the text is compared with the phrases of ``wish_list`` by the cosine of MiniLM's
sentence embeddings. A clause whose nearest known phrase is too far, or not nearer than the nearest
unknown one, is refused: the thresholds are measured (``tests/editing/test_wishes.py``).
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .. import weights
from ..errors import EditError
from ..guidance.text_encoder import TextEncoder
from .wish_list import COLOUR_SYNONYMS, UNKNOWN, Wish, known_phrases

VECTORS = "edit/wish_vectors.npz"
"""Encoded phrases, relative to ``weights/``."""

NEAREST = 0.5
"""Smallest cosine to a known phrase."""

MARGIN = 0.0
"""How much nearer a known phrase must be than any unknown one."""

CLEAR = 0.035
"""How much nearer one of two combined wishes must be than any other of its kind."""

MAX_LETTERS = 200
"""Longest text that is read."""

FILLER = re.compile(
    r"^(please|can you|could you|i want|i would like|i'd like|make (it|me|him|her|them|this person)"
    r"|give (me|him|her|them)|turn (me|him|her|them|it) into|change to|but|also|then|now)\b\s*",
    re.IGNORECASE,
)
"""Beginnings that carry no wish."""

EXAMPLES = '"green hair", "a short buzzcut", "older", "as a female", "with a beard", "blue eyes"'


@dataclass(frozen=True)
class Understood:
    """What was read from one clause: its wishes and their confidence, a cosine in [-1, 1]."""

    clause: str
    wishes: tuple[Wish, ...]
    confidence: float
    outside: float


class WishReader:
    """Reads wishes; encodes its phrases once.

    Args:
        encoder: of sentences; MiniLM.
    """

    def __init__(self, encoder: TextEncoder):
        self._encoder = encoder
        self._known = known_phrases()
        self._known_vectors: torch.Tensor | None = None
        self._unknown_vectors: torch.Tensor | None = None

    def __call__(self, text: str) -> tuple[Wish, ...]:
        """All wishes of a text, the last one of each kind.

        Raises:
            EditError: the text is empty or too long, or a clause is outside of what is known.
        """
        text = " ".join(text.split())
        if not text:
            raise EditError(f"The wish is empty. Try {EXAMPLES}.")
        if len(text) > MAX_LETTERS:
            raise EditError(
                f"The wish has {len(text)} letters. Say it in at most {MAX_LETTERS}, such as "
                f"{EXAMPLES}."
            )
        found: dict[str, Wish] = {}
        for understood in self.read(text):
            sure = understood.confidence >= NEAREST
            if not sure or understood.confidence < understood.outside + MARGIN:
                raise EditError(
                    f'"{understood.clause}" is outside of what can be changed here. Hair, beard, '
                    f"age, gender, face, skin and eyes can: try {EXAMPLES}."
                )
            for wish in understood.wishes:
                found.pop(wish.kind, None)
                found[wish.kind] = wish
        return tuple(found.values())

    def read(self, text: str) -> list[Understood]:
        """The nearest known meaning of each clause."""
        return [self._nearest(clause) for clause in clauses(text)]

    def _nearest(self, clause: str) -> Understood:
        known, unknown = self._vectors()
        vector = self._encode([clause])[0]
        similar = known @ vector
        best = int(similar.argmax())
        wishes = self._said(clause, self._known[best][1], similar)
        return Understood(clause, wishes, float(similar[best]), float((unknown @ vector).max()))

    def _said(
        self, clause: str, wishes: tuple[Wish, ...], similar: torch.Tensor
    ) -> tuple[Wish, ...]:
        """Of several wishes, those that the clause names, or tells from all others of their kind.

        "Wearing long hair" is nearest to "long blonde hair", but hardly nearer than to white.
        """
        if len(wishes) == 1:
            return wishes
        leads = {wish: 1.0 for wish in wishes}
        for (_, other), value in zip(self._known, similar.tolist(), strict=True):
            missing = set(wishes) - set(other)
            if len(other) == len(wishes) and len(missing) == 1:
                wish = missing.pop()
                leads[wish] = min(leads[wish], float(similar.max()) - value)
        least = min(CLEAR, max(leads.values()))
        words = set(clause.lower().split())
        return tuple(
            wish
            for wish, lead in leads.items()
            if lead >= least or words & {wish.value, *COLOUR_SYNONYMS.get(wish.value, ())}
        )

    def _vectors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Of the known ``[K, P]`` and the unknown phrases; from the file if it fits."""
        if self._known_vectors is None:
            texts = [text for text, _ in self._known] + list(UNKNOWN)
            vectors = stored_vectors(texts)
            vectors = self._encode(texts) if vectors is None else vectors
            self._known_vectors = vectors[: len(self._known)]
            self._unknown_vectors = vectors[len(self._known) :]
        return self._known_vectors, self._unknown_vectors

    def _encode(self, texts: list[str]) -> torch.Tensor:
        pooled = torch.cat([self._encoder([text]).pooled for text in texts])
        return torch.nn.functional.normalize(pooled.float(), dim=1)


def digest(texts: list[str]) -> str:
    """Tells one list of phrases from another."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def stored_vectors(texts: list[str]) -> torch.Tensor | None:
    """Unit vectors ``[len(texts), P]`` that were encoded before, or None for other phrases."""
    with np.load(weights.path(VECTORS)) as file:
        if str(file["digest"]) != digest(texts):
            return None
        return torch.from_numpy(file["vectors"].astype(np.float32))


def store_vectors(encoder: TextEncoder, target: Path) -> None:
    """Encode all phrases, which takes seconds, into the file that ``WishReader`` reads."""
    reader = WishReader(encoder)
    texts = [text for text, _ in reader._known] + list(UNKNOWN)
    vectors = reader._encode(texts).numpy().astype(np.float16)
    np.savez_compressed(target, vectors=vectors, digest=digest(texts))


def clauses(text: str) -> list[str]:
    """Parts of a text that may be wishes of their own."""
    parts = re.split(r"[,;.!?+&]|\band\b|\bplus\b", text)
    parts = [piece for part in parts for piece in _split_with(part)]
    cleaned = []
    for part in parts:
        part = part.strip()
        while (shorter := FILLER.sub("", part)) != part:
            part = shorter
        if part:
            cleaned.append(part)
    return cleaned or [text]


def _split_with(part: str) -> list[str]:
    """``"as an old man with green hair"`` to both halves; a leading "with" stays."""
    match = re.search(r"\S\s+(with|having)\s+", part)
    if match is None:
        return [part]
    return [part[: match.start() + 1], part[match.start() + 1 :]]
