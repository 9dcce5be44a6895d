"""The appearance stage: score distillation of the albedo where no photo shows it.

theta_a = {k_a, Psi_a} (``albedo_transformer``) and the head's own maps (``gain_maps``) are
optimised by Adam along ``w(t) (predicted_noise - noise) dx/dtheta_a`` over random cameras,
expressions and lights; ``objective`` has the losses.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..render.contact_sheet import portrait_camera
from ..render.head_renderer import HeadRenderer
from ..structures import HeadAppearance, HeadGeometry
from ..template.head_template import HeadTemplate
from .appearance_model import TONE_SIZE, AppearanceModel, allowed_texels, with_gains
from .fit_config import AppearanceFitConfig
from .gain_maps import hair_area
from .objective import AppearanceObjective

if TYPE_CHECKING:
    from ..guidance.inputs import Guidance

__all__ = ["AppearanceFitConfig", "AppearanceStep", "fit_appearance"]

logger = logging.getLogger(__name__)

PREVIEW_SIZE, PREVIEW_YAW = 384, 40.0
"""Side of the preview in pixels and its camera in degrees: the side is what changes."""


@dataclass(frozen=True)
class AppearanceStep:
    """What the stage yields after each step.

    Attributes:
        step: steps done.
        total: steps of the stage.
        losses: weighted priors by name; ``"residual"``, mean squared distance to the prior's
            prediction; ``"accepted"``, 0 where the step was not finite and was dropped.
        image: uint8 ``[H, W, 3]``, shaded preview, or None.
        appearance: the new materials, with the last step only.
        expression_gains: float32 ``[13, 3, 16, 16]``, log gains that the expressions add to the
            skin's albedo over its texture, with the last step only.
    """

    step: int
    total: int
    losses: dict[str, float]
    image: np.ndarray | None = None
    appearance: HeadAppearance | None = None
    expression_gains: np.ndarray | None = None


def fit_appearance(
    template: HeadTemplate,
    geometry: HeadGeometry,
    appearance: HeadAppearance,
    guidance: "Guidance",
    *,
    seen: np.ndarray | None,
    neutral: np.ndarray | None = None,
    config: AppearanceFitConfig | None = None,
    generator: torch.Generator,
) -> Iterator[AppearanceStep]:
    """Optimise the albedo of skin and hair; closing the iterator stops it within a step.

    Args:
        template: the head template.
        geometry: the head; stays as it is.
        appearance: where to start: projected textures, or ``plain_appearance`` in pure mode.
        guidance: prior, prompt, embedding and control.
        seen: float32 ``[S, S]`` in [0, 1], how far the photo shows each texel of the skin; from
            0.5 on the head's own albedo stays as it is. None = pure mode: all of it is free,
            without ``keep_tone`` its colour as a whole first.
        neutral: template vertices ``[N, 3]`` of the head, metres, for the control maps; None goes
            without them.
        config: settings.
        generator: of cameras, expressions, lights, noise and initial codes.

    Yields:
        One event per step; the last one carries the result.
    """
    config = config or AppearanceFitConfig()
    allowed = None if seen is None else allowed_texels(seen)
    objective = AppearanceObjective(template, geometry, appearance, guidance, allowed, neutral)
    keeps = config.keep_hair_colour and seen is not None
    tone = None
    if config.keep_tone:
        tone = objective.visible_skin(TONE_SIZE) if allowed is None else allowed
    model = AppearanceModel(
        tone is None and seen is None, generator, tone,
        hair=hair_area(geometry.part("hair")) if keeps else None,
    )  # fmt: skip
    optimizer = torch.optim.Adam(_groups(model, config), betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimizer.param_groups]
    renderer = HeadRenderer()
    for step in range(config.steps):
        progress = step / max(config.steps - 1, 1)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (0.1 + 0.9 * np.cos(progress * np.pi / 2))
        maps = model(progress)
        guidance_loss, residual = objective.distillation(maps, progress, config, generator)
        terms = objective.priors(maps, config)
        losses = _advance(optimizer, guidance_loss, terms) | {"residual": residual}
        if not losses["accepted"]:
            logger.warning("appearance step %d is not finite and was dropped", step + 1)
        last = step + 1 == config.steps
        shown = last or (config.preview_every and (step + 1) % config.preview_every == 0)
        image = result = gains = None
        if shown:
            maps = model()
            result = with_gains(appearance, maps, allowed)
            image = _preview(renderer, geometry, result) if config.preview_every else None
            gains = maps.expressions.detach().numpy()
        if not last:
            result = gains = None
        yield AppearanceStep(step + 1, config.steps, losses, image, result, gains)


def _groups(model: AppearanceModel, config: AppearanceFitConfig) -> list[dict]:
    """Parameters with their learning rates."""
    return [
        {"params": list(model.transformer.parameters()), "lr": config.transformer_rate},
        {"params": [model.skin.colour], "lr": config.colour_rate},
        {"params": list(model.skin.levels), "lr": config.skin_rate},
        {"params": list(model.hair.parameters()), "lr": config.hair_rate},
    ]


def _advance(
    optimizer: torch.optim.Optimizer, guidance_loss: torch.Tensor, terms: dict[str, torch.Tensor]
) -> dict[str, float]:
    """One step of Adam on the sum of all terms, unless something is not finite."""
    loss = guidance_loss + sum(terms.values())
    optimizer.zero_grad()
    loss.backward()
    gradients = [p.grad for g in optimizer.param_groups for p in g["params"] if p.grad is not None]
    accepted = all(bool(torch.isfinite(value).all()) for value in [loss.detach(), *gradients])
    if accepted:
        optimizer.step()
    return {name: float(v.detach()) for name, v in terms.items()} | {"accepted": float(accepted)}


def _preview(renderer: HeadRenderer, geometry, appearance) -> np.ndarray:
    """Shaded picture, uint8 ``[384, 384, 3]``."""
    camera = portrait_camera(geometry, yaw=PREVIEW_YAW)
    size = (PREVIEW_SIZE, PREVIEW_SIZE)
    rendered = renderer.render(geometry, appearance, camera, size=size)
    return (np.clip(rendered.shaded, 0, 1) * 255 + 0.5).astype(np.uint8)
