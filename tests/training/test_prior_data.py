"""Shards of training images, and the batches that are made from them."""

import json
from dataclasses import replace
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from id2head_core.errors import OptionError
from id2head_core.expressions import EXPRESSIONS
from id2head_core.guidance.diffusion_prior import DOMAINS, with_camera
from id2head_core.guidance.prior_camera import FACE_ZOOM, prior_camera
from id2head_core.prompts import HAIR_STYLES
from id2head_core.training.prior_data import (
    FACE_WEIGHT,
    FOLD_LOSS_WEIGHT,
    KEPT_TOKENS,
    PriorDataset,
    centred,
    domain_images,
    face_weight,
    finished_shards,
    fold_weight,
    mirrored,
    shard_people,
    text_table,
)
from id2head_core.training.render_dataset import MAPS, View, draw_view
from id2head_core.training.subjects import subjects
from tests.geometry.geometry_oracle import templates
from tests.training.subject_bench import SIZE, SUBJECTS, VIEWS, maker, renderer, write_shards

COUNT = SUBJECTS * VIEWS


@pytest.fixture(scope="module")
def dataset(folder, minilm) -> PriorDataset:
    return PriorDataset(shards_of(folder), minilm)


def shards_of(folder) -> list:
    """Both shards."""
    training, held_out = finished_shards([folder])
    return training + held_out


def test_a_shard_is_the_same_every_time(folder, tmp_path, monkeypatch):
    write_shards(tmp_path, [11], monkeypatch)
    for suffix in ("npy", "npz", "json"):
        first, again = (p / f"shard_0011.{suffix}" for p in (folder, tmp_path))
        assert first.read_bytes() == again.read_bytes()
    assert (folder / "shard_0000.npy").read_bytes() != (folder / "shard_0011.npy").read_bytes()


def test_images_show_heads_on_grey_and_controls_show_the_bare_head(folder):
    maps = np.load(folder / "shard_0000.npy")
    assert maps.shape == (COUNT, MAPS, SIZE, SIZE) and maps.dtype == np.uint8
    numbers = np.load(folder / "shard_0000.npz")
    whole = np.flatnonzero(numbers["camera"][:, 2] == 1)
    assert len(whole)
    for row in whole:
        drawn = [(maps[row, i : i + 3] != 128).any(0) for i in (0, 3, 6, 9)]
        assert not drawn[0][:, 0].any() and not drawn[0][0].any()  # borders
        assert all(0.15 < mask.mean() < 0.6 for mask in drawn)
        assert (drawn[0] & drawn[2]).sum() > 0.95 * drawn[2].sum()  # hair only adds
        inside = cv2.erode(drawn[2].astype(np.uint8), np.ones((3, 3))) > 0
        for first, are_normals in ((0, True), (3, False), (6, True), (9, False)):
            vectors = maps[row, first : first + 3, inside].astype(float) / 127.5 - 1
            lengths = np.linalg.norm(vectors, axis=1)
            assert ((np.abs(lengths - 1) < 0.02).mean() > 0.95) == are_normals


def test_folds_are_in_the_normals_and_not_in_the_control():
    """What the control shows already would not be learned."""
    subject = maker().painted(np.random.default_rng(2))
    grin = np.float32([name == "Grin" for name in EXPRESSIONS])
    views = [View(0.0, 0.0, FACE_ZOOM, grin), View(0.0, 0.0, FACE_ZOOM, 0 * grin)]
    smooth, deep = (
        renderer()(replace(subject, folds=np.full(7, strength, np.float32)), views)[0].astype(int)
        for strength in (0, 1)
    )
    change = np.abs(deep - smooth)
    assert change[0, :3].max() > 40 and not change[:, 6:].any()
    assert not change[1].any()
    skin = (smooth[0, 6:9] != 128).any(0) & (smooth[0, :3] == smooth[0, 6:9]).all(0)
    assert skin.mean() > 0.2  # without folds, bare skin is as in the control
    assert np.abs(deep[0, :3] - deep[0, 12:])[:, skin].max() < 3  # with the deepest, as there


