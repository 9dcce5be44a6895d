"""How thick the hair is: the style's thickness, adapted to the outline of the photo's hair."""

import numpy as np

from ..ramp import smoothstep
from .hair import HairTemplate
from .hair_combing import combed
from .hair_evidence import (
    CROPPED,
    EAR_CERTAIN,
    REACH,
    SPAN,
    THIN,
    Evidence,
    both_sides,
    spread,
    summit_of,
)
from .hair_locks import lock_relief
from .hair_view import HairView, curliness

FRONT = 0.017
"""Hair towards the camera, whose depth the photo does not tell, is at most this thick, metres."""

OVER_EAR = 0.003
"""Least thickness of hair over an ear that it covers, metres."""

EAR_INSIDE = 0.003
"""No hair grows below an ear that the photo shows and that stands out further than this, metres."""

ROOTED, HANGS = ("short01", "short04", "ponytail01"), (0.004, 0.014)
"""Styles whose hair covers no skin but the one it grows on, and how far beyond their outlines hair
is taken to hang there, metres."""

ROOT = 0.0009
"""Thickness of hair where it begins to grow, metres."""

RISE = (0.12, 0.55, 0.025)
"""Slope of the hair at a hairline, what is added to it further in, and how far in, metres."""

WREATH_RISE, WREATH = 0.2, 0.008
"""Slope of hair around a bald crown, and its greatest thickness towards the camera, metres."""

FALLS, LONG = (0.03, 0.0), -0.09
"""Heights between which long hair begins to fall straight, and below which hair is long, metres."""

LAID, LEAST = 0.0004, 0.006
"""How much nearer to or further from the neck straight hair may come with each row, and its least
thickness, metres."""


