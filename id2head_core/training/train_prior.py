"""Train the prior: base and both adapters together, or adapters alone on a frozen base.

``accelerate launch -m id2head_core.training.train_prior DATA... --out RUN`` on one or more GPUs,
``python -m ...`` on a CPU. The run resumes from ``RUN/state``; stop it at any time. At the size of
the embedded base, base and adapters are trained jointly; with ``--base`` (a Stable Diffusion 1.5
folder) only the adapters are.

Loss: L_simple on the noise for a base that predicts it; for ours its x0 form, the squared error of
the clean image with weight min(1 / (1 - abar_t), 5) and timesteps drawn as 1000 sqrt(u): high
ones, which decide what is in the picture, come more often. Pixels in the face box count more.

On a CPU use one process per core with one thread each (``OMP_NUM_THREADS=1 torchrun --standalone
--nproc_per_node 2 -m ...``): two threads of one process wait for each other at every layer when
anything else runs. Where the C library gives freed memory back at once, as in many virtual
machines, ``MALLOC_MMAP_THRESHOLD_=4294967296 MALLOC_TRIM_THRESHOLD_=17179869184`` in the
environment keeps it and is up to four times as fast. ``--precision bf16`` pays on CPUs that
multiply it natively (AVX512-BF16, AMX) and is very slow on others.
"""

import argparse
import json
import logging
import shutil
import signal
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from ..errors import OptionError
from ..guidance.diffusion_prior import DOMAINS, Conditions, DiffusionPrior
from ..guidance.latent_codec import SpaceToDepth
from ..guidance.prior_folder import (
    load_prior,
    load_stable_diffusion,
    new_prior,
    save_prior,
)
from ..guidance.text_encoder import MiniLMTextEncoder
from .prior_data import PriorDataset, domain_images, finished_shards, mirrored
from .prior_validation import sample_sheet, validate

logger = logging.getLogger(__name__)

MAX_WEIGHT = 5.0
"""Cap of the loss weight 1 / (1 - abar)."""

