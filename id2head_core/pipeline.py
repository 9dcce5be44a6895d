"""Photo in, head out: the one place that assembles the stages.

``HeadPipeline.stream`` is the whole system on one screen; the CLI and the app only consume its
events.
"""

import logging
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from . import __version__
from .appearance.albedo import AppearanceBuilder
from .appearance.identity_refinement import refine_identity
from .appearance.loose_strands import with_loose_strands
from .appearance.plain_look import plain_appearance
from .asset.gltf import write_glb
from .config import PipelineConfig, full
from .distillation import Distillation, Left, one_thread
from .editing.edit import HeadEditor
from .editing.head_state import HeadState
from .editing.wishes import WishReader
from .errors import EditError, OptionError
from .expressions import EXPRESSIONS
from .geometry.expression_transformer import ExpressionTransformer
from .geometry.fit import GeometryResult, PhotoEvidence
from .geometry.head_geometry import build_geometry
from .geometry.identity_shape import fit_identity_shape
from .geometry.photo_evidence import seen_skin
from .identity.analyse import IdentityAnalyser
from .identity.arcface import ArcFace
from .identity.photo import decode
from .render.contact_sheet import portrait_camera
from .render.head_renderer import HeadRenderer, warm_up
from .structures import (
    DetectedFace,
    HairFit,
    HeadAppearance,
    HeadAsset,
    HeadFit,
    HeadGeometry,
    Identity,
    Inspection,
    Photo,
    Progress,
)
from .template.fit import TemplateFitter
from .template.hair import HairTemplate
from .template.hair_fit import fit_hair
from .template.head_template import HeadTemplate

logger = logging.getLogger(__name__)

STATE_NAME = "head.npz"
"""Where a run leaves what edits go on from, beside ``head.glb``."""

EDIT_SECONDS = 30.0
"""Typical duration of an edit on two CPU cores."""

NOTE = "AI-generated likeness of a person, made from one photo."

PREVIEW_EVERY = 8
"""Steps of the refinement between two preview pictures."""

SECONDS = {"face": 1.0, "fit": 0.5, "first": 2.5, "geometry": 0.5, "appearance": 0.5, "asset": 1.0}
"""Typical duration of each stage on two CPU cores, without what is counted in steps."""

