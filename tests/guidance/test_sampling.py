"""DDIM sampling: what the denoiser knows comes out, and the noise decides the rest."""

from types import SimpleNamespace

import pytest
import torch

from id2head_core.guidance.prior_folder import cosine_scheduler, load_prior, load_stable_diffusion
from id2head_core.guidance.sampling import denoise, sample
from tests.guidance.stub_prior import OraclePrior, StubPrior

CAMERAS = torch.tensor([[10.0, 0.0, 1.0], [120.0, 0.0, 1.0]])


class CountingOracle(OraclePrior):
    """Remembers the timesteps it was asked for."""

    def __init__(self):
        super().__init__()
        self.alphas_cumprod, self.asked = cosine_scheduler().alphas_cumprod, []

    def predict(self, domain, noisy_latents, timestep, conditions):
        self.asked += timestep.tolist()
        return super().predict(domain, noisy_latents, timestep, conditions)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_the_optimal_denoiser_of_one_image_draws_it(steps):
    prior = CountingOracle()
    target = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    conditions = SimpleNamespace(camera=CAMERAS[:1], target=target)
    generator = torch.Generator().manual_seed(0)
    drawn = sample(prior, "texture", conditions, steps=steps, guidance_scale=1, generator=generator)
    torch.testing.assert_close(drawn, target, atol=5e-3, rtol=0)
    assert len(prior.asked) == steps and prior.asked[0] == 999
    assert prior.asked == sorted(prior.asked, reverse=True) and len(set(prior.asked)) == steps


def test_one_step_of_ddim_is_equation_12():
    """Two steps of a stub, by hand."""
    prior, generator = StubPrior(), torch.Generator().manual_seed(4)
    prior.latent_is_linear = False  # nothing is clamped
    prior.unconditional = lambda conditions: SimpleNamespace(guided=False)
    conditions = SimpleNamespace(camera=CAMERAS[:1], guided=True)
    z = torch.randn(1, 12, 8, 8, generator=torch.Generator().manual_seed(4))
    last = None
    for t in (999, 500):
        abar = prior.alphas_cumprod[t]
        noise = torch.tanh(z) * (0.4 + 2.0 * (0.7 - 0.4))
        clean = (z - (1 - abar).sqrt() * noise) / abar.sqrt()
        following = prior.alphas_cumprod[500]
        z, last = following.sqrt() * clean + (1 - following).sqrt() * noise, clean
    drawn = sample(prior, "texture", conditions, steps=2, guidance_scale=2.0, generator=generator)
    torch.testing.assert_close(drawn, prior.decode(last).clamp(0, 1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("base", ["embedded", "stable diffusion"])
def test_generators_decide_the_image(base, tiny_prior_folder, tiny_sd_folder, minilm):
    embedded = base == "embedded"
    prior = load_prior(tiny_prior_folder, minilm) if embedded else load_stable_diffusion(
        tiny_sd_folder
    )  # fmt: skip
    conditions = prior.conditions(
        ["ab", "a bob"], CAMERAS, embedding=None, expressions=torch.zeros(2, 13)
    )

    def drawn(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return sample(prior, "geometry", conditions, steps=2, generator=generator)

    first, again, other = drawn(0), drawn(0), drawn(1)
    assert first.shape == (2, 3, 32, 32) and first.min() >= 0 and first.max() <= 1
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.01
    assert not first.requires_grad and first.std() > 0.01


def test_no_steps_draw_nothing():
    conditions = SimpleNamespace(camera=CAMERAS[:1])
    with pytest.raises(ValueError, match="0 steps draw nothing. Use at least 1."):
        denoise(StubPrior(), "texture", torch.zeros(1, 12, 8, 8), 500, conditions, steps=0,
                guidance_scale=1.0)  # fmt: skip
