"""The geometry stage learns what its prior knows, keeps what the photo saw, survives bad steps."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from id2head_core.errors import GeometryError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.geometry.fit import PhotoEvidence, fit_geometry
from id2head_core.geometry.fit_config import GeometryFitConfig
from id2head_core.geometry.guarded_adam import GuardedAdam
from id2head_core.geometry.hair_field import HairField
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.geometry.normal_render import DrawnMesh, NormalRenderer, clip_positions
from id2head_core.geometry.objective import GeometryObjective, SampledView, ViewSampler
from id2head_core.geometry.photo_evidence import known_hair, map_camera, seen_skin
from id2head_core.guidance.prior_camera import prior_camera
from id2head_core.guidance.prior_image import PriorScene
from id2head_core.structures import HairFit, HeadAppearance, HeadGeometry, Material
from id2head_core.template.hair import HairTemplate, hair_part, shell_height
from tests.geometry.geometry_oracle import (
    BrokenPrior,
    HairOracle,
    fuller,
    guidance,
    hair_error,
    model,
    photo_identity,
    quick,
    start,
    templates,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(prior, config, *, evidence=None, seed=0, hair=True, **options) -> list:
    fit, own = start()
    generator = torch.Generator().manual_seed(seed)
    given = guidance(prior, options.pop("control", None))
    return list(
        fit_geometry(
            *templates(), fit, own if hair else None, given, evidence=evidence, config=config,
            generator=generator, **options,
        )
    )  # fmt: skip


@pytest.fixture(scope="module")
def pure():
    """Forty steps towards the oracle's fuller hair, without a photo."""
    prior = HairOracle(fuller(start()[1]))
    return prior, run(prior, quick(40))


@pytest.fixture(scope="module")
def anchored():
    return run(HairOracle(fuller(start()[1])), quick(30), evidence=PhotoEvidence(photo_identity()))


def test_forty_steps_find_the_hair_that_the_prior_knows(pure):
    prior, steps = pure
    hair, target = start()[1], fuller(start()[1])
    result = steps[-1].result
    assert hair_error(result.hair, target) < 0.35 * hair_error(hair, target)
    early = np.mean([s.losses["residual"] for s in steps[:4]])
    late = np.mean([s.losses["residual"] for s in steps[-4:]])
    assert late < 0.4 * early
    assert (result.hair.thickness > 0).sum() > (hair.thickness > 0).sum()  # and its outline
    assert prior.domains == {"geometry"}


def test_hair_that_a_text_named_is_not_lost_to_a_prior_without_any():
    hair = start()[1]
    bald = replace(hair, thickness=np.full_like(hair.thickness, -0.01))
    has = hair.thickness > 0.002
    for least in (0.5, 0.0):
        result = run(HairOracle(bald), quick(40, free_hair_least=least))[-1].result
        kept = (result.hair.thickness / np.where(has, hair.thickness, 1))[has]
        assert (kept.min() > 0.5 - 1e-3) == (least == 0.5) and kept.mean() < 0.9


def test_folds_that_the_prior_knows_are_found():
    """From none to about 0.7, by views of the face alone."""
    prior = HairOracle(start()[1], 64, folds=0.7)
    config = quick(60, face=1.0, neutral_face=0.0)
    result = run(prior, config, seed=3)[-1].result
    folds = result.expression_state["folds"]
    assert float((folds - 0.7).abs().mean()) < 0.25 and bool((folds > 0.2).all())
    plain = run(HairOracle(start()[1], 64), config, seed=3)[-1].result.expression_state["folds"]
    assert float(plain.mean()) < 0.1


