"""Small training shards that several tests read."""

from pathlib import Path

import pytest

from tests.training.subject_bench import write_shards


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    """Shard 0 for training, and shard 11, which is held out."""
    path = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        write_shards(path, [0, 11], patch)
    return path
