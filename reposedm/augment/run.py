"""The run: from a set of pictures to a folder of new ones; safe to kill at any moment.

Everything in the folder of results is written whole or appended in whole lines, and nothing in it
depends on the time, on the number of processes, or on how often the run was interrupted:

    run.json        what was asked for; a run goes on only with the same
    poses.jsonl     the joints on every picture of the set, or why there are none
    plan.jsonl      every picture that will be made, with its seed and batch
    NAME_gK.png     the pictures
    manifest.csv    what became of every line of the plan
    report.html     the same for a person to look at
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import reposedm
from reposedm.augment.bench import MAKING, Bench, weights_hash
from reposedm.augment.filter import Judge, know_identities, weights_folder
from reposedm.augment.ledger import MANIFEST, Ledger
from reposedm.augment.making import Workshop
from reposedm.augment.naming import Shot, Understood
from reposedm.augment.pictures import LOOKING, Found, PictureSet, read_found, refuse_bad
from reposedm.augment.plan import (
    SOURCES,
    PosePool,
    Wish,
    batches_of,
    from_lines,
    make_plan,
    pool_of,
    to_lines,
)
from reposedm.augment.report import report_page
from reposedm.augment.settings import AugmentSettings
from reposedm.augment.shards import Shard
from reposedm.errors import SettingsError
from reposedm.files import locked, write_atomically
from reposedm.imaging.archive import open_collection
from reposedm.jobs.methods import load_method
from reposedm.jobs.repose import check_method
from reposedm.jobs.runtime import WAITING, choose_device, exclusively, processor
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import Step
from reposedm.pipelines.loading import entry
from reposedm.weights import WEIGHTS, sha256_of

RUN, POSES, PLAN, REPORT = "run.json", "poses.jsonl", "plan.jsonl", "report.html"
_POLL_S: Final = 0.5


@dataclass(frozen=True)
class Summary:
    """What a run came to.

    Attributes:
        out: the folder.
        planned: pictures in the plan.
        kept: of these, on disk.
        reasons: why the others are not, and how many each.
        understood: the set.
        unposed: reason -> pictures of the set that could not be used.
    """

    out: Path
    planned: int
    kept: int
    reasons: dict[str, int]
    understood: Understood
    unposed: dict[str, int]


def augment(
    source: str | Path | bytes,
    out: str | Path,
    settings: AugmentSettings,
    *,
    resume: bool = False,
    shard: Shard | None = None,
) -> Generator[Step, None, Summary]:
    """Check a run, then return the generator that does it; closing it stops the work.

    Args:
        source: a folder, or a zip by path or bytes.
        out: the folder of results, new or empty, or with ``resume`` one of an earlier run.
        settings: what was chosen.
        resume: go on with the run that is in ``out``; a new one where there is none.
        shard: which of several processes this is; None: alone.

    Raises:
        RePoseError: at once or while it runs: something the user can change.
    """
    check_method(
        ReposeSettings(
            method=settings.method,
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            pose_guidance_scale=settings.pose_guidance_scale,
        )
    )
    return _Run(source, Path(out).expanduser(), settings, resume, shard or Shard()).work()


@dataclass
class _Run:
    source: str | Path | bytes
    out: Path
    settings: AugmentSettings
    resume: bool
    shard: Shard
    given: PosePool | None = None
    """The poses of a file."""

    def work(self) -> Generator[Step, None, Summary]:
        """Everything."""
        with contextlib.ExitStack() as held:
            pictures = PictureSet(held.enter_context(open_collection(self.source)))
            if self.settings.poses not in SOURCES:
                self.given = pool_of(self.settings.poses, {})
            self._refuse_other_files()
            part = f".lock-{self.shard.index:05d}"
            held.enter_context(locked(self.out / part, f"is augmenting into {self.out} already"))
            yield from self._begin(pictures)
            found = yield from self._found(pictures)
            shots = [shot for shot in pictures.understood.shots if found[shot.key].pose is not None]
            plan, workshop, judge = yield from self._prepared(pictures, found, shots)
            ledger = yield from self._made(plan, workshop, judge)
            summary = yield from self._finished(pictures, found, plan, ledger)
        return summary

    def _refuse_other_files(self) -> None:
        """Before anything is written.

        Raises:
            SettingsError: the folder is taken, or no folder.
        """
        if self.out.exists() and not self.out.is_dir():
            raise SettingsError(f"{self.out} is a file: name a folder for the results")
        if not isinstance(self.source, bytes):
            given = Path(self.source).expanduser().resolve()
            if self.out.resolve().is_relative_to(given):
                raise SettingsError(
                    f"{self.out} lies in the set of pictures itself: name a folder outside it"
                )
        # Files that begin with a dot are other processes' locks, or were left by a kill.
        there = self.out.is_dir() and any(not x.name.startswith(".") for x in self.out.iterdir())
        if not (self.shard.first and there):
            return
        if not self.resume:
            raise SettingsError(
                f"{self.out} is not empty: add --resume to go on with the run in it, or name "
                "another folder"
            )
        if not (self.out / RUN).exists():
            raise SettingsError(f"{self.out} holds no run to go on with: name another folder")

    def _begin(self, pictures: PictureSet) -> Generator[Step, None, None]:
        """Write down what was asked for, or compare it with what is written.

        Raises:
            SettingsError: the run in the folder was begun with something else.
        """
        asked = self._asked(pictures)
        file = self.out / RUN
        if self.shard.first and not file.exists():
            write_atomically(file, (json.dumps(asked, indent=1, sort_keys=True) + "\n").encode())
            return
        yield from self._wait(file.exists)
        try:
            begun = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise SettingsError(f"{file} is damaged: start again in another folder") from error
        for name, value in asked.items():
            if begun.get(name) != value:
                raise SettingsError(
                    f"the run in {self.out} was begun with {name} {begun.get(name)!r:.60}, not "
                    f"{value!r:.60}: go on with the same, or name another folder"
                )

    def _asked(self, pictures: PictureSet) -> dict[str, Any]:
        """Everything that decides the bytes of the results."""
        method = entry(self.settings.method)
        device = choose_device() if method.files else processor()
        reid = ""
        if self.settings.reid_weights:
            reid = sha256_of(weights_folder(self.settings.reid_weights) / WEIGHTS)[:16]
        return self.settings.stored() | {
            "made_with": f"RePoseDM {reposedm.__version__}",
            "set": pictures.fingerprint,
            "poses_hash": self.given.fingerprint if self.given else "",
            "weights": weights_hash(self.settings.method),
            "reid_hash": reid,
            "device": device.name,
            "dtype": device.dtype if method.files else "",
        }

    def _found(self, pictures: PictureSet) -> Generator[Step, None, dict[str, Found]]:
        """The person on every picture, searched for by all processes and merged by the first.

        Raises:
            ArchiveError: most pictures cannot be used.
        """
        shots, merged = pictures.understood.shots, self.out / POSES
        if not merged.exists():
            known = read_found(self._parts())
            own = [shot for shot in self.shard.own(shots) if shot.key not in known]
            yield from self._search(pictures, own)
            if self.shard.first:
                yield from self._wait(lambda: _covers(read_found(self._parts()), shots))
                known = read_found(self._parts())
                write_atomically(merged, b"".join(known[shot.key].line() for shot in shots))
                for file in self._parts():
                    file.unlink()
            else:
                yield from self._wait(merged.exists)
        found = read_found([merged])
        if not _covers(found, shots):
            raise SettingsError(f"{merged} is damaged: delete it and run again with --resume")
        refuse_bad(len(shots), [one.reason for one in found.values() if one.unusable])
        return found

    def _search(self, pictures: PictureSet, shots: Sequence[Shot]) -> Generator[Step, None, None]:
        file = self.out / f"poses-{self.shard.index:05d}.jsonl"
        if not shots:
            return
        whole = file.read_bytes() if file.exists() else b""
        write_atomically(file, whole[: whole.rfind(b"\n") + 1])
        with file.open("ab") as lines:
            for index, shot in enumerate(shots, start=1):
                lines.write(pictures.look(shot, self.settings.detector).line())
                lines.flush()
                yield Step(index, len(shots), LOOKING)

    def _parts(self) -> list[Path]:
        return sorted(self.out.glob("poses-[0-9][0-9][0-9][0-9][0-9].jsonl"))

    def _prepared(
        self, pictures: PictureSet, found: dict[str, Found], shots: Sequence[Shot]
    ) -> Generator[Step, None, tuple[list[Wish], Workshop, Judge | None]]:
        """The plan, written by the first process; the method, loaded; and the judge."""
        poses = {shot.key: pose for shot in shots if (pose := found[shot.key].pose) is not None}
        pool = self.given or pool_of(self.settings.poses, poses)
        file = self.out / PLAN
        if self.shard.first and not file.exists():
            plan = make_plan(
                shots, pool, per_identity=self.settings.per_identity, seed=self.settings.seed,
                limit=self.settings.limit,
            )  # fmt: skip
            write_atomically(file, to_lines(plan))
        yield from self._wait(file.exists)
        plan = from_lines(file.read_bytes())
        method = load_method(self.settings.method)
        judge = None
        if self.settings.filter:
            weights = self.settings.reid_weights
            if weights:
                self.shard.take_device()
            judge = Judge(
                self.settings, know_identities(pictures, shots, weights) if weights else None
            )
        workshop = Workshop(
            pictures, found, pool=pool, plan=plan, method=method, settings=self.settings
        )
        return plan, workshop, judge

    def _made(
        self, plan: Sequence[Wish], workshop: Workshop, judge: Judge | None
    ) -> Generator[Step, None, Ledger]:
        """This process's batches that are not done yet."""
        batches = batches_of(plan)
        ledger = Ledger(self.out, batches, None if self.shard.alone else self.shard.index)
        done = ledger.done()
        own = self.shard.own(batches)
        # A process with nothing to do writes no file: the first one may have merged them already.
        if self.shard.alone or any(batch[0].batch not in done for batch in own):
            ledger.begin(done)
        total = sum(len(batch) for batch in own)
        made = sum(len(batch) for batch in own if batch[0].batch in done)
        yield Step(made, total, MAKING)
        hashed = weights_hash(self.settings.method)
        bench = Bench(self.out, workshop, judge, hashed, self.shard)
        for batch in own:
            if batch[0].batch in done:
                continue
            # One batch at a time, so that others get their turn on the accelerator.
            rows = yield from exclusively(bench.make(batch, made, total))
            ledger.append(rows)
            made += len(batch)
        return ledger

    def _finished(
        self,
        pictures: PictureSet,
        found: dict[str, Found],
        plan: Sequence[Wish],
        ledger: Ledger,
    ) -> Generator[Step, None, Summary]:
        """Merge and report, by the first process; and what it came to."""
        if self.shard.first:
            yield from self._wait(lambda: len(ledger.done()) == len(ledger.batches))
            ledger.merge(ledger.done())
            for left in (*self.out.glob(".*.tmp"), *self.out.glob(".lock-*"), *self._parts()):
                with contextlib.suppress(OSError):  # Windows keeps files that somebody has open
                    left.unlink()
        else:
            yield from self._wait(lambda: not ledger.file.exists() and ledger.is_merged())
        rows = [row for rows in ledger.done().values() for row in rows]
        reasons: dict[str, int] = {}
        for row in rows:
            if row["kept"] != "yes":
                reasons[row["reason"]] = reasons.get(row["reason"], 0) + 1
        unposed: dict[str, int] = {}
        for one in found.values():
            if one.pose is None:
                unposed[one.reason] = unposed.get(one.reason, 0) + 1
        kept = sum(row["kept"] == "yes" for row in rows)
        summary = Summary(self.out, len(plan), kept, reasons, pictures.understood, unposed)
        if self.shard.first:
            begun = json.loads((self.out / RUN).read_text("utf-8"))
            page = report_page(pictures, summary, rows, begun)
            write_atomically(self.out / REPORT, page.encode())
        return summary

    def _wait(self, ready: Callable[[], bool]) -> Generator[Step, None, None]:
        """Until another process has done its part."""
        while True:
            start = time.monotonic()
            if ready():
                return
            # Looking at the manifests of a large plan takes time of its own.
            pause = max(_POLL_S, 10 * (time.monotonic() - start))
            yield Step(0, 0, WAITING)
            time.sleep(pause)


def _covers(found: dict[str, Found], shots: Sequence[Shot]) -> bool:
    return all(shot.key in found for shot in shots)


__all__ = ["MANIFEST", "PLAN", "REPORT", "RUN", "Summary", "augment"]
