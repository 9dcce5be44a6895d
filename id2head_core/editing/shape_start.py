"""What a wish does to the head's shape at once, along baked axes of gender, age and weight."""

from dataclasses import replace

import numpy as np

from .. import weights
from ..geometry.contact import without_crossing
from ..ramp import smoothstep
from ..template.head_template import HeadTemplate
from .head_state import HeadState
from .wish_list import Wish

AXES_FILE = "template/edit_axes.npz"
"""Baked by ``training.bake_edits``, relative to ``weights/``."""

AGE_STEPS = {
    "older": {"old": 1.15}, "younger": {"old": -0.35, "child": 0.12}, "child": {"child": 0.85},
    "baby": {"baby": 0.72},
}  # fmt: skip
"""Steps along the axes for each wish about age."""

OTHER_GENDER, OWN_GENDER = 1.0, 0.3
"""Step along the gender's axis towards the other gender, and further into one's own."""

FULL_STEP = 1.0
"""Step along the axis from a thin to a full face."""

BEARD_LIFT = 0.004
"""How far a full beard stands out, metres."""

BUST_SHARE = 0.45
"""Share of a step at the lower edge of the bust, which would otherwise leave the picture."""


def axes() -> dict[str, np.ndarray]:
    """Shape differences float32 ``[N, 3]``, metres, by name."""
    with np.load(weights.path(AXES_FILE)) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


def shape_change(
    template: HeadTemplate, state: HeadState, wishes: tuple[Wish, ...], strength: float
) -> np.ndarray | None:
    """Displacement of the template ``[N, 3]``, metres; None where no wish is about the shape."""
    steps: dict[str, float] = {}
    for wish in wishes:
        for name, step in _steps(wish, state).items():
            steps[name] = steps.get(name, 0.0) + step
    beard = any(wish == Wish("beard", "beard") for wish in wishes) and state.beard != "beard"
    if not steps and not beard:
        return None
    baked, total = axes(), np.zeros_like(template.mean)
    for name, step in steps.items():
        total += strength * step * baked[name]
    y = state.fit.neutral[:, 1]
    bust = 1 - smoothstep(-0.21, -0.10, y)
    total *= (1 - (1 - BUST_SHARE) * bust)[:, None]
    if beard:
        total += strength * BEARD_LIFT * _jaw(template)[:, None] * _outwards(template, state)
    return total


def reshaped(template: HeadTemplate, state: HeadState, change: np.ndarray) -> HeadState:
    """The head with another neutral; what its expressions learned is kept."""
    fit = template.moved(state.fit, change)
    before, neutral = state.fit.neutral, fit.neutral
    displacements = state.displacements
    if displacements is not None:
        learned = displacements - template.expression_displacements(before)
        moved = template.expression_displacements(neutral) + learned
        displacements = without_crossing(template, neutral, moved)
    return replace(state, fit=fit, displacements=displacements)


def _steps(wish: Wish, state: HeadState) -> dict[str, float]:
    """Steps along the axes for one wish."""
    if wish.kind == "age":
        return AGE_STEPS[wish.value]
    if wish.kind == "face":
        return {"full": FULL_STEP if wish.value == "round" else -FULL_STEP}
    if wish.kind == "gender":
        sign = 1.0 if wish.value == "woman" else -1.0
        own = (state.gender > 0.5) == (wish.value == "woman")
        return {"female": sign * (OWN_GENDER if own else OTHER_GENDER)}
    return {}


def _jaw(template: HeadTemplate) -> np.ndarray:
    """Where a beard grows, ``[N]`` in [0, 1]: chin and jaw, not the lips."""
    mean, regions = template.mean, template.regions
    lips = mean[regions["lips"] > 0.5]
    mouth, eyes = lips[:, 1].mean(), template.eye_frame.rest.reshape(-1, 3)
    unit = eyes[:, 1].mean() - mouth
    y = (mean[:, 1] - mouth) / unit
    jaw = (1 - smoothstep(-0.15, 0.15, y)) * smoothstep(-1.25, -0.75, y)
    front = smoothstep(-0.02, 0.05, mean[:, 2])
    inside = np.maximum(regions["lips"], regions["mouth_interior"])
    return (jaw * front * (1 - np.clip(2 * inside, 0, 1)) * (regions["neck"] < 0.9)).astype(
        np.float32
    )


def _outwards(template: HeadTemplate, state: HeadState) -> np.ndarray:
    """Unit directions away from the neck's axis, ``[N, 3]``."""
    away = state.fit.neutral * np.float32([1, 0.35, 1]) - np.float32([0, 0, -0.01])
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-6)
