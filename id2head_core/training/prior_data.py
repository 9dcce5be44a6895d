"""Shards of ``render_dataset`` as batches: images, control maps and conditions."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as functional
from torch.utils.data import Dataset

from ..errors import OptionError
from ..guidance.diffusion_prior import DOMAINS, with_camera
from ..guidance.text_encoder import TextEncoder

HELD_OUT_EVERY = 12
"""Every twelfth shard is for validation only, and so is every twelfth person."""

KEPT_TOKENS = 24
"""Text tokens that are kept; one text in 400 is longer and loses its last words."""

TEXTS_AT_ONCE = 4096
"""New texts that are encoded before their tokens are cut: 200 MB for MiniLM."""

FACE_WEIGHT = 3.0
"""Loss weight of the pixels in the face box."""

FOLD_LOSS_WEIGHT = 30.0
"""Loss weight of normals where the skin may fold: they are less than 1 % of the error otherwise."""

FOLD, COVERED = 1.5 / 255, 0.3
"""Change of a control normal by a fold that is more than rounding; change of a true normal from its
control map that is no skin."""

RENDERED_KIND = 0
"""Index of painted subjects, whose embeddings come from renders, in ``render_dataset.KINDS``."""


@dataclass(frozen=True)
class TextTable:
    """Encoded texts of a data set: float16 ``[U, L, T]``, bool ``[U, L]``, float32 ``[U, P]``."""

    tokens: torch.Tensor
    mask: torch.Tensor
    pooled: torch.Tensor


class PriorDataset(Dataset):
    """Samples of several shards, read through memory maps.

    ``__getitems__`` returns a whole batch as a dict of tensors; use it with an identity
    ``collate_fn``.

    Args:
        shards: paths of the shards' ``.npy`` files.
        text_encoder: encodes prompts that were not encoded before (kept beside the shard).

    Raises:
        OptionError: there is no shard.
    """

    def __init__(self, shards: list[Path], text_encoder: TextEncoder):
        if not shards:
            raise OptionError(
                "There is no finished shard. Render some: "
                "python -m id2head_core.training.render_dataset --help"
            )
        self._maps = [np.load(path, mmap_mode="r") for path in shards]
        numbers = [dict(np.load(path.with_suffix(".npz"))) for path in shards]
        self.shard = np.repeat(np.arange(len(shards)), [len(m) for m in self._maps])
        self.row = np.concatenate([np.arange(len(m)) for m in self._maps])
        self.camera, self.expression, self.face_box = (
            torch.from_numpy(np.concatenate([n[key] for n in numbers]))
            for key in ("camera", "expression", "face_box")
        )
        counts = np.cumsum([0] + [len(n["embedding"]) for n in numbers])
        self.subject = torch.from_numpy(
            np.concatenate(
                [n["subject"] - n["subject"][0] + c for n, c in zip(numbers, counts, strict=False)]
            )
        ).long()
        kind = np.concatenate([n["kind"] for n in numbers])
        self.kind = torch.from_numpy(kind)
        raw = np.concatenate([n["embedding"] for n in numbers])
        self.embedding = torch.from_numpy(centred(raw, kind == RENDERED_KIND))
        self.gender = torch.from_numpy(np.concatenate([n["gender"] for n in numbers]))
        self.age = torch.from_numpy(np.concatenate([n["age"] for n in numbers]))
        self.prompts = [
            p for path in shards for p in json.loads(path.with_suffix(".json").read_text())
        ]
        self.text_row, self.blank_row, self.text = self._texts(shards, text_encoder)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.row)

    def __getitems__(self, indices: list[int]) -> dict[str, torch.Tensor]:
        """A batch: ``maps`` float32 ``[B, 15, S, S]`` in [0, 1], conditions and loss weights."""
        maps = np.stack([self._maps[self.shard[i]][self.row[i]] for i in indices])
        chosen = torch.as_tensor(indices)
        return {
            "maps": torch.from_numpy(maps).float() / 255,
            "face_weight": face_weight(self.face_box[chosen], maps.shape[-1]),
            "fold_weight": fold_weight(maps),
            "camera": self.camera[chosen],
            "expression": self.expression[chosen],
            "embedding": self.embedding[self.subject[chosen]],
            "text_row": self.text_row[chosen],
            "blank_row": self.blank_row[chosen],
            "index": chosen,
        }

    def _texts(self, shards, text_encoder) -> tuple[torch.Tensor, torch.Tensor, TextTable]:
        """Row of each sample's prompt and of its camera words alone, and the table of all texts."""
        cameras = self.camera.tolist()
        texts = [with_camera(p, c) for p, c in zip(self.prompts, cameras, strict=True)]
        blanks = [with_camera("", c) for c in cameras]
        unique = sorted(set(texts) | set(blanks))
        number = {text: i for i, text in enumerate(unique)}
        table = text_table(unique, text_encoder, shards[0].parent / "texts.pt")
        return self._rows(texts, number), self._rows(blanks, number), table

    @staticmethod
    def _rows(texts: list[str], number: dict[str, int]) -> torch.Tensor:
        return torch.tensor([number[text] for text in texts])


