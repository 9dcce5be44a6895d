"""An adapter on a frozen base: what it changes, what it leaves, and that it learns."""

import copy
import logging

import pytest
import torch
import torch.nn.functional as functional

from id2head_core.errors import GuidanceError, WeightsError
from id2head_core.guidance.adapter import PriorAdapter, whitening_of

BATCH, TEXT_DIM = 3, 32


def new_adapter(unet, seed=0, **options) -> PriorAdapter:
    torch.manual_seed(seed)
    return PriorAdapter(unet, expression_text_dim=TEXT_DIM, **options)


def loud_adapter(unet, seed=0) -> PriorAdapter:
    """All its matrices are random, as after a training."""
    adapter = new_adapter(unet, seed, zero_init=False)
    for name, parameter in adapter.processors.named_parameters():
        if name.endswith(".1.weight"):  # B of the self-attention
            torch.nn.init.normal_(parameter, std=0.5)
    return adapter


def batch_of(seed=0) -> dict[str, torch.Tensor]:
    """Inputs of base and projectors."""
    generator = torch.Generator().manual_seed(seed)
    mask = torch.ones(BATCH, 7, dtype=torch.bool)
    mask[1, 4:] = False
    return {
        "noisy": torch.randn(BATCH, 4, 16, 16, generator=generator),
        "noise": torch.randn(BATCH, 4, 16, 16, generator=generator),
        "timestep": torch.tensor([10, 400, 900]),
        "text": torch.randn(BATCH, 7, 32, generator=generator),
        "mask": mask,
        "embedding": functional.normalize(torch.randn(BATCH, 512, generator=generator), dim=1),
        "weights": torch.rand(BATCH, 13, generator=generator),
        "descriptor": torch.randn(BATCH, TEXT_DIM, generator=generator),
        "known": torch.ones(BATCH, dtype=torch.bool),
    }


def predict(unet, adapter: PriorAdapter | None, batch: dict) -> torch.Tensor:
    """Predicted noise; without an adapter, what the base says with the processors it has."""
    extra = None
    if adapter is not None:
        adapter.attach(unet)
        extra = {
            "identity_tokens": adapter.project_identity(batch["embedding"], batch["known"]),
            "expression_tokens": adapter.project_expression(
                batch["weights"], batch["descriptor"], batch["known"]
            ),
        }
    return unet(
        batch["noisy"],
        batch["timestep"],
        encoder_hidden_states=batch["text"],
        encoder_attention_mask=batch["mask"],
        cross_attention_kwargs=extra,
    ).sample


@torch.no_grad()
def test_new_adapter_changes_nothing_and_says_nothing(tiny_unet, caplog):
    batch = batch_of()
    stock = predict(tiny_unet, None, batch)
    diffusers_log = logging.getLogger("diffusers")
    diffusers_log.addHandler(caplog.handler)
    try:
        new = predict(tiny_unet, new_adapter(tiny_unet), batch)
    finally:
        diffusers_log.removeHandler(caplog.handler)
    torch.testing.assert_close(new, stock, atol=1e-6, rtol=0)
    assert not caplog.records  # diffusers warns when it drops tokens


@torch.no_grad()
def test_identity_and_expression_reach_the_output_unless_silenced(tiny_unet):
    adapter, batch = loud_adapter(tiny_unet), batch_of()
    for scale, changed in (
        ("identity_scale", {"embedding": -batch["embedding"]}),
        ("expression_scale", {"weights": 1 - batch["weights"]}),
        ("expression_scale", {"descriptor": -batch["descriptor"]}),
    ):
        first, second = (predict(tiny_unet, adapter, b) for b in (batch, {**batch, **changed}))
        assert (first - second).abs().max() > 1e-4
        setattr(adapter, scale, 0.0)
        first, second = (predict(tiny_unet, adapter, b) for b in (batch, {**batch, **changed}))
        assert torch.equal(first, second)
        setattr(adapter, scale, 1.0)


@torch.no_grad()
def test_unknown_rows_do_not_see_their_embedding_or_expression(tiny_unet):
    adapter, batch = loud_adapter(tiny_unet), batch_of()
    batch["known"] = torch.tensor([False, True, True])
    first = predict(tiny_unet, adapter, batch)
    fields = ("embedding", "weights", "descriptor")
    second = predict(tiny_unet, adapter, {**batch, **{name: -batch[name] for name in fields}})
    assert torch.equal(first[0], second[0])
    assert (first[1:] - second[1:]).abs().amax((1, 2, 3)).min() > 1e-4


