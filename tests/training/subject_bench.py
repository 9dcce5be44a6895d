"""Small shards of training images, and a person from a file, for tests of the prior's training."""

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from id2head_core.structures import HairFit
from id2head_core.training import render_dataset
from id2head_core.training.render_dataset import SampleRenderer, write_shard
from id2head_core.training.subjects import SubjectMaker
from tests.geometry.geometry_oracle import templates

SIZE = 32
SUBJECTS, VIEWS = 4, 3
"""Of one shard."""

BLONDE = np.array([0.5, 0.35, 0.14], np.float32)


@cache
def maker() -> SubjectMaker:
    return SubjectMaker(*templates(), [])


@cache
def renderer() -> SampleRenderer:
    return SampleRenderer(*templates(), SIZE)


def write_shards(folder: Path, numbers: list[int], monkeypatch) -> None:
    """Shards of painted subjects."""
    monkeypatch.setattr(render_dataset, "SUBJECTS_PER_SHARD", SUBJECTS)
    for number in numbers:
        path = folder / f"shard_{number:04d}"
        write_shard(path, maker(), renderer(), shard=number, views=VIEWS, seed=0)


def jpeg(linear: np.ndarray) -> np.ndarray:
    """Linear RGB as JPEG bytes."""
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    pixels = (np.clip(srgb, 0, 1) * 255 + 0.5).astype(np.uint8)
    return cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 98])[1]


def write_person(path: Path, style: str = "long01", age: float = 50.0, gender: float = 0.9) -> None:
    """A file as ``photoreal_people`` writes it: the mean head with blonde template hair.

    The photo's hair is in its skin too, as projection leaves it.
    """
    template, hair = templates()
    skin = cv2.resize(template.stock_skin(30.0, 1.0, 0.3), (384, 384), interpolation=cv2.INTER_AREA)
    shell = HairFit(style, hair.thickness[hair.styles.index(style)], BLONDE)
    skin = maker()._scalp(skin, shell, template.mean, 1.0)
    embedding = np.random.default_rng(1).normal(size=512)
    np.savez(
        path, style=style, thickness=hair.thickness[hair.styles.index(style)].astype(np.float16),
        hair_colour=BLONDE, age=age, gender=gender,
        neutral=template.mean, skin=jpeg(skin), eyes=jpeg(np.full((128, 128, 3), 0.4)),
        hair=jpeg(np.full((256, 256, 3), 0.3)),
        embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
    )  # fmt: skip
