"""The README's commands are the ones that work, and the lock is complete."""

import ast
import importlib.metadata
import re
import shlex
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from id2head_core.__main__ import _parser

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REPLACED = {"opencv-python"}
"""What the lock leaves out on purpose: opencv-python-headless takes its place."""
OPTIONAL = {"spaces", "playwright"}
"""What is used only where the host has it: by the queue of a Space, and by a benchmark."""


def code_blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.M | re.S)


def locked(name: str) -> dict[str, Requirement]:
    """Canonical name -> pinned requirement, of a lock file and the files that it includes."""
    pins = {}
    for line in (ROOT / name).read_text().splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("-r "):
            pins |= locked(line.removeprefix("-r "))
        elif line:
            requirement = Requirement(line)
            pins[canonicalize_name(requirement.name)] = requirement
    return pins


def test_two_commands_start_and_test_the_product():
    start, test = (block.strip() for block in code_blocks("bash")[:2])
    setup = [
        "python3 -m venv .venv",
        f".venv/bin/pip install torch{locked('requirements.txt')['torch'].specifier}",
        ".venv/bin/pip install --no-deps -r ",
    ]
    setup = " && ".join(setup)
    assert start == f"{setup}requirements.txt && .venv/bin/python app.py"
    assert test == f"{setup}requirements-dev.txt && .venv/bin/python -m pytest"


def test_ci_finds_exactly_the_test_command():
    script = (ROOT / ".ci/run").read_text()
    pattern = re.search(r"grep -m1 -E '([^']+)' README.md", script)[1]
    assert re.findall(pattern, README, re.M) == [code_blocks("bash")[1].strip()]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_space_settings_match_the_lock():
    front_matter = dict(re.findall(r"^(\w+): \"?(.*?)\"?$", README.split("---")[1], re.M))
    assert front_matter["sdk"] == "gradio"
    assert f"=={front_matter['sdk_version']}" == str(locked("requirements.txt")["gradio"].specifier)
    assert front_matter["python_version"] == "3.11"
    assert front_matter["app_file"] == "app.py"


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_lock_is_exact(name):
    for requirement in locked(name).values():
        assert re.fullmatch(r"==[\w.]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_lock_is_closed(name):
    """Installing with --no-deps is right only if everything that is asked for is in the list."""
    pins = locked(name)
    for pin in pins.values():
        if pin.marker is not None and not pin.marker.evaluate():
            continue
        for line in importlib.metadata.requires(pin.name) or []:
            needed = Requirement(line)
            key = canonicalize_name(needed.name)
            platform_specific = pin.name == "torch"  # torch is installed with its dependencies
            if platform_specific or key in REPLACED:
                continue
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert key in pins, f"{pin.name} needs {needed}, which {name} does not list"
                version = str(pins[key].specifier).removeprefix("==")
                assert needed.specifier.contains(version, prereleases=True), f"{pin.name}: {needed}"


def test_lock_is_what_is_installed():
    for pin in locked("requirements-dev.txt").values():
        if pin.marker is None or pin.marker.evaluate():
            assert pin.specifier.contains(importlib.metadata.version(pin.name), prereleases=True)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("requirements.txt", "app.py"),
        ("requirements.txt", "id2head_core/**/*.py"),
        ("requirements-dev.txt", "tests/**/*.py"),
    ],
)
def test_every_package_that_we_import_is_locked(name, pattern):
    provides = importlib.metadata.packages_distributions()
    pins = locked(name)
    files = list(ROOT.glob(pattern))
    assert files
    for file in files:
        if "training" in file.parts or file.name == "nvdiffrast_rasterizer.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module]
            for module in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names):
                packages = {canonicalize_name(package) for package in provides.get(module, [])}
                ours = {"app", "id2head_core", "tests"} | OPTIONAL
                assert module in ours or packages & set(pins), f"{file}: {module}"


def test_linked_files_exist():
    for link in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / link).is_file(), f"README links to {link}, which does not exist"


def test_command_line_examples_parse():
    lines = [line for block in code_blocks("bash") for line in block.splitlines()]
    examples = [line.split("-m id2head_core ")[1] for line in lines if "-m id2head_core " in line]
    assert examples
    for example in examples:
        assert _parser().parse_args(shlex.split(example)).photo


def test_python_examples_are_short_and_valid():
    examples = code_blocks("python")
    assert len(examples) == 2
    for example in examples:
        assert len([line for line in example.splitlines() if line]) <= 10
        compile(example, "README.md", "exec")
        photo = re.search(r'\("(weights/[^"]+)"\)', example)[1]
        assert (ROOT / photo).is_file()


def test_nothing_is_left_to_fill_in():
    assert "TODO" not in README
