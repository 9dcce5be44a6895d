"""Samples for the report, tables of what was measured on them, and which renders to compare."""

from dataclasses import dataclass, replace

import torch

from ..guidance.diffusion_prior import Conditions, DiffusionPrior
from ..guidance.sampling import sample
from .prior_data import domain_images

CHUNK = 50
"""Images that are sampled at once."""

WHOLE_HEAD, CLOSE_UP = 1.3, 1.5
"""Largest zoom of a whole head, smallest of a face view."""


@dataclass(frozen=True)
class Table:
    """One table of the report; cells are text."""

    title: str
    note: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Sampler:
    """Draws conditions as images ``[B, 3, S, S]``; the same noise in every call."""

    prior: DiffusionPrior
    steps: int = 20
    guidance_scale: float = 3.0
    seed: int = 0

    def __call__(self, domain: str, conditions: Conditions) -> torch.Tensor:
        """Sample all of ``conditions``."""
        generator = torch.Generator().manual_seed(self.seed)
        parts = []
        for first in range(0, len(conditions.camera), CHUNK):
            part = conditions_of(conditions, slice(first, first + CHUNK))
            drawn = sample(
                self.prior, domain, part, steps=self.steps, guidance_scale=self.guidance_scale,
                generator=generator,
            )  # fmt: skip
            parts.append(drawn.float().cpu())
        return torch.cat(parts)

    def reworded(
        self, domain: str, prompts: list[str], batch: dict[str, torch.Tensor], known: bool = True
    ) -> torch.Tensor:
        """Samples of a batch with other texts; ``known`` gives the embeddings too."""
        conditions = self.prior.conditions(
            prompts, batch["camera"], embedding=batch["embedding"] if known else None,
            expressions=batch["expression"], control=batch["maps"][:, 6:],
        )  # fmt: skip
        return self(domain, conditions)


def conditions_of(conditions: Conditions, rows: slice) -> Conditions:
    """Some of the images' conditions."""
    values = vars(conditions).items()
    return replace(conditions, **{k: None if v is None else v[rows] for k, v in values})


def drawn_rows(mask: torch.Tensor, count: int, seed: int = 4) -> list[int]:
    """At most ``count`` row numbers where ``mask [N]`` is True, in random order."""
    rows = mask.nonzero()[:, 0]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    return rows[order[:count]].tolist()


def true_images(batch: dict[str, torch.Tensor], domain: str) -> torch.Tensor:
    """Renders of one domain as they were stored ``[B, 3, S, S]``."""
    return domain_images(batch, domain, batch["maps"].shape[-1])


def percent(share: float | torch.Tensor) -> str:
    """A share in [0, 1] as text."""
    return f"{100 * float(share):.0f} %"