def test_gradient_flows_into_the_whole_adapter_and_not_into_the_base(tiny_unet):
    adapter, batch = loud_adapter(tiny_unet), batch_of()
    batch["known"] = torch.tensor([False, True, True])  # null tokens get a gradient too
    predict(tiny_unet, adapter, batch).square().mean().backward()
    assert all(p.grad is None for p in tiny_unet.parameters())
    silent = [n for n, p in adapter.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


@torch.no_grad()
def test_base_does_not_own_the_adapters_and_each_gives_its_own_result(tiny_unet):
    names = set(tiny_unet.state_dict())
    geometry, texture = loud_adapter(tiny_unet, 1), loud_adapter(tiny_unet, 2)
    batch = batch_of()
    first = [predict(tiny_unet, each, batch) for each in (geometry, texture)]
    again = [predict(tiny_unet, each, batch) for each in (texture, geometry)]
    assert torch.equal(first[0], again[1]) and torch.equal(first[1], again[0])
    assert (first[0] - first[1]).abs().max() > 1e-3
    assert set(tiny_unet.state_dict()) == names


@torch.no_grad()
def test_copies_are_independent(tiny_unet):
    adapter, batch = loud_adapter(tiny_unet), batch_of()
    before = predict(tiny_unet, adapter, batch)
    twin = copy.deepcopy(adapter)
    assert torch.equal(predict(tiny_unet, twin, batch), before)
    for parameter in adapter.processors.parameters():
        parameter.zero_()
    assert torch.equal(predict(tiny_unet, twin, batch), before)
    assert not torch.equal(predict(tiny_unet, adapter, batch), before)


@torch.no_grad()
def test_save_and_load_are_bit_exact(tiny_unet, tmp_path):
    adapter, batch = loud_adapter(tiny_unet), batch_of()
    adapter.set_whitening(*whitening_of(torch.randn(100, 512)))
    adapter.identity_scale, adapter.expression_scale = 0.6, 0.25
    adapter.save(tmp_path / "geometry.safetensors")
    loaded = PriorAdapter.load(tiny_unet, tmp_path / "geometry.safetensors")
    assert (loaded.identity_scale, loaded.expression_scale) == (0.6, 0.25)
    mine, theirs = adapter.state_dict(), loaded.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(predict(tiny_unet, adapter, batch), predict(tiny_unet, loaded, batch))


def other_unet(tiny_unet, **options):
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_config({**tiny_unet.config, **options})


def test_other_base_is_refused(tiny_unet, tmp_path):
    path = tmp_path / "geometry.safetensors"
    new_adapter(tiny_unet).save(path)
    with pytest.raises(WeightsError, match="does not fit this base.*size mismatch"):
        PriorAdapter.load(other_unet(tiny_unet, cross_attention_dim=48), path)
    deeper = other_unet(tiny_unet, layers_per_block=2)
    with pytest.raises(WeightsError, match="does not fit this base"):
        PriorAdapter.load(deeper, path)
    with pytest.raises(GuidanceError, match="only one of them has down_blocks"):
        new_adapter(tiny_unet).attach(deeper)


def test_bad_files_are_refused(tiny_unet, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "texture.safetensors"
    with pytest.raises(WeightsError, match="is missing"):
        PriorAdapter.load(tiny_unet, path)
    new_adapter(tiny_unet).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="is damaged"):
        PriorAdapter.load(tiny_unet, path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="is not an adapter"):
        PriorAdapter.load(tiny_unet, path)


def test_shapes_that_do_not_fit_are_refused(tiny_unet):
    adapter, known = new_adapter(tiny_unet), torch.ones(2, dtype=torch.bool)
    with pytest.raises(GuidanceError, match=r"embedding has shape \(2, 128\). Pass \(2, 512\)"):
        adapter.project_identity(torch.zeros(2, 128), known)
    with pytest.raises(GuidanceError, match=r"weights has shape \(2, 14\). Pass \(2, 13\)"):
        adapter.project_expression(torch.zeros(2, 14), torch.zeros(2, TEXT_DIM), known)
    with pytest.raises(GuidanceError, match=r"text has shape \(1, 32\). Pass \(2, 32\)"):
        adapter.project_expression(torch.zeros(2, 13), torch.zeros(1, TEXT_DIM), known)
    with pytest.raises(GuidanceError, match=r"matrix has shape \(512, 32\). Pass \(512, 64\)"):
        adapter.set_whitening(torch.zeros(512), torch.zeros(512, 32))


def test_whitening_decorrelates_to_unit_variance():
    torch.manual_seed(0)
    samples = torch.randn(3000, 100) * torch.linspace(1, 0.1, 100) @ torch.randn(100, 100) + 5
    mean, matrix = whitening_of(samples, 64)
    white = (samples - mean) @ matrix  # [3000, 64]
    assert white.mean(0).abs().max() < 1e-3
    torch.testing.assert_close(white.T @ white / 2999, torch.eye(64), atol=1e-2, rtol=0)


def test_whitening_of_few_samples_does_not_amplify_noise():
    samples = torch.randn(5, 512, generator=torch.Generator().manual_seed(0))
    mean, matrix = whitening_of(samples)
    assert matrix.shape == (512, 64) and matrix.isfinite().all()
    assert ((samples - mean) @ matrix).abs().max() < 3


def test_training_cuts_the_loss_and_leaves_the_base(tiny_unet):
    """30 steps on one batch, epsilon-MSE as in DESIGN §2: by a fifth or more."""
    adapter, batch = new_adapter(tiny_unet), batch_of()
    before = {name: value.clone() for name, value in tiny_unet.state_dict().items()}
    optimizer = torch.optim.Adam(adapter.parameters(), lr=2e-2)
    losses = []
    for _ in range(31):
        loss = functional.mse_loss(predict(tiny_unet, adapter, batch), batch["noise"])
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss {losses[0]:.4f} -> {losses[-1]:.4f}")
    assert losses[-1] < 0.8 * losses[0]
    after = tiny_unet.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_adapter_is_a_small_part_of_stable_diffusion():
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)  # 1.5's, else default
        base = sum(p.numel() for p in unet.parameters())
        shares = {
            rank: PriorAdapter(unet, rank=rank, expression_text_dim=768).parameter_share(unet)
            for rank in (4, 8, 16)
        }
    print({rank: f"{share:.2%}" for rank, share in shares.items()})
    assert base == 859_520_964
    assert 0.001 < shares[4] < shares[8] < shares[16] < 0.03


def test_pipeline_loads_the_tiny_base_and_runs_with_an_adapter(tiny_sd_folder):
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny_sd_folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)

    def image():
        generator = torch.Generator().manual_seed(0)
        return pipeline("ab, c", num_inference_steps=2, output_type="pt", generator=generator)[0]

    stock = image()
    assert stock.shape == (1, 3, 32, 32)
    loud_adapter(pipeline.unet).attach(pipeline.unet)
    assert not torch.allclose(image(), stock, atol=1e-3)
