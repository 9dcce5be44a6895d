"""theta_a = {k_a, Psi_a}: texture codes of neutral and the 13 expressions, and their transformer.

Psi_a turns each code into a coarse map of log gains on the skin's albedo (linear RGB): neutral's
map belongs to the head, an expression's map is what it adds to neutral's, such as redness. All
codes attend to each other, so what one expression learns is offered to the others. The last layer
starts at zero: every expression then shows the projected texture.

A glTF head has one albedo texture, hence the export carries neutral's map only; the expressions'
maps are used in renders while optimising and are kept in the state of the head.
"""

import torch
from torch import nn

from ..expressions import EXPRESSIONS

MAP_SIZE = 16
"""Side of the maps."""

EXPRESSION_CAP = 0.35
"""Largest log gain of a map."""


class AlbedoTransformer(nn.Module):
    """Codes and transformer.

    Args:
        generator: of the initial codes and weights.
        code_size: length of a code.
        layers: of the transformer.
    """

    def __init__(self, generator: torch.Generator, code_size: int = 32, layers: int = 2):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.codes = nn.Parameter(torch.randn(len(EXPRESSIONS) + 1, code_size))  # k_a
            self.layers = nn.TransformerEncoder(
                nn.TransformerEncoderLayer(
                    code_size, 4, 2 * code_size, dropout=0.0, activation="gelu",
                    batch_first=True, norm_first=True,
                ),
                layers,
                norm=nn.LayerNorm(code_size),
                enable_nested_tensor=False,
            )  # fmt: skip
            self.to_map = nn.Linear(code_size, 3 * MAP_SIZE * MAP_SIZE)
        nn.init.zeros_(self.to_map.weight)
        nn.init.zeros_(self.to_map.bias)

    def forward(self) -> torch.Tensor:
        """Log gains ``[14, 3, 16, 16]``: neutral first, then the expressions on top of it."""
        tokens = self.layers(self.codes[None])[0]  # [14, D]
        maps = self.to_map(tokens).view(-1, 3, MAP_SIZE, MAP_SIZE)
        return EXPRESSION_CAP * torch.tanh(maps / EXPRESSION_CAP)
