"""Stand-ins for the diffusion prior whose answers are known in closed form."""

from dataclasses import dataclass

import torch
import torch.nn.functional as functional


@dataclass(frozen=True)
class StubConditions:
    """Enough of ``Conditions`` for a prior that knows the answer."""

    target: torch.Tensor | None = None
    guided: bool = True


class StubPrior:
    """A linear space-to-depth encoding; ``predict`` is given. 1 = conditional, 0 = not."""

    latent_is_linear = True
    device = torch.device("cpu")

    def __init__(self, resolution: int = 16):
        self.resolution = resolution
        angle = (torch.arange(1000, dtype=torch.float64) + 0.5) / 1000 * torch.pi / 2
        self.alphas_cumprod = (angle.cos() ** 2).clamp(1e-5, 1 - 1e-5).float()

    def encode(self, image):
        return functional.pixel_unshuffle(2 * image - 1, 2)

    def decode(self, latents):
        return (functional.pixel_shuffle(latents, 2) + 1) / 2

    def unconditional(self, conditions):
        return StubConditions(conditions.target, guided=False)

    def predict(self, domain, noisy_latents, timestep, conditions):
        return torch.tanh(noisy_latents) * (0.7 if conditions.guided else 0.4)

    def predict_pair(self, domain, noisy_latents, timestep, conditions, against):
        both = (conditions, against)
        return tuple(self.predict(domain, noisy_latents, timestep, one) for one in both)

    def guided(self, domain, noisy_latents, timestep, conditions, guidance_scale):
        if guidance_scale == 1:
            return self.predict(domain, noisy_latents, timestep, conditions)
        against = self.unconditional(conditions)
        with_text, without = self.predict_pair(domain, noisy_latents, timestep, conditions, against)
        return without + guidance_scale * (with_text - without)


class OraclePrior(StubPrior):
    """The optimal denoiser of a world that holds one image per condition."""

    def predict(self, domain, noisy_latents, timestep, conditions):
        abar = self.alphas_cumprod[timestep][:, None, None, None]
        return (noisy_latents - abar.sqrt() * self.encode(conditions.target)) / (1 - abar).sqrt()