def text_table(texts: list[str], text_encoder: TextEncoder, cache: Path) -> TextTable:
    """Encode texts; what ``cache`` holds already is read, and what it lacks is added.

    Args:
        texts: U different texts, the rows of the table.
        text_encoder: encodes what is new.
        cache: file of all texts encoded so far; one of another encoder is replaced.
    """
    known: dict[str, int] = {}
    parts = []
    if cache.exists():
        stored, *old = torch.load(cache)
        if old[2].shape[1] == text_encoder.pooled_dim:
            known = {text: i for i, text in enumerate(stored)}
            parts.append(old)
    new = [text for text in texts if text not in known]
    for start in range(0, len(new), TEXTS_AT_ONCE):
        part = text_encoder.encode_many(new[start : start + TEXTS_AT_ONCE])
        parts.append([part.tokens[:, :KEPT_TOKENS].half(), part.mask[:, :KEPT_TOKENS], part.pooled])
    columns = [torch.cat(column) for column in zip(*parts, strict=True)]
    known |= {text: len(known) + i for i, text in enumerate(new)}
    if new:
        partial = cache.with_suffix(f".{os.getpid()}")  # processes may share the folder
        torch.save((list(known), *columns), partial)
        partial.replace(cache)
    rows = torch.tensor([known[text] for text in texts])
    return TextTable(*(column[rows] for column in columns))


def centred(embeddings: np.ndarray, rendered: np.ndarray) -> np.ndarray:
    """Embeddings ``[N, 512]`` minus the mean of their domain, unit norm again (DESIGN D6)."""
    out = embeddings.astype(np.float32).copy()
    for chosen in (rendered, ~rendered):
        if chosen.sum() > 20:
            out[chosen] -= out[chosen].mean(0)
    return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-6)


def mirrored(batch: dict[str, torch.Tensor], flip: torch.Tensor) -> dict[str, torch.Tensor]:
    """The batch with samples mirrored left to right where ``flip [B]`` is True.

    All 13 expressions are symmetric; normals change the sign of x, the camera that of yaw.
    """
    maps = batch["maps"].flip(3)
    for channel in (0, 6, 12):  # x of normals, of control normals, and of folded ones
        maps[:, channel] = 1 - maps[:, channel]
    where = flip[:, None, None, None]
    camera = batch["camera"] * batch["camera"].new_tensor([-1.0, 1.0, 1.0])
    weights = {
        name: torch.where(where, batch[name].flip(3), batch[name])
        for name in ("face_weight", "fold_weight")
    }
    return {
        **batch,
        **weights,
        "maps": torch.where(where, maps, batch["maps"]),
        "camera": torch.where(flip[:, None], camera, batch["camera"]),
    }


def finished_shards(folders: list[Path]) -> tuple[list[Path], list[Path]]:
    """Training and held-out shards (their ``.npy``) of all folders."""
    training, held_out = [], []
    for folder in folders:
        for mark in sorted(folder.glob("shard_????.json")):
            chosen = held_out if is_held_out(int(mark.stem.split("_")[1])) else training
            chosen.append(mark.with_suffix(".npy"))
    return training, held_out


def is_held_out(number: int) -> bool:
    """Whether a shard, or a person, is for validation only."""
    return number % HELD_OUT_EVERY == HELD_OUT_EVERY - 1


def shard_people(shard: int, people: int, turns: int) -> list[int]:
    """Numbers of those who appear in a shard, so that nobody is both trained on and held out.

    Args:
        shard: its number.
        people: how many there are; with fewer than ``HELD_OUT_EVERY`` nobody is held out.
        turns: how many appear in one shard.

    Returns:
        ``turns`` numbers below ``people``; shards of one kind go on where the one before ended.
    """
    held_out = is_held_out(shard)
    pool = [i for i in range(people) if is_held_out(i) == held_out] or list(range(people))
    before = shard // HELD_OUT_EVERY if held_out else shard - shard // HELD_OUT_EVERY
    return [pool[(before * turns + i) % len(pool)] for i in range(turns if pool else 0)]


def face_weight(boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Loss weight ``[B, 1, S, S]`` of mean 1: more in the face box."""
    centres = torch.arange(size) + 0.5
    left, top, right, bottom = boxes[:, :, None].unbind(1)  # [B, 1]
    columns = (centres > left) & (centres < right)  # [B, S]
    rows = (centres > top) & (centres < bottom)
    weight = 1 + (FACE_WEIGHT - 1) * (rows[:, :, None] & columns[:, None]).float()
    return (weight / weight.mean((1, 2), keepdim=True))[:, None]


def fold_weight(maps: np.ndarray) -> torch.Tensor:
    """Loss weight ``[B, 1, S, S]`` of normals: more on bare skin that folds in this expression.

    It depends on how deep the folds could be, not on how deep they are.

    Args:
        maps: uint8 ``[B, 15, S, S]``.
    """
    maps = maps.astype(np.int16)

    def change(first):
        return np.abs(maps[:, first : first + 3] - maps[:, 6:9]).max(1, keepdims=True) / 255

    folds = torch.from_numpy((change(12) > FOLD) & (change(0) < COVERED))
    return 1 + (FOLD_LOSS_WEIGHT - 1) * folds.float()


def domain_images(batch: dict[str, torch.Tensor], domain: str, size: int) -> torch.Tensor:
    """Images of one domain, scaled to ``[B, 3, size, size]``."""
    first = 3 * DOMAINS.index(domain)
    images = batch["maps"][:, first : first + 3]
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, size=size, mode="bilinear")
