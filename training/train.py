"""Train RePoseDM, or a part of it, or one of its baselines: one command for everything.

    python -m training.train --config tiny
    python -m training.train --config paper-deepfashion-256 --out runs/256 data.root=data/fashion
    accelerate launch --num_processes 8 -m training.train --config paper-deepfashion-256
    accelerate launch --config_file fsdp.yaml -m training.train --config paper-deepfashion-512

FSDP, and DeepSpeed's ZeRO 1 and 2, come from accelerate's own configuration (accelerate config).
Several processes without GPUs: ``accelerate launch --multi_gpu --num_processes 2`` in spite of its
name, or ``torchrun --nproc_per_node 2``; ``accelerate launch --cpu`` starts only one.

The same command again resumes where it stopped: exactly, unless something was changed. At the end
``OUT/weights`` holds what the app loads: ``REPOSEDM_WEIGHTS=OUT/weights python app.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import math
import statistics
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from reposedm.errors import RePoseError, SettingsError
from training import zero
from training.accelerator import computes_in_bf16, make_accelerator
from training.checkpoint import Checkpoint, CheckpointError, clear_partial, latest
from training.components import Components, Networks, build
from training.config import STAGES, StageConfig, StageName, TrainConfig, load_config
from training.draws import Draws
from training.ema import Average
from training.export import FOR_THE_APP, export_stage, save_networks
from training.field import calibrate
from training.kept import Chained
from training.loader import Needs, Stream, TrainingBatch, open_pairs
from training.lock import locked
from training.report import Report
from training.resume import (
    Live,
    Progress,
    check_same,
    find,
    restore_components,
    restore_training,
    store,
)
from training.steps import draws_for, training_step
from training.steps.autoencoder import latent_statistics, principal_components
from training.stop import Stop

MOST_BAD_STEPS: Final = 3
"""Steps in a row without finite gradients after which a run stops (C-76)."""

STATISTICS_BATCHES: Final = 32
CALIBRATION_BATCHES: Final = 4


class Broken(RePoseError):
    """The loss is no number any more."""


@dataclasses.dataclass(frozen=True)
class Options:
    """How to run, apart from what to train."""

    resume: str = "auto"
    minutes: float | None = None
    allow_changed: bool = False


class Trainee(nn.Module):
    """What a stage trains, and its loss as ``forward``: what DDP, FSDP and DeepSpeed wrap.

    With ``bf16`` it computes in that format; without, in the one that accelerate sees to.
    """

    def __init__(self, stage: StageName, components: Networks, *, bf16: bool = False) -> None:
        """Freeze and unfreeze as the stage wants."""
        super().__init__()
        self.stage: StageName = stage
        self.bf16 = bf16
        self.parts = components.prepare(stage)
        self._all = [components]  # in a list: frozen networks are not this module's

    def forward(self, batch: TrainingBatch, draws: Draws) -> tuple[Tensor, dict[str, Tensor]]:
        """The stage's loss and numbers for the log."""
        if not self.bf16:
            return training_step(self.stage, self._all[0], batch, draws)
        with torch.autocast(next(self.parameters()).device.type, torch.bfloat16):
            loss, logs = training_step(self.stage, self._all[0], batch, draws)
        return loss.float(), logs


def train(config: TrainConfig, options: Options) -> int:
    """Train every stage of a configuration; returns the exit code.

    Raises:
        RePoseError: the run cannot start, cannot be saved, or broke.
    """
    accelerator = make_accelerator(config)
    run = Path(config.out)
    with contextlib.ExitStack() as stack:
        if accelerator.is_main_process:
            stack.enter_context(locked(run))
            clear_partial(run)
        accelerator.wait_for_everyone()
        checkpoint, refused = find(run, options.resume)
        if checkpoint is None:
            components, progress = build(config), Progress(config.plan[0])
        else:
            if not options.allow_changed:
                check_same(checkpoint, config, accelerator.num_processes)
            components = restore_components(checkpoint, config)
            progress = Progress(**checkpoint.state["progress"])
        stop = stack.enter_context(Stop(options.minutes))
        report = Report(accelerator, run, config)
        stack.callback(report.close)
        for reason in refused:
            report.say(f"skipped: {reason}")
        if checkpoint is not None:
            report.say(f"resuming {checkpoint.folder}: {progress.stage}, step {progress.step}")
        if progress.stage not in config.plan:
            raise SettingsError(f"the run is in stage {progress.stage}, which has no steps now")

        for stage in config.plan[config.plan.index(progress.stage) :]:
            if stage != progress.stage:
                progress = Progress(stage, total=progress.total)
            components.to(accelerator.device)
            work = Work(accelerator, components, report, stop, options)
            progress = train_stage(work, progress, checkpoint)
            checkpoint = None
            done = progress.step >= config.stage(stage).steps
            if progress.step and (done or stage in FOR_THE_APP):
                components = averaged(work, progress, done=done)
                if accelerator.is_main_process and stage in FOR_THE_APP and not stop.code:
                    report.say(
                        f"weights for the app: {export_stage(components, stage, run / 'weights')}"
                    )
            if not done:
                break
        return stop.code or 0


