"""Combing finds the locks that the prior draws, and nothing else moves."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from id2head_core.distillation import one_thread
from id2head_core.geometry.combing import HairComb
from id2head_core.geometry.fit import fit_geometry
from id2head_core.geometry.fit_config import CombConfig
from id2head_core.training.drawn_locks import with_locks
from tests.geometry.geometry_oracle import (
    BrokenPrior,
    HairOracle,
    guidance,
    hair_error,
    model,
    quick,
    start,
    templates,
)

PLAIN = CombConfig(guidance_scale=1.0, denoising_steps=2)


def thick():
    """Hair that has room for locks."""
    hair = start()[1]
    thickness = np.where(hair.thickness > 0, hair.thickness + 0.012, hair.thickness)
    return replace(hair, thickness=thickness.astype(np.float32))


def locked():
    hair = thick()
    locks = with_locks(templates()[1], hair.thickness, np.random.default_rng(3))
    return replace(hair, thickness=locks)


def comb(prior, count: int, *, known=None, config=PLAIN, seed: int = 0):
    """A combed model and its losses."""
    head = model(thick(), known)
    generator = torch.Generator().manual_seed(seed)
    losses = list(HairComb(head, guidance(prior), config, generator).steps(count))
    return head, losses


@pytest.fixture(scope="module", autouse=True)
def alone():
    with one_thread():
        yield


@pytest.fixture(scope="module")
def combed():
    return comb(HairOracle(locked(), 64), 56)


def test_locks_that_the_prior_draws_are_found(combed):
    head, losses = combed
    residuals = [step["residual"] for step in losses]
    assert np.mean(residuals[-7:]) < 0.4 * np.mean(residuals[:7])
    found = replace(thick(), thickness=head.hair.thickness().detach().numpy())
    relief, wanted = found.thickness - thick().thickness, locked().thickness - thick().thickness
    has = (thick().thickness > 0.01) & (head.hair.combed.numpy().ravel() > 0.9)
    assert np.corrcoef(relief[has], wanted[has])[0, 1] > 0.6
    assert hair_error(found, locked()) < 0.85 * hair_error(thick(), locked())


def test_nothing_but_the_relief_moves(combed):
    head, fresh = combed[0], model(thick())
    before = dict(fresh.named_parameters())
    for name, parameter in head.named_parameters():
        assert torch.equal(parameter, before[name]) != (name == "hair.locks")
    thickness = head.hair.thickness().detach().numpy()
    assert np.array_equal(thickness > 0, thick().thickness > 0)
    ears = templates()[1].ear_height > 0.003
    assert np.abs(thickness - thick().thickness)[ears].max() < 1e-5


def test_hair_that_the_photo_tells_moves_half_as_far():
    everything = np.ones(len(templates()[1].uv), np.float32)
    free, told = (model(thick(), known).hair.combed for known in (None, everything))
    free, told = free.numpy(), told.numpy()
    moves = (free > 0) & (templates()[1].image(thick().thickness) > 0)
    assert moves.sum() > 500
    np.testing.assert_allclose(told[moves] / free[moves], 0.5)


def test_seeds_draw_other_locks_and_one_seed_repeats():
    prior = BlankPrior(thick())
    first, again, other = (
        comb(prior, 4, seed=seed)[0].hair.locks.detach() for seed in (0, 0, 1)
    )  # fmt: skip
    assert torch.equal(first, again) and not torch.equal(first, other)


class BlankPrior(HairOracle):
    """Takes the noise for the picture."""

    def predict(self, domain, noisy_latents, timestep, conditions):
        return 0.5 * noisy_latents


def test_answers_that_are_not_finite_are_taken_back(caplog):
    head, losses = comb(BrokenPrior(locked(), set(range(400))), 3)
    assert [step["accepted"] for step in losses] == [0.0] * 3
    assert not head.hair.locks.any() and "taken back" in caplog.text


def test_the_last_steps_of_the_stage_comb():
    prior, config = HairOracle(locked(), 32), quick(5, comb_share=0.4, comb=PLAIN)
    for hair, residuals in ((thick(), 5), (None, 5)):
        steps = list(
            fit_geometry(
                *templates(), start()[0], hair, guidance(prior), evidence=None, config=config,
                generator=torch.Generator().manual_seed(0),
            )
        )  # fmt: skip
        assert [s.step for s in steps] == [1, 2, 3, 4, 5] and steps[-1].result is not None
        assert sum("residual" in s.losses for s in steps) == residuals
        # combing has no priors of its own in its losses
        assert sum("anchor" in s.losses for s in steps) == (3 if hair is not None else 5)
