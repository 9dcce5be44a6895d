"""One domain's adapter: LoRA on self-attention, decoupled cross-attention, and projectors.

Several adapters share one frozen base: ``attach`` hands the UNet this adapter's processors, and
the UNet never owns their weights.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..errors import GuidanceError, WeightsError
from .decoupled_attention import DecoupledAttnProcessor
from .lora import LoraAttnProcessor

EMBEDDING_DIM, IDENTITY_COMPONENTS, EXPRESSION_COUNT = 512, 64, 13

WIDEST_FULL_RANK = 256
"""Token width up to which branches have full-rank projections; above, ``BRANCH_RANK``."""

BRANCH_RANK = 4
"""Of the branches on a large base: keeps the adapter near 0.2-1 % of it."""


class PriorAdapter(nn.Module):
    """Processors of all attention layers and projectors of identity and expression.

    Args:
        unet: diffusers ``UNet2DConditionModel``; only its shape matters.
        rank: of the LoRA.
        branch_rank: of the branches' projections; 0 = full; None chooses by the width.
        identity_tokens: tokens made from an embedding.
        expression_tokens: tokens made from an expression.
        expression_text_dim: of the descriptors' text embedding.
        zero_init: start without any effect on the base (pretrained bases).
    """

    def __init__(
        self,
        unet,
        *,
        rank: int = 8,
        branch_rank: int | None = None,
        identity_tokens: int = 4,
        expression_tokens: int = 2,
        expression_text_dim: int = 384,
        zero_init: bool = True,
    ):
        super().__init__()
        dim = unet.config.cross_attention_dim
        if branch_rank is None:
            branch_rank = 0 if dim <= WIDEST_FULL_RANK else BRANCH_RANK
        self.shape = {
            "rank": rank,
            "branch_rank": branch_rank,
            "identity_tokens": identity_tokens,
            "expression_tokens": expression_tokens,
            "expression_text_dim": expression_text_dim,
        }
        self.processors = nn.ModuleDict()
        for name, layer in attention_layers(unet).items():
            inner = layer.to_q.out_features
            if name.endswith("attn1"):
                processor = LoraAttnProcessor(layer.to_q.in_features, inner, rank=rank)
            else:
                processor = DecoupledAttnProcessor(
                    dim, inner, rank=branch_rank, zero_init=zero_init
                )
            self.processors[name.replace(".", "/")] = processor
        self.register_buffer("identity_mean", torch.zeros(EMBEDDING_DIM))
        self.register_buffer(
            "identity_whitening", torch.eye(EMBEDDING_DIM)[:, :IDENTITY_COMPONENTS] * 16
        )
        hidden = min(dim, WIDEST_FULL_RANK)
        self.identity = _projector(IDENTITY_COMPONENTS, hidden, identity_tokens * dim)
        self.expression = _projector(
            EXPRESSION_COUNT + expression_text_dim, hidden, expression_tokens * dim
        )
        self.null_identity = nn.Parameter(0.02 * torch.randn(identity_tokens, dim))
        self.null_expression = nn.Parameter(0.02 * torch.randn(expression_tokens, dim))
        self._handles = {
            name.replace("/", "."): _Unregistered(each) for name, each in self.processors.items()
        }

    @property
    def identity_scale(self) -> float:
        """λ_id of all cross-attention layers."""
        return self._branches()[0].identity_scale

    @identity_scale.setter
    def identity_scale(self, scale: float) -> None:
        for processor in self._branches():
            processor.identity_scale = scale

    @property
    def expression_scale(self) -> float:
        """λ_exp of all cross-attention layers."""
        return self._branches()[0].expression_scale

    @expression_scale.setter
    def expression_scale(self, scale: float) -> None:
        for processor in self._branches():
            processor.expression_scale = scale

    def attach(self, unet) -> None:
        """Make ``unet`` use this adapter until another one is attached; cheap.

        Raises:
            GuidanceError: ``unet`` has other attention layers than the adapter was made for.
        """
        layers = attention_layers(unet)
        if other := sorted(layers.keys() ^ self._handles.keys()):
            raise GuidanceError(
                f"The adapter was made for another base: only one of them has {other[0]}. "
                "Use the base that it was trained on."
            )
        for name, layer in layers.items():
            if layer.processor is not self._handles[name]:
                layer.set_processor(self._handles[name])

    def project_identity(self, embedding: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        """Identity tokens ``[B, Li, D]``.

        Args:
            embedding: ArcFace ``[B, 512]``, unit norm.
            known: bool ``[B]``; the learned null tokens are used where False.

        Raises:
            GuidanceError: another shape.
        """
        _check("embedding", embedding, (len(known), EMBEDDING_DIM))
        whitened = ((embedding - self.identity_mean) @ self.identity_whitening).clamp(-4, 4)
        return _tokens(self.identity(whitened), self.null_identity, known)

    def project_expression(
        self, weights: torch.Tensor, text: torch.Tensor, known: torch.Tensor
    ) -> torch.Tensor:
        """Expression tokens ``[B, Le, D]``.

        Args:
            weights: ``[B, 13]``.
            text: blended embedding of the descriptors ``[B, T]``, made of unit vectors.
            known: bool ``[B]``; the learned null tokens are used where False.

        Raises:
            GuidanceError: another shape.
        """
        _check("weights", weights, (len(known), EXPRESSION_COUNT))
        _check("text", text, (len(known), self.shape["expression_text_dim"]))
        projected = self.expression(torch.cat([weights, text], dim=1))
        return _tokens(projected, self.null_expression, known)

    def set_whitening(self, mean: torch.Tensor, matrix: torch.Tensor) -> None:
        """Set centre ``[512]`` and whitening ``[512, 64]`` of the embeddings.

        Raises:
            GuidanceError: another shape.
        """
        _check("mean", mean, tuple(self.identity_mean.shape))
        _check("matrix", matrix, tuple(self.identity_whitening.shape))
        self.identity_mean.copy_(mean)
        self.identity_whitening.copy_(matrix)

    def parameter_share(self, unet) -> float:
        """Trained parameters relative to those of the base."""
        own = sum(p.numel() for p in self.parameters())
        return own / sum(p.numel() for p in unet.parameters())

    def save(self, path: Path) -> None:
        """Write float32 safetensors; the shape is in the header."""
        state = {k: v.detach().float().cpu().contiguous() for k, v in self.state_dict().items()}
        facts = {**self.shape, "identity_scale": self.identity_scale,
                 "expression_scale": self.expression_scale}  # fmt: skip
        save_file(state, path, metadata={"adapter": json.dumps(facts)})

    @classmethod
    def load(cls, unet, path: Path) -> "PriorAdapter":
        """Read an adapter for a base of the same shape.

        Raises:
            WeightsError: the file is missing or damaged, or no adapter, or one of another base.
        """
        if not Path(path).is_file():
            raise WeightsError(f"{path} is missing. Train it, or restore it with git checkout.")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as error:
            raise WeightsError(f"{path} is damaged ({error}). Restore it.") from error
        if "adapter" not in metadata:
            raise WeightsError(f"{path} is not an adapter of a prior. Pass one of train_prior.")
        facts = json.loads(metadata["adapter"])
        scales = facts.pop("identity_scale"), facts.pop("expression_scale")
        adapter = cls(unet, **facts)
        try:
            adapter.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip()
            raise WeightsError(
                f"{path} does not fit this base ({reason}). Train an adapter for it."
            ) from error
        adapter.identity_scale, adapter.expression_scale = scales
        return adapter

    def _branches(self) -> list[DecoupledAttnProcessor]:
        return [p for p in self.processors.values() if isinstance(p, DecoupledAttnProcessor)]


class _Unregistered:
    """Calls a processor without becoming a submodule of the layer that it is handed to."""

    def __init__(self, module: nn.Module):
        self._module = module

    def __call__(
        self,
        attn,
        hidden_states,
        encoder_hidden_states=None,
        attention_mask=None,
        temb=None,
        identity_tokens=None,
        expression_tokens=None,
    ):
        return self._module(
            attn, hidden_states, encoder_hidden_states, attention_mask, temb, identity_tokens,
            expression_tokens,
        )  # fmt: skip


def attention_layers(unet) -> dict[str, nn.Module]:
    """Self- (``attn1``) and cross-attention (``attn2``) layers of the transformer blocks."""
    named = unet.named_modules()
    return {name: layer for name, layer in named if name.endswith((".attn1", ".attn2"))}


def whitening_of(
    samples: torch.Tensor, components: int = IDENTITY_COMPONENTS
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean ``[D]`` and matrix ``[D, components]`` that whiten ``samples [N, D]`` (PCA)."""
    mean = samples.mean(0)
    _, deviations, axes = torch.linalg.svd(samples - mean, full_matrices=False)
    count = min(components, len(deviations))
    spread = deviations[:count] / max(1, len(samples) - 1) ** 0.5
    matrix = samples.new_zeros(samples.shape[1], components)
    matrix[:, :count] = axes[:count].T / spread.clamp(min=1e-2 * float(spread[0]))
    return mean, matrix


def _check(name: str, value: torch.Tensor, shape: tuple[int, ...]) -> None:
    """Raise GuidanceError unless ``value`` has this shape."""
    if tuple(value.shape) != shape:
        raise GuidanceError(f"{name} has shape {tuple(value.shape)}. Pass {shape}.")


def _tokens(projected: torch.Tensor, null: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """``[B, n D]`` to tokens ``[B, n, D]`` of unit scale, null tokens where not known."""
    tokens = projected.view(len(projected), *null.shape)
    tokens = nn.functional.layer_norm(tokens, tokens.shape[-1:])
    return torch.where(known[:, None, None], tokens, null.to(tokens.dtype))


def _projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.SiLU(), nn.Linear(hidden, outputs))
