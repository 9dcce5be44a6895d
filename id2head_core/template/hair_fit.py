"""Choose a hair style for the photo and adapt it to the photo's hair mask.

Every ray of the hair template is followed through the photo. Where it shows skin or background the
hair must end (a visual hull); rays that leave the head sideways, as seen from the camera, must
reach the outline; what they demand of the style is spread over the head, mirrored to the unseen
side and continued to the back.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import ndimage

from ..ramp import smoothstep
from ..structures import HairFit, HeadFit, Identity
from .hair import BALD, HairTemplate, lock_relief
from .hair_style import choose_style
from .hair_view import CLOTH, EARS, HAT, HIDDEN, NECK, SKIN, HairView, curliness

REACH = 0.17
"""Longest hair outside the skin, metres."""

STEPS = REACH * (np.arange(48) / 47) ** 1.5
"""Samples along each ray, metres."""

THIN = 0.002
"""Thickness where there is hair at all, metres."""

SPAN = 0.03
"""Distance from the outline at which presence saturates, metres."""

ONE_SIDED = (0.01, 0.03)
"""Hair that stands out this much further on one side is there on that side only, metres."""

FRONT = 0.017
"""Hair towards the camera, whose depth the photo does not tell, is at most this thick, metres."""

EAR_INSIDE = 0.003
"""No hair grows below an ear that the photo shows and that stands out further than this, metres."""

EAR_CERTAIN = 0.3
"""Vote from which an ear counts as covered, and below minus which as shown."""

LOBE = (-0.02, -0.01)
"""Below and before this height and depth hair does not hang beside an ear that is seen, but behind
it, metres."""

CROPPED = 0.010
"""Hair with less volume than this lies on the skull: a buzz cut, or tied back; metres."""

BALD_SHARE = 0.05
"""Share of the skull's visible rays with hair, below which a head counts as bald."""

CROWN = 0.5
"""Trust that the crown is bald where the head is bald above the forehead."""

CROWN_WIDTH, CROWN_DROP, CROWN_TOP = 0.06, 0.055, 0.105
"""Half the width of a bald crown, how far it reaches down behind, and from which height, metres."""

NAPE_DEPTH, NAPE_DROP, NAPE_BLUR = (0.02, 0.05), (0.01, 0.04), 8.0
"""Behind and below these distances from the middle of the skull, metres, the hairline is level:
blurred around the neck with this standard deviation, cells."""

LIT = (0.35, 0.85)
"""Quantiles of brightness between which hair counts as lit; above are highlights."""

PALE = 0.08
"""Luminance from which hair shows a tint that is not brown unchanged."""

DYED = 0.35
"""A tint counts as the hair's own where the smallest channel is below this share of the largest."""

SATURATED = 0.15
"""Smallest channel of the most saturated black hair, share of the largest."""

DARKEST = (0.012, 0.010, 0.009)
"""Black hair in any light, linear RGB."""


@dataclass(frozen=True)
class _Evidence:
    """What the photo says about each ray, grids ``[R, C + 1]``.

    ``hull``: longest possible hair, metres; ``sideways``: trust that the hair ends exactly there;
    ``presence``: signed distance to the hairline over ``SPAN`` in [-1, 1]; ``known``: its trust.
    """

    hull: np.ndarray
    sideways: np.ndarray
    presence: np.ndarray
    known: np.ndarray

    @property
    def volume(self) -> float:
        """Mean thickness at the outline, metres; small where hardly any outline was seen."""
        trust = self.sideways.sum()
        return float(((self.hull * self.sideways).sum() + 60 * THIN) / (trust + 60))

    @property
    def alike(self) -> np.ndarray:
        """How well each ray may have the other side's hair, [0, 1]: 0 where it would stand out."""
        return 1 - smoothstep(*ONE_SIDED, self.hull[:, ::-1] - self.hull)


def fit_hair(template: HairTemplate, identity: Identity, fit: HeadFit) -> HairFit:
    """Measure the hair of the photo.

    Args:
        template: the hair template.
        identity: photo, parsing and gender.
        fit: fitted head and camera.

    Returns:
        Style, thickness per ray and colour; style ``"bald"`` and no positive thickness where the
        photo shows (almost) no hair.
    """
    view = HairView(identity, fit, template)
    evidence = _read(view)
    colour = hair_colour(view, evidence)
    crown = template.image(view.proxy)[..., 1] > 0.03
    seen = evidence.known * crown
    haired = float((seen * (evidence.presence > 0)).sum() / max(seen.sum(), 1e-6))
    sides = evidence.known * ~crown * (template.image(view.proxy)[..., 1] > -0.04)
    haired_sides = float((sides * (evidence.presence > 0)).sum() / max(sides.sum(), 1e-6))
    if (haired < BALD_SHARE and haired_sides < 0.12) or not certain_hair(view).any():
        return HairFit(BALD, np.full(len(view.proxy), -0.01, np.float32), colour)
    style = choose_style(view)
    measured = template.image(template.thickness[template.styles.index(style)])
    presence = _presence(view, evidence, measured)
    thickness = _thickness(view, evidence, measured, presence)
    return HairFit(style, thickness.ravel().astype(np.float32), colour)