def fitted_thickness(
    view: HairView, evidence: Evidence, measured: np.ndarray, presence: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Adapt the style's thickness to the outline of the photo's hair, and comb it.

    Args:
        view: of the photo.
        evidence: what it says about each ray.
        measured: thickness of the style, grid.
        presence: > 0 where there is hair, grid.

    Returns:
        Thickness, metres, and ``u`` of the texture along the strands, grids ``[R, C + 1]``.
    """
    template = view.template
    has = presence > 0
    thickness, seen = _outlined(view, evidence, measured, has)
    if evidence.volume < CROPPED:
        thickness = np.minimum(thickness, 1.2 * evidence.volume)
    hangs = hanging(template, has)
    thickness = _fallen(view, evidence, thickness, has)
    curl = curliness(view)
    comb = combed(view, thickness, curl, evidence.volume)
    thickness = thickness + lock_relief(template, comb, thickness, curl, evidence.volume)
    inner = np.maximum(template.outline_distance(np.where(has, 1.0, -1.0).ravel()), 0)
    if not (has & summit_of(view)).any():  # a wreath around a bald crown lies flat
        flat = np.minimum(thickness, THIN + WREATH_RISE * inner)
        facing = np.interp(template.image(view.toward), [0.0, 0.5], [REACH, WREATH])
        thickness = template.blur(np.minimum(flat, facing), 1.0)
        hangs = 0 * hangs
    thickness = np.minimum(thickness, _edge(view, inner, hangs))
    thickness = _around_ears(view, thickness, shown=evidence.volume < CROPPED)
    has &= thickness > 0
    thickness = np.where(has, np.maximum(thickness, ROOT), np.minimum(thickness, presence * SPAN))
    return thickness, comb


def _outlined(view, evidence, measured, has) -> tuple[np.ndarray, np.ndarray]:
    """The style's thickness where it reaches the photo's outline, and how far that is near."""
    template = view.template
    style = spread(template, measured, (measured > 0) * 1.0, (6.0, 2.0, 0.8), 1e-3)
    style = np.where(measured > 0, measured, np.maximum(style, THIN))
    growth = np.clip(evidence.hull - style, -0.05, 0.07)
    growth, trust = both_sides(growth, evidence.sideways * has, 0.3 * evidence.alike)
    field = spread(template, growth, trust, (14.0, 6.0, 1.6), 0.08)
    seen = (trust > 0.2) & (evidence.hull < 0.98 * REACH)
    limit = np.quantile(evidence.hull[seen], 0.95) if seen.any() else REACH
    thickness = np.clip(style + field, THIN, max(limit, 0.01))
    plain = spread(template, thickness, has * 1.0, (6.0, 3.0), 1e-3)  # no steps where unseen
    seen = np.clip(2 * spread(template, np.ones_like(trust), trust, (3.0,), 0.08), 0, 1)
    thickness = np.where(has, plain + (thickness - plain) * seen, thickness)
    front = np.interp(view.toward, [0.3, 0.8], [REACH, FRONT])
    hull = np.minimum(np.maximum(evidence.hull, THIN), template.image(front))
    for _ in range(2):
        thickness = template.blur(np.clip(thickness, THIN, REACH), 1.2)
        thickness = np.minimum(thickness, hull)
    return template.blur(thickness, 0.8), seen


def rooted_distance(template: HairTemplate) -> np.ndarray:
    """Signed distance to where hair grows on most heads, metres, > 0 inside, grid."""
    distances = [
        template.outline_distance(template.thickness[template.styles.index(name)])
        for name in ROOTED
    ]
    low = np.arange(template.grid[0])[:, None] > template.grid[2]  # there the tail hangs
    distances[-1] = np.where(low, -SPAN, distances[-1])
    return np.maximum.reduce(distances)


def hanging(template: HairTemplate, has: np.ndarray) -> np.ndarray:
    """How far the hair near each ray hangs over skin that grows none: bangs, long hair; [0, 1].

    Args:
        template: gives the grid and where hair grows on most heads.
        has: where there is hair, bool grid ``[R, C + 1]``.
    """
    beyond = smoothstep(*HANGS, -rooted_distance(template)) * has
    return np.clip(3 * template.blur(beyond, 2.0), 0, 1)


def _edge(view: HairView, inner: np.ndarray, hangs: np.ndarray) -> np.ndarray:
    """Greatest thickness ``inner`` metres inside the outline, grid, metres.

    Hair is thin where it grows and thickens inwards; where it ends in the air it is as thick as
    it is, below the chin at once.
    """
    y = view.template.image(view.proxy)[..., 1]
    steep = np.interp(y, [-0.06, -0.03], [2.5, 0.5])
    loose = steep * inner * (1 + (inner / 0.035) ** 2)
    slope, more, reach = RISE
    rooted = inner * (slope + more * smoothstep(0, reach, inner)) * (1 + (inner / 0.05) ** 2)
    return ROOT + rooted + hangs * (THIN - ROOT + np.maximum(loose - rooted, 0))


def _fallen(view: HairView, evidence: Evidence, thickness, has) -> np.ndarray:
    """Let long hair fall straight behind the head instead of following the neck; grid, metres."""
    template = view.template
    position = template.image(view.proxy)
    direction = template.image(template.directions(view.fit.neutral))
    level = np.hypot(direction[..., 0], direction[..., 2]).clip(0.3)
    away = np.hypot(position[..., 0], position[..., 2])  # from the axis through the head
    long = (has & (position[..., 1] < LONG)).any(0) * 1.0
    long = template.blur(np.tile(long, (len(has), 1)), 2.0)
    behind = long * smoothstep(0.03, -0.02, position[..., 2])
    reached = away + level * thickness
    lowest = template.grid[2] - 8
    for row in range(lowest, len(has)):
        share = behind[row] * smoothstep(*FALLS, position[row, :, 1]) * has[row]
        fall = np.clip(reached[row], reached[row - 1] - LAID, reached[row - 1] + LAID)
        fall = np.maximum(fall, away[row] + level[row] * LEAST)
        reached[row] += share * (fall - reached[row])
    fallen = np.minimum((reached - away) / level, np.maximum(evidence.hull, thickness))
    smooth = template.blur(fallen, 1.2)
    return thickness + behind * (smooth - thickness)


def _around_ears(view: HairView, thickness: np.ndarray, *, shown: bool) -> np.ndarray:
    """Cover ears that the photo does not show, uncover those that it does; grid, metres.

    ``shown`` tells whether ears of which the photo says nothing are uncovered.
    """
    template = view.template
    height = template.image(template.ear_height)
    on_left, votes = template.image(view.on_left), view.ear_votes
    for side, own, other in zip((~on_left, on_left), votes, votes[::-1], strict=True):
        vote = other if own is None else own
        if vote is None:
            vote = -1.0 if shown else 0.0
        here = side & (height > 0)
        if vote > EAR_CERTAIN:
            raised = np.where(here, np.maximum(thickness, height + OVER_EAR), thickness)
            raised = np.maximum(thickness, template.blur(raised, 1.0))
            near = np.clip(4 * template.blur(here * 1.0, 2.0), 0, 1)  # no bump over the ear
            thickness = thickness + near * (template.blur(raised, 2.0) - thickness)
            thickness = np.maximum(thickness, np.where(here, height + OVER_EAR, 0))
        elif vote < -EAR_CERTAIN:
            lowered = np.where(here, np.minimum(thickness, 0.002 + 0.3 * height), thickness)
            thickness = np.minimum(thickness, template.blur(lowered, 0.8))
            inside = side & (height > EAR_INSIDE)  # it would show in the hollow of the ear
            thickness = np.where(inside, np.minimum(thickness, -THIN), thickness)
    return thickness
