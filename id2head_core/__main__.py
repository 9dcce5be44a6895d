"""Command line: ``python -m id2head_core selfie.jpg -o head.glb``.

Models and torch are imported only once the options are known to be good, so ``--help`` and wrong
options answer at once.
"""

import argparse
import contextlib
import logging
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from . import __version__, config
from .errors import ID2HeadError, OptionError
from .structures import HeadAsset, Progress

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 (a named error) or 130 (Ctrl-C)."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.ERROR,
        format="%(levelname)s %(name)s: %(message)s",
    )
    try:
        _run(options)
    except ID2HeadError as error:
        sys.stderr.write(f"error: {error}\n")
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return EXIT_INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m id2head_core",
        description="Make a textured 3D head with 13 expressions (.glb) from one photo of a face.",
    )
    parser.add_argument("photo", type=Path, help="JPEG, PNG, WebP, HEIC, AVIF or GIF")
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("head.glb"), help="default: head.glb"
    )
    parser.add_argument(
        "--preset",
        choices=("preview", "full", "pure"),
        default="full",
        help="preview stops after the photo fit; pure takes only the photo's embedding and a text, "
        "as the paper does (default: full)",
    )
    parser.add_argument(
        "--prompt", default="", help="text for the 2D prior (default: what was measured)"
    )
    parser.add_argument(
        "--base", metavar="DIR", help="another prior, or Stable Diffusion 1.5, as the 2D prior"
    )
    parser.add_argument("--adapters", metavar="DIR", help="adapters for a Stable Diffusion --base")
    parser.add_argument("--seed", type=int, default=0, help="of all randomness (default: 0)")
    parser.add_argument(
        "--face", type=int, metavar="N", help="face of a group photo, 0 is the leftmost"
    )
    parser.add_argument(
        "--face-models",
        choices=("embedded", "buffalo_l"),
        default="embedded",
        help="buffalo_l is InsightFace's larger pack, if you have it (default: embedded)",
    )
    parser.add_argument("--views", type=Path, metavar="DIR", help="also write pictures of the head")
    parser.add_argument("--obj", type=Path, metavar="FILE", help="also write the neutral as .obj")
    parser.add_argument("--ply", type=Path, metavar="FILE", help="also write the neutral as .ply")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what happens")
    parser.add_argument("--version", action="version", version=f"ID2Head {__version__}")
    return parser


def _run(options: argparse.Namespace) -> None:
    """The whole job; raises ID2HeadError."""
    start = time.perf_counter()
    _check_outputs(options)
    presets = {"preview": config.preview, "full": config.full, "pure": config.pure}
    settings = presets[options.preset](
        seed=options.seed,
        face_models=options.face_models,
        prompt=options.prompt,
        base=options.base,
        adapters=options.adapters,
    )

    from .identity.photo import decode

    photo = decode(options.photo)

    from .pipeline import HeadPipeline

    with tempfile.TemporaryDirectory(prefix="id2head-") as folder:
        events = HeadPipeline(settings).stream(
            photo, output_dir=Path(folder), face_index=options.face
        )
        asset = _follow(events)
        shutil.copyfile(asset.path, options.output)
    seconds = time.perf_counter() - start
    megabytes = options.output.stat().st_size / 1e6
    sys.stdout.write(f"{options.output}  {megabytes:.1f} MB  {seconds:.1f} s\n")

    for path in (options.obj, options.ply):
        if path is not None:
            from .asset.mesh_export import write_mesh

            write_mesh(asset, path)
            sys.stdout.write(f"{path}\n")
    if options.views is not None:
        from .render.contact_sheet import write_views

        for path in write_views(asset, options.views, asset.portrait):
            sys.stdout.write(f"{path}\n")


def _check_outputs(options: argparse.Namespace) -> None:
    """Refuse outputs that could not be written, before minutes are spent; creates their folders.

    Raises:
        OptionError: with the option and what to give instead.
    """
    for option, suffix in (("output", ".glb"), ("obj", ".obj"), ("ply", ".ply")):
        path = getattr(options, option)
        if path is None:
            continue
        if path.suffix.lower() != suffix or path.is_dir():
            raise OptionError(f"--{option} is '{path}'. Give a file name that ends in {suffix}.")
        _make_folder(option, path.parent)
    if options.views is not None:
        _make_folder("views", options.views)


def _make_folder(option: str, folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OptionError(
            f"--{option}: cannot write to the folder '{folder}' ({error.strerror}). "
            "Choose another one."
        ) from error


def _follow(events: Iterable[Progress]) -> HeadAsset:
    """Show the events as a progress bar (on terminals only); returns the finished head."""
    from tqdm import tqdm
    from tqdm.contrib.logging import logging_redirect_tqdm

    start = time.perf_counter()
    asset = None
    bar = tqdm(
        total=100, disable=None, bar_format="{desc:<26} {percentage:3.0f}% {bar} {elapsed}{postfix}"
    )
    with bar, logging_redirect_tqdm(), contextlib.closing(events):
        for event in events:
            bar.set_description_str(event.message, refresh=False)
            if event.seconds_left is not None:
                elapsed = time.perf_counter() - start
                share = 1.0 if event.final else elapsed / (elapsed + event.seconds_left + 1e-6)
                bar.n = max(bar.n, int(100 * share))
                left = "" if event.final else f"about {event.seconds_left:.0f} s left"
                bar.set_postfix_str(left, refresh=False)
            bar.refresh()
            asset = event.asset or asset
    return asset


if __name__ == "__main__":
    sys.exit(main())
