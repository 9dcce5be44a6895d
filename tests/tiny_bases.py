"""Stable Diffusion 1.5's folder layout with small random networks."""

import json
from pathlib import Path

import torch

LETTERS = "abcdefghijklmnopqrstuvwxyz,"
SPECIAL = ("<|startoftext|>", "<|endoftext|>")


def write_clip_tokenizer(folder: Path) -> int:
    """A CLIP tokenizer that knows single letters and the word "ab"; the size of its vocabulary."""
    words = [*LETTERS, *(f"{letter}</w>" for letter in LETTERS), "ab</w>", *SPECIAL]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\na b</w>\n")
    start, end = SPECIAL
    config = {"tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "bos_token": start,
              "eos_token": end, "unk_token": end, "pad_token": end}  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return len(words)


def write_tiny_sd(folder: Path) -> None:
    """A folder of Stable Diffusion 1.5's layout with small random networks, 32 x 32 pixels."""
    from diffusers import AutoencoderKL, PNDMScheduler, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        unet = UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            cross_attention_dim=32,
            attention_head_dim=4,
            norm_num_groups=8,
        )
        vae = AutoencoderKL(
            block_out_channels=(8, 16),
            down_block_types=("DownEncoderBlock2D",) * 2,
            up_block_types=("UpDecoderBlock2D",) * 2,
            latent_channels=4,
            norm_num_groups=4,
            sample_size=32,
        )
        vocabulary = write_clip_tokenizer(folder / "tokenizer")
        size = {"hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 2}
        text = CLIPTextModel(
            CLIPTextConfig(
                vocab_size=vocabulary, num_hidden_layers=2, bos_token_id=vocabulary - 2,
                eos_token_id=vocabulary - 1, pad_token_id=vocabulary - 1, **size,
            )
        )  # fmt: skip
    parts = {"unet": unet, "vae": vae, "text_encoder": text}
    parts["scheduler"] = PNDMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", steps_offset=1,
        skip_prk_steps=True, set_alpha_to_one=False,
    )  # fmt: skip
    for name, part in parts.items():
        part.save_pretrained(folder / name)
    index = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.42.1",
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "requires_safety_checker": False,
        "safety_checker": [None, None],
        "scheduler": ["diffusers", "PNDMScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index))
