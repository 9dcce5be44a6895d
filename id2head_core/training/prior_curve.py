"""The log of a training run as a table and as a picture of its curve."""

import json
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .prior_samples import Table

MOST_ROWS = 16
"""Of the table; earlier validations are thinned out."""

SIZE, MARGIN = (640, 360), (56, 16, 16, 36)
"""Of the picture, and its left, top, right and bottom border, pixels."""

PAPER, GRID, LINES = "white", (220, 220, 220), ((31, 119, 180), (214, 39, 40))
"""Colours: paper, grid, and one for each domain."""


def validations(log: Path) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Images seen ``[N]``, errors by ``"domain t"`` ``[N]``, and hours of training ``[N]``.

    Args:
        log: ``log.jsonl`` of a run; an unfinished last line is ignored, and of equal counts (a run
            that was resumed) the last one is kept.
    """
    found = {}
    for line in log.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "validation" in entry:
            found[entry["images"]] = entry["seconds"] / 3600, entry["validation"]["all"]
    images = sorted(found)
    hours, tables = [found[i][0] for i in images], [found[i][1] for i in images]
    keys = tables[0] if tables else {}
    errors = {key: np.array([table[key] for table in tables]) for key in keys}
    return np.array(images), errors, np.array(hours)


def validation_table(log: Path) -> Table | None:
    """Errors over the images seen, thinned; None before the first validation."""
    images, errors, hours = validations(log)
    if not len(images):
        return None
    rows = sorted({*np.linspace(0, len(images) - 1, min(MOST_ROWS, len(images))).astype(int)})
    cells = [
        [f"{images[i]}", f"{hours[i]:.2f}", *(f"{e[i]:.4f}" for e in errors.values())] for i in rows
    ]
    note = "Mean squared error of x0 in [-1, 1] of held-out samples while training."
    return Table("Training", note, ["images seen", "hours", *errors], cells)


def curve(log: Path) -> Image.Image | None:
    """Mean error of each domain over the images seen, both logarithmic; None if too few."""
    images, errors, _ = validations(log)
    if len(images) < 2:
        return None
    domains = sorted({key.split()[0] for key in errors})
    lines = {d: np.mean([e for k, e in errors.items() if k.startswith(d)], 0) for d in domains}
    left, top, right, bottom = MARGIN
    width, height = SIZE[0] - left - right, SIZE[1] - top - bottom
    x_range = np.log10([images[0], images[-1]])
    values = np.concatenate(list(lines.values()))
    y_range = np.log10([values.min() * 0.95, values.max() * 1.05])

    def place(count, error):
        x = left + width * (np.log10(count) - x_range[0]) / max(x_range[1] - x_range[0], 1e-9)
        y = top + height * (y_range[1] - np.log10(error)) / (y_range[1] - y_range[0])
        return float(x), float(y)

    picture = Image.new("RGB", SIZE, PAPER)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
    for error in np.logspace(*y_range, 5):
        y = place(images[0], error)[1]
        draw.line((left, y, left + width, y), GRID)
        draw.text((left - 4, y), f"{error:.4f}", "black", font, anchor="rm")
    for count in np.logspace(*x_range, 5):
        x = place(count, values[0])[0]
        draw.line((x, top, x, top + height), GRID)
        draw.text((x, top + height + 4), f"{count / 1000:.0f}k", "black", font, anchor="mt")
    draw.text((left + width / 2, SIZE[1] - 4), "images seen", "black", font, anchor="mb")
    for number, (domain, line) in enumerate(lines.items()):
        points = [place(c, e) for c, e in zip(images, line, strict=True)]
        draw.line(points, LINES[number % 2], 2)
        draw.text((left + width - 4, top + 4 + 14 * number), domain, LINES[number % 2], font,
                  anchor="rt")  # fmt: skip
    return picture
