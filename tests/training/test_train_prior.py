"""Training: the loss's equation, dropping of conditions, learning, resuming, averaged weights."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from id2head_core.errors import OptionError
from id2head_core.guidance import prior_folder
from id2head_core.guidance.adapter import PriorAdapter
from id2head_core.guidance.diffusion_prior import DOMAINS
from id2head_core.guidance.latent_codec import SpaceToDepth
from id2head_core.guidance.prior_folder import (
    cosine_scheduler,
    load_prior,
    new_prior,
    save_prior,
)
from id2head_core.guidance.text_encoder import MiniLMTextEncoder
from id2head_core.training import train_prior
from id2head_core.training.prior_data import PriorDataset, finished_shards, mirrored
from id2head_core.training.prior_validation import fixed_batch
from id2head_core.training.train_prior import (
    MAX_WEIGHT,
    Run,
    TrainConfig,
    options_of,
    prior_loss,
    training_conditions,
)
from tests.training.subject_bench import SIZE

BATCH = 8


@pytest.fixture(scope="module", autouse=True)
def small():
    """Bases that are quick to train, and one text encoder for all runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prior_folder, "CHANNELS", (32, 32, 32))
        patch.setattr(prior_folder, "TOKEN_DIM", 32)
        patch.setattr(prior_folder, "POOLED_DIM", 32)
        patch.setattr(prior_folder, "LORA_RANK", 2)
        yield


@pytest.fixture(scope="module")
def dataset(folder, minilm) -> PriorDataset:
    return PriorDataset(finished_shards([folder])[0], minilm)


@pytest.fixture
def start(folder, minilm, monkeypatch):
    """Makes runs on the tiny shards."""
    monkeypatch.setattr(MiniLMTextEncoder, "load", lambda: minilm)
    config = TrainConfig(batch=BATCH, learning_rate=4e-3, warmup_steps=5)

    def make(out, *arguments, **settings) -> Run:
        out.mkdir(exist_ok=True)
        options = options_of(
            [str(folder), "--out", str(out), "--cpu", "--size", str(SIZE), *map(str, arguments)]
        )
        return Run(options, replace(config, **settings))

    return make


def weights(run: Run) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in run.trainer.state_dict().items()}


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[k], second[k]) for k in first)


@torch.no_grad()
def loss_of(run: Run) -> float:
    """On fixed samples, noise and timesteps."""
    batch = fixed_batch(run.dataset, 16)
    config = TrainConfig(drop_text=0, drop_identity=0, drop_expression=0, drop_control=0,
                         drop_all=0)  # fmt: skip
    total = 0.0
    for domain in DOMAINS:
        generator = torch.Generator().manual_seed(0)
        conditions = training_conditions(run.prior, run.dataset, batch, config, generator)
        total += float(prior_loss(run.prior, domain, batch, conditions, generator))
    return total


class KnownError:
    """A prior that is wrong by ``error``, latents ``[12, s, s]``; remembers the timesteps."""

    predicts, resolution, codec = "sample", 8, SpaceToDepth(2)
    alphas_cumprod = cosine_scheduler().alphas_cumprod

    def __init__(self, error):
        self.error, self.timesteps = error, []

    def encode(self, images):
        self.clean = self.codec.encode(images)
        return self.clean

    def noised(self, latents, noise, timestep):
        return latents + noise

    def predict_sample(self, domain, noisy, timestep, conditions):
        self.timesteps.append(timestep)
        return self.clean + self.error


def stub_batch(count: int) -> dict[str, torch.Tensor]:
    weight = torch.full((count, 1, 8, 8), 0.5)
    weight[:, :, :4, :4] = 2.5  # mean 1
    fold = torch.ones(count, 1, 8, 8)
    fold[:, :, :2, :2] = 4
    return {"maps": torch.rand(count, 12, 8, 8), "face_weight": weight, "fold_weight": fold}


