"""The last part of the geometry stage: the hair falls into locks that the prior draws.

A lock may lie anywhere, so the one-step estimate of score distillation, a mean, shows hair without
locks. Here the prior denoises views in several steps, which draws *one* head of hair each, and the
relief of the locks is fitted to that. What a view shows obliquely counts little, so neighbouring
views hardly quarrel; the next round looks from between them with less noise, which keeps the locks
and mends where they meet.
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
"""Zoom of the views, so that locks have more pixels."""

ROUNDS = (
    ((180.0, 5.0), (95.0, 5.0), (-95.0, 5.0), (0.0, 30.0)),
    ((138.0, 12.0), (-138.0, 12.0), (50.0, 12.0), (-50.0, 12.0), (180.0, 30.0)),
)  # fmt: skip
"""Yaw and pitch of the views by round, degrees; the rounds take turns."""

FACING = 3
"""Power of the cosine to the view with which a pixel counts."""


class HairComb:
    """Combs one head.

    Args:
        model: of the head; must have hair. Only its locks move.
        guidance: prior, prompt, embedding, control.
        config: settings.
        generator: of the noise.
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
        self._conditions = [self._conditions_of(views) for views in ROUNDS]
        self._round, self._pictures, self._waiting = -1, None, []

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
                self._round = -1  # draws anew
                factor /= 2
                logger.warning("combing step taken back, rate x %.3g: %s", factor, error)
                yield {"accepted": 0.0}
                continue
            yield {"residual": residual, "accepted": 1.0}

    def _loss(self, progress: float) -> tuple[torch.Tensor, float]:
        """Half the weighted mean squared distance to the pictures, and priors."""
        now = int(progress * self.config.rounds)
        if now != self._round:
            self._draw(now)
        if len(self._waiting) < self.config.views:
            self._waiting += range(len(self._pictures))
        chosen = [self._waiting.pop(0) for _ in range(self.config.views)]
        views = ROUNDS[now % len(ROUNDS)]
        images = self._images([views[v] for v in chosen])  # [B, 3, S, S]
        facing = (2 * images.detach()[:, 2:] - 1).clamp(0, 1) ** FACING
        squared = (facing * (images - self._pictures[chosen]).square()).mean()
        relief = 1000 * self.model.hair.locks
        wrapped = torch.cat([relief, relief[:, :1]], dim=1)
        smooth = self.config.smoothness * grid_smoothness(wrapped)
        return squared / 2 + smooth, float(squared.detach())

    def _draw(self, number: int) -> None:
        """What the hair is drawn towards in a round, ``[V, 3, S, S]``."""
        config, turn = self.config, number % len(ROUNDS)
        with torch.no_grad():
            images = self._images(ROUNDS[turn])
        share = number / max(config.rounds - 1, 1)
        self._pictures = sampled_image(
            self.guidance.prior, "geometry", images, self._conditions[turn],
            round(config.first_timestep + share * (config.last_timestep - config.first_timestep)),
            steps=config.denoising_steps, guidance_scale=config.guidance_scale,
            generator=self.generator,
        )  # fmt: skip
        self._round, self._waiting = number, []

    def _images(self, views) -> torch.Tensor:
        """Normals of the neutral head ``[B, 3, S, S]`` from ``views`` (yaw, pitch)."""
        mesh = self.model.mesh(torch.zeros(self.model.fit.neutral.shape))
        size = self.guidance.prior.resolution
        return torch.stack([self.renderer(mesh, prior_camera(*v, CLOSE), size)[0] for v in views])

    def _conditions_of(self, views):
        """Conditions of the neutral head from ``views``."""
        guidance, neutral, control = self.guidance, self.model.fit.neutral, None
        if guidance.control is not None:
            cameras = [prior_camera(*view, CLOSE) for view in views]
            maps = [guidance.control(neutral, camera, neutral, neutral) for camera in cameras]
            control = torch.from_numpy(np.stack(maps))
        return guidance.prior.conditions(
            [guidance.prompt] * len(views), torch.tensor([(*view, CLOSE) for view in views]),
            embedding=guidance.embedding, expressions=torch.zeros(len(views), len(EXPRESSIONS)),
            control=control,
        )  # fmt: skip
