"""Prepare a data set: pictures at the training size, poses on them, one index for all families.

    python -m training.prepare deepfashion --root DIR --out DIR --size 256x176
    python -m training.prepare market      --root DIR --out DIR --size 128x64
    python -m training.prepare folder      --root DIR --out DIR   # person_id/*.jpg, poses detected
    python -m training.prepare coco        --root DIR --out DIR --size 512x512

Kill it at any moment and run it again: what is done stays done. A second run writes nothing. What
was left out, and why, is in ``skipped.jsonl``. The format is described in ``training/index.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import RePoseError, SettingsError
from training.datasets.records import (
    FRAMES,
    KINDS,
    LAYOUTS,
    PAIR_ORDERS,
    SPLITS,
    TXT_FRAMES,
    Listing,
    Options,
    all_pairs,
)
from training.files import write_atomically
from training.index import SKIPPED, write_index
from training.pictures import FAMILIES, Done, output_files, prepare_pictures
from training.sample import DataError

MADE_WITH: Final = "prepare.json"
LOCK: Final = "prepare.lock"
EXAMPLES: Final = 3


@dataclass(frozen=True)
class Report:
    """What came of a preparation.

    Attributes:
        pictures: of each split.
        pairs: of each split.
        skipped: how often each reason was met.
        examples: a few items of each reason.
        notes: sentences for the user.
        changed: whether an index file was written.
    """

    pictures: dict[str, int]
    pairs: dict[str, int]
    skipped: dict[str, int]
    examples: dict[str, list[str]]
    notes: tuple[str, ...]
    changed: bool

    def __str__(self) -> str:
        """The report as text."""
        lines = [f"  {note}" for note in self.notes]
        for split in self.pairs:
            lines.append(f"{split}: {self.pictures[split]} pictures, {self.pairs[split]} pairs")
        if self.skipped:
            lines.append(f"left out (all of it in {SKIPPED}):")
        for reason, count in sorted(self.skipped.items(), key=lambda item: -item[1]):
            lines.append(f"  {count} x {reason}, e.g. {'; '.join(self.examples[reason])}")
        if not self.changed:
            lines.append("everything was prepared already: nothing was written")
        return "\n".join(lines)


def prepare(options: Options, *, progress: bool = True) -> Report:
    """Prepare a data set.

    Raises:
        DataError: the raw data are not what they should be, no pair is left, or the prepared
            folder belongs to another run or another data set.
        DetectionError: a detector is needed and cannot run.
    """
    if not options.root.is_dir():
        raise DataError(f"there is no folder {options.root}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        with _only_one(options.out):
            for left in options.out.rglob(".*.tmp"):  # of a run that was killed while writing
                left.unlink()
            return _prepare(options, progress)
    except OSError as error:
        raise DataError(
            f"{error.filename or options.out} cannot be written: {error.strerror}"
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: 0, or 2 with a sentence on stderr."""
    try:
        report = prepare(_options(_parser().parse_args(arguments)))
    except RePoseError as error:
        print(f"prepare: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped: run the same command again to go on", file=sys.stderr)
        return 130
    print(report)
    return 0


def _prepare(options: Options, progress: bool) -> Report:
    listing: Listing = FAMILIES[options.kind].listing(options)
    _same_as_before(options)
    tasks = output_files(list(listing.pictures.values()), options.image_format)
    done: dict[str, Done] = {}
    lines = prepare_pictures(tasks, options)
    for line in _with_bar(lines, len(tasks)) if progress else lines:
        done[line["name"]] = line
    pictures: list[dict[str, Any]] = []
    numbers: dict[str, int] = {}
    for name, picture in listing.pictures.items():
        line = done[name]
        if line["problem"]:
            listing.skip(line["problem"], name)
            continue
        numbers[name] = len(pictures)
        record = {
            "name": name,
            "file": line["file"],
            "sha256": line["sha256"],
            "person": picture.person,
            "split": picture.split,
            "people": line["people"],
        }
        more = {"alpha": line["alpha"], "caption": picture.caption}
        pictures.append(record | {key: value for key, value in more.items() if value})
    pairs = _pairs(listing, {p["name"]: bool(p["people"]) for p in pictures}, numbers)
    return _finish(options, listing, pictures, pairs)


def _pairs(
    listing: Listing, posed: dict[str, bool], numbers: dict[str, int]
) -> dict[str, NDArray[np.int32]]:
    """The pairs whose two pictures are there, with a pose, as numbers of pictures."""
    named = listing.pairs
    if named is None:
        named = {}
        for split in SPLITS:
            people: dict[str, list[str]] = {}
            for name, picture in listing.pictures.items():
                if picture.split == split and posed.get(name):
                    people.setdefault(picture.person, []).append(name)
            named[split] = all_pairs(people)
    result: dict[str, NDArray[np.int32]] = {}
    for of, pairs in named.items():
        kept = [pair for pair in pairs if posed.get(pair[0]) and posed.get(pair[1])]
        for source, target in pairs if len(kept) < len(pairs) else []:
            if not (posed.get(source) and posed.get(target)):
                listing.skip("pair of a picture without a pose", f"{of}: {source}, {target}")
        table = [(numbers[source], numbers[target]) for source, target in kept]
        result[of] = np.array(table, np.int32).reshape(-1, 2)
    return result


