"""The ArcFace fit of the shape: likelier from the side, the same in the photo."""

from functools import cache

import numpy as np
import pytest
import torch

from id2head_core.appearance.plain_look import plain_appearance
from id2head_core.camera import orbit_camera
from id2head_core.geometry.head_geometry import build_geometry
from id2head_core.geometry.identity_shape import (
    BUST,
    HeadPicture,
    IdentityMotion,
    IdentityShapeConfig,
    fit_identity_shape,
)
from id2head_core.identity.arcface import ArcFace
from id2head_core.render.head_renderer import HeadRenderer
from id2head_core.template.fit import TemplateFitter
from tests.geometry.geometry_oracle import start, templates

SIZE = 160
FREE = IdentityShapeConfig(symmetric=False)
SIDES = (-60.0, -30.0, 30.0, 60.0)


@cache
def head():
    """Geometry and plain materials of the bench's head."""
    template, hair_template = templates()
    fit, hair = start()
    geometry = build_geometry(template, hair_template, fit, hair, brows=True)
    return geometry, plain_appearance(template, geometry, 30.0, 0.2, 256, (0.05, 0.03, 0.02))


def picture(size: int = SIZE) -> HeadPicture:
    return HeadPicture(*head(), templates()[0], start()[0].neutral, size)


def drawn(shape: torch.Tensor, yaw: float, size: int = SIZE) -> torch.Tensor:
    """``[1, 3, S, S]`` of the head moved by ``shape [N, 3]``."""
    draw = picture(size)
    return draw(draw.posed(shape), orbit_camera(yaw, distance=1.4, fov_y=13.0))


def shown(shape, yaw: float, size: int = SIZE) -> np.ndarray:
    """sRGB ``[S, S, 3]``."""
    return drawn(shape, yaw, size)[0].permute(1, 2, 0).detach().numpy()


def test_the_picture_is_the_renderers():
    still = torch.zeros(start()[0].neutral.shape)
    for yaw in (0.0, 50.0):
        camera = orbit_camera(yaw, distance=1.4, fov_y=13.0)
        wanted = HeadRenderer().render(*head(), camera, (SIZE, SIZE))
        inside = wanted.mask > 0.99
        assert inside.mean() > 0.3
        difference = np.abs(shown(still, yaw) - wanted.shaded)[inside]
        assert np.median(difference) < 0.03  # no occlusion, no highlights, no lashes
        assert difference.mean() < 0.06


def test_the_picture_has_the_gradient_of_its_own_differences():
    template = templates()[0]
    direction = torch.from_numpy(template.identity_basis[:5].sum(0)).double().float()
    amount = torch.zeros((), requires_grad=True)
    draw, camera = picture(), orbit_camera(40.0, distance=1.4, fov_y=13.0)
    weight = torch.linspace(0, 1, SIZE)  # a horizontal ramp: motion changes the sum smoothly

    def total(share):
        return (draw(draw.posed(share * direction), camera)[0].mean(0) * weight).sum()

    total(amount).backward()
    step = 0.5
    with torch.no_grad():
        numeric = (total(torch.tensor(step)) - total(torch.tensor(-step))) / (2 * step)
    assert abs(float(amount.grad) - float(numeric)) < 0.25 * abs(float(numeric))


def test_skin_that_the_photo_shows_stays_at_its_pixel():
    template, _ = templates()
    fit = start()[0]
    seen = (fit.neutral[:, 2] > 0.05).astype(np.float32)
    for evidence, still in ((seen, seen > 0), (None, seen > 2)):
        motion = IdentityMotion(template, fit, evidence, FREE)
        with torch.no_grad():
            motion.coefficients.copy_(torch.linspace(-1, 1, len(motion.coefficients)))
            moved = motion().numpy()
        before, after = (
            fit.camera.pixels(points, 1000, 1000)[:, :2]
            for points in (fit.vertices, fit.vertices + moved)
        )
        away = np.linalg.norm(after - before, axis=1)
        assert np.all(away[still] < 0.05)
        assert np.percentile(away[~still], 90) > 1
        assert np.abs(moved[fit.neutral[:, 1] < BUST[0]]).max() == 0
        assert np.linalg.norm(moved[seen > 0], axis=1).max() > 1e-3  # in depth


