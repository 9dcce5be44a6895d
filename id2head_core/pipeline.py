"""Photo in, head out: the one place that assembles the stages.

``HeadPipeline.stream`` is the whole system on one screen; the CLI and the app only consume its
events.
"""

import logging
import time
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch

from . import __version__
from .appearance.albedo import AppearanceBuilder
from .appearance.identity_refinement import refine_identity
from .asset.gltf import write_glb
from .config import PipelineConfig, full
from .geometry.head_geometry import build_geometry
from .identity.analyse import IdentityAnalyser
from .identity.arcface import ArcFace
from .identity.photo import decode
from .render.contact_sheet import portrait_camera
from .render.head_renderer import HeadRenderer, warm_up
from .structures import (
    HeadAppearance,
    HeadAsset,
    HeadFit,
    HeadGeometry,
    Identity,
    Photo,
    Progress,
)
from .template.fit import TemplateFitter
from .template.hair import HairTemplate
from .template.hair_fit import fit_hair
from .template.head_template import HeadTemplate

logger = logging.getLogger(__name__)

NOTE = "AI-generated likeness of a person, made from one photo."

PREVIEW_EVERY = 8
"""Steps of the refinement between two preview pictures."""

SECONDS = {"face": 1.0, "fit": 5.0, "geometry": 1.0, "appearance": 5.0, "asset": 1.5}
"""Typical duration of each stage on two CPU cores, for the first estimate of the time left."""


