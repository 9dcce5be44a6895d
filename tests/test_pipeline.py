"""Photo to .glb with the real weights."""

import numpy as np
import pygltflib
import pytest
import torch

from id2head_core import weights
from id2head_core.camera import orbit_camera
from id2head_core.config import PipelineConfig, full, preview, pure
from id2head_core.errors import NoFaceError, OptionError, SeveralFacesError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.identity.photo import decode
from id2head_core.pipeline import HeadPipeline, face_preview
from id2head_core.structures import Photo
from id2head_core.template.head_template import HeadTemplate
from id2head_core.ui.examples import LABELS

PERSON = "examples/person_3.jpg"


@pytest.fixture(scope="module")
def pipeline():
    return HeadPipeline(preview())


@pytest.fixture(scope="module")
def sculpted() -> list:
    """Results of the geometry stage, in the order of the runs of ``refined``'s pipeline."""
    return []


@pytest.fixture(scope="module")
def refined(tmp_path_factory, tiny_prior_folder, sculpted):
    """A short full run, guided by an untrained prior."""
    steps = {"shape_steps": 3, "geometry_steps": 4, "appearance_steps": 4, "refine_steps": 9}
    pipeline = HeadPipeline(full(base=str(tiny_prior_folder), **steps))
    stage = pipeline.distillation.geometry

    def remembered(*arguments):
        result = yield from stage(*arguments)
        sculpted.append(result)
        return result

    pipeline.distillation.geometry = remembered
    folder = tmp_path_factory.mktemp("refined")
    events = list(pipeline.stream(weights.path(PERSON), output_dir=folder, seed=3))
    return pipeline, events


def similarity(pipeline, asset, photo):
    """Cosine of ArcFace between the photo and the front render."""
    rendered = pipeline.renderer.render(
        asset.geometry, asset.appearance, orbit_camera(0.0), size=(512, 512)
    )
    picture = Photo((np.clip(rendered.shaded, 0, 1) * 255).astype(np.uint8))
    analysis = pipeline.analyse.face_analysis
    embeddings = []
    for image in (picture, photo):
        face = analysis.choose(image, analysis.faces(image), None)
        embeddings.append(analysis.embedding(image, face))
    return float(embeddings[0] @ embeddings[1])


@pytest.mark.parametrize("example", LABELS)
def test_every_example_becomes_a_head_of_that_person(pipeline, example, tmp_path):
    file = weights.path(f"examples/{example}.jpg")
    asset = pipeline(file, output_dir=tmp_path)
    assert asset.path.stat().st_size < 6_000_000
    own = similarity(pipeline, asset, decode(file))
    others = [weights.path(f"examples/{name}.jpg") for name in LABELS if name != example]
    assert own > 0.1 + max(similarity(pipeline, asset, decode(other)) for other in others)


def test_events_come_in_order_with_a_first_and_a_final_head(refined):
    _, events = refined
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["face", "fit", "geometry", "appearance", "asset"]
    with_asset = [event for event in events if event.asset is not None]
    assert [event.asset.path.name for event in with_asset] == [
        "head_preview.glb", "head_shape.glb", "head.glb"]  # fmt: skip
    assert [event.final for event in with_asset] == [False, False, True] and events[-1].final
    assert sum(event.image is not None for event in events) >= 3
    for stage, total, steps in (
        ("geometry", 7, [1, 2, 3, 4, 5, 6, 7, 7]),
        ("appearance", 13, [1, 2, 3, 4, 12]),  # the refinement shows every eighth step
    ):
        inside = [event for event in events if event.stage == stage]
        assert [event.step for event in inside] == steps
        assert {event.total for event in inside} == {total}
    assert sum("shape" in event.message for event in events) > 3
    assert any(event.normals is not None for event in events)
    left = [event.seconds_left for event in events]
    assert all(seconds >= 0 for seconds in left) and left[-1] == 0 < left[0]


def test_the_shape_is_sculpted_and_then_stays(refined, sculpted):
    pipeline, events = refined
    first, shape, last = (event.asset for event in events if event.asset is not None)
    skins = [asset.geometry.part("skin") for asset in (first, shape, last)]
    moved = np.abs(skins[1].vertices - skins[0].vertices).max()
    assert 1e-6 < moved < 0.02
    assert np.array_equal(skins[1].vertices, skins[2].vertices)
    result = sculpted[0]
    for displacements, same in ((result.displacements, True), (None, False)):  # None: template's
        built = build_geometry(
            pipeline.template, pipeline.hair_template, result.fit, result.hair, displacements
        )
        equal = np.array_equal(built.part("skin").displacements, skins[2].displacements)
        assert equal == same
    albedo = [asset.appearance.materials["skin"].albedo for asset in (shape, last)]
    assert not np.array_equal(*albedo)


def test_written_file_has_the_expressions_and_the_note(refined):
    asset = refined[1][-1].asset
    gltf = pygltflib.GLTF2().load(str(asset.path))
    assert tuple(gltf.meshes[0].extras["targetNames"]) == EXPRESSIONS
    assert "AI-generated" in gltf.asset.to_json()
    assert {part.name for part in asset.geometry.parts} >= {"skin", "eyes", "teeth", "tongue"}
    for part in asset.geometry.parts:
        assert np.isfinite(part.vertices).all() and np.isfinite(part.displacements).all()


