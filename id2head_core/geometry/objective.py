"""What the geometry stage minimises: score distillation of normals over random views, and priors.

``grad L_SDS(theta_g) = E[w(t) (predicted_noise - noise) dx/dtheta_g]`` over cameras, expressions,
timesteps and noise; all 13 expressions are optimised together.
"""

from dataclasses import dataclass

import numpy as np
import torch

from ..expressions import EXPRESSIONS
from ..guidance.inputs import Guidance
from ..guidance.prior_camera import FACE_ZOOM, prior_camera
from ..guidance.score_distillation import distill, sds_gradient
from .fit_config import GeometryFitConfig
from .head_model import HeadModel
from .normal_render import NormalRenderer
from .photo_evidence import PhotoTerms
from .regularizers import grid_smoothness, laplacian, weighted_square

SEEN_WEIGHT = 20.0
"""How much more the anchor holds what the photo saw than what it did not."""


@dataclass(frozen=True)
class SampledView:
    """A camera (degrees, zoom as in ``prior_camera``) and an expression's index, or None."""

    yaw: float
    pitch: float
    zoom: float
    expression: int | None

    def weights(self) -> torch.Tensor:
        """Expression weights ``[13]``."""
        weights = torch.zeros(len(EXPRESSIONS))
        if self.expression is not None:
            weights[self.expression] = 1.0
        return weights


class ViewSampler:
    """Draws views: close-ups of the face, and the whole head from the sides and the back.

    The expressions of close-ups take turns in random order, so that the few steps of a fit leave
    none out: each folds the skin in its own way.
    """

    def __init__(self, config: GeometryFitConfig):
        self.config, self._waiting = config, []

    def __call__(self, generator: torch.Generator) -> SampledView:
        """The next view."""
        config, draw = self.config, torch.rand(6, generator=generator).tolist()
        is_face = draw[0] < config.face
        if is_face:
            yaw, zoom = 120 * draw[1] - 60, 1.5 + (FACE_ZOOM - 1.5) * draw[2]
        else:
            yaw, zoom = 30 + 300 * draw[1], 1.0
        neutral = draw[3] < (config.neutral_face if is_face else config.neutral)
        expression = None if neutral else int(draw[4] * len(EXPRESSIONS))
        if is_face and not neutral:
            if not self._waiting:
                self._waiting = torch.randperm(len(EXPRESSIONS), generator=generator).tolist()
            expression = self._waiting.pop()
        return SampledView((yaw + 180) % 360 - 180, 45 * draw[5] - 15, zoom, expression)


