from dataclasses import replace

import numpy as np
import pytest

from id2head_core.config import PipelineConfig
from id2head_core.errors import NoFaceError, OptionError
from id2head_core.structures import Identity, Photo


def test_identity_is_complete(people):
    for person in people.values():
        identity = person.identity
        assert isinstance(identity, Identity)
        assert identity.embedding.shape == (512,)
        assert identity.parsing.probabilities.shape[0] == 19


@pytest.mark.parametrize(
    ("name", "ages", "female"),
    [
        ("person_1", (18, 35), True),
        ("person_2", (20, 40), False),
        ("person_3", (18, 35), True),
        ("astronaut", (25, 45), True),
    ],
)
def test_age_and_gender(people, name, ages, female):
    identity = people[name].identity
    assert ages[0] < identity.age < ages[1]
    assert (identity.gender > 0.9) if female else (identity.gender < 0.1)


def test_demographics_ignore_mirroring(analyser, people):
    person = people["person_2"]
    mirrored = Photo(np.ascontiguousarray(person.photo.pixels[:, ::-1]))
    face = analyser.face_analysis.faces(mirrored)[0]
    age, gender = analyser.demographics.estimate(mirrored, face)
    assert abs(age - person.identity.age) < 3 and abs(gender - person.identity.gender) < 0.05


def test_same_photo_same_identity(analyser, people):
    first, second = people["person_1"].identity, analyser(people["person_1"].photo)
    np.testing.assert_array_equal(first.embedding, second.embedding)
    np.testing.assert_array_equal(first.face.landmarks, second.face.landmarks)
    assert first.age == second.age


def test_index_comes_from_the_call_or_the_config(analyser, people, monkeypatch):
    photo = people["person_1"].photo
    with pytest.raises(OptionError, match="Face 3 was asked for"):
        analyser(photo, face_index=3)
    monkeypatch.setattr(analyser, "config", replace(PipelineConfig(), face_index=2))
    with pytest.raises(OptionError, match="Face 2 was asked for"):
        analyser(photo)
    assert analyser(photo, face_index=0).face.score > 0.5


def test_photo_without_a_face(analyser):
    noise = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    with pytest.raises(NoFaceError, match="No face was found"):
        analyser(Photo(noise))
