"""What of the photo's fitted expression is the person's own face: heavy lids, raised brows.

Everybody's lids and brows rest somewhere, and a head whose lids rest higher than the person's
stares. One photo cannot tell a heavy lid from a slight blink, but people are seldom caught in one:
a small weight is the person's, only a large one an expression. Lengths are metres.
"""

from dataclasses import replace

import numpy as np

from ..ramp import smoothstep
from ..structures import HeadFit
from .head_template import HeadTemplate

RESTING = ("eyeBlink", "brow")
"""Prefixes of the actions that a resting face may hold."""

SLIGHT, CLEAR = 0.3, 0.4
"""Weights up to which an action is all the person's, and from which it is all expression."""


def with_resting_face(template: HeadTemplate, fit: HeadFit) -> HeadFit:
    """Leave slight lowering of the lids and motion of the brows in the neutral head.

    Args:
        template: the head template.
        fit: its neutral is without any of the fitted actions.

    Returns:
        The fit with the resting face in ``neutral`` and ``residual``, and ``actions`` without it.
    """
    resting = resting_actions(template.action_names, fit.actions)
    if not resting.any():
        return fit
    offset = np.tensordot(resting, template.action_basis, 1)  # [N, 3]
    # lids follow the eyeball instead of a straight line through it
    posed = template.eye_frame.correct(fit.neutral, offset, np.zeros(2))
    rested = template.moved(fit, posed - fit.neutral)
    expression = np.tensordot(fit.actions - resting, template.action_basis, 1)
    return replace(
        rested,
        actions=fit.actions - resting,
        vertices=(rested.neutral + expression).astype(np.float32),
    )


def resting_actions(names: tuple[str, ...], actions: np.ndarray) -> np.ndarray:
    """The share of fitted weights ``[A]`` of the actions ``names`` that is the person's own."""
    owned = np.array([name.startswith(RESTING) for name in names])
    return (actions * owned * (1 - smoothstep(SLIGHT, CLEAR, actions))).astype(np.float32)
