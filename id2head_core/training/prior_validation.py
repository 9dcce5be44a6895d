"""Does the prior denoise, and does it use what it is told? Error tables and sample sheets."""

import numpy as np
import torch
from PIL import Image

from ..guidance.diffusion_prior import DOMAINS, Conditions, DiffusionPrior
from ..guidance.sampling import sample
from .prior_data import PriorDataset, domain_images

TIMESTEPS = (200, 500, 700, 850, 950)
"""Noise levels of the table."""

COUNT = 128
"""Held-out samples per domain and noise level."""

VARIANTS = ("all", "no identity", "no text", "no expression", "no control", "other text",
            "other identity", "other expression", "no control, other expression")  # fmt: skip
"""What is changed in the conditions, by row of the table."""


def fixed_batch(dataset: PriorDataset, count: int, seed: int = 5) -> dict[str, torch.Tensor]:
    """The same samples every time."""
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    return dataset.__getitems__(order[:count].tolist())


def full_conditions(
    prior: DiffusionPrior, dataset: PriorDataset, batch: dict[str, torch.Tensor]
) -> Conditions:
    """Conditions of a batch with nothing dropped."""
    rows, device = batch["text_row"], prior.device
    known = torch.ones(len(rows), dtype=torch.bool, device=device)
    return Conditions(
        dataset.text.tokens[rows].float().to(device),
        dataset.text.mask[rows].to(device),
        dataset.text.pooled[rows].to(device),
        batch["camera"].to(device),
        batch["embedding"].to(device),
        known,
        batch["expression"].to(device),
        prior.expression_text(batch["expression"]).to(device),
        known,
        batch["maps"][:, 6:].to(device),
    )


def varied(
    conditions: Conditions, variant: str, dataset: PriorDataset, batch: dict[str, torch.Tensor]
) -> Conditions:
    """The conditions with one thing dropped, or taken from another sample."""
    from dataclasses import replace

    nothing = torch.zeros_like(conditions.embedding_known)
    blank = batch["blank_row"]
    rolled = {
        name: getattr(conditions, name).roll(7, 0)
        for name in ("words", "mask", "sentence", "embedding", "expression", "expression_text")
    }
    device = conditions.camera.device
    changes = {
        "all": {},
        "no identity": {"embedding_known": nothing},
        "no expression": {"expression_known": nothing},
        "no control": {"control": torch.full_like(conditions.control, 0.5)},
        "no text": {
            "words": dataset.text.tokens[blank].float().to(device),
            "mask": dataset.text.mask[blank].to(device),
            "sentence": dataset.text.pooled[blank].to(device),
        },
        "other text": {k: rolled[k] for k in ("words", "mask", "sentence")},
        "other identity": {"embedding": rolled["embedding"]},
        "other expression": {k: rolled[k] for k in ("expression", "expression_text")},
    }
    wanted: dict = {}
    for name in variant.split(", "):
        wanted |= changes[name]
    return replace(conditions, **wanted)


@torch.no_grad()
def validate(
    prior: DiffusionPrior, dataset: PriorDataset, variants: tuple[str, ...] = VARIANTS[:5]
) -> dict[str, dict[str, float]]:
    """Mean squared x0 error in [-1, 1] by variant, then by ``"domain t"``."""
    batch, table = fixed_batch(dataset, COUNT), {}
    conditions = full_conditions(prior, dataset, batch)
    for variant in variants:
        changed, row = varied(conditions, variant, dataset, batch), {}
        for domain in DOMAINS:
            images = domain_images(batch, domain, prior.resolution)
            latents = prior.encode(images.to(prior.device))
            for t in TIMESTEPS if variant == "all" else TIMESTEPS[2:4]:
                generator = torch.Generator().manual_seed(9 + t)
                noise = torch.randn(latents.shape, generator=generator).to(latents.device)
                timestep = torch.full((len(latents),), t, device=latents.device)
                noisy = prior.noised(latents, noise, timestep)
                clean = prior.predict_sample(domain, noisy, timestep, changed)
                row[f"{domain} {t}"] = round(float((clean - latents).square().mean()), 5)
        table[variant] = row
    return table


@torch.no_grad()
def sample_sheet(
    prior: DiffusionPrior, dataset: PriorDataset, columns: int = 16, scale: int = 2
) -> Image.Image:
    """Held-out samples: control, true normals, drawn normals, true albedo, drawn albedo."""
    batch = fixed_batch(dataset, columns, seed=3)
    conditions = full_conditions(prior, dataset, batch)
    rows = [batch["maps"][:, 6:9]]
    for domain in DOMAINS:
        rows.append(domain_images(batch, domain, prior.resolution))
        generator = torch.Generator().manual_seed(1)
        rows.append(sample(prior, domain, conditions, steps=16, generator=generator).cpu())
    return tiled(rows, scale)


def tiled(rows: list[torch.Tensor], scale: int = 2) -> Image.Image:
    """Rows of images ``[B, 3, S, S]`` in [0, 1] as one picture."""
    lines = [torch.cat(list(row), dim=2) for row in rows]
    pixels = (torch.cat(lines, dim=1).clamp(0, 1) * 255 + 0.5).byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.repeat(np.repeat(pixels, scale, 0), scale, 1))
