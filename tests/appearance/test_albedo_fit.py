from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from id2head_core.appearance.appearance_model import AppearanceModel, allowed_texels, with_gains
from id2head_core.appearance.fit import AppearanceFitConfig, fit_appearance
from id2head_core.appearance.gain_maps import as_texture, hair_area
from id2head_core.appearance.relighting import LightLeak, relit, unit_light
from id2head_core.appearance.shaded_render import AlbedoRenderer
from id2head_core.appearance.spherical_harmonics import directional_light, preset_light
from id2head_core.guidance.prior_camera import prior_camera
from id2head_core.guidance.prior_image import ControlRenderer, PriorScene
from id2head_core.render.normals import vertex_normals
from id2head_core.render.shading import LUMINANCE, diffuse_shading, sh_basis
from id2head_core.render.textured_mesh import sample_map
from id2head_core.structures import HeadAppearance
from tests.appearance.albedo_oracle import HeadOracle, StubGuidance, bench, error, no_gains

SETTINGS = AppearanceFitConfig(
    steps=40,
    guidance_scale=1.0,
    keep_hair_colour=False,
    preview_every=0,
    keep_tone=False,
    amplitude=0.0,
)
"""As for an edit: skin and hair may take any colour."""
NEUTRAL = np.zeros(13, np.float32)


def _steps(oracle, *, seed=0, seen=True, **changes):
    given = bench()
    return fit_appearance(
        given.template,
        given.geometry,
        given.start,
        StubGuidance(oracle),
        seen=given.seen if seen else None,
        config=replace(SETTINGS, **changes),
        generator=torch.Generator().manual_seed(seed),
    )


@cache
def _fitted(**options):
    *_, last = _steps(HeadOracle(bench().geometry, bench().target), **options)
    return last


def _hair_gain(appearance):
    """Log gain ``[P, 3]`` that the fit added, and normals, on the hair that eight views show."""
    given = bench()
    ratio = appearance.materials["hair"].albedo / given.start.materials["hair"].albedo
    image = torch.from_numpy(np.log(ratio).transpose(2, 0, 1).copy())
    renderer = AlbedoRenderer(given.geometry, given.start, 32)
    views = [renderer.view(prior_camera(yaw, 5.0), NEUTRAL) for yaw in range(0, 360, 45)]
    uv = torch.cat([view.hair_uv for view in views])
    normals = torch.cat([view.normals[view.hair] for view in views])
    return sample_map(image, uv, wrap=True).numpy(), normals.numpy()


def test_the_model_starts_with_the_given_appearance():
    given = bench()
    model = AppearanceModel(free_colour=False, generator=torch.Generator().manual_seed(0))
    maps = model()
    assert all(not m.any() for m in (maps.skin, maps.hair, maps.expressions))
    same = with_gains(given.start, maps, allowed_texels(given.seen))
    for name, material in given.start.materials.items():
        np.testing.assert_allclose(same.materials[name].albedo, material.albedo, atol=1e-7)
        assert same.materials[name].alpha is material.alpha


def test_views_look_like_the_images_that_the_prior_was_trained_on():
    given = bench()
    drawn = [p for p in given.geometry.parts if p.name != "lashes"]
    kept = {p.name: given.start.materials[p.name] for p in drawn}
    scene = PriorScene(given.geometry, HeadAppearance(kept))
    renderer = AlbedoRenderer(given.geometry, given.start, 64)
    weights = NEUTRAL.copy()
    weights[8] = 1.0  # Grin: teeth
    vertices = np.concatenate([p.vertices + p.displacements[8] for p in drawn])
    for yaw in (0, 70, 180):
        camera = prior_camera(yaw, 5.0)
        _, wanted, coverage = scene.render(vertices, camera, 64)
        maps = no_gains()
        image = renderer.view(camera, weights).image(maps.skin, maps.hair, maps.expressions[0])
        difference = np.abs(image.numpy() - wanted)
        assert difference.mean() < 0.003 and np.quantile(difference, 0.99) < 0.03
        assert abs((image.numpy() - wanted)[:, coverage > 0.99].mean()) < 0.002


def test_an_oracle_corrects_hair_and_unseen_skin_and_leaves_the_photo_alone():
    given, last = bench(), _fitted()
    assert error(last.appearance, "hair") < error(given.start, "hair") / 8
    assert error(last.appearance, "skin") < error(given.start, "skin") / 5
    before, after = (a.materials["skin"].albedo for a in (given.start, last.appearance))
    assert np.abs(after / before - 1)[given.seen > 0.5].max() < 0.01
    assert last.losses["residual"] < 2e-3 and last.losses["accepted"] == 1


def test_skin_that_was_matched_to_the_photo_keeps_its_mean_colour():
    allowed = np.zeros((256, 256), np.float32)
    allowed[128:] = 1.0
    model = AppearanceModel(False, torch.Generator().manual_seed(0), allowed)
    for level in model.skin.levels:
        torch.nn.init.normal_(level, mean=0.4, std=0.2)
    skin = model().skin.detach()
    assert skin.abs().max() > 0.05
    assert skin[:, 33:].mean((1, 2)).abs().max() < 0.02  # below the blurred edge


