"""The geometry stage: score distillation of skin, hair and all 13 expressions together.

theta_g = {k_exp, Psi_g} (``expression_transformer``) and the head's own residuals (``head_model``)
are optimised by Adam along the gradients of ``objective``: hair, sides and back first, at large
timesteps, then detail. Last the hair is combed (``combing``).
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from ..errors import GeometryError
from ..guidance.inputs import Guidance
from ..guidance.prior_camera import prior_camera
from ..structures import HairFit, HeadFit
from ..template.hair import HairTemplate
from ..template.head_template import HeadTemplate
from .combing import HairComb
from .fit_config import GeometryFitConfig
from .guarded_adam import GuardedAdam
from .head_model import GeometryResult, HeadModel
from .normal_render import NormalRenderer
from .objective import GeometryObjective
from .photo_evidence import PhotoEvidence, PhotoTerms, known_hair, seen_skin

__all__ = ["GeometryFitConfig", "GeometryResult", "GeometryStep", "PhotoEvidence", "fit_geometry"]

logger = logging.getLogger(__name__)

PREVIEW_SIZE, PREVIEW_YAWS = 256, (25.0, 155.0)
"""Side of a preview in pixels and its cameras in degrees, from left to right."""


@dataclass(frozen=True)
class GeometryStep:
    """What the stage yields after each step.

    Attributes:
        step: steps done.
        total: steps of the stage.
        losses: weighted priors by name; ``"residual"``, mean squared distance to the prior's
            answer; ``"accepted"``, 0 where the step was taken back.
        normals_image: uint8 ``[H, W, 3]``, normals from the front and from behind, or None.
        result: the head so far, with every picture and with the last step.
    """

    step: int
    total: int
    losses: dict[str, float]
    normals_image: np.ndarray | None = None
    result: GeometryResult | None = None


@dataclass(frozen=True)
class Held:
    """What an edit must not move.

    Attributes:
        skin: float32 ``[N]`` in [0, 1]: 1 keeps a template vertex.
        hair: float32 ``[P]`` in [0, 1]: 1 keeps the thickness of a ray.
        hair_least: share of the thickness that stays wherever there is hair.
    """

    skin: np.ndarray
    hair: np.ndarray
    hair_least: float


def fit_geometry(
    template: HeadTemplate,
    hair_template: HairTemplate,
    fit: HeadFit,
    hair: HairFit | None,
    guidance: Guidance,
    *,
    evidence: PhotoEvidence | None,
    expression_state: dict[str, torch.Tensor] | None = None,
    held: Held | None = None,
    config: GeometryFitConfig | None = None,
    generator: torch.Generator,
) -> Iterator[GeometryStep]:
    """Optimise the geometry; closing the iterator stops it within a step.

    A step after which the head would not be sound is taken back: the head stays as it was and the
    learning rates are halved.

    Args:
        template: the head template.
        hair_template: the hair template.
        fit: where to start; the mean head in pure mode.
        hair: where to start, or None for a head without hair.
        guidance: prior, prompt, embedding, control.
        evidence: the photo, or None = pure mode: nothing is anchored.
        expression_state: of an earlier result, to go on from (edits).
        held: what stays as it is without ``evidence`` (edits).
        config: settings.
        generator: of views, timesteps, noise and initial codes.

    Yields:
        One event per step; the last one carries the result.

    Raises:
        GeometryError: the head to start from is empty, torn or not finite.
    """
    config = config or GeometryFitConfig()
    seen = np.zeros(len(fit.neutral), np.float32)
    known = np.zeros(len(hair_template.uv), np.float32)
    photo, cap = None, config.free_skin_cap
    if evidence is not None:
        seen = seen_skin(template, hair_template, fit, evidence)
        known = known if hair is None else known_hair(hair_template, fit, hair, evidence)
        photo, cap = PhotoTerms(template, hair_template, fit, evidence), config.skin_cap
    least, reach = config.free_hair_least, np.inf
    if evidence is not None:
        least = 0.0
        if evidence.hair:
            least, reach = config.hair_least, config.hair_reach
    if held is not None:
        seen, known, least, cap = held.skin, held.hair, held.hair_least, config.skin_cap
    model = HeadModel(
        template, hair_template, fit, hair,
        skin_free=1 - seen, hair_known=known, skin_cap=cap, hair_least=least,
        hair_reach=reach, generator=generator,
    )  # fmt: skip
    if expression_state is not None:
        model.expressions.load_state_dict(expression_state)
    model.check()
    objective = GeometryObjective(model, guidance, seen, photo, config)
    for step, losses in enumerate(_steps(objective, guidance, config, generator), start=1):
        last = step == config.steps
        shown = config.preview_every > 0 and (last or step % config.preview_every == 0)
        image = preview(model) if shown else None
        result = model.result() if shown or last else None
        yield GeometryStep(step, config.steps, losses, image, result)


def _steps(
    objective: GeometryObjective,
    guidance: Guidance,
    config: GeometryFitConfig,
    generator: torch.Generator,
) -> Iterator[dict[str, float]]:
    """Score distillation, then combing where there is hair: the losses of each step."""
    model = objective.model
    most = min(config.comb_steps, round(config.comb_share * config.steps))
    combed = 0 if model.hair is None else most
    distilled, optimizer = config.steps - combed, GuardedAdam(model, config)
    for step in range(distilled):
        yield _advance(objective, optimizer, step / distilled, generator)
    if combed:
        yield from HairComb(model, guidance, config.comb, generator).steps(combed)


def _advance(
    objective: GeometryObjective,
    optimizer: GuardedAdam,
    progress: float,
    generator: torch.Generator,
) -> dict[str, float]:
    """One step, or none: its losses."""
    try:
        distilled, residual = objective.distillation(progress, generator)
        terms = objective.terms()
        optimizer.step(distilled + sum(terms.values()), progress)
    except GeometryError as error:
        optimizer.undo()
        logger.warning("geometry step taken back, rates x %.3g: %s", optimizer.factor, error)
        return {"accepted": 0.0}
    losses = {name: float(value.detach()) for name, value in terms.items()}
    return losses | {"residual": residual, "accepted": 1.0}


@torch.no_grad()
def preview(model: HeadModel) -> np.ndarray:
    """Normals of the neutral head, uint8 ``[S, 2 S, 3]``."""
    renderer, mesh = NormalRenderer(), model.mesh(torch.zeros(model.fit.neutral.shape))
    images = [renderer(mesh, prior_camera(yaw, 5.0), PREVIEW_SIZE)[0] for yaw in PREVIEW_YAWS]
    image = torch.cat(images, dim=2).permute(1, 2, 0)
    return (image.clamp(0, 1) * 255 + 0.5).byte().numpy()