def test_the_loss_is_the_weighted_squared_error_of_the_clean_image():
    timestep = torch.tensor([50, 600, 999])
    wanted = (1 / (1 - KnownError.alphas_cumprod[timestep])).clamp(max=MAX_WEIGHT)
    assert wanted[0] == MAX_WEIGHT and wanted[2] == pytest.approx(1, abs=1e-3)
    cases = (
        ("texture", (0, 0), 2.5), ("texture", (3, 3), 0.5),  # a latent pixel in and out of the face
        ("geometry", (0, 0), 10.0), ("geometry", (1, 1), 2.5),
    )  # fmt: skip
    for domain, mark, face in cases:
        error = torch.zeros(12, 4, 4)
        error[(slice(None), *mark)] = 0.3
        prior = KnownError(error)
        loss = prior_loss(prior, domain, stub_batch(3), None, torch.Generator(), timestep)
        expected = (wanted * 0.09 * face / 16).mean()
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_high_timesteps_are_drawn_more_often():
    prior, generator = KnownError(torch.zeros(12, 4, 4)), torch.Generator().manual_seed(0)
    for _ in range(8):
        prior_loss(prior, "geometry", stub_batch(500), None, generator)
    drawn = torch.cat(prior.timesteps)
    assert drawn.min() >= 0 and drawn.max() <= 999
    for quantile, expected in ((0.25, 500), (0.5, 707), (0.81, 900)):  # 1000 sqrt(u)
        assert float(drawn.float().quantile(quantile)) == pytest.approx(expected, abs=25)


def test_conditions_are_dropped_as_often_as_configured(dataset):
    count, config = 6000, TrainConfig()
    batch = {
        "text_row": dataset.text_row[:1].expand(count),
        "blank_row": dataset.blank_row[:1].expand(count),
        "camera": torch.zeros(count, 3), "embedding": torch.zeros(count, 512),
        "expression": torch.zeros(count, 13), "maps": torch.rand(count, 12, 1, 1),
    }  # fmt: skip
    table = dataset.text
    short = replace(table, tokens=table.tokens[..., :1])
    stub = SimpleNamespace(text=short)
    prior = SimpleNamespace(expression_text=lambda weights: weights)
    generator = torch.Generator().manual_seed(0)
    conditions = training_conditions(prior, stub, batch, config, generator)
    blank = table.pooled[dataset.blank_row[0]]
    no_text = (conditions.sentence == blank).all(1)
    no_identity, no_expression = ~conditions.embedding_known, ~conditions.expression_known
    no_control = (conditions.control == 0.5).all((1, 2, 3))
    kept = torch.equal(conditions.control[~no_control], batch["maps"][~no_control, 6:])
    assert kept and torch.equal(conditions.camera, batch["camera"])

    def share(mask) -> float:
        return float(mask.float().mean())

    def with_all(rate) -> float:
        return 1 - (1 - rate) * (1 - config.drop_all)

    def with_evidence(rate) -> float:
        return 1 - (1 - rate) * (1 - config.drop_evidence)

    assert share(no_text) == pytest.approx(with_all(config.drop_text), abs=0.02)
    identity = with_all(with_evidence(config.drop_identity))
    assert share(no_identity) == pytest.approx(identity, abs=0.02)
    assert share(no_expression) == pytest.approx(with_all(config.drop_expression), abs=0.02)
    assert share(no_control) == pytest.approx(with_evidence(config.drop_control), abs=0.02)
    words_alone = with_evidence(config.drop_identity * config.drop_control)
    words_alone *= (1 - config.drop_text) * (1 - config.drop_all)
    assert share(no_identity & no_control & ~no_text) == pytest.approx(words_alone, abs=0.015)
    rates = config.drop_text * with_evidence(config.drop_identity) * config.drop_expression
    everything = no_text & no_identity & no_expression
    assert share(everything) == pytest.approx(with_all(rates), abs=0.015)
    again = training_conditions(prior, stub, batch, config, torch.Generator().manual_seed(0))
    assert torch.equal(again.embedding_known, conditions.embedding_known)


