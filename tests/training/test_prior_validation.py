"""The error table and the sample sheet, with a prior whose errors are known."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from id2head_core.guidance.diffusion_prior import DOMAINS
from id2head_core.training import prior_validation
from id2head_core.training.prior_data import PriorDataset, finished_shards
from id2head_core.training.prior_validation import (
    TIMESTEPS,
    VARIANTS,
    fixed_batch,
    full_conditions,
    tiled,
    validate,
    varied,
)
from tests.guidance.stub_prior import StubPrior
from tests.training.subject_bench import SIZE


@pytest.fixture(scope="module")
def dataset(folder, minilm) -> PriorDataset:
    return PriorDataset(finished_shards([folder])[0], minilm)


class KnownError(StubPrior):
    """Wrong by 0.2 where it does not know whose head it draws, else right."""

    def __init__(self):
        super().__init__(SIZE)
        self.clean = None

    def expression_text(self, weights):
        return weights

    def noised(self, latents, noise, timestep):
        self.clean = latents
        return latents + noise

    def predict_sample(self, domain, noisy, timestep, conditions):
        return self.clean + 0.2 * (~conditions.embedding_known).float()[:, None, None, None]


def test_the_table_holds_the_mean_squared_error_of_each_variant(dataset):
    table = validate(KnownError(), dataset)
    assert tuple(table) == VARIANTS[:5]
    assert list(table["all"]) == [f"{domain} {t}" for domain in DOMAINS for t in TIMESTEPS]
    assert set(table["all"].values()) == {0.0}
    assert list(table["no identity"].values()) == [pytest.approx(0.04)] * 4
    assert set(table["no text"].values()) == {0.0}


def test_a_variant_changes_what_it_says_and_nothing_else(dataset):
    batch = fixed_batch(dataset, 9)
    conditions = full_conditions(KnownError(), dataset, batch)
    text = {"words", "mask", "sentence"}
    wanted = {
        "all": set(), "no identity": {"embedding_known"}, "no text": text,
        "no expression": {"expression_known"}, "no control": {"control"}, "other text": text,
        "other identity": {"embedding"}, "other expression": {"expression", "expression_text"},
        "no control, other expression": {"control", "expression", "expression_text"},
    }  # fmt: skip
    assert set(wanted) == set(VARIANTS)
    for variant, names in wanted.items():
        other = varied(conditions, variant, dataset, batch)
        changed = {
            field.name
            for field in fields(other)
            if not torch.equal(getattr(conditions, field.name), getattr(other, field.name))
        }
        assert changed | {"mask"} == names | {"mask"}, variant
    rolled = varied(conditions, "other identity", dataset, batch)
    assert torch.equal(rolled.embedding[7:], conditions.embedding[:2])


def test_the_batch_is_fixed_and_of_different_samples(dataset):
    first, again = (fixed_batch(dataset, 5)["index"].tolist() for _ in range(2))
    assert first == again and len(set(first)) == 5
    assert fixed_batch(dataset, 5, seed=6)["index"].tolist() != first


def test_the_sheet_shows_truth_above_samples(dataset, monkeypatch):
    monkeypatch.setattr(
        prior_validation, "sample", lambda *_, **__: torch.full((4, 3, SIZE, SIZE), 0.25)
    )
    sheet = np.asarray(prior_validation.sample_sheet(KnownError(), dataset, columns=4, scale=1))
    assert sheet.shape == (5 * SIZE, 4 * SIZE, 3)
    maps = (fixed_batch(dataset, 4, seed=3)["maps"][1] * 255).round().numpy()  # second column
    rows = [sheet[i * SIZE : (i + 1) * SIZE, SIZE : 2 * SIZE].transpose(2, 0, 1) for i in range(5)]
    for row, first in ((0, 6), (1, 0), (3, 3)):
        np.testing.assert_allclose(rows[row], maps[first : first + 3], atol=1)
    assert (rows[2] == 64).all() and (rows[4] == 64).all()


def test_tiles_are_scaled_and_clamped():
    rows = [torch.tensor([-1.0, 0.5, 2.0])[:, None, None, None].expand(3, 3, 2, 2)]
    picture = np.asarray(tiled(rows, scale=3))
    assert picture.shape == (6, 18, 3)
    assert picture[0, ::6, 0].tolist() == [0, 128, 255]