def test_expressions_of_the_face_are_guided_less_unless_a_text_is_contrasted():
    head = model(start()[1])
    plain, contrast = (
        GeometryObjective(
            head, replace(guidance(None), against=against), np.zeros(len(start()[0].neutral)), None,
            GeometryFitConfig(guidance_scale=5.0, expression_guidance=2.0),
        )
        for against in ("", "a person")
    )  # fmt: skip
    folded = SampledView(10.0, 0.0, 1.8, 8)
    assert (plain._scale(folded), contrast._scale(folded)) == (2.0, 5.0)
    assert plain._scale(replace(folded, expression=None)) == 5.0
    assert plain._scale(replace(folded, zoom=1.0)) == 5.0


def test_control_maps_show_no_folds_and_then_the_deepest():
    """As the prior was trained: also those of a head that has learned folds before."""
    fit, seen = start()[0], []

    def control(posed, camera, neutral, folded):
        seen.append((posed, folded))
        return np.zeros((9, 32, 32), np.float32)

    state = model(start()[1]).expressions.state()
    state["folds"] = torch.full_like(state["folds"], 0.4)
    run(
        HairOracle(start()[1]),
        quick(6, neutral=0.0, neutral_face=0.0),
        control=control,
        expression_state=state,
    )
    template, ones = templates()[0], np.ones(len(state["folds"]))
    bare = fit.neutral + template.expression_displacements(fit.neutral)
    deepest = fit.neutral + template.expression_displacements(fit.neutral, ones)
    for posed, folded in seen:
        away = np.abs(bare - posed).max((1, 2))
        assert away.min() < 1e-5
        assert np.abs(deepest - folded).max((1, 2))[away.argmin()] < 2e-4  # lids meet anew


def test_the_result_builds(pure):
    result = pure[1][-1].result
    geometry = build_geometry(*templates(), result.fit, result.hair, result.displacements)
    skin, rows = geometry.parts[0], templates()[0].skin_vertex
    assert skin.vertices == pytest.approx(result.fit.neutral[rows], abs=1e-6)
    assert skin.displacements == pytest.approx(result.displacements[:, rows], abs=1e-6)
    assert geometry.part("hair") is not None
    assert np.abs(result.fit.neutral - start()[0].neutral).max() < 0.0155


def test_what_the_photo_saw_stays(anchored):
    template, hair_template = templates()
    fit, hair = start()
    evidence = PhotoEvidence(photo_identity())
    seen = seen_skin(template, hair_template, fit, evidence)
    result = anchored[-1].result
    moved = np.linalg.norm(result.fit.neutral - fit.neutral, axis=1)
    skin = np.unique(template.skin_vertex)
    x, y, z = fit.neutral[skin].T
    face = skin[(z > 0.07) & (np.abs(x) < 0.05) & (y < 0.07)]  # below the hair
    face = face[template.regions["mouth_interior"][face] < 0.5]
    assert (seen[face] > 0.9).mean() > 0.98
    assert moved[seen > 0.95].max() < 0.0003
    assert moved[seen < 0.05].max() > 0.0005
    known = known_hair(hair_template, fit, hair, evidence)
    grown = result.hair.thickness - hair.thickness
    assert np.abs(grown[known > 0.99]).max() < 0.0003
    behind = (known < 0.01) & (hair.thickness > 0)
    assert grown[behind].mean() > 0.005
    assert {"landmark", "silhouette"} <= set(anchored[-1].losses)
    assert anchored[-1].losses["landmark"] < 1e-6


def test_editing_the_hair_frees_it_from_the_photo():
    fit, hair = start()
    evidence = PhotoEvidence(photo_identity(), hair=False)
    assert not known_hair(templates()[1], fit, hair, evidence).any()
    last = run(HairOracle(fuller(hair)), quick(1), evidence=evidence)[-1]
    assert "silhouette" not in last.losses and "landmark" in last.losses