class GeometryObjective:
    """Losses of one head.

    Args:
        model: the parameters.
        guidance: prior, prompt, embedding, control.
        seen: ``[N]`` in [0, 1], what the photo saw.
        photo: losses in the photo's camera, or None.
        config: settings.
    """

    def __init__(
        self,
        model: HeadModel,
        guidance: Guidance,
        seen: np.ndarray,
        photo: PhotoTerms | None,
        config: GeometryFitConfig,
    ):
        self.model, self.guidance, self.photo = model, guidance, photo
        self.config = config
        self.renderer, self._sample = NormalRenderer(), ViewSampler(config)
        self._anchor = torch.from_numpy(seen.astype(np.float32) + 1 / SEEN_WEIGHT)
        self._edges = torch.from_numpy(model.edges.astype(np.int64))
        expressions = model.expressions
        self._bare = expressions.displacements(folded=False).detach().numpy()  # [13, N, 3]
        self._folded = self._bare + expressions.deepest_folds().numpy()

    def distillation(
        self, progress: float, generator: torch.Generator
    ) -> tuple[torch.Tensor, float]:
        """Surrogate of score distillation, scaled as half a mean squared error.

        Its value has no meaning; the second result is the mean squared residual.

        Args:
            progress: of the fit, in [0, 1).
            generator: of views, timesteps and noise.
        """
        config, prior = self.config, self.guidance.prior
        views = [self._sample(generator) for _ in range(config.views)]
        images = torch.stack([self._image(view) for view in views])  # [B, 3, S, S]
        schedule, share = phase(config, progress)
        scales = [self._scale(view) for view in views]
        gradient, _ = sds_gradient(
            prior,
            "geometry",
            images,
            self._conditions(views),
            schedule.sample(share, len(views), generator),
            guidance_scale=scales[0] if len(set(scales)) == 1 else torch.tensor(scales),
            weighting=config.weighting,
            rescale=config.rescale,
            against=self._against(views),
            generator=generator,
        )
        loss = distill(images, gradient) / images[0].numel()
        return loss, float(gradient.square().mean())

    def terms(self) -> dict[str, torch.Tensor]:
        """Weighted priors and photo terms, by name."""
        model, config = self.model, self.config
        residual = 1000 * model.skin()  # mm
        learned = model.expressions.coefficients(model.expressions.codes)
        terms = {
            "anchor": config.anchor * weighted_square(residual, self._anchor),
            "laplacian": config.laplacian * laplacian(residual, self._edges),
            "expression": config.expression * learned.square().mean(),
        }
        if model.hair is not None:
            change = 1000 * model.hair.change()
            terms["hair"] = config.hair_smoothness * grid_smoothness(change)
        if self.photo is not None:
            terms["landmark"] = config.landmark * self.photo.landmarks(model.neutral())
            if self.photo.has_silhouette:
                silhouette = self.photo.silhouette(model, self.renderer)
                terms["silhouette"] = config.silhouette * silhouette
        return terms

    def _image(self, view: SampledView) -> torch.Tensor:
        """Normals ``[3, S, S]`` of one view."""
        mesh = self.model.mesh(self.model.expressions.blend(view.weights()))
        camera = prior_camera(view.yaw, view.pitch, view.zoom)
        return self.renderer(mesh, camera, self.guidance.prior.resolution)[0]

    def _scale(self, view: SampledView) -> float:
        """Of classifier-free guidance."""
        folds = view.expression is not None and view.zoom > 1 and not self.guidance.against
        return self.config.expression_guidance if folds else self.config.guidance_scale

    def _against(self, views: list[SampledView]):
        """Conditions with the text that the prompt is contrasted with, or None."""
        against = self.guidance.against
        return self._conditions(views, against) if against else None

    def _conditions(self, views: list[SampledView], prompt: str | None = None):
        """Conditions of the views, control maps included; ``prompt`` replaces the guidance's."""
        control = None
        if self.guidance.control is not None:
            control = torch.from_numpy(np.stack([self._control(view) for view in views]))
        return self.guidance.prior.conditions(
            [prompt or self.guidance.prompt] * len(views),
            torch.tensor([[v.yaw, v.pitch, v.zoom] for v in views]),
            embedding=self.guidance.embedding,
            expressions=torch.stack([v.weights() for v in views]),
            control=control,
        )

    def _control(self, view: SampledView) -> np.ndarray:
        """Control maps ``[9, S, S]``: the head as it was fitted, so the prior cannot drift.

        As in training they show no folds, and then the deepest ones.
        """
        neutral = self.model.fit.neutral
        camera = prior_camera(view.yaw, view.pitch, view.zoom)
        if view.expression is None:
            return self.guidance.control(neutral, camera, neutral, neutral)
        bare, folded = (
            (neutral + offsets[view.expression]).astype(np.float32)
            for offsets in (self._bare, self._folded)
        )
        return self.guidance.control(bare, camera, neutral, folded)


def phase(config: GeometryFitConfig, progress: float):
    """Schedule of the coarse or of the fine steps, and the progress within them."""
    if progress < config.coarse_share:
        return config.coarse, progress / config.coarse_share
    return config.fine, (progress - config.coarse_share) / max(1 - config.coarse_share, 1e-6)
