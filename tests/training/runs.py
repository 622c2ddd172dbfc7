"""Runs so small that a test can afford several."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

from training.checkpoint import Checkpoint, latest
from training.train import main

STAGES = ("autoencoder", "estimator", "alignment", "diffusion")
FAST = [
    "data.size=[64,64]",
    *(f"stages.{name}.steps=2" for name in STAGES),
    *(f"stages.{name}.batch=2" for name in STAGES),
    "stages.diffusion.steps=4",
    "checkpoint={every: 1, keep: 20}",
    "log={every: 1, validate_every: 0, samples_every: 0, samples: 1}",
]
"""Over "tiny": ten steps in all, each saved."""


def train(out: Path, *settings: str, options: tuple[str, ...] = ()) -> int:
    """The command, in this process; its exit code."""
    return main(["--config", "tiny", "--out", str(out), *options, *FAST, *settings])


@functools.cache
def whole_run() -> Path:
    """A run of all four stages, from its first step to its last, with a checkpoint of each."""
    folder = Path(tempfile.mkdtemp(prefix="whole-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    assert train(folder / "run") == 0
    return folder / "run"


def newest(out: Path) -> Checkpoint:
    found, refused = latest(out)
    assert found is not None and not refused, refused
    return found


def contents(checkpoint: Checkpoint) -> dict[str, bytes]:
    """The bytes of all files, but for the manifest and the state, which name the run's folder."""
    names = [name for group in checkpoint.files.values() for name in group]
    return {name: (checkpoint.folder / name).read_bytes() for name in names}


def signal_when(file: Path, number: int) -> threading.Thread:
    """Send this process a signal as soon as a file is there."""

    def wait() -> None:
        for _ in range(6000):
            if file.exists():
                os.kill(os.getpid(), number)
                return
            time.sleep(0.02)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread
