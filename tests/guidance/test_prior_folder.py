"""Priors are made, saved and loaded as they were; Stable Diffusion folders serve as bases."""

import json
import os
import shutil

import pytest
import torch
from torch.nn.functional import normalize

from id2head_core.errors import GuidanceError, WeightsError
from id2head_core.guidance import prior_folder
from id2head_core.guidance.diffusion_prior import DOMAINS, DiffusionPrior
from id2head_core.guidance.prior_folder import (
    load_prior,
    load_stable_diffusion,
    new_prior,
    save_prior,
)

TIMESTEP = torch.tensor([600])


@pytest.fixture
def small(monkeypatch):
    """Bases that are quick to make."""
    monkeypatch.setattr(prior_folder, "CHANNELS", (32, 32, 32))
    monkeypatch.setattr(prior_folder, "TOKEN_DIM", 32)
    monkeypatch.setattr(prior_folder, "POOLED_DIM", 48)
    monkeypatch.setattr(prior_folder, "LORA_RANK", 2)


@torch.no_grad()
def predict(prior: DiffusionPrior, domain: str, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = prior.resolution
    control = torch.rand(1, 6, size, size, generator=generator)
    conditions = prior.conditions(
        ["a man with a bob"], torch.tensor([[30.0, 5.0, 1.3]]),
        embedding=normalize(torch.randn(512, generator=generator), dim=0),
        expressions=torch.full((1, 13), 0.05), control=control,
    )  # fmt: skip
    noisy = torch.randn(prior.encode(control[:, :3]).shape, generator=generator)
    return prior.predict(domain, noisy, TIMESTEP, conditions)


def states(prior) -> dict[str, torch.Tensor]:
    return {
        f"{name}.{key}": value.clone()
        for name, module in prior.modules().items()
        for key, value in module.state_dict().items()
    }


@pytest.mark.parametrize(("half", "tolerance"), [(False, 0.0), (True, 5e-3)])
def test_a_prior_comes_back_from_its_folder(small, minilm, tmp_path, half, tolerance):
    prior = new_prior(minilm, resolution=32, seed=5)
    prior.adapters["texture"].identity_scale = 0.7
    prior.conditioner.set_text_whitening(minilm(["a man", "a bob", "hair"]).pooled)
    save_prior(prior, tmp_path / "new" / "prior", {"images_seen": 12}, half=half)
    loaded = load_prior(tmp_path / "new" / "prior", minilm)
    assert loaded.resolution == 32 and loaded.predicts == "sample"
    assert torch.equal(loaded.alphas_cumprod, prior.alphas_cumprod)
    assert loaded.adapters["texture"].identity_scale == 0.7
    for domain in DOMAINS:
        difference = (predict(loaded, domain) - predict(prior, domain)).abs().max()
        assert difference <= tolerance * predict(prior, domain).abs().max()
    facts = json.loads((tmp_path / "new" / "prior" / "prior.json").read_text())
    assert facts == {"images_seen": 12, "patch": 4, "resolution": 32}
    parts = loaded.modules().values()
    assert not any(part.training for part in parts)
    assert not any(p.requires_grad for part in parts for p in part.parameters())


def test_the_folder_is_small_and_has_diffusers_layout(tiny_prior_folder):
    from diffusers import DDIMScheduler, UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(tiny_prior_folder / "unet")
    assert unet.config.sample_size == 8 and unet.config.out_channels == 80
    scheduler = DDIMScheduler.from_pretrained(tiny_prior_folder / "scheduler")
    assert scheduler.config.prediction_type == "sample"
    size = sum(file.stat().st_size for file in tiny_prior_folder.rglob("*") if file.is_file())
    assert size < 45e6


@pytest.mark.parametrize(
    "name", ["prior.json", "unet/diffusion_pytorch_model.safetensors", "conditioner.safetensors",
             "texture.safetensors", "scheduler/scheduler_config.json"],
)  # fmt: skip
def test_a_missing_file_is_named(tiny_prior_folder, minilm, tmp_path, name):
    folder = shutil.copytree(tiny_prior_folder, tmp_path / "prior", copy_function=os.link)
    (folder / name).unlink()
    with pytest.raises(WeightsError, match=f"has no {name}. Train a prior"):
        load_prior(folder, minilm)


def test_weights_of_another_network_are_refused(small, tiny_prior_folder, minilm, tmp_path):
    """The constants of the code are smaller than the folder's conditioner."""
    with pytest.raises(WeightsError, match="conditioner.safetensors does not fit its network"):
        load_prior(tiny_prior_folder, minilm)


def test_equal_seeds_make_equal_priors_and_leave_the_global_generator_alone(small, minilm):
    torch.manual_seed(11)
    before = torch.random.get_rng_state()
    first, again, other = (states(new_prior(minilm, seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["unet.conv_in.weight"], other["unet.conv_in.weight"])
    assert not torch.equal(first["geometry.null_identity"], first["texture.null_identity"])


def sd_latents() -> torch.Tensor:
    return torch.randn(2, 4, 16, 16, generator=torch.Generator().manual_seed(0))


def sd_conditions(prior: DiffusionPrior):
    embedding = normalize(torch.ones(512), dim=0)
    return prior.conditions(
        ["ab", "a bob"], torch.tensor([[0.0, 0, 1], [90, 0, 1]]), embedding=embedding,
        expressions=torch.eye(13)[:2],
    )  # fmt: skip


@torch.no_grad()
def test_new_adapters_leave_stable_diffusion_as_it_is(tiny_sd_folder):
    from diffusers import UNet2DConditionModel

    prior = load_stable_diffusion(tiny_sd_folder)
    assert prior.predicts == "epsilon" and prior.resolution == 32
    assert not prior.latent_is_linear and prior.conditioner is None
    conditions, timestep = sd_conditions(prior), torch.tensor([10, 800])
    plain = UNet2DConditionModel.from_pretrained(tiny_sd_folder / "unet")
    expected = plain(sd_latents(), timestep, encoder_hidden_states=conditions.words).sample
    for domain in DOMAINS:
        predicted = prior.predict(domain, sd_latents(), timestep, conditions)
        assert predicted.shape == sd_latents().shape
        torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=1e-5)
    images = torch.rand(2, 3, 32, 32)
    assert prior.encode(images).shape == (2, 4, 16, 16)
    assert prior.decode(prior.encode(images)).shape == images.shape
    guided = prior.guided("texture", sd_latents(), timestep, conditions, 2.0)
    assert (guided - expected).abs().max() > 1e-3  # words act, so does guidance


@torch.no_grad()
def test_adapters_of_a_folder_are_used(tiny_sd_folder, tmp_path):
    prior = load_stable_diffusion(tiny_sd_folder, rank=2)
    for domain, adapter in prior.adapters.items():
        for name, parameter in adapter.processors.named_parameters():
            if "to_v_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(len(domain)))
        adapter.save(tmp_path / f"{domain}.safetensors")
    loaded = load_stable_diffusion(tiny_sd_folder, tmp_path)
    conditions, timestep = sd_conditions(prior), torch.tensor([500, 500])
    predictions = {}
    for domain in DOMAINS:
        mine, theirs = (p.predict(domain, sd_latents(), timestep, conditions)
                        for p in (prior, loaded))  # fmt: skip
        torch.testing.assert_close(mine, theirs)
        predictions[domain] = mine
    assert (predictions["geometry"] - predictions["texture"]).abs().max() > 1e-2


def test_bases_that_predict_something_else_are_refused(tiny_sd_folder, tmp_path):
    folder = shutil.copytree(tiny_sd_folder, tmp_path / "velocity")
    file = folder / "scheduler" / "scheduler_config.json"
    config = json.loads(file.read_text()) | {"prediction_type": "v_prediction"}
    file.write_text(json.dumps(config))
    with pytest.raises(GuidanceError, match="predicts 'v_prediction'"):
        load_stable_diffusion(folder)


def test_folders_that_are_not_stable_diffusion_are_refused(tiny_sd_folder, tmp_path):
    with pytest.raises(WeightsError, match="nowhere has no model_index.json"):
        load_stable_diffusion(tmp_path / "nowhere")
    with pytest.raises(WeightsError, match=r"geometry.safetensors is missing"):
        load_stable_diffusion(tiny_sd_folder, tmp_path)
