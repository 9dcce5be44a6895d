"""From a finished head on with a text, and posed exactly."""

import numpy as np
import pytest
import torch

from id2head_core import weights
from id2head_core.camera import orbit_camera
from id2head_core.config import full, preview
from id2head_core.editing import edit as edit_module
from id2head_core.editing.head_state import HeadState
from id2head_core.errors import EditError, OptionError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.pipeline import HeadPipeline

PERSON = "examples/person_3.jpg"


@pytest.fixture(scope="module")
def finished(tmp_path_factory, tiny_prior_folder):
    """A short run, guided by an untrained prior: pipeline, head and its folder."""
    pipeline = HeadPipeline(
        full(
            base=str(tiny_prior_folder),
            shape_steps=0,
            geometry_steps=3,
            appearance_steps=3,
            refine_steps=0,
            texture_size=256,
        )  # fmt: skip
    )
    folder = tmp_path_factory.mktemp("finished")
    return pipeline, pipeline(weights.path(PERSON), output_dir=folder), folder


def edited(finished, folder, text, **options):
    pipeline, _, source = finished
    return list(pipeline.edit(source / "head.npz", text, output_dir=folder, **options))


def test_an_edit_shows_a_first_change_and_ends_with_a_head_to_go_on_from(finished, tmp_path):
    events = edited(finished, tmp_path, "with green hair", seed=1)
    heads = [event for event in events if event.asset is not None]
    assert heads[0].stage == "fit" and heads[0].asset.path.name == "head_preview.glb"
    assert events[-1].final and events[-1].asset.path == tmp_path / "head.glb"
    assert events[-1].asset.metadata["edits"] == ["with green hair"]
    red, green, blue = events[-1].asset.appearance.materials["hair"].albedo.mean((0, 1))
    assert green > 1.5 * max(red, blue)
    more = tmp_path / "more"
    more.mkdir()
    pipeline = finished[0]
    *_, last = pipeline.edit(tmp_path / "head.npz", "with stubble", output_dir=more)
    assert last.asset.metadata["edits"] == ["with green hair", "with stubble"]


def test_texture_edits_leave_the_geometry_and_the_other_way_round(finished, tmp_path):
    _, head, _ = finished
    texture = edited(finished, tmp_path, "older", target="texture")[-1].asset
    for before, after in zip(head.geometry.parts, texture.geometry.parts, strict=True):
        np.testing.assert_allclose(after.vertices, before.vertices, atol=1e-6)
    shape = edited(finished, tmp_path, "older", target="geometry")[-1].asset
    kept = HeadState.load(tmp_path / "head.npz").appearance.materials
    before = HeadState.load(finished[2] / "head.npz").appearance.materials  # without loose strands
    assert kept.keys() == before.keys() and "hair" in kept
    for name, material in before.items():
        np.testing.assert_allclose(kept[name].albedo, material.albedo, atol=1e-3)
        if name != "hair":  # where loose strands lie depends on the shape, and so does their shadow
            shown = shape.appearance.materials[name].albedo
            np.testing.assert_allclose(shown, head.appearance.materials[name].albedo, atol=1e-3)
    moved = np.abs(shape.geometry.parts[0].vertices - head.geometry.parts[0].vertices)
    assert moved.max() > 1e-3


def test_the_face_is_pulled_back_to_the_person_after_edits_that_change_it(
    finished, tmp_path, monkeypatch
):
    pipeline, _, folder = finished
    embedding = HeadState.load(folder / "head.npz").embedding

    def similarity():
        asset = edited(finished, tmp_path, "as a baby")[-1].asset
        camera = orbit_camera(0.0, distance=1.4, fov_y=13.0)
        state = HeadState.load(tmp_path / "head.npz")
        points = camera.pixels(pipeline.fitter.keypoints(state.fit.neutral), 320, 320)[:, :2]
        view = pipeline.renderer.render(asset.geometry, asset.appearance, camera, (320, 320))
        image = torch.from_numpy(view.shaded).permute(2, 0, 1)[None].float()
        keypoints = torch.from_numpy(points.astype(np.float32) - 0.5)[None]
        with torch.no_grad():
            face = pipeline.arcface.embed(pipeline.arcface.align(image, keypoints))[0]
        return float(face.numpy() @ embedding)

    kept = similarity()
    monkeypatch.setattr(edit_module, "IDENTITY_STEPS", {})
    assert kept > similarity() + 0.05


def test_unknown_wishes_and_missing_heads_are_refused(finished, tmp_path):
    pipeline, _, folder = finished
    with pytest.raises(EditError, match="outside"):
        list(pipeline.edit(folder / "head.npz", "with a pirate hat", output_dir=tmp_path))
    with pytest.raises(EditError, match="not kept"):
        list(pipeline.edit(tmp_path / "head.npz", "older", output_dir=tmp_path))
    with pytest.raises(EditError, match="preview preset"):
        list(HeadPipeline(preview()).edit(folder / "head.npz", "older", output_dir=tmp_path))


def test_one_expression_posed_exactly_is_its_morph_target(finished, tmp_path):
    pipeline, head, folder = finished
    index = EXPRESSIONS.index("Mouth Stretch")
    posed = pipeline.blend(folder / "head.npz", {"Mouth Stretch": 1.0}, path=tmp_path / "p.glb")
    assert posed.path.stat().st_size > 100_000
    skin, own = posed.geometry.parts[0], head.geometry.parts[0]
    difference = np.abs(skin.vertices - own.vertices - own.displacements[index])
    assert difference.max() < 2e-3  # float16 state, and lips that may not cross
    assert not skin.displacements.any()


def test_no_weights_is_neutral_and_unknown_names_are_refused(finished):
    pipeline, head, folder = finished
    still = pipeline.blend(folder / "head.npz", {})
    np.testing.assert_allclose(
        still.geometry.parts[0].vertices, head.geometry.parts[0].vertices, atol=1e-6
    )
    with pytest.raises(OptionError, match="'Smirk' is unknown"):
        pipeline.blend(folder / "head.npz", {"Smirk": 1.0})


def test_the_state_holds_no_photo(finished):
    _, _, folder = finished
    state = HeadState.load(folder / "head.npz")
    assert state.expression_state is not None and state.displacements is not None
    with np.load(folder / "head.npz") as file:
        assert not [name for name in file.files if "photo" in name or "portrait" in name]
