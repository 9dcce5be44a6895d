"""Draw images from a prior: deterministic DDIM (Song et al. 2021, eq. 12 with sigma = 0)."""

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .diffusion_prior import Conditions, DiffusionPrior


@torch.no_grad()
def sample(
    prior: "DiffusionPrior",
    domain: str,
    conditions: "Conditions",
    *,
    steps: int = 20,
    guidance_scale: float = 3.0,
    generator: torch.Generator,
) -> torch.Tensor:
    """Images ``[B, 3, S, S]`` in [0, 1].

    Args:
        prior: the prior.
        domain: of ``DOMAINS``.
        conditions: of B images.
        steps: network evaluations per image (twice that with guidance).
        guidance_scale: s of classifier-free guidance; 1 = unguided.
        generator: of the initial noise.
    """
    side = prior.resolution
    blank = torch.zeros(len(conditions.camera), 3, side, side, device=prior.device)
    shape = prior.encode(blank).shape
    latents = torch.randn(shape, generator=generator).to(prior.device)
    clean = denoise(
        prior, domain, latents, 999, conditions, steps=steps, guidance_scale=guidance_scale
    )
    return prior.decode(clean).clamp(0, 1)


@torch.no_grad()
def denoise(
    prior: "DiffusionPrior",
    domain: str,
    latents: torch.Tensor,
    timestep: int,
    conditions: "Conditions",
    *,
    steps: int,
    guidance_scale: float,
) -> torch.Tensor:
    """Clean latents, of the same shape as ``latents [B, C, h, w]``.

    Args:
        prior: the prior.
        domain: of ``DOMAINS``.
        latents: with the noise of ``timestep``.
        timestep: where to start, 1 to 999.
        conditions: of the B images.
        steps: network evaluations per image (twice that with guidance), evenly spaced.
        guidance_scale: s of classifier-free guidance; 1 = unguided.
    """
    timesteps = torch.linspace(timestep, 0, steps + 1).round().long()[:-1]
    for i, t in enumerate(timesteps.tolist()):
        now = torch.full((len(latents),), t, device=latents.device)
        noise = prior.guided(domain, latents, now, conditions, guidance_scale)
        alpha = float(prior.alphas_cumprod[t])
        clean = (latents - (1 - alpha) ** 0.5 * noise) / max(alpha**0.5, 1e-6)
        if prior.latent_is_linear:
            clean = clean.clamp(-1, 1)
            noise = (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5
        if i + 1 == steps:
            return clean
        alpha = float(prior.alphas_cumprod[timesteps[i + 1]])
        latents = alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise
    raise ValueError(f"{steps} steps draw nothing. Use at least 1.")
