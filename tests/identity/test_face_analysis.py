import warnings

import numpy as np
import pytest

from id2head_core import weights
from id2head_core.errors import NoFaceError, OptionError, SeveralFacesError, WeightsError
from id2head_core.identity import face_analysis
from id2head_core.identity.face_analysis import FaceAnalysis, similarity
from id2head_core.identity.photo import decode
from id2head_core.structures import Photo


def half_size(pixels):
    return np.ascontiguousarray(pixels[::2, ::2])


def side_by_side(people, *names, sizes=None) -> Photo:
    """The named selfies next to each other on grey, each ``384 * size`` pixels high."""
    tiles = []
    for index, name in enumerate(names):
        pixels = people[name].photo.pixels
        step = 2 if sizes is None else sizes[index]
        tile = pixels[::step, ::step]
        tiles.append(np.pad(tile, ((0, 400 - len(tile)), (20, 20), (0, 0)), constant_values=128))
    return Photo(np.ascontiguousarray(np.hstack(tiles)))


def test_structure_of_a_face(people):
    for name, person in people.items():
        face, (width, height) = person.face, person.photo.size
        assert face.box.shape == (4,) and face.keypoints.shape == (5, 2), name
        assert face.landmarks.shape == (106, 2) and face.landmark_spread.shape == (106,)
        arrays = face.box, face.keypoints, face.landmarks, face.landmark_spread
        assert all(array.dtype == np.float32 for array in arrays)
        assert 0.5 < face.score <= 1
        left_eye, right_eye, nose, left_mouth, right_mouth = face.keypoints
        assert left_eye[0] < nose[0] < right_eye[0] and left_mouth[0] < right_mouth[0]
        assert left_eye[1] < nose[1] < left_mouth[1]
        assert (face.landmarks > -0.1 * width).all()
        assert (face.landmarks < 1.1 * max(width, height)).all()


def test_landmarks_agree_with_keypoints_and_with_themselves(people):
    for name, person in people.items():
        face = person.face
        eye_distance = np.hypot(*(face.keypoints[1] - face.keypoints[0]))
        pairs = ((slice(33, 43), 0), (slice(87, 97), 1), (slice(86, 87), 2))
        for part, keypoint in pairs:
            error = face.landmarks[part].mean(0) - face.keypoints[keypoint]
            assert np.hypot(*error) < 0.2 * eye_distance, (name, keypoint)
        assert face.landmark_spread.mean() < 0.03 * eye_distance
        assert face.landmark_spread.min() > 0


def test_face_moves_with_the_photo(analyser, people):
    person = people["person_3"]
    shifted = Photo(np.pad(person.photo.pixels, ((30, 0), (50, 0), (0, 0)), mode="edge"))
    face = analyser.face_analysis.choose(shifted, analyser.face_analysis.faces(shifted))
    error = face.landmarks - person.face.landmarks - (50, 30)
    assert np.abs(error).mean() < 0.02 * (face.box[3] - face.box[1])


def test_face_that_fills_the_picture_is_found(analyser, people):
    person = people["person_3"]
    left, top, right, bottom = person.face.box.astype(int)
    crop = Photo(np.ascontiguousarray(person.photo.pixels[top + 40 : bottom - 10, left:right]))
    assert len(analyser.face_analysis.faces(crop)) == 1


def test_no_face(analyser):
    flat = Photo(np.full((300, 200, 3), 120, np.uint8))
    with pytest.raises(NoFaceError, match=r"No face was found in this photo \(200 x 300 pixels\)"):
        analyser.face_analysis.choose(flat, analyser.face_analysis.faces(flat))


@pytest.mark.parametrize(("turns", "advice"), [(1, "right"), (3, "left")])
def test_photo_on_its_side(analyser, people, turns, advice):
    turned = Photo(np.ascontiguousarray(np.rot90(people["person_3"].photo.pixels, turns)))
    message = rf"not upright. Rotate it \({advice}\)|tilted by \d+ degrees"
    with pytest.raises(Exception, match=message):
        analyser(turned)


