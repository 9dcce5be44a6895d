"""Tokens made from text, camera and domain."""

import pytest
import torch

from id2head_core.guidance.conditioner import (
    CAMERA_FEATURES,
    TEXT_COMPONENTS,
    Conditioner,
    camera_features,
)

TEXT, DIM, POOLED = 80, 16, 24


@pytest.fixture(scope="module")
def conditioner() -> Conditioner:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Conditioner(TEXT, DIM, POOLED).requires_grad_(False)


def tokens(conditioner, domain=0, camera=(10.0, 5.0, 1.2), seed=0):
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(2, 5, TEXT, generator=generator)
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    sentence = torch.randn(2, TEXT, generator=generator)
    return conditioner.tokens(words, mask, sentence, torch.tensor([camera] * 2), domain)


def test_tokens_come_before_the_words_and_are_never_masked(conditioner):
    made, mask, pooled = tokens(conditioner)
    assert made.shape == (2, 9, DIM) and pooled.shape == (2, POOLED)
    assert mask.dtype == torch.bool and mask.sum(1).tolist() == [9, 6]
    assert mask[:, :4].all() and not mask[1, 6:].any()


def test_each_input_has_tokens_of_its_own_and_reaches_the_vector(conditioner):
    first, _, pooled = tokens(conditioner)
    for changed, rows in (
        ({"camera": (30.0, 5.0, 1.2)}, [2]), ({"camera": (10.0, 5.0, 1.9)}, [2]),
        ({"camera": (10.0, 25.0, 1.2)}, [2]), ({"domain": 1}, [3]),
        ({"seed": 1}, [0, 1, 4, 5, 6, 7, 8]),
    ):  # fmt: skip
        second, _, other = tokens(conditioner, **changed)
        differing = (first != second).any(2).all(0).nonzero().flatten().tolist()
        assert differing == rows
        assert (pooled != other).any(1).all()


def test_camera_features_are_smooth_around_the_head():
    cameras = torch.tensor([[180.0, 10, 1.3], [-180.0, 10, 1.3], [179.0, 10, 1.3], [0, 10, 1.3]])
    features = camera_features(cameras)
    assert features.shape == (4, CAMERA_FEATURES)
    torch.testing.assert_close(features[0], features[1], atol=1e-5, rtol=0)
    assert (features[0] - features[2]).abs().max() < 0.1
    assert (features[0] - features[3]).abs().max() > 1


def test_sentences_are_whitened_and_outliers_bounded():
    conditioner = Conditioner(TEXT, DIM, POOLED).requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    spread = torch.linspace(1, 0.3, TEXT)
    sentences = torch.randn(2000, TEXT, generator=generator) * spread + 3
    conditioner.set_text_whitening(sentences)
    white = (sentences - conditioner.text_mean) @ conditioner.text_whitening
    assert white.shape == (2000, TEXT_COMPONENTS)
    torch.testing.assert_close(white.std(0), torch.ones(TEXT_COMPONENTS), atol=0.02, rtol=0)
    words, mask = torch.zeros(2, 1, TEXT), torch.ones(2, 1, dtype=torch.bool)
    far = torch.stack([sentences[0] * 1e3, sentences[0] * 1e5])
    made = conditioner.tokens(words, mask, far, torch.zeros(2, 3), 0)[0]
    torch.testing.assert_close(made[0], made[1])
