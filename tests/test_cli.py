import re
import subprocess
import sys
import types
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pygltflib import GLTF2

from id2head_core import __main__ as cli
from id2head_core.asset.gltf import write_glb
from id2head_core.errors import NoFaceError, SeveralFacesError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import Progress
from tests.synthetic_head import synthetic_head

ROOT = Path(__file__).parent.parent


class FakePipeline:
    """Stands for HeadPipeline: writes a synthetic head and remembers how it was called."""

    error: Exception | None = None

    def __init__(self, config):
        FakePipeline.config = config

    def stream(self, photo, *, output_dir, face_index=None, seed=None):
        FakePipeline.face_index, FakePipeline.photo = face_index, photo
        yield Progress("face", 0, 1, "Reading the photo", 10.0)
        if FakePipeline.error:
            raise FakePipeline.error
        head = synthetic_head()
        preview = replace(head, path=write_glb(head, output_dir / "head_preview.glb"))
        yield Progress("appearance", 0, 25, "First head", 5.0, asset=preview)
        final = replace(head, path=write_glb(head, output_dir / "head.glb"))
        yield Progress("asset", 1, 1, "Done", 0.0, asset=final, final=True)


@pytest.fixture
def photo(tmp_path, monkeypatch):
    """A readable photo; runs use the fake pipeline."""
    module = types.ModuleType("id2head_core.pipeline")
    module.HeadPipeline = FakePipeline
    monkeypatch.setitem(sys.modules, "id2head_core.pipeline", module)
    monkeypatch.setattr(FakePipeline, "error", None)
    path = tmp_path / "selfie.jpg"
    Image.fromarray(np.full((300, 240, 3), 128, np.uint8)).save(path)
    return path


def test_writes_the_head_and_one_line_about_it(photo, tmp_path, capsys):
    output = tmp_path / "new" / "head.glb"
    assert cli.main([str(photo), "-o", str(output)]) == 0
    document = GLTF2().load(str(output))
    assert document.meshes[0].extras["targetNames"] == list(EXPRESSIONS)
    out, err = capsys.readouterr()
    assert re.fullmatch(rf"{re.escape(str(output))}  0\.\d MB  \d+\.\d s\n", out)
    assert err == ""  # no progress bar where nobody looks
    assert [file.name for file in output.parent.iterdir()] == ["head.glb"]


def test_options_reach_the_pipeline(photo, tmp_path):
    output = str(tmp_path / "head.glb")
    assert cli.main([str(photo), "-o", output]) == 0
    assert (FakePipeline.config.preset, FakePipeline.face_index) == ("full", None)
    arguments = ["--preset", "preview", "--seed", "7", "--face", "2", "--face-models", "buffalo_l"]
    assert cli.main([str(photo), "-o", output, *arguments]) == 0
    config = FakePipeline.config
    assert (config.preset, config.seed, config.face_models) == ("preview", 7, "buffalo_l")
    assert config.refine_steps == 0
    assert FakePipeline.face_index == 2
    assert FakePipeline.photo.pixels.shape == (300, 240, 3)


def test_other_mesh_formats(photo, tmp_path):
    arguments = ["--obj", str(tmp_path / "mesh" / "a.obj"), "--ply", str(tmp_path / "b.ply")]
    assert cli.main([str(photo), "-o", str(tmp_path / "head.glb"), *arguments]) == 0
    assert (tmp_path / "mesh" / "a.obj").is_file() and (tmp_path / "mesh" / "a.mtl").is_file()
    assert (tmp_path / "b.ply").is_file()


def test_views(photo, tmp_path):
    views = tmp_path / "views"
    output = str(tmp_path / "head.glb")
    assert cli.main([str(photo), "-o", output, "--views", str(views)]) == 0
    expected = {"front", "yaw+30", "yaw-30", "yaw+90", "back", "contact_sheet"}
    expected |= {f"expression_{name.replace(' ', '_')}" for name in EXPRESSIONS}
    assert {file.name for file in views.iterdir()} == {f"{name}.png" for name in expected}
    front, back, angry = (
        np.asarray(Image.open(views / f"{name}.png").convert("RGB")).astype(int)
        for name in ("front", "back", "expression_Angry")
    )
    assert front.std() > 5, "front.png is empty"
    assert np.abs(front - back).mean() > 0.1
    assert np.abs(front - angry).mean() > 0.1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NoFaceError("No face was found. Use a photo that shows a face."), "No face was found."),
        (SeveralFacesError("The photo shows 2 faces.", []), "The photo shows 2 faces."),
    ],
)
def test_refusals_are_one_line_and_exit_code_2(photo, tmp_path, capsys, monkeypatch, error, text):
    monkeypatch.setattr(FakePipeline, "error", error)
    output = tmp_path / "head.glb"
    assert cli.main([str(photo), "-o", str(output)]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"error: {text}") and err.count("\n") == 1
    assert out == "" and not output.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody.jpg"], "There is no file nobody.jpg"),
        (["--seed", "-1"], "Seed -1 is out of range"),
        (["-o", "head.fbx"], "--output is 'head.fbx'. Give a file name that ends in .glb"),
        (["--obj", "head.ply"], "--obj is 'head.ply'. Give a file name that ends in .obj"),
        (["--views", "selfie.jpg"], "--views: cannot write to the folder 'selfie.jpg'"),
    ],
)
def test_wrong_options_are_answered_before_any_model(
    photo, capsys, monkeypatch, arguments, message
):
    monkeypatch.chdir(photo.parent)
    monkeypatch.setitem(sys.modules, "id2head_core.pipeline", None)  # importing it would raise
    first = [] if arguments[0].endswith(".jpg") else ["selfie.jpg"]
    assert cli.main(first + arguments) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_ctrl_c_is_quiet(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(FakePipeline, "error", KeyboardInterrupt())
    assert cli.main([str(photo), "-o", str(tmp_path / "head.glb")]) == 130
    assert capsys.readouterr().err == "stopped\n"


def test_help_imports_no_model():
    code = (
        "import runpy, sys\n"
        "sys.argv = ['id2head_core', '--help']\n"
        "try: runpy.run_module('id2head_core', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "heavy = {'torch', 'onnxruntime', 'cv2', 'scipy', 'numba', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "--views DIR" in run.stdout


def test_progress_bar_on_a_terminal(photo, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert cli.main([str(photo), "-o", str(tmp_path / "head.glb")]) == 0
    frames = capsys.readouterr().err.split("\r")
    messages = [frame.split("%")[0] for frame in frames if "%" in frame]
    assert any(frame.startswith("First head") for frame in messages)
    assert re.fullmatch(r"Done +100", messages[-1])
    percentages = [int(frame.split()[-1]) for frame in messages]
    assert percentages == sorted(percentages)