@dataclasses.dataclass(frozen=True)
class Work:
    """What every part of a stage needs."""

    accelerator: Any
    components: Networks
    report: Report
    stop: Stop
    options: Options

    @property
    def config(self) -> TrainConfig:
        """Of the run."""
        return self.components.config

    @property
    def pipeline(self) -> Components:
        """The networks, in a run that trains a pipeline's."""
        return cast(Components, self.components)


def train_stage(work: Work, progress: Progress, checkpoint: Checkpoint | None) -> Progress:
    """Train one stage, from wherever it is, until it is done or the run is to stop.

    Its last state is then in the newest checkpoint.

    Raises:
        Broken: three steps in a row had no finite gradients.
        CheckpointError: a checkpoint could not be written, or not be resumed.
    """
    config, report, stage = work.config, work.report, progress.stage
    settings, log = config.stage(stage), config.log
    world = work.accelerator.num_processes
    stream = Stream(config, stage, rank=work.accelerator.process_index, world=world)
    if isinstance(stream.pairs, Chained):
        stream.pairs.check(work.components)
    if stage == "diffusion" and config.method == "full" and not work.components.strength:
        work.components.strength = calibrated(work)
        report.say(f"interaction field: lambda = {work.components.strength:.4g}")
    if stage == "autoencoder" and not progress.step and checkpoint is None:
        fit_linear(work, stream)
    live = prepare(work, stage)
    if checkpoint is not None:
        restore_training(
            checkpoint,
            live,
            process=work.accelerator.process_index,
            allow_changed=work.options.allow_changed,
        )
    per_step = settings.accumulate * settings.batch * world
    number = progress.seen // (settings.batch * world)
    batches = enumerate(stream.batches(number), number)
    held_out: list[TrainingBatch] = []
    bad: list[str] = []
    saved = progress.step
    while progress.step < settings.steps and not stopping(work):
        rate = set_rate(live.optimizer, settings, progress.step)
        names, finite = one_step(work, live, batches, stream)
        progress = progress.after(per_step)
        bad = [] if finite else [*bad, names]
        if len(bad) == MOST_BAD_STEPS:
            raise Broken(
                f"{stage}: {MOST_BAD_STEPS} steps in a row, up to {progress.step}, had no finite "
                f"gradients. The last checkpoint is as it was. The batches: {' | '.join(bad)}"
            )
        last = progress.step == settings.steps
        if due(progress.step, log.every, last):
            report.tell(progress, settings.steps, per_step, rate)
        if log.validate_batches and due(progress.step, log.validate_every, last):
            held_out = held_out or validation_batches(config, stage)
            report.tell_validation(progress, validate(work, live, held_out))
        if log.samples and due(progress.step, log.samples_every, last):
            report.picture(work.pipeline, live, progress)
        if not bad and due(progress.step, config.checkpoint.every, last):
            store(work.accelerator, Path(config.out), work.components, live, progress)
            saved = progress.step
    if saved < progress.step and not bad:
        folder = store(work.accelerator, Path(config.out), work.components, live, progress)
        report.say(f"stopped at step {progress.step}: saved {folder}")
    work.accelerator.free_memory()
    return progress


def one_step(
    work: Work, live: Live, batches: Iterator[tuple[int, TrainingBatch]], stream: Stream
) -> tuple[str, bool]:
    """One step of the optimiser, left out where gradients are not finite.

    Returns:
        The names of its pairs, and whether the step was made.
    """
    accelerator, settings = work.accelerator, work.config.stage(live.stage)
    names: list[str] = []
    norm: Any = None
    for _ in range(settings.accumulate):
        number, batch = next(batches)
        names += batch.names
        places, device = stream.places(number), accelerator.device
        draws = draws_for(work.components, live.stage, places, device)
        with accelerator.accumulate(live.model):
            loss, logs = live.model(batch.to(device, non_blocking=True), draws)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                limit = settings.clip or math.inf
                norm = accelerator.clip_grad_norm_(live.model.parameters(), limit)
        work.report.add({"loss": loss.detach().float(), **logs})
    # Gradients are averaged over the processes, so all of them come to the same decision.
    finite = norm is None or bool(torch.as_tensor(norm).isfinite())
    if finite:
        live.optimizer.step()
        live.average.update()
    live.optimizer.zero_grad(set_to_none=True)
    return ", ".join(names), finite


def prepare(work: Work, stage: StageName) -> Live:
    """What a stage trains, wrapped by accelerate, with a new optimiser and average."""
    settings, accelerator = work.config.stage(stage), work.accelerator
    sharded = zero.used(accelerator)
    bf16 = sharded and computes_in_bf16(work.config, accelerator.device)
    trainee = Trainee(stage, work.components, bf16=bf16)
    optimizer = torch.optim.AdamW(
        [parameter for parameter in trainee.parameters() if parameter.requires_grad],
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
    )
    accelerator.gradient_accumulation_steps = settings.accumulate
    if sharded:
        zero.configure(accelerator, settings)
    model, prepared = accelerator.prepare(trainee, optimizer)
    return Live(stage, tuple(trainee.parts), model, prepared, Average(model, settings.ema))


