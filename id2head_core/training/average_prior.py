"""The mean of several checkpoints, which is often better than each of them.

``python -m id2head_core.training.average_prior OUT CHECKPOINT CHECKPOINT --data DATA`` averages the
weights (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better Generalization")
of priors that ``train_prior`` saved, and validates the result on the held-out shards. The
checkpoints should stem from one run: weights of unrelated runs have no useful mean.
"""

import argparse
import json
import logging
from pathlib import Path

import torch

from ..errors import OptionError
from ..guidance.diffusion_prior import DiffusionPrior
from ..guidance.prior_folder import load_prior, save_prior
from ..guidance.text_encoder import MiniLMTextEncoder
from .prior_data import PriorDataset, finished_shards
from .prior_validation import validate

logger = logging.getLogger(__name__)


@torch.no_grad()
def average(priors: list[DiffusionPrior]) -> DiffusionPrior:
    """The first prior, with the mean of all priors' weights.

    Raises:
        OptionError: their networks differ.
    """
    states = [_weights(prior) for prior in priors]
    shapes = [{name: value.shape for name, value in state.items()} for state in states]
    if any(other != shapes[0] for other in shapes[1:]):
        raise OptionError("The checkpoints differ in their networks. Use those of one run.")
    seen = set()
    for name, value in states[0].items():
        if value.is_floating_point() and value.data_ptr() not in seen:
            seen.add(value.data_ptr())  # adapters lie in the base as well
            value.copy_(torch.stack([state[name] for state in states]).mean(0))
    return priors[0]


def _weights(prior: DiffusionPrior) -> dict[str, torch.Tensor]:
    """All weights by name; the tensors are the prior's own."""
    modules = {"unet": prior.unet, "conditioner": prior.conditioner, **prior.adapters}
    return {
        f"{module}.{name}": value
        for module, network in modules.items()
        for name, value in network.state_dict().items()
    }


def main(arguments: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="of render_dataset")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    encoder = MiniLMTextEncoder.load()
    prior = average([load_prior(folder, encoder) for folder in options.checkpoints])
    table = validate(prior, PriorDataset(finished_shards(options.data)[1], encoder))["all"]
    facts = [json.loads((f / "prior.json").read_text()) for f in options.checkpoints]
    about = {
        key: max(each.get(key, 0) for each in facts) for key in ("images_seen", "train_seconds")
    }
    save_prior(prior, options.out, {**about, "validation": table})
    logger.info("%s", json.dumps(table))


if __name__ == "__main__":
    main()
