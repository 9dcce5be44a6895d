"""The 13 expressions and neutral: the only list of their names and their order.

Every array with an expression axis, every morph target and every slider follows ``EXPRESSIONS``.
The weights refer to the 52 facial actions of the head template; the sides are written out by
``_both``. Values above 1 or below 0 extrapolate the linear action on purpose.
"""

NEUTRAL = "neutral"


def _both(**weights: float) -> dict[str, float]:
    """Expand ``name_=w`` into ``nameLeft=w, nameRight=w``; other names pass through."""
    out: dict[str, float] = {}
    for name, weight in weights.items():
        if name.endswith("_"):
            out[name[:-1] + "Left"] = out[name[:-1] + "Right"] = weight
        else:
            out[name] = weight
    return out


ACTION_WEIGHTS: dict[str, dict[str, float]] = {
    "Angry": _both(
        browDown_=1.2, eyeSquint_=0.5, noseSneer_=0.9, cheekSquint_=0.25, mouthUpperUp_=0.35,
        mouthLowerDown_=0.45, mouthFrown_=0.45, mouthStretch_=0.25, jawForward=0.3,
    ),
    "Brow Raised": _both(browInnerUp=1.25, browOuterUp_=1.0, eyeWide_=0.5),
    "Lips Down": _both(
        mouthFrown_=1.1, mouthLowerDown_=0.25, mouthShrugLower=0.55, browInnerUp=0.25
    ),
    "Squeeze": _both(
        eyeBlink_=0.9, eyeSquint_=1.0, cheekSquint_=1.0, browDown_=0.85, noseSneer_=0.7,
        mouthPucker=0.6, mouthPress_=0.4,
    ),
    "Brow Lowerer": _both(browDown_=1.15, eyeSquint_=0.1),
    "Cheeks Puffed": _both(cheekPuff=1.3, mouthPress_=0.35, mouthPucker=0.25),
    "Mouth Stretch": _both(
        jawOpen=1.0, mouthStretch_=0.5, mouthLowerDown_=0.3, mouthUpperUp_=0.4, eyeWide_=0.15
    ),
    "Dimpler": _both(mouthDimple_=1.3, mouthSmile_=0.15, mouthPress_=0.6, mouthStretch_=0.15),
    "Grin": _both(
        mouthSmile_=0.95, mouthUpperUp_=0.5, mouthLowerDown_=0.6, mouthStretch_=0.25, jawOpen=0.05,
        cheekSquint_=0.5, eyeSquint_=0.25,
    ),
    "Lip Roll": _both(mouthRollUpper=1.0, mouthRollLower=1.4, mouthPress_=0.5, mouthClose=0.1),
    "Neutral Open": _both(jawOpen=0.45),
    "Eyes Closed": _both(eyeBlink_=1.0),
    "Nose Down": _both(
        noseSneer_=-1.1, mouthUpperUp_=-0.5, jawOpen=0.16, mouthClose=0.16, mouthFrown_=0.15,
        browInnerUp=0.3, cheekSquint_=-0.3,
    ),
}  # fmt: skip
"""Action weights of each expression, in the order that is used everywhere."""

FOLD_WEIGHTS: dict[str, dict[str, float]] = {
    "nasolabial": _both(
        mouthSmile_=0.5, noseSneer_=0.45, mouthDimple_=0.3, cheekSquint_=0.2, mouthUpperUp_=0.18,
        mouthStretch_=0.15,
    ),
    "forehead": _both(browInnerUp=0.5, browOuterUp_=0.28),
    "glabella": _both(browDown_=0.45),
    "crows_feet": _both(eyeSquint_=0.3, cheekSquint_=0.3),
    "marionette": _both(mouthFrown_=0.45, mouthRollLower=0.3, mouthPress_=0.1),
    "chin": _both(mouthShrugLower=1.5, mouthRollLower=0.35, mouthPress_=0.15, mouthFrown_=0.08),
    "under_eye": _both(cheekSquint_=0.4, eyeSquint_=0.2, mouthSmile_=0.15),
}  # fmt: skip
"""Folds of the skin and the facial actions that deepen them; sums are clamped to [0, 1]."""

EXPRESSIONS: tuple[str, ...] = tuple(ACTION_WEIGHTS)
"""The 13 names, in order. ``neutral`` is what all of them are relative to and is not among them."""
