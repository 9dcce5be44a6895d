"""What the two optimisation stages are guided by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .diffusion_prior import DiffusionPrior


@dataclass(frozen=True)
class Guidance:
    """A prior and what it is asked for.

    Attributes:
        prior: the frozen 2D prior.
        prompt: text without camera words.
        embedding: ArcFace float32 ``[512]``, unit norm, or None for nobody in particular.
        against: text that the prompt is contrasted with; empty = no text. Edits so push
            only the difference between the two.
        control: ``(vertices [N, 3], camera, neutral [N, 3], folded) -> float32 [9, S, S]``, maps of
            the bare head (``prior_image.ControlRenderer``), or None where the prior takes none.
    """

    prior: "DiffusionPrior"
    prompt: str
    embedding: torch.Tensor | None = None
    control: Callable | None = None
    against: str = ""
