"""Cross-attention with branches of its own for identity and expression.

``At(Q, K_text, V_text) + identity_scale At(Q, K_id, V_id) + expression_scale At(Q, K_exp, V_exp)``
as IP-Adapter (Ye et al. 2023, eq. 5) with two branches. Queries and the text branch belong to the
frozen base; keys and values of the branches are trained.

diffusers hands a processor only those ``cross_attention_kwargs`` that the signature of its
``__call__`` names, and ``nn.Module.__call__`` names none: hence the explicit one.
"""

import torch
import torch.nn.functional as functional
from torch import nn

from ..errors import GuidanceError

BRANCHES = ("identity", "expression")


class DecoupledAttnProcessor(nn.Module):
    """Processor of one cross-attention layer; extra tokens come as ``cross_attention_kwargs``.

    Args:
        token_dim: of the tokens.
        inner_dim: of queries, keys and values, all heads.
        rank: of factorised key and value projections; 0 = full rank.
        zero_init: values start at zero, so that a pretrained base is not disturbed.
    """

    def __init__(self, token_dim: int, inner_dim: int, *, rank: int = 0, zero_init: bool = True):
        super().__init__()
        self.token_dim = token_dim
        self.identity_scale, self.expression_scale = 1.0, 1.0
        for branch in BRANCHES:
            setattr(self, f"to_k_{branch}", projection(token_dim, inner_dim, rank))
            setattr(self, f"to_v_{branch}", projection(token_dim, inner_dim, rank, zero_init))

    def __call__(
        self,
        attn,
        hidden_states: torch.Tensor,
        encoder_hidden_states: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        temb: torch.Tensor | None = None,
        identity_tokens: torch.Tensor | None = None,
        expression_tokens: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Attend; a branch without tokens, or of scale 0, is left out.

        Args:
            attn: the diffusers ``Attention`` layer.
            hidden_states: ``[B, N, C]`` or ``[B, C, H, W]``.
            encoder_hidden_states: text tokens ``[B, L, D]``.
            attention_mask: bias on the text tokens.
            temb: for layers with a spatial norm.
            identity_tokens: ``[B, Li, D]``.
            expression_tokens: ``[B, Le, D]``.

        Raises:
            GuidanceError: the extra tokens do not fit the batch or the branch.
        """
        residual, shape = hidden_states, hidden_states.shape
        hidden_states = flattened(attn, hidden_states, temb)
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        if encoder_hidden_states is not None and attn.norm_cross:
            text = attn.norm_encoder_hidden_states(text)
        query = attn.to_q(hidden_states)
        key, value = attn.to_k(text), attn.to_v(text)
        attended = attention(attn, query, key, value, attention_mask)
        tokens = {"identity": identity_tokens, "expression": expression_tokens}
        for branch, extra in tokens.items():
            scale = getattr(self, f"{branch}_scale")
            if extra is None or scale == 0:
                continue
            wanted = (len(query), extra.shape[1], self.token_dim)
            if tuple(extra.shape) != wanted:
                raise GuidanceError(
                    f"{branch}_tokens has shape {tuple(extra.shape)}. Pass {wanted}."
                )
            key = projected(getattr(self, f"to_k_{branch}"), extra, query)
            value = projected(getattr(self, f"to_v_{branch}"), extra, query)
            attended = attended + scale * attention(attn, query, key, value)
        return finished(attn, attended, residual, shape)


def projection(inputs: int, outputs: int, rank: int, zero: bool = False) -> nn.Module:
    """Linear map without bias, perhaps of low rank, perhaps starting at zero."""
    if rank:
        first, last = nn.Linear(inputs, rank, bias=False), nn.Linear(rank, outputs, bias=False)
        layer: nn.Module = nn.Sequential(first, last)
    else:
        layer = last = nn.Linear(inputs, outputs, bias=False)
    if zero:
        nn.init.zeros_(last.weight)
    return layer


def projected(layer: nn.Module, x: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """``layer(x)``, computed in the adapter's precision and returned in the base's."""
    return layer(x.to(next(layer.parameters()).dtype)).to(like.dtype)


def flattened(attn, hidden_states: torch.Tensor, temb: torch.Tensor | None) -> torch.Tensor:
    """Normalised layer input, ``[B, N, C]``."""
    if attn.spatial_norm is not None:
        hidden_states = attn.spatial_norm(hidden_states, temb)
    if hidden_states.ndim == 4:
        hidden_states = hidden_states.flatten(2).transpose(1, 2)
    if attn.group_norm is not None:
        hidden_states = attn.group_norm(hidden_states.transpose(1, 2)).transpose(1, 2)
    return hidden_states


def attention(
    attn,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Scaled dot-product attention of ``[B, N, C]`` by heads; ``mask`` is a bias on the keys."""
    batch, heads = len(query), attn.heads
    if mask is not None:
        mask = attn.prepare_attention_mask(mask, key.shape[1], batch)
        mask = mask.view(batch, heads, -1, mask.shape[-1])
    query, key, value = (
        t.view(batch, t.shape[1], heads, -1).transpose(1, 2) for t in (query, key, value)
    )
    if attn.norm_q is not None:
        query = attn.norm_q(query)
    if attn.norm_k is not None:
        key = attn.norm_k(key)
    out = functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return out.transpose(1, 2).flatten(2)


def finished(
    attn, attended: torch.Tensor, residual: torch.Tensor, shape: torch.Size
) -> torch.Tensor:
    """Output projection, dropout, residual connection and rescaling of the layer."""
    out = attn.to_out[1](attn.to_out[0](attended))
    if len(shape) == 4:
        out = out.transpose(1, 2).reshape(shape)
    if attn.residual_connection:
        out = out + residual
    return out / attn.rescale_output_factor
