"""A head, and a prior that knows more hair for it: the geometry stage's test bench."""

from functools import cache

import numpy as np
import torch

from id2head_core.camera import orbit_camera
from id2head_core.geometry.fit_config import GeometryFitConfig
from id2head_core.geometry.head_model import HeadModel
from id2head_core.geometry.normal_render import NormalRenderer
from id2head_core.guidance.inputs import Guidance
from id2head_core.guidance.prior_camera import prior_camera
from id2head_core.render.visibility import visible_faces
from id2head_core.structures import DetectedFace, FaceParsing, HairFit, HeadFit, Identity, Photo
from id2head_core.template.hair import HairTemplate, hair_part
from id2head_core.template.head_template import HeadTemplate
from tests.guidance.stub_prior import OraclePrior, StubConditions

RESOLUTION = 32
MORE_HAIR = 0.018
"""Metres of thickness that the oracle adds."""


@cache
def templates() -> tuple[HeadTemplate, HairTemplate]:
    return HeadTemplate.load(), HairTemplate.load()


@cache
def start() -> tuple[HeadFit, HairFit]:
    """A sampled head with short hair, as seen from the front."""
    template, hair = templates()
    identity = 0.7 * np.random.default_rng(0).normal(size=len(template.identity_basis))
    neutral = template.neutral(identity)
    camera = orbit_camera(0.0, distance=1.4, fov_y=24.0)
    actions = np.zeros(len(template.action_names), np.float32)
    fit = HeadFit(
        camera, 0.0, 0.0, 0.0, identity, actions, np.zeros_like(neutral), neutral, neutral, 0.0
    )
    return fit, HairFit("short04", hair.thickness[hair.styles.index("short04")], np.zeros(3))


def fuller(hair: HairFit) -> HairFit:
    """The oracle's hair: thicker, and with an outline further out."""
    template = templates()[1]
    thickness = np.where(template.free, hair.thickness, hair.thickness + MORE_HAIR)
    return HairFit(hair.style, thickness.astype(np.float32), hair.colour)


def model(hair: HairFit | None, known: np.ndarray | None = None, seed: int = 0) -> HeadModel:
    template, hair_template = templates()
    neutral = start()[0].neutral
    known = np.zeros(len(hair_template.uv), np.float32) if known is None else known
    return HeadModel(
        template, hair_template, start()[0], hair, skin_free=np.ones(len(neutral)),
        hair_known=known, skin_cap=0.006, generator=torch.Generator().manual_seed(seed),
    )  # fmt: skip


class HairOracle(OraclePrior):
    """The optimal denoiser of a world that holds one head; remembers what it was asked."""

    def __init__(self, target: HairFit, resolution: int = RESOLUTION, folds: float = 0.0):
        super().__init__(resolution)
        self.model, self.renderer = model(target), NormalRenderer()
        with torch.no_grad():
            self.model.expressions.folds.fill_(folds)
        self.cameras, self.expressions, self.domains = [], [], set()

    @torch.no_grad()
    def conditions(self, prompts, cameras, *, embedding, expressions, control=None):
        self.cameras += cameras.tolist()
        self.expressions += expressions.tolist()
        images = []
        for camera, weights in zip(cameras.tolist(), expressions, strict=True):
            mesh = self.model.mesh(self.model.expressions.blend(weights))
            images.append(self.renderer(mesh, prior_camera(*camera), self.resolution)[0])
        return StubConditions(torch.stack(images))

    def predict(self, domain, noisy_latents, timestep, conditions):
        self.domains.add(domain)
        return super().predict(domain, noisy_latents, timestep, conditions)


class BrokenPrior(HairOracle):
    """Answers NaN at the chosen calls of ``guided``."""

    def __init__(self, target: HairFit, broken: set[int]):
        super().__init__(target)
        self.calls, self.broken = 0, broken

    def guided(self, *arguments):
        noise = super().guided(*arguments)
        self.calls += 1
        return noise * float("nan") if self.calls - 1 in self.broken else noise


def guidance(prior, control=None) -> Guidance:
    return Guidance(prior, "a person with short hair", None, control)


def quick(steps: int, **changes) -> GeometryFitConfig:
    """Unguided, without pictures, uncombed."""
    plain = {
        "rescale": 0.0, "guidance_scale": 1.0, "expression_guidance": 1.0, "preview_every": 0,
        "comb_share": 0.0,
    }  # fmt: skip
    return GeometryFitConfig(steps=steps, **{**plain, **changes})


def hair_error(hair: HairFit, target: HairFit) -> float:
    """Mean absolute error of the thickness where the target has hair, metres."""
    template = templates()[1]
    has = (target.thickness > 0) & ~template.free
    return float(np.abs(hair.thickness - target.thickness)[has].mean())


def photo_identity(size: int = 256) -> Identity:
    """A photo through the fit's camera: skin where the bare head is drawn, hair on its shell."""
    template, hair_template = templates()
    fit, hair = start()
    zeros = np.zeros((13, *fit.neutral.shape), np.float32)
    shell = hair_part(hair_template, hair, fit.neutral, zeros)
    faces = np.concatenate([hair_template.skin_faces, shell.faces + len(fit.neutral)])
    vertices = np.concatenate([fit.neutral, shell.vertices])
    index = visible_faces(fit.camera.clip_positions(vertices), faces, size, size)
    probabilities = np.zeros((19, size, size), np.float32)
    probabilities[0] = index < 0
    probabilities[1] = (index >= 0) & (index < len(hair_template.skin_faces))
    probabilities[17] = index >= len(hair_template.skin_faces)
    face = DetectedFace(
        np.array([80, 60, 176, 200], np.float32), 1.0, np.zeros((5, 2), np.float32),
        np.zeros((106, 2), np.float32), np.zeros(106, np.float32),
    )  # fmt: skip
    photo = Photo(np.full((size, size, 3), 128, np.uint8))
    parsing = FaceParsing(probabilities, np.array([[1, 0, 0], [0, 1, 0]], np.float32))
    return Identity(photo, face, np.ones(512, np.float32) / 512**0.5, parsing)