def test_training_learns_and_what_it_keeps_are_the_averaged_weights(start, minilm, tmp_path):
    """30 steps cut the loss to under a half."""
    run = start(tmp_path / "run", "--steps", 30, "--validate-every", 10**6)
    before = loss_of(run)
    run.train()
    raw, after = weights(run), loss_of(run)
    print(f"loss {before:.4f} -> {after:.4f}")
    assert run.step == 30 and run.images == 30 * BATCH
    assert after < 0.5 * before
    distances = [(shadow - mine).abs().max() for shadow, mine in
                 zip(run.ema.shadow_params, run.trained, strict=True)]  # fmt: skip
    assert max(distances) > 1e-4
    best = load_prior(tmp_path / "run" / "best", minilm)
    names = [name for name, p in run.trainer.named_parameters() if p.requires_grad]
    averaged = dict(zip(names, run.ema.shadow_params, strict=True))
    for domain in DOMAINS:
        for name, value in best.adapters[domain].named_parameters():
            assert torch.equal(value, averaged[f"parts.{domain}.{name}"])
    torch.testing.assert_close(
        best.unet.conv_in.weight, averaged["parts.unet.conv_in.weight"], atol=1e-3, rtol=1e-3
    )
    assert not torch.equal(best.adapters["geometry"].null_identity,
                           raw["parts.geometry.null_identity"])  # fmt: skip
    facts = json.loads((tmp_path / "run" / "best" / "prior.json").read_text())
    assert facts["images_seen"] == 30 * BATCH and facts["resolution"] == SIZE
    assert facts["validation"]["geometry 500"] > 0
    sheet = Image.open(tmp_path / "run" / f"sheet_{30 * BATCH:08d}.png")
    assert sheet.size == (2 * SIZE * 12, 2 * SIZE * 5)
    assert np.asarray(sheet).std() > 20
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert log[-1]["images"] == 30 * BATCH and set(log[-1]["validation"]) >= {"all", "no control"}


@pytest.fixture
def unseen(monkeypatch):
    """Runs without validation."""
    monkeypatch.setattr(Run, "evaluate", lambda self: None)


def test_a_run_resumes_at_its_step_with_its_weights(start, unseen, tmp_path):
    run = start(tmp_path / "run", "--steps", 6)
    run.train()
    again = start(tmp_path / "run", "--steps", 9)
    assert again.step == 6 and again.seconds == run.seconds
    assert equal(weights(again), weights(run))
    for mine, theirs in zip(again.ema.shadow_params, run.ema.shadow_params, strict=True):
        assert torch.equal(mine, theirs)
    assert again.ema.optimization_step == 6
    first, second = (r.optimizer.state_dict()["state"][0] for r in (run, again))
    assert torch.equal(first["exp_avg"], second["exp_avg"])
    again.train()
    assert again.step == 9 and not equal(weights(again), weights(run))


def test_a_seed_decides_the_run(start, unseen, tmp_path):
    runs = [start(tmp_path / name, "--steps", 3, seed=seed)
            for name, seed in (("a", 0), ("b", 0), ("c", 1))]  # fmt: skip
    for run in runs:
        run.train()
    assert equal(weights(runs[0]), weights(runs[1]))
    assert not equal(weights(runs[0]), weights(runs[2]))


def test_validation_puts_the_raw_weights_back(start, tmp_path, monkeypatch):
    monkeypatch.setattr(train_prior, "validate", lambda *_: {"all": {"geometry 200": 0.1}})
    monkeypatch.setattr(train_prior, "sample_sheet", lambda *_: Image.new("RGB", (1, 1)))
    run = start(tmp_path / "run")
    for batch in run.loader:
        run.train_step(batch)
    raw = weights(run)
    run.evaluate()
    assert equal(weights(run), raw) and run.trainer.training
    saved = (tmp_path / "run" / "best" / "geometry.safetensors").stat().st_mtime_ns
    run.evaluate()  # not better: nothing is written
    assert (tmp_path / "run" / "best" / "geometry.safetensors").stat().st_mtime_ns == saved
    assert run.best == pytest.approx(0.1)


def test_the_learning_rate_warms_up_and_decays(start, tmp_path):
    run = start(tmp_path / "run", learning_rate=1e-3, warmup_steps=4, decay_steps=4)
    batch, rates = next(iter(run.loader)), []
    for _ in range(6):
        run.train_step(batch)
        rates.append(run.optimizer.param_groups[0]["lr"])
    expected = [1e-3 * min(1, (s + 1) / 4) / (1 + s / 4) ** 0.5 for s in range(6)]
    assert rates == pytest.approx(expected)


def test_the_learning_rate_falls_to_zero_over_the_last_steps():
    plain, annealed = TrainConfig(), TrainConfig(anneal_steps=200)
    assert annealed.rate_at(800, 1000) == plain.rate_at(800, 1000)
    assert annealed.rate_at(900, 1000) == pytest.approx(plain.rate_at(900, 1000) / 2)
    assert 0 < annealed.rate_at(999, 1000) < 0.01 * plain.rate_at(999, 1000)


