"""Folders of the app in a temporary place."""

import pytest

from id2head_core.ui.session_files import SessionFiles


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Gradio's folder, the only one from which it serves."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "cache" / "abc").mkdir(parents=True)
    return tmp_path / "cache"


@pytest.fixture
def files(cache):
    return SessionFiles()
