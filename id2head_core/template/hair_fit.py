"""Choose a hair style for the photo and adapt it to the photo's hair mask.

What the rays of the template demand of the style is spread over the head, mirrored to the unseen
side and continued to the back.
"""

import numpy as np
from scipy import ndimage

from ..ramp import smoothstep
from ..structures import HairFit, HeadFit, Identity
from .hair import BALD, HairTemplate
from .hair_colour import certain_hair, hair_colour
from .hair_evidence import EAR_CERTAIN, SPAN, both_sides, read_evidence, spread, summit_of
from .hair_style import choose_style
from .hair_thickness import fitted_thickness
from .hair_view import HairView

BALD_SHARE = 0.05
"""Share of the skull's visible rays with hair, below which a head counts as bald."""

CROWN = 0.5
"""Trust that the crown is bald where the head is bald above the forehead."""

CROWN_WIDTH, CROWN_DROP, CROWN_TOP = 0.06, 0.055, 0.105
"""Half the width of a bald crown, how far it reaches down behind, and from which height, metres."""

NAPE_DEPTH, NAPE_DROP, NAPE_BLUR = (0.02, 0.05), (0.01, 0.04), 8.0
"""Behind and below these distances from the middle of the skull, metres, the hairline is level:
blurred around the neck with this standard deviation, cells."""


EAR_MARGIN = 2
"""Cells around a covered ear that are covered too."""

LONGEST = -0.138
"""Height at which long hair ends: above the bust's rim, metres."""


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
    evidence = read_evidence(view)
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
    thickness, comb = fitted_thickness(view, evidence, measured, presence)
    return HairFit(style, thickness.ravel().astype(np.float32), colour, comb.ravel())


def _over_ears(view: HairView) -> np.ndarray:
    """1 on and around ears that hair covers, -1 elsewhere, grid."""
    template = view.template
    ears = template.image(template.ear_height) > 0
    on_left, covered = template.image(view.on_left), np.zeros_like(ears)
    for side, vote in zip((~on_left, on_left), view.ear_votes, strict=True):
        if vote is not None and vote > EAR_CERTAIN:
            covered |= ears & side
    return np.where(ndimage.binary_dilation(covered, iterations=EAR_MARGIN), 1.0, -1.0)


def _ends(template: HairTemplate) -> np.ndarray:
    """Height at which long hair ends in each column, ``[1, C + 1]``, metres: not in a line."""
    columns = template.grid[1] - 1
    noise = np.random.default_rng(2).standard_normal(columns)
    noise = ndimage.gaussian_filter1d(noise, 2.0, mode="wrap")
    ends = LONGEST + 0.004 * noise / noise.std()
    return np.r_[ends, ends[:1]][None]


def _presence(view, evidence, measured) -> np.ndarray:
    """Signed presence of hair, grid in [-1, 1]: the photo where it shows, else the style."""
    template = view.template
    style = np.clip(measured / SPAN, -1, 0) + np.clip(
        template.outline_distance(measured.ravel()) / SPAN, 0, 1
    )
    x, y, z = np.moveaxis(template.image(view.proxy), -1, 0)
    summit = evidence.known * summit_of(view) * (z > 0)
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
    values, trust = both_sides(presence - style, known, 0.6 * evidence.alike)
    field = style + spread(template, values, trust, (9.0, 4.0, 1.2), 0.04)
    own = np.clip(known * 1.5, 0, 1)
    field = field * (1 - own) + presence * own
    nape = smoothstep(*NAPE_DEPTH, -z) * smoothstep(*NAPE_DROP, -y) * (1 - own)
    level = ndimage.gaussian_filter1d(field[:, :-1], NAPE_BLUR, axis=1, mode="wrap")
    field += nape * (np.c_[level, level[:, :1]] - field)
    field = template.blur(field, 0.7)
    field = np.maximum(field, _over_ears(view) * 0.5)
    has = (field > 0) & ~template.image(template.free) & (y > _ends(template))
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
