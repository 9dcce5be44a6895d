"""Sheets of samples to look at: one condition varies along the rows, another along the columns."""

import textwrap
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from ..expressions import EXPRESSIONS, NEUTRAL
from ..prompts import HAIR_STYLES, Looks, describe
from .prior_gallery import FACE_VIEW, Gallery, ReportRenderer
from .prior_hair_measures import COLOURS
from .prior_samples import Sampler

PAPER, INK = (246, 246, 244), (40, 42, 46)
"""Colours of a sheet."""

LABEL_WIDTH, LABEL_LINE = 170, 14
"""Of the text beside a row and of one line of it, pixels."""

YAWS = (0.0, 35.0, -35.0, 90.0, 180.0)
"""Views of a sheet, degrees."""

AGES = {"child": 8.0, "young": 22.0, "": 36.0, "middle-aged": 52.0, "old": 72.0}
"""A year of each age word."""

PEOPLE = ("a young woman with long brown hair", "a man with short black hair")
"""Texts of the views and expressions."""

Row = tuple[str, torch.Tensor]
"""Label and images ``[B, 3, S, S]``."""


def sheets(
    sampler: Sampler, renderer: ReportRenderer, gallery: Gallery
) -> Iterator[tuple[str, Image.Image]]:
    """All sheets: file name without suffix, picture."""
    asked = _Asker(sampler, renderer)
    yield "views", sheet(_views(asked), [f"yaw {yaw:.0f}" for yaw in YAWS])
    yield "expressions", sheet(_expressions(asked), [NEUTRAL, *EXPRESSIONS])
    yield "ages", sheet(_ages(asked), [word or "(none)" for word in AGES])
    yield "hair_styles", sheet(_hair_styles(asked), list(HAIR_STYLES))
    yield "hair_colours", sheet(_hair_colours(asked), [f"yaw {yaw:.0f}" for yaw in YAWS])
    yield "identities", sheet(*_identities(asked, gallery))


class _Asker:
    """Samples with the mean head's control, or without."""

    def __init__(self, sampler: Sampler, renderer: ReportRenderer):
        self.sampler, self.renderer = sampler, renderer

    def __call__(
        self, domain, prompts, cameras, *, expressions=None, embedding=None, control="mean"
    ) -> torch.Tensor:
        """Images of B prompts; cameras are ``(yaw, pitch, zoom)``."""
        cameras = torch.tensor(cameras).float().expand(len(prompts), 3)
        if expressions is None:
            expressions = torch.zeros(len(prompts), len(EXPRESSIONS))
        if isinstance(control, str):
            control = self.renderer.mean_control(cameras, expressions)
        conditions = self.sampler.prior.conditions(
            prompts, cameras, embedding=embedding, expressions=expressions, control=control
        )
        return self.sampler(domain, conditions)


def _views(asked: _Asker) -> list[Row]:
    cameras, rows = [(yaw, 0.0, 1.0) for yaw in YAWS], []
    zero = torch.zeros(len(YAWS), len(EXPRESSIONS))
    maps = asked.renderer.mean_control(torch.tensor(cameras), zero)
    rows += [("control", images) for images in maps.split(3, 1)[:2]]  # without folds they agree
    for prompt in PEOPLE:
        for control in ("mean", None):
            for domain in ("geometry", "texture"):
                images = asked(domain, [prompt] * len(cameras), cameras, control=control)
                rows.append((f"{domain}, {prompt}, {_said(control)}", images))
    return rows


def _expressions(asked: _Asker) -> list[Row]:
    weights = torch.cat([torch.zeros(1, len(EXPRESSIONS)), torch.eye(len(EXPRESSIONS))])
    rows = []
    for domain in ("geometry", "texture"):
        for control in ("mean", None):
            images = asked(domain, [PEOPLE[0]] * len(weights), FACE_VIEW, expressions=weights,
                           control=control)  # fmt: skip
            rows.append((f"{domain}, {_said(control)}", images))
    return rows


