"""Heavy lids and raised brows belong to the person, blinks and smiles do not."""

import numpy as np
import pytest

from id2head_core.camera import orbit_camera
from id2head_core.expressions import EXPRESSIONS
from id2head_core.structures import HeadFit
from id2head_core.template.eyes import FRONT, LOWER, RIM, UPPER
from id2head_core.template.head_template import HeadTemplate
from id2head_core.template.resting_face import with_resting_face


@pytest.fixture(scope="module")
def template():
    return HeadTemplate.load()


def fitted(template, **weights):
    """A fit of the mean head with the given actions, ``name_`` for both sides."""
    actions = np.zeros(len(template.action_names), np.float32)
    for name, weight in weights.items():
        sides = [name[:-1] + "Left", name[:-1] + "Right"] if name.endswith("_") else [name]
        for side in sides:
            actions[template.action_names.index(side)] = weight
    none = np.zeros(0, np.float32)
    return HeadFit(
        orbit_camera(), 0.0, 0.0, 0.0, none, actions, np.zeros_like(template.mean),
        template.pose(none, actions, None), template.neutral(none), 0.0,
    )  # fmt: skip


def opening(template, vertices):
    """How far the lids stand apart, metres."""
    front = vertices[template.eye_frame.rings[:, FRONT]]
    return (front[:, UPPER, 1] - front[:, LOWER, 1]).max(1).mean()


def test_heavy_lids_stay_in_the_neutral_head(template):
    fit = fitted(template, eyeBlink_=0.2)
    rested = with_resting_face(template, fit)
    photo, before = (float(opening(template, v)) for v in (fit.vertices, fit.neutral))
    assert opening(template, rested.neutral) == pytest.approx(photo, abs=0.03 * photo)
    assert photo < 0.9 * before
    assert np.abs(rested.actions).max() == 0
    skin = template.skin_vertex
    assert np.abs(rested.vertices - fit.vertices)[skin].max() < 0.0006
    again = template.neutral(rested.identity, rested.residual)
    assert np.abs(again - rested.neutral)[skin].max() < 0.0001


def test_a_blink_and_a_smile_are_taken_out(template):
    fit = fitted(template, eyeBlink_=0.5, mouthSmile_=0.3)
    rested = with_resting_face(template, fit)
    assert rested is fit


def test_raised_brows_stay_only_if_slightly(template):
    skin = template.skin_vertex
    for weight, stays in ((0.25, True), (0.6, False)):
        fit = fitted(template, browInnerUp=weight)
        moved = with_resting_face(template, fit).neutral - fit.neutral
        assert (moved[skin, 1].max() > 0.001) == stays


def test_heavy_lids_close_on_the_eyeball_and_never_cross(template):
    rested = with_resting_face(template, fitted(template, eyeBlink_=0.3))
    neutral, frame = rested.neutral, template.eye_frame
    displacements = template.expression_displacements(neutral)
    shut = neutral + displacements[EXPRESSIONS.index("Eyes Closed")]
    rim = shut[frame.rings[:, RIM]]  # [2, 3, 28, 3]
    assert np.linalg.norm(rim[:, :, UPPER] - rim[:, :, LOWER], axis=-1).max() < 1e-6
    centres, radius = frame.balls(neutral)
    for share in (0.25, 0.5, 0.75):
        posed = neutral + share * displacements[EXPRESSIONS.index("Eyes Closed")]
        front = posed[frame.rings[:, FRONT]]
        assert np.linalg.norm(front - centres[:, None], axis=-1).min() > radius
    for offset in displacements:
        front = (neutral + offset)[frame.rings[:, FRONT]]
        assert (front[:, UPPER, 1] - front[:, LOWER, 1]).min() > -1e-5
