"""The report's instruments read the truth on true renders, and from a prior that knows it."""

import itertools
import json
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from id2head_core.errors import OptionError
from id2head_core.expressions import EXPRESSIONS, FOLD_WEIGHTS
from id2head_core.guidance.diffusion_prior import DOMAINS
from id2head_core.guidance.text_encoder import TextFeatures
from id2head_core.prompts import (
    HAIR_COLOURS,
    HAIR_STYLES,
    SKIN_TONES,
    Looks,
    colour_of,
    describe,
    style_of,
    tone_of,
)
from id2head_core.template.hair import HairTemplate
from id2head_core.template.head_template import HeadTemplate
from id2head_core.training import prior_report, render_dataset
from id2head_core.training.prior_curve import curve, validation_table
from id2head_core.training.prior_data import PriorDataset, finished_shards
from id2head_core.training.prior_fold_measures import fold_strengths, fold_table
from id2head_core.training.prior_gallery import (
    ReportRenderer,
    build_gallery,
    gallery_subjects,
    held_out_people,
)
from id2head_core.training.prior_hair_measures import (
    COLOURS,
    HAIRY,
    hair_colour_table,
    hair_length_table,
)
from id2head_core.training.prior_measures import (
    camera_table,
    expression_table,
    frechet_table,
    gender_table,
    identity_table,
)
from id2head_core.training.prior_probes import eroded, frechet, hair_mask, yaw_error
from id2head_core.training.prior_samples import Sampler, Table, true_images
from id2head_core.training.prior_sheets import sheet, sheets
from id2head_core.training.prior_skin_measures import face_darkness, skin_tone_table
from id2head_core.training.render_dataset import SampleRenderer, View, write_shard
from id2head_core.training.subjects import SubjectMaker

YAWS = np.arange(-180.0, 180.0, 45.0)
"""Views of each subject's whole head."""


class Encoder:
    """Texts as random tokens."""

    token_dim = pooled_dim = 8

    def encode_many(self, prompts):
        count = len(prompts)
        mask = torch.ones(count, 4, dtype=torch.bool)
        return TextFeatures(torch.randn(count, 4, 8), mask, torch.randn(count, 8))


@pytest.fixture(scope="module")
def renderer():
    return ReportRenderer(SampleRenderer(HeadTemplate.load(), HairTemplate.load(), 64))


@pytest.fixture(scope="module")
def maker(renderer):
    return SubjectMaker(renderer.template, renderer.draw.hair_template, [])


@pytest.fixture(scope="module")
def shards(renderer, maker, tmp_path_factory):
    """A folder with a training shard of five subjects and a held-out one of three."""
    folder = tmp_path_factory.mktemp("shards")
    turns = np.random.default_rng(0)
    faces = [(0.0, 2.0, e) for e in np.eye(len(EXPRESSIONS), dtype=np.float32)]
    heads = [(yaw, 1.0, np.zeros(len(EXPRESSIONS), np.float32)) for yaw in YAWS]
    views = itertools.cycle(faces + heads)

    def draw_view(generator):
        yaw, zoom, expression = next(views)
        return View(yaw + float(turns.uniform(-8, 8)), 0.0, zoom, expression)

    def haired(maker, first, count, seed, people):
        painted = (maker.painted(np.random.default_rng(i)) for i in itertools.count(first))
        fit = (s for s in painted if s.looks.style in HAIRY and s.looks.colour in COLOURS)
        return enumerate(itertools.islice(fit, count))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(render_dataset, "draw_view", draw_view)
        patch.setattr(render_dataset, "subjects", haired)
        for number, subjects in ((0, 5), (11, 3)):
            patch.setattr(render_dataset, "SUBJECTS_PER_SHARD", subjects)
            write_shard(folder / f"shard_{number:04d}", maker, renderer.draw, shard=number,
                        views=len(faces + heads), seed=0)  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def datasets(shards):
    return tuple(PriorDataset(paths, Encoder()) for paths in finished_shards([shards]))


@dataclass(frozen=True)
class Known:
    """Conditions that carry their answer by domain."""

    camera: torch.Tensor
    geometry: torch.Tensor
    texture: torch.Tensor


