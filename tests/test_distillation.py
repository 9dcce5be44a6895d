"""The optimisation stages: settings, what the prior is asked for, where pure runs begin."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from id2head_core import distillation as distillation_module
from id2head_core.appearance.plain_look import plain_appearance
from id2head_core.config import PipelineConfig, full, preview, pure
from id2head_core.distillation import Distillation, prior_of
from id2head_core.editing.shape_start import axes
from id2head_core.errors import OptionError, WeightsError
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.guidance.prior_image import ControlRenderer
from id2head_core.prompts import Looks, hair_colour
from id2head_core.structures import HairFit
from id2head_core.template.neck import widened_neck
from tests.geometry.geometry_oracle import start, templates


def person(age: float, gender: float, darkness: float | None = None) -> SimpleNamespace:
    """Of ``Identity``, what words are made from."""
    return SimpleNamespace(age=age, gender=gender, darkness=darkness)


def hair(style: str, colour: str) -> HairFit:
    template = templates()[1]
    thickness = template.thickness[template.styles.index(style)]
    return HairFit(style, thickness, hair_colour(colour))


@pytest.fixture(scope="module")
def distillation(tiny_prior_folder) -> Distillation:
    config = pure(base=str(tiny_prior_folder), geometry_steps=2, appearance_steps=2)
    return Distillation(config, *templates())


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"geometry_steps": -1}, "geometry_steps is -1. Use a number from 0 to 2000"),
        ({"geometry_steps": 2001}, "geometry_steps is 2001"),
        ({"shape_steps": 201}, "shape_steps is 201. Use a number from 0 to 200"),
        ({"appearance_steps": 9999}, "appearance_steps is 9999"),
        ({"guidance_scale": 0.5}, "guidance_scale is 0.5. Use a number from 1 to 50"),
        ({"guidance_scale": 51}, "guidance_scale is 51"),
        ({"texture_guidance_scale": 0.9}, "texture_guidance_scale is 0.9"),
        ({"guidance_scale": float("nan")}, "guidance_scale is nan"),
        ({"photo_evidence": False, "geometry_steps": 0}, "Without photo_evidence"),
        ({"photo_evidence": False, "appearance_steps": 0}, "Without photo_evidence"),
    ],
)
def test_bad_settings_are_refused(change, words):
    with pytest.raises(OptionError, match=words):
        PipelineConfig(**change)


def test_presets_say_what_is_optimised():
    assert not preview().optimises and preview(refine_steps=3).optimises
    assert full().optimises and full().photo_evidence
    assert full(geometry_steps=0, appearance_steps=0).optimises  # the refinement
    slow = pure()
    assert not slow.photo_evidence and slow.preset == "pure"
    assert slow.geometry_steps > full().geometry_steps
    with pytest.raises(OptionError, match="Without photo_evidence"):
        preview(photo_evidence=False)


@pytest.mark.parametrize(
    ("age", "gender", "style", "colour", "prompt"),
    [
        (50, 0.95, "long01", "blonde", "a middle-aged woman with long blonde hair"),
        (25, 0.05, "short01", "black", "a young man with short black hair"),
        (35, 0.5, "afro01", "brown", "a person with a brown afro"),
        (70, 0.0, "bald", "", "an old bald man"),
        (35, 1.0, None, "", "a bald woman"),
    ],
)
def test_the_prompt_says_what_was_measured(distillation, age, gender, style, colour, prompt):
    measured = None
    if style == "bald":
        measured = HairFit("bald", np.full(len(templates()[1].uv), -0.01), hair_colour("red"))
    elif style is not None:
        measured = hair(style, colour)
    embedding = torch.zeros(512)
    guidance = distillation.guidance(person(age, gender), measured, embedding)
    assert guidance.prompt == prompt
    assert distillation.looks(person(age, gender), measured).colour == colour
    assert guidance.prior is distillation.prior and guidance.embedding is embedding
    assert guidance.control is distillation.control


@pytest.mark.parametrize(
    ("darkness", "prompt", "word", "begins"),
    [
        (None, "", "", 0.35),
        (0.2, "", "pale", 0.25),
        (0.45, "", "tan", 0.45),
        (0.9, "", "dark", 0.68),
        (0.9, "a pale-skinned man", "dark", 0.25),
        (0.9, "a woman with brown hair", "dark", 0.68),
    ],
)
def test_skin_tones_are_words(distillation, monkeypatch, darkness, prompt, word, begins):
    monkeypatch.setattr(distillation, "config", pure(prompt=prompt))
    someone = person(30, 0.9, darkness)
    assert distillation.looks(someone, None).skin == word
    assert distillation.skin_tone(someone) == begins


def test_a_configured_prompt_takes_the_place_of_the_measured_one(distillation, monkeypatch):
    config = pure(prompt="a woman with purple hair")
    monkeypatch.setattr(distillation, "config", config)
    guidance = distillation.guidance(person(30, 0.9), hair("bob01", "red"), torch.zeros(512))
    assert guidance.prompt == "a woman with purple hair"
    assert distillation.looks(person(30, 0.9), hair("bob01", "red")) == Looks(
        30, "woman", "bob", "red"
    )


def test_pure_runs_begin_with_the_mean_head_and_hair_as_the_words_say(distillation, monkeypatch):
    template, hair_template = templates()
    fit, shell = distillation.pure_start(person(30, 0.5), hair("long01", "black"))
    neck = widened_neck(template.mean, template.mean)
    np.testing.assert_allclose(fit.neutral, template.mean + neck, atol=1e-3)
    np.testing.assert_array_equal(fit.vertices, fit.neutral)
    np.testing.assert_allclose(fit.residual, neck, atol=1e-6)
    assert not fit.actions.any() and fit.yaw == 0
    looks = distillation.looks(person(30, 0.5), shell)
    assert (looks.style, looks.colour) == ("long", "black")
    geometry = build_geometry(template, hair_template, fit, shell, brows=True)
    assert geometry.part("hair") is not None and geometry.part("brows") is not None
    monkeypatch.setattr(distillation, "config", pure(prompt="a man with short hair"))
    _, asked = distillation.pure_start(person(30, 0.5), hair("long01", "black"))
    looks = distillation.looks(person(30, 0.5), asked)
    assert (looks.style, looks.colour) == ("short", "black")


@pytest.mark.parametrize(
    ("gender", "prompt", "female"),
    [(0.9, "", 1), (0.1, "", -1), (0.9, "an old man with a beard", -1), (0.1, "a young girl", 1)],
)
def test_pure_runs_begin_with_the_gender_of_the_words(
    distillation, monkeypatch, gender, prompt, female
):
    template = templates()[0]
    monkeypatch.setattr(distillation, "config", pure(prompt=prompt))
    fit, _ = distillation.pure_start(person(30, gender), hair("long01", "black"))
    moved = fit.neutral - template.mean
    assert np.sign((moved * axes()["female"]).sum()) == female
    assert distillation.female(person(30, gender)) == (female + 1) / 2
    assert 1e-3 < np.linalg.norm(moved, axis=1).max() < 0.03
    np.testing.assert_allclose(template.neutral(fit.identity, fit.residual), fit.neutral, atol=1e-6)


def test_the_prior_is_the_folders(tiny_prior_folder, tiny_sd_folder, tmp_path):
    prior = prior_of(full(base=str(tiny_prior_folder)))
    assert prior.predicts == "sample" and prior.resolution == 32
    stable = prior_of(full(base=str(tiny_sd_folder)))
    assert stable.predicts == "epsilon"
    with pytest.raises(WeightsError, match="geometry.safetensors is missing"):
        prior_of(full(base=str(tiny_sd_folder), adapters=str(tmp_path)))
    with pytest.raises(WeightsError, match="has no model_index.json"):
        prior_of(full(base=str(tmp_path)))


def test_only_the_embedded_prior_sees_control_maps(distillation, tiny_sd_folder):
    assert isinstance(distillation.control, ControlRenderer) and distillation.control.size == 32
    config = full(base=str(tiny_sd_folder))
    assert Distillation(config, *templates()).control is None


def drained(stage) -> tuple[list, object]:
    """Events and result of a stage."""
    events = []
    while True:
        try:
            events.append(next(stage))
        except StopIteration as end:
            return events, end.value


def test_geometry_reports_its_steps_and_returns_the_head(distillation):
    fit, shell = start()
    guidance = distillation.guidance(person(30, 0.5), shell, torch.ones(512) / 512**0.5)
    runs = []
    for seed in (0, 0, 1):
        generator = torch.Generator().manual_seed(seed)
        stage = distillation.geometry(None, fit, shell, guidance, generator, lambda: 7.5)
        runs.append(drained(stage))
    events, result = runs[0]
    assert [(e.stage, e.step, e.total, e.seconds_left) for e in events] == [
        ("geometry", 1, 2, 7.5), ("geometry", 2, 2, 7.5)]  # fmt: skip
    assert events[-1].normals.dtype == np.uint8 and not any(e.final for e in events)
    moved = np.abs(result.fit.neutral - fit.neutral).max()
    assert 1e-7 < moved < 0.02
    np.testing.assert_array_equal(result.hair.thickness, runs[1][1].hair.thickness)
    assert not np.array_equal(result.hair.thickness, runs[2][1].hair.thickness)


def test_closing_a_stage_stops_it(distillation):
    fit, shell = start()
    guidance = distillation.guidance(person(30, 0.5), shell, torch.ones(512) / 512**0.5)
    stage = distillation.geometry(None, fit, shell, guidance, torch.Generator(), lambda: 1.0)
    next(stage)
    stage.close()
    assert next(stage, "stopped") == "stopped"


def test_appearance_reports_its_steps_and_paints(distillation):
    template, hair_template = templates()
    fit, shell = start()
    geometry = build_geometry(template, hair_template, fit, shell, brows=True)
    plain = plain_appearance(template, geometry, 30.0, 0.5, 256)
    guidance = distillation.guidance(person(30, 0.5), shell, torch.ones(512) / 512**0.5)
    stage = distillation.appearance(
        geometry, plain, fit, None, guidance, torch.Generator().manual_seed(0), lambda: 2.0
    )  # fmt: skip
    events, painted = drained(stage)
    assert [(e.stage, e.step, e.total) for e in events] == [
        ("appearance", 1, 2), ("appearance", 2, 2)]  # fmt: skip
    assert events[-1].image.dtype == np.uint8
    assert set(painted.materials) == set(plain.materials)
    skins = [look.materials["skin"].albedo for look in (plain, painted)]
    assert skins[1].shape == skins[0].shape and 1e-4 < np.abs(skins[1] - skins[0]).max() < 0.3


@pytest.mark.parametrize("evidence", [True, False])
def test_settings_and_photo_reach_the_stages(distillation, monkeypatch, evidence):
    config = full(
        geometry_steps=11, appearance_steps=12, guidance_scale=7.0, texture_guidance_scale=4.0,
        photo_evidence=evidence,
    )  # fmt: skip
    monkeypatch.setattr(distillation, "config", config)
    asked = {}

    def remember(name):
        def stage(*_, **given):
            asked[name] = given
            return (step for step in ())

        return stage

    monkeypatch.setattr(distillation_module, "fit_geometry", remember("geometry"))
    monkeypatch.setattr(distillation_module, "fit_appearance", remember("appearance"))
    fit, shell = start()
    identity, generator = person(30, 0.5), torch.Generator()
    guidance = distillation.guidance(identity, shell, torch.zeros(512))
    drained(distillation.geometry(identity, fit, shell, guidance, generator, lambda: 1.0))
    seen = np.ones((4, 4), np.float32) if evidence else None
    drained(distillation.appearance(
        "geometry", "appearance", fit, seen, guidance, generator, lambda: 1.0
    ))  # fmt: skip
    geometry, appearance = asked["geometry"], asked["appearance"]
    assert (geometry["config"].steps, appearance["config"].steps) == (11, 12)
    assert geometry["config"].guidance_scale == 7.0
    assert appearance["config"].guidance_scale == 4.0
    assert geometry["generator"] is appearance["generator"] is generator
    assert (geometry["evidence"] is not None) == evidence
    assert appearance["seen"] is seen and appearance["neutral"] is fit.neutral
