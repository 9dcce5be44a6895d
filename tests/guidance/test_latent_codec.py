"""Space-to-depth loses nothing; the VAE of Stable Diffusion is scaled as its config says."""

import pytest
import torch

from id2head_core.guidance.latent_codec import SpaceToDepth, VaeCodec


def images(seed=0, channels=3):
    return torch.rand(2, channels, 16, 16, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("patch", "channels"), [(2, 3), (4, 6)])
def test_space_to_depth_inverts(patch, channels):
    codec, image = SpaceToDepth(patch), images(channels=channels)
    latents = codec.encode(image)
    assert latents.shape == (2, channels * patch**2, 16 // patch, 16 // patch)
    assert latents.min() >= -1 and latents.max() <= 1
    torch.testing.assert_close(codec.decode(latents), image, atol=1e-6, rtol=0)
    one = torch.zeros(2, channels, 16, 16)
    one[0, 1, 5, 6] = 1  # channel 1, row 5, column 6
    changed = (codec.encode(one) != codec.encode(torch.zeros_like(one))).nonzero()
    row, column = 5 % patch, 6 % patch
    assert changed.tolist() == [[0, patch**2 + row * patch + column, 5 // patch, 6 // patch]]


def test_space_to_depth_is_linear_up_to_its_offset():
    codec, first, second = SpaceToDepth(4), images(1).double(), images(2).double()
    mixed = codec.encode(0.3 * first + 0.7 * second)
    torch.testing.assert_close(mixed, 0.3 * codec.encode(first) + 0.7 * codec.encode(second))
    assert codec.is_linear and torch.autograd.gradcheck(codec.encode, first[:1].requires_grad_())


def test_vae_is_frozen_differentiable_and_scaled(tiny_sd_folder):
    from diffusers import AutoencoderKL

    vae = AutoencoderKL.from_pretrained(tiny_sd_folder / "vae")
    codec, image = VaeCodec(vae), images().requires_grad_()
    latents = codec.encode(image)
    assert latents.shape == (2, 4, 8, 8) and not codec.is_linear
    raw = vae.encode(image * 2 - 1).latent_dist.mean
    torch.testing.assert_close(latents, raw * vae.config.scaling_factor)
    torch.testing.assert_close(codec.decode(latents), vae.decode(raw).sample / 2 + 0.5)
    latents.square().sum().backward()
    assert image.grad.abs().max() > 0 and not any(p.requires_grad for p in vae.parameters())
