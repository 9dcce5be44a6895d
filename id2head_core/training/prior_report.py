"""Is the conditioning of a prior real? Tables and sheets of samples.

``python -m id2head_core.training.prior_report PRIOR DATA... --out DIR --people PEOPLE --log LOG``
writes ``DIR/report.md`` and pictures. ``--only`` measures some sections; the tables of the others
are kept from the last time. DATA are folders of ``render_dataset``.
"""

import argparse
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from ..errors import OptionError
from ..guidance.prior_folder import load_prior
from ..template.hair import HairTemplate
from ..template.head_template import HeadTemplate
from .prior_curve import curve, validation_table
from .prior_data import PriorDataset, finished_shards
from .prior_fold_measures import fold_table
from .prior_gallery import (
    ReportRenderer,
    build_gallery,
    gallery_subjects,
    held_out_people,
)
from .prior_hair_measures import hair_colour_table, hair_length_table
from .prior_measures import (
    camera_table,
    expression_table,
    frechet_table,
    gender_table,
    identity_table,
)
from .prior_samples import Sampler, Table
from .prior_sheets import sheets
from .prior_skin_measures import skin_tone_table
from .prior_validation import VARIANTS, validate
from .render_dataset import SampleRenderer
from .subjects import SubjectMaker

logger = logging.getLogger(__name__)

SECTIONS = ("training", "validation", "identity", "expression", "camera", "hair", "skin",
            "folds", "gender", "frechet", "sheets")  # fmt: skip
"""In the order of the report."""

SUBJECTS, FACES, HEADS, HAIRY_HEADS, SPREAD = 50, 78, 64, 16, 200
"""Samples of the gallery, of the expressions, of the cameras, per hair colour, and of Fréchet."""


class Report:
    """What the sections need, loaded when one asks for it."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        self.training_shards, self.held_out_shards = finished_shards(options.data)
        if not self.held_out_shards:
            raise OptionError(
                f"{options.data[0]} has no held-out shard (every twelfth one). Render more."
            )
        self.prior = load_prior(options.prior)
        self.sampler = Sampler(self.prior, options.steps, options.guidance_scale, options.seed)
        encoder = self.prior.text_encoder
        self.training = PriorDataset(self.training_shards, encoder)
        self.held_out = PriorDataset(self.held_out_shards, encoder)
        self.template = HeadTemplate.load()
        self.hair_template = HairTemplate.load()
        draw = SampleRenderer(self.template, self.hair_template, self.prior.resolution)
        self.renderer, self._gallery = ReportRenderer(draw), None

    @property
    def gallery(self):
        """Held-out subjects from the front; rendered once."""
        if self._gallery is None:
            folder = self.options.people
            people = sorted(folder.glob("person_*_?????.npz")) if folder else []
            maker = SubjectMaker(self.template, self.hair_template, people)
            fresh = held_out_people(people, self.training_shards, self.held_out_shards)
            subjects = gallery_subjects(maker, fresh, SUBJECTS)
            self._gallery = build_gallery(self.renderer, subjects, self.training_shards)
        return self._gallery

    def validation(self) -> list[Table]:
        """x0 errors of held-out samples by what is dropped or exchanged."""
        table = validate(self.prior, self.held_out, VARIANTS)
        keys = list(table["all"])
        rows = [[name, *(f"{row[k]:.4f}" if k in row else "" for k in keys)]
                for name, row in table.items()]  # fmt: skip
        note = "Mean squared error of x0 in [-1, 1] by domain and timestep."
        return [Table("Validation", note, ["conditions", *keys], rows)]

    def identity(self) -> list[Table]:
        """Retrieval of the person whose embedding was given."""
        return [identity_table(self.sampler, self.renderer, self.gallery)]

    def expression(self) -> list[Table]:
        """Recognition of the expression that was given."""
        return [expression_table(self.sampler, self.renderer, self.training, self.held_out, FACES)]

    def camera(self) -> list[Table]:
        """Yaw of the head in samples."""
        return [camera_table(self.sampler, self.training, self.held_out, HEADS)]

    def hair(self) -> list[Table]:
        """Colour and length of the hair that was asked for."""
        return [
            hair_colour_table(self.sampler, self.held_out, HAIRY_HEADS),
            hair_length_table(self.sampler, self.renderer, self.held_out, 2 * HAIRY_HEADS),
        ]

    def skin(self) -> list[Table]:
        """Tone of the skin that was asked for."""
        return [skin_tone_table(self.sampler, self.held_out, HAIRY_HEADS)]

    def gender(self) -> list[Table]:
        """Women and men as texts ask for them."""
        return [gender_table(self.sampler, self.renderer, self.training, self.held_out, HEADS)]

    def folds(self) -> list[Table]:
        """Folds of the skin in expressions, by age."""
        return [fold_table(self.sampler, self.renderer)]

    def frechet(self) -> list[Table]:
        """Spread of the samples."""
        return [frechet_table(self.sampler, self.training, self.held_out, SPREAD)]

    def sheets(self) -> list[Table]:
        """Pictures; no table."""
        for name, picture in sheets(self.sampler, self.renderer, self.gallery):
            picture.save(self.options.out / f"sheet_{name}.png")
        return []

    def training_curve(self) -> list[Table]:
        """The run's log, if it was given."""
        log = self.options.log
        table = validation_table(log) if log else None
        picture = curve(log) if log else None
        if picture is not None:
            picture.save(self.options.out / "validation_curve.png")
        return [] if table is None else [table]


def write_report(out: Path, facts: dict, results: dict[str, list[dict]]) -> None:
    """``report.md`` from the tables of all sections and the pictures in the folder."""
    lines = ["# The 2D prior, measured", ""]
    lines += [f"* {name}: {value}" for name, value in facts.items()] + [""]
    for section in SECTIONS:
        for table in results.get(section, []):
            lines += markdown(Table(**table))
    for picture in sorted(out.glob("*.png")):
        lines += [f"## {picture.stem.replace('_', ' ')}", "", f"![]({picture.name})", ""]
    (out / "report.md").write_text("\n".join(lines))


def markdown(table: Table) -> list[str]:
    """Lines of a table."""
    body = ["| " + " | ".join(row) + " |" for row in (table.header, *table.rows)]
    rule = "|" + "---|" * len(table.header)
    return [f"## {table.title}", "", table.note, "", body[0], rule, *body[1:], ""]


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("prior", type=Path, help="folder of a prior")
    parser.add_argument("data", type=Path, nargs="+", help="folders of render_dataset")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--people", type=Path, help="folder of photoreal_people")
    parser.add_argument("--log", type=Path, help="log.jsonl of the training run")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance-scale", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    options = options_of(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "tables.json"
    results = json.loads(kept.read_text()) if kept.exists() else {}
    report = Report(options)
    about = json.loads((options.prior / "prior.json").read_text())
    facts = {"images seen": about.get("images_seen", "unknown"), "steps": options.steps,
             "guidance scale": options.guidance_scale}  # fmt: skip
    measures: dict[str, Callable[[], list[Table]]] = {
        s: getattr(report, "training_curve" if s == "training" else s) for s in SECTIONS
    }
    for section in options.only:
        start = time.monotonic()
        results[section] = [asdict(table) for table in measures[section]()]
        logger.info("%s: %.0f s", section, time.monotonic() - start)
        kept.write_text(json.dumps(results, indent=1))
        write_report(options.out, facts, results)


if __name__ == "__main__":
    main()