def test_pure_mode_frees_the_whole_skin():
    given = bench()
    dark = replace(given.start.materials["skin"], albedo=given.start.materials["skin"].albedo * 0.4)
    target = HeadAppearance({**given.start.materials, "skin": dark})
    *_, last = _steps(HeadOracle(given.geometry, target), seen=False)
    ratio = last.appearance.materials["skin"].albedo / given.start.materials["skin"].albedo
    face = given.seen > 0.5
    assert abs(np.median(ratio[face]) - 0.4) < 0.06


def test_the_generator_decides_everything():
    oracle = HeadOracle(bench().geometry, bench().target)

    def run(seed):
        *_, last = _steps(oracle, seed=seed, steps=4)
        return last.appearance.materials["hair"].albedo

    first, again, other = run(1), run(1), run(2)
    assert np.array_equal(first, again) and not np.allclose(first, other, rtol=1e-3)


def test_expression_codes_learn():
    """Codes move once the zero last layer has; expressions differ from each other afterwards."""
    gains = _fitted().expression_gains
    assert gains.shape == (13, 3, 16, 16) and 0 < np.abs(gains).max() <= 0.35
    assert np.abs(gains - gains.mean(0)).max() > 1e-4
    model = AppearanceModel(free_colour=False, generator=torch.Generator().manual_seed(0))
    torch.nn.init.normal_(model.transformer.to_map.weight, std=0.1)
    model().expressions[4].sum().backward()
    codes = model.transformer.codes.grad
    assert float(codes[5].abs().sum()) > 0 and float(codes[0].abs().sum()) > 0  # attention


@pytest.mark.parametrize("sign", [1, -1])
def test_light_that_a_prior_paints_does_not_stay_in_the_albedo(sign):
    """The oracle paints everything lit from one side."""
    given = bench()
    light = unit_light(directional_light((sign, 0.3, 0.2), intensity=0.7, fill=0.4))
    oracle = HeadOracle(given.geometry, given.start, light=light)
    *_, clean = _steps(oracle)

    def light_inside(appearance):  # deviation of log brightness that any light explains
        gain, normals = _hair_gain(appearance)
        lobes = sh_basis(normals)
        return (lobes @ np.linalg.lstsq(lobes, gain @ LUMINANCE, rcond=None)[0]).std()

    assert light_inside(clean.appearance) < 0.02
    hue, _ = _hair_gain(clean.appearance)
    assert (hue - hue.mean(1, keepdims=True)).std(0).max() < 0.03  # nor does it hide in the hue
    assert _lopsided(clean.appearance) == pytest.approx(_lopsided(given.start), abs=0.04)
    if sign > 0:  # without the penalty the light bakes in
        *_, baked = _steps(oracle, leak=0.0)
        assert light_inside(baked.appearance) > 0.3
        assert abs(_lopsided(baked.appearance) - _lopsided(given.start)) > 0.15


def _lopsided(appearance):
    """Hair seen from behind: its left half lit from there over its right half likewise; log."""
    view = AlbedoRenderer(bench().geometry, appearance, 64).view(prior_camera(180.0), NEUTRAL)
    maps = no_gains()
    image = view.image(maps.skin, maps.hair, maps.expressions[0])
    brightness = []
    for x, half in ((1.0, slice(0, 32)), (-1.0, slice(32, 64))):  # +X is on the left
        light = unit_light(directional_light((x, 0.2, -0.3), fill=0.3))
        lit = relit(image, view.basis, light)[:, 8:40, half]
        hair = (view.basis[:1, 8:40, half] > 0.28).expand(3, -1, -1)
        brightness.append(lit[hair].mean())
    return float(torch.log(brightness[0] / brightness[1]))


