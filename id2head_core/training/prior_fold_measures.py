"""Does the prior fold the skin, and deeper with age? Strengths of folds in samples, as a table."""

import numpy as np
import torch

from ..expressions import EXPRESSIONS, FOLD_WEIGHTS
from ..guidance.prior_camera import FACE_ZOOM, prior_camera
from ..prompts import Looks, describe
from .prior_gallery import ReportRenderer
from .prior_samples import Sampler, Table
from .subjects import FOLDS_BY_AGE

AGES = (20.0, 40.0, 70.0)
"""Years that the texts say in words."""

YAWS = (-25.0, 0.0, 25.0)
"""Cameras, degrees."""

SHARE = 0.3
"""Pixels count where a fold changes the normals by this share of its largest change."""


def fold_table(sampler: Sampler, renderer: ReportRenderer) -> Table:
    """Strength of each fold in the expression that folds it most, by the age in the text.

    The mean head's control maps show the expression without folds. What a sample adds to them is
    projected on what the fold at strength 1 adds.
    """
    found = np.array([_strengths(sampler, renderer, fold) for fold in FOLD_WEIGHTS])  # [F, A]
    most = renderer.template.fold_weights.argmax(0)
    rows = [
        [fold, EXPRESSIONS[row], *(f"{value:.2f}" for value in values)]
        for fold, row, values in zip(FOLD_WEIGHTS, most, found, strict=True)
    ]
    typical = np.interp(AGES, *FOLDS_BY_AGE)
    rows.append(["mean", "", *(f"{value:.2f}" for value in found.mean(0))])
    rows.append(["trained heads", "", *(f"{value:.2f}" for value in typical)])
    return Table(
        "Folds of the skin",
        f"Strength (0 = none, as in the control maps; 1 = deepest) in {2 * len(YAWS)} samples, "
        "by the age in the text; no embedding.",
        ["fold", "expression", *(f"{age:.0f} years" for age in AGES)],
        rows,
    )


def _strengths(sampler: Sampler, renderer: ReportRenderer, fold: str) -> list[float]:
    """Of one fold for each of ``AGES``, mean over man, woman and views."""
    template, mean = renderer.template, renderer.template.mean
    column = list(FOLD_WEIGHTS).index(fold)
    row = int(template.fold_weights[:, column].argmax())
    cameras = torch.tensor([[yaw, 0.0, FACE_ZOOM] for yaw in YAWS])
    expressions = torch.eye(len(EXPRESSIONS))[row].repeat(len(YAWS), 1)
    control = renderer.mean_control(cameras, expressions)
    folded = []
    for single in np.eye(len(FOLD_WEIGHTS), dtype=np.float32):
        posed = mean + template.expression_displacements(mean, single)[row]
        views = [renderer.draw.control(posed, prior_camera(*c), mean) for c in cameras.tolist()]
        folded.append(np.stack(views)[:, :3])
    found, genders = [], ("man", "woman")
    for age in AGES:
        looks = [Looks(age=age, gender=g, style="bald") for g in genders]  # a bare forehead
        conditions = sampler.prior.conditions(
            [describe(look) for look in looks for _ in YAWS], cameras.repeat(len(genders), 1),
            embedding=None, expressions=expressions.repeat(len(genders), 1),
            control=control.repeat(len(genders), 1, 1, 1),
        )  # fmt: skip
        drawn = sampler("geometry", conditions).numpy()
        strengths = fold_strengths(drawn, control[:, :3].numpy(), np.stack(folded))
        found.append(float(strengths[column]))
    return found


def fold_strengths(images: np.ndarray, bare: np.ndarray, folded: np.ndarray) -> np.ndarray:
    """Strengths ``[F]`` of folds that together explain what images add, by least squares.

    Args:
        images: normals ``[P V, 3, S, S]``, V views of each of P subjects.
        bare: normals ``[V, 3, S, S]``.
        folded: the same with each fold alone, ``[F, V, 3, S, S]``.
    """
    change = folded - bare
    size = np.linalg.norm(change, axis=2, keepdims=True).max(0)
    where = np.broadcast_to(size > SHARE * size.max(), bare.shape)
    added = images.reshape(-1, *bare.shape).mean(0) - bare
    directions = change[:, where].T  # [D, F]
    return np.linalg.lstsq(directions, added[where], rcond=1e-3)[0]
