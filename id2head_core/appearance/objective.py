"""What the appearance stage minimises: score distillation over random views, and priors.

Light. The paper renders a *shaded* pseudo-albedo under a random light so that none bakes in. Our
prior has seen albedo only, and a shaded picture would be foreign to it: it looks at the albedo x
and answers with its estimate x0. Under the same random light s, the residual is
``relit(x, s) - relit(x0, s)``: where x = x0 it vanishes for every s, hence no light can move the
fixed point, while each step weighs the error as it would be seen under some light. What light a
prior still paints by itself is held back by ``LightLeak``: what degree-2 shading of the normals
explains in the log gains is penalised.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..expressions import EXPRESSIONS
from ..guidance.prior_camera import FACE_ZOOM, prior_camera
from ..guidance.score_distillation import distill, sds_gradient
from ..render.textured_mesh import sample_map
from ..structures import HeadAppearance, HeadGeometry
from ..template.head_template import HeadTemplate
from .appearance_model import GainMaps
from .fit_config import AppearanceFitConfig
from .gain_maps import Seam, roughness
from .relighting import LightLeak, random_unit_light, relit
from .shaded_render import AlbedoRenderer

NEUTRAL = np.zeros(len(EXPRESSIONS), np.float32)
"""Expression weights of the neutral head."""

POINTS = 4000
"""Points of the skin on which the priors are evaluated, about."""


@dataclass(frozen=True)
class SampledView:
    """A camera (degrees, zoom as in ``prior_camera``) and an expression's index, or None."""

    yaw: float
    pitch: float
    zoom: float
    expression: int | None

    def weights(self) -> np.ndarray:
        """Expression weights, float32 ``[13]``."""
        weights = np.zeros(len(EXPRESSIONS), np.float32)
        if self.expression is not None:
            weights[self.expression] = 1.0
        return weights


def sample_view(config: AppearanceFitConfig, generator: torch.Generator) -> SampledView:
    """Mostly sides and backs, since the photo shows the front; half the fronts are close-ups."""
    draw = torch.rand(7, generator=generator).tolist()
    front = draw[0] < config.front
    yaw = 80 * draw[1] - 40 if front else 40 + 280 * draw[1]
    zoom = 1 + (FACE_ZOOM - 1) * draw[3] if front and draw[2] < 0.5 else 1.0
    expression = None if draw[4] < config.neutral else int(draw[5] * len(EXPRESSIONS))
    return SampledView((yaw + 180) % 360 - 180, 40 * draw[6] - 15, zoom, expression)


