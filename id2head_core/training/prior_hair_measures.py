"""Does the text decide the hair? Colour and length of the hair in samples, as tables."""

import numpy as np
import torch

from ..errors import OptionError
from ..prompts import Looks, colour_of, describe, gender_word, style_of
from .prior_data import PriorDataset
from .prior_gallery import ReportRenderer
from .prior_probes import covered_below, eroded, hair_mask, median_lab, named_lab
from .prior_samples import WHOLE_HEAD, Sampler, Table, drawn_rows, percent, true_images

COLOURS = ("black", "brown", "blonde", "red", "white", "blue")
"""Colours that are asked for."""

LENGTHS = ("bald", "short", "long")
"""Styles that are asked for."""

HAIRY = ("short", "bob", "long", "ponytail", "braid")
"""Styles whose hair is large enough to measure its colour."""

BACK = 110.0
"""Smallest yaw at which hair below the chin is measured, degrees."""

LEAST_HAIR = 30
"""Pixels of hair below which a render is not used."""


def hair_colour_table(sampler: Sampler, held_out: PriorDataset, heads: int) -> Table:
    """Median colour of the hair where the true render has hair, against the named colour."""
    named = named_lab(COLOURS)
    batch, styles, masks = _hairy(held_out, heads)
    genders = held_out.gender[held_out.subject[batch["index"]]].tolist()
    lab, rows = [], []
    for number, colour in enumerate(COLOURS):
        prompts = [
            describe(Looks(gender=gender_word(g), style=s, colour=colour))
            for g, s in zip(genders, styles, strict=True)
        ]
        lab.append(median_lab(sampler.reworded("texture", prompts, batch), masks))
        rows.append([colour, *_colour_cells(lab[-1], np.full(len(prompts), number), named)])
    asked = np.repeat(np.arange(len(COLOURS)), len(styles))
    rows.append(["all", *_colour_cells(np.concatenate(lab), asked, named)])
    truth = [colour_of(p) for p in held_out.prompts]
    batch, _, masks = _hairy(held_out, 200, torch.tensor([t in COLOURS for t in truth]))
    said = np.array([COLOURS.index(truth[i]) for i in batch["index"].tolist()])
    cells = _colour_cells(median_lab(true_images(batch, "texture"), masks), said, named)
    rows.append([f"true renders ({len(said)})", *cells])
    rows.append(["chance", "", "", percent(1 / len(COLOURS))])
    return Table(
        "Hair colour",
        f"Albedo of {len(styles)} held-out heads with their control and embedding, the colour in "
        "the text replaced; CIELAB.",
        ["asked", "distance to it", "to the other colours", "nearest of the six"],
        rows,
    )


def hair_length_table(
    sampler: Sampler, renderer: ReportRenderer, held_out: PriorDataset, heads: int
) -> Table:
    """Hair below the chin, seen from behind, for long and short hair and none."""
    behind = (held_out.camera[:, 2] < WHOLE_HEAD) & (held_out.camera[:, 0].abs() > BACK)
    batch = held_out.__getitems__(drawn_rows(behind, heads))
    control = batch["maps"][:, 6:]
    genders = held_out.gender[held_out.subject[batch["index"]]].tolist()
    chin, samples = renderer.chin_row(batch["camera"]), {}
    for style in LENGTHS:
        prompts = [describe(Looks(gender=gender_word(g), style=style, colour="brown"))
                   for g in genders]  # fmt: skip
        normals = sampler.reworded("geometry", prompts, batch)
        samples[style] = covered_below(hair_mask(normals, control), chin)
    styles, true = [style_of(p) for p in held_out.prompts], {}
    for style in LENGTHS:
        rows = drawn_rows(behind & torch.tensor([s == style for s in styles]), 60)
        if not rows:
            continue
        seen = held_out.__getitems__(rows)
        mask = hair_mask(true_images(seen, "geometry"), seen["maps"][:, 6:])
        true[style] = covered_below(mask, renderer.chin_row(seen["camera"]))
    rows = [
        [
            style,
            percent(samples[style].mean()),
            percent(true[style].mean()) if style in true else "",
        ]
        for style in LENGTHS
    ]
    rows.append(["long over short, same head", percent(
        (samples["long"] > samples["short"]).float().mean()), ""])  # fmt: skip
    return Table(
        "Hair length",
        f"Share of the picture below the chin that hair covers, seen from behind; {len(genders)} "
        "held-out heads with their control and embedding, the style in the text replaced.",
        ["asked", "samples", "true renders"],
        rows,
    )


def _hairy(held_out: PriorDataset, count: int, among: torch.Tensor | None = None):
    """Whole heads with enough hair: batch, styles, and where the hair is ``[B, S, S]``.

    Raises:
        OptionError: there is none.
    """
    styles = [style_of(p) for p in held_out.prompts]
    fits = torch.tensor([s in HAIRY for s in styles]) & (held_out.camera[:, 2] < WHOLE_HEAD)
    if among is not None:
        fits &= among
    rows = drawn_rows(fits, 2 * count)
    if not rows:
        raise OptionError(f"None of {len(held_out)} held-out samples has hair. Render more shards.")
    batch = held_out.__getitems__(rows)
    masks = eroded(hair_mask(true_images(batch, "geometry"), batch["maps"][:, 6:]))
    kept = (masks.sum((1, 2)) > LEAST_HAIR).nonzero()[:count, 0].tolist()
    batch = {key: value[kept] for key, value in batch.items()}
    return batch, [styles[rows[i]] for i in kept], masks[kept]


def _colour_cells(lab: np.ndarray, asked: np.ndarray, named: np.ndarray) -> list[str]:
    """Distance to the asked colour, mean distance to the others, share that is nearest to it."""
    distance = np.linalg.norm(lab[:, None] - named, axis=2)  # [B, K]
    own = distance[np.arange(len(asked)), asked]
    others = (distance.sum(1) - own) / (len(named) - 1)
    near = (distance.argmin(1) == asked).mean()
    return [f"{own.mean():.0f}", f"{others.mean():.0f}", percent(near)]
