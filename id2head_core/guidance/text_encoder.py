"""Prompts as the tokens that a 2D prior attends to: MiniLM for ours, CLIP for Stable Diffusion.

The only file that imports transformers, which takes seconds and therefore waits for ``load``.
Encoders run on the CPU in float32, fetch nothing, and remember the prompts they have seen; each
prompt is encoded by itself, so its features do not depend on the batch.
"""

import functools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from .. import weights
from ..errors import WeightsError

logger = logging.getLogger(__name__)

MINILM_FOLDER = "prior/text_encoder"
"""Where MiniLM lies, relative to ``weights/``."""

MINILM_FILES = (
    "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    "special_tokens_map.json",
)  # fmt: skip
"""Files of ``MINILM_FOLDER``."""

CLIP_FILES = ("text_encoder/config.json", "tokenizer/vocab.json", "tokenizer/merges.txt")
"""Files that tell a Stable Diffusion 1.5 folder."""

MINILM_TOKENS, CLIP_TOKENS = 32, 77
"""Tokens per prompt, start and end included; what does not fit is cut off."""

BATCH = 256
"""Prompts that ``encode_many`` encodes at once."""

REMEMBERED_PROMPTS = 256
"""How many prompts an encoder keeps: 13 MB for MiniLM, 62 MB for CLIP."""


@dataclass(frozen=True)
class TextFeatures:
    """B encoded prompts; no gradient flows into them.

    Attributes:
        tokens: float32 ``[B, L, D]``, the last hidden states.
        mask: bool ``[B, L]``, False where a token is padding.
        pooled: float32 ``[B, P]``, one vector per prompt (unit norm for MiniLM).
    """

    tokens: torch.Tensor
    mask: torch.Tensor
    pooled: torch.Tensor


class TextEncoder(Protocol):
    """What a prior needs to know of its text encoder.

    Attributes:
        token_dim: D of ``TextFeatures.tokens``.
        pooled_dim: P of ``TextFeatures.pooled``.
    """

    token_dim: int
    pooled_dim: int

    def __call__(self, prompts: list[str]) -> TextFeatures:
        """Encode B ≥ 1 prompts; one that is too long is cut, with a warning in the log."""
        ...

    def encode_many(self, prompts: list[str]) -> TextFeatures:
        """The same for thousands, as fast as possible: equal up to rounding, not remembered."""
        ...


class _RememberingEncoder:
    """A tokenizer and a frozen network, asked once per prompt."""

    def __init__(self, tokenizer: Any, network: torch.nn.Module):
        self._tokenizer = tokenizer
        self._network = network.eval().requires_grad_(False)
        self.token_dim = self.pooled_dim = network.config.hidden_size
        self._remembered = functools.lru_cache(REMEMBERED_PROMPTS)(self._encode)

    def __call__(self, prompts: list[str]) -> TextFeatures:
        """Encode B ≥ 1 prompts; one that is too long is cut, with a warning in the log."""
        features = [self._remembered(prompt) for prompt in prompts]
        return TextFeatures(
            tokens=torch.cat([each.tokens for each in features]),
            mask=torch.cat([each.mask for each in features]),
            pooled=torch.cat([each.pooled for each in features]),
        )

    def encode_many(self, prompts: list[str]) -> TextFeatures:
        """Encode B ≥ 1 prompts in batches of equally many tokens, so that nothing is padded."""
        rows: dict[int, list[int]] = {}
        ids = [self._token_ids(prompt) for prompt in prompts]  # [1, n] each
        for row, each in enumerate(ids):
            rows.setdefault(each.shape[1], []).append(row)
        order, parts = [], []
        for same in rows.values():
            for first in range(0, len(same), BATCH):
                chosen = same[first : first + BATCH]
                parts.append(self._features(torch.cat([ids[row] for row in chosen])))
                order += chosen
        back = torch.tensor(order).argsort()
        columns = zip(*((part.tokens, part.mask, part.pooled) for part in parts), strict=True)
        return TextFeatures(*(torch.cat(column)[back] for column in columns))

    def _encode(self, prompt: str) -> TextFeatures:
        """Features of one prompt, B = 1."""
        return self._features(self._token_ids(prompt))

    def _token_ids(self, prompt: str) -> torch.Tensor:
        """Token ids ``[1, n]``, start and end included."""
        raise NotImplementedError

    def _features(self, ids: torch.Tensor) -> TextFeatures:
        """Features of ``[B, n]`` token ids."""
        raise NotImplementedError

    def _tokenized(self, prompt: str, limit: int, **padding: str) -> torch.Tensor:
        """Token ids ``[1, n]`` of at most ``limit`` tokens."""
        count = len(self._tokenizer(prompt, verbose=False)["input_ids"])
        if count > limit:
            logger.warning(
                'The text "%.40s" has %d tokens; what goes beyond %d is ignored. Shorten it.',
                prompt, count, limit,
            )  # fmt: skip
        ids = self._tokenizer(prompt, truncation=True, max_length=limit, **padding)["input_ids"]
        return torch.tensor([ids])


