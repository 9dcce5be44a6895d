"""Lids and lips that touch must go on touching while expressions are optimised.

A *field* is one vector per template vertex, ``[..., N, 3]``, metres. Everything here is linear in
the field: added to surfaces that touch, a corrected field leaves them touching.
"""

import numpy as np

from ..template.eyes import FALL_OFF, FRONT, LOWER, MEETING, RIM, UPPER, EyeFrame
from ..template.head_template import HeadTemplate
from ..template.mouth import MouthFrame

LIDS_TOUCH, LIPS_TOUCH = 2e-5, 5e-4
"""Rims of lids, and contact lines of lips, this close touch, metres."""

CROSSED = 1e-4
"""Lips further than this beyond one another have crossed, metres."""

_SOURCE = np.clip(np.arange(len(FALL_OFF)) - RIM.start, 0, RIM.stop - RIM.start - 1)
"""Row of the rim that each ring around an eye follows."""


def lids_correction(frame: EyeFrame, field: np.ndarray) -> np.ndarray:
    """What to add to a field so that it moves facing points of the lids' rims alike."""
    correction = np.zeros_like(field)
    for rings in frame.rings:  # [14, 28]
        rim = field[..., rings[RIM], :]  # [..., 3, 28, 3]
        upper, lower = rim[..., UPPER, :], rim[..., LOWER, :]  # [..., 3, 13, 3]
        meeting = MEETING * upper + (1 - MEETING) * lower
        for columns, now in ((UPPER, upper), (LOWER, lower)):
            change = (meeting - now)[..., _SOURCE, :, :] * FALL_OFF[:, None, None]
            correction[..., rings[:, columns], :] = change
    return correction


def lips_correction(frame: MouthFrame, field: np.ndarray) -> np.ndarray:
    """What to add to a field so that it moves facing points of the lips alike."""
    rows = field.reshape(-1, *field.shape[-2:])
    return np.stack([frame.close(row) - row for row in rows]).reshape(field.shape)


def shut_expressions(
    template: HeadTemplate, neutral: np.ndarray, displacements: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which expressions shut the eyes, and which leave the lips shut, bool ``[E]`` each.

    Args:
        template: eyes and mouth.
        neutral: ``[N, 3]``, metres.
        displacements: ``[E, N, 3]``.
    """
    posed = neutral + displacements
    front = posed[:, template.eye_frame.rings[:, FRONT]]  # [E, 2, 28, 3]
    apart = np.linalg.norm(front[:, :, UPPER] - front[:, :, LOWER], axis=-1).max((1, 2))
    gaps = np.array([np.abs(template.mouth_frame.gap(p)).max() for p in posed])
    return apart < LIDS_TOUCH, gaps < LIPS_TOUCH


def without_crossing(
    template: HeadTemplate, neutral: np.ndarray, displacements: np.ndarray
) -> np.ndarray:
    """The displacements ``[E, N, 3]`` with lids outside the eyeballs and lips that do not cross."""
    open_eyes = np.zeros(2)
    mouth, out = template.mouth_frame, []
    for offset in displacements:
        posed = template.eye_frame.correct(neutral, offset, open_eyes)
        out.append(mouth.separate(posed) if mouth.gap(posed).min() < -CROSSED else posed)
    return (np.stack(out) - neutral).astype(np.float32)
