"""The attention processors against diffusers' own, and what each branch adds."""

import inspect

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0

from id2head_core.errors import GuidanceError
from id2head_core.guidance.decoupled_attention import DecoupledAttnProcessor
from id2head_core.guidance.lora import LoraAttnProcessor

CHANNELS, TOKEN_DIM, HEADS, BATCH = 16, 12, 2, 3


def block(cross: bool, **options) -> Attention:
    torch.manual_seed(1)
    return Attention(
        CHANNELS,
        cross_attention_dim=TOKEN_DIM if cross else None,
        heads=HEADS,
        dim_head=CHANNELS // HEADS,
        **options,
    ).eval()


def tokens(count: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(BATCH, count, TOKEN_DIM, generator=generator)


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(9))


def branches(attn: Attention, **options) -> DecoupledAttnProcessor:
    torch.manual_seed(2)
    options = {"zero_init": False, **options}
    return DecoupledAttnProcessor(TOKEN_DIM, attn.to_k.out_features, **options)


def lora(attn: Attention, deviation: float = 0.0) -> LoraAttnProcessor:
    """Rank 4; its B matrices have this deviation."""
    torch.manual_seed(2)
    processor = LoraAttnProcessor(attn.to_q.in_features, attn.to_q.out_features, rank=4)
    for change in (processor.to_q, processor.to_k, processor.to_v):
        torch.nn.init.normal_(change[-1].weight, std=deviation)
    return processor


BLOCKS = [
    {},
    {"qk_norm": "layer_norm"},
    {"norm_num_groups": 4, "residual_connection": True, "rescale_output_factor": 1.5},
]
SHAPES = [(BATCH, 20, CHANNELS), (BATCH, CHANNELS, 4, 5)]


@pytest.mark.parametrize("options", [*BLOCKS, {"cross_attention_norm": "layer_norm"}])
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_silent_branches_equal_stock_cross_attention(options, shape):
    attn = block(True, **options)
    hidden, text = noise(*shape), tokens(7, 1)
    mask = torch.where(noise(BATCH, 1, 7) > 0.5, 0.0, -10000.0)
    arguments = {"encoder_hidden_states": text, "attention_mask": mask}
    stock = AttnProcessor2_0()(attn, hidden, **arguments)
    extra = {"identity_tokens": tokens(4, 2), "expression_tokens": tokens(2, 3)}
    processor = branches(attn)
    torch.testing.assert_close(processor(attn, hidden, **arguments), stock, atol=1e-6, rtol=0)
    assert not torch.allclose(processor(attn, hidden, **arguments, **extra), stock, atol=1e-2)
    processor.identity_scale = processor.expression_scale = 0.0
    broken = {name: each * torch.nan for name, each in extra.items()}  # skipped, not times 0
    silenced = processor(attn, hidden, **arguments, **broken)
    torch.testing.assert_close(silenced, stock, atol=1e-6, rtol=0)


@pytest.mark.parametrize("options", BLOCKS)
@pytest.mark.parametrize("shape", SHAPES)
@torch.no_grad()
def test_zero_lora_equals_stock_self_attention(options, shape):
    attn, hidden = block(False, **options), noise(*shape)
    stock = AttnProcessor2_0()(attn, hidden)
    torch.testing.assert_close(lora(attn)(attn, hidden), stock, atol=1e-6, rtol=0)
    changed = lora(attn, deviation=0.5)
    assert not torch.allclose(changed(attn, hidden), stock, atol=1e-2)
    changed.scale = 0.0
    torch.testing.assert_close(changed(attn, hidden), stock, atol=1e-6, rtol=0)


@torch.no_grad()
def test_lora_equals_a_base_with_the_sums_of_weights():
    attn, hidden = block(False), noise(*SHAPES[0])
    processor = lora(attn, deviation=0.5)
    processor.scale = 0.7
    changed = processor(attn, hidden)
    for name in ("to_q", "to_k", "to_v"):
        down, up = getattr(processor, name)
        getattr(attn, name).weight += 0.7 * up.weight @ down.weight
    torch.testing.assert_close(changed, AttnProcessor2_0()(attn, hidden), atol=1e-5, rtol=0)


@torch.no_grad()
def test_branches_add_their_attention_times_their_scale():
    """The formula of DESIGN §2, written out with softmax, before the output projection."""
    attn, hidden, text = block(True), noise(*SHAPES[0]), tokens(7, 1)
    identity, expression = tokens(4, 2), tokens(2, 3)
    processor = branches(attn)
    processor.identity_scale, processor.expression_scale = 0.8, 0.3

    def attention(to_k, to_v, context):
        query, key, value = (
            attn.head_to_batch_dim(each)
            for each in (attn.to_q(hidden), to_k(context), to_v(context))
        )
        weights = (query @ key.transpose(1, 2) / (CHANNELS / HEADS) ** 0.5).softmax(-1)
        return attn.batch_to_head_dim(weights @ value)

    expected = (
        attention(attn.to_k, attn.to_v, text)
        + 0.8 * attention(processor.to_k_identity, processor.to_v_identity, identity)
        + 0.3 * attention(processor.to_k_expression, processor.to_v_expression, expression)
    )
    result = processor(attn, hidden, text, identity_tokens=identity, expression_tokens=expression)
    torch.testing.assert_close(result, attn.to_out[0](expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("rank", [0, 3])
@torch.no_grad()
def test_zero_init_is_silent_and_only_of_the_values(rank):
    attn, hidden, text = block(True), noise(*SHAPES[0]), tokens(7, 1)
    processor = branches(attn, rank=rank, zero_init=True)
    extra = {"identity_tokens": tokens(4, 2), "expression_tokens": tokens(2, 3)}
    stock = AttnProcessor2_0()(attn, hidden, text)
    torch.testing.assert_close(processor(attn, hidden, text, **extra), stock, atol=1e-6, rtol=0)
    for layer in (processor.to_k_identity, processor.to_k_expression):
        assert layer(extra["identity_tokens"]).std() > 0.1


@torch.no_grad()
def test_half_precision_base_with_a_float32_adapter():
    attn, text = block(True).to(torch.bfloat16), tokens(7, 1).to(torch.bfloat16)
    hidden = noise(*SHAPES[0]).to(torch.bfloat16)
    extra = {"identity_tokens": tokens(4, 2), "expression_tokens": tokens(2, 3)}
    assert branches(attn)(attn, hidden, text, **extra).dtype == torch.bfloat16
    attn = block(False).to(torch.bfloat16)
    assert lora(attn, deviation=0.5)(attn, hidden).dtype == torch.bfloat16


@pytest.mark.parametrize("processor", [DecoupledAttnProcessor, LoraAttnProcessor])
def test_signature_names_the_tokens(processor):
    """diffusers drops the keyword arguments that ``__call__`` does not name."""
    names = inspect.signature(processor.__call__).parameters
    assert {"identity_tokens", "expression_tokens"} <= set(names)


@pytest.mark.parametrize("shape", [(BATCH, 4, TOKEN_DIM + 1), (BATCH - 1, 4, TOKEN_DIM)])
def test_tokens_that_do_not_fit_are_refused(shape):
    attn = block(True)
    with pytest.raises(GuidanceError, match=rf"identity_tokens.*Pass \({BATCH}, 4, {TOKEN_DIM}\)"):
        branches(attn)(attn, noise(*SHAPES[0]), tokens(7, 1), identity_tokens=torch.zeros(shape))
