"""The mean of checkpoints: of every weight, once, and only of like networks."""

import json

import pytest
import torch

from id2head_core.errors import OptionError
from id2head_core.guidance import prior_folder
from id2head_core.guidance.prior_folder import load_prior, new_prior, save_prior
from id2head_core.training import average_prior
from tests.training.subject_bench import SIZE


@pytest.fixture
def checkpoints(tmp_path, minilm) -> list:
    """Two untrained priors that differ in all weights, with what their training says of itself."""
    folders = []
    for number in (0, 1):
        torch.manual_seed(number)
        prior = new_prior(minilm, resolution=SIZE)
        with torch.no_grad():
            for module in (prior.unet, prior.conditioner):
                for parameter in module.parameters():
                    parameter.copy_(torch.randn_like(parameter).half())
        folders.append(tmp_path / str(number))
        about = {"images_seen": 100 + number, "train_seconds": 9 - number}
        save_prior(prior, folders[-1], about, half=False)
    return folders


def test_every_weight_is_the_mean(checkpoints, minilm):
    one, two = ([*load_prior(f, minilm).unet.parameters()] for f in checkpoints)
    adapters = [load_prior(f, minilm).adapters for f in checkpoints]
    mean = average_prior.average([load_prior(f, minilm) for f in checkpoints])
    for found, a, b in zip(mean.unet.parameters(), one, two, strict=True):
        torch.testing.assert_close(found, (a + b) / 2)
    for domain, adapter in mean.adapters.items():
        pairs = zip(*(each[domain].parameters() for each in adapters), strict=True)
        for found, (a, b) in zip(adapter.parameters(), pairs, strict=True):
            torch.testing.assert_close(found, (a + b) / 2)


def test_networks_must_be_alike(checkpoints, minilm, monkeypatch):
    monkeypatch.setattr(prior_folder, "LORA_RANK", 1 + prior_folder.LORA_RANK)
    other = new_prior(minilm, resolution=SIZE)
    with pytest.raises(OptionError, match="differ in their networks"):
        average_prior.average([load_prior(checkpoints[0], minilm), other])


def test_the_command_saves_and_validates(checkpoints, folder, tmp_path):
    out = tmp_path / "mean"
    average_prior.main([str(out), *map(str, checkpoints), "--data", str(folder)])
    about = json.loads((out / "prior.json").read_text())
    assert about["images_seen"] == 101 and about["train_seconds"] == 9
    assert len(about["validation"]) == 10
    load_prior(out)