def certain_hair(view: HairView) -> np.ndarray:
    """Pixels of the map well inside sure hair, bool ``[M, M]``."""
    return cv2.erode((view.hair > 0.7).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0


def hair_colour(view: HairView, evidence: _Evidence) -> np.ndarray:
    """Linear RGB ``[3]`` of the lit hair: a median inside the eroded mask, without highlights.

    Hair too short to have a volume is mixed with shining skin: its darker half counts.
    """
    inner = certain_hair(view)
    if not inner.any():
        return np.array(DARKEST, np.float32)
    crop = cv2.warpAffine(
        view.identity.photo.pixels, view.to_map, inner.shape[::-1], flags=cv2.INTER_AREA
    )
    colours = (crop[inner] / 255.0) ** 2.2
    luma = colours @ [0.2126, 0.7152, 0.0722]
    cropped = evidence.volume < CROPPED
    low, high = (0.02, 0.2) if cropped else LIT
    lit = (luma >= np.quantile(luma, low)) & (luma <= np.quantile(luma, high))
    colour = np.median(colours[lit], axis=0) * (0.6 if cropped else 1.0)
    level = float(colour @ [0.2126, 0.7152, 0.0722])
    grey = np.array(DARKEST) * level / DARKEST[1]
    own = colour[0] > colour[1] > colour[2] or colour.min() < DYED * colour.max()
    if not own:  # dark hair mirrors the room
        colour = grey + (colour - grey) * np.clip(level / PALE, 0.3, 1)
    if level < DARKEST[1]:  # not even black hair is that dark, and its tint is mostly noise
        colour = colour * DARKEST[1] / max(level, 1e-6)
        colour = np.maximum(colour, SATURATED * colour.max())
    return colour.astype(np.float32)


def _read(view: HairView) -> _Evidence:
    """Follow every ray through the photo."""
    template = view.template
    directions = template.directions(view.fit.neutral)
    points = view.proxy[:, None] + directions[:, None] * STEPS[None, :, None]  # [P, K, 3]
    located = view.locate(points)
    hair = view.sample(view.hair, located)
    unseen = 1 - view.sample(view.inside, located) + view.sample(view.classes(HAT), located)
    cloth = view.sample(view.classes(CLOTH, NECK), located) * (view.toward < 0.1)[:, None]
    ear = view.sample(view.classes(EARS), located)
    ear = ear * ((STEPS < 0.014) | (view.toward < 0.15)[:, None])
    hidden = (
        located[..., 2] > view.sample(view.head_depth.clip(0, 9), located, nearest=True) + HIDDEN
    )
    hidden &= (
        view.sample(np.isfinite(view.head_depth).astype(np.float32), located, nearest=True) > 0
    )
    allowed = np.where(hidden, 1.0, np.clip(hair + unseen + cloth + ear, 0, 1))
    allowed[:, 0] = np.maximum(allowed[:, 0], 0.51)
    wrong = allowed < 0.5
    first = np.where(wrong.any(1), wrong.argmax(1), len(STEPS) - 1)
    rows = np.arange(len(first))
    before, after = allowed[rows, np.maximum(first - 1, 0)], allowed[rows, first]
    share = np.clip((before - 0.5) / np.maximum(before - after, 1e-6), 0, 1)
    low, high = STEPS[np.maximum(first - 1, 0)], STEPS[first]
    hull = np.where(wrong.any(1), low + share * (high - low), REACH)
    spacing = np.gradient(STEPS)
    reached = STEPS[None] <= hull[:, None]
    length = (((hair > 0.5) & ~hidden & reached) * spacing).sum(1)
    sideways = (
        np.clip(1 - (view.toward / 0.5) ** 2, 0, 1) * (hull < 0.98 * REACH) * (length > 0.002)
    )
    presence, known = _hairline(view, located, hidden, hair, hull, length)
    sheets = (hull, sideways, presence, known)
    return _Evidence(*(template.image(sheet.astype(np.float32)) for sheet in sheets))


def _hairline(view, located, hidden, hair, hull, length) -> tuple[np.ndarray, np.ndarray]:
    """Signed distance to the hairline over SPAN, and its trust, ``[P]`` each."""
    skin = view.classes(SKIN, NECK, CLOTH)
    to_hair = cv2.distanceTransform((view.hair < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    to_skin = cv2.distanceTransform((skin < 0.5).astype(np.uint8), cv2.DIST_L2, 5)
    signed = (to_skin - to_hair) * view.metres_per_pixel / SPAN
    base = located[:, 2]  # a little above the skin
    at_hair, at_skin = hair[:, 2], view.sample(skin, base)
    facing = np.clip((view.toward - 0.05) / 0.3, 0, 1) * ~hidden[:, 2]
    stretch = 1 / np.maximum(view.toward, 0.35)  # foreshortened towards the outline
    presence = np.clip(view.sample(signed.astype(np.float32), base) * stretch, -1, 1)
    presence = np.where(at_hair > at_skin, np.maximum(presence, 0.02), np.minimum(presence, -0.02))
    known = facing * (np.maximum(at_hair, at_skin) > 0.5)
    y, z = view.proxy[:, 1], view.proxy[:, 2]
    # locks that leave the head sideways, and necks beside which there is none
    hangs = (length > 0.006) & (hull > 0.008) & (known == 0)
    right, left = (vote is not None and vote < -EAR_CERTAIN for vote in view.ear_votes)
    shown = np.where(view.on_left, left, right)
    behind = (hangs | (presence > 0)) & (y < LOBE[0]) & (z > LOBE[1]) & shown
    hangs &= ~behind
    presence = np.where(hangs, np.clip(length / SPAN, 0.1, 1), presence)
    gone = (hull < 0.003) & ~hidden[:, 2] & (y < -0.03) & (known == 0) | behind
    presence = np.where(gone, -0.5, presence)
    known = np.maximum(known, 0.7 * (hangs | gone))
    beard = (y < -0.012) & (z > 0.0) & (presence > 0) & (hull < 0.02)
    presence = np.where(beard, -1.0, presence)
    known = np.where(beard, 1.0, known)
    return presence, known


def _spread(template, values, trust, sigmas, keep) -> np.ndarray:
    """Continue trusted values over the grid, coarse to fine; fades to 0 far from any.

    Args:
        template: gives the wrap-around.
        values: grid ``[R, C + 1]``.
        trust: grid in [0, 1].
        sigmas: of the blurs, in cells, coarse first.
        keep: weight of the coarser level.
    """
    field = np.zeros_like(values)
    for sigma in sigmas:
        near = template.blur(trust, sigma)
        field = (template.blur(values * trust, sigma) + keep * field) / (near + keep)
    return field


def _both_sides(values, trust, share):
    """Add the mirrored evidence, times ``share``, where a side was not seen."""
    mirrored = trust[:, ::-1] * np.clip(1 - 3 * trust, 0, 1) * share
    total = trust + mirrored
    mixed = (values * trust + values[:, ::-1] * mirrored) / np.maximum(total, 1e-6)
    return mixed, total


def _summit(view) -> np.ndarray:
    """The middle of the top of the head, bool grid; hair beside it may reach as high."""
    x, y, _ = np.moveaxis(view.template.image(view.proxy), -1, 0)
    return (y > 0.085) & (abs(x) < 0.02)


def _presence(view, evidence, measured) -> np.ndarray:
    """Signed presence of hair, grid in [-1, 1]: the photo where it shows, else the style."""
    template = view.template
    style = np.clip(measured / SPAN, -1, 0) + np.clip(
        template.outline_distance(measured.ravel()) / SPAN, 0, 1
    )
    x, y, z = np.moveaxis(template.image(view.proxy), -1, 0)
    summit = evidence.known * _summit(view) * (z > 0)
    bald_top = (summit * (evidence.presence < 0)).sum() > 0.6 * max(summit.sum(), 1e-6)
    presence, known = evidence.presence, evidence.known
    if bald_top:  # what is left grows below the widest part of the skull
        style = np.minimum(style, np.clip((0.035 - y) / SPAN, -1, 1))
        across, down = x / CROWN_WIDTH, np.maximum(CROWN_TOP - y, 0) / CROWN_DROP
        crown = np.clip(CROWN_WIDTH * (1 - np.hypot(across, down)) / SPAN, 0, 1)
        # hair at the sides does not meet behind; what seems to stand there is theirs
        bare = (crown > 0) & ((known < CROWN) | (z < 0.02) & (abs(x) < 0.045))
        presence = np.where(bare, -crown, presence)
        known = np.where(bare, CROWN, known)
    values, trust = _both_sides(presence - style, known, 0.6 * evidence.alike)
    field = style + _spread(template, values, trust, (9.0, 4.0, 1.2), 0.04)
    own = np.clip(known * 1.5, 0, 1)
    field = field * (1 - own) + presence * own
    nape = smoothstep(*NAPE_DEPTH, -z) * smoothstep(*NAPE_DROP, -y) * (1 - own)
    level = ndimage.gaussian_filter1d(field[:, :-1], NAPE_BLUR, axis=1, mode="wrap")
    field += nape * (np.c_[level, level[:, :1]] - field)
    field = template.blur(field, 0.7)
    has = (field > 0) & ~template.image(template.free)
    has[-1] = False
    around = np.concatenate([has[:, :-1]] * 3, axis=1)
    core = ndimage.binary_opening(around, np.ones((3, 3)))  # tufts on threads are cut off
    label, count = ndimage.label(core)
    size = np.bincount(label.ravel(), minlength=count + 1)
    keep = (size > 0.04 * size[1:].max(initial=1)) & (np.arange(count + 1) > 0)
    columns = has.shape[1] - 1
    kept = around & ndimage.binary_dilation(keep[label], np.ones((3, 3)))
    has = kept[:, columns : 2 * columns]
    has = np.c_[has, has[:, :1]]
    return np.where(has, np.maximum(field, 0.01), np.minimum(field, -0.01))


def _thickness(view, evidence, measured, presence) -> np.ndarray:
    """Adapt the style's thickness to the outline of the photo's hair, grid, metres."""
    template = view.template
    has = presence > 0
    style = _spread(template, measured, (measured > 0) * 1.0, (6.0, 2.0, 0.8), 1e-3)
    style = np.where(measured > 0, measured, np.maximum(style, THIN))
    growth = np.clip(evidence.hull - style, -0.05, 0.07)
    growth, trust = _both_sides(growth, evidence.sideways * has, 0.3 * evidence.alike)
    field = _spread(template, growth, trust, (14.0, 6.0, 1.6), 0.08)
    seen = (trust > 0.2) & (evidence.hull < 0.98 * REACH)
    limit = np.quantile(evidence.hull[seen], 0.95) if seen.any() else REACH
    thickness = np.clip(style + field, THIN, max(limit, 0.01))
    plain = _spread(template, thickness, has * 1.0, (6.0, 3.0), 1e-3)  # no steps where unseen
    seen = np.clip(2 * _spread(template, np.ones_like(trust), trust, (3.0,), 0.08), 0, 1)
    thickness = np.where(has, plain + (thickness - plain) * seen, thickness)
    front = np.interp(view.toward, [0.3, 0.8], [REACH, FRONT])
    hull = np.minimum(np.maximum(evidence.hull, THIN), template.image(front))
    for _ in range(2):
        thickness = template.blur(np.clip(thickness, THIN, REACH), 1.2)
        thickness = np.minimum(thickness, hull)
    thickness = template.blur(thickness, 0.8)
    if evidence.volume < CROPPED:
        thickness = np.minimum(thickness, 1.2 * evidence.volume)
    curl = curliness(view)
    relief = lock_relief(template, curl) * np.minimum(0.0025 + 0.003 * curl, 0.2 * thickness)
    thickness = thickness + relief
    y = template.image(view.proxy)[..., 1]
    steep = np.interp(y, [-0.06, -0.03], [2.5, 0.5])  # no step at the hairline, none at the nape
    distance = template.outline_distance(np.where(has, 1.0, -1.0).ravel())
    inner = np.maximum(distance, 0)
    if not (has & _summit(view)).any():  # a wreath around a bald crown lies flat
        thickness = np.where(seen < 0.5, np.minimum(thickness, THIN + 0.2 * inner), thickness)
        thickness = template.blur(thickness, 1.0)
    thickness = np.minimum(thickness, THIN + steep * inner * (1 + (inner / 0.035) ** 2))
    thickness = _around_ears(view, thickness)
    has &= thickness > 0
    return np.where(has, np.maximum(thickness, THIN), np.minimum(thickness, presence * SPAN))


def _around_ears(view: HairView, thickness: np.ndarray) -> np.ndarray:
    """Cover ears that the photo does not show, uncover those that it does; grid, metres."""
    template = view.template
    height = template.image(template.ear_height)
    on_left, votes = template.image(view.on_left), view.ear_votes
    for side, own, other in zip((~on_left, on_left), votes, votes[::-1], strict=True):
        vote = other if own is None else own
        if vote is None:
            continue
        here = side & (height > 0)
        if vote > EAR_CERTAIN:
            raised = np.where(here, np.maximum(thickness, height + 0.003), thickness)
            thickness = np.maximum(thickness, template.blur(raised, 0.8))
        elif vote < -EAR_CERTAIN:
            lowered = np.where(here, np.minimum(thickness, 0.002 + 0.3 * height), thickness)
            thickness = np.minimum(thickness, template.blur(lowered, 0.8))
            inside = side & (height > EAR_INSIDE)  # it would show in the hollow of the ear
            thickness = np.where(inside, np.minimum(thickness, -THIN), thickness)
    return thickness
