"""A small random base for the adapters."""

import pytest


@pytest.fixture
def tiny_unet(tiny_sd_folder):
    """The random base of ``tiny_sd_folder``, frozen."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(tiny_sd_folder / "unet").requires_grad_(False)