class AppearanceObjective:
    """Losses of one head.

    Args:
        template: the head template.
        geometry: of the head.
        appearance: the textures that gains are applied to.
        guidance: see ``guidance.inputs``.
        allowed: where the head's own gain acts on the skin, or None = everywhere.
        neutral: template vertices ``[N, 3]``, or None: no control maps.
    """

    def __init__(
        self,
        template: HeadTemplate,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        guidance,
        allowed: np.ndarray | None,
        neutral: np.ndarray | None,
    ):
        self.guidance, self._neutral = guidance, neutral
        size = guidance.prior.resolution
        self._renderer = AlbedoRenderer(geometry, appearance, size, allowed)
        self._photo = allowed is not None
        self._controlled = guidance.control is not None and neutral is not None
        if self._controlled:
            self._displacements = template.expression_displacements(neutral)
        skin, hair = geometry.parts[0], geometry.part("hair")
        self._seam = Seam(skin)
        self._around(hair is not None)

    def _around(self, hair: bool) -> None:
        """Points of the visible surface, for the priors: every few samples of eight views."""
        views = [self._renderer.view(prior_camera(45.0 * k, 5.0), NEUTRAL) for k in range(8)]
        chosen = slice(None, None, max(1, sum(len(v.skin) for v in views) // POINTS))

        def points(values):
            return torch.cat(values)[chosen]

        self._skin_uv = points([v.skin_uv for v in views])
        allowed = points([v.allowed for v in views])
        self._seen = 1 - allowed
        self._leaks = {
            "skin": LightLeak(self._skin_uv, points([v.normals[v.skin] for v in views]), allowed)
        }
        if hair:
            self._leaks["hair"] = LightLeak(
                points([v.hair_uv for v in views]),
                points([v.normals[v.hair] for v in views]),
                wrap=True,
            )

    def visible_skin(self, side: int) -> np.ndarray:
        """Share of the skin's visible points in each cell of its texture, ``[side, side]``."""
        columns, rows = (self._skin_uv.numpy().T * side).astype(int).clip(0, side - 1)
        counts = np.zeros((side, side), np.float32)
        np.add.at(counts, (rows, columns), 1)
        return counts / counts.sum()

    def distillation(
        self,
        maps: GainMaps,
        progress: float,
        config: AppearanceFitConfig,
        generator: torch.Generator,
    ) -> tuple[torch.Tensor, float]:
        """Surrogate loss of score distillation, scaled as half a mean squared error.

        Its value has no meaning; the second result is the mean squared residual.
        """
        sampled = [sample_view(config, generator) for _ in range(config.views)]
        cameras = [prior_camera(v.yaw, v.pitch, v.zoom) for v in sampled]
        views = [
            self._renderer.view(camera, v.weights())
            for camera, v in zip(cameras, sampled, strict=True)
        ]
        images = [
            view.image(maps.skin, maps.hair, maps.of_expression(v.expression))
            for view, v in zip(views, sampled, strict=True)
        ]  # B of [3, S, S]
        prior = self.guidance.prior
        timestep = config.schedule.sample(progress, len(sampled), generator)
        gradient, predicted = sds_gradient(
            prior,
            "texture",
            torch.stack(images).detach().to(prior.device),
            self._conditions(sampled, cameras),
            timestep.to(prior.device),
            guidance_scale=config.guidance_scale,
            rescale=config.rescale,
            against=self._against(sampled, cameras),
            generator=generator,
        )
        gradient, predicted = gradient.to(images[0]), predicted.to(images[0])
        shown, residual = list(images), list(gradient)
        for index, view in enumerate(views):
            if float(torch.rand(1, generator=generator)) < config.light:
                light = random_unit_light(generator)
                shown[index] = relit(images[index], view.basis, light)
                residual[index] = shown[index] - relit(predicted[index], view.basis, light)
        residuals = torch.stack(residual).detach()
        loss = distill(torch.stack(shown), residuals) / images[0].numel()
        return loss, float(residuals.square().mean())

    def priors(self, maps: GainMaps, config: AppearanceFitConfig) -> dict[str, torch.Tensor]:
        """Weighted regularisers by name."""
        smooth = roughness(maps.skin) + roughness(maps.hair) + roughness(maps.expressions)
        leaks = self._leaks["skin"](maps.skin)
        if "hair" in self._leaks:
            leaks = leaks + self._leaks["hair"](maps.hair)
        values = sample_map(maps.expressions.flatten(0, 1), self._skin_uv)  # [P, 39]
        seen = (values.square() * self._seen[:, None]).mean()
        own = sample_map(maps.skin, self._skin_uv)  # [P, 3]
        amplitude = (
            (own.square() * (1 - self._seen[:, None])).mean() if self._photo else own.sum() * 0
        )
        terms = {
            "amplitude": config.amplitude * amplitude,
            "smoothness": config.smoothness * smooth,
            "seam": config.seam * self._seam(maps.skin),
            "leak": config.leak * leaks,
            "expression": config.expression * (maps.expressions.square().mean() + 9 * seen),
        }
        return terms

    def _against(self, sampled, cameras):
        """Conditions with the text that the prompt is contrasted with, or None."""
        against = self.guidance.against
        return self._conditions(sampled, cameras, against) if against else None

    def _conditions(self, sampled, cameras, prompt: str | None = None):
        """Conditions of the sampled views, control maps included."""
        control = None
        if self._controlled:
            control = torch.from_numpy(
                np.stack([self._control(v, c) for v, c in zip(sampled, cameras, strict=True)])
            )
        return self.guidance.prior.conditions(
            [prompt or self.guidance.prompt] * len(sampled),
            torch.tensor([[v.yaw, v.pitch, v.zoom] for v in sampled]),
            embedding=self.guidance.embedding,
            expressions=torch.from_numpy(np.stack([v.weights() for v in sampled])),
            control=control,
        )

    def _control(self, view: SampledView, camera) -> np.ndarray:
        """Control maps ``[6, S, S]`` of one view."""
        posed = self._neutral + np.tensordot(view.weights(), self._displacements, 1)
        return self.guidance.control(posed.astype(np.float32), camera, self._neutral)