def test_group_is_ordered_from_the_left_and_needs_a_choice(analyser, people):
    names = ("person_1", "person_2", "person_3")
    photo = side_by_side(people, *names)
    analysis = analyser.face_analysis
    faces = analysis.faces(photo)
    assert len(faces) == 3
    with pytest.raises(SeveralFacesError, match="3 faces of similar size.* 0, 1 or 2") as caught:
        analysis.choose(photo, faces)
    assert [box[0] for box in caught.value.boxes] == sorted(box[0] for box in caught.value.boxes)
    for index, name in enumerate(names):
        face = analysis.choose(photo, faces, index)
        cosine = analysis.embedding(photo, face) @ people[name].identity.embedding
        assert cosine > 0.8, name


def test_clearly_largest_face_is_chosen(analyser, people):
    photo = side_by_side(people, "person_1", "person_3", sizes=(4, 2))
    faces = analyser.face_analysis.faces(photo)
    assert len(faces) == 2
    assert analyser.face_analysis.choose(photo, faces) is faces[1]


def test_index_out_of_range(analyser, people):
    person = people["person_1"]
    for index in (1, -1):
        with pytest.raises(OptionError, match=f"Face {index} was asked for, but the photo has 1"):
            analyser.face_analysis.choose(person.photo, [person.face], index)


def test_embedding_tells_people_apart(people):
    embeddings = np.stack([p.identity.embedding for p in people.values()])
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)
    cosines = embeddings @ embeddings.T
    assert np.abs(cosines - np.eye(4)).max() < 0.35


def test_embedding_survives_a_smaller_mirrored_photo(analyser, people):
    person = people["person_2"]
    small = Photo(half_size(person.photo.pixels[:, ::-1]))
    face = analyser.face_analysis.faces(small)[0]
    cosine = analyser.face_analysis.embedding(small, face) @ person.identity.embedding
    assert cosine > 0.85


def test_similarity_recovers_a_known_motion():
    points = np.random.default_rng(0).normal(size=(5, 2))
    angle, scale, shift = 0.4, 2.5, np.array([3.0, -1.0])
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    matrix = np.array([[c, -s], [s, c]])
    found = similarity(points, points @ matrix.T + shift)
    np.testing.assert_allclose(found, np.hstack([matrix, shift[:, None]]), atol=1e-5)


def test_aligned_crop_equals_insightfaces(analyser, people):
    from insightface.utils.face_align import norm_crop

    for person in people.values():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = norm_crop(person.photo.pixels, person.face.keypoints)
        ours = analyser.face_analysis.aligned(person.photo, person.face)
        assert np.abs(ours.astype(int) - theirs).mean() < 0.05


def test_nothing_is_printed(capfd, selfies):
    analysis = FaceAnalysis()
    analysis.faces(decode(selfies["astronaut"]))
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_larger_models_are_never_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(WeightsError, match="'buffalo_l' are not in .*missing: det_10g.onnx"):
        FaceAnalysis("buffalo_l")
    with pytest.raises(OptionError, match="'huge' are unknown"):
        FaceAnalysis("huge")


def test_larger_models_are_used_from_the_cache(tmp_path, monkeypatch, people):
    """The pack's place and names, with the embedded files in their stead."""
    folder = tmp_path / ".insightface/models/buffalo_l"
    folder.mkdir(parents=True)
    for name, ours in zip(face_analysis.BUFFALO_L, face_analysis.EMBEDDED, strict=True):
        (folder / name).symlink_to(weights.path(f"face/{ours}"))
    monkeypatch.setenv("HOME", str(tmp_path))
    person = people["person_1"]
    embedding = FaceAnalysis("buffalo_l").embedding(person.photo, person.face)
    np.testing.assert_allclose(embedding, person.identity.embedding, atol=1e-5)
