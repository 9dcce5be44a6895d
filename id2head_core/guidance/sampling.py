"""Draw images from a prior: deterministic DDIM (Song et al. 2021, eq. 12 with sigma = 0)."""

import torch

from .diffusion_prior import Conditions, DiffusionPrior


@torch.no_grad()
def sample(
    prior: DiffusionPrior,
    domain: str,
    conditions: Conditions,
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
    timesteps = torch.linspace(999, 0, steps + 1).round().long()[:-1]
    for i, t in enumerate(timesteps.tolist()):
        timestep = torch.full((shape[0],), t, device=prior.device)
        noise = prior.guided(domain, latents, timestep, conditions, guidance_scale)
        alpha = float(prior.alphas_cumprod[t])
        clean = (latents - (1 - alpha) ** 0.5 * noise) / max(alpha**0.5, 1e-6)
        if prior.latent_is_linear:
            clean = clean.clamp(-1, 1)
            noise = (latents - alpha**0.5 * clean) / (1 - alpha) ** 0.5
        if i + 1 == steps:
            latents = clean
            break
        alpha = float(prior.alphas_cumprod[timesteps[i + 1]])
        latents = alpha**0.5 * clean + (1 - alpha) ** 0.5 * noise
    return prior.decode(latents).clamp(0, 1)