class TruthPrior:
    """Draws the true render whose camera and embedding are asked for, with the asked hair.

    Long hair fills everything below the middle row; a bald head is the control.
    """

    resolution, device, latent_is_linear = 64, torch.device("cpu"), True
    alphas_cumprod = torch.linspace(0.9999, 1e-4, 1000)

    def __init__(self, camera, embedding, images):
        self.keys, self.images = torch.cat([camera, 100 * embedding], 1), images

    def expression_text(self, expressions):
        return torch.zeros(len(expressions), 8)

    def encode(self, image):
        return image * 2 - 1

    def decode(self, latents):
        return latents / 2 + 0.5

    def conditions(self, prompts, cameras, *, embedding, expressions, control=None):
        if embedding is None:
            embedding = self.keys[:1, 3:].expand(len(prompts), -1) / 100  # the first face for all
        geometry, texture = (images.clone() for images in self._found(cameras, embedding))
        for i, prompt in enumerate(prompts):
            if colour_of(prompt) and control is not None:
                hair = hair_mask(geometry[i : i + 1], control[i : i + 1])[0]
                colour = torch.tensor(HAIR_COLOURS[colour_of(prompt)]) / 255
                texture[i][:, hair] = colour[:, None]
            if tone_of(prompt):
                texture[i] = 1 - SKIN_TONES[tone_of(prompt)][1]
            if style_of(prompt) == "long":
                geometry[i, :, 32:] = torch.tensor([1.0, 0.0, 0.0])[:, None, None]
            if style_of(prompt) == "bald":
                geometry[i] = control[i, :3]
        return Known(cameras, geometry, texture)

    def guided(self, domain, noisy, timestep, conditions, guidance_scale):
        if isinstance(conditions, Known):
            target = getattr(conditions, domain)
        else:
            found = self._found(conditions.camera, conditions.embedding)
            target = found[DOMAINS.index(domain)]
        alpha = self.alphas_cumprod[timestep].view(-1, 1, 1, 1)
        return (noisy - alpha.sqrt() * self.encode(target)) / (1 - alpha).sqrt()

    def _found(self, camera, embedding):
        asked = torch.cat([camera, 100 * embedding], 1)
        nearest = (asked[:, None] - self.keys).square().sum(2).argmin(1)
        return [images[nearest] for images in self.images]


@pytest.fixture(scope="module")
def truth(datasets):
    """A sampler of the held-out renders."""
    held_out = datasets[1]
    batch = held_out.__getitems__(list(range(len(held_out))))
    images = [true_images(batch, domain) for domain in DOMAINS]
    return Sampler(TruthPrior(batch["camera"], batch["embedding"], images), steps=2)


def cells(table: Table, column: int = 1) -> dict[str, float]:
    """Numbers of a column by the first cell of the row."""
    return {row[0]: float(row[column].rstrip(" %")) for row in table.rows if row[column]}


def test_the_expression_probe_reads_true_renders_and_true_samples(truth, renderer, datasets):
    found = cells(expression_table(truth, renderer, *datasets, 52))
    assert found["true renders"] > 6 * found["chance"]
    assert found["control and y_exp"] == found["true renders"]


def test_the_gender_of_samples_is_read(renderer, datasets):
    """Of a sampler that draws whom it is told, and of one that draws women only."""
    training, held_out = datasets
    batch = training.__getitems__(list(range(len(training))))
    albedo, women = true_images(batch, "texture"), training.gender[training.subject] > 0.5
    assert 0 < women.float().mean() < 1

    def drawn(obeys: bool):
        def reworded(domain, prompts, asked, known):
            assert domain == "texture" and known is False
            rows = []
            for prompt, camera in zip(prompts, asked["camera"], strict=True):
                fits = women == (prompt == "a woman" or not obeys)
                away = (batch["camera"] - camera).square().sum(1)
                rows.append(int(torch.where(fits, away, away.max() + 1).argmin()))
            return albedo[rows]

        return SimpleNamespace(reworded=reworded)

    told = cells(gender_table(drawn(True), renderer, training, held_out, 20))
    assert min(told[k] for k in ("own control", "mean head's control", "no control")) > 85
    always = cells(gender_table(drawn(False), renderer, training, held_out, 20))
    assert always["own control"] == always["no control"] == 50