def averaged(work: Work, progress: Progress, *, done: bool) -> Networks:
    """The networks as the newest checkpoint has them, averaged: new modules, in no wrapper.

    What a finished stage trained is also written to ``OUT/networks``, for ``init`` of other runs.
    """
    config, run = work.config, Path(work.config.out)
    checkpoint, _ = latest(run)
    if checkpoint is None or checkpoint.state["progress"]["total"] != progress.total:
        raise CheckpointError(f"the checkpoint of step {progress.total} is not in {run} any more")
    found = restore_components(checkpoint, config, averaged=True)
    if not done:
        return found
    found.to(work.accelerator.device)
    if progress.stage == "autoencoder":
        stream = Stream(config, "autoencoder")
        batches = [b.to(work.accelerator.device) for b in stream.some(STATISTICS_BATCHES)]
        parts: Any = found
        parts.autoencoder.set_latent_statistics(*latent_statistics(parts, batches))
    if work.accelerator.is_main_process:
        trained = [name for name in found.networks if name in found.prepare(progress.stage)]
        save_networks(found, trained, run / "networks")
    work.accelerator.wait_for_everyone()
    return found


def fit_linear(work: Work, stream: Stream) -> None:
    """The linear half of a new autoencoder of ours, in closed form, the same in every process."""
    network: Any = work.pipeline.autoencoder
    if hasattr(network, "set_principal_components"):
        some = [one.to(work.accelerator.device) for one in stream.some(STATISTICS_BATCHES)]
        network.set_principal_components(*principal_components(work.pipeline, some))


def calibrated(work: Work) -> float:
    """Lambda of the interaction field; the same in every process.

    Raises:
        SettingsError: the estimator sees nothing.
    """
    work.components.prepare("diffusion")
    values = []
    pairs = open_pairs(work.config, work.config.data.split)  # pictures, also for kept samples
    stream = Stream(work.config, "diffusion", pairs=pairs, needs=Needs(heat17=True))
    for number, batch in enumerate(stream.some(CALIBRATION_BATCHES)):
        places = range(number * len(batch), (number + 1) * len(batch))
        draws = draws_for(work.components, "diffusion", places, work.accelerator.device)
        try:
            values.append(calibrate(work.pipeline, batch.to(work.accelerator.device), draws))
        except ValueError as error:
            raise SettingsError(f"the interaction field cannot be used: {error}") from error
    return statistics.median(values)


def validation_batches(config: TrainConfig, stage: StageName) -> list[TrainingBatch]:
    """The same few batches every time, on the CPU."""
    pairs = open_pairs(config, config.data.validation, stage)
    return Stream(config, stage, pairs=pairs).some(config.log.validate_batches)


def validate(work: Work, live: Live, batches: Sequence[TrainingBatch]) -> dict[str, float]:
    """Means over held-out batches, with the averaged weights and the same noise every time."""
    device, config = work.accelerator.device, work.config
    sums: dict[str, float] = {}
    live.model.eval()
    with live.average.applied(), torch.no_grad():
        for number, batch in enumerate(batches):
            places = range(number * len(batch), (number + 1) * len(batch))
            draws = Draws(config.seed + 1, STAGES.index(live.stage), places, device)
            loss, logs = live.model(batch.to(device), draws)
            for name, value in {"loss": loss, **logs}.items():
                sums[name] = sums.get(name, 0.0) + float(value) / len(batches)
    live.model.train()
    return sums


def set_rate(optimizer: Any, settings: StageConfig, step: int) -> float:
    """Set and return the learning rate of a step, which depends on its number alone."""
    rate = settings.rate(step)
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def due(step: int, every: int, last: bool) -> bool:
    """Whether something that happens every so many steps (0: never) and at the end is due."""
    return every > 0 and (last or step % every == 0)


def stopping(work: Work) -> bool:
    """Whether any process was asked to stop; all come to the same answer."""
    if work.stop.wanted:
        work.accelerator.set_trigger()
    return bool(work.accelerator.check_trigger())


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        "python -m training.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help="a name in training/configs, or a file")
    parser.add_argument("--out", help="folder of the run")
    parser.add_argument("--max-minutes", type=float, help="save and end after so long")
    parser.add_argument("--resume", default="auto", help="auto, no, or a checkpoint or run")
    parser.add_argument("--allow-changed-config", action="store_true")
    parser.add_argument("settings", nargs="*", help="key=value, such as stages.diffusion.steps=100")
    found = parser.parse_intermixed_args(argv)
    try:
        config = load_config(found.config, found.settings)
        config = dataclasses.replace(config, out=found.out or config.out)
        options = Options(found.resume, found.max_minutes, found.allow_changed_config)
        return train(config, options)
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)
        return 2


if __name__ == "__main__":
    sys.exit(main())
