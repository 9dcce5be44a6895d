"""The transformer starts as the template, mixes codes, and never parts what must touch."""

import numpy as np
import pytest
import torch

from id2head_core.expressions import EXPRESSIONS
from id2head_core.geometry.contact import (
    LIDS_TOUCH,
    LIPS_TOUCH,
    lids_correction,
    shut_expressions,
    without_crossing,
)
from id2head_core.geometry.expression_transformer import COEFFICIENT_CAP, ExpressionTransformer
from id2head_core.template.eyes import LOWER, RIM, UPPER
from tests.geometry.geometry_oracle import start, templates

SHUT_EYES = ("Squeeze", "Eyes Closed")
OPEN_LIPS = ("Angry", "Mouth Stretch", "Grin", "Neutral Open")


def made(seed=0) -> ExpressionTransformer:
    generator = torch.Generator().manual_seed(seed)
    return ExpressionTransformer(templates()[0], start()[0].neutral, generator)


def shaken(size=3.0) -> ExpressionTransformer:
    """Weights far from the start, so that every coefficient is near its cap."""
    transformer = made()
    noise = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in transformer.to_coefficients.parameters():
            parameter.add_(size * torch.randn(parameter.shape, generator=noise))
    return transformer


def wanted() -> np.ndarray:
    return templates()[0].expression_displacements(start()[0].neutral)


def test_it_starts_as_the_template():
    assert made().displacements().detach().numpy() == pytest.approx(wanted(), abs=1e-6)


@pytest.mark.parametrize("transformer", [made(), shaken()], ids=["new", "learned"])
def test_blending_is_exact_at_the_corners(transformer):
    rows = transformer.displacements()
    for index in (0, 6, 12):
        weights = torch.zeros(13)
        weights[index] = 1
        torch.testing.assert_close(transformer.blend(weights), rows[index], atol=1e-7, rtol=0)
    assert not transformer.blend(torch.zeros(13)).any()


def test_a_learned_motion_is_capped_and_differs_between_expressions():
    transformer = shaken()
    learned = transformer.coefficients(transformer.codes).detach()
    assert learned.abs().max() <= COEFFICIENT_CAP
    assert learned.abs().max() > 0.9 * COEFFICIENT_CAP
    assert (learned[0] - learned[8]).abs().max() > 0.01
    moved = transformer.displacements().detach().numpy() - wanted()
    assert np.abs(moved).max() > 1e-3


def folded(strength: float = 1.0) -> ExpressionTransformer:
    transformer = made()
    with torch.no_grad():
        transformer.folds.fill_(strength)
    return transformer


def test_folds_are_those_of_the_template_and_vanish_without_an_expression():
    neutral = start()[0].neutral
    transformer = folded(0.5)
    with torch.no_grad():
        transformer.folds[1] = 0.9
    strengths = transformer.folds.detach().numpy()
    expected = templates()[0].expression_displacements(neutral, strengths)
    moved = transformer.displacements().detach().numpy()
    assert moved == pytest.approx(expected, abs=3e-5)  # lids of a blink meet anew
    assert not transformer.blend(torch.zeros(13)).any()
    bare = transformer.displacements(folded=False).detach().numpy()
    assert bare == pytest.approx(wanted(), abs=1e-6)
    deep = np.abs(moved - bare).max((1, 2))
    assert deep[EXPRESSIONS.index("Grin")] > 1e-3 and deep[EXPRESSIONS.index("Eyes Closed")] == 0


def test_a_fold_cannot_become_a_ridge():
    transformer = folded(-0.4)
    transformer.bound()
    assert not transformer.folds.any()


def test_lids_that_shut_and_lips_that_touch_still_do_after_learning():
    template, neutral = templates()[0], start()[0].neutral
    transformer = shaken()
    with torch.no_grad():
        transformer.folds.fill_(1)
    posed = neutral + transformer.displacements().detach().numpy()
    for name in SHUT_EYES:
        rim = posed[EXPRESSIONS.index(name)][template.eye_frame.rings[:, RIM]]  # [2, 3, 28, 3]
        apart = np.linalg.norm(rim[..., UPPER, :] - rim[..., LOWER, :], axis=-1)
        assert apart.max() < LIDS_TOUCH
    for name in set(EXPRESSIONS) - set(OPEN_LIPS):
        gap = template.mouth_frame.gap(posed[EXPRESSIONS.index(name)])
        assert np.abs(gap).max() < LIPS_TOUCH + 1e-5


def test_without_the_contact_correction_lids_would_part():
    """The guard is needed: the same coefficients on the plain fields open shut eyes."""
    transformer = shaken()
    learned = transformer.coefficients(transformer.codes)
    plain = transformer._basis[:13] + (learned @ transformer._basis.flatten(1)).unflatten(
        1, transformer._basis.shape[1:]
    )
    posed = start()[0].neutral + plain.detach().numpy()[EXPRESSIONS.index("Eyes Closed")]
    rim = posed[templates()[0].eye_frame.rings[:, RIM]]
    assert np.linalg.norm(rim[..., UPPER, :] - rim[..., LOWER, :], axis=-1).max() > 5e-4


def test_which_expressions_shut_eyes_and_lips():
    eyes, lips = shut_expressions(templates()[0], start()[0].neutral, wanted())
    assert {n for n, shut in zip(EXPRESSIONS, eyes, strict=True) if shut} == set(SHUT_EYES)
    assert {n for n, shut in zip(EXPRESSIONS, lips, strict=True) if not shut} == set(OPEN_LIPS)


def test_sound_expressions_pass_unchanged_and_sunken_lids_are_lifted():
    template, neutral = templates()[0], start()[0].neutral
    assert without_crossing(template, neutral, wanted()) == pytest.approx(wanted(), abs=1e-6)
    sunk = wanted()[:1].copy()
    sunk[:, :, 2] -= 0.004
    frame = template.eye_frame
    centres, radius = frame.balls(neutral)
    posed = neutral + without_crossing(template, neutral, sunk)[0]
    front = posed[frame.rings[:, 4]] - centres[:, None]  # [2, 28, 3]
    assert np.linalg.norm(front, axis=-1).min() > radius


def test_the_lids_correction_is_a_projection():
    field = np.random.default_rng(0).normal(size=start()[0].neutral.shape)
    frame = templates()[0].eye_frame
    once = field + lids_correction(frame, field)
    assert np.abs(lids_correction(frame, once)).max() < 1e-12


def test_size_and_determinism():
    assert sum(p.numel() for p in made().parameters()) < 300_000
    same, again, other = made(1).state(), made(1).state(), made(2).state()
    assert all(torch.equal(same[name], again[name]) for name in same)
    assert not torch.equal(same["learned"], other["learned"])


def test_the_state_carries_over():
    learned, fresh = shaken(), made(9)
    fresh.load_state_dict(learned.state())
    torch.testing.assert_close(fresh.displacements(), learned.displacements())
