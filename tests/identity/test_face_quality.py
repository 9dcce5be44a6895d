from dataclasses import replace

import cv2
import numpy as np
import pytest

from id2head_core.errors import (
    FaceBlurredError,
    FaceError,
    FaceOccludedError,
    FaceProfileError,
    FaceTooSmallError,
)
from id2head_core.identity import face_quality
from id2head_core.identity.face_quality import POSE_LANDMARKS, POSE_POINTS, head_angles, sharpness
from id2head_core.structures import Photo

NAMES = ("person_1", "person_2", "person_3", "astronaut")
WHITE, BLACK, RED = (228, 228, 228), (12, 12, 12), (150, 40, 40)
MASK = [(-1, 0.5), (0, 0.3), (1, 0.5), (0.8, 1.4), (0, 1.95), (-0.8, 1.4)]
SCARF = [(-1.6, 0.8), (1.6, 0.8), (1.6, 3), (-1.6, 3)]
BAR = [(-1.1, -0.35), (1.1, -0.35), (1.1, 0.3), (-1.1, 0.3)]
PHONE = [(0, -1.5), (1.5, -1.5), (1.5, 1.9), (0, 1.9)]
EAR = [(1.0, -0.3), (1.4, -0.3), (1.4, 1.0), (1.0, 1.0)]


def blurred(photo, face, share, kernel=None):
    """Gaussian blur with sigma, or horizontal motion, of this share of the face's height."""
    size = share * (face.box[3] - face.box[1])
    if kernel is None:
        return Photo(cv2.GaussianBlur(photo.pixels, (0, 0), float(size)))
    line = np.full((1, int(size) | 1), 1 / (int(size) | 1), np.float32)
    return Photo(cv2.filter2D(photo.pixels, -1, line))


def turned(face, yaw=0.0, pitch=0.0, roll=0.0):
    """The rigid face of the module, seen from a camera at ``yaw``; the photo is not needed."""
    y, p, r = np.radians([yaw, pitch, roll])
    about_y = np.array([[np.cos(y), 0, -np.sin(y)], [0, 1, 0], [np.sin(y), 0, np.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(p), -np.sin(p)], [0, np.sin(p), np.cos(p)]])
    about_z = np.array([[np.cos(r), -np.sin(r), 0], [np.sin(r), np.cos(r), 0], [0, 0, 1]])
    seen = POSE_POINTS @ (about_z @ about_x @ about_y).T
    landmarks = face.landmarks.copy()
    landmarks[list(POSE_LANDMARKS)] = 300 + 2 * seen[:, :2] * (1, -1)
    return replace(face, landmarks=landmarks)


@pytest.mark.parametrize("yaw", [-70, -30, 0, 20, 60])
def test_angles_of_the_rigid_face(people, yaw):
    found = head_angles(turned(people["person_1"].face, yaw, roll=10))
    np.testing.assert_allclose(found, (yaw, 0, 10), atol=0.5)


def test_examples_look_at_the_camera(people):
    for name, person in people.items():
        yaw, pitch, roll = head_angles(person.face)
        assert abs(yaw) < 25 and abs(roll) < 10 and -35 < pitch < 15, name


@pytest.mark.parametrize(
    ("angles", "message"),
    [
        ({"yaw": 60}, "turned by about 60 degrees; up to 50"),
        ({"yaw": -75}, "turned by about 75 degrees"),
        ({"pitch": 60}, "raised too far|lowered too far"),
        ({"roll": 50}, "tilted by 50 degrees.*Rotate"),
    ],
)
def test_extreme_pose_is_refused(people, angles, message):
    with pytest.raises(FaceProfileError, match=message):
        face_quality.check_pose(turned(people["person_1"].face, **angles))


def test_small_face_is_refused(analyser, people):
    small = Photo(cv2.resize(people["person_3"].photo.pixels, (120, 120)))
    with pytest.raises(FaceTooSmallError, match=r"only \d\d pixels tall; it needs at least 96"):
        analyser(small)


@pytest.mark.parametrize("name", NAMES)
def test_blur(analyser, people, name):
    person = people[name]
    aligned = analyser.face_analysis.aligned(person.photo, person.face)
    assert sharpness(aligned) > 0.5
    soft = blurred(person.photo, person.face, 0.01)
    face_quality.check_blur(analyser.face_analysis.aligned(soft, person.face))
    for share, motion in ((0.03, None), (0.12, "line")):
        bad = blurred(person.photo, person.face, share, motion)
        with pytest.raises(FaceBlurredError, match="blurred .*Hold the camera still"):
            face_quality.check_blur(analyser.face_analysis.aligned(bad, person.face))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("polygon", "colour", "message"),
    [
        (MASK, WHITE, "mouth is covered"),
        (SCARF, RED, "mouth is covered"),
        (BAR, BLACK, "eyes cannot be seen|only 95 pixels tall"),  # the astronaut's box shrinks
        (PHONE, BLACK, "One eye is covered|turned by about"),
    ],
    ids=["mask", "scarf", "bar", "phone"],
)
def test_covered_faces_are_refused(analyser, people, name, polygon, colour, message):
    with pytest.raises(FaceError, match=message):
        analyser(people[name].covered(polygon, colour))


def test_something_beside_the_face_is_fine(analyser, people):
    analyser(people["person_2"].covered(EAR, BLACK))


def test_message_of_a_mostly_hidden_face(people):
    """Everything but eyes, brows and mouth is labelled as hair."""
    person = people["person_3"]
    parsing = person.identity.parsing
    probabilities = parsing.probabilities.copy()
    probabilities[17] += probabilities[1] + probabilities[10]
    probabilities[[1, 10]] = 0
    covered = replace(parsing, probabilities=probabilities)
    with pytest.raises(FaceOccludedError, match=r"Only \d+% of the face can be seen"):
        face_quality.check_occlusion(person.photo, person.face, covered)
