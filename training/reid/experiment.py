"""The experiment: the plan minus the results that are there.

    RUN/experiment.json          what was asked for; a run goes on only with the same
    RUN/generated/METHOD-FRACTION-sSEED/    pictures and their manifest
    RUN/runs/ARM[-METHOD]-FRACTION-sSEED.json   one trained model's numbers, written when measured

A stop loses at most the model that is being trained. Methods can be added later: what does not
generate is shared by them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.augment.bench import weights_hash
from reposedm.errors import SettingsError
from training.files import write_atomically
from training.lock import locked
from training.machine import commit, machine, versions
from training.reid.config import ReidConfig
from training.reid.fit import Interrupted, measure, train
from training.reid.generate import Generator, Poses, from_folder, known_poses
from training.reid.market import Market, Shot, pixels_of
from training.reid.plan import Draw, Job, draws, jobs, kept, steps
from training.sample import DataError

FORMAT: Final = "reposedm-reid-run"
VERSION: Final = 1
ASKED: Final = "experiment.json"
RUNS: Final = "runs"


@dataclass
class Experiment:
    """One folder of results.

    Args:
        config: what is compared.
        market: on which set.
        out: the folder.
        methods: that generate, each an arm of its own; not used if ``generated`` is given.
        generated: a folder of ``python -m reposedm augment``; None: generated here.
        assets: of the renderer, for the oracle.
        device: of torch, for training.
        stop: asked all the time.
        tell: gets lines for people.
    """

    config: ReidConfig
    market: Market
    out: Path
    methods: tuple[str, ...] = ("preview",)
    generated: Path | None = None
    assets: str = ""
    device: str = "cpu"
    stop: Callable[[], bool] = lambda: False
    tell: Callable[[str], None] = print
    _makers: dict[str, Generator] = field(default_factory=dict)
    _pixels: NDArray[np.uint8] | None = None

    def missing(self) -> list[Job]:
        """What has no result yet, in order."""
        return [job for job in self._jobs() if not self._file(job).is_file()]

    def run(self) -> bool:
        """Do what is missing; False if it was stopped before the end.

        Raises:
            RePoseError: it cannot be done, or the folder holds another experiment.
        """
        with locked(self.out):
            self._begin()
            whole = len(self._jobs())
            for job in self.missing():
                if self.stop():
                    return False
                left = len(self.missing())
                self.tell(f"[{whole - left + 1}/{whole}] {job.name}")
                try:
                    result = self._done(job)
                except Interrupted:
                    return False
                data = json.dumps(result, indent=1, allow_nan=False).encode()
                write_atomically(self._file(job), data)
                self.tell(f"  mAP {result['scores']['mean_ap']:.4f}  "
                          f"Rank-1 {result['scores']['rank1']:.4f}  "
                          f"{result['cpu_seconds']:.0f} CPU seconds")  # fmt: skip
        return True

    def _jobs(self) -> list[Job]:
        return jobs(self.config.protocol, self._generators)

    @property
    def _generators(self) -> tuple[str, ...]:
        """Names of what generates."""
        return self.methods if self.generated is None else (f"folder-{self.generated.name}",)

    def _begin(self) -> None:
        asked: dict[str, Any] = {
            "format": FORMAT, "version": VERSION, "digest": self.config.digest(),
            "config": self.config.record(), "set": fingerprint(self.market),
            "counts": self.market.counts, "synthetic": self._is_synthetic,
            "methods": list(self._generators),
        }  # fmt: skip
        file = self.out / ASKED
        if file.is_file():
            begun = read_json(file)
            methods = (*begun.get("methods", ()), *self._generators)
            asked["methods"] = list(dict.fromkeys(methods))
            for name in ("version", "digest", "set"):
                if begun.get(name) != asked[name]:
                    raise SettingsError(
                        f"{self.out} holds an experiment with another {name} "
                        f"({begun.get(name)!s:.40}, not {asked[name]!s:.40}): choose another folder"
                    )
        write_atomically(file, json.dumps(asked, indent=1).encode())

    @property
    def _is_synthetic(self) -> bool:
        return (self.market.root / "poses.json").is_file()

    def _file(self, job: Job) -> Path:
        return self.out / RUNS / f"{job.name}.json"

    def _done(self, job: Job) -> dict[str, Any]:
        """Generate, train and measure.

        Raises:
            Interrupted: it was stopped.
        """
        start, cpu = time.perf_counter(), time.process_time()
        protocol, recipe = self.config.protocol, self.config.recipe
        chosen = kept(self.market.train, job.fraction, job.seed)
        added, lacking = self._added(job, chosen)
        making = time.process_time() - cpu
        people = [shot.person for shot in (*chosen, *added)]
        count = steps(job.arm, len(chosen), len(self.market.train), recipe)
        self.tell(f"  {len(chosen)} real and {len(added)} more pictures, {count} steps")
        trained = train(
            self.config, np.concatenate((self._real(chosen), self._more(job, added))), people,
            count, job.seed, device=self.device, interrupted=self.stop,
            tell=lambda text: self.tell(f"  {text}"),
        )  # fmt: skip
        scores = measure(trained.network, self.market, device=self.device)
        return {
            "format": FORMAT, "version": VERSION, "digest": self.config.digest(),
            "arm": job.arm, "fraction": job.fraction, "seed": job.seed,
            "method": self._made_by(job), "weights": self._weights(job),
            "donors": protocol.donors, "fit": protocol.fit,
            "real": len(chosen), "added": len(added), "not_made": lacking,
            "steps": count, "batch": recipe.people * recipe.each, "loss": trained.loss,
            "scores": scores.record(),
            "generation_cpu_seconds": making, "training_cpu_seconds": trained.cpu_seconds,
            "cpu_seconds": time.process_time() - cpu, "seconds": time.perf_counter() - start,
            "machine": machine(self.device), "versions": versions(), "commit": commit(),
        }  # fmt: skip

    def _weights(self, job: Job) -> str:
        """A hash of the generating method's weights; "" where none are known."""
        return weights_hash(job.method) if job.method and self.generated is None else ""

    def _made_by(self, job: Job) -> str | None:
        if job.method:
            return job.method
        return {"oracle": "the renderer", "repeated": "the sources again"}.get(job.arm)

    def _added(self, job: Job, chosen: Sequence[Shot]) -> tuple[tuple[Shot, ...], int]:
        """The pictures beside the real ones, and how many could not be made.

        Raises:
            Interrupted: it was stopped.
        """
        if job.arm == "real":
            return (), 0
        lacking = len(self.market.train) - len(chosen)
        if self.generated is not None and job.arm in ("repeated", "generated"):
            found = from_folder(self.generated, self.market.train, chosen)
            if job.arm == "repeated":
                found = _sources(chosen, [shot.source for shot in found])
            return found, lacking - len(found)
        wanted = self._draws(job, chosen)
        if job.arm == "repeated":
            found = _sources(chosen, [draw.source.source for draw in wanted])
            return found, lacking - len(found)
        name = job.method or "oracle"
        folder = self.out / "generated" / f"{name}-{job.fraction:03d}-s{job.seed}"
        made = self._maker(name).make(wanted, folder, self.stop)
        if made is None:
            raise Interrupted
        return made, lacking - len(made)

    def _draws(self, job: Job, chosen: Sequence[Shot]) -> list[Draw]:
        usable = self._known().usable
        found = draws(self.market.train, chosen, usable, job.seed, self.config.protocol.donors)
        if not found and len(chosen) < len(self.market.train):
            raise DataError("no kept picture has a pose with shoulders and hips to generate from")
        return found

    def _known(self) -> Poses:
        return self._maker(self.methods[0]).known

    def _maker(self, name: str) -> Generator:
        if name not in self._makers:
            known = next(iter(self._makers.values())).known if self._makers else None
            self._makers[name] = Generator(
                name, self.market, known or known_poses(self.market),
                self.config.protocol.fit, self.assets, lambda text: self.tell(f"  {text}"),
            )  # fmt: skip
        return self._makers[name]

    def _real(self, shots: Sequence[Shot]) -> NDArray[np.uint8]:
        """Pixels of training pictures, read once."""
        if self._pixels is None:
            self._pixels = pixels_of(self.market.train)
        place = {shot.name: index for index, shot in enumerate(self.market.train)}
        return self._pixels[[place[shot.name] for shot in shots]]

    def _more(self, job: Job, shots: Sequence[Shot]) -> NDArray[np.uint8]:
        return self._real(shots) if job.arm == "repeated" else pixels_of(shots)


def _sources(chosen: Sequence[Shot], names: Sequence[str]) -> tuple[Shot, ...]:
    """The kept pictures of such names, as often as they are named."""
    by_name = {shot.source: shot for shot in chosen}
    return tuple(by_name[name] for name in names)


def fingerprint(market: Market) -> str:
    """Changes when a picture does: of the names and sizes of all files."""
    digest = hashlib.sha256()
    for shots in (market.train, market.query, market.gallery):
        for shot in shots:
            digest.update(f"{shot.name}\0{Path(shot.path).stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def read_json(file: Path) -> dict[str, Any]:
    """A file that an experiment wrote.

    Raises:
        DataError: it is none.
    """
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{file} is not of an experiment of training.reid")
    return content