def test_the_camera_probe_reads_the_yaw(truth, datasets):
    found = cells(camera_table(truth, *datasets, 48))
    assert found["true renders"] < 15
    assert found["without control"] == found["true renders"]
    assert found["chance (another sample's camera)"] > 60


def test_angles_wrap():
    found = yaw_error(torch.tensor([179.0, -10.0]), torch.tensor([-179.0, 10.0]))
    assert found.tolist() == [2.0, 20.0]


def test_true_renders_are_retrieved(renderer, maker, shards):
    gallery = build_gallery(renderer, gallery_subjects(maker, [], 6), finished_shards([shards])[0])
    prior = TruthPrior(torch.zeros(6, 3), gallery.embedding, [gallery.normals, gallery.albedo])
    table = identity_table(Sampler(prior, steps=2), renderer, gallery)
    row = next(row for row in table.rows if row[0] == "own control, own y_id")
    assert row[1:] == ["100 %"] * 6
    stranger = next(row for row in table.rows if row[0] == "own control, no y_id")
    assert float(stranger[1].rstrip(" %")) < 50  # always the same face


def test_the_asked_hair_is_measured(truth, renderer, datasets):
    colours = hair_colour_table(truth, datasets[1], 6)
    assert cells(colours, 3)["all"] == 100
    assert cells(colours, 1)["all"] < 3 < cells(colours, 2)["all"]
    lengths = cells(hair_length_table(truth, renderer, datasets[1], 6))
    assert lengths["bald"] == 0
    assert lengths["long"] > 80 > lengths["short"]


def test_the_asked_skin_is_measured(truth, datasets):
    table = skin_tone_table(truth, datasets[1], 6)
    assert cells(table, 4)["all"] == 100
    for tone, typical, own, none, *_ in table.rows[: len(SKIN_TONES)]:
        assert float(typical) == pytest.approx(SKIN_TONES[tone][1], abs=0.006)
        assert float(own) == pytest.approx(float(typical), abs=0.03)
        assert float(none) == pytest.approx(float(typical), abs=0.03)


def test_folds_are_measured_along_what_they_change(renderer):
    """A prior that adds nothing to the control maps scores 0 everywhere."""
    asked = []

    def conditions(prompts, cameras, *, embedding, expressions, control):
        asked.extend(prompts)
        assert embedding is None and len(prompts) == len(cameras) == len(expressions)
        return control

    class Bare:
        prior = SimpleNamespace(conditions=conditions)

        def __call__(self, domain, control):
            assert domain == "geometry"
            return control[:, :3]

    table = fold_table(Bare(), renderer)
    assert [row[0] for row in table.rows[:7]] == list(FOLD_WEIGHTS)
    assert all(float(value) == pytest.approx(0, abs=0.005) for row in table.rows[:8]
               for value in row[2:])  # fmt: skip
    assert any("old" in text for text in asked) and any("young" in text for text in asked)
    noise = np.random.default_rng(0)
    still, *moved = noise.normal(size=(3, 3, 3, 8, 8))
    one, two = (m - still for m in moved)
    views = np.concatenate([still + 0.25 * one + two, still + 0.75 * one + 0.2 * two])
    found = fold_strengths(views, still, np.stack([*moved, still]))
    np.testing.assert_allclose(found, [0.5, 0.6, 0], atol=1e-6)


def test_darkness_is_of_the_face_alone():
    image = torch.zeros(2, 3, 40, 40)
    image[:, :, 10:30, 12:28] = torch.tensor([0.4, 0.8])[:, None, None, None]
    box = torch.tensor([[12.0, 10, 28, 30]]).expand(2, 4)
    np.testing.assert_allclose(face_darkness(image, box), [0.6, 0.2], atol=0.02)


def test_prompts_are_read_back():
    for style in HAIR_STYLES:
        for seed in range(6):
            text = describe(Looks(style=style, colour="brown"), np.random.default_rng(seed))
            assert style_of(text) == style, text
    for colour in HAIR_COLOURS:
        assert colour_of(describe(Looks(colour=colour))) == colour
    assert set(COLOURS) <= set(HAIR_COLOURS)


def test_frechet_distance_of_gaussians():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 20000, 3, generator=generator)
    assert frechet(a, b) < 0.01
    wider = 2 * b + torch.tensor([1.0, 0.0, 0.0])  # |mean|^2 + 3 (2 - 1)^2
    assert frechet(a, wider) == pytest.approx(4, rel=0.05)


