"""Take the photo's expression out of the skin's texture: smile folds and squinting wrinkles."""

import numpy as np

from ..colour import luma
from ..ramp import smoothstep
from .face_regions import FaceRegions
from .uv_atlas import gaussian

DEEP = 0.15
"""A fold that is darker than its surroundings by this factor of e loses all of its own tint."""


def soften_folds(
    albedo: np.ndarray,
    action_names: tuple[str, ...],
    actions: np.ndarray,
    regions: FaceRegions,
) -> np.ndarray:
    """Fade the lines that the photo's expression pressed into the skin.

    A fold is a band of darker skin a few millimetres wide. Where the expression makes one (beside
    nose and mouth for a smile, beside the eyes for a squint, on the forehead for raised brows), the
    luminance of that width is pulled towards its surroundings, in proportion to the action, and its
    tint with it: light that comes out of a fold has been scattered by skin and is redder.

    Args:
        albedo: float32 ``[S, S, 3]``, linear.
        action_names: ``A`` names.
        actions: float32 ``[A]``, the photo's expression.
        regions: of the same atlas.

    Returns:
        float32 ``[S, S, 3]``.
    """
    weight = dict(zip(action_names, actions.tolist(), strict=True))

    def drive(*names):
        sides = [weight.get(name + side, 0.0) for name in names for side in ("Left", "Right")]
        return float(np.clip(sum(sides) / 2, 0, 1))

    smile = drive("mouthSmile", "mouthUpperUp", "cheekSquint")
    squint = drive("mouthSmile", "eyeSquint", "cheekSquint")
    raised = float(np.clip(weight.get("browInnerUp", 0) + drive("browOuterUp"), 0, 1))
    strength = (
        np.clip(1.6 * smile, 0, 0.9) * _nasolabial(regions)
        + np.clip(1.2 * squint, 0, 0.8) * _crows_feet(regions)
        + np.clip(1.2 * raised, 0, 0.8) * regions.forehead
    )
    if strength.max() < 0.05:
        return albedo
    size = regions.atlas.size
    log = np.log(np.clip(luma(albedo), 0.004, 1))
    tint = np.log(np.clip(albedo, 0.004, 1)) - log[..., None]
    fine = gaussian(log, 0.0022 * size)
    coarse = gaussian(log, 0.028 * size)
    fold = np.minimum(fine - coarse, 0)  # only what is darker than its surroundings
    strength = gaussian(strength.astype(np.float32), 0.008 * size)
    redder = gaussian(tint, 0.0022 * size) - gaussian(tint, 0.028 * size)
    redder = redder * np.clip(-fold / DEEP, 0, 1)[..., None]
    change = fold[..., None] + redder
    return np.clip(albedo * np.exp(-strength[..., None] * change), 0, 1)


def _nasolabial(regions: FaceRegions) -> np.ndarray:
    """Band from the wings of the nose past the corners of the mouth, ``[S, S]``."""
    x, y = np.abs(regions.x), regions.y
    top, bottom = regions.nose_tip[1] + 0.1, regions.mouth[1] - 0.35
    along = np.clip((top - y) / (top - bottom), 0, 1)
    centre = 0.3 + 0.28 * along
    band = 1 - smoothstep(0.14, 0.24, np.abs(x - centre))
    inside = smoothstep(bottom - 0.1, bottom + 0.05, y) * (1 - smoothstep(top - 0.02, top + 0.1, y))
    return band * inside * (1 - np.clip(regions.lips, 0, 1)) * (regions.z > -0.8)


def _crows_feet(regions: FaceRegions) -> np.ndarray:
    """Skin beside and below the outer corners of the eyes, ``[S, S]``."""
    x, y = np.abs(regions.x), regions.y
    beside = 1 - smoothstep(0.16, 0.26, np.hypot(x - 0.92, (y + 0.05) * 1.1))
    below = 1 - smoothstep(0.1, 0.16, np.hypot((x - 0.5) * 0.5, y + 0.28))
    return np.maximum(beside, below) * (regions.z > -0.9)
