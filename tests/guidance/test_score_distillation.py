from types import SimpleNamespace

import pytest
import torch

from id2head_core.guidance.score_distillation import (
    TimestepSchedule,
    distill,
    sampled_image,
    sds_gradient,
)
from tests.guidance.stub_prior import OraclePrior, StubConditions, StubPrior

SCALE = 2.0  # of the stub's encoding: z = 2 x - 1


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _image(batch=2, size=16, seed=3):
    return 0.2 + 0.6 * torch.rand(batch, 3, size, size, generator=_generator(seed))


def _sample(prior, image, timestep, *, seed=0, **options):
    options = {"guidance_scale": 3.0, "weighting": "sds", **options}
    return sds_gradient(
        prior, "texture", image, StubConditions(), timestep, generator=_generator(seed), **options
    )


def _by_hand(prior, image, timestep, scale, seed=0):
    """Noise that was drawn, predicted noise and abar, from the definitions."""
    latents = prior.encode(image)
    noise = torch.randn(latents.shape, generator=_generator(seed))
    abar = prior.alphas_cumprod[timestep][:, None, None, None]
    noisy = abar.sqrt() * latents + (1 - abar).sqrt() * noise
    cond, uncond = 0.7 * torch.tanh(noisy), 0.4 * torch.tanh(noisy)
    return noise, uncond + scale * (cond - uncond), abar


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_the_image_receives_exactly_the_weighted_noise_difference(scale):
    prior, image, timestep = StubPrior(), _image(), torch.tensor([40, 730])
    gradient, _ = _sample(prior, image, timestep, guidance_scale=scale)
    noise, predicted, abar = _by_hand(prior, image, timestep, scale)
    in_pixels = torch.nn.functional.pixel_shuffle((1 - abar) * (predicted - noise), 2)
    torch.testing.assert_close(gradient, SCALE * in_pixels, rtol=1e-5, atol=1e-6)
    free = image.clone().requires_grad_()
    distill(free, gradient).backward()
    assert torch.equal(free.grad, gradient / len(image))


def test_each_image_may_have_its_own_scale():
    """Rescaled or not, as if it were sampled with that number."""
    prior, image, timestep = StubPrior(), _image(), torch.tensor([40, 730])
    for rescale in (0.0, 0.5):
        both = {s: _sample(prior, image, timestep, guidance_scale=s, rescale=rescale)[0]
                for s in (1.0, 3.0)}  # fmt: skip
        scales = torch.tensor([3.0, 1.0])
        mixed, _ = _sample(prior, image, timestep, guidance_scale=scales, rescale=rescale)
        torch.testing.assert_close(mixed[0], both[3.0][0])
        torch.testing.assert_close(mixed[1], both[1.0][1])


def test_guidance_scale_one_is_unguided():
    prior, image, timestep = StubPrior(), _image(), torch.tensor([300, 300])
    prior.unconditional = None  # would fail if it were asked
    gradient, _ = _sample(prior, image, timestep, guidance_scale=1.0)
    noise, _, abar = _by_hand(prior, image, timestep, 1.0)
    noisy = abar.sqrt() * prior.encode(image) + (1 - abar).sqrt() * noise
    expected = (1 - abar) * (0.7 * torch.tanh(noisy) - noise) * SCALE
    torch.testing.assert_close(gradient, torch.nn.functional.pixel_shuffle(expected, 2))


def test_both_weightings_are_one_gradient_up_to_the_documented_factor():
    prior, timestep = StubPrior(), torch.tensor([30, 150])  # nothing is clamped at low noise
    image = 0.45 + 0.1 * _image()
    sds, first = _sample(prior, image, timestep)
    x0, second = _sample(prior, image, timestep, weighting="x0")
    assert torch.equal(first, second) and first.min() > 0 and first.max() < 1
    torch.testing.assert_close(x0, image - first)
    abar = prior.alphas_cumprod[timestep][:, None, None, None]
    factor = (1 - abar) * abar.sqrt() / (1 - abar).sqrt() * SCALE**2
    torch.testing.assert_close(sds, factor * x0, rtol=1e-3, atol=1e-5)