def _ages(asked: _Asker) -> list[Row]:
    rows = []
    for gender in ("man", "woman"):
        prompts = [describe(Looks(age=a, gender=gender, colour="brown")) for a in AGES.values()]
        rows.append((f"{gender}, short brown hair", asked("texture", prompts, FACE_VIEW)))
        free = asked("texture", prompts, (0.0, 0.0, 1.0), control=None)
        rows.append((f"{gender}, no control", free))
    return rows


def _hair_styles(asked: _Asker) -> list[Row]:
    prompts = [describe(Looks(gender="woman", style=s, colour="red")) for s in HAIR_STYLES]
    return [
        (f"{domain}, a woman, red hair, yaw {yaw:.0f}", asked(domain, prompts, (yaw, 0.0, 1.0)))
        for domain in ("geometry", "texture")
        for yaw in (20.0, 180.0)
    ]


def _hair_colours(asked: _Asker) -> list[Row]:
    cameras, rows = [(yaw, 0.0, 1.0) for yaw in YAWS], []
    for colour in COLOURS:
        prompt = describe(Looks(gender="woman", style="long", colour=colour))
        rows.append((prompt, asked("texture", [prompt] * len(cameras), cameras)))
    return rows


def _identities(asked: _Asker, gallery: Gallery, count: int = 10) -> tuple[list[Row], list[str]]:
    """The first and the last subjects of the gallery: persons and painted ones."""
    total = len(gallery.embedding)
    chosen = list(dict.fromkeys([*range(min(count // 2, total)), *range(max(0, total - count // 2),
                                                                       total)]))  # fmt: skip
    embedding, control = gallery.embedding[chosen], gallery.control[chosen]
    blank, own = [""] * len(chosen), [gallery.prompts[i] for i in chosen]
    rows = [
        ("true albedo", gallery.albedo[chosen]),
        ("mean head's control, no text, own y_id",
         asked("texture", blank, FACE_VIEW, embedding=embedding)),
        ("own control, no text, own y_id",
         asked("texture", blank, FACE_VIEW, embedding=embedding, control=control)),
        ("own control, own text, own y_id",
         asked("texture", own, FACE_VIEW, embedding=embedding, control=control)),
        ("true normals", gallery.normals[chosen]),
        ("normals, mean head's control, no text, own y_id",
         asked("geometry", blank, FACE_VIEW, embedding=embedding)),
        ("normals, own control, own text, own y_id",
         asked("geometry", own, FACE_VIEW, embedding=embedding, control=control)),
    ]  # fmt: skip
    titles = ["person" if gallery.person[i] else "painted" for i in chosen]
    return rows, titles


def _said(control: str | None) -> str:
    return "no control" if control is None else "mean head's control"


def sheet(rows: list[Row], columns: list[str], scale: int = 2) -> Image.Image:
    """Rows of images with their labels on the left and titles above the columns."""
    side = rows[0][1].shape[-1] * scale
    font = ImageFont.load_default(size=11)
    top = 2 * LABEL_LINE + 4
    size = (LABEL_WIDTH + len(columns) * (side + 2), top + len(rows) * (side + 2))
    picture = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(picture)
    for c, title in enumerate(columns):
        lines = "\n".join(textwrap.wrap(title, max(side // 6, 8))[:2])
        draw.multiline_text((LABEL_WIDTH + c * (side + 2) + 2, 2), lines, INK, font)
    for r, (label, images) in enumerate(rows):
        y = top + r * (side + 2)
        draw.multiline_text((4, y + 4), "\n".join(textwrap.wrap(label, 27)), INK, font)
        pixels = (images.clamp(0, 1) * 255 + 0.5).byte().permute(0, 2, 3, 1).numpy()
        for c, image in enumerate(pixels):
            larger = Image.fromarray(np.ascontiguousarray(image)).resize(
                (side, side), Image.Resampling.LANCZOS
            )
            picture.paste(larger, (LABEL_WIDTH + c * (side + 2), y))
    return picture
