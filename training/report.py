"""What a run says while it runs: a line, ``log.jsonl``, TensorBoard, sample pictures.

``starts.jsonl`` has a line for every time that the run was started or resumed: when, on what, from
which commit. ``training.history`` makes the model card's facts of both files.
"""

from __future__ import annotations

import json
import math
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from training.components import Components
from training.config import TrainConfig
from training.loader import open_pairs
from training.machine import command_line, commit, machine
from training.resume import Live, Progress
from training.sample import Sample
from training.swap_pictures import swap_grid

STARTS: Final = "starts.jsonl"
LOG: Final = "log.jsonl"


class Report:
    """Numbers and pictures of a run; only the first process writes.

    Args:
        accelerator: accelerate's.
        run: folder of the run.
        config: of the run.
    """

    def __init__(self, accelerator: Any, run: Path, config: TrainConfig) -> None:
        """Open TensorBoard's file, if it is installed."""
        self.accelerator, self.run, self.config = accelerator, run, config
        self._sums: dict[str, Tensor] = {}
        self._count, self._started = 0, time.monotonic()
        self._board = None
        if accelerator.is_main_process:
            self._board = self._open_board()
            self._note_start()

    def say(self, text: str) -> None:
        """A line for people, once."""
        self.accelerator.print(text, flush=True)

    def add(self, logs: dict[str, Tensor]) -> None:
        """Numbers of a step, (): they are averaged until ``tell``."""
        for name, value in logs.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(value)) + value
        self._count += 1

    def tell(self, progress: Progress, of: int, samples: int, rate: float) -> None:
        """Means since the last time, over all processes.

        Args:
            progress: of the run.
            of: steps of the stage.
            samples: of one step, in all processes together.
            rate: learning rate.
        """
        names = sorted(self._sums)
        if names:
            values = torch.stack([self._sums[name] for name in names]) / self._count
            values = self.accelerator.reduce(values, "mean").cpu()
        now = time.monotonic()
        seconds, done = now - self._started, samples * self._count
        speed = done / max(seconds, 1e-9)
        means = dict(zip(names, values.tolist(), strict=True)) if names else {}
        self._sums, self._count, self._started = {}, 0, now
        shown = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        self.say(f"{progress.stage} {progress.step}/{of}  {shown}  {speed:.1f} samples/s")
        means |= {"samples_per_second": speed, "samples": done, "seconds": seconds}
        self._write(progress, means | {"learning_rate": rate})

    def tell_validation(self, progress: Progress, means: dict[str, float]) -> None:
        """Numbers of a validation."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in means.items())
        self.say(f"{progress.stage} {progress.step}  validation  {shown}")
        self._write(progress, {f"validation/{name}": value for name, value in means.items()})

    def picture(self, components: Components, live: Live, progress: Progress) -> None:
        """Sample pictures by the pipeline itself, with the averaged weights."""
        if live.stage != "diffusion" or not self.accelerator.is_main_process or self._sharded:
            return
        trained = [(module, module.training) for module in live.model.modules()]
        with live.average.applied(), torch.random.fork_rng():
            grid = sample_grid(components)
        for module, training in trained:
            module.training = training
        folder = self.run / "samples"
        folder.mkdir(exist_ok=True)
        Image.fromarray(grid).save(folder / f"step-{progress.total:08d}.png")
        if self._board is not None:
            self._board.add_image("samples", grid, progress.total, dataformats="HWC")

    def close(self) -> None:
        """Write what is still in memory."""
        if self._board is not None:
            self._board.close()

    @property
    def _sharded(self) -> bool:
        return str(self.accelerator.distributed_type).endswith(("FSDP", "DEEPSPEED"))

    def _open_board(self) -> Any:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            self.say("TensorBoard is not installed: pip install -r requirements-train.txt. Numbers "
                     f"go to {self.run / LOG} alone.")  # fmt: skip
            return None
        return SummaryWriter(str(self.run / "tensorboard"))

    def _note_start(self) -> None:
        facts = {
            "utc": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": command_line("training.train", sys.argv[1:]),
            "commit": commit(),
            "machine": machine(self.accelerator.device.type),
            "processes": self.accelerator.num_processes,
            "precision": self.accelerator.mixed_precision,
            "torch": torch.__version__,
            "config": self.config.as_dict(),
        }
        self.run.mkdir(parents=True, exist_ok=True)
        with (self.run / STARTS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(facts) + "\n")

    def _write(self, progress: Progress, values: dict[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        values = {name: value for name, value in values.items() if math.isfinite(value)}
        line = {"stage": progress.stage, "step": progress.step, "total": progress.total, **values}
        with (self.run / LOG).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(f"{progress.stage}/{name}", value, progress.total)


def sample_grid(components: Components) -> NDArray[np.uint8]:
    """Rows of source, target and what the pipeline makes of the source, uint8 (rows H, 3 W, 3)."""
    config = components.config
    if config.method == "swap":
        return swap_grid(components)
    pairs = open_pairs(config, config.data.validation)
    pipeline = components.pipeline()
    count = min(config.log.samples, len(pairs))
    spread = [index * len(pairs) // count for index in range(count)]
    rows = []
    for number, index in enumerate(spread):
        sample: Sample = pairs[index]
        mask = None if sample.source_alpha is None else sample.source_alpha / np.float32(255)
        made = pipeline(
            sample.source_image,
            sample.source_pose,
            sample.target_pose,
            source_mask=mask,
            steps=config.log.sample_steps,
            generators=[torch.Generator().manual_seed(config.seed + number)],
        ).images[0]
        alpha = made[..., 3:] / 255
        flat = np.rint(made[..., :3] * alpha + 127.5 * (1 - alpha)).astype(np.uint8)
        rows.append(np.concatenate([sample.source_image, sample.target_image, flat], 1))
    return np.concatenate(rows)
