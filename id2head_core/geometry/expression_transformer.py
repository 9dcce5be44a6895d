"""k_exp and Psi_g: learned expression codes, and the transformer that turns them into a motion.

The motion of the template, and with it of the tetrahedral grid, is a function of a code::

    f(code) = B (A code + h(code)) + F (s * W A code),   h(code) = cap tanh(psi(code) - psi(0))

B holds the head's 13 expression fields and its 52 facial actions. A reads the first 13 entries of a
code: its fixed *name*, the unit vector of its expression; the other entries are learned. The last
layer of psi starts at zero, so at first f reproduces the template's expressions exactly, and
f(0) = 0 always. No coefficient can leave ``[-cap, cap]`` around its start. The added motion h moves
facing lids and lips alike in proportion to the named expressions that shut them: blinking lids meet
and shut lips stay shut whatever is learned.

F holds the folds of the skin, W how far each named expression folds it, and s in [0, 1] is learned:
how deep this person's folds are, which neither the linear expressions nor a photo at rest tell. It
starts at 0: no folds.
"""

import numpy as np
import torch
from torch import nn

from ..expressions import EXPRESSIONS
from ..template.head_template import HeadTemplate
from .contact import lids_correction, lips_correction, shut_expressions

REGIONS: dict[str, tuple[str, ...]] = {
    "brows": ("brow",),
    "eyes": ("eye",),
    "nose": ("nose",),
    "cheeks": ("cheek",),
    "mouth": ("mouth",),
    "jaw": ("jaw", "tongue"),
}
"""Tokens of the transformer, with the prefixes of the facial actions that are read from each."""

COEFFICIENT_CAP = 0.25
"""Largest learned change of a coefficient; 1 is a full expression or action."""

CODE_NOISE = 0.3
"""Standard deviation of the learned entries of the initial codes."""


class ExpressionTransformer(nn.Module):
    """Codes and transformer of one head; about 85 000 parameters.

    Args:
        template: the head template.
        neutral: ``[N, 3]``, metres.
        generator: of initial codes and weights.
        code_size: L.
        width: of the tokens.
    """

    def __init__(
        self,
        template: HeadTemplate,
        neutral: np.ndarray,
        generator: torch.Generator,
        code_size: int = 32,
        width: int = 64,
    ):
        super().__init__()
        count = len(EXPRESSIONS)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31, (1,), generator=generator)))
            self.learned = nn.Parameter(CODE_NOISE * torch.randn(count, code_size - count))
            self.to_tokens = nn.Linear(code_size, len(REGIONS) * width)
            self.regions = nn.Parameter(torch.randn(len(REGIONS), width) / width**0.5)
            layer = nn.TransformerEncoderLayer(
                width, 4, 2 * width, dropout=0.0, activation="gelu", batch_first=True,
                norm_first=True,
            )  # fmt: skip
            self.layers = nn.TransformerEncoder(
                layer, 2, norm=nn.LayerNorm(width), enable_nested_tensor=False
            )
            self.to_coefficients = nn.Linear(width, count + len(template.action_names))
        self.folds = nn.Parameter(torch.zeros(len(template.fold_basis)))  # s
        nn.init.zeros_(self.to_coefficients.weight)
        nn.init.zeros_(self.to_coefficients.bias)
        self._keep(template, neutral)

    def _keep(self, template: HeadTemplate, neutral: np.ndarray) -> None:
        """The head's fields and what is known of them; not part of the state."""
        fields = template.expression_displacements(neutral)  # [13, N, 3]
        frame, size = template.eye_frame, template.size(neutral)
        basis = np.concatenate([fields, size * template.action_basis])  # [65, N, 3]
        parts = {
            "basis": basis,
            "fold_basis": size * template.fold_basis,
            "fold_weights": template.fold_weights,  # [13, F]
            "lids": lids_correction(frame, basis),
            "lips": lips_correction(template.mouth_frame, basis),
            "shut": np.stack(shut_expressions(template, neutral, fields), 1),  # [13, 2]
            "readers": _readers(template.action_names),
        }
        for name, values in parts.items():
            values = torch.from_numpy(np.ascontiguousarray(values, np.float32))
            self.register_buffer(f"_{name}", values, persistent=False)

    @property
    def codes(self) -> torch.Tensor:
        """k_exp ``[13, L]``."""
        return torch.cat([torch.eye(len(self.learned)), self.learned], dim=1)

    def coefficients(self, codes: torch.Tensor) -> torch.Tensor:
        """What is learned, h: ``[B, 65]`` for codes ``[B, L]``, within ``COEFFICIENT_CAP``."""
        with_zero = torch.cat([codes, torch.zeros_like(codes[:1])])  # [B + 1, L]
        tokens = self.to_tokens(with_zero).unflatten(1, self.regions.shape) + self.regions
        values = self.to_coefficients(self.layers(tokens))  # [B + 1, R, 65]
        values = (values * self._readers).sum(1)
        return COEFFICIENT_CAP * torch.tanh(values[:-1] - values[-1:])

    def forward(self, codes: torch.Tensor, folded: bool = True) -> torch.Tensor:
        """Displacements ``[B, N, 3]``, metres, of codes ``[B, L]``, with or without folds."""
        names = codes[:, : len(self.learned)]  # A code, [B, 13]
        learned = self.coefficients(codes)
        lids, lips = (names @ self._shut).clamp(0, 1).split(1, dim=1)  # [B, 1] each
        basis, count = self._basis.flatten(1), len(self.learned)
        moved = names @ basis[:count] + learned @ basis
        moved = moved + (lids * learned) @ self._lids.flatten(1)
        moved = moved + (lips * learned) @ self._lips.flatten(1)
        if folded:
            moved = moved + (names @ self._fold_weights * self.folds) @ self._fold_basis.flatten(1)
        return moved.unflatten(1, self._basis.shape[1:])

    def blend(self, weights: torch.Tensor) -> torch.Tensor:
        """Displacement ``[N, 3]`` of a mixture of expressions ``[13]``; exactly 0 for all 0."""
        return self(weights[None] @ self.codes)[0]

    def displacements(self, folded: bool = True) -> torch.Tensor:
        """All expressions, ``[13, N, 3]``, metres, with or without folds."""
        return self(self.codes, folded)

    def deepest_folds(self) -> torch.Tensor:
        """What folds at strength 1 add to the expressions, ``[13, N, 3]``, metres."""
        return torch.tensordot(self._fold_weights, self._fold_basis, 1)

    @torch.no_grad()
    def bound(self) -> None:
        """Put the folds back into [0, 1] after a step: a fold is no ridge."""
        self.folds.clamp_(0, 1)

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of everything learned, for ``load_state_dict`` of any head."""
        return {name: value.detach().clone() for name, value in self.state_dict().items()}


def _readers(action_names: tuple[str, ...]) -> np.ndarray:
    """Share of each token in each coefficient, ``[R, 65]``: actions ask their own region."""
    actions = [
        [name.startswith(prefixes) for name in action_names] for prefixes in REGIONS.values()
    ]
    expressions = np.full((len(REGIONS), len(EXPRESSIONS)), 1 / len(REGIONS))
    return np.concatenate([expressions, np.array(actions, float)], axis=1)