@pytest.mark.parametrize("broken", [{0}, {1, 2}])
def test_steps_with_nan_gradients_are_taken_back(broken, caplog):
    steps = run(BrokenPrior(fuller(start()[1]), broken), quick(4))
    assert [s.losses["accepted"] for s in steps] == [float(i not in broken) for i in range(4)]
    result = steps[-1].result
    assert np.isfinite(result.fit.neutral).all() and np.isfinite(result.displacements).all()
    assert "not finite" in caplog.text and "rates x" in caplog.text
    build_geometry(*templates(), result.fit, result.hair, result.displacements)


def test_a_prior_that_never_answers_leaves_the_head_as_it_was():
    result = run(BrokenPrior(fuller(start()[1]), set(range(9))), quick(3))[-1].result
    assert np.array_equal(result.hair.thickness, start()[1].thickness)
    assert np.array_equal(result.fit.neutral, start()[0].neutral)


def test_undo_restores_parameters_and_halves_the_rates():
    head = model(start()[1])
    optimizer = GuardedAdam(head, quick(1))
    optimizer.step((head.skin.control - 1).square().sum(), 0.0)
    good = head.skin.control.detach().clone()
    with torch.no_grad():
        head.skin.control.fill_(float("nan"))
    with pytest.raises(GeometryError, match="not finite: skin.control. Refit"):
        head.check()
    optimizer.undo()
    assert torch.equal(head.skin.control, good) and optimizer.factor == 0.5
    loss = (head.skin.control * torch.tensor(float("inf"))).sum()
    with pytest.raises(GeometryError, match="gradient is not finite"):
        optimizer.step(loss, 0.0)
    assert torch.equal(head.skin.control, good)


def test_unsound_meshes_are_refused():
    head = model(start()[1])
    with torch.no_grad():
        head.skin.cap = 1.0
        head.skin.control[::2] = 0.4
    with pytest.raises(GeometryError, match="edges of the skin are torn.*Lower the learning rate"):
        head.mesh(torch.zeros(head.fit.neutral.shape))
    bald = model(start()[1])
    with torch.no_grad():
        bald.hair.levels[0].fill_(-1.0)
    with pytest.raises(GeometryError, match="No hair is left"):
        bald.check()
    fit = replace(start()[0], neutral=np.full_like(start()[0].neutral, np.nan))
    with pytest.raises(GeometryError, match="not finite. Refit the head"):
        next(
            fit_geometry(
                *templates(), fit, None, guidance(None), evidence=None, generator=torch.Generator()
            )
        )
    with pytest.raises(GeometryError, match="13 of 13 expressions are not finite"):
        build_geometry(*templates(), start()[0], None, np.full((13, 6435, 3), np.nan))


def test_seeds():
    prior = HairOracle(fuller(start()[1]))
    one, again, other = (run(prior, quick(3), seed=seed)[-1].result for seed in (3, 3, 4))
    assert np.array_equal(one.hair.thickness, again.hair.thickness)
    assert np.array_equal(one.fit.neutral, again.fit.neutral)
    assert np.array_equal(one.displacements, again.displacements)
    assert not np.array_equal(one.hair.thickness, other.hair.thickness)


def test_all_cameras_and_expressions_come_up():
    generator = torch.Generator().manual_seed(0)
    sample = ViewSampler(GeometryFitConfig())
    views = [sample(generator) for _ in range(240)]
    assert {v.expression for v in views} == {None, *range(len(EXPRESSIONS))}
    yaws = np.array([v.yaw for v in views])
    counts = np.histogram(yaws, bins=12, range=(-180, 180))[0]
    assert counts.min() > 5 and (np.abs(yaws) > 90).mean() > 0.35
    face = np.array([v.zoom > 1 for v in views])
    assert 0.2 < face.mean() < 0.4 and np.abs(yaws[face]).max() <= 60
    close = [v.expression for v in views if v.zoom > 1 and v.expression is not None]
    assert np.ptp(np.bincount(close, minlength=len(EXPRESSIONS))) <= 1
    assert close[:13] != close[13:26] != sorted(close[13:26])