STEP_SECONDS = {"shape": 0.2, "geometry": 0.2, "appearance": 0.3, "refine": 0.28}
"""Typical duration of a step, for the first estimate of the time left."""


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
        self.editor = HeadEditor(self.template, self.hair_template, self.appearance)
        self.distillation: Distillation | None = None
        if self.config.geometry_steps or self.config.appearance_steps:
            self.distillation = Distillation(self.config, self.template, self.hair_template)
            self.wishes = WishReader(self.distillation.sentence_encoder)

    def warm_up(self) -> None:
        """Compile what is compiled on first use, so that the first visitor does not wait for it."""
        warm_up()

    def inspect(self, photo: Photo | bytes | Path, *, face_index: int | None = None) -> Inspection:
        """Find and check the face, without the networks that a run needs; may run beside one.

        Raises:
            PhotoError, FaceError: as ``stream``, except for what only the face parser sees.
            OptionError: no face has this index.
        """
        photo = photo if isinstance(photo, Photo) else decode(photo)
        index = self.config.face_index if face_index is None else face_index
        face, faces = self.analyse.find(photo, index)
        boxes = [tuple(float(x) for x in one.box) for one in faces]
        number = next(i for i, one in enumerate(faces) if one is face)
        return Inspection(number, boxes, face_preview(photo, face))

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
            output_dir: existing folder that receives ``head.glb`` (and, on the way,
                ``head_preview.glb`` and ``head_shape.glb``).
            face_index: which face of a group photo, counted from the left.
            seed: overrides the configured seed.

        Raises:
            ID2HeadError: with a text for the visitor.
        """
        seed = self.config.seed if seed is None else seed
        generator = torch.Generator().manual_seed(seed)
        clock = _Clock(self.config)
        yield Progress("face", 0, 1, "Reading the photo", clock.left("face"))
        photo = photo if isinstance(photo, Photo) else decode(photo)
        index = self.config.face_index if face_index is None else face_index
        identity = self.analyse(photo, face_index=index)
        clock.done("face")
        yield Progress(
            "face",
            1,
            1,
            "Found the face",
            clock.left("fit"),
            image=face_preview(photo, identity.face),
        )
        identity, fit, hair = self._start(identity)
        clock.done("fit")
        yield Progress("fit", 1, 1, "Fitted the head", clock.left("first"))
        head = self._build(identity, fit, hair)
        if self.config.photo_evidence:
            identity = replace(identity, darkness=self.appearance.darkness(head.appearance))
        clock.done("first")
        if self.config.optimises:
            path = output_dir / "head_preview.glb"
            first = self._write(identity, head, path, seed, clock)
            image = self._preview(first)
            yield Progress("fit", 1, 1, "First head", clock.left("geometry"), image, first)
        config = self.config
        total = config.shape_steps + config.geometry_steps
        if config.shape_steps:
            run = self._match(identity, head, generator, clock)
            head = yield from _counted(run, 0, total)
        if config.geometry_steps:
            run = self._sculpt(identity, head, output_dir, seed, generator, clock)
            head = yield from _counted(run, config.shape_steps, total)
        clock.done("geometry")
        total = config.appearance_steps + config.refine_steps
        if config.appearance_steps:
            run = self._paint(identity, head, generator, clock)
            head = yield from _counted(run, 0, total)
        if config.refine_steps:
            embedding, left = self._embedding(identity).numpy(), partial(clock.left, "appearance")
            run = self._refine(embedding, head, config.refine_steps, seed, left)
            head = yield from _counted(run, config.appearance_steps, total)
        clock.done("appearance")
        asset = self._write(identity, head, output_dir / "head.glb", seed, clock)
        self._state(identity, head).save(output_dir / STATE_NAME)
        clock.done("asset")
        logger.info("head finished: %s", clock.seconds)
        yield Progress("asset", 1, 1, "Done", 0.0, self._preview(asset), asset, final=True)

    def edit(
        self,
        state: Path,
        text: str,
        *,
        target: str = "both",
        strength: float = 1.0,
        output_dir: Path,
        seed: int | None = None,
    ) -> Iterator[Progress]:
        """Yield the events of a text edit; closing the generator stops it within a step.

        Args:
            state: ``head.npz`` of a finished head.
            text: what to change, such as ``"with green hair"``.
            target: ``"both"``, ``"geometry"`` or ``"texture"``: which half may change.
            strength: of the change, 0.1 to 2.
            output_dir: existing folder that receives ``head.glb`` and ``head.npz`` (and, on the
                way, ``head_preview.glb``).
            seed: overrides the configured seed.

        Raises:
            EditError: the wish is unknown, or the state cannot be read.
        """
        if self.distillation is None:
            raise EditError("The preview preset cannot edit. Use the full preset.")
        seed = self.config.seed if seed is None else seed
        generator, start = torch.Generator().manual_seed(seed), time.perf_counter()

        def left() -> float:
            return max(0.5, EDIT_SECONDS - (time.perf_counter() - start))

        yield Progress("fit", 0, 1, "Reading the wish", left())
        wishes = self.wishes(text)
        started = self.editor.start(HeadState.load(Path(state)), wishes, text, target, strength)
        edited, head = started.state, self._rebuilt(started.state)
        first = self._write_edited(edited, head, output_dir / "head_preview.glb", seed)
        yield Progress("fit", 1, 1, "First change", left(), self._preview(first), first)
        embedding = edited.embedding_tensor
        guidance = self.distillation.edit_guidance(embedding, started.prompt, started.against)
        if started.new_hair and head.geometry.part("hair") is not None:
            edited = yield from self.editor.geometry(started, guidance, generator, left)
            head = self._rebuilt(edited)
        if started.repaint and head.geometry.part("hair") is not None:
            now = replace(started, state=edited)
            appearance = yield from self.editor.appearance(
                now, head.geometry, guidance, generator, left
            )
            edited = replace(edited, appearance=appearance)
            head = replace(head, appearance=appearance)
        if started.identity_steps:
            head = yield from self._refine(
                edited.embedding, head, started.identity_steps, seed, left
            )
            edited = replace(edited, appearance=head.appearance)
        asset = self._write_edited(edited, head, output_dir / "head.glb", seed)
        edited.save(output_dir / STATE_NAME)
        yield Progress("asset", 1, 1, "Done", 0.0, self._preview(asset), asset, final=True)

    def blend(
        self, state: Path, weights: dict[str, float], *, path: Path | None = None
    ) -> HeadAsset:
        """A head posed at a mixture of expressions, evaluated by the transformer at the mixed code.

        Morph targets blend linearly; this is the exact motion of the mixture. The meshes have no
        morph targets left.

        Args:
            state: ``head.npz`` of a finished head.
            weights: in [0, 1] by expression; those that are missing are 0.
            path: of a .glb to write, or None.

        Raises:
            EditError: the state cannot be read.
            OptionError: an expression is unknown.
        """
        head = HeadState.load(Path(state))
        if unknown := sorted(set(weights) - set(EXPRESSIONS)):
            raise OptionError(f"Expression '{unknown[0]}' is unknown. Use those of EXPRESSIONS.")
        values = torch.tensor([float(weights.get(name, 0.0)) for name in EXPRESSIONS])
        neutral = head.fit.neutral
        transformer = ExpressionTransformer(self.template, neutral, torch.Generator())
        if head.expression_state is not None:
            transformer.load_state_dict(head.expression_state)
        with torch.no_grad():
            offset = transformer.blend(values).numpy()
        moved = np.zeros((len(EXPRESSIONS), *neutral.shape), np.float32)
        moved[0] = offset
        posed = self.asset_of(replace(head, displacements=moved))
        parts = tuple(
            replace(
                part,
                vertices=(part.vertices + part.displacements[0]).astype(np.float32),
                displacements=np.zeros_like(part.displacements),
            )
            for part in posed.geometry.parts
        )
        asset = HeadAsset(HeadGeometry(parts), posed.appearance, {"expression": dict(weights)})
        return asset if path is None else replace(asset, path=write_glb(asset, path))

    def geometry_of(self, state: HeadState) -> HeadGeometry:
        """Meshes of a finished head's state."""
        return build_geometry(
            self.template, self.hair_template, state.fit, state.hair,
            displacements=state.displacements, brows="brows" in state.appearance.materials,
        )  # fmt: skip

    def asset_of(self, state: HeadState) -> HeadAsset:
        """A finished head's state as it is shown and written: with loose strands."""
        return self._asset(self._rebuilt(state), {})

    def _asset(self, head: "_Head", metadata: dict) -> HeadAsset:
        """A head as it is shown and written."""
        shown = with_loose_strands(
            self.hair_template, head.hair, head.fit, head.geometry, head.appearance
        )
        return HeadAsset(*shown, metadata)

    def _rebuilt(self, state: HeadState) -> "_Head":
        """The head of a state."""
        return _Head(state.fit, state.hair, self.geometry_of(state), state.appearance, state.seen)

    def _state(self, identity: Identity, head: "_Head") -> HeadState:
        """All that an edit needs to go on from a finished head."""
        darkness = self.appearance.darkness(head.appearance)
        return HeadState(
            head.fit, head.hair, head.appearance, head.seen, head.displacements,
            self._embedding(identity).numpy(), identity.age, identity.gender, darkness,
            expression_state=head.expression_state,
        )  # fmt: skip

    def _write_edited(self, state: HeadState, head: "_Head", path: Path, seed: int) -> HeadAsset:
        """Write the .glb of an edited head."""
        metadata = {
            "generator": f"ID2Head {__version__}", "note": NOTE, "edits": list(state.edits),
            "seed": seed,
        }  # fmt: skip
        asset = self._asset(head, metadata)
        return replace(asset, path=write_glb(asset, path))

    def _start(self, identity: Identity) -> tuple[Identity, HeadFit, HairFit | None]:
        """Where the head begins: fitted to the photo, or the mean head in pure mode."""
        fit = self.fitter(identity)
        hair = fit_hair(self.hair_template, identity, fit) if self.config.hair else None
        if self.config.photo_evidence:
            return identity, fit, hair
        # the fit only gives words for skin and hair
        geometry = build_geometry(self.template, self.hair_template, fit, hair)
        appearance, _ = self.appearance.project(identity, fit, geometry, hair)
        identity = replace(identity, darkness=self.appearance.darkness(appearance))
        return identity, *self.distillation.pure_start(identity, hair)

    def _build(
        self,
        identity: Identity,
        fit: HeadFit,
        hair: HairFit | None,
        sculpted: GeometryResult | None = None,
    ) -> "_Head":
        """Meshes and first materials of a fitted (or sculpted) head."""
        pure = not self.config.photo_evidence
        geometry = build_geometry(
            self.template, self.hair_template, fit, hair,
            displacements=None if sculpted is None else sculpted.displacements, brows=pure,
        )  # fmt: skip
        if pure:
            distillation = self.distillation
            appearance, seen = plain_appearance(
                self.template, geometry, identity.age, distillation.female(identity),
                self.config.texture_size, tuple(hair.colour), distillation.skin_tone(identity),
            ), None  # fmt: skip
        else:
            appearance, seen = self.appearance.project(identity, fit, geometry, hair)
        if sculpted is None:
            return _Head(fit, hair, geometry, appearance, seen)
        return _Head(
            fit, hair, geometry, appearance, seen, sculpted.expression_state,
            sculpted.displacements,
        )  # fmt: skip

    def _match(
        self, identity: Identity, head: "_Head", generator: torch.Generator, clock: "_Clock"
    ) -> Generator[Progress, None, "_Head"]:
        """ArcFace fit of what the photo cannot tell of the shape; the hair is measured anew."""
        template, hair_template, before = self.template, self.hair_template, head.fit
        seen = None
        if self.config.photo_evidence:
            seen = seen_skin(template, hair_template, before, PhotoEvidence(identity))
        run = fit_identity_shape(
            template,
            head.geometry,
            head.appearance,
            before,
            seen,
            self.fitter.keypoints(before.neutral),
            self._embedding(identity),
            self.arcface,
            steps=self.config.shape_steps,
            generator=generator,
        )
        steps, fit = self.config.shape_steps, before
        with one_thread(), closing(run):
            for step, result in run:
                fit = result or fit
                left = clock.left("geometry")
                yield Progress("geometry", step, steps, "Matching the face's shape", left)
        hair = head.hair
        if self.config.photo_evidence and hair is not None:
            hair = fit_hair(hair_template, identity, fit)
        if self.config.geometry_steps:  # what follows needs the shape only, and builds the head
            return replace(head, fit=fit, hair=hair)
        return self._build(identity, fit, hair)

    def _sculpt(
        self, identity, head: "_Head", output_dir: Path, seed: int, generator, clock: "_Clock"
    ) -> Generator[Progress, None, "_Head"]:
        """Score distillation of the geometry; shows the new shape when it is done."""
        guidance = self.distillation.guidance(identity, head.hair, self._embedding(identity))
        result = yield from self.distillation.geometry(
            identity, head.fit, head.hair, guidance, generator, partial(clock.left, "geometry")
        )
        head = self._build(identity, result.fit, result.hair, result)
        asset = self._write(identity, head, output_dir / "head_shape.glb", seed, clock)
        left = clock.left("appearance")
        steps = self.config.geometry_steps
        yield Progress("geometry", steps, steps, "Shape", left, self._preview(asset), asset)
        return head

    def _paint(
        self, identity, head: "_Head", generator, clock: "_Clock"
    ) -> Generator[Progress, None, "_Head"]:
        """Score distillation of the albedo."""
        appearance = yield from self.distillation.appearance(
            head.geometry,
            head.appearance,
            head.fit,
            head.seen,
            self.distillation.guidance(identity, head.hair, self._embedding(identity)),
            generator,
            partial(clock.left, "appearance"),
        )
        return replace(head, appearance=appearance)

    def _refine(
        self, embedding: np.ndarray, head: "_Head", steps: int, seed: int, left: Left
    ) -> Generator[Progress, None, "_Head"]:
        """ArcFace refinement of the skin's luminance."""
        skin = head.appearance.materials["skin"]
        run = refine_identity(
            head.geometry,
            head.appearance,
            self.fitter.keypoints(head.fit.neutral),
            embedding,
            self.arcface,
            self.renderer,
            self.appearance.refinable(),
            steps=steps,
            generator=torch.Generator().manual_seed(seed),
        )
        with one_thread(), closing(run):
            for step, gain in run:
                if step % PREVIEW_EVERY and step < steps:
                    continue
                albedo = np.clip(skin.albedo * gain[..., None], 0, 1).astype(np.float32)
                materials = {**head.appearance.materials, "skin": replace(skin, albedo=albedo)}
                head = replace(head, appearance=HeadAppearance(materials))
                if step < steps:
                    message = "Matching the identity"
                    image = self._preview(self._asset(head, {}))
                    yield Progress("appearance", step, steps, message, left(), image)
        return head

    def _embedding(self, identity: Identity) -> torch.Tensor:
        """The photo's embedding ``[512]`` by the differentiable recogniser.

        With ``face_models="buffalo_l"`` this is another space than ``identity.embedding``.
        """
        image = torch.tensor(identity.photo.pixels).permute(2, 0, 1)[None].float() / 255
        keypoints = torch.tensor(identity.face.keypoints)[None].float()
        with torch.no_grad():
            return self.arcface.embed(self.arcface.align(image, keypoints))[0]

    def _preview(self, asset: HeadAsset) -> np.ndarray:
        """Shaded front view, uint8 ``[384, 384, 3]``."""
        camera = portrait_camera(asset.geometry, yaw=15.0)
        rendered = self.renderer.render(asset.geometry, asset.appearance, camera, size=(384, 384))
        return (np.clip(rendered.shaded, 0, 1) * 255 + 0.5).astype(np.uint8)

    def _write(
        self,
        identity: Identity,
        head: "_Head",
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
            "photo_evidence": self.config.photo_evidence,
            "shape_steps": self.config.shape_steps,
            "geometry_steps": self.config.geometry_steps,
            "appearance_steps": self.config.appearance_steps,
            "refine_steps": self.config.refine_steps,
            "seconds": {stage: round(value, 2) for stage, value in clock.seconds.items()},
        }
        asset = self._asset(head, metadata)
        return replace(
            asset,
            path=write_glb(asset, path),
            portrait=portrait(identity.photo, identity.face, 512),
        )