def test_refinement_brings_the_render_closer_to_the_photo(refined):
    pipeline, events = refined
    photo = decode(weights.path(PERSON))
    first, _, last = (event.asset for event in events if event.asset is not None)
    assert similarity(pipeline, last, photo) > similarity(pipeline, first, photo) + 0.01


def test_one_seed_repeats_and_two_differ(refined, tmp_path):
    pipeline, events = refined
    skin = events[-1].asset.appearance.materials["skin"].albedo
    hair = events[-1].asset.geometry.part("hair").vertices
    again = pipeline(weights.path(PERSON), output_dir=tmp_path, seed=3)
    assert np.array_equal(again.appearance.materials["skin"].albedo, skin)
    assert np.array_equal(again.geometry.part("hair").vertices, hair)
    other = pipeline(weights.path(PERSON), output_dir=tmp_path, seed=4)
    assert not np.array_equal(other.appearance.materials["skin"].albedo, skin)


def test_pure_mode_makes_a_head_without_fitting_the_photo(tiny_prior_folder, tmp_path):
    steps = {"shape_steps": 2, "geometry_steps": 2, "appearance_steps": 2, "refine_steps": 2}
    config = pure(base=str(tiny_prior_folder), **steps)
    asset = HeadPipeline(config)(weights.path(PERSON), output_dir=tmp_path)
    assert asset.metadata["preset"] == "pure" and not asset.metadata["photo_evidence"]
    assert {part.name for part in asset.geometry.parts} >= {"skin", "hair", "brows"}
    mean = HeadTemplate.load()
    skin = asset.geometry.part("skin").vertices
    assert np.abs(skin - mean.mean[mean.skin_vertex]).max() < 0.03  # the mean of a gender
    assert pygltflib.GLTF2().load(str(asset.path)).meshes


def test_closing_stops_before_the_final_file(pipeline, tmp_path):
    events = pipeline.stream(weights.path(PERSON), output_dir=tmp_path)
    for event in events:
        if event.stage == "fit":
            break
    events.close()
    assert list(tmp_path.iterdir()) == []


def test_group_photo_asks_and_an_index_answers(pipeline, tmp_path):
    first, second = (decode(weights.path(f"examples/person_{i}.jpg")).pixels for i in (2, 3))
    side = min(len(first), len(second))
    group = Photo(np.hstack([first[:side], second[:side]]))
    with pytest.raises(SeveralFacesError, match="faces") as caught:
        pipeline(group, output_dir=tmp_path)
    assert len(caught.value.boxes) == 2
    asset = pipeline(group, output_dir=tmp_path, face_index=1)
    assert similarity(pipeline, asset, decode(weights.path("examples/person_3.jpg"))) > 0.2


def test_inspection_asks_in_a_group_and_shows_the_chosen_face(pipeline):
    first, second = (decode(weights.path(f"examples/person_{i}.jpg")).pixels for i in (2, 3))
    side = min(len(first), len(second))
    group = Photo(np.hstack([first[:side], second[:side]]))
    with pytest.raises(SeveralFacesError, match="Choose one"):
        pipeline.inspect(group)
    left, right = (pipeline.inspect(group, face_index=i) for i in (0, 1))
    assert (left.index, right.index) == (0, 1) and left.boxes == right.boxes
    assert len(left.boxes) == 2 and left.boxes[0][2] < left.boxes[1][0]
    alone = pipeline.inspect(Photo(second))
    assert alone.index == 0 and len(alone.boxes) == 1
    difference = [np.abs(i.preview.astype(int) - alone.preview).mean() for i in (left, right)]
    assert difference[1] < 0.5 * difference[0]


def test_inspection_refuses_an_empty_wall(pipeline):
    with pytest.raises(NoFaceError, match="400 x 400"):
        pipeline.inspect(Photo(np.full((400, 400, 3), 128, np.uint8)))


def test_empty_wall_is_refused(pipeline, tmp_path):
    wall = Photo(np.full((400, 400, 3), 128, np.uint8))
    with pytest.raises(NoFaceError, match="[Nn]o face"):
        pipeline(wall, output_dir=tmp_path)


def test_landmarks_are_drawn_on_the_face_preview(pipeline):
    photo = decode(weights.path(PERSON))
    picture = face_preview(photo, pipeline.analyse(photo).face).astype(int)
    green = (picture == (90, 220, 130)).all(-1)
    assert green.sum() > 100 and green[100:300, 100:300].sum() > 0.6 * green.sum()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"texture_size": 1000}, "Texture size 1000"),
        ({"refine_steps": 999}, "refine_steps is 999"),
        ({"seed": -1}, "Seed -1"),
        ({"face_models": "huge"}, "'huge'"),
    ],
)
def test_bad_settings_are_refused(change, words):
    with pytest.raises(OptionError, match=words):
        PipelineConfig(**change)


def test_torch_is_told_not_to_spin():
    import os

    assert os.environ["OMP_WAIT_POLICY"] and torch.get_num_threads() >= 1
