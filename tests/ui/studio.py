"""What the tests of the app's server side share: a scripted pipeline and a studio around it."""

from pathlib import Path

from id2head_core.structures import HeadAppearance, HeadAsset, HeadGeometry, Inspection, Progress
from id2head_core.ui.generate import Studio
from id2head_core.ui.head_store import HeadStore
from id2head_core.ui.session_files import HeldPhoto, SessionFiles
from id2head_core.ui.shared_pipeline import SharedPipeline
from id2head_core.ui.turns import Turns

PARTS = (HeadGeometry(()), HeadAppearance({}))


class ScriptedPipeline:
    """Yields the given events, or raises those that are exceptions; writes the .glb of heads."""

    def __init__(self, *script, inspection: Inspection | Exception | None = None):
        self.script = script
        self.inspection = inspection
        self.closed = False
        self.calls = []

    def inspect(self, photo, *, face_index=None):
        self.calls.append(("inspect", photo, face_index))
        if isinstance(self.inspection, Exception):
            raise self.inspection
        return self.inspection

    def stream(self, photo, *, output_dir, face_index=None, seed=None):
        self.calls.append((photo, output_dir, face_index, seed))
        yield from self.play(output_dir)

    def play(self, output_dir: Path):
        try:
            for entry in self.script:
                if isinstance(entry, Exception):
                    raise entry
                if entry.asset is not None:
                    content = entry.asset.metadata["bytes"]
                    (output_dir / "head.glb").write_bytes(content)
                    if entry.final:
                        (output_dir / "head.npz").write_bytes(b"state of " + content)
                    asset = HeadAsset(*PARTS, path=output_dir / "head.glb")
                    entry = Progress(
                        entry.stage, entry.step, entry.total, asset=asset, final=entry.final
                    )
                yield entry
        finally:
            self.closed = True


class EditingPipeline(ScriptedPipeline):
    """Also edits: the new .glb is the old state and the text."""

    def edit(self, state, text, *, target, strength, output_dir, seed=None):
        content = state.read_bytes() + f" {text} {target} {strength}".encode()
        (output_dir / "head.glb").write_bytes(content)
        (output_dir / "head.npz").write_bytes(content)
        yield Progress("geometry", 1, 1)
        asset = HeadAsset(*PARTS, path=output_dir / "head.glb")
        yield Progress("asset", 1, 1, asset=asset, final=True)


def head(content: bytes, *, final: bool = False) -> Progress:
    return Progress("asset", 1, 1, asset=HeadAsset(*PARTS, {"bytes": content}), final=final)


def studio_of(pipeline, files: SessionFiles | None = None, *, limit: int = 3) -> Studio:
    files = files or SessionFiles()
    shared = SharedPipeline(lambda: pipeline)
    shared.get()
    return Studio(shared, files, HeadStore(files.root), Turns(limit))


def held_photo(data: bytes = b"the photo", **changes) -> HeldPhoto:
    return HeldPhoto(
        **({"data": data, "digest": data.hex(), "preview": "", "size": (8, 8)} | changes)
    )
