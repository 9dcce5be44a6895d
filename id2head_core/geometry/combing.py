"""The last part of the geometry stage: the hair falls into locks that the prior draws.

A lock may lie anywhere, so the one-step estimate of score distillation, a mean, shows hair without
locks. Here the prior denoises a view in several steps, which draws *one* head of hair, and the
relief of the locks is fitted to it. Each view keeps its picture for some visits and the next view
starts from a render that has the locks already, so the views agree.
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch

from ..errors import GeometryError
from ..expressions import EXPRESSIONS
from ..guidance.inputs import Guidance
from ..guidance.prior_camera import prior_camera
from ..guidance.score_distillation import sampled_image
from .fit_config import CombConfig
from .head_model import HeadModel
from .normal_render import NormalRenderer
from .regularizers import grid_smoothness

logger = logging.getLogger(__name__)

CLOSE = 1.35
"""Zoom of every other view, so that locks have more pixels."""

RING = (
    (180.0, 0.0), (70.0, 10.0), (-70.0, 10.0), (130.0, 20.0), (-130.0, 20.0), (160.0, 28.0),
    (100.0, 0.0), (-100.0, 0.0), (-160.0, 28.0), (40.0, 20.0), (-40.0, 20.0), (150.0, -5.0),
    (-150.0, -5.0), (0.0, 25.0),
)  # fmt: skip
"""Yaw and pitch of the views, degrees."""


class HairComb:
    """Combs one head.

    Args:
        model: of the head; must have hair. Only its locks move.
        guidance: prior, prompt, embedding, control.
        config: settings.
        generator: of order and noise.
    """

    def __init__(
        self,
        model: HeadModel,
        guidance: Guidance,
        config: CombConfig,
        generator: torch.Generator,
    ):
        self.model, self.guidance, self.config = model, guidance, config
        self.generator, self.renderer = generator, NormalRenderer()
        self._cameras = [
            (yaw, pitch, CLOSE if i % 2 else 1.0) for i, (yaw, pitch) in enumerate(RING)
        ]
        self._conditions = [self._conditions_of(camera) for camera in self._cameras]
        self._pictures: dict[int, tuple[torch.Tensor, int]] = {}  # by view, with its visits
        self._waiting: list[int] = []

    def steps(self, count: int) -> Iterator[dict[str, float]]:
        """Take ``count`` steps; yields after each what ``GeometryStep.losses`` holds.

        A step after which the head is not sound is taken back, and the rate is halved.
        """
        locks = self.model.hair.locks
        optimizer, factor = torch.optim.Adam([locks], betas=(0.9, 0.99)), 1.0
        for step in range(count):
            progress = step / count
            rate = factor * self.config.rate * (1 - 0.9 * progress)
            optimizer.param_groups[0]["lr"] = rate
            before = locks.detach().clone()
            try:
                loss, residual = self._loss(progress)
                optimizer.zero_grad()
                loss.backward()
                if not torch.isfinite(locks.grad).all():
                    raise GeometryError("A gradient is not finite. Take the step back.")
                optimizer.step()
                self.model.check()
            except GeometryError as error:
                with torch.no_grad():
                    locks.copy_(before)
                self._pictures.clear()
                factor /= 2
                logger.warning("combing step taken back, rate x %.3g: %s", factor, error)
                yield {"accepted": 0.0}
                continue
            yield {"residual": residual, "accepted": 1.0}

    def _loss(self, progress: float) -> tuple[torch.Tensor, float]:
        """Half the mean squared distance to the pictures, and priors."""
        if len(self._waiting) < self.config.views:
            self._waiting += range(len(self._cameras))
        chosen = [self._waiting.pop(0) for _ in range(self.config.views)]
        mesh = self.model.mesh(torch.zeros(self.model.fit.neutral.shape))
        size = self.guidance.prior.resolution
        images = torch.stack(
            [self.renderer(mesh, prior_camera(*self._cameras[v]), size)[0] for v in chosen]
        )  # [B, 3, S, S]
        pictures = [self._picture(v, i, progress) for v, i in zip(chosen, images, strict=True)]
        squared = (images - torch.stack(pictures)).square().mean()
        relief = 1000 * self.model.hair.locks
        wrapped = torch.cat([relief, relief[:, :1]], dim=1)
        smooth = self.config.smoothness * grid_smoothness(wrapped)
        return squared / 2 + smooth, float(squared.detach())

    def _picture(self, view: int, image: torch.Tensor, progress: float) -> torch.Tensor:
        """What the hair of a view is drawn towards, ``[3, S, S]``."""
        config = self.config
        picture, visits = self._pictures.get(view, (None, 0))
        if visits % config.held == 0:
            span = config.last_timestep - config.first_timestep
            picture = sampled_image(
                self.guidance.prior, "geometry", image[None], self._conditions[view],
                round(config.first_timestep + span * progress),
                steps=config.denoising_steps, guidance_scale=config.guidance_scale,
                generator=self.generator,
            )[0]  # fmt: skip
        self._pictures[view] = picture, visits + 1
        return picture

    def _conditions_of(self, camera: tuple[float, float, float]):
        """Conditions of one view of the neutral head."""
        guidance, neutral, control = self.guidance, self.model.fit.neutral, None
        if guidance.control is not None:
            maps = guidance.control(neutral, prior_camera(*camera), neutral, neutral)
            control = torch.from_numpy(np.asarray(maps))[None]
        return guidance.prior.conditions(
            [guidance.prompt], torch.tensor([camera]), embedding=guidance.embedding,
            expressions=torch.zeros(1, len(EXPRESSIONS)), control=control,
        )  # fmt: skip
