import json
import logging
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from id2head_core import weights
from id2head_core.errors import WeightsError
from id2head_core.guidance import text_encoder
from id2head_core.guidance.text_encoder import (
    MINILM_FILES,
    MINILM_FOLDER,
    ClipTextEncoder,
    MiniLMTextEncoder,
)

LONG = "green hair and " * 20


def _refuse(*_):
    raise AssertionError("the encoder reached for the network")


@pytest.fixture(scope="module")
def encoder():
    """MiniLM, loaded where connecting to anything fails."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", _refuse)
        return MiniLMTextEncoder.load()


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """A folder like Stable Diffusion's, with a tiny random CLIP of nine words."""
    from transformers import CLIPTextConfig, CLIPTextModel

    folder = tmp_path_factory.mktemp("sd")
    letters = ["a", "b", "c"]
    words = ["<|startoftext|>", *letters, *(f"{x}</w>" for x in letters), "ab</w>"]
    words.append("<|endoftext|>")  # the largest id, as in CLIP's own vocabulary
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer/vocab.json").write_text(json.dumps({w: i for i, w in enumerate(words)}))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\na b</w>\n")
    size = {"hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
    config = CLIPTextConfig(vocab_size=len(words), num_hidden_layers=2, eos_token_id=2, **size)
    CLIPTextModel(config).save_pretrained(folder / "text_encoder")
    return ClipTextEncoder.load(folder)


@pytest.mark.parametrize("which", ["encoder", "clip"])
def test_many_prompts_at_once_are_what_they_are_alone(which, request, monkeypatch):
    """Of different lengths, in any order, in batches of two."""
    monkeypatch.setattr(text_encoder, "BATCH", 2)
    encode = request.getfixturevalue(which)
    prompts = ["a c", "ab", "c", "a b ab c", "ab", "c c", "b", "a"]
    alone, many = encode(prompts), encode.encode_many(prompts)
    torch.testing.assert_close(many.tokens, alone.tokens, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(many.pooled, alone.pooled, atol=1e-5, rtol=1e-4)
    assert torch.equal(many.mask, alone.mask)


def test_shapes_and_mask(encoder):
    features = encoder(["emerald hair", ""])
    assert features.tokens.shape == (2, 32, encoder.token_dim) == (2, 32, 384)
    assert features.pooled.shape == (2, encoder.pooled_dim) == (2, 384)
    assert features.tokens.dtype == features.pooled.dtype == torch.float32
    assert features.mask.dtype == torch.bool
    # Start, one token per word, end; the empty prompt has start and end.
    assert features.mask.sum(1).tolist() == [4, 2]
    assert features.mask[0, :4].all() and features.mask[1, :2].all()
    assert not features.tokens[~features.mask].any()
    assert features.tokens[features.mask].abs().sum(1).min() > 1
    torch.testing.assert_close(features.pooled.norm(dim=1), torch.ones(2))


def test_similarities_of_the_original(encoder):
    # Cosines of the float32 weights, mean over the attention mask of a padded batch.
    prompts = ["emerald hair", "green hair", "blonde hair", "a bearded man", "a man with a beard"]
    first, green, blonde, bearded, beard = encoder(prompts).pooled
    assert (first @ green).item() == pytest.approx(0.6202, abs=1e-3)
    assert (first @ blonde).item() == pytest.approx(0.5847, abs=1e-3)
    assert (bearded @ beard).item() == pytest.approx(0.9283, abs=1e-3)


@pytest.mark.parametrize(
    "prompt, paraphrase, others",
    [
        ("emerald hair", "green hair", ["blonde hair", "red hair"]),
        ("an elderly woman", "an old woman", ["a young woman", "an old man"]),
        ("a teenager", "a young person", ["an old person"]),
        ("ginger hair", "red hair", ["black hair", "blue hair"]),
        ("golden hair", "blonde hair", ["black hair", "blue hair"]),
        ("a bald man", "a man without hair", ["a man with long hair"]),
        ("a bearded man", "a man with a beard", ["a clean-shaven man"]),
    ],
)
def test_paraphrases_are_nearest(encoder, prompt, paraphrase, others):
    pooled = encoder([prompt, paraphrase, *others]).pooled
    cosines = pooled[1:] @ pooled[0]
    assert cosines.argmax() == 0


def test_a_prompt_does_not_depend_on_its_batch_or_on_the_past(encoder):
    batch = encoder(["a woman", "a man with long grey hair", "a woman"])
    for i, prompt in enumerate(["a woman", "a man with long grey hair", "a woman"]):
        alone = MiniLMTextEncoder(encoder._tokenizer, encoder._network)([prompt])
        assert torch.equal(alone.tokens[0], batch.tokens[i])
        assert torch.equal(alone.pooled[0], batch.pooled[i])
    encoder(["a woman"]).tokens.zero_()
    assert torch.equal(encoder(["a woman"]).tokens[0], batch.tokens[0])


@pytest.mark.parametrize("name", ["encoder", "clip"])
def test_a_prompt_is_encoded_once(name, request, monkeypatch):
    trained = request.getfixturevalue(name)
    calls = []
    forward = trained._network.forward
    count = lambda **inputs: calls.append(1) or forward(**inputs)  # noqa: E731
    monkeypatch.setattr(trained._network, "forward", count)
    trained(["a b", "a b"])
    trained(["a b"])
    assert len(calls) == 1


@pytest.mark.parametrize("name", ["encoder", "clip"])
def test_tokens_can_feed_a_layer_that_is_trained(name, request):
    features = request.getfixturevalue(name)(["ab"])
    assert not features.tokens.requires_grad and not features.pooled.requires_grad
    layer = torch.nn.Linear(features.tokens.shape[-1], 1)
    layer(features.tokens).sum().backward()
    torch.testing.assert_close(layer.weight.grad[0], features.tokens[0].sum(0))


def test_long_prompt_is_cut_with_a_warning(encoder, caplog):
    with caplog.at_level(logging.WARNING):
        features = encoder([LONG])
    assert features.tokens.shape == (1, 32, 384) and features.mask.all()
    assert "has 62 tokens; what goes beyond 32 is ignored" in caplog.text
    caplog.clear()
    fitting = encoder(["green hair and " * 10])  # 30 words
    assert torch.equal(features.tokens, fitting.tokens)
    assert not caplog.text


def test_clip_pads_with_the_end_of_text(clip):
    features = clip(["ab c", ""])
    assert features.tokens.shape == (2, 77, clip.token_dim) == (2, 77, 16)
    assert features.mask.shape == (2, 77) and features.mask.all()
    assert features.tokens.dtype == torch.float32
    # The end of the text comes after start + 2 words, or right after the start.
    assert torch.equal(features.pooled[0], features.tokens[0, 3])
    assert torch.equal(features.pooled[1], features.tokens[1, 1])
    assert torch.equal(features.tokens[0, 0], features.tokens[1, 0])  # causal attention


def test_clip_cuts_long_prompts(clip, caplog):
    features = clip(["a " * 100])
    assert features.tokens.shape == (1, 77, 16)
    assert "has 102 tokens; what goes beyond 77 is ignored" in caplog.text
    assert torch.equal(features.pooled[0], features.tokens[0, 76])


def test_folder_of_another_model(tmp_path, weights_dir):
    with pytest.raises(WeightsError, match="has no text_encoder/config.json. Pass the folder of S"):
        ClipTextEncoder.load(tmp_path)
    shutil.copy(weights_dir / MINILM_FOLDER / "config.json", tmp_path)
    with pytest.raises(WeightsError, match="has no model.safetensors. Pass the folder of all-Mini"):
        MiniLMTextEncoder.load(tmp_path)


@pytest.mark.parametrize("name", MINILM_FILES)
def test_every_file_is_verified(name, tmp_path, monkeypatch, weights_dir):
    (tmp_path / MINILM_FOLDER).mkdir(parents=True)
    for each in MINILM_FILES:
        (tmp_path / MINILM_FOLDER / each).symlink_to(weights_dir / MINILM_FOLDER / each)
    shutil.copy(weights_dir / weights.MANIFEST, tmp_path)
    altered = tmp_path / MINILM_FOLDER / name
    altered.unlink()
    altered.write_bytes(b"{}")
    monkeypatch.setenv("ID2HEAD_WEIGHTS", str(tmp_path))
    with pytest.raises(WeightsError, match=f"{name} has 2 bytes instead of"):
        MiniLMTextEncoder.load()


def test_transformers_waits_for_load():
    code = "import sys, id2head_core.guidance.text_encoder; sys.exit('transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
