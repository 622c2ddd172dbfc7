"""The paper's ablation on held-out rendered people: every arm on the same pairs, scored alike.

    python -m training.synthetic render --out held-out --identities 60 --mode mixed \\
        --photographic 1 --one-camera --seed 7
    python -m training.ablation --data held-out --out training/results/ablation.json \\
        --arm full=runs/small/weights --arm b1=runs/b1/weights --arm b2=runs/b2/weights

Copying the source, the limb mapping and the preview engine need no weights and are always there. A
further arm may be the same weights with other settings: ``--arm fast=runs/small/weights,steps=4``.
Each picture is put over the real target's own background and compared inside the real target's
person, and as a whole. The command may be stopped, by ``--max-minutes`` or by Ctrl-C, and goes on
where it was; numbers are then of the pairs that every arm has done. Beside ``ablation.json`` lie
``ablation.md`` and two sheets of pictures: of evenly spread ranks, and the worst.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from reposedm.errors import RePoseError, SettingsError
from reposedm.jobs.runtime import choose_device
from training.ablation_pages import PAPER, page, sheets
from training.arms import FREE, TRAINED, free_arm, load_arm, parse_arm, seconds_per_picture
from training.candidates import Candidate
from training.comparison import (
    COMPARED,
    HEADLINES,
    RESAMPLES,
    bars,
    difference,
    number_of,
    order,
    statistic_of,
)
from training.evaluation import Evaluation
from training.files import write_atomically
from training.held_out import HeldOut, open_held_out
from training.lock import locked
from training.machine import command_line, commit, machine, versions
from training.metric_weights import find
from training.metrics import PROTOCOLS, MetricsError, Protocol, protocol_named
from training.scoring import Judges, Truth
from training.stop import Stop

FORMAT: Final = "reposedm-ablation"
VERSION: Final = 1
OFFLINE: Final = ("ssim", "psnr", "pckh", "flow")
SAY_EVERY_S: Final = 30.0
BY_ANGLE: Final = ("person/psnr", "person/ssim_g1.5")
"""What a person who turns costs a method; poses are judged on too few pairs for classes."""


@dataclass
class Study:
    """All arms and what they are asked.

    Attributes:
        pairs: the held-out ones.
        judges: of every arm.
        arms: those that run, by name.
        posed: pairs whose poses are judged, from the first on.
        absent: why an arm does not run.
    """

    pairs: HeldOut
    judges: Judges
    arms: dict[str, Evaluation]
    posed: int
    absent: dict[str, str] = field(default_factory=dict)

    def run(self, stop: Stop) -> list[int]:
        """Answer pair after pair; returns those that every arm has done.

        Raises:
            RePoseError: an arm cannot answer.
        """
        for evaluation in self.arms.values():
            evaluation.begin()
            self._forget_unposed(evaluation)
        todo = [n for n in range(len(self.pairs)) if self._missing(n)]
        start, said = time.monotonic(), 0.0
        for done, number in enumerate(todo):
            if stop.wanted:
                break
            self._answer(number)
            now = time.monotonic()
            if now - said >= SAY_EVERY_S or done + 1 == len(todo):
                said = now
                pace = (now - start) / (done + 1)
                print(f"{len(self.pairs) - len(todo) + done + 1} of {len(self.pairs)} pairs, "
                      f"{pace:.1f} s a pair, {pace * (len(todo) - done - 1) / 60:.0f} minutes left",
                      file=sys.stderr, flush=True)  # fmt: skip
        return [number for number in range(len(self.pairs)) if not self._missing(number)]

    def _forget_unposed(self, arm: Evaluation) -> None:
        """Rows without poses do not count once poses are wanted of their pairs."""
        for key in [key for key, row in arm.rows.items() if "hits" not in row]:
            if key[1] < self.posed and self.judges.poses:
                del arm.rows[key]

    def _missing(self, number: int) -> bool:
        return any(arm.missing(number) for arm in self.arms.values())

    def _answer(self, number: int) -> None:
        sample = self.pairs[number]
        truth = Truth(sample, self.judges, poses=self.judges.poses and number < self.posed)
        for arm in self.arms.values():
            arm.answer(number, sample, truth)


def prepare(options: argparse.Namespace) -> Study:
    """Load data, judges and arms.

    Raises:
        RePoseError: something is absent or wrong; says what.
    """
    pairs = open_held_out(options.data, options.pairs)
    metrics, absent = reachable_metrics(protocol_named(options.protocol))
    # The real set of an FID is the held-out targets: there are no others of these people.
    protocol = dataclasses.replace(protocol_named(options.protocol), real="test")
    judges = Judges(protocol, metrics, options.device or "cpu")
    candidates = {name: free_arm(name) for name in FREE}
    for text in options.arm:
        wanted = parse_arm(text)
        if wanted.name in candidates:
            raise SettingsError(f"two arms are called {wanted.name}: give each its own name")
        candidates[wanted.name] = load_arm(wanted, options.device)
    for name in TRAINED:
        if name not in candidates:
            absent[name] = f"no weights were given: --arm {name}=FOLDER"
    work = options.out.with_suffix(".work")
    arms = {
        name: Evaluation(
            candidate,
            judges,
            pairs,
            data=pairs.facts,
            numbers=range(len(pairs)),
            seeds=options.seeds,
            work=work / f"{name}-{key_of(candidate, judges, pairs)}",
        )
        for name, candidate in candidates.items()
    }
    return Study(pairs, judges, arms, options.pose_pairs or len(pairs), absent)


def key_of(candidate: Candidate, judges: Judges, pairs: HeldOut) -> str:
    """Changes when an arm's weights or settings, the judges or the data do: then it starts anew."""
    text = json.dumps(
        [candidate.record(), pairs.facts, judges.protocol.text, judges.metrics], sort_keys=True
    )
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def reachable_metrics(protocol: Protocol) -> tuple[tuple[str, ...], dict[str, str]]:
    """The metrics that can be computed here, and why not the others."""
    metrics, absent = list(OFFLINE), {}
    for metric, weights in (("lpips", "lpips"), ("fid", protocol.inception)):
        try:
            find(weights)
            metrics.append(metric)
        except MetricsError:
            why = f"its weights are not here: python -m training.metric_weights {weights}"
            absent[metric] = why
    return tuple(metrics), absent


