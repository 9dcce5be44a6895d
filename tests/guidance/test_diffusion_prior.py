"""The prior's equations, and that each condition reaches the prediction, and only where known."""

from dataclasses import fields, replace

import pytest
import torch
from torch.nn.functional import normalize

from id2head_core.errors import GuidanceError
from id2head_core.guidance.diffusion_prior import DATA_DEVIATION, DOMAINS, DiffusionPrior
from id2head_core.guidance.prior_folder import frozen, load_stable_diffusion, new_prior
from id2head_core.prompts import EXPRESSION_TEXTS

SIZE = 32
TIMESTEP = torch.tensor([300, 900])


@pytest.fixture(scope="module")
def prior(minilm) -> DiffusionPrior:
    return frozen(new_prior(minilm, resolution=SIZE, seed=1))


@pytest.fixture(scope="module")
def stable(tiny_sd_folder) -> DiffusionPrior:
    return frozen(load_stable_diffusion(tiny_sd_folder))


@pytest.fixture
def constant(prior, monkeypatch):
    """The prior with a network that answers one residual, gate and depth everywhere."""

    def answer(
        residual: float, gate: float | torch.Tensor, depth: float | torch.Tensor = 0.0
    ) -> DiffusionPrior:
        channels = torch.full((80, 1, 1), residual)
        channels[48:64] = gate  # after 3 channels x 16 pixels of a patch
        channels[64:] = depth
        monkeypatch.setattr(
            prior.unet.conv_out, "forward", lambda x: channels.expand(len(x), 80, 8, 8)
        )
        return prior

    return answer


