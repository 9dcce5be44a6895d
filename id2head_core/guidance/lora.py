"""Low-rank changes of the self-attention's projections: ``Q' = X W_Q + X dW_Q``, K and V alike.

Hu et al. 2021; the base is left as it is, and ``dW`` starts at zero.
"""

import torch
from torch import nn

from .decoupled_attention import attention, finished, flattened, projected, projection


class LoraAttnProcessor(nn.Module):
    """Processor of one self-attention layer.

    Args:
        hidden_dim: of the layer's input.
        inner_dim: of queries, keys and values, all heads.
        rank: of the change.
    """

    def __init__(self, hidden_dim: int, inner_dim: int, *, rank: int):
        super().__init__()
        self.scale = 1.0
        self.to_q, self.to_k, self.to_v = (
            projection(hidden_dim, inner_dim, rank, zero=True) for _ in range(3)
        )

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
        """Self-attention of ``hidden_states``; the other tokens are not looked at."""
        residual, shape = hidden_states, hidden_states.shape
        hidden_states = flattened(attn, hidden_states, temb)
        query = self._changed(attn.to_q, self.to_q, hidden_states)
        key = self._changed(attn.to_k, self.to_k, hidden_states)
        value = self._changed(attn.to_v, self.to_v, hidden_states)
        return finished(attn, attention(attn, query, key, value, attention_mask), residual, shape)

    def _changed(self, base: nn.Module, change: nn.Module, x: torch.Tensor) -> torch.Tensor:
        """``x W + scale x dW``."""
        plain = base(x)
        return plain if self.scale == 0 else plain + self.scale * projected(change, x, plain)