def results_of(study: Study, numbers: Sequence[int]) -> dict[str, Any]:
    """The numbers of results.json, on pairs that every arm has done."""
    people = [study.pairs.person(number) for number in numbers]
    ratios: dict[str, dict[str, Any]] = {}
    arms: dict[str, dict[str, Any]] = {}
    for name, arm in study.arms.items():
        arm.numbers = list(numbers)
        found = arm.summary()
        ratios[name] = {m: number_of(arm.rows, m, arm.seeds, numbers) for m in COMPARED}
        kept = statistic_of(ratios[name]["pose/kept"])
        found.setdefault("pose", {})["kept"] = kept
        arms[name] = {
            "candidate": arm.candidate.record(),
            "seeds": arm.seeds,
            "numbers": found,
            "seconds_per_picture": seconds_per_picture(arm.candidate),
            "by_angle": _by_angle(study, arm, numbers),
            "notes": arm.notes,
        }
    statistics = {
        name: {metric: statistic_of(ratio) for metric, ratio in found.items()}
        for name, found in ratios.items()
    }
    differences = {}
    for first, second in _contrasts(list(study.arms)):
        gaps = {
            metric: difference(ratios[first][metric], ratios[second][metric], people)
            for metric in COMPARED
        }
        differences[f"{first} - {second}"] = {k: gap for k, gap in gaps.items() if gap is not None}
    return {
        "arms": arms,
        "differences": differences,
        "bars": bars(statistics, differences),
        "order": {metric: order(statistics, metric) for metric in HEADLINES},
    }


def _by_angle(
    study: Study, arm: Evaluation, numbers: Sequence[int]
) -> dict[str, dict[str, float | None]]:
    """Means over the pairs of each class of angles between the two views, and over seeds."""
    return {
        name: {
            metric: statistic_of(number_of(arm.rows, metric, arm.seeds, members))["mean"]
            for metric in BY_ANGLE
        }
        for name, members in study.pairs.classes(numbers)
        if members
    }


def _contrasts(names: Sequence[str]) -> list[tuple[str, str]]:
    """Full against everything, and each of the paper's arms against what needs no weights."""
    trained = [name for name in names if name not in FREE]
    found = [("full", other) for other in names if other != "full"] if "full" in names else []
    found += [(one, free) for one in trained if one != "full" for free in FREE]
    return found + ([("b2", "b1")] if {"b1", "b2"} <= set(names) else [])


def ablation(options: argparse.Namespace, command: str) -> int:
    """Run the study and write its files; the exit code.

    Raises:
        RePoseError: it cannot be done.
    """
    start, started = time.perf_counter(), datetime.now(UTC)
    study = prepare(options)
    for name, why in study.absent.items():
        print(f"{name}: not run ({why})", file=sys.stderr)
    with locked(options.out.with_suffix(".work")), Stop(options.max_minutes) as stop:
        numbers = study.run(stop)
        if len(numbers) < 2:
            print("stopped before two pairs were done: the same command goes on", file=sys.stderr)
            return stop.code or 0
        results = {
            "format": FORMAT,
            "version": VERSION,
            "data": study.pairs.record(numbers),
            "counts": {"pairs": len(numbers), "of": len(study.pairs),
                       "posed": sum(number < study.posed for number in numbers),
                       "seeds": len(options.seeds)},
            "protocol": {"name": options.protocol, "text": study.judges.protocol.text},
            "judges": study.judges.record(),
            "absent": study.absent,
            **results_of(study, numbers),
            "bootstrap": {"resamples": RESAMPLES, "percent": 95},
            "paper": PAPER,
            "pictures": sheets(study, numbers, options.out),
            "command": command,
            "commit": commit(),
            "versions": versions(),
            "machine": machine(choose_device(options.device).name),
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.perf_counter() - start, 1),
        }  # fmt: skip
        text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(options.out, text.encode())
        write_atomically(options.out.with_suffix(".md"), page(results).encode())
    print(page(results), end="")
    if len(numbers) < len(study.pairs):
        print("not all pairs are done: the same command goes on", file=sys.stderr)
    return stop.code or 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code: 0 done, or time is up; 2 something to change."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m training.ablation",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, help="a folder of rendered people that no training has seen")
    add("--arm", action="append", default=[], help="NAME=FOLDER[,steps=N,guidance_scale=X,...]")
    add("--pairs", type=int, default=300)
    add("--pose-pairs", type=int, default=0, help="judge poses on the first ones only; 0: on all")
    add("--seeds", type=_seeds, default=[0, 1, 2])
    add("--protocol", choices=tuple(PROTOCOLS), default="legacy-256")
    add("--device", default="", help="cpu, cuda, mps")
    add("--max-minutes", type=float)
    add("--out", type=Path, required=True, help="results.json")
    options = parser.parse_args(given)
    try:
        return ablation(options, command_line("training.ablation", given))
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _seeds(text: str) -> list[int]:
    seeds = [int(part) for part in text.split(",")]
    if min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError("seeds are different numbers from 0 on, such as 0,1,2")
    return seeds


if __name__ == "__main__":
    sys.exit(main())
