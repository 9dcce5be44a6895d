"""Render the prior's training images: subjects x expressions x views, in resumable shards.

``python -m id2head_core.training.render_dataset OUT --people PEOPLE --subjects 3000 --views 14``.
Each sample is camera-space normals, albedo and the bare template's control maps, with prompt,
camera, expression and embedding. Shard ``k`` of a seed is always the same for the same people.
"""

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..camera import Camera, orbit_camera
from ..expressions import EXPRESSIONS
from ..guidance.prior_camera import FACE_ZOOM, prior_camera
from ..guidance.prior_image import BARE_PARTS, ControlRenderer, PriorScene
from ..identity.arcface import ArcFace
from ..prompts import describe
from ..render.head_renderer import HeadRenderer
from ..template.fit import TemplateFitter
from ..template.hair import HairTemplate, hair_part
from ..template.head_template import HeadTemplate
from .prior_data import shard_people
from .subjects import KINDS, Subject, SubjectMaker, subjects

logger = logging.getLogger(__name__)

SUBJECTS_PER_SHARD = 120

MAPS = 15
"""Channels of a sample: normals, albedo, and of the control normals, albedo, folded normals."""

NEUTRAL_SHARE, BLEND_SHARE = 0.22, 0.18
"""Samples without an expression, and with a blend of two at partial weight."""

FACE_VIEW_SHARE = 0.4
"""Samples that are zoomed to the face."""

RECOGNITION_SIZE = 320
"""Side of the render that a painted head is recognised from, pixels."""


@dataclass(frozen=True)
class View:
    """Where a sample is seen from, and its expression.

    Attributes:
        yaw: degrees.
        pitch: degrees.
        zoom: see ``prior_camera``.
        expression: float32 ``[13]``.
    """

    yaw: float
    pitch: float
    zoom: float
    expression: np.ndarray


def draw_view(generator: np.random.Generator) -> View:
    """A random view: the face close up, or the whole head from anywhere."""
    if generator.random() < FACE_VIEW_SHARE:
        yaw, zoom = generator.uniform(-75, 75), generator.uniform(1.5, FACE_ZOOM)
    else:
        front = generator.random() < 0.4
        yaw, zoom = generator.uniform(-60, 60) if front else generator.uniform(-180, 180), 1.0
        zoom = 1.0 if generator.random() < 0.7 else generator.uniform(1.0, 1.5)
    expression, kind = np.zeros(len(EXPRESSIONS), np.float32), generator.random()
    if kind > 1 - BLEND_SHARE:
        pair = generator.choice(len(expression), 2, replace=False)
        expression[pair] = generator.uniform(0.2, 0.8, 2)
    elif kind > NEUTRAL_SHARE:
        expression[generator.integers(len(expression))] = 1.0
    return View(float(yaw), float(generator.uniform(-20, 30)), float(zoom), expression)


class SampleRenderer:
    """Draws samples of subjects; holds what all subjects share."""

    def __init__(self, template: HeadTemplate, hair_template: HairTemplate, size: int):
        self.template, self.hair_template, self.size = template, hair_template, size
        self.control = ControlRenderer(template, size)
        self.arcface, self.fitter = ArcFace.load(), TemplateFitter(template)
        self.renderer = HeadRenderer()
        self._face = np.flatnonzero(template.regions["face"] > 0.5)

    def __call__(self, subject: Subject, views: list[View]) -> tuple[np.ndarray, np.ndarray]:
        """Maps uint8 ``[B, 15, S, S]`` and face boxes float32 ``[B, 4]`` (pixels; 0 if unseen)."""
        template, neutral = self.template, subject.neutral
        bare = template.expression_displacements(neutral)  # [13, N, 3]
        displacements = template.expression_displacements(neutral, subject.folds)
        deepest = template.expression_displacements(neutral, np.ones_like(subject.folds))
        scene = PriorScene(subject.geometry, subject.appearance)
        hair = hair_part(self.hair_template, subject.hair, neutral, displacements)
        has_brows = subject.geometry.part("brows") is not None
        scales = {part.name: part.fit_scale(neutral) for part in template.bound}
        maps = np.empty((len(views), MAPS, self.size, self.size), np.uint8)
        boxes = np.zeros((len(views), 4), np.float32)
        for row, view in enumerate(views):
            posed = neutral + np.tensordot(view.expression, displacements, 1)
            names = [n for n in BARE_PARTS if n != "brows" or has_brows]
            bound = {part.name: part for part in template.bound}
            drawn = [posed[template.skin_vertex]]
            drawn += [bound[name].vertices(posed, scales[name]) for name in names]
            if hair is not None:
                moved = np.tensordot(view.expression, hair.displacements, 1)
                drawn.append(hair.vertices + moved)
            camera = prior_camera(view.yaw, view.pitch, view.zoom)
            vertices = np.concatenate(drawn).astype(np.float32)
            normals, albedo, _ = scene.render(vertices, camera, self.size)
            fitted, folded = (
                (neutral + np.tensordot(view.expression, offsets, 1)).astype(np.float32)
                for offsets in (bare, deepest)
            )
            control = self.control(fitted, camera, neutral, folded)
            maps[row] = np.concatenate([normals, albedo, control]) * 255 + 0.5
            boxes[row] = self._face_box(posed, camera, view.yaw)
        return maps, boxes

    def embedding(self, subject: Subject) -> np.ndarray:
        """ArcFace ``[512]`` of the frontal render."""
        camera = orbit_camera(0.0, distance=1.4, fov_y=13.0)
        size = (RECOGNITION_SIZE, RECOGNITION_SIZE)
        shaded = self.renderer.render(subject.geometry, subject.appearance, camera, size).shaded
        points = camera.pixels(self.fitter.keypoints(subject.neutral), *size)[:, :2] - 0.5
        image = torch.from_numpy(shaded).permute(2, 0, 1)[None].float()
        aligned = self.arcface.align(image, torch.from_numpy(points.astype(np.float32))[None])
        with torch.no_grad():
            return self.arcface.embed(aligned)[0].numpy()

    def _face_box(self, posed: np.ndarray, camera: Camera, yaw: float) -> np.ndarray:
        """Left, top, right, bottom of the face, pixels; zeros from behind."""
        if abs((yaw + 180) % 360 - 180) > 80:
            return np.zeros(4, np.float32)
        points = camera.pixels(posed[self._face], self.size, self.size)[:, :2]
        return np.concatenate([points.min(0), points.max(0)]).clip(0, self.size)