class MiniLMTextEncoder(_RememberingEncoder):
    """all-MiniLM-L6-v2 (Wang et al. 2020; Reimers & Gurevych 2019): D = P = 384, L = 32.

    Padding tokens are zero. ``pooled`` is the sentence embedding: cosines tell paraphrases.
    """

    @classmethod
    def load(cls, folder: Path | None = None) -> "MiniLMTextEncoder":
        """Read ``weights/prior/text_encoder`` (checksums verified), or another ``folder``.

        Raises:
            WeightsError: a file is missing or altered.
        """
        from transformers import BertConfig, BertModel, BertTokenizer

        if folder is None:
            files = [weights.path(f"{MINILM_FOLDER}/{name}") for name in MINILM_FILES]
            folder = files[0].parent
        _require(folder, MINILM_FILES, "all-MiniLM-L6-v2")
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
        config = BertConfig.from_json_file(folder / "config.json")
        network = BertModel(config, add_pooling_layer=False)
        network.load_state_dict(load_file(folder / "model.safetensors"))  # float16 to float32
        return cls(tokenizer, network)

    def _token_ids(self, prompt: str) -> torch.Tensor:
        return self._tokenized(prompt, MINILM_TOKENS)

    @torch.no_grad()
    def _features(self, ids: torch.Tensor) -> TextFeatures:
        tokens = self._network(input_ids=ids).last_hidden_state  # [B, n, 384]
        pooled = F.normalize(tokens.mean(1), dim=-1)  # [B, 384]
        padding = MINILM_TOKENS - ids.shape[1]
        mask = F.pad(torch.ones_like(ids, dtype=torch.bool), (0, padding))  # [B, 32]
        return TextFeatures(F.pad(tokens, (0, 0, 0, padding)), mask, pooled)


class ClipTextEncoder(_RememberingEncoder):
    """The CLIP text encoder of Stable Diffusion 1.5: D = P = 768, L = 77.

    Stable Diffusion attends to the padding too, so the mask is True everywhere. ``pooled`` is
    the state at the end of the text, after the last layer norm and before CLIP's projection.
    """

    @classmethod
    def load(cls, folder: Path) -> "ClipTextEncoder":
        """Read ``text_encoder/`` and ``tokenizer/`` of a Stable Diffusion folder.

        Raises:
            WeightsError: the folder is not one of Stable Diffusion.
        """
        from transformers import CLIPTextModel, CLIPTokenizer

        _require(folder, CLIP_FILES, "Stable Diffusion 1.5 (diffusers layout)")
        tokenizer = CLIPTokenizer.from_pretrained(folder / "tokenizer", local_files_only=True)
        network = CLIPTextModel.from_pretrained(
            folder / "text_encoder", dtype=torch.float32, local_files_only=True
        )
        return cls(tokenizer, network)

    def _token_ids(self, prompt: str) -> torch.Tensor:
        return self._tokenized(prompt, CLIP_TOKENS, padding="max_length")

    @torch.no_grad()
    def _features(self, ids: torch.Tensor) -> TextFeatures:
        output = self._network(input_ids=ids)
        mask = torch.ones_like(ids, dtype=torch.bool)
        return TextFeatures(output.last_hidden_state, mask, output.pooler_output)


def _require(folder: Path, names: Iterable[str], model: str) -> None:
    """Raise WeightsError unless ``folder`` has all files of ``names``."""
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WeightsError(f"{folder} has no {missing[0]}. Pass the folder of {model}.")
