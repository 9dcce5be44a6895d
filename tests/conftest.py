"""Fixtures that several packages share: the weights and the example selfies."""

from pathlib import Path

import pytest

from id2head_core import weights

SELFIES = ("person_1", "person_2", "person_3", "astronaut")


@pytest.fixture(scope="session")
def weights_dir() -> Path:
    """The folder of the weights."""
    return weights.weights_root()


@pytest.fixture(scope="session")
def selfies() -> dict[str, Path]:
    """The app's example photos by name: three generated people and NASA's portrait."""
    return {name: weights.path(f"examples/{name}.jpg") for name in SELFIES}