def test_levels_move_in_their_phase_only():
    head = model(start()[1])
    optimizer = GuardedAdam(head, quick(1))

    def moved(progress):
        before = [level.detach().clone() for level in head.hair.levels]
        loss = head.hair.thickness().sum() + head.skin().sum()
        optimizer.step(loss, progress)
        return [not torch.equal(a, b) for a, b in zip(before, head.hair.levels, strict=True)]

    assert moved(0.1) == [True, True, False]
    skin = head.skin.control.detach().clone()
    assert moved(0.9) == [False, False, True]
    assert torch.equal(head.skin.control, skin)


def test_pictures_and_control_maps():
    asked = []

    def control(vertices, camera, neutral, folded):
        asked.append(vertices)
        return np.full((9, 32, 32), 0.5, np.float32)

    prior = HairOracle(fuller(start()[1]))
    steps = run(prior, quick(2, preview_every=2), control=control)
    assert steps[0].normals_image is None and steps[0].result is None
    assert steps[1].normals_image.shape == (256, 512, 3)
    assert steps[1].normals_image.dtype == np.uint8
    assert len(asked) == 4 and asked[0].shape == start()[0].neutral.shape
    state = steps[-1].result.expression_state
    again = run(prior, quick(1), expression_state=state)[-1].result
    assert set(again.expression_state) == set(state)


def test_a_head_without_hair():
    result = run(HairOracle(fuller(start()[1])), quick(2), hair=False)[-1].result
    assert result.hair is None
    assert build_geometry(*templates(), result.fit, None).part("hair") is None


@pytest.mark.parametrize(("yaw", "pitch", "expression"), [(0, 10, 8), (100, 10, 0), (160, -20, 11)])
def test_the_picture_is_what_the_prior_was_trained_on(yaw, pitch, expression):
    template, hair_template = templates()
    fit, hair = start()
    moved = template.expression_displacements(fit.neutral)
    parts = [p for p in template.parts(fit.neutral, moved) if p.name != "lashes"]
    parts.append(hair_part(hair_template, hair, fit.neutral, moved))
    grey = Material(np.full((2, 2, 3), 0.5, np.float32))
    look = HeadAppearance({part.name: grey for part in parts})
    vertices = np.concatenate([p.vertices + p.displacements[expression] for p in parts])
    camera = prior_camera(yaw, pitch)
    wanted, _, _ = PriorScene(HeadGeometry(tuple(parts)), look).render(vertices, camera, 64)
    head = model(hair)
    with torch.no_grad():
        image, _ = NormalRenderer()(head.mesh(torch.from_numpy(moved[expression])), camera, 64)
    difference = np.abs(image.numpy() - wanted)
    assert difference.mean() < 0.002
    assert (difference.max(0) > 0.06).mean() < 0.02  # antialiased outlines


@pytest.mark.parametrize(("hair_start", "blue"), [(1, 1.0), (0, 0.0)])
def test_back_faces_are_turned_to_the_camera_except_hair(hair_start, blue):
    vertices = torch.tensor([[-0.3, -0.3, 0.0], [0.0, 0.4, 0.0], [0.3, -0.3, 0.0]])
    mesh = DrawnMesh(vertices, torch.tensor([[0, 1, 2]]), hair_start)  # clockwise from the front
    image, coverage = NormalRenderer()(mesh, prior_camera(0.0), 16)
    assert coverage[8, 8] == 1
    assert image[2, 8, 8].item() == pytest.approx(blue, abs=1e-3)


def test_the_drawn_shell_is_the_exported_one():
    template = templates()[1]
    head = model(start()[1])
    with torch.no_grad():
        head.hair.levels[1].add_(0.01 * torch.randn(16, 24, generator=torch.Generator()))
    thickness = head.hair.thickness()
    height = head.hair.height(thickness).detach().numpy()
    assert height == pytest.approx(shell_height(template, thickness.detach().numpy()), abs=1e-6)
    grid = template.image(thickness.detach().numpy())
    assert np.array_equal(grid[:, 0], grid[:, -1])
    assert (thickness.detach().numpy()[template.free] <= 0).all()