def _finish(
    options: Options,
    listing: Listing,
    pictures: list[dict[str, Any]],
    pairs: dict[str, NDArray[np.int32]],
) -> Report:
    reasons = Counter(reason for reason, _ in listing.skipped)
    examples: dict[str, list[str]] = {reason: [] for reason in reasons}
    for reason, item in listing.skipped:
        if len(examples[reason]) < EXAMPLES:
            examples[reason].append(item)
    splits = {
        split: {
            "pictures": sum(picture["split"] == split for picture in pictures),
            "pairs": len(table),
            "persons": len({pictures[number]["person"] for number in table.ravel()}),
        }
        for split, table in pairs.items()
    }
    meta = {
        "kind": options.kind,
        "size": list(options.size),
        "pictures": len(pictures),
        "splits": splits,
        "skipped": dict(sorted(reasons.items())),
        "notes": listing.notes,
        "made_with": _made_with(options),
    }
    skipped = [{"reason": reason, "item": item} for reason, item in listing.skipped]
    changed = write_index(options.out, meta, pictures, pairs, skipped)
    report = Report(
        {split: numbers["pictures"] for split, numbers in splits.items()},
        {split: numbers["pairs"] for split, numbers in splits.items()},
        dict(reasons),
        examples,
        tuple(listing.notes),
        changed,
    )
    if not sum(report.pairs.values()):
        raise DataError(f"no usable pair is left.\n{report}")
    return report


def _made_with(options: Options) -> dict[str, Any]:
    """What must not change between two runs into one folder."""
    return {"kind": options.kind, "size": list(options.size), "format": options.image_format}


def _same_as_before(options: Options) -> None:
    path = options.out / MADE_WITH
    now = _made_with(options)
    if path.is_file():
        try:
            before = json.loads(path.read_bytes())
        except ValueError:
            before = None
        if before != now:
            raise DataError(
                f"{options.out} holds another data set ({before}): choose another --out, or empty "
                "it first"
            )
    elif any(entry.name not in (LOCK, "poses") for entry in options.out.iterdir()):
        raise DataError(f"{options.out} is not empty: choose a new folder for --out")
    write_atomically(path, json.dumps(now).encode())


def _with_bar(lines: Iterator[Done], total: int) -> Iterator[Done]:
    from tqdm import tqdm

    with tqdm(total=total, unit="picture", file=sys.stderr, mininterval=0.5) as bar:
        problems = 0
        for line in lines:
            problems += bool(line["problem"])
            bar.set_postfix(skipped=problems, refresh=False)
            bar.update()
            yield line


@contextlib.contextmanager
def _only_one(out: Path) -> Iterator[None]:
    """Hold the folder: two runs at once would write the same files."""
    with open(out / LOCK, "ab") as lock:
        try:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except ImportError:  # Windows: without a lock
            pass
        except OSError as error:
            raise DataError(f"another preparation into {out} is running: wait for it") from error
        yield


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{2,4})[xX×](\d{2,4})", text)
    if match is None:
        raise SettingsError(f"--size is height x width, like 256x176, not {text!r}")
    return int(match.group(1)), int(match.group(2))


def _options(given: argparse.Namespace) -> Options:
    fields = vars(given) | {"root": Path(given.root).expanduser(), "size": _size(given.size)}
    return Options(**fields | {"out": Path(given.out).expanduser()})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m training.prepare",
        description="Bring a data set of people into the form that training reads.",
    )
    add = parser.add_argument
    add("kind", choices=KINDS)
    add("--root", required=True, help="the raw data set")
    add("--out", required=True, help="folder for the prepared one; made if it is not there")
    add("--size", default="256x176", help="height x width: 256x176, 512x352, 128x64, ...")
    add("--layout", choices=LAYOUTS, default="auto", help="deepfashion: which lists to read")
    add(
        "--pair-order",
        choices=PAIR_ORDERS,
        default="target-first",
        help="deepfashion, *_pairs.txt: the target comes first (PIDM's code) or last (its README)",
    )
    add(
        "--picture-frame",
        choices=FRAMES,
        default="auto",
        help="deepfashion: 256x256 pictures have 40 px bands (padded) or not (whole)",
    )
    add(
        "--txt-frame",
        choices=TXT_FRAMES,
        default="auto",
        help="deepfashion, pose/*.txt: padded 256x256 pixels, or parts of the picture",
    )
    add("--format", dest="image_format", choices=("png", "jpg"), default="png")
    add("--test-share", type=float, default=0.1, help="folder: part of the people kept for tests")
    add("--masks", action="store_true", help="folder: find outlines too (an alpha)")
    add("--detector", default="mediapipe", help="folder: a back end of reposedm.detect")
    add("--workers", type=int, default=min(8, os.cpu_count() or 1))
    return parser  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
