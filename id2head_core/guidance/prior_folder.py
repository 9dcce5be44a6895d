"""Make, save and load priors; the layout is diffusers'.

``weights/prior/``: ``unet/``, ``scheduler/``, ``text_encoder/``, ``conditioner.safetensors``,
``geometry.safetensors``, ``texture.safetensors`` and ``prior.json``. A Stable Diffusion 1.5 folder
has no conditioner, and its adapters lie in a folder of their own.
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from .. import weights
from ..errors import GuidanceError, WeightsError
from .adapter import PriorAdapter
from .conditioner import Conditioner
from .diffusion_prior import CONTROL_CHANNELS, DOMAINS, DiffusionPrior
from .latent_codec import SpaceToDepth, VaeCodec
from .text_encoder import ClipTextEncoder, MiniLMTextEncoder

FOLDER = "prior"
"""Of the embedded prior below ``weights/``."""

UNET_FILES = ("unet/config.json", "unet/diffusion_pytorch_model.safetensors")
OTHER_FILES = ("prior.json", "scheduler/scheduler_config.json", "conditioner.safetensors")

RESOLUTION, PATCH = 64, 4
"""Of the embedded prior: side of its images, and of its patches; pixels."""

CHANNELS, TOKEN_DIM, POOLED_DIM = (96, 128, 192), 192, 256
"""Of the embedded base: channels by level, width of its tokens and of the FiLM vector."""

LORA_RANK = 8
"""Of the embedded prior's adapters."""


