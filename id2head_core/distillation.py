"""The two optimisation stages of a run, with everything they need, as progress events.

``Distillation`` holds the 2D prior, builds the guidance of one person from what was measured, and
wraps ``geometry.fit`` and ``appearance.fit`` so that the pipeline only passes results on.
"""

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from .appearance.fit import AppearanceFitConfig, AppearanceStep, fit_appearance
from .camera import orbit_camera
from .config import PipelineConfig
from .editing.hair_start import LIT, restyled
from .editing.shape_start import axes
from .geometry.fit import (
    GeometryFitConfig,
    GeometryResult,
    GeometryStep,
    PhotoEvidence,
    fit_geometry,
)
from .guidance.diffusion_prior import DiffusionPrior
from .guidance.inputs import Guidance
from .guidance.prior_folder import load_prior, load_stable_diffusion
from .guidance.prior_image import ControlRenderer
from .guidance.text_encoder import MiniLMTextEncoder, TextEncoder
from .prompts import (
    SKIN_TONES,
    Looks,
    colour_name,
    colour_of,
    describe,
    gender_of,
    gender_word,
    hair_colour,
    skin_word,
    style_of,
    style_word,
    tone_of,
)
from .structures import HairFit, HeadAppearance, HeadFit, HeadGeometry, Identity, Progress
from .template.hair import HairTemplate
from .template.head_template import HeadTemplate
from .template.neck import widened_neck

FEMALE = 0.5
"""Steps from the mean head to the mean woman's, along the axis that starts at the mean man's."""

Left = Callable[[], float]
"""Seconds left, asked for each event."""