class HeadPipeline:
    """Turns photos into heads. Holds all weights; one run at a time."""

    def __init__(self, config: PipelineConfig | None = None):
        self.config = config or full()
        self.template = HeadTemplate.load()
        self.hair_template = HairTemplate.load()
        self.analyse = IdentityAnalyser(self.config)
        self.fitter = TemplateFitter(self.template)
        self.appearance = AppearanceBuilder(
            self.template, self.hair_template, self.config.texture_size
        )
        self.arcface = ArcFace.load()
        self.renderer = HeadRenderer()

    def warm_up(self) -> None:
        """Compile what is compiled on first use, so that the first visitor does not wait for it."""
        warm_up()

    def __call__(
        self,
        photo: Photo | bytes | Path,
        *,
        output_dir: Path,
        face_index: int | None = None,
        seed: int | None = None,
    ) -> HeadAsset:
        """Run to the end and return the finished head; arguments as ``stream``."""
        events = self.stream(photo, output_dir=output_dir, face_index=face_index, seed=seed)
        *_, last = events
        return last.asset

    def stream(
        self,
        photo: Photo | bytes | Path,
        *,
        output_dir: Path,
        face_index: int | None = None,
        seed: int | None = None,
    ) -> Iterator[Progress]:
        """Yield the events of one run; closing the generator stops it within a step.

        Args:
            photo: decoded, or the bytes or path of an image file.
            output_dir: existing folder that receives ``head.glb`` (and ``head_preview.glb``).
            face_index: which face of a group photo, counted from the left.
            seed: overrides the configured seed.

        Raises:
            ID2HeadError: with a text for the visitor.
        """
        seed = self.config.seed if seed is None else seed
        clock = _Clock()
        yield Progress("face", 0, 1, "Reading the photo", clock.left("face"))
        photo = photo if isinstance(photo, Photo) else decode(photo)
        index = self.config.face_index if face_index is None else face_index
        identity = self.analyse(photo, face_index=index)
        clock.done("face")
        yield Progress(
            "face", 1, 1, "Found the face", clock.left("fit"), image=face_preview(identity)
        )
        fit = self.fitter(identity)
        hair = fit_hair(self.hair_template, identity, fit) if self.config.hair else None
        clock.done("fit")
        yield Progress("fit", 1, 1, "Fitted the head", clock.left("geometry"))
        geometry = build_geometry(self.template, self.hair_template, fit, hair)
        clock.done("geometry")
        yield Progress("geometry", 1, 1, "Built 13 expressions", clock.left("appearance"))
        appearance = self.appearance(identity, fit, geometry, hair)
        image = self._preview(geometry, appearance)
        steps = self.config.refine_steps
        if steps:
            path = output_dir / "head_preview.glb"
            first = self._write(identity, geometry, appearance, path, seed, clock)
            yield Progress(
                "appearance", 0, steps, "First head", clock.left("appearance"), image, first
            )
            appearance = yield from self._refine(identity, fit, geometry, appearance, seed, clock)
            image = self._preview(geometry, appearance)
        clock.done("appearance")
        path = output_dir / "head.glb"
        asset = self._write(identity, geometry, appearance, path, seed, clock)
        clock.done("asset")
        logger.info("head finished: %s", clock.seconds)
        yield Progress("asset", 1, 1, "Done", 0.0, image, asset, final=True)

    def _refine(
        self,
        identity: Identity,
        fit: HeadFit,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        seed: int,
        clock: "_Clock",
    ) -> Generator[Progress, None, HeadAppearance]:
        """ArcFace refinement of the skin; yields progress and returns the new appearance."""
        steps = self.config.refine_steps
        skin = appearance.materials["skin"]
        run = refine_identity(
            geometry,
            appearance,
            self.fitter.keypoints(fit.neutral),
            self._target(identity),
            self.arcface,
            self.renderer,
            self.appearance.refinable(),
            steps=steps,
            generator=torch.Generator().manual_seed(seed),
        )
        for step, gain in run:
            if step % PREVIEW_EVERY and step < steps:
                continue
            albedo = np.clip(skin.albedo * gain[..., None], 0, 1).astype(np.float32)
            changed = replace(skin, albedo=albedo)
            appearance = HeadAppearance({**appearance.materials, "skin": changed})
            if step < steps:
                image = self._preview(geometry, appearance)
                left = clock.left("appearance")
                yield Progress("appearance", step, steps, "Matching the identity", left, image)
        return appearance

    def _target(self, identity: Identity) -> np.ndarray:
        """The photo's embedding ``[512]`` by the differentiable recogniser.

        With ``face_models="buffalo_l"`` this is another space than ``identity.embedding``.
        """
        image = torch.tensor(identity.photo.pixels).permute(2, 0, 1)[None].float() / 255
        keypoints = torch.tensor(identity.face.keypoints)[None].float()
        return self.arcface.embed(self.arcface.align(image, keypoints))[0].numpy()

    def _preview(self, geometry: HeadGeometry, appearance: HeadAppearance) -> np.ndarray:
        """Shaded front view, uint8 ``[384, 384, 3]``."""
        camera = portrait_camera(geometry, yaw=15.0)
        rendered = self.renderer.render(geometry, appearance, camera, size=(384, 384))
        return (np.clip(rendered.shaded, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _write(
        self,
        identity: Identity,
        geometry: HeadGeometry,
        appearance: HeadAppearance,
        path: Path,
        seed: int,
        clock: "_Clock",
    ) -> HeadAsset:
        """Write the .glb and return the asset that points to it."""
        metadata = {
            "generator": f"ID2Head {__version__}",
            "note": NOTE,
            "preset": self.config.preset,
            "seed": seed,
            "texture_size": self.config.texture_size,
            "refine_steps": self.config.refine_steps,
            "seconds": {stage: round(value, 2) for stage, value in clock.seconds.items()},
        }
        asset = HeadAsset(geometry, appearance, metadata)
        return replace(asset, path=write_glb(asset, path), portrait=portrait(identity, 512))


def face_preview(identity: Identity, side: int = 384) -> np.ndarray:
    """The photo around the head with the face's landmarks, uint8 ``[side, side, 3]``."""
    crop, matrix = _crop(identity, side)
    for point in identity.face.landmarks @ matrix[:, :2].T + matrix[:, 2]:
        cv2.circle(crop, (round(point[0]), round(point[1])), 2, (90, 220, 130), -1, cv2.LINE_AA)
    return crop


def portrait(identity: Identity, side: int) -> np.ndarray:
    """The photo around the head, uint8 ``[side, side, 3]``."""
    return _crop(identity, side)[0]


def _crop(identity: Identity, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Square crop around the head and the affine ``[2, 3]`` from photo to crop pixels."""
    left, top, right, bottom = identity.face.box
    centre = np.array([(left + right) / 2, top + 0.42 * (bottom - top)])
    scale = side / (2.0 * max(right - left, bottom - top))
    matrix = np.c_[np.eye(2) * scale, side / 2 - centre * scale]
    crop = cv2.warpAffine(
        identity.photo.pixels, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=(222,) * 3
    )
    return crop, matrix


class _Clock:
    """Wall-clock seconds per stage, and a guess of what is left."""

    def __init__(self):
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()

    def done(self, stage: str) -> None:
        """Book the time since the last call on ``stage``."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._start
        self._start = now

    def left(self, stage: str) -> float:
        """Seconds until the end, when ``stage`` is about to start or under way."""
        stages = list(SECONDS)
        remaining = sum(SECONDS[name] for name in stages[stages.index(stage) :])
        return max(0.5, remaining - (time.perf_counter() - self._start))
