"""Does the text decide the skin? Darkness of the face in samples, as a table."""

import numpy as np
import torch

from ..appearance.photo_projection import skin_darkness
from ..appearance.relighting import GAMMA
from ..prompts import SKIN_TONES, Looks, describe, gender_word, tone_of
from .prior_data import PriorDataset
from .prior_samples import Sampler, Table, drawn_rows, percent, true_images

FRONT, NARROWEST = 35.0, 12.0
"""Largest yaw of the faces that are measured, degrees, and their smallest width, pixels."""

INNER = (0.2, 0.1, 0.8, 0.85)
"""The face's skin within its box: left, top, right, bottom."""


def skin_tone_table(sampler: Sampler, held_out: PriorDataset, heads: int) -> Table:
    """Darkness of the face for each named tone, with and without an embedding."""
    boxes = held_out.face_box
    fits = (held_out.camera[:, 0].abs() < FRONT) & (boxes[:, 2] - boxes[:, 0] > NARROWEST)
    batch = held_out.__getitems__(drawn_rows(fits, heads))
    genders = held_out.gender[held_out.subject[batch["index"]]].tolist()
    said = np.array([tone_of(prompt) for prompt in held_out.prompts])
    typical, rows, near = np.array([value for _, value in SKIN_TONES.values()]), [], []
    for number, tone in enumerate(SKIN_TONES):
        prompts = [
            describe(Looks(gender=gender_word(g), style="short", colour="brown", skin=tone))
            for g in genders
        ]
        cells = []
        for known in (True, False):
            images = sampler.reworded("texture", prompts, batch, known)
            found = face_darkness(images, boxes[batch["index"]])
            cells.append(f"{found.mean():.2f}")
        near.append(np.abs(found[:, None] - typical).argmin(1) == number)  # without embedding
        known, own = "", drawn_rows(fits & torch.from_numpy(said == tone), 60)
        if own:
            true = held_out.__getitems__(own)
            found = face_darkness(true_images(true, "texture"), boxes[true["index"]])
            known = f"{found.mean():.2f}"
        rows.append([tone, f"{typical[number]:.2f}", *cells, percent(near[-1].mean()), known])
    rows.append(["all", "", "", "", percent(np.mean(near)), ""])
    rows.append(["chance", "", "", "", percent(1 / len(SKIN_TONES)), ""])
    return Table(
        "Skin tone",
        f"Darkness of the face (1 minus sRGB luminance) in {len(genders)} held-out views from the "
        "front with their control maps, the tone in the text replaced.",
        ["asked", "typical", "own embedding", "no embedding", "nearest of the five, no embedding",
         "true renders"],
        rows,
    )  # fmt: skip


def face_darkness(images: torch.Tensor, boxes: torch.Tensor) -> np.ndarray:
    """Median darkness ``[B]`` within the face.

    Args:
        images: albedo as in prior images, ``[B, 3, S, S]`` in [0, 1].
        boxes: left, top, right, bottom of the faces, pixels, ``[B, 4]``.
    """
    left, top, right, bottom = boxes.T[:, :, None]
    spans = torch.cat([right - left, bottom - top] * 2, 1)
    inner = torch.cat([left, top] * 2, 1) + spans * torch.tensor(INNER)
    first, last = inner[:, :2].floor().int().clamp(min=0), inner[:, 2:].ceil().int()
    values = []
    for image, (x, y), (right, bottom) in zip(images, first.tolist(), last.tolist(), strict=True):
        face = image[:, y:bottom, x:right].permute(1, 2, 0).numpy() ** GAMMA
        values.append(skin_darkness(face))
    return np.array(values)
