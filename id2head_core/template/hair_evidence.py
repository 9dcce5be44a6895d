"""What the photo says about the hair along each ray of the template, and how it is continued.

Every ray of the hair template is followed through the photo. Where it shows skin or background the
hair must end (a visual hull); rays that leave the head sideways, as seen from the camera, must
reach the outline.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from ..ramp import smoothstep
from .hair import HairTemplate
from .hair_view import CLOTH, EARS, HAT, HIDDEN, NECK, SKIN, HairView

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

EAR_CERTAIN = 0.3
"""Vote from which an ear counts as covered, and below minus which as shown."""

LOBE = (-0.02, -0.01)
"""Below and before this height and depth hair does not hang beside an ear that is seen, but behind
it, metres."""

CROPPED = 0.010
"""Hair with less volume than this lies on the skull: a buzz cut, or tied back; metres."""


@dataclass(frozen=True)
class Evidence:
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


def read_evidence(view: HairView) -> Evidence:
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
    return Evidence(*(template.image(sheet.astype(np.float32)) for sheet in sheets))


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


def spread(
    template: HairTemplate, values: np.ndarray, trust: np.ndarray, sigmas: tuple, keep: float
) -> np.ndarray:
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


def both_sides(values: np.ndarray, trust: np.ndarray, share) -> tuple[np.ndarray, np.ndarray]:
    """Add the mirrored evidence, times ``share``, where a side was not seen."""
    mirrored = trust[:, ::-1] * np.clip(1 - 3 * trust, 0, 1) * share
    total = trust + mirrored
    mixed = (values * trust + values[:, ::-1] * mirrored) / np.maximum(total, 1e-6)
    return mixed, total


def summit_of(view: HairView) -> np.ndarray:
    """The middle of the top of the head, bool grid; hair beside it may reach as high."""
    x, y, _ = np.moveaxis(view.template.image(view.proxy), -1, 0)
    return (y > 0.085) & (abs(x) < 0.02)
