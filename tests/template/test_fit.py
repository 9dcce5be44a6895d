"""The fit recovers cameras, shapes and expressions that it is shown."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from id2head_core.camera import photo_camera
from id2head_core.structures import DetectedFace, FaceParsing, Identity, Photo
from id2head_core.template.ears import ear_points, ear_weights
from id2head_core.template.fit import CAMERA_DISTANCE, EYE_CORNERS, TemplateFitter, _rotation
from id2head_core.template.head_template import HeadTemplate

SIZE = (640, 800)


@pytest.fixture(scope="module")
def fitter():
    return TemplateFitter(HeadTemplate.load())


def observe(fitter, yaw_degrees, coefficients, actions):
    """Landmarks of a known head in a known camera, as an Identity."""
    yaw = np.radians(yaw_degrees)
    rotation, _ = _rotation(yaw, np.radians(4), np.radians(-6))
    focal = 2600.0
    camera = photo_camera(rotation, np.array([0, 0, -CAMERA_DISTANCE]), focal, (330, 420), *SIZE)
    vertices = fitter.template.pose(coefficients, actions, None)
    landmarks = camera.pixels(fitter._landmarks_at(vertices, yaw), *SIZE)[:, :2] - 0.5
    face = DetectedFace(
        np.r_[landmarks.min(0), landmarks.max(0)].astype(np.float32),
        0.9,
        landmarks[:5].astype(np.float32),
        landmarks.astype(np.float32),
        np.zeros(106, np.float32),
    )
    parsing = FaceParsing(np.zeros((19, 4, 4), np.float32), np.eye(2, 3, dtype=np.float32))
    photo = Photo(np.zeros((SIZE[1], SIZE[0], 3), np.uint8))
    return Identity(photo, face, np.zeros(512, np.float32), parsing)


@pytest.mark.parametrize("yaw", [-25, 0, 20])
def test_known_pose_is_recovered(fitter, yaw):
    shape = np.random.default_rng(3).normal(0, 0.7, 60).astype(np.float32)
    none = np.zeros(len(fitter.template.action_names), np.float32)
    fit = fitter(observe(fitter, yaw, shape, none))
    assert fit.yaw == pytest.approx(-yaw, abs=4)
    assert fit.roll == pytest.approx(-6, abs=2)
    assert fit.landmark_error < 2.5


def with_ears(fitter, identity, vertices, camera):
    """The identity with the ears of a known head in its parsing."""
    template, probabilities = fitter.template, np.zeros((19, *SIZE[::-1]), np.float32)
    for side, label in ((-1, 7), (1, 8)):
        ear = (template.regions["ears"] > 0.5) & (np.sign(template.mean[:, 0]) == side)
        outline = cv2.convexHull(camera.pixels(vertices[ear], *SIZE)[:, :2].astype(np.int32))
        cv2.fillPoly(probabilities[label], [outline], 1.0)
    return replace(identity, parsing=FaceParsing(probabilities, np.eye(2, 3, dtype=np.float32)))


def test_ears_are_met(fitter):
    weights = ear_weights(fitter.template.mean, fitter.template.regions["ears"])
    rotation, _ = _rotation(0.0, np.radians(4), np.radians(-6))
    camera = photo_camera(rotation, np.array([0, 0, -CAMERA_DISTANCE]), 2600.0, (330, 420), *SIZE)
    errors = []
    for seed in (20, 21, 23):
        shape = np.random.default_rng(seed).normal(0, 0.7, 60).astype(np.float32)
        bare = observe(fitter, 0, shape, np.zeros(52, np.float32))
        vertices = fitter.template.pose(shape, np.zeros(52, np.float32), None)
        shown = with_ears(fitter, bare, vertices, camera)
        wanted, seen = ear_points(shown.parsing, bare.face.landmarks[EYE_CORNERS], 60.0)
        assert seen.all()
        for fit in (fitter(bare), fitter(shown)):
            points = fit.camera.pixels(weights @ fit.vertices, *SIZE)[:, :2]
            errors.append(np.linalg.norm(points - wanted, axis=1).mean())
    without, with_them = np.mean(errors[::2]), np.mean(errors[1::2])
    assert with_them < 0.6 * without


def test_residual_warp_brings_landmarks_home(fitter):
    identity = observe(fitter, 5, np.zeros(60, np.float32), np.zeros(52, np.float32))
    identity.face.landmarks[52:72] += [0, 6.0]  # a mouth that the basis puts elsewhere
    fit = fitter(identity)
    yaw = np.radians(-fit.yaw)
    points = fitter._landmarks_at(fit.vertices, yaw)
    after = fit.camera.pixels(points, *SIZE)[52:72, :2] - identity.face.landmarks[52:72] - 0.5
    bare = fit.vertices - fit.residual
    before = fit.camera.pixels(fitter._landmarks_at(bare, yaw), *SIZE)[52:72, :2]
    before = before - identity.face.landmarks[52:72] - 0.5
    assert np.linalg.norm(after, axis=1).mean() < 0.7 * np.linalg.norm(before, axis=1).mean()


def test_smile_is_read_and_left_out_of_the_neutral_head(fitter):
    actions = np.zeros(52, np.float32)
    for side in ("Left", "Right"):
        actions[fitter.template.action_names.index("mouthSmile" + side)] = 0.8
    fit = fitter(observe(fitter, 0, np.zeros(60, np.float32), actions))
    assert fit.actions[fitter.template.action_names.index("mouthSmileLeft")] > 0.15
    corners = fitter._landmarks_at(fit.neutral, 0.0)[[52, 61]]
    smiling = fitter._landmarks_at(fit.vertices, 0.0)[[52, 61]]
    assert smiling[:, 1].mean() > corners[:, 1].mean() + 0.001


def test_rotation_derivatives_match_finite_differences():
    angles, step = np.array([0.3, -0.2, 0.1]), 1e-6
    _, derivatives = _rotation(*angles)
    for axis in range(3):
        moved = angles.copy()
        moved[axis] += step
        numeric = (_rotation(*moved)[0] - _rotation(*angles)[0]) / step
        assert np.abs(numeric - derivatives[axis]).max() < 1e-5
