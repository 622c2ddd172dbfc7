"""Evaluate a method, the source picture itself, or saved results; writes results.json.

python -m training.evaluate --method reposedm --data data/fashion-256 --protocol legacy-256 \\
    --seeds 0,1,2 --out results/reposedm.json
python -m training.evaluate --method copy-source --data drawn --protocol tf --metrics ssim,psnr \\
    --limit 8 --out results/copy.json
python -m training.evaluate --results their-pictures --data data/fashion-256 --out results/it.json

A stopped run goes on where it was: pictures and rows are kept in the folder results/reposedm.work,
which may be deleted afterwards. Numbers are means over all pairs of one sample a seed; nothing is
chosen by its likeness to the answer unless --oracle asks for such a row beside them.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from reposedm.errors import RePoseError
from training.candidates import BACKGROUNDS, Candidate, ResultsFolder, load_candidate
from training.data import PairDataset, Pairs, open_dataset
from training.evaluation import Evaluation
from training.files import write_atomically
from training.index import META
from training.lock import locked
from training.machine import commit, versions
from training.metrics import PROTOCOLS, MetricsError, protocol_named
from training.scoring import METRICS, Judges
from training.summary import FORMAT, VERSION, lines, oracle


def evaluate(options: argparse.Namespace, command: str) -> dict[str, Any]:
    """Run what the command line says; the content of results.json.

    Raises:
        RePoseError: it cannot be done; says why.
    """
    start, started = time.perf_counter(), datetime.now(UTC)
    protocol = dataclasses.replace(
        protocol_named(options.protocol), drop_last=options.drop_last, batch=options.fid_batch
    )
    changed = {"real": options.fid_real, "resize": options.resize}
    protocol = dataclasses.replace(protocol, **{k: v for k, v in changed.items() if v})
    pairs, data = open_data(options.data, options.split)
    numbers = chosen_pairs(len(pairs), options.limit)
    print(protocol.text, file=sys.stderr)
    judges = Judges(
        protocol,
        tuple(options.metrics),
        options.device or "cpu",
        options.lpips_weights,
        options.inception_weights,
        options.detector,
    )
    candidate: Candidate
    if options.results is not None:
        candidate = folder = ResultsFolder(options.results, _pair_names(pairs, numbers))
        numbers = _present(folder, numbers, options.allow_missing)
    else:
        candidate = load_candidate(
            options.method,
            folder=options.weights,
            background=options.background,
            options=_given(options),
            device=options.device,
        )
    work = options.out.with_suffix(".work")
    work.mkdir(parents=True, exist_ok=True)
    with locked(work):
        run = Evaluation(
            candidate,
            judges,
            pairs,
            data=data,
            numbers=numbers,
            seeds=options.seeds,
            work=work,
        )
        found = run.run()
        if options.oracle and len(run.seeds) > 1:
            found[f"oracle@{len(run.seeds)}"] = oracle(run.rows, run.seeds, numbers)
        if options.csv is not None:
            write_atomically(options.csv, run.csv().encode())
    seconds = getattr(candidate, "seconds", [])
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": options.name or candidate.name,
        "candidate": candidate.record(),
        "data": data,
        "protocol": {"name": protocol.name, "text": protocol.text},
        "numbers": found,
        "counts": {"pairs": len(numbers), "of": len(pairs), "seeds": len(run.seeds)},
        "seeds": run.seeds,
        "notes": run.notes,
        "judges": judges.record(),
        "command": command,
        "commit": commit(),
        "versions": versions(),
        "started": started.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - start, 1),
        "seconds_per_picture": round(float(np.median(seconds)), 4) if seconds else None,
    }


def open_data(data: str, split: str) -> tuple[Pairs, dict[str, Any]]:
    """ "drawn", or a prepared folder; and JSON of which it is.

    Raises:
        DataError: no such folder.
    """
    if data == "drawn":
        pairs = open_dataset("drawn", split=split)
        return pairs, {"kind": "drawn", "split": split, "size": list(pairs[0].size)}
    prepared = PairDataset(data, split)
    meta = (Path(data) / META).read_bytes()
    return prepared, {
        "kind": prepared.kind,
        "folder": Path(data).resolve().name,
        "split": split,
        "size": list(prepared.size),
        "index_sha256": hashlib.sha256(meta).hexdigest(),
    }


def chosen_pairs(count: int, limit: int | None) -> list[int]:
    """All pairs, or ``limit`` of them, evenly spread, so that they are not all of one person."""
    if limit is None or limit >= count:
        return list(range(count))
    return [number * count // limit for number in range(limit)]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code: 0 done, 2 something to change, 130 stopped."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    options = _parser().parse_args(given)
    command = "python -m training.evaluate " + shlex.join(given)
    try:
        results = evaluate(options, command)
        text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(options.out, text.encode())
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: the same command goes on from here", file=sys.stderr)
        return 130
    print(f"{results['name']}: {results['counts']['pairs']} of {results['counts']['of']} pairs, "
          f"seeds {results['seeds']}\n{results['protocol']['text']}\n"
          f"pictures: {results['candidate']['format']}")  # fmt: skip
    print("\n".join(lines(results["numbers"]) + [f"note: {note}" for note in results["notes"]]))
    print(f"wrote {options.out}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--method", help="copy-source, or a method (python -m reposedm info)")
    who.add_argument("--results", type=Path, help="a folder of saved pictures")
    add("--weights", type=Path, help="a folder of weights in place of the installed ones")
    add("--data", required=True, help="drawn, or a folder made by training.prepare")
    add("--split", choices=("train", "test"), default="test")
    add("--protocol", choices=tuple(PROTOCOLS), default="legacy-256")
    add("--metrics", type=_names, default=METRICS, help="some of " + ",".join(METRICS))
    add("--limit", type=_count, help="that many pairs, evenly spread")
    add("--seeds", type=_seeds, default=[0], help="such as 0,1,2")
    add("--out", type=Path, required=True, help="results.json")
    add("--csv", type=Path, help="a line for every pair, too")
    add("--name", help="of the row in a table")
    add(
        "--background",
        choices=BACKGROUNDS,
        default="filled",
        help="filled: over the source picture, as the app does; rgb: alpha ignored, as papers do; "
        "target: over the real target's own background (data with an alpha)",
    )
    add("--steps", type=_count)
    add("--guidance", type=float)
    add("--pose-guidance", type=float)
    add("--device", default="", help="cpu, cuda, mps")
    add("--resize", choices=("bilinear", "bicubic"), help="in place of the protocol's filter")
    add("--drop-last", action="store_true", help="FID: as PIDM's code, without the last batch")
    add("--fid-batch", type=_count, default=64)
    add("--fid-real", help="train, test or a folder (default: the protocol's)")
    add("--lpips-weights", type=Path, help="a file of one's own: not comparable")
    add("--inception-weights", type=Path, help="a file of one's own: not comparable")
    add("--detector", default="mediapipe", help="that judges poses; the generator must not know it")
    add("--allow-missing", action="store_true", help="--results: leave pairs without picture out")
    add("--oracle", action="store_true", help="a further row: the best seed by the answer")
    return parser  # fmt: skip


def _given(options: argparse.Namespace) -> dict[str, Any]:
    named = {
        "steps": options.steps,
        "guidance_scale": options.guidance,
        "pose_guidance_scale": options.pose_guidance,
    }
    return {name: value for name, value in named.items() if value is not None}


def _pair_names(pairs: Pairs, numbers: Sequence[int]) -> dict[int, tuple[str, str]]:
    if isinstance(pairs, PairDataset):
        names, table = pairs.index.names, pairs.index.pairs
        return {n: (names[int(table[n][0])], names[int(table[n][1])]) for n in numbers}
    samples = ((number, pairs[number]) for number in numbers)
    return {number: (sample.source_name, sample.target_name) for number, sample in samples}


def _present(folder: ResultsFolder, numbers: Sequence[int], allow_missing: bool) -> list[int]:
    missing = set(folder.missing(numbers))
    if missing and (not allow_missing or len(missing) == len(numbers)):
        raise MetricsError(
            f"{folder.folder} has pictures for {len(numbers) - len(missing)} of {len(numbers)} "
            "pairs: names must be those of PIDM, PATN or FPDM (see training/candidates.py); "
            "--allow-missing leaves the others out"
        )
    return [number for number in numbers if number not in missing]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _seeds(text: str) -> list[int]:
    seeds = [int(part) for part in text.split(",")]
    if min(seeds) < 0 or len(set(seeds)) != len(seeds):
        raise argparse.ArgumentTypeError("seeds are different numbers from 0 on, such as 0,1,2")
    return seeds


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
