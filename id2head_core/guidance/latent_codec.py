"""Between images and the latents that a diffusion model works on."""

from typing import Protocol

import torch
import torch.nn.functional as functional


class LatentCodec(Protocol):
    """Images ``[B, 3, S, S]`` in [0, 1] to latents ``[B, C, s, s]`` and back; differentiable.

    Attributes:
        is_linear: whether encoding is linear and invertible (up to an offset).
    """

    is_linear: bool

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """Image to latents."""
        ...

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents to image."""
        ...


class SpaceToDepth:
    """Patches of ``patch x patch`` pixels become channels; values in [-1, 1]. Loses nothing."""

    is_linear = True

    def __init__(self, patch: int):
        self.patch = patch

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """``[B, C, S, S]`` in [0, 1] to ``[B, C patch^2, S / patch, S / patch]``."""
        return functional.pixel_unshuffle(image * 2 - 1, self.patch)

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """The inverse of ``encode``; nothing is clamped."""
        return functional.pixel_shuffle(latents, self.patch) / 2 + 0.5


class VaeCodec:
    """The variational autoencoder of Stable Diffusion; the mean of its posterior."""

    is_linear = False

    def __init__(self, vae):
        self.vae = vae.eval().requires_grad_(False)

    def encode(self, image: torch.Tensor) -> torch.Tensor:
        """``[B, 3, S, S]`` in [0, 1] to ``[B, 4, S / 8, S / 8]``."""
        return self.vae.encode(image * 2 - 1).latent_dist.mean * self.vae.config.scaling_factor

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Latents to image in [0, 1]."""
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample / 2 + 0.5