def write_shard(
    path: Path, maker: SubjectMaker, draw: SampleRenderer, *, shard: int, views: int, seed: int
) -> int:
    """Render shard number ``shard`` (``path`` without suffix); returns the number of samples.

    Files: ``.npy`` the maps ``[n, 15, S, S]``, ``.npz`` the numbers, ``.json`` the prompts. The
    ``.json`` is written last: a shard without it is unfinished.
    """
    maps, rows, prompts = [], {"camera": [], "expression": [], "subject": [], "face_box": []}, []
    embeddings, kinds, ages, genders = [], [], [], []
    first = shard * SUBJECTS_PER_SHARD
    people = shard_people(shard, len(maker.people), -(-SUBJECTS_PER_SHARD // len(KINDS)))
    for number, subject in subjects(maker, first, SUBJECTS_PER_SHARD, seed, people):
        generator = np.random.default_rng((seed, number, 1))
        drawn = [draw_view(generator) for _ in range(views)]
        images, boxes = draw(subject, drawn)
        maps.append(images)
        rows["face_box"].append(boxes)
        rows["camera"] += [(v.yaw, v.pitch, v.zoom) for v in drawn]
        rows["expression"] += [v.expression for v in drawn]
        rows["subject"] += [number] * views
        prompts += [describe(subject.looks, generator) for _ in drawn]
        known = subject.embedding
        embeddings.append(draw.embedding(subject) if known is None else known)
        kinds.append(KINDS.index(subject.kind))
        ages.append(subject.looks.age)
        genders.append({"man": 0.0, "woman": 1.0}.get(subject.looks.gender, 0.5))
    numbers = {
        "camera": np.array(rows["camera"], np.float32),
        "expression": np.array(rows["expression"], np.float32),
        "subject": np.array(rows["subject"], np.int32),
        "face_box": np.concatenate(rows["face_box"]),
        "embedding": np.array(embeddings, np.float32),
        "kind": np.array(kinds, np.int8),
        "age": np.array(ages, np.float32),
        "gender": np.array(genders, np.float32),
    }
    np.save(path.with_suffix(".npy"), np.concatenate(maps))
    np.savez(path.with_suffix(".npz"), **numbers)
    path.with_suffix(".json").write_text(json.dumps(prompts))
    return len(prompts)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--people", type=Path, help="folder of photoreal_people")
    parser.add_argument("--subjects", type=int, default=3000)
    parser.add_argument("--views", type=int, default=14, help="per subject")
    parser.add_argument("--first-shard", type=int, default=0)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    people = sorted(options.people.glob("person_*_?????.npz")) if options.people else []
    template, hair_template = HeadTemplate.load(), HairTemplate.load()
    maker = SubjectMaker(template, hair_template, people)
    draw = SampleRenderer(template, hair_template, options.size)
    shards = range(options.first_shard, -(-options.subjects // SUBJECTS_PER_SHARD))
    for shard in shards:
        path = options.out / f"shard_{shard:04d}"
        if path.with_suffix(".json").exists():
            continue
        count = write_shard(path, maker, draw, shard=shard, views=options.views, seed=options.seed)
        logger.info("%s: %d samples", path.name, count)


if __name__ == "__main__":
    main()