def test_samples_of_the_truth_are_as_near_as_renders(truth, datasets):
    for row in frechet_table(truth, *datasets, 50).rows:
        assert float(row[3]) == pytest.approx(float(row[1]), rel=0.05)
        assert float(row[2]) > float(row[1])


def test_erosion_takes_the_border():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, 2:6, 2:6] = True
    assert eroded(mask).sum() == 4


def test_people_of_training_shards_are_not_held_out(tmp_path, caplog):
    embeddings = np.linalg.qr(np.random.default_rng(0).normal(size=(512, 4)))[0].T
    people = [tmp_path / f"person_0_{i:05d}.npz" for i in range(4)]
    for path, embedding in zip(people, embeddings, strict=True):
        np.savez(path, embedding=embedding.astype(np.float16))
    for name, chosen in (("training", [0, 1]), ("held", [1, 2])):
        np.savez(tmp_path / name, embedding=embeddings[chosen], kind=np.ones(2, np.int8))
    found = held_out_people(people, [tmp_path / "training.npy"], [tmp_path / "held.npy"])
    assert found == [2]
    assert "1 persons are in both" in caplog.text


def test_the_log_becomes_a_table_and_a_curve(tmp_path):
    log = tmp_path / "log.jsonl"
    log.write_text('{"images": 50, "seconds": 1, "loss": [1, 1]}\n')
    assert validation_table(log) is None and curve(log) is None
    with log.open("a") as file:
        for images, error in ((1000, 9.0), (1000, 0.2), (9000, 0.05)):
            table = {"all": {"geometry 500": error, "texture 500": error / 2}}
            entry = {"images": images, "seconds": images, "validation": table}
            file.write(json.dumps(entry) + "\n")
        file.write('{"images": 9')
    rows = validation_table(log).rows
    assert [row[0] for row in rows] == ["1000", "9000"]
    assert rows[0][2:] == ["0.2000", "0.1000"]
    pixels = np.asarray(curve(log))
    assert ((pixels == (31, 119, 180)).all(2).sum() > 300) and (
        (pixels == (214, 39, 40)).all(2).sum() > 300
    )


def test_all_sheets_can_be_drawn(renderer, maker, shards):
    """Of a sampler that answers with the control maps, or grey."""

    def conditions(prompts, cameras, *, embedding, expressions, control):
        grey = torch.full((len(prompts), 9, 64, 64), 0.5)
        return grey if control is None else control

    class Bare:
        prior = SimpleNamespace(conditions=conditions)

        def __call__(self, domain, control):
            return control[:, 3 * DOMAINS.index(domain) :][:, :3]

    gallery = build_gallery(renderer, gallery_subjects(maker, [], 6), finished_shards([shards])[0])
    drawn = dict(sheets(Bare(), renderer, gallery))
    assert {"views", "expressions", "ages", "identities"} <= set(drawn)
    for picture in drawn.values():
        assert np.asarray(picture).std() > 20


def test_sheet_places_each_image():
    colours = torch.linspace(0, 1, 6).view(2, 3, 1, 1, 1).expand(2, 3, 3, 16, 16)
    rows = [("first", colours[0]), ("second, with a long label", colours[1])]
    pixels = np.asarray(sheet(rows, ["a", "b", "c"], scale=2))
    for r, c in itertools.product(range(2), range(3)):
        seen = pixels[32 + r * 34 + 16, 170 + c * 34 + 16]
        assert abs(int(seen[0]) - 255 * float(colours[r, c, 0, 0, 0])) < 2


def test_the_report_keeps_the_tables_of_other_sections(tmp_path):
    table = {"title": "Camera", "note": "n", "header": ["", "x"], "rows": [["a", "1"]]}
    prior_report.write_report(tmp_path, {"images seen": 3}, {"camera": [table]})
    text = (tmp_path / "report.md").read_text()
    assert "* images seen: 3" in text and "| a | 1 |" in text


def test_held_out_shards_are_needed(tmp_path, shards):
    for path in shards.glob("shard_0000.*"):
        (tmp_path / path.name).symlink_to(path)
    with pytest.raises(OptionError, match="no held-out shard"):
        prior_report.main(["prior", str(tmp_path), "--out", str(tmp_path / "out")])