def test_left_and_right_move_alike_if_asked():
    template, _ = templates()
    for symmetric in (True, False):
        motion = IdentityMotion(
            template, start()[0], None, IdentityShapeConfig(symmetric=symmetric)
        )
        with torch.no_grad():
            motion.coefficients.copy_(torch.linspace(-1, 1, len(motion.coefficients)))
            moved = motion().numpy()
        head_only = start()[0].neutral[:, 1] > 0  # the fade below depends on the fitted heights
        mirrored = moved[template.mirror] * [-1, 1, 1]
        alike = np.abs(moved - mirrored)[head_only].max() < 1e-5
        assert alike == symmetric


def test_no_vertex_moves_beyond_the_cap():
    motion = IdentityMotion(templates()[0], start()[0], None, FREE)
    with torch.no_grad():
        motion.coefficients.fill_(100.0)
        assert 0.9 * FREE.cap < motion().norm(dim=1).max() <= FREE.cap


def _similarity(shape, embedding, arcface, keypoints) -> float:
    """Mean cosine over fixed views."""
    cosines = []
    for yaw in SIDES:
        camera = orbit_camera(yaw, distance=1.4, fov_y=13.0)
        image = drawn(torch.from_numpy(shape), yaw, 256)
        points = camera.pixels(keypoints, 256, 256)[:, :2] - 0.5
        aligned = arcface.align(image, torch.from_numpy(points.astype(np.float32))[None])
        with torch.no_grad():
            cosines.append(float(arcface.embed(aligned)[0] @ embedding))
    return float(np.mean(cosines))


@pytest.fixture(scope="module")
def searched():
    """A head of another shape, in a front view, and what the fit makes of its embedding."""
    template, _ = templates()
    fit = start()[0]
    arcface, fitter = ArcFace.load(), TemplateFitter(template)
    other = np.zeros(len(template.identity_basis), np.float32)
    other[:12] = 1.5 * np.random.default_rng(5).choice([-1, 1], 12)
    target = np.tensordot(other, template.identity_basis, 1).astype(np.float32)
    keypoints = fitter.keypoints(fit.neutral)
    camera = orbit_camera(0.0, distance=1.4, fov_y=13.0)
    points = camera.pixels(fitter.keypoints(fit.neutral + target), 256, 256)[:, :2] - 0.5
    with torch.no_grad():
        aligned = arcface.align(
            drawn(torch.from_numpy(target), 0.0, 256),
            torch.from_numpy(points.astype(np.float32))[None],
        )
        embedding = arcface.embed(aligned)[0]
    events = list(
        fit_identity_shape(
            template, *head(), fit, None, keypoints, embedding, arcface,
            steps=16, config=IdentityShapeConfig(size=200),
            generator=torch.Generator().manual_seed(0),
        )
    )  # fmt: skip
    return events, embedding, arcface, keypoints


def test_the_fit_raises_the_similarity_of_side_views(searched):
    events, embedding, arcface, keypoints = searched
    fit, found = start()[0], events[-1][1]
    before = _similarity(np.zeros_like(fit.neutral), embedding, arcface, keypoints)
    after = _similarity(found.neutral - fit.neutral, embedding, arcface, keypoints)
    assert after > before + 0.03


def test_events_and_the_new_fit(searched):
    events, *_ = searched
    fit, found = start()[0], events[-1][1]
    assert [step for step, _ in events] == list(range(1, 17))
    assert all(result is None for _, result in events[:-1])
    moved = found.neutral - fit.neutral
    assert 5e-4 < np.linalg.norm(moved, axis=1).max() < 0.02
    np.testing.assert_allclose(found.vertices - fit.vertices, moved, atol=1e-6)
    np.testing.assert_allclose(found.residual - fit.residual, moved, atol=1e-6)
    assert found.neutral.dtype == np.float32 and np.isfinite(found.neutral).all()
    template, hair_template = templates()
    build_geometry(template, hair_template, found, start()[1])  # whole


def test_no_motion_keeps_the_fit():
    fit = templates()[0].moved(start()[0], np.zeros_like(start()[0].neutral))
    assert np.abs(fit.neutral - start()[0].neutral).max() < 5e-4
