"""Fixtures that several packages share: the weights, the example selfies and small priors."""

import os
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:  # workers share the cores; torch reads it at its import
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest  # noqa: E402

from id2head_core import weights  # noqa: E402
from tests.tiny_bases import write_tiny_sd  # noqa: E402

SELFIES = ("person_1", "person_2", "person_3", "astronaut")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of the weights."""
    return weights.weights_root()


@pytest.fixture(scope="session")
def selfies() -> dict[str, Path]:
    """The app's example photos by name: three generated people and NASA's portrait."""
    return {name: weights.path(f"examples/{name}.jpg") for name in SELFIES}


@pytest.fixture(scope="session")
def tiny_sd_folder(tmp_path_factory) -> Path:
    """A folder of Stable Diffusion 1.5's layout with small random networks, 32 x 32 pixels."""
    folder = tmp_path_factory.mktemp("bases") / "tiny_sd"
    write_tiny_sd(folder)
    return folder


@pytest.fixture(scope="session")
def minilm():
    """The text encoder of the embedded prior."""
    from id2head_core.guidance.text_encoder import MiniLMTextEncoder

    return MiniLMTextEncoder.load()


@pytest.fixture(scope="session")
def tiny_prior_folder(tmp_path_factory, minilm) -> Path:
    """An untrained embedded prior of 32 x 32 pixels, as ``train_prior`` saves one."""
    from id2head_core.guidance.prior_folder import new_prior, save_prior

    folder = tmp_path_factory.mktemp("priors") / "untrained"
    save_prior(new_prior(minilm, resolution=32), folder, {"images_seen": 0})
    return folder
