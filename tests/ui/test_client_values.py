"""What browsers send is not trusted; what they get is complete."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from id2head_core.errors import PhotoError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import Progress
from id2head_core.ui.examples import LABELS, example_buttons, example_path
from id2head_core.ui.expression_panel import COMBINATIONS, ExpressionPanel
from id2head_core.ui.photo_input import PhotoChoice, PhotoInput
from id2head_core.ui.run_status import STAGES, jpeg_data_url, progress_value


@pytest.fixture
def photo_input(cache):
    return PhotoInput([])


def test_upload_inside_the_cache_is_accepted(photo_input, cache):
    file = cache / "abc" / "photo"
    file.write_bytes(b"x")
    choice = photo_input.preprocess({"kind": "upload", "path": str(file), "face": 1})
    assert choice == PhotoChoice(upload=file, face=1)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "text",
        {},
        {"kind": "upload", "path": "/etc/passwd"},
        {"kind": "upload", "path": "CACHE/../../etc/passwd"},
        {"kind": "upload", "path": "CACHE/abc"},
        {"kind": "upload", "path": "CACHE/heads/token/id2head.glb"},
        {"kind": "upload", "path": 7},
        {"kind": "ready", "face": True},
        {"kind": "example", "name": ["astronaut"]},
    ],
)
def test_anything_else_is_dropped(photo_input, cache, payload):
    head = cache / "heads" / "token" / "id2head.glb"
    head.parent.mkdir(parents=True)
    head.write_bytes(b"x")
    if isinstance(payload, dict) and isinstance(payload.get("path"), str):
        payload = payload | {"path": payload["path"].replace("CACHE", str(cache))}
    assert photo_input.preprocess(payload) == PhotoChoice()


def test_examples_are_a_closed_list():
    with pytest.raises(PhotoError, match="no example photo 'nobody'"):
        example_path("nobody")
    assert [button["name"] for button in example_buttons()] == list(LABELS)
    for name in LABELS:
        assert example_path(name).is_file()


def test_expression_weights_are_clamped():
    given = {"Grin": 3.0, "Angry": -1, "Squeeze": float("nan"), "Dimpler": "1", "hack": 1.0}
    weights = ExpressionPanel().preprocess(given | {"Lip Roll": 0.25})
    assert list(weights) == list(EXPRESSIONS)
    assert weights["Grin"] == 1.0 and weights["Lip Roll"] == 0.25
    assert sum(weights.values()) == 1.25
    assert ExpressionPanel().preprocess(None) == dict.fromkeys(EXPRESSIONS, 0.0)


def test_combinations_use_known_expressions_within_range():
    for weights in COMBINATIONS.values():
        assert set(weights) <= set(EXPRESSIONS)
        assert all(0 < weight <= 1 for weight in weights.values())


def test_every_stage_has_a_title():
    assert list(STAGES) == ["face", "fit", "geometry", "appearance", "asset"]


def test_progress_value_is_plain_json():
    value = progress_value("r", Progress("fit", 2, 5, "Fitting", float("inf")))
    assert value["seconds_left"] is None and value["image"] == ""
    assert value["stage"] == "fit" and (value["step"], value["total"]) == (2, 5)


def test_preview_keeps_colour_and_proportion():
    image = np.zeros((100, 400, 3), np.uint8)
    image[..., 0] = 250
    data = base64.b64decode(jpeg_data_url(image, 200).split(",")[1])
    decoded = np.asarray(Image.open(io.BytesIO(data)))
    assert decoded.shape == (50, 200, 3)
    assert decoded[25, 100, 0] > 240 and decoded[25, 100, 2] < 10