def test_relighting_keeps_what_is_right_and_the_exposure():
    grey = torch.full((3, 4, 4), 0.5)
    normals = np.random.default_rng(0).normal(size=(4000, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    light = unit_light(directional_light((1, 1, 0), intensity=2.0, fill=0.5))
    shading = sh_basis(normals) @ light.numpy()
    assert shading.mean() == pytest.approx(1, abs=0.03)
    white = unit_light(preset_light("diffuse"))
    assert float(diffuse_shading(normals, preset_light("diffuse")).mean()) == pytest.approx(1)
    basis = torch.from_numpy(sh_basis(normals[:16]).T.reshape(9, 4, 4)).float()
    torch.testing.assert_close(relit(grey, basis, white), grey)
    background = torch.zeros(9, 4, 4)
    torch.testing.assert_close(relit(grey, background, light), grey)


def test_leak_finds_shading_and_ignores_what_no_light_does():
    hair = bench().geometry.part("hair")
    normals = torch.from_numpy(vertex_normals(hair.vertices, hair.faces, hair.weld))
    leak = LightLeak(torch.from_numpy(hair.uv), normals, wrap=True)
    rng = np.random.default_rng(1)
    noise = torch.from_numpy(rng.normal(size=(3, 16, 24)).astype(np.float32))
    explained, total = leak.shares(noise)
    assert explained < 0.1 * total
    v, u = torch.meshgrid(
        (torch.arange(16) + 0.5) / 16, (torch.arange(24) + 0.5) / 24, indexing="ij"
    )
    sideways = torch.sin(2 * torch.pi * (u - 0.5)) * torch.sin(torch.pi * v.clamp(max=0.5))
    explained, total = leak.shares(sideways.expand(3, -1, -1).contiguous())
    assert explained > 0.7 * total
    assert float(leak(torch.ones(3, 16, 24))) < 1e-8


def test_hair_map_has_no_seam_where_its_texture_closes():
    values = torch.randn(3, 16, 24, generator=torch.Generator().manual_seed(0))
    ends = torch.tensor([[0.0, 0.4], [1.0, 0.4]])
    first, last = sample_map(values, ends, wrap=True)
    torch.testing.assert_close(first, last)
    torch.testing.assert_close(as_texture(values[:, :, :16], 16), values[:, :, :16].movedim(0, -1))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_light_moves_the_fixed_point(seed):
    given = bench()
    (first,) = _steps(HeadOracle(given.geometry, given.start), light=1.0, steps=1, seed=seed)
    assert first.losses["residual"] < 1e-9


def test_the_iterator_can_be_closed_and_the_last_event_has_the_result():
    oracle = HeadOracle(bench().geometry, bench().target)
    run = _steps(oracle, preview_every=2)
    events = [next(run) for _ in range(2)]
    run.close()
    assert [e.step for e in events] == [1, 2] and events[0].image is None
    assert events[1].image.dtype == np.uint8 and events[1].image.shape == (384, 384, 3)
    assert events[1].appearance is None
    *_, last = _steps(oracle, steps=1)
    assert last.appearance is not None and last.total == 1


def test_a_step_that_is_not_finite_is_dropped():
    class Broken(HeadOracle):
        def predict(self, *arguments):
            return super().predict(*arguments) * float("nan")

    *_, last = _steps(Broken(bench().geometry, bench().target), steps=2)
    assert last.losses["accepted"] == 0
    skin = last.appearance.materials["skin"].albedo
    np.testing.assert_array_equal(skin, bench().start.materials["skin"].albedo)


def test_control_maps_reach_the_prior():
    given, seen = bench(), []

    class Curious(HeadOracle):
        def conditions(self, prompts, cameras, *, control=None, **options):
            seen.append((prompts, control))
            return super().conditions(prompts, cameras, **options)

    template = given.template
    prior = Curious(given.geometry, given.target)
    run = fit_appearance(
        template,
        given.geometry,
        given.start,
        StubGuidance(prior, control=ControlRenderer(template, prior.resolution)),
        seen=given.seen,
        neutral=template.neutral(np.zeros(1, np.float32)),
        config=replace(SETTINGS, steps=1),
        generator=torch.Generator().manual_seed(0),
    )
    list(run)
    prompts, control = seen[0]
    assert prompts == ["a person"] * 2 and control.shape == (2, 6, 32, 32)
    assert control.dtype == torch.float32 and control.std() > 0.05


def test_hair_keeps_its_colour_as_a_whole_where_the_photo_told_it():
    """The oracle wants another colour all over; only changes over the head remain."""
    free = np.abs(_hair_gain(_fitted(keep_hair_colour=False).appearance)[0].mean(0)).max()
    kept = np.abs(_hair_gain(_fitted(keep_hair_colour=True).appearance)[0].mean(0)).max()
    assert free > 0.2
    assert kept < 0.25 * free


def test_area_of_the_hair_sums_to_one_and_is_zero_where_there_is_none():
    hair = bench().geometry.part("hair")
    area = hair_area(hair)
    assert area.shape == (16, 24)
    np.testing.assert_allclose(area.sum(), 1, rtol=1e-5)
    rows = np.flatnonzero(area.sum(1))
    v = hair.uv[hair.faces].mean(1)[:, 1]
    assert rows.min() == int(v.min() * 16) and rows.max() == int(v.max() * 16)


def test_without_a_photo_the_skin_keeps_its_tone_if_asked():
    """The oracle wants another colour; the mean over the visible skin stays."""
    given = bench()
    start = given.start.materials["skin"].albedo
    gains = {}
    for keep in (True, False):
        *_, last = _steps(
            HeadOracle(given.geometry, given.target), seen=False, steps=12, keep_tone=keep
        )
        ratio = np.log(np.maximum(last.appearance.materials["skin"].albedo, 1e-4) / start)
        view = AlbedoRenderer(given.geometry, given.start, 32)
        uv = torch.cat([view.view(prior_camera(45.0 * k, 5.0), NEUTRAL).skin_uv for k in range(8)])
        shown = sample_map(torch.from_numpy(ratio.transpose(2, 0, 1).copy()), uv)
        gains[keep] = float(shown.mean(0).abs().max())
    assert gains[True] < 0.03
    assert gains[False] > 3 * gains[True]