LOG_EVERY = 50
"""Steps between two lines of the log."""


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run."""

    batch: int = 32
    """Samples per step and process; half of them train each domain."""

    learning_rate: float = 7e-4
    """Peak of Adam's learning rate; it decays as 1 / sqrt(1 + step / decay_steps)."""

    warmup_steps: int = 300
    """Steps of linear warm-up."""

    decay_steps: int = 12000
    """Scale of the decay of the learning rate."""

    anneal_steps: int = 0
    """Over the last steps the learning rate also falls linearly to zero."""

    ema_decay: float = 0.9993
    """Of the averaged weights that are validated and saved."""

    drop_text: float = 0.12
    """Share of samples whose prompt is reduced to its camera words."""

    drop_identity: float = 0.3
    """Share of samples without an embedding."""

    drop_expression: float = 0.15
    """Share of samples without an expression."""

    drop_control: float = 0.25
    """Share of samples without control maps, so that the other conditions work alone."""

    drop_evidence: float = 0.1
    """Share of samples without embedding and control maps: words and camera work alone."""

    drop_all: float = 0.08
    """Share of samples without text, identity and expression."""

    seed: int = 0
    """Of weights, order, noise and dropping."""

    def rate_at(self, step: int, steps: int) -> float:
        """Learning rate of a step, counted from 0, in a run of ``steps``."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        left = min(1.0, max(steps - step, 0) / max(self.anneal_steps, 1))
        return self.learning_rate * warm * left / (1 + step / self.decay_steps) ** 0.5


class PriorTrainer(nn.Module):
    """All trained modules in one, whose forward pass is the loss."""

    def __init__(self, prior: DiffusionPrior, dataset: PriorDataset, config: TrainConfig):
        super().__init__()
        self.parts = nn.ModuleDict(prior.modules())
        self._hidden = (prior, dataset)  # not submodules
        self.config = config

    def forward(
        self, batch: dict[str, torch.Tensor], generator: torch.Generator
    ) -> dict[str, torch.Tensor]:
        """Loss of each domain: the first half of the batch is geometry, the second texture."""
        prior, dataset = self._hidden
        half, losses = len(batch["camera"]) // 2, {}
        for domain, rows in zip(DOMAINS, (slice(0, half), slice(half, 2 * half)), strict=True):
            part = {key: value[rows] for key, value in batch.items()}
            conditions = training_conditions(prior, dataset, part, self.config, generator)
            losses[domain] = prior_loss(prior, domain, part, conditions, generator)
        return losses


def training_conditions(
    prior: DiffusionPrior,
    dataset: PriorDataset,
    batch: dict[str, torch.Tensor],
    config: TrainConfig,
    generator: torch.Generator,
) -> Conditions:
    """Conditions of a batch, each dropped independently."""
    size, device = len(batch["camera"]), batch["camera"].device
    kept = torch.rand(6, size, generator=generator).to(device) >= torch.tensor(
        [config.drop_text, config.drop_identity, config.drop_expression, config.drop_control,
         config.drop_all, config.drop_evidence], device=device,
    )[:, None]  # fmt: skip
    rows = torch.where(kept[0] & kept[4], batch["text_row"], batch["blank_row"]).cpu()
    table, control, shown = dataset.text, batch["maps"][:, 6:], kept[3] & kept[5]
    return Conditions(
        table.tokens[rows].float().to(device),
        table.mask[rows].to(device),
        table.pooled[rows].to(device),
        batch["camera"],
        batch["embedding"],
        kept[1] & kept[4] & kept[5],
        batch["expression"],
        prior.expression_text(batch["expression"]).to(device),
        kept[2] & kept[4],
        torch.where(shown[:, None, None, None], control, torch.full_like(control, 0.5)),
    )


def prior_loss(
    prior: DiffusionPrior,
    domain: str,
    batch: dict[str, torch.Tensor],
    conditions: Conditions,
    generator: torch.Generator,
    timestep: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean loss of a batch in one domain; ``timestep [B]`` is drawn if None."""
    images = domain_images(batch, domain, prior.resolution)
    with torch.no_grad():
        latents = prior.encode(images)
    if timestep is None:
        drawn = torch.rand(len(images), generator=generator).sqrt() * 1000
        timestep = drawn.long().clamp(0, 999).to(latents.device)
    noise = torch.randn(latents.shape, generator=generator).to(latents.device)
    noisy = prior.noised(latents, noise, timestep)
    if prior.predicts == "epsilon":
        predicted = prior.predict(domain, noisy, timestep, conditions)
        return (predicted - noise).square().mean()
    predicted = prior.predict_sample(domain, noisy, timestep, conditions)
    alphas = prior.alphas_cumprod.to(latents.device)[timestep]
    weight = (1 / (1 - alphas)).clamp(max=MAX_WEIGHT)
    weights = batch["face_weight"]
    if domain == "geometry":
        weights = weights * batch["fold_weight"]
    face = nn.functional.pixel_unshuffle(weights, prior.codec.patch)
    error = (predicted - latents).square() * face.repeat(1, 3, 1, 1)
    return (weight * error.mean((1, 2, 3))).mean()


def set_whitening(prior: DiffusionPrior, dataset: PriorDataset) -> None:
    """Whiten embeddings and sentences by the training set's principal components."""
    from ..guidance.adapter import whitening_of

    mean, matrix = whitening_of(dataset.embedding)
    for adapter in prior.adapters.values():
        adapter.set_whitening(torch.zeros_like(mean), matrix)  # embeddings are centred already
    if prior.conditioner is not None:
        used = torch.unique(dataset.text_row)
        prior.conditioner.set_text_whitening(dataset.text.pooled[used])


def accelerator_of(options: argparse.Namespace):
    """Accelerate's accelerator; all processes of one launch train one model, on CPUs too."""
    from accelerate import Accelerator, DataLoaderConfiguration

    return Accelerator(
        mixed_precision=options.precision,
        cpu=options.cpu or not torch.cuda.is_available(),  # else CPU processes never meet
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True),
    )