def embedded_unet(resolution: int = RESOLUTION):
    """A new base on patches of images with control maps (diffusers ``UNet2DConditionModel``)."""
    from diffusers import UNet2DConditionModel

    patch_channels = 3 * PATCH**2
    return UNet2DConditionModel(
        sample_size=resolution // PATCH,
        in_channels=patch_channels + CONTROL_CHANNELS * PATCH**2,
        out_channels=patch_channels + 2 * PATCH**2,  # residual, gate, depth of folds
        block_out_channels=CHANNELS,
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=TOKEN_DIM,
        attention_head_dim=[c // 32 for c in CHANNELS],  # diffusers: the number of heads
        norm_num_groups=16,
        resnet_time_scale_shift="scale_shift",
        class_embed_type="projection",
        projection_class_embeddings_input_dim=POOLED_DIM,
    )


def cosine_scheduler():
    """Noise schedule of the embedded base: cosine, predicts the clean image."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2", prediction_type="sample", clip_sample=False
    )


def new_prior(
    text_encoder: MiniLMTextEncoder, *, resolution: int = RESOLUTION, seed: int = 0
) -> DiffusionPrior:
    """An untrained embedded prior; equal seeds give equal weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # diffusers draws its initial weights from the global generator
        unet = embedded_unet(resolution)
        conditioner = Conditioner(text_encoder.pooled_dim, TOKEN_DIM, POOLED_DIM)
        adapters = {
            domain: PriorAdapter(
                unet, rank=LORA_RANK, expression_text_dim=text_encoder.pooled_dim, zero_init=False
            )
            for domain in DOMAINS
        }
    return DiffusionPrior(
        unet,
        SpaceToDepth(PATCH),
        cosine_scheduler().alphas_cumprod,
        text_encoder,
        adapters,
        resolution=resolution,
        conditioner=conditioner,
    )


def save_prior(prior: DiffusionPrior, folder: Path, about: dict, *, half: bool = True) -> None:
    """Write an embedded prior.

    Args:
        prior: with a conditioner.
        folder: is made if missing.
        about: JSON-serialisable facts of the training, for ``prior.json``.
        half: store float16 (inference) instead of float32.
    """
    dtype = torch.float16 if half else torch.float32
    (folder / "unet").mkdir(parents=True, exist_ok=True)
    prior.unet.save_config(folder / "unet")
    _save(_base_state(prior.unet), folder / UNET_FILES[1], dtype)
    _save(prior.conditioner.state_dict(), folder / "conditioner.safetensors", dtype)
    for domain, adapter in prior.adapters.items():
        adapter.save(folder / f"{domain}.safetensors")
    cosine_scheduler().save_pretrained(folder / "scheduler")
    facts = {"resolution": prior.resolution, "patch": prior.codec.patch, **about}
    (folder / "prior.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def load_prior(folder: Path | None = None, text_encoder=None) -> DiffusionPrior:
    """The embedded prior, float32, frozen.

    Args:
        folder: as ``save_prior`` wrote it; None for the shipped one (checksums are verified).
        text_encoder: shares a loaded one; None loads MiniLM.

    Raises:
        WeightsError: a file is missing or altered.
    """
    from diffusers import DDIMScheduler, UNet2DConditionModel

    names = (*UNET_FILES, *OTHER_FILES, *(f"{domain}.safetensors" for domain in DOMAINS))
    if folder is None:
        folder = [weights.path(f"{FOLDER}/{name}") for name in names][2].parent
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise WeightsError(
            f"{folder} has no {missing[0]}. Train a prior: "
            "python -m id2head_core.training.train_prior --help"
        )
    facts = json.loads((folder / "prior.json").read_text())
    unet = UNet2DConditionModel.from_config(
        UNet2DConditionModel.load_config(folder / "unet" / "config.json")
    )
    _load(unet, folder / UNET_FILES[1])
    text_encoder = text_encoder or MiniLMTextEncoder.load()
    conditioner = Conditioner(text_encoder.pooled_dim, TOKEN_DIM, POOLED_DIM)
    _load(conditioner, folder / "conditioner.safetensors")
    scheduler = DDIMScheduler.from_pretrained(folder / "scheduler")
    adapters = {d: PriorAdapter.load(unet, folder / f"{d}.safetensors") for d in DOMAINS}
    prior = DiffusionPrior(
        unet,
        SpaceToDepth(facts["patch"]),
        scheduler.alphas_cumprod,
        text_encoder,
        adapters,
        resolution=facts["resolution"],
        conditioner=conditioner,
    )
    return frozen(prior)


def load_stable_diffusion(
    base: Path,
    adapters: Path | None = None,
    *,
    rank: int = 8,
    device: str | torch.device = "cpu",
    dtype: torch.dtype = torch.float32,
    resolution: int | None = None,
) -> DiffusionPrior:
    """Stable Diffusion 1.5 as the base.

    Args:
        base: local folder in diffusers' layout.
        adapters: folder with ``geometry.safetensors`` and ``texture.safetensors``; None starts new
            ones that change nothing yet.
        rank: of new adapters.
        device: of all networks.
        dtype: of base and VAE; adapters stay float32.
        resolution: side of the images, pixels; None = what the base was made for.

    Raises:
        GuidanceError: the base does not predict noise.
        WeightsError: the folder is not one of Stable Diffusion.
    """
    from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

    if not (base / "model_index.json").is_file():
        raise WeightsError(
            f"{base} has no model_index.json. Pass a Stable Diffusion 1.5 folder in diffusers' "
            "layout."
        )
    scheduler = DDIMScheduler.from_pretrained(base / "scheduler")
    if scheduler.config.prediction_type != "epsilon":
        raise GuidanceError(
            f"{base} predicts '{scheduler.config.prediction_type}'. Use a base that predicts "
            "'epsilon', such as Stable Diffusion 1.5."
        )
    unet = UNet2DConditionModel.from_pretrained(
        base / "unet", torch_dtype=dtype, low_cpu_mem_usage=False
    ).to(device)
    vae = AutoencoderKL.from_pretrained(
        base / "vae", torch_dtype=dtype, low_cpu_mem_usage=False
    ).to(device)
    text_encoder = ClipTextEncoder.load(base)
    if adapters is None:
        made = {
            d: PriorAdapter(unet, rank=rank, expression_text_dim=text_encoder.pooled_dim)
            for d in DOMAINS
        }
    else:
        made = {d: PriorAdapter.load(unet, adapters / f"{d}.safetensors") for d in DOMAINS}
    factor = 2 ** (len(vae.config.block_out_channels) - 1)
    return DiffusionPrior(
        unet,
        VaeCodec(vae),
        scheduler.alphas_cumprod,
        text_encoder,
        {d: adapter.to(device) for d, adapter in made.items()},
        resolution=resolution or unet.config.sample_size * factor,
        predicts="epsilon",
    )


def frozen(prior: DiffusionPrior) -> DiffusionPrior:
    """The same prior, in evaluation mode and without gradients for its weights."""
    for module in prior.modules().values():
        module.eval().requires_grad_(False)
    return prior


def _base_state(unet) -> dict[str, torch.Tensor]:
    """Weights of the base without those of an attached adapter."""
    return {k: v for k, v in unet.state_dict().items() if ".processor." not in k}


def _save(state: dict[str, torch.Tensor], path: Path, dtype: torch.dtype) -> None:
    save_file({k: v.detach().to("cpu", dtype).contiguous() for k, v in state.items()}, path)


def _load(module: torch.nn.Module, path: Path) -> None:
    state = {k: v.float() for k, v in load_file(path).items()}
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsError(f"{path} does not fit its network: {error}. Restore it.") from error