def _counted(
    events: Generator[Progress, None, "_Head"], before: int, total: int
) -> Generator[Progress, None, "_Head"]:
    """Events of a part of a stage, counted within the stage; returns what the part returns."""
    with closing(events):
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return end.value
            yield replace(event, step=before + event.step, total=total)


def face_preview(photo: Photo, face: DetectedFace, side: int = 384) -> np.ndarray:
    """The photo around the head with the face's landmarks, uint8 ``[side, side, 3]``."""
    crop, matrix = _crop(photo, face, side)
    for point in face.landmarks @ matrix[:, :2].T + matrix[:, 2]:
        cv2.circle(crop, (round(point[0]), round(point[1])), 2, (90, 220, 130), -1, cv2.LINE_AA)
    return crop


def portrait(photo: Photo, face: DetectedFace, side: int) -> np.ndarray:
    """The photo around the head, uint8 ``[side, side, 3]``."""
    return _crop(photo, face, side)[0]


def _crop(photo: Photo, face: DetectedFace, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Square crop around the head and the affine ``[2, 3]`` from photo to crop pixels."""
    left, top, right, bottom = face.box
    centre = np.array([(left + right) / 2, top + 0.42 * (bottom - top)])
    scale = side / (2.0 * max(right - left, bottom - top))
    matrix = np.c_[np.eye(2) * scale, side / 2 - centre * scale]
    crop = cv2.warpAffine(
        photo.pixels, matrix, (side, side), flags=cv2.INTER_AREA, borderValue=(222,) * 3
    )
    return crop, matrix


@dataclass(frozen=True)
class _Head:
    """A head between two stages.

    Attributes:
        fit: shape.
        hair: or None for a head without.
        geometry: meshes.
        appearance: materials.
        seen: float32 ``[S, S]``, how far the photo shows each texel of the skin; None = no photo.
        expression_state: of the expression transformer, once sculpted.
        displacements: of the 13 expressions ``[13, N, 3]``, once sculpted.
    """

    fit: HeadFit
    hair: HairFit | None
    geometry: HeadGeometry
    appearance: HeadAppearance
    seen: np.ndarray | None
    expression_state: dict | None = None
    displacements: np.ndarray | None = None


class _Clock:
    """Wall-clock seconds per stage, and a guess of what is left."""

    def __init__(self, config: PipelineConfig):
        self.seconds: dict[str, float] = {}
        self._start = time.perf_counter()
        geometry = config.geometry_steps * STEP_SECONDS["geometry"]
        geometry += config.shape_steps * STEP_SECONDS["shape"]
        appearance = config.appearance_steps * STEP_SECONDS["appearance"]
        appearance += config.refine_steps * STEP_SECONDS["refine"]
        self._typical = {
            **SECONDS,
            "geometry": SECONDS["geometry"] + geometry,
            "appearance": SECONDS["appearance"] + appearance,
        }

    def done(self, stage: str) -> None:
        """Book the time since the last call on ``stage``."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._start
        self._start = now

    def left(self, stage: str) -> float:
        """Seconds until the end, when ``stage`` is about to start or under way."""
        stages = list(self._typical)
        remaining = sum(self._typical[name] for name in stages[stages.index(stage) :])
        return max(0.5, remaining - (time.perf_counter() - self._start))