def test_a_shard_says_what_it_shows(folder):
    maker_subjects = [subject for _, subject in subjects(maker(), 0, SUBJECTS, seed=0)]
    numbers = np.load(folder / "shard_0000.npz")
    prompts = json.loads((folder / "shard_0000.json").read_text())
    assert numbers["subject"].tolist() == np.repeat(range(SUBJECTS), VIEWS).tolist()
    assert numbers["embedding"].shape == (SUBJECTS, 512)
    np.testing.assert_allclose(np.linalg.norm(numbers["embedding"], axis=1), 1, atol=1e-5)
    for row, prompt in enumerate(prompts):
        looks = maker_subjects[row // VIEWS].looks
        ways = [way.replace("{c} ", "").split()[-1] for way in HAIR_STYLES[looks.style]]
        assert any(word in prompt for word in ways)
        assert {"man": "woman", "woman": " man "}[looks.gender] not in prompt
    for row, subject in enumerate(maker_subjects):
        assert numbers["age"][row] == pytest.approx(subject.looks.age)
        assert numbers["gender"][row] == (subject.looks.gender == "woman")
        again = renderer().embedding(subject)
        np.testing.assert_allclose(numbers["embedding"][row], again, atol=1e-5)


def test_nobody_is_both_trained_on_and_held_out():
    training = [shard_people(shard, 130, 40) for shard in range(36) if shard % 12 != 11]
    held_out = [shard_people(shard, 130, 40) for shard in (11, 23, 35)]
    assert set(sum(held_out, [])) == set(range(11, 130, 12))
    assert set(sum(training, [])) == set(range(130)) - set(range(11, 130, 12))
    counts = np.bincount(sum(training, []))
    assert counts[counts > 0].max() - counts[counts > 0].min() <= 1  # all appear equally often
    assert shard_people(11, 5, 7) == [0, 1, 2, 3, 4, 0, 1]  # too few to hold any of them out
    assert shard_people(0, 0, 40) == []


def test_views_cover_the_sphere_and_all_expressions():
    generator = np.random.default_rng(0)
    views = [draw_view(generator) for _ in range(1500)]
    yaws, zooms = (np.array([getattr(v, name) for v in views]) for name in ("yaw", "zoom"))
    close = zooms >= 1.5
    assert 0.35 < close.mean() < 0.45 and zooms.min() == 1 and zooms.max() <= FACE_ZOOM
    assert np.abs(yaws[close]).max() <= 75
    assert (np.histogram(yaws[~close], bins=8, range=(-180, 180))[0] > 40).all()
    assert all(-20 <= view.pitch <= 30 for view in views)
    counts = np.array([(view.expression > 0).sum() for view in views])
    assert 0.17 < (counts == 0).mean() < 0.27 and 0.13 < (counts == 2).mean() < 0.23
    single = np.array([view.expression for view in views])[counts == 1]
    assert (single.max(1) == 1).all() and (single.sum(0) > 30).all()


def test_face_boxes_hold_the_face_and_are_empty_from_behind():
    template = templates()[0]
    boxes = [renderer()._face_box(template.mean, prior_camera(yaw, 0, 1.0), yaw)
             for yaw in (0, 79, 81, 180, -285, 645)]  # fmt: skip
    left, top, right, bottom = boxes[0]
    assert left + right == pytest.approx(SIZE, abs=0.2) and 0 < left < right < SIZE
    mouth = template.mean[template.regions["lips"] > 0.5]
    pixels = prior_camera(0).pixels(mouth, SIZE, SIZE)
    assert (pixels[:, 1] > top).all() and (pixels[:, 1] < bottom).all()
    assert boxes[1].any() and not boxes[2].any() and not boxes[3].any()
    assert boxes[4].any() and boxes[5].any()  # 75 degrees to either side


def test_a_batch_is_what_the_shards_hold(folder, dataset):
    assert len(dataset) == 2 * COUNT
    maps, numbers = (
        [np.load(folder / f"shard_{k:04d}.{suffix}") for k in (0, 11)] for suffix in ("npy", "npz")
    )
    batch = dataset.__getitems__([1, COUNT + 5])
    np.testing.assert_allclose(batch["maps"][0] * 255, maps[0][1], atol=1e-4)
    np.testing.assert_allclose(batch["maps"][1] * 255, maps[1][5], atol=1e-4)
    np.testing.assert_array_equal(batch["camera"][1], numbers[1]["camera"][5])
    np.testing.assert_array_equal(batch["expression"][1], numbers[1]["expression"][5])
    raw = numbers[1]["embedding"][5 // VIEWS]  # too few subjects to be centred
    np.testing.assert_allclose(batch["embedding"][1], raw, atol=1e-6)
    for i, domain in enumerate(DOMAINS):
        images = domain_images(batch, domain, SIZE)
        assert torch.equal(images, batch["maps"][:, 3 * i : 3 * i + 3])
        double = domain_images(batch, domain, 2 * SIZE)
        assert double.shape == (2, 3, 2 * SIZE, 2 * SIZE)
        pooled = torch.nn.functional.avg_pool2d(double, 2)
        assert (pooled - images).abs().mean() < 0.02


def test_texts_are_the_prompts_with_their_camera(dataset, minilm):
    for index in (0, COUNT + 4):
        batch = dataset.__getitems__([index])
        camera = batch["camera"][0].tolist()
        for row, prompt in (("text_row", dataset.prompts[index]), ("blank_row", "")):
            text = minilm([with_camera(prompt, camera)])
            number = int(batch[row])
            kept = dataset.text.tokens[number].float()
            torch.testing.assert_close(kept, text.tokens[0, :KEPT_TOKENS], atol=5e-3, rtol=2e-3)
            assert torch.equal(dataset.text.mask[number], text.mask[0, :KEPT_TOKENS])
            torch.testing.assert_close(dataset.text.pooled[number], text.pooled[0])


class OtherEncoder:
    """Knows nothing but its size; counts what it is asked."""

    token_dim = pooled_dim = 8

    def __init__(self):
        self.asked = 0

    def encode_many(self, prompts):
        self.asked += len(prompts)
        from id2head_core.guidance.text_encoder import TextFeatures

        ones = torch.ones(len(prompts), 77, dtype=torch.bool)
        return TextFeatures(torch.zeros(len(prompts), 77, 8), ones, torch.zeros(len(prompts), 8))


def test_texts_are_encoded_once_per_encoder(folder, dataset, minilm):
    shards = shards_of(folder)

    class Forgetful(OtherEncoder):
        token_dim = pooled_dim = 384

    forgetful = Forgetful()
    again = PriorDataset(shards, forgetful)
    assert forgetful.asked == 0 and torch.equal(again.text.tokens, dataset.text.tokens)
    other = OtherEncoder()
    assert PriorDataset(shards, other).text.pooled.shape[1] == 8 and other.asked > 0
    torch.testing.assert_close(PriorDataset(shards, minilm).text.pooled, dataset.text.pooled)


def test_a_text_table_encodes_only_what_is_new(tmp_path, minilm):
    asked = []

    def encode_many(prompts):
        asked.extend(prompts)
        return minilm.encode_many(prompts)

    encoder = SimpleNamespace(encode_many=encode_many, pooled_dim=minilm.pooled_dim)
    first, then = ["a woman", "a man, front view"], ["an old man", "a man, front view"]
    text_table(first, encoder, tmp_path / "texts.pt")
    table = text_table(then, encoder, tmp_path / "texts.pt")
    assert asked == [*first, "an old man"]
    torch.testing.assert_close(table.pooled, minilm(then).pooled)
    again = text_table(first, encoder, tmp_path / "texts.pt")
    torch.testing.assert_close(again.pooled, minilm(first).pooled)
    assert len(asked) == 3 and [f.name for f in tmp_path.iterdir()] == ["texts.pt"]


def test_embeddings_are_centred_by_domain_and_of_unit_norm():
    generator = np.random.default_rng(0)
    rendered = np.arange(400) < 200
    offset = np.where(rendered[:, None], *generator.normal(size=(2, 512)) * 1.5)
    raw = generator.normal(size=(400, 512)) + offset
    raw /= np.linalg.norm(raw, axis=1, keepdims=True)
    out = centred(raw.astype(np.float32), rendered)
    np.testing.assert_allclose(np.linalg.norm(out, axis=1), 1, atol=1e-5)
    for chosen in (rendered, ~rendered):
        assert np.linalg.norm(raw[chosen].mean(0)) > 0.7
        assert np.linalg.norm(out[chosen].mean(0)) < 0.1
    few = centred(raw[190:210].astype(np.float32), rendered[190:210])
    np.testing.assert_allclose(few, raw[190:210], atol=1e-6)


def test_mirroring_twice_changes_nothing_and_once_the_chosen_only(dataset):
    batch = dataset.__getitems__(list(range(6)))
    flip = torch.tensor([True, False] * 3)
    once = mirrored(batch, flip)
    twice = mirrored(once, flip)
    for name, value in batch.items():
        torch.testing.assert_close(twice[name], value, atol=1e-6, rtol=0)
        assert torch.equal(once[name][1::2], value[1::2])
    assert torch.equal(once["camera"][::2, 0], -batch["camera"][::2, 0])
    assert torch.equal(once["camera"][:, 1:], batch["camera"][:, 1:])
    x, y = batch["maps"][0, 0].flip(1), batch["maps"][0, 1].flip(1)
    torch.testing.assert_close(once["maps"][0, 0], 1 - x)
    assert torch.equal(once["maps"][0, 1], y)
    assert torch.equal(once["face_weight"][0], batch["face_weight"][0].flip(2))


def test_mirroring_is_what_a_mirrored_camera_sees():
    """The mean head is symmetric; its control maps stand for all maps."""
    mean, control = templates()[0].mean, renderer().control
    views = [torch.from_numpy(control(mean, prior_camera(yaw, 8, 1.4))) for yaw in (50, -50)]
    maps = [torch.cat([view, view, view[:3]])[None] for view in views]
    plain = torch.ones(1, 1, SIZE, SIZE)
    batch = {"maps": maps[0], "face_weight": plain, "fold_weight": plain,
             "camera": torch.tensor([[50.0, 8.0, 1.4]])}  # fmt: skip
    flipped = mirrored(batch, torch.tensor([True]))
    assert flipped["camera"].tolist() == [[-50, 8, pytest.approx(1.4)]]
    difference = (flipped["maps"] - maps[1]).abs().mean((0, 2, 3))
    assert difference.max() < 0.01
    assert (maps[0] - maps[1]).abs().mean() > 0.05


def test_batches_of_another_device_are_mirrored_there():
    batch = {"maps": torch.rand(2, MAPS, 4, 4), "face_weight": torch.ones(2, 1, 4, 4),
             "fold_weight": torch.ones(2, 1, 4, 4), "camera": torch.zeros(2, 3)}  # fmt: skip
    batch = {name: value.to("meta") for name, value in batch.items()}
    flip = torch.tensor([True, False], device="meta")
    assert all(value.is_meta for value in mirrored(batch, flip).values())


def test_the_face_weighs_three_times_and_the_mean_is_one():
    boxes = torch.tensor([[4.0, 8, 20, 24], [0, 0, 0, 0], [0, 0, 32, 32]])
    weight = face_weight(boxes, 32)
    assert weight.shape == (3, 1, 32, 32)
    torch.testing.assert_close(weight.mean((1, 2, 3)), torch.ones(3))
    assert weight[0, 0, 8, 4] / weight[0, 0, 7, 4] == pytest.approx(FACE_WEIGHT)
    assert weight[0, 0, 23, 19] / weight[0, 0, 23, 20] == pytest.approx(FACE_WEIGHT)
    assert int((weight[0] > 1).sum()) == 16 * 16
    assert torch.equal(weight[1:], torch.ones(2, 1, 32, 32))


def test_skin_that_may_fold_weighs_more_however_deep_it_folds():
    """Not what rounding changes, and not hair."""
    maps = np.full((1, MAPS, 32, 32), 128, np.uint8)
    maps[0, 13, 10:20, 10:12] += 20  # the deepest fold
    maps[0, 13, 10:20, 12:14] += 1
    weight = fold_weight(maps)
    assert weight.shape == (1, 1, 32, 32)
    assert (weight[0, 0, 10:20, 10:12] == FOLD_LOSS_WEIGHT).all() and int((weight > 1).sum()) == 20
    maps[0, 1, 10:20, 10:12] += 10
    maps[0, 3:6] = 7
    assert torch.equal(fold_weight(maps), weight)
    maps[0, 1, 10:15, 10:12] += 90  # hair over the fold
    assert int((fold_weight(maps) > 1).sum()) == 10


def test_every_twelfth_finished_shard_is_held_out(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, numbers in zip(folders, (range(26), [11]), strict=True):
        folder.mkdir()
        for number in numbers:
            (folder / f"shard_{number:04d}.json").touch()
    (folders[1] / "shard_0003.npy").touch()  # unfinished
    training, held_out = finished_shards(folders)
    names = [(path.parent.name, path.name) for path in held_out]
    assert names == [("a", "shard_0011.npy"), ("a", "shard_0023.npy"), ("b", "shard_0011.npy")]
    assert len(training) == 24 and not set(training) & set(held_out)


def test_no_shard_is_an_error_that_says_how_to_make_one(tmp_path, minilm):
    with pytest.raises(OptionError, match="no finished shard.*render_dataset"):
        PriorDataset(finished_shards([tmp_path])[0], minilm)
