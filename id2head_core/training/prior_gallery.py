"""Subjects that the prior never saw, from the front, and what else the report renders itself.

Persons of the held-out shards are found again by their embedding, because the folder of people may
have grown since; painted subjects are drawn anew.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..expressions import EXPRESSIONS
from ..guidance.prior_camera import prior_camera
from ..prompts import describe
from .prior_data import RENDERED_KIND
from .render_dataset import SampleRenderer, View
from .subjects import KINDS, Subject, SubjectMaker

logger = logging.getLogger(__name__)

FACE_VIEW = (0.0, 0.0, 2.0)
"""Yaw, pitch (degrees) and zoom of the gallery."""

PAINTED_SEED = 7741
"""Of painted subjects; no training set uses it."""

SAME_PERSON = 0.999
"""Cosine of two embeddings of one file."""


@dataclass(frozen=True)
class Gallery:
    """N subjects, neutral, seen by ``FACE_VIEW``.

    Attributes:
        normals: true renders ``[N, 3, S, S]`` in [0, 1].
        albedo: the same.
        control: bare heads ``[N, 9, S, S]``.
        embedding: ``[N, 512]``, unit norm, minus the training set's mean of their kind.
        keypoints: ``[N, 5, 2]``, pixels, as ``ArcFace.align`` takes them.
        person: bool ``[N]``, True for photoreal persons, False for painted subjects.
        prompts: what they look like.
    """

    normals: torch.Tensor
    albedo: torch.Tensor
    control: torch.Tensor
    embedding: torch.Tensor
    keypoints: torch.Tensor
    person: torch.Tensor
    prompts: list[str]


class ReportRenderer:
    """Renders the gallery, controls of the mean head, and aligned faces.

    Args:
        draw: renderer of the training samples.
    """

    def __init__(self, draw: SampleRenderer):
        self.draw, self.template = draw, draw.template
        self.size, self.arcface = draw.size, draw.arcface
        self._points = draw.fitter.keypoints(self.template.mean)  # [5, 3]
        self._face = self.template.mean[self.template.regions["face"] > 0.5]

    def mean_control(self, cameras: torch.Tensor, expressions: torch.Tensor) -> torch.Tensor:
        """Control maps ``[B, 9, S, S]`` of the mean head."""
        template, mean = self.template, self.template.mean
        bare = template.expression_displacements(mean)
        folded = template.expression_displacements(mean, np.ones(len(template.fold_basis)))
        maps = []
        for camera, weights in zip(cameras.tolist(), expressions.numpy(), strict=True):
            posed, deep = (mean + np.tensordot(weights, o, 1) for o in (bare, folded))
            maps.append(self.draw.control(posed, prior_camera(*camera), mean, deep))
        return torch.from_numpy(np.stack(maps))

    def keypoints(self, cameras: torch.Tensor, points: np.ndarray | None = None) -> torch.Tensor:
        """Projected keypoints ``[B, 5, 2]``, pixels; of the mean head if ``points`` is None."""
        points = self._points if points is None else points
        rows = [
            prior_camera(*c).pixels(points, self.size, self.size)[:, :2] - 0.5
            for c in cameras.tolist()
        ]
        return torch.from_numpy(np.stack(rows)).float()

    def faces(self, images: torch.Tensor, cameras: torch.Tensor) -> torch.Tensor:
        """Faces of images ``[B, 3, S, S]``, aligned by the mean head's keypoints."""
        return self.aligned(images, self.keypoints(cameras))

    def chin_row(self, cameras: torch.Tensor) -> torch.Tensor:
        """Lowest row of the mean head's face ``[B]``, pixels."""
        rows = [
            prior_camera(*c).pixels(self._face, self.size, self.size)[:, 1].max()
            for c in cameras.tolist()
        ]
        return torch.tensor(rows).float()

    def aligned(self, images: torch.Tensor, keypoints: torch.Tensor) -> torch.Tensor:
        """Faces ``[B, 3, 112, 112]`` in [0, 1]; outside the image is background."""
        parts = zip((images - 0.5).split(256), keypoints.split(256), strict=True)
        return torch.cat([self.arcface.align(i, k) for i, k in parts]) + 0.5

    @torch.no_grad()
    def recognised(self, aligned: torch.Tensor) -> torch.Tensor:
        """ArcFace of aligned faces, ``[B, 512]``."""
        return torch.cat([self.arcface.embed(part) for part in aligned.split(64)])


def held_out_people(people: list[Path], training: list[Path], held_out: list[Path]) -> list[int]:
    """Indices of the people that are in held-out shards and in no training shard."""
    if not people:
        return []
    known = np.stack([np.load(path)["embedding"] for path in people]).astype(np.float32)

    def seen(shards: list[Path]) -> np.ndarray:  # bool [people]
        stored = raw_embeddings(shards)[0]
        return (
            (known @ stored.T).max(1) > SAME_PERSON if len(stored) else np.zeros(len(known), bool)
        )

    trained, kept = seen(training), seen(held_out)
    if (trained & kept).any():
        logger.warning(
            "%d persons are in both training and held-out shards", (trained & kept).sum()
        )
    return np.flatnonzero(kept & ~trained).tolist()


def raw_embeddings(shards: list[Path]) -> tuple[np.ndarray, np.ndarray]:
    """Embeddings as they were stored ``[N, 512]``, and whether each is of a render ``[N]``."""
    numbers = [np.load(path.with_suffix(".npz")) for path in shards]
    stored = [n["embedding"].astype(np.float32) for n in numbers]
    kinds = [n["kind"] == RENDERED_KIND for n in numbers]
    return (
        np.concatenate([np.zeros((0, 512), np.float32), *stored]),
        np.concatenate([np.zeros(0, bool), *kinds]),
    )


def gallery_subjects(maker: SubjectMaker, people: list[int], count: int) -> list[Subject]:
    """Half of them persons with their own hair, as far as there are enough; the rest painted."""
    people = people[: count // 2]
    found = [
        maker.photoreal(number, np.random.default_rng((PAINTED_SEED, number))) for number in people
    ]
    painted = range(count - len(people))
    return found + [maker.painted(np.random.default_rng((PAINTED_SEED, 0, i))) for i in painted]


def build_gallery(
    renderer: ReportRenderer, subjects: list[Subject], training: list[Path]
) -> Gallery:
    """Render subjects; ``training`` shards give the mean embedding of each kind."""
    raw, rendered = raw_embeddings(training)
    view = View(*FACE_VIEW, np.zeros(len(EXPRESSIONS), np.float32))
    camera = torch.tensor([FACE_VIEW])
    maps, embeddings, points = [], [], []
    for subject in subjects:
        maps.append(renderer.draw(subject, [view])[0][0])
        known = subject.embedding
        embedding = renderer.draw.embedding(subject) if known is None else known
        same = raw[rendered == (known is None)]
        embeddings.append(embedding - (same.mean(0) if len(same) > 20 else 0))
        points.append(renderer.keypoints(camera, renderer.draw.fitter.keypoints(subject.neutral)))
    images = torch.from_numpy(np.stack(maps)).float() / 255
    embedding = torch.from_numpy(np.stack(embeddings)).float()
    return Gallery(
        images[:, :3],
        images[:, 3:6],
        images[:, 6:],
        torch.nn.functional.normalize(embedding, dim=1),
        torch.cat(points),
        torch.tensor([s.kind != KINDS[RENDERED_KIND] for s in subjects]),
        [describe(s.looks) for s in subjects],
    )
