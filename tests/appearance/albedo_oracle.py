"""A head, and a prior that knows another skin and hair for it: bench of the appearance stage."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import torch
from scipy.spatial import cKDTree

from id2head_core.appearance.appearance_model import GainMaps, allowed_texels
from id2head_core.appearance.plain_look import plain_appearance
from id2head_core.appearance.relighting import relit
from id2head_core.appearance.shaded_render import AlbedoRenderer
from id2head_core.guidance.prior_camera import prior_camera
from id2head_core.structures import HairFit, HeadAppearance, HeadGeometry
from id2head_core.template.hair import HairTemplate, hair_part
from id2head_core.template.head_template import HeadTemplate
from tests.guidance.stub_prior import OraclePrior, StubConditions

RESOLUTION, TEXTURE = 32, 256


@dataclass(frozen=True)
class Bench:
    """The head, where the fit starts, what the oracle knows, and what the photo saw."""

    template: HeadTemplate
    geometry: HeadGeometry
    start: HeadAppearance
    target: HeadAppearance
    seen: np.ndarray


@dataclass(frozen=True)
class StubGuidance:
    """The fields of ``guidance.inputs.Guidance`` that the stage reads."""

    prior: object
    prompt: str = "a person"
    embedding: torch.Tensor | None = None
    control: object = None
    against: str = ""


@cache
def bench() -> Bench:
    template, hair = HeadTemplate.load(), HairTemplate.load()
    neutral = template.neutral(np.zeros(1, np.float32))
    moved = template.expression_displacements(neutral)
    thickness = hair.thickness[hair.styles.index("bob01")]
    shell = hair_part(hair, HairFit("bob01", thickness, np.zeros(3)), neutral, moved)
    geometry = HeadGeometry((*template.parts(neutral, moved), shell))
    start = plain_appearance(template, geometry, 30.0, 0.5, TEXTURE)
    seen = _front(geometry, TEXTURE)
    unseen = (1 - np.clip(2 * seen, 0, 1))[..., None]
    changes = {
        "skin": np.exp(unseen * np.float32([-0.25, -0.45, -0.5])),
        "hair": np.float32([0.5, 2.2, 0.7]),  # green
    }
    materials = dict(start.materials)
    for name, gain in changes.items():
        albedo = np.clip(materials[name].albedo * gain, 0, 1).astype(np.float32)
        materials[name] = replace(materials[name], albedo=albedo)
    return Bench(template, geometry, start, HeadAppearance(materials), seen)


def _front(geometry: HeadGeometry, side: int) -> np.ndarray:
    """1 on texels whose nearest vertex lies in the front of the face, ``[side, side]``."""
    skin = geometry.parts[0]
    front = (skin.vertices[:, 2] > 0.045) & (skin.vertices[:, 1] > -0.13)
    rows, columns = np.mgrid[0:side, 0:side]
    texels = np.stack([columns, rows], -1).reshape(-1, 2) / side
    return front[cKDTree(skin.uv).query(texels)[1]].reshape(side, side).astype(np.float32)


class HeadOracle(OraclePrior):
    """The optimal denoiser of a world that holds one head; ``light`` is painted into its albedo."""

    def __init__(self, geometry, target, resolution=RESOLUTION, light=None):
        super().__init__(resolution)
        self._renderer = AlbedoRenderer(geometry, target, resolution)
        self._light = light

    def conditions(self, prompts, cameras, *, embedding, expressions, control=None):
        images = []
        for (yaw, pitch, zoom), weights in zip(cameras.tolist(), expressions, strict=True):
            view = self._renderer.view(prior_camera(yaw, pitch, zoom), weights.numpy())
            image = view.image(*(torch.zeros(3, 4, 4) for _ in range(3)))
            images.append(image if self._light is None else relit(image, view.basis, self._light))
        return StubConditions(torch.stack(images))


def no_gains() -> GainMaps:
    """Maps that change nothing."""
    return GainMaps(torch.zeros(3, 8, 8), torch.zeros(3, 8, 8), torch.zeros(13, 3, 8, 8))


def pictures(appearance: HeadAppearance, yaws=(90, 150, 210, 270)) -> list[tuple]:
    """Albedo images ``[3, R, R]`` at 64 pixels and their view, from sides and back."""
    given = bench()
    renderer = AlbedoRenderer(given.geometry, appearance, 64, allowed_texels(given.seen))
    views = [renderer.view(prior_camera(yaw, 5.0), np.zeros(13, np.float32)) for yaw in yaws]
    return [(view.base ** (1 / 2.2), view) for view in views]


def error(appearance: HeadAppearance, part: str) -> float:
    """Mean absolute error against the target on visible hair, or on visible unseen skin."""
    differences = []
    for (mine, view), (wanted, _) in zip(
        pictures(appearance), pictures(bench().target), strict=True
    ):
        rows = view.hair if part == "hair" else view.skin[view.allowed > 0.95]
        differences.append((mine[rows] - wanted[rows]).abs())
    return float(torch.cat(differences).mean())
