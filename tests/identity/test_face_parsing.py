import numpy as np
import pytest
import torch

from id2head_core.errors import WeightsError
from id2head_core.identity.bisenet import BiSeNet
from id2head_core.identity.face_parsing import CLASSES, CROP_SIZE, FaceParser, head_framing
from id2head_core.structures import Photo

NAMES = ("person_1", "person_2", "person_3", "astronaut")
HAIR = CLASSES.index("hair")


def label_at(person, point):
    parsing = person.identity.parsing
    column, row = parsing.photo_to_crop @ np.array([*point, 1.0])
    return CLASSES[parsing.labels[int(round(row)), int(round(column))]]


def centre(person, name):
    rows, columns = np.nonzero(person.identity.parsing.labels == CLASSES.index(name))
    return columns.mean(), rows.mean()


def test_nineteen_classes():
    assert len(CLASSES) == len(set(CLASSES)) == 19


@pytest.mark.parametrize("name", NAMES)
def test_probabilities(people, name):
    parsing = people[name].identity.parsing
    assert parsing.probabilities.shape == (19, CROP_SIZE, CROP_SIZE)
    assert parsing.probabilities.dtype == np.float32
    assert parsing.probabilities.min() >= 0
    np.testing.assert_allclose(parsing.probabilities.sum(0), 1, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_where_the_landmarks_are(people, name):
    person = people[name]
    points = person.face.landmarks
    assert label_at(person, points[33:43].mean(0)) == "left_eye"
    assert label_at(person, points[87:97].mean(0)) == "right_eye"
    assert label_at(person, points[86]) == "nose"
    cheek = (points[36] + points[55]) / 2
    assert label_at(person, cheek) in ("skin", "nose")
    chin = (points[0] + points[53]) / 2
    assert label_at(person, chin) == "skin"
    eyes, mouth = points[[38, 88]].mean(0), points[52:72].mean(0)
    assert label_at(person, eyes - 1.35 * (mouth - eyes)) == "hair"


@pytest.mark.parametrize("name", NAMES)
def test_left_and_right_are_the_images(people, name):
    for part in ("brow", "eye"):
        assert centre(people[name], f"left_{part}")[0] < centre(people[name], f"right_{part}")[0]
    assert centre(people[name], "upper_lip")[1] < centre(people[name], "lower_lip")[1]


@pytest.mark.parametrize("name", NAMES)
def test_hair_is_no_hat(people, name):
    labels = people[name].identity.parsing.labels
    assert (labels == HAIR).sum() > 10_000
    assert (labels == CLASSES.index("hat")).sum() < 500


def test_hair_length_is_seen(people):
    """Long hair reaches below the chin, short hair does not."""

    def lowest_hair(name):
        person = people[name]
        parsing = person.identity.parsing
        rows = np.nonzero((parsing.labels == HAIR).sum(1) > 20)[0]
        chin = parsing.photo_to_crop @ np.array([*person.face.landmarks[0], 1.0])
        return rows.max() - chin[1]

    assert lowest_hair("person_1") > 20 and lowest_hair("person_3") > 20
    assert lowest_hair("person_2") < -40 and lowest_hair("astronaut") < 0


def test_outside_of_the_photo_is_background(analyser, people):
    person = people["person_3"]
    top = int(person.face.box[1])
    cut = Photo(np.ascontiguousarray(person.photo.pixels[top:]))
    face = analyser.face_analysis.faces(cut)[0]
    parsing = analyser.face_parser.parse(cut, face)
    above = int(parsing.photo_to_crop[1, 2]) - 2  # row of the photo's upper edge
    assert above > 50
    assert (parsing.labels[: above - 8] == 0).all()


def test_framing_follows_the_face(people):
    face = people["person_1"].face
    matrix = head_framing(face)
    linear, offset = matrix[:, :2], matrix[:, 2]
    assert linear[0, 0] == pytest.approx(linear[1, 1]) and linear[0, 1] == -linear[1, 0]
    left, right = (face.landmarks[part].mean(0) for part in (slice(33, 43), slice(87, 97)))
    across = linear @ (right - left)
    assert abs(across[1]) < 0.1 * across[0]  # upright
    assert 0.13 < across[0] / CROP_SIZE < 0.25
    eyes = linear @ ((left + right) / 2) + offset
    assert abs(eyes[0] - CROP_SIZE / 2) < 30


def test_rolled_photo_gives_the_same_masks(analyser, people):
    import cv2

    person = people["person_2"]
    width, height = person.photo.size
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), 20, 0.9)
    rolled = Photo(cv2.warpAffine(person.photo.pixels, turn, (width, height)))
    face = analyser.face_analysis.faces(rolled)[0]
    labels = analyser.face_parser.parse(rolled, face).labels
    inside = np.s_[120:400, 120:400]
    assert (labels == person.identity.parsing.labels)[inside].mean() > 0.9


def test_network_shapes_and_scale():
    network = BiSeNet(19).eval()
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(13.2e6, rel=0.02)
    with torch.inference_mode():
        assert network(torch.zeros(2, 3, 64, 96)).shape == (2, 19, 8, 12)


def test_missing_weights(tmp_path, monkeypatch):
    monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match="manifest.json is missing"):
        FaceParser()