def drawn(shape, seed=0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def latents(seed=0) -> torch.Tensor:
    return drawn((2, 48, 8, 8), seed)


def inputs() -> dict:
    """Arguments of ``conditions``."""
    generator = torch.Generator().manual_seed(1)
    return {
        "prompts": ["a young man with long hair", "an old bald woman"],
        "cameras": torch.tensor([[5.0, 0.0, 1.0], [-100.0, 10.0, 2.0]]),
        "embedding": normalize(drawn((2, 512), 2), dim=1),
        "expressions": torch.eye(13)[[2, 5]],
        "control": torch.rand(2, 6, SIZE, SIZE, generator=generator),
    }


def levels(prior) -> tuple[torch.Tensor, torch.Tensor]:
    """Signal and noise level at ``TIMESTEP``, ``[2, 1, 1, 1]``."""
    abar = prior.alphas_cumprod[TIMESTEP][:, None, None, None]
    return abar.sqrt(), (1 - abar).sqrt()


@torch.no_grad()
def predict(prior, conditions, domain="geometry", noisy=None) -> torch.Tensor:
    return prior.predict(domain, latents() if noisy is None else noisy, TIMESTEP, conditions)


def test_unconditional_drops_words_and_person_and_keeps_camera_and_control(prior, minilm):
    conditions = prior.conditions(**inputs())
    without = prior.unconditional(conditions)
    views = minilm(["front view", "side view, close-up"])
    torch.testing.assert_close(without.words, views.tokens)
    torch.testing.assert_close(without.sentence, views.pooled)
    assert torch.equal(without.mask, views.mask)
    assert not without.embedding_known.any() and not without.expression_known.any()
    assert conditions.embedding_known.all() and conditions.expression_known.all()
    assert torch.equal(without.camera, inputs()["cameras"])
    assert torch.equal(without.control, inputs()["control"])
    one, two = predict(prior, without), inputs()
    two |= {"prompts": ["", "x"], "embedding": None, "expressions": torch.zeros(2, 13)}
    torch.testing.assert_close(one, predict(prior, prior.unconditional(prior.conditions(**two))))


@torch.no_grad()
def test_guidance_extrapolates_from_unconditional_to_conditional(prior):
    conditions = prior.conditions(**inputs())
    plain = predict(prior, conditions)
    without = predict(prior, prior.unconditional(conditions))
    assert torch.equal(prior.guided("geometry", latents(), TIMESTEP, conditions, 1.0), plain)
    for scale in (0.0, 3.0):
        guided = prior.guided("geometry", latents(), TIMESTEP, conditions, scale)
        expected = without + scale * (plain - without)
        torch.testing.assert_close(guided, expected, atol=2e-4, rtol=1e-4)
    assert (plain - without).abs().max() > 0.01


@torch.no_grad()
def test_padding_of_texts_is_not_looked_at(prior):
    conditions = prior.conditions(**inputs())
    assert not conditions.mask[:, 24:].any()
    cut = replace(conditions, words=conditions.words[:, :24], mask=conditions.mask[:, :24])
    full, short = (prior.guided("texture", latents(), TIMESTEP, c, 3.0) for c in (conditions, cut))
    torch.testing.assert_close(full, short, atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(predict(prior, cut), predict(prior, conditions), atol=1e-4, rtol=0)
    both = cut.joined(conditions)
    assert both.words.shape[:2] == both.mask.shape == (4, 32)
    assert torch.equal(both.mask, torch.cat([conditions.mask] * 2))
    bare = replace(cut, control=None)
    assert bare.joined(bare).control is None


@pytest.mark.parametrize("which", ["prior", "stable"])
@torch.no_grad()
def test_noise_and_clean_latents_are_two_sides_of_one_prediction(which, request):
    prior = request.getfixturevalue(which)
    given = inputs() | ({"control": None} if which == "stable" else {})
    conditions = prior.conditions(**given)
    shape = prior.encode(torch.zeros(2, 3, SIZE, SIZE)).shape
    clean, noise = drawn(shape), drawn(shape, 1)
    signal, sigma = levels(prior)
    noisy = prior.noised(clean, noise, TIMESTEP)
    torch.testing.assert_close(noisy, signal * clean + sigma * noise)
    predicted = predict(prior, conditions, noisy=noisy)
    sample = prior.predict_sample("geometry", noisy, TIMESTEP, conditions)
    torch.testing.assert_close(signal * sample + sigma * predicted, noisy, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize(("gate", "kept"), [(40.0, 1.0), (0.0, 0.5), (-200.0, 0.0)])
@torch.no_grad()
def test_clean_latents_are_gated_control_of_the_domain_plus_residual(constant, domain, gate, kept):
    prior = constant(0.7, gate)
    sample = prior.predict_sample(domain, latents(), TIMESTEP, prior.conditions(**inputs()))
    own = prior.encode(inputs()["control"].chunk(2, dim=1)[DOMAINS.index(domain)])
    torch.testing.assert_close(sample, kept * own + DATA_DEVIATION * 0.7)


@torch.no_grad()
def test_each_patch_has_a_gate_for_each_of_its_pixels(constant):
    """All three colours of a pixel share it."""
    gate = torch.full((16,), -200.0)
    gate[6] = 40.0  # row 1, column 2
    prior = constant(0.0, gate[:, None, None])
    sample = prior.predict_sample("texture", latents(), TIMESTEP, prior.conditions(**inputs()))
    changed = (prior.decode(sample) - 0.5).abs() > 1e-6
    own = inputs()["control"][:, 3:]
    torch.testing.assert_close(prior.decode(sample)[..., 1::4, 2::4], own[..., 1::4, 2::4])
    changed[..., 1::4, 2::4] = False
    assert not changed.any()


@torch.no_grad()
def test_folds_are_added_to_normals_as_deep_as_the_network_says(constant, monkeypatch):
    """Pixel by pixel, by one factor per image, and to nothing where the maps have none."""
    depth = torch.linspace(-0.5, 1.5, 16)
    prior, maps = constant(0.0, 40.0, depth[:, None, None]), inputs()["control"]
    folded = torch.cat([maps, maps[:, :3].flip(2)], dim=1)
    asked = {**inputs(), "control": folded}
    factor = torch.tensor([[0.5], [2.0]])
    monkeypatch.setattr(prior.conditioner.fold_depth, "forward", lambda pooled: factor)
    for domain in DOMAINS:
        plain = prior.predict_sample(domain, latents(), TIMESTEP, prior.conditions(**inputs()))
        found = prior.predict_sample(domain, latents(), TIMESTEP, prior.conditions(**asked))
        change = (prior.decode(found) - prior.decode(plain))[..., 1::4, 2::4]
        folds = (folded[:, 6:] - maps[:, :3])[..., 1::4, 2::4]
        expected = factor[..., None, None] * depth[6] * folds
        torch.testing.assert_close(change, expected * (domain == "geometry"), atol=1e-5, rtol=1e-4)


def test_no_control_is_grey_control(prior):
    without = prior.conditions(**{**inputs(), "control": None})
    grey = prior.conditions(**{**inputs(), "control": torch.full((2, 6, SIZE, SIZE), 0.5)})
    assert torch.equal(predict(prior, without), predict(prior, grey))


CHANGES = {
    "camera": {"cameras": torch.tensor([[25.0, 5.0, 1.2], [-60.0, 0.0, 1.7]])},  # the same words
    "text": {"prompts": ["a young man with red hair", "an old woman with a bob"]},
    "expression": {"expressions": torch.eye(13)[[3, 6]]},
    "identity": {"embedding": normalize(drawn((2, 512), 9), dim=1)},
    "control": {"control": torch.rand(2, 6, SIZE, SIZE, generator=torch.Generator())},
}


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("domain", DOMAINS)
def test_each_condition_reaches_the_prediction(prior, domain, name):
    first = predict(prior, prior.conditions(**inputs()), domain)
    second = predict(prior, prior.conditions(**{**inputs(), **CHANGES[name]}), domain)
    assert (first - second).abs().amax((1, 2, 3)).min() > 1e-4


def test_domain_and_timestep_reach_the_prediction(prior):
    conditions = prior.conditions(**inputs())
    first, other = (predict(prior, conditions, domain) for domain in DOMAINS)
    assert (first - other).abs().max() > 0.1
    with torch.no_grad():
        later = prior.predict("geometry", latents(), TIMESTEP + 50, conditions)
    assert (first - later).abs().amax((1, 2, 3)).min() > 1e-3


def test_only_camera_differs_where_words_do_not(prior):
    one, two = (prior.conditions(**{**inputs(), **c}) for c in ({}, CHANGES["camera"]))
    differing = {f.name for f in fields(one)
                 if not torch.equal(getattr(one, f.name), getattr(two, f.name))}  # fmt: skip
    assert differing == {"camera"}


@pytest.mark.parametrize(("scale", "name"), [("identity_scale", "identity"),
                                             ("expression_scale", "expression")])  # fmt: skip
@pytest.mark.parametrize("domain", DOMAINS)
def test_a_scale_of_zero_removes_every_path_of_its_condition(
    prior, monkeypatch, domain, scale, name
):
    adapter = prior.adapters[domain]
    for processor in adapter._branches():
        monkeypatch.setattr(processor, scale, 0.0)
    assert getattr(adapter, scale) == 0
    first = predict(prior, prior.conditions(**inputs()), domain)
    second = predict(prior, prior.conditions(**{**inputs(), **CHANGES[name]}), domain)
    assert torch.equal(first, second)


def test_unknown_person_and_expression_are_not_looked_at(prior):
    conditions = prior.conditions(**inputs())
    unknown = torch.tensor([False, True])
    blind = replace(conditions, embedding_known=unknown, expression_known=unknown)
    other = replace(blind, embedding=-blind.embedding, expression=1 - blind.expression,
                    expression_text=-blind.expression_text)  # fmt: skip
    first, second = predict(prior, blind), predict(prior, other)
    assert torch.equal(first[0], second[0])
    assert (first[1] - second[1]).abs().max() > 1e-3
    nobody = prior.conditions(**{**inputs(), "embedding": None})
    assert not nobody.embedding_known.any()


def test_images_of_a_batch_do_not_see_each_other(prior):
    together = predict(prior, prior.conditions(**inputs()))
    for row in range(2):
        alone = {name: value[row : row + 1] for name, value in inputs().items()}
        with torch.no_grad():
            single = prior.predict("geometry", latents()[row : row + 1], TIMESTEP[row : row + 1],
                                   prior.conditions(**alone))  # fmt: skip
        torch.testing.assert_close(single[0], together[row], atol=2e-4, rtol=1e-4)


def test_one_embedding_serves_all_images(prior):
    embedding = inputs()["embedding"][0]
    one = prior.conditions(**{**inputs(), "embedding": embedding})
    assert torch.equal(one.embedding, embedding.expand(2, 512))


def test_descriptors_are_blended_by_the_expressions_weights(prior, minilm):
    neutral, *others = normalize(minilm(list(EXPRESSION_TEXTS.values())).pooled, dim=1)
    weights = torch.zeros(4, 13)
    weights[1, 4], weights[2, [0, 12]] = 1.0, torch.tensor([0.25, 0.5])
    weights[3, [1, 2]] = 0.8  # more than one: nothing of neutral is left
    expected = torch.stack([
        neutral, others[4], 0.25 * neutral + 0.25 * others[0] + 0.5 * others[12],
        0.8 * (others[1] + others[2]),
    ])  # fmt: skip
    torch.testing.assert_close(prior.expression_text(weights), expected)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cameras": torch.zeros(3, 3)}, r"cameras has shape \(3, 3\) for 2 prompts"),
        ({"cameras": torch.zeros(2, 2)}, r"cameras has shape \(2, 2\).*Pass \(2, 3\)"),
        ({"expressions": torch.zeros(2, 14)}, r"expressions has shape \(2, 14\).*\(2, 13\)"),
        ({"embedding": torch.zeros(128)}, r"embedding has shape \(128,\).*Pass \(512,\)"),
        ({"embedding": torch.zeros(3, 512)}, r"embedding has shape \(3, 512\).*\(2, 512\)"),
        ({"control": torch.zeros(2, 3, 32, 32)}, r"control has shape.*Pass \(2, 6, 32, 32\)"),
        ({"control": torch.zeros(2, 6, 64, 64)}, r"control has shape \(2, 6, 64, 64\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(prior, change, words):
    with pytest.raises(GuidanceError, match=words):
        prior.conditions(**{**inputs(), **change})


def test_a_prior_has_an_adapter_for_each_domain(prior):
    with pytest.raises(GuidanceError, match=r"adapters for \['geometry'\]. It needs"):
        DiffusionPrior(
            prior.unet, prior.codec, prior.alphas_cumprod, prior.text_encoder,
            {"geometry": prior.adapters["geometry"]}, resolution=SIZE,
        )  # fmt: skip


def test_noise_levels_of_the_embedded_prior_are_cosine(prior):
    """Nichol and Dhariwal 2021, eq. 17."""
    t = (torch.arange(1000) + 1) / 1000
    wave = ((t + 0.008) / 1.008 * torch.pi / 2).cos() ** 2
    start = torch.cos(torch.tensor(0.008 / 1.008 * torch.pi / 2)) ** 2
    torch.testing.assert_close(prior.alphas_cumprod[:990], (wave / start)[:990], atol=1e-4, rtol=0)
