"""Adam that takes back every step after which the head is not a sound mesh."""

import copy
import math

import torch

from ..errors import GeometryError
from .fit_config import GeometryFitConfig
from .head_model import HeadModel


class GuardedAdam:
    """Levels of detail with rates of their own, and an undo.

    Args:
        model: what is optimised.
        config: learning rates.
    """

    def __init__(self, model: HeadModel, config: GeometryFitConfig):
        self.model, self.config = model, config
        self.factor = 1.0
        """Of all learning rates; halved with every step that was taken back."""
        coarse, fine, both = (True, False), (False, True), (True, True)
        named = model.expressions.named_parameters()
        others = [parameter for name, parameter in named if name != "folds"]
        groups = [
            (model.skin.parameters(), config.skin_rate, coarse),
            (others, config.expression_rate, both),
            ([model.expressions.folds], config.fold_rate, both),
        ]
        if model.hair is not None:
            last = len(config.hair_rates) - 1
            for i, (level, rate) in enumerate(
                zip(model.hair.levels, config.hair_rates, strict=True)
            ):
                groups.append(([level], rate, fine if i == last else coarse))
        self._rates = [(rate, when) for _, rate, when in groups]
        self._adam = torch.optim.Adam(
            [{"params": list(parameters), "lr": 0.0} for parameters, _, _ in groups],
            betas=(0.9, 0.99),
        )
        self._keep()

    def step(self, loss: torch.Tensor, progress: float) -> None:
        """Descend ``loss``; only the levels of the phase at ``progress`` in [0, 1) move.

        Rates fall to nearly zero along a cosine within each phase: Adam turns the noise of score
        distillation into a random walk as wide as its rate.

        Raises:
            GeometryError: loss or gradient are not finite, or the new mesh is not sound. Nothing
                is taken back yet: call ``undo``.
        """
        is_fine = progress >= self.config.coarse_share
        self._adam.zero_grad()
        loss.backward()
        for group, (rate, when) in zip(self._adam.param_groups, self._rates, strict=True):
            moves = when[is_fine]
            group["lr"] = rate * self.factor * decay(progress, self.config.coarse_share) * moves
            for parameter in group["params"]:
                if not moves:
                    parameter.grad = None
                elif parameter.grad is not None and not torch.isfinite(parameter.grad).all():
                    raise GeometryError("A gradient is not finite. Take the step back.")
        if not torch.isfinite(loss.detach()):
            raise GeometryError("The loss is not finite. Take the step back.")
        self._adam.step()
        self.model.expressions.bound()
        self.model.check()
        self._keep()

    def undo(self) -> None:
        """Go back to the last sound state and halve the learning rates."""
        self.model.load_state_dict(self._good[0])
        self._adam.load_state_dict(copy.deepcopy(self._good[1]))
        self.factor /= 2

    def _keep(self) -> None:
        """Remember the state as sound."""
        state = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self._good = state, copy.deepcopy(self._adam.state_dict())


def decay(progress: float, coarse_share: float) -> float:
    """Factor of the learning rates in [0.05, 1]; starts again with the fine phase."""
    share = coarse_share if progress < coarse_share else 1 - coarse_share
    start = 0.0 if progress < coarse_share else coarse_share
    within = (progress - start) / max(share, 1e-6)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * within))