def test_half_of_the_samples_are_mirrored(start, tmp_path, monkeypatch):
    run, flips = start(tmp_path / "run"), []

    def spy(batch, flip):
        flips.append(flip)
        return mirrored(batch, flip)

    monkeypatch.setattr(train_prior, "mirrored", spy)
    monkeypatch.setattr(run, "wrapped", lambda *_: {"x": run.trained[0].sum() * 0})
    batch = next(iter(run.loader))
    for _ in range(50):
        run.train_step(batch)
    assert float(torch.cat(flips).float().mean()) == pytest.approx(0.5, abs=0.08)


def test_a_batch_larger_than_the_data_is_refused(start, tmp_path):
    with pytest.raises(OptionError, match="12 training samples for a batch of 32.*--batch"):
        start(tmp_path / "run", batch=32)


def test_only_adapters_are_trained_on_stable_diffusion(start, tiny_sd_folder, tmp_path):
    run = start(tmp_path / "run", "--base", tiny_sd_folder, "--rank", 2, "--steps", 5)
    before, losses = weights(run), []
    step = run.train_step
    run.train_step = lambda batch: losses.append(step(batch)) or losses[-1]
    run.train()
    assert len(losses) == 5 and torch.stack(losses).isfinite().all()
    after = weights(run)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and not any(name.startswith("parts.unet.") for name in changed)
    for domain in DOMAINS:
        assert any(name.startswith(f"parts.{domain}.processors") for name in changed)
        path = tmp_path / "run" / "best" / f"{domain}.safetensors"
        adapter = PriorAdapter.load(run.prior.unet, path)
        assert adapter.shape["rank"] == 2
        assert adapter.shape["expression_text_dim"] == 32
    validation = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert all(np.isfinite(list(validation["validation"]["all"].values())))


def test_sigterm_saves_the_state_and_ends(start, tmp_path, monkeypatch):
    monkeypatch.setattr(Run, "evaluate", lambda self: pytest.fail("no time for a validation"))
    run, handler = start(tmp_path / "run"), signal.getsignal(signal.SIGTERM)
    step = run.train_step

    def interrupted(batch):
        losses = step(batch)
        if run.step == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return losses

    run.train_step = interrupted
    run.train()
    assert run.step == 3 and signal.getsignal(signal.SIGTERM) is handler
    assert start(tmp_path / "run").step == 3


def test_a_run_starts_from_the_weights_of_a_saved_prior(start, minilm, tmp_path):
    saved = new_prior(minilm, resolution=SIZE, seed=7)
    for adapter in saved.adapters.values():
        adapter.set_whitening(torch.zeros(512), torch.full((512, 64), 0.25))
    save_prior(saved, tmp_path / "saved", {"images_seen": 500}, half=False)
    run = start(tmp_path / "run", "--init", tmp_path / "saved")
    for name, module in saved.modules().items():
        ours = run.prior.modules()[name]
        assert equal(module.state_dict(), dict(ours.state_dict())), name
        assert all(p.requires_grad for p in ours.parameters())
    assert run.step == 0 and run.images == 500
    run.train_step(next(iter(run.loader)))
    assert run.images == 500 + BATCH


def test_fresh_throws_the_state_away(start, unseen, folder, tmp_path):
    arguments = [str(folder), "--out", str(tmp_path / "run"), "--cpu", "--size", str(SIZE),
                 "--batch", "8", "--steps"]  # fmt: skip
    assert train_prior.main([*arguments, "2"]).step == 2
    assert train_prior.main([*arguments, "4"]).step == 4
    assert train_prior.main([*arguments, "1", "--fresh"]).step == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="counts processes on a CPU")
def test_all_processes_of_a_launch_train_one_model(tmp_path):
    """As the README starts it: without ``--cpu``."""
    script = tmp_path / "count.py"
    script.write_text(
        "from id2head_core.training.train_prior import accelerator_of, options_of\n"
        "accelerator = accelerator_of(options_of(['data', '--out', 'run']))\n"
        "print(accelerator.num_processes, accelerator.is_main_process, flush=True)\n"
    )
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launch, "--nproc_per_node", "2", str(script)],
        capture_output=True, text=True, timeout=240,
        env={**os.environ, "PYTHONPATH": os.getcwd(), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert sorted(done.stdout.split("\n")[:2]) == ["2 False", "2 True"], done.stderr[-2000:]