class Distillation:
    """Score distillation of geometry and appearance for one photo after another.

    Args:
        config: of the pipeline.
        template: the head template.
        hair_template: the hair template.
    """

    def __init__(self, config: PipelineConfig, template: HeadTemplate, hair_template: HairTemplate):
        self.config, self.template, self.hair_template = config, template, hair_template
        self.prior = prior_of(config)
        embedded = self.prior.predicts == "sample"
        self.control = ControlRenderer(template, self.prior.resolution) if embedded else None

    def guidance(
        self, identity: Identity, hair: HairFit | None, embedding: torch.Tensor
    ) -> Guidance:
        """What the prior is asked for: the measured looks, or the configured prompt."""
        prompt = self.config.prompt or describe(self.looks(identity, hair))
        return Guidance(self.prior, prompt, embedding, self.control)

    @property
    def sentence_encoder(self) -> TextEncoder:
        """MiniLM: the prior's own, or one beside a prior with CLIP."""
        own = self.prior.text_encoder
        return own if isinstance(own, MiniLMTextEncoder) else MiniLMTextEncoder.load()

    def edit_guidance(self, embedding: torch.Tensor, prompt: str, against: str) -> Guidance:
        """The edited prompt, contrasted with the one before."""
        return Guidance(self.prior, prompt, embedding, self.control, against)

    def looks(self, identity: Identity, hair: HairFit | None) -> Looks:
        """Age, gender, skin, hair style and hair colour as words know them."""
        style, colour = "bald", ""
        if hair is not None:
            proxy = self.hair_template.proxy_vertices(self.template.mean)
            style = style_word(hair.thickness, proxy, hair.style)
            colour = "" if style == "bald" else colour_name(hair.colour)
        skin = skin_word(identity.darkness)
        return Looks(identity.age, gender_word(identity.gender), style, colour, skin=skin)

    def skin_tone(self, identity: Identity) -> float:
        """Darkness of the skin where a run without photo evidence begins: its word's typical one.

        The word is the prompt's, or what a photo whose skin was measured would be called.
        """
        word = tone_of(self.config.prompt) or skin_word(identity.darkness) or "fair"
        return SKIN_TONES[word][1]

    def female(self, identity: Identity) -> float:
        """1 or 0 where a run without photo evidence begins with a woman or a man, 0.5 for neither.

        The prompt decides, or else the word for the photo. A mixture of both looks like a man.
        """
        word = gender_of(self.config.prompt) or gender_word(identity.gender)
        return {"woman": 1.0, "man": 0.0}.get(word, 0.5)

    def pure_start(self, identity: Identity, measured: HairFit | None) -> tuple[HeadFit, HairFit]:
        """The mean head, where a run without photo evidence begins.

        It is the mean woman's or man's if the prompt says so, and its hair is the template's of the
        style and colour that the prompt names; what a configured prompt leaves open is what was
        measured, in words.
        """
        looks = self.looks(identity, measured)
        mean = self.template.mean
        change = FEMALE * (2 * self.female(identity) - 1) * axes()["female"]
        change = change + widened_neck(mean + change, mean)
        neutral = self.template.neutral(np.zeros(0, np.float32), change)
        nothing = np.zeros(len(self.template.action_names), np.float32)
        fit = HeadFit(
            orbit_camera(), 0.0, 0.0, 0.0, np.zeros(0, np.float32), nothing,
            change, neutral, neutral, 0.0,
        )  # fmt: skip
        hair = restyled(self.hair_template, None, style_of(self.config.prompt) or looks.style)
        colour = colour_of(self.config.prompt) or looks.colour
        return fit, replace(hair, colour=LIT * hair_colour(colour)) if colour else hair

    def geometry(
        self,
        identity: Identity,
        fit: HeadFit,
        hair: HairFit | None,
        guidance: Guidance,
        generator: torch.Generator,
        left: Left,
    ) -> Generator[Progress, None, GeometryResult]:
        """Yield progress and return the optimised geometry."""
        settings = replace(
            GeometryFitConfig(),
            steps=self.config.geometry_steps,
            guidance_scale=self.config.guidance_scale,
        )
        evidence = PhotoEvidence(identity) if self.config.photo_evidence else None
        steps = fit_geometry(
            self.template, self.hair_template, fit, hair, guidance,
            evidence=evidence, config=settings, generator=generator,
        )  # fmt: skip
        return (yield from geometry_progress(steps, "Sculpting the shape", left))

    def appearance(
        self,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        fit: HeadFit,
        seen: np.ndarray | None,
        guidance: Guidance,
        generator: torch.Generator,
        left: Left,
    ) -> Generator[Progress, None, HeadAppearance]:
        """Yield progress and return the optimised materials."""
        settings = replace(
            AppearanceFitConfig(),
            steps=self.config.appearance_steps,
            guidance_scale=self.config.texture_guidance_scale,
        )
        steps = fit_appearance(
            self.template, geometry, appearance, guidance,
            seen=seen, neutral=fit.neutral, config=settings, generator=generator,
        )  # fmt: skip
        painted = yield from appearance_progress(steps, "Painting the skin and hair", left)
        return painted or appearance


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: threads cost more than they help with networks and images this small.

    On two AVX2 cores a step takes 0.37 s instead of 0.68 s, and rounding no longer depends on how
    the work happened to be divided: one seed repeats exactly.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def geometry_progress(
    steps: Generator[GeometryStep, None, None], message: str, left: Left
) -> Generator[Progress, None, GeometryResult | None]:
    """The steps of ``fit_geometry`` as progress events; returns its newest result."""
    result = None
    with one_thread(), closing(steps):
        for step in steps:
            result = step.result or result
            yield Progress(
                "geometry", step.step, step.total, message, left(), normals=step.normals_image
            )
    return result


def appearance_progress(
    steps: Generator[AppearanceStep, None, None], message: str, left: Left
) -> Generator[Progress, None, HeadAppearance | None]:
    """The steps of ``fit_appearance`` as progress events; returns its newest materials."""
    appearance = None
    with one_thread(), closing(steps):
        for step in steps:
            appearance = step.appearance or appearance
            yield Progress("appearance", step.step, step.total, message, left(), step.image)
    return appearance


def prior_of(config: PipelineConfig) -> DiffusionPrior:
    """The shipped prior, another one of ``train_prior``, or adapters on Stable Diffusion."""
    if config.base is None:
        return load_prior()
    base = Path(config.base)
    if (base / "prior.json").is_file():
        return load_prior(base)
    return load_stable_diffusion(base, None if config.adapters is None else Path(config.adapters))