def test_the_hair_changes_smoothly_around_the_crown():
    """Noise on the fine level must not make spikes where the columns meet."""
    head = model(start()[1])
    with torch.no_grad():
        head.hair.levels[2].add_(0.01 * torch.randn(32, 48, generator=torch.Generator()))
    change = head.hair.change().detach().numpy()
    assert np.ptp(change[0]) < 1e-6
    steps = np.abs(np.diff(change, axis=1)).mean(1)
    cap = templates()[1].grid[2]
    assert steps[2] < 0.2 * steps[cap:-1].mean()


def test_the_map_camera_agrees_with_the_affine():
    camera = start()[0].camera
    affine = np.array([[0.4, 0.1, 3.0], [-0.1, 0.4, 20.0]])
    points = start()[0].neutral[::500]
    wanted = camera.pixels(points, 300, 200)[:, :2] @ affine[:, :2].T + affine[:, 2]
    mapped = map_camera(camera, (300, 200), affine, 128)
    assert mapped.pixels(points, 128, 128)[:, :2] == pytest.approx(wanted, abs=1e-2)
    clip = clip_positions(torch.from_numpy(points), mapped).numpy()
    assert clip == pytest.approx(mapped.clip_positions(points), abs=1e-5)


def test_hair_of_the_photo_shrinks_to_its_least_share_and_gets_no_holes():
    hair_template = HairTemplate.load()
    thickness = hair_template.thickness[hair_template.styles.index("bob01")]
    hair = HairFit("bob01", thickness, np.full(3, 0.1, np.float32))
    field = HairField(hair_template, hair, np.zeros(len(thickness), np.float32), least=0.65)
    for level in field.levels:
        torch.nn.init.constant_(level, -0.05)
    shrunk = field.thickness().detach().numpy()
    haired = thickness > 0.002
    assert (shrunk[haired] >= 0.65 * thickness[haired] - 1e-4).all()
    assert (shrunk[haired] < thickness[haired]).mean() > 0.8  # it did shrink


def test_hair_of_the_photo_does_not_grow_far_beyond_its_outline():
    hair_template = HairTemplate.load()
    thickness = hair_template.thickness[hair_template.styles.index("bob01")]
    hair = HairFit("bob01", thickness, np.full(3, 0.1, np.float32))
    unknown = np.zeros(len(thickness), np.float32)
    near, far = (thickness < -0.001) & (thickness > -0.003), thickness < -0.012
    for reach, grows in ((0.012, False), (np.inf, True)):
        field = HairField(hair_template, hair, unknown, reach=reach)
        torch.nn.init.constant_(field.levels[0], 0.05)
        grown = field.thickness().detach().numpy()
        allowed = field.free.reshape(-1).numpy() > 0
        assert (grown[near & allowed] > 0).all()
        assert (grown[far & allowed] > 0).any() == grows
        outside = allowed & (thickness < 0)
        assert (grown[outside].max() < 0.012) == (not grows)  # thin at most: no tails
        bare, cap = hair_template.image(hair_template.free), hair_template.grid[2]
        throat = hair_template.image(
            (thickness <= 0) & (np.abs(hair_template.uv[:, 0] - 0.5) < 0.2)
        )
        assert (hair_template.image(grown)[cap:][throat[cap:]] > 0).any() == grows
        above = bare[cap + 1 :] & ~bare[cap:-1]  # cells just above the bust's rim ...
        above &= hair_template.image(thickness)[cap:-1] <= 0  # ... without hair
        rim = hair_template.image(grown)[cap:-1][above]
        assert len(rim) > 20 and (rim > 0).any() == grows
        assert (grown[allowed & (thickness > 0)] > thickness[allowed & (thickness > 0)]).all()
