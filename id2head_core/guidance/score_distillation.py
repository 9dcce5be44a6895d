"""Score distillation: the gradient that a frozen diffusion prior gives to a rendered image.

Notation of DreamFusion (Poole et al. 2022, section 3): ``z = encode(x)``,
``z_t = sqrt(abar_t) z + sqrt(1 - abar_t) noise``, and the prior predicts the noise. With
guidance_scale s, ``predicted_noise = uncond + s (cond - uncond)``; s = 1 is unguided.

Two weightings:

- ``"sds"``: ``w(t) (predicted_noise - noise) dz/dx`` with ``w(t) = 1 - abar_t``, as published.
- ``"x0"``: ``x - predicted_image``, where ``predicted_image`` is decoded from the one-step estimate
  ``z0 = (z_t - sqrt(1 - abar_t) predicted_noise) / sqrt(abar_t)`` and clamped to [0, 1]. It is the
  gradient of ``|x - predicted_image|^2 / 2``; because
  ``z - z0 = sqrt(1 - abar_t) / sqrt(abar_t) (predicted_noise - noise)``, it is SDS with another
  w(t), as long as nothing is clamped and up to the scale of a linear encoding.

``alphas_cumprod`` is abar. Images are float ``[B, 3, S, S]`` in [0, 1], see ``diffusion_prior``.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from .sampling import denoise

if TYPE_CHECKING:
    from .diffusion_prior import Conditions, DiffusionPrior

Weighting = Literal["x0", "sds"]

MIN_SIGNAL = 1e-3
"""Smallest ``sqrt(abar_t)`` that is divided by."""


def sds_gradient(
    prior: "DiffusionPrior",
    domain: str,
    image: torch.Tensor,
    conditions: "Conditions",
    timestep: torch.Tensor,
    *,
    guidance_scale: float | torch.Tensor,
    weighting: Weighting = "x0",
    rescale: float = 0.0,
    against: "Conditions | None" = None,
    generator: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """One score distillation sample.

    No graph is kept through the network. The latent's gradient is taken back to the image by the
    transpose of the encoding: exact for a linear one, by backpropagation through a real VAE.

    Args:
        prior: the frozen prior.
        domain: one of ``diffusion_prior.DOMAINS``.
        image: renders in [0, 1], ``[B, 3, S, S]``; only their values are used.
        conditions: of the B images.
        timestep: long ``[B]``, 0 to 999.
        guidance_scale: s of classifier-free guidance; a number, or one per image ``[B]``.
        weighting: ``"x0"`` or ``"sds"``, see the module.
        rescale: share in [0, 1] by which the guided z0 gets the standard deviation of the
            conditional one (Lin et al. 2023, section 3.4); 0 leaves it alone.
        against: what ``conditions`` are contrasted with by the guidance; None = no condition.
        generator: of the noise.

    Returns:
        The gradient with respect to ``image`` and the predicted image in [0, 1], both
        ``[B, 3, S, S]`` and detached.

    Raises:
        ValueError: unknown weighting.
    """
    if weighting not in ("x0", "sds"):
        raise ValueError(f"Weighting '{weighting}' is unknown. Use 'x0' or 'sds'.")
    image = image.detach()
    abar = prior.alphas_cumprod.to(image.device)[timestep].to(image.dtype)[:, None, None, None]
    signal, sigma = abar.sqrt().clamp(min=MIN_SIGNAL), (1 - abar).sqrt()
    needs_transpose = weighting == "sds"
    with torch.set_grad_enabled(needs_transpose):
        image.requires_grad_(needs_transpose)
        latents = prior.encode(image)  # [B, C, h, w]
    with torch.no_grad():
        noise = torch.randn(latents.shape, generator=generator, device=generator.device)
        noise = noise.to(latents)
        noisy = abar.sqrt() * latents + sigma * noise
        predicted_noise = _guided(
            prior, domain, noisy, timestep, conditions, against, guidance_scale, rescale, signal,
            sigma,
        )  # fmt: skip
        clean = (noisy - sigma * predicted_noise) / signal  # z0
        predicted_image = prior.decode(clean).clamp(0, 1)
    if weighting == "x0":
        return image - predicted_image, predicted_image
    latent_gradient = (1 - abar) * (predicted_noise - noise)
    (gradient,) = torch.autograd.grad(latents, image, latent_gradient)
    return gradient, predicted_image


@torch.no_grad()
def sampled_image(
    prior: "DiffusionPrior",
    domain: str,
    image: torch.Tensor,
    conditions: "Conditions",
    timestep: int,
    *,
    steps: int,
    guidance_scale: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """What the prior makes of a noised render in several steps, ``[B, 3, S, S]`` in [0, 1].

    The predicted image of ``sds_gradient`` is the mean of all that could be under the noise, so
    whatever has no fixed place (locks of hair) is smooth in it. Several steps of DDIM draw one of
    them. ``image - sampled_image`` takes the place of the gradient of the ``"x0"`` form, as in
    ReconFusion (Wu et al. 2024, section 4.2); with one step both are the same.

    Args:
        prior: the frozen prior.
        domain: one of ``diffusion_prior.DOMAINS``.
        image: renders in [0, 1], ``[B, 3, S, S]``; only their values are used.
        conditions: of the B images.
        timestep: of the noise, 1 to 999: the larger, the freer.
        steps: network evaluations per image (twice that with guidance).
        guidance_scale: s of classifier-free guidance; 1 = unguided.
        generator: of the noise.
    """
    latents = prior.encode(image.detach())
    noise = torch.randn(latents.shape, generator=generator, device=generator.device).to(latents)
    abar = float(prior.alphas_cumprod[timestep])
    noisy = abar**0.5 * latents + (1 - abar) ** 0.5 * noise
    clean = denoise(
        prior, domain, noisy, timestep, conditions, steps=steps, guidance_scale=guidance_scale
    )
    return prior.decode(clean).clamp(0, 1)


def _guided(
    prior, domain, noisy, timestep, conditions, against, guidance_scale, rescale, signal, sigma
) -> torch.Tensor:
    """Guided noise, with the contrast of the guided z0 pulled back by ``rescale``."""
    if torch.is_tensor(guidance_scale):
        guidance_scale = guidance_scale.to(noisy).view(-1, 1, 1, 1)
    elif guidance_scale == 1 or (rescale == 0 and against is None):
        return prior.guided(domain, noisy, timestep, conditions, guidance_scale)
    if against is None:
        against = prior.unconditional(conditions)
    with_text, without = prior.predict_pair(domain, noisy, timestep, conditions, against)
    guided = without + guidance_scale * (with_text - without)
    if rescale == 0:
        return guided
    clean = (noisy - sigma * guided) / signal
    wanted = (noisy - sigma * with_text) / signal
    ratio = wanted.std((1, 2, 3), keepdim=True) / clean.std((1, 2, 3), keepdim=True).clamp(min=1e-6)
    clean = clean * (rescale * ratio + 1 - rescale)
    return (noisy - signal * clean) / sigma.clamp(min=1e-6)


def distill(image: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """Scalar whose gradient with respect to ``image [B, ...]`` is exactly ``gradient / B``.

    Its value has no meaning: score distillation has no loss, only a gradient.
    """
    return (gradient.detach() * image).sum() / len(image)


@dataclass(frozen=True)
class TimestepSchedule:
    """Uniform timesteps between two bounds that move with the progress of the optimisation.

    Large timesteps first, for the layout; small ones last, for the detail.
    """

    high_start: float = 0.98
    """Upper bound at the beginning, share of the 1000 timesteps."""
    high_end: float = 0.5
    """Upper bound at the end."""
    low_start: float = 0.02
    """Lower bound at the beginning."""
    low_end: float = 0.02
    """Lower bound at the end."""

    def bounds(self, progress: float) -> tuple[int, int]:
        """Smallest and largest timestep at ``progress`` in [0, 1], both included."""
        low = self.low_start + (self.low_end - self.low_start) * progress
        high = self.high_start + (self.high_end - self.high_start) * progress
        first = min(max(round(1000 * low), 1), 998)
        return first, max(first, min(round(1000 * high), 998))

    def sample(self, progress: float, batch: int, generator: torch.Generator) -> torch.Tensor:
        """Timesteps for ``batch`` images, long ``[batch]``, on the generator's device."""
        low, high = self.bounds(progress)
        return torch.randint(low, high + 1, (batch,), generator=generator, device=generator.device)