class Run:
    """One training run on disk: state, log, validation, best weights."""

    def __init__(self, options: argparse.Namespace, config: TrainConfig):
        from diffusers.training_utils import EMAModel

        self.options, self.config, self.out = options, config, options.out
        self.accelerator = accelerator_of(options)
        device = self.accelerator.device
        training, held_out = finished_shards(options.data)
        if options.base:
            self.prior = load_stable_diffusion(options.base, device=device, rank=options.rank)
            self.prior.unet.requires_grad_(False)
        else:
            encoder = MiniLMTextEncoder.load()
            self.prior = new_prior(encoder, resolution=options.size, seed=config.seed)
            if options.init:
                start = load_prior(options.init, encoder).modules()
                for name, module in self.prior.modules().items():
                    module.load_state_dict(start[name].state_dict())
        encoder = self.prior.text_encoder
        self.dataset = PriorDataset(training, encoder)
        self.held_out = PriorDataset(held_out or training[-1:], encoder)
        if len(self.dataset) < config.batch:
            raise OptionError(
                f"There are {len(self.dataset)} training samples for a batch of {config.batch}. "
                "Render more, or lower --batch."
            )
        if not options.init:
            set_whitening(self.prior, self.dataset)
        self.trainer = PriorTrainer(self.prior, self.dataset, config)
        trained = [p for p in self.trainer.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.loader = torch.utils.data.DataLoader(
            self.dataset, config.batch, shuffle=True, drop_last=True, collate_fn=dict
        )
        self.wrapped, self.optimizer, self.loader = self.accelerator.prepare(
            self.trainer, self.optimizer, self.loader
        )
        self.trained = trained
        self.ema = EMAModel(trained, decay=config.ema_decay, use_ema_warmup=True, inv_gamma=10.0,
                            power=0.75)  # fmt: skip
        self.ema.to(device)
        # The CPU's fused attention is slow backwards: plain products make a step a fifth faster.
        plain = partial(sdpa_kernel, SDPBackend.MATH)
        self.attention = plain if device.type == "cpu" else nullcontext
        self.step, self.best, self.seconds, self.stopped = 0, float("inf"), 0.0, False
        self.generator = torch.Generator()
        self._seed_generator()
        self._resume()

    @property
    def images(self) -> int:
        """Images seen by all processes, those of ``--init`` included."""
        seen = self.step * self.config.batch * self.accelerator.num_processes
        return seen + self._before("images_seen")

    def _before(self, name: str) -> int:
        """What ``--init`` had seen or taken."""
        if not self.options.init:
            return 0
        return json.loads((self.options.init / "prior.json").read_text()).get(name, 0)

    def _resume(self) -> None:
        """Continue from ``state/`` if there is one."""
        state = self.out / "state"
        if not (state / "run.pt").exists():
            return
        saved = torch.load(state / "run.pt", map_location="cpu", weights_only=False)
        self.trainer.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.ema.load_state_dict(saved["ema"])
        self.step, self.best, self.seconds = saved["step"], saved["best"], saved["seconds"]
        self._seed_generator()
        logger.info("resumed at step %d, %d images", self.step, self.images)

    def _seed_generator(self) -> None:
        """Noise and dropping of this process from this step on; no two draw the same."""
        process = self.accelerator.process_index
        self.generator.manual_seed(self.config.seed + 1_000_003 * process + self.step)

    def save_state(self) -> None:
        """Everything needed to go on, written atomically."""
        if not self.accelerator.is_main_process:
            return
        state = self.out / "state"
        state.mkdir(parents=True, exist_ok=True)
        saved = {
            "model": self.trainer.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "ema": self.ema.state_dict(),
            "step": self.step,
            "best": self.best,
            "seconds": self.seconds,
            "config": asdict(self.config),
        }
        torch.save(saved, state / "run.partial")
        (state / "run.partial").replace(state / "run.pt")

    def train(self) -> None:
        """Train until the time or the number of steps is over, or until SIGTERM."""
        before = signal.signal(signal.SIGTERM, self._stop)
        try:
            self._steps()
        finally:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)

    def _steps(self) -> None:
        """Steps, log, validation and saved states until the run is over."""
        start, last_state = time.monotonic(), time.monotonic()
        before, sums = self.seconds, torch.zeros(2)
        while True:
            for batch in self.loader:
                sums += self.train_step(batch)
                self.seconds = before + time.monotonic() - start
                if self.step % LOG_EVERY == 0:
                    self._log({"loss": (sums / LOG_EVERY).tolist()})
                    sums = torch.zeros(2)
                if self.step % self.options.validate_every == 0:
                    self.evaluate()
                late = time.monotonic() - start > self.options.minutes * 60
                late = self._any(late or self.stopped or self.step >= self.options.steps)
                if late or time.monotonic() - last_state > 300:
                    self.save_state()
                    last_state = time.monotonic()
                if late:
                    if not self.stopped:
                        self.evaluate()
                    return

    def _any(self, flag: bool) -> bool:
        """Whether it is true in any process, so that all of them end after the same step."""
        flags = torch.tensor(float(flag), device=self.accelerator.device)
        return bool(self.accelerator.reduce(flags, "sum") > 0)

    def _stop(self, *_) -> None:
        """On SIGTERM: save the state after this step and end."""
        self.stopped = True

    def train_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """One step of Adam; returns the two losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.rate_at(self.step, self.options.steps)
        flip = torch.rand(len(batch["camera"]), generator=self.generator) < 0.5
        batch = mirrored(batch, flip.to(batch["camera"].device))
        with self.attention(), self.accelerator.autocast():
            losses = self.wrapped(batch, self.generator)
        self.accelerator.backward(sum(losses.values()))
        self.accelerator.clip_grad_norm_(self.trained, 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.ema.step(self.trained)
        self.step += 1
        return torch.stack([loss.detach().float().cpu() for loss in losses.values()])

    def evaluate(self) -> None:
        """Validate the averaged weights; keep them if they are the best, and draw a sheet."""
        if not self.accelerator.is_main_process:
            return
        self.ema.store(self.trained)
        self.ema.copy_to(self.trained)
        self.trainer.eval()
        table = validate(self.prior, self.held_out)
        self._log({"validation": table})
        score = sum(table["all"].values())
        if isinstance(self.prior.codec, SpaceToDepth):
            seconds = round(self.seconds) + self._before("train_seconds")
            about = {"images_seen": self.images, "train_seconds": seconds,
                     "validation": table["all"]}  # fmt: skip
            if score < self.best:
                save_prior(self.prior, self.out / "best", about)
            sheet = sample_sheet(self.prior, self.held_out)
            sheet.save(self.out / f"sheet_{self.images:08d}.png")
        elif score < self.best:
            (self.out / "best").mkdir(parents=True, exist_ok=True)
            for domain, adapter in self.prior.adapters.items():
                adapter.save(self.out / "best" / f"{domain}.safetensors")
        self.best = min(self.best, score)
        self.trainer.train()
        self.ema.restore(self.trained)

    def _log(self, entry: dict) -> None:
        """Append a line to ``log.jsonl``."""
        if not self.accelerator.is_main_process:
            return
        entry = {"images": self.images, "seconds": round(self.seconds, 1), **entry}
        logger.info("%s", json.dumps(entry))
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(entry) + "\n")


def options_of(arguments: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of render_dataset")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--base", type=Path, help="Stable Diffusion 1.5 folder: train adapters")
    parser.add_argument(
        "--init", type=Path, help="start from the weights of a saved prior, such as weights/prior"
    )
    parser.add_argument("--rank", type=int, default=8, help="LoRA rank of new adapters on --base")
    parser.add_argument("--size", type=int, default=64, help="pixels; of the embedded base")
    parser.add_argument("--batch", type=int, default=TrainConfig.batch)
    parser.add_argument("--learning-rate", type=float, default=TrainConfig.learning_rate)
    parser.add_argument("--precision", choices=("no", "bf16", "fp16"), default="no")
    parser.add_argument("--cpu", action="store_true", help="even where there is a GPU")
    parser.add_argument("--minutes", type=float, default=1e9)
    parser.add_argument("--steps", type=int, default=10**9)
    parser.add_argument("--warmup-steps", type=int, default=TrainConfig.warmup_steps)
    parser.add_argument(
        "--anneal-steps", type=int, default=0, help="let the learning rate fall over the last ones"
    )
    parser.add_argument("--validate-every", type=int, default=2000)
    parser.add_argument("--fresh", action="store_true", help="throw away RUN/state first")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> Run:
    """Command line; returns the finished run."""
    options = options_of(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    options.out.mkdir(parents=True, exist_ok=True)
    if options.fresh:
        shutil.rmtree(options.out / "state", ignore_errors=True)
    config = TrainConfig(
        batch=options.batch, learning_rate=options.learning_rate, seed=options.seed,
        warmup_steps=options.warmup_steps, anneal_steps=options.anneal_steps,
    )  # fmt: skip
    run = Run(options, config)
    run.train()
    return run


if __name__ == "__main__":
    main()