def test_noise_comes_from_the_generator():
    prior, image, timestep = StubPrior(), _image(), torch.tensor([500, 500])
    first, again, other = (_sample(prior, image, timestep, seed=s)[0] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.1


def test_no_graph_and_no_change_of_the_caller_s_image():
    prior, image = StubPrior(), _image().requires_grad_()
    before = image.detach().clone()
    gradient, predicted = _sample(prior, image, torch.tensor([500, 500]))
    assert gradient.requires_grad is predicted.requires_grad is False
    assert image.grad is None and torch.equal(image.detach(), before)


def test_the_prediction_is_clamped_to_valid_colours():
    _, predicted = _sample(StubPrior(), _image(), torch.tensor([990, 998]), guidance_scale=9.0)
    assert predicted.min() == 0 and predicted.max() == 1


def test_latent_gradient_returns_by_the_transpose_of_the_encoding():
    """A random invertible linear encoding against its explicit matrix."""
    matrix = torch.randn(48, 48, generator=_generator(5), dtype=torch.float64)
    stub = StubPrior()
    prior = SimpleNamespace(
        alphas_cumprod=stub.alphas_cumprod,
        encode=lambda x: (x.flatten(1) @ matrix.T).view(-1, 3, 4, 4),
        decode=lambda z: torch.linalg.solve(matrix, z.flatten(1).T).T.reshape(-1, 3, 4, 4),
        guided=lambda domain, z, timestep, conditions, scale: torch.zeros_like(z),
    )
    image, timestep = _image(size=4).double(), torch.tensor([100, 600])
    gradient, _ = _sample(prior, image, timestep)
    noise = torch.randn(image.shape, generator=_generator()).double()
    abar = prior.alphas_cumprod[timestep].double()[:, None]
    torch.testing.assert_close(gradient.flatten(1), (1 - abar) * -noise.flatten(1) @ matrix)
    free = image.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: distill(x, gradient), free)


def test_rescale_brings_the_contrast_of_the_guided_prediction_back():
    prior, timestep = StubPrior(), torch.tensor([30, 90])  # nothing is clamped
    image = 0.45 + 0.1 * _image()

    def contrast(scale, rescale):
        _, predicted = _sample(prior, image, timestep, guidance_scale=scale, rescale=rescale)
        return predicted.std((1, 2, 3))

    wanted, unscaled = contrast(1.0, 0.0), contrast(9.0, 0.0)
    assert ((unscaled / wanted - 1).abs() > 0.05).all()
    torch.testing.assert_close(contrast(9.0, 1.0), wanted, rtol=1e-4, atol=0)
    torch.testing.assert_close(contrast(9.0, 0.5), (wanted + unscaled) / 2, rtol=1e-4, atol=0)


@pytest.mark.parametrize("weighting", ["x0", "sds"])
def test_an_oracle_pulls_a_free_image_to_its_target(weighting):
    prior, schedule, generator = OraclePrior(), TimestepSchedule(), _generator()
    target = _image(seed=8)
    free = torch.full_like(target, 0.5).requires_grad_()
    optimizer = torch.optim.Adam([free], lr=0.03)
    first = float(((free.detach() - target) ** 2).mean())
    for step in range(60):
        timestep = schedule.sample(step / 59, 2, generator)
        gradient, _ = sds_gradient(
            prior,
            "texture",
            free,
            StubConditions(target),
            timestep,
            guidance_scale=1.0,
            weighting=weighting,
            generator=generator,
        )
        optimizer.zero_grad()
        distill(free, gradient).backward()
        optimizer.step()
    assert float(((free.detach() - target) ** 2).mean()) < first / 20


def test_schedule_moves_its_bounds_and_repeats():
    schedule = TimestepSchedule(high_start=0.98, high_end=0.3, low_start=0.5, low_end=0.02)
    assert schedule.bounds(0.0) == (500, 980) and schedule.bounds(1.0) == (20, 300)
    draws = schedule.sample(0.5, 4000, _generator())
    assert draws.dtype == torch.long and draws.min() == 260 and draws.max() == 640
    assert torch.equal(draws, schedule.sample(0.5, 4000, _generator()))
    assert not torch.equal(draws, schedule.sample(0.5, 4000, _generator(1)))


def test_unknown_weighting_is_refused():
    with pytest.raises(ValueError, match="'x0' or 'sds'"):
        _sample(StubPrior(), _image(), torch.tensor([5, 5]), weighting="eps")


def test_one_step_of_sampling_is_the_predicted_image():
    prior, image = StubPrior(), _image()
    timestep = torch.tensor([600, 600])
    _, predicted = _sample(prior, image, timestep, weighting="x0")
    options = {"guidance_scale": 3.0}
    sampled = [
        sampled_image(prior, "texture", image, StubConditions(), 600, steps=steps,
                      generator=_generator(), **options)
        for steps in (1, 4)
    ]  # fmt: skip
    torch.testing.assert_close(sampled[0], predicted)
    assert (sampled[1] - predicted).abs().mean() > 0.01


def test_the_optimal_denoiser_of_one_image_samples_it():
    target = _image(1, seed=8)
    sampled = sampled_image(
        OraclePrior(), "texture", _image(1), StubConditions(target), 700, steps=3,
        guidance_scale=1.0, generator=_generator(),
    )  # fmt: skip
    torch.testing.assert_close(sampled, target, atol=1e-4, rtol=0)
