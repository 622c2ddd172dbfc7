"""One process's bench: batches made, saved and judged while the accelerator is held."""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from reposedm.augment.filter import Judge
from reposedm.augment.ledger import Row
from reposedm.augment.making import Workshop
from reposedm.augment.plan import Wish
from reposedm.augment.shards import Shard
from reposedm.files import write_atomically
from reposedm.imaging import png_bytes
from reposedm.jobs.methods import load_method
from reposedm.jobs.runtime import place
from reposedm.pipelines.base import Image, Step
from reposedm.pipelines.loading import entry
from reposedm.weights import sha256_of, weights_root

MAKING: Final = "making pictures"


@dataclass(frozen=True)
class Bench:
    """Where a process makes its batches."""

    out: Path
    workshop: Workshop
    judge: Judge | None
    weights: str
    shard: Shard

    def make(
        self, batch: Sequence[Wish], before: int, total: int
    ) -> Generator[Step, None, list[Row]]:
        """Make and save the pictures of a batch; runs while the accelerator is held."""
        method = load_method(self.workshop.settings.method)
        self.workshop.method = method  # another one if other jobs have changed methods meanwhile
        if entry(self.workshop.settings.method).files:
            self.shard.take_device()
        place(method)
        rows = []
        for index, wish in enumerate(batch, start=before + 1):
            made = yield from _quietly(self.workshop.make(wish), index - 1, total)
            row = self._saved(wish, made)
            rows.append(row)
            kept = row.kept == "yes" and not isinstance(made, str)
            yield Step(index, total, MAKING, (made,) if kept else ())  # type: ignore[arg-type]
        return rows

    def _saved(self, wish: Wish, made: Image | str) -> Row:
        """The picture on disk, if it is one to keep, and its row."""
        row = Row.of(wish, self.workshop.settings.method, self.weights)
        if isinstance(made, str):
            return replace(row, kept="no", reason=made)
        if self.judge is not None:
            row = self.judge.judge(row, made, self.workshop.target(wish))
        if row.kept != "yes":
            return row
        note = {"method": row.method, "source": row.source, "pose": row.pose, "seed": row.seed}
        data = png_bytes(made, note)
        write_atomically(self.out / wish.name, data)
        return replace(row, sha256=hashlib.sha256(data).hexdigest())


def _quietly(
    work: Generator[Step, None, Any], index: int, total: int
) -> Generator[Step, None, Any]:
    """A picture's own steps, so that it can be stopped between them, shown as the run's place."""
    try:
        while True:
            try:
                next(work)
            except StopIteration as stop:
                return stop.value
            yield Step(index, total, MAKING)
    finally:
        work.close()


def weights_hash(method: str) -> str:
    """16 hexadecimal digits for the weights of a method; "" where it has none.

    Raises:
        SettingsError: there is no such method.
        OSError: a file cannot be read.
    """
    files = entry(method).files
    if not files:
        return ""
    folder = weights_root() / method
    listed = "\n".join(f"{name} {sha256_of(folder / name)}" for name in files)
    return hashlib.sha256(listed.encode()).hexdigest()[:16]
