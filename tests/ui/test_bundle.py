"""The committed front end is the one that the sources give, and it needs nobody else's server."""

import re
import shutil
import subprocess

import pytest

from id2head_core.ui.client_component import BUNDLE, STATIC, static_url
from id2head_core.ui.light_picker import PRESETS

SOURCES = STATIC.parent / "viewer_src"


def test_bundle_is_up_to_date(tmp_path):
    if shutil.which("node") is None or not (SOURCES / "node_modules").is_dir():
        pytest.skip("needs Node and `npm ci` in id2head_core/ui/viewer_src")
    esbuild = SOURCES / "node_modules" / ".bin" / "esbuild"
    options = re.search(r"esbuild (.*?) --outfile", (SOURCES / "package.json").read_text())[1]
    built = tmp_path / "bundle.mjs"
    subprocess.run([esbuild, *options.split(), f"--outfile={built}"], cwd=SOURCES, check=True)
    assert built.read_bytes() == BUNDLE.read_bytes(), "run viewer_src/build.sh"


def test_licence_of_three_is_shipped():
    assert "three.js authors" in (STATIC / "LICENSE-three.txt").read_text()
    assert "SPDX-License-Identifier: MIT" in BUNDLE.read_text("utf-8")


def test_own_sources_name_no_foreign_address():
    for path in [*SOURCES.glob("*.js"), STATIC / "app.css", STATIC / "mount.js"]:
        addresses = re.findall(r"https?://[^\s\"')]+", path.read_text("utf-8"))
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, path.name


def test_lock_file_names_no_registry():
    assert '"resolved"' not in (SOURCES / "package-lock.json").read_text()


def test_url_changes_with_the_content(tmp_path):
    file = tmp_path / "a.mjs"
    file.write_text("1")
    first = static_url(file)
    file.write_text("2")
    assert static_url(file) != first and "gradio_api/file=" in first


def test_presets_are_those_of_the_viewer():
    text = (SOURCES / "lighting.js").read_text()
    table = text[text.index("export const PRESETS") : text.index("const FREE")]
    assert tuple(re.findall(r"^  (\w+): \{", table, re.MULTILINE)) == PRESETS
