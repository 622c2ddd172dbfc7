"""Evaluate the garment networks on rendered people and garments nobody was trained on.

python -m training.garments.evaluate --data data/test --out training/results/garments.json

The parser is judged at the pictures' own size by what the app calls, with the person's mask and
without: intersection over union of each class, pixels of all pictures together. Landmarks: distance
to the true place in percent of the longer side of the garment's box.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError, RePoseError
from reposedm.garments.joints import LANDMARKS
from reposedm.garments.labels import CLASSES
from reposedm.garments.landmarks import find_landmarks, garment_alpha
from reposedm.garments.parse import parse_person
from reposedm.imaging.frame import mask_box
from reposedm.weights import WEIGHTS, sha256_of, weights_root
from training.datasets.synthetic import SyntheticFolder
from training.files import write_atomically
from training.garments.data import RenderedPeople, RenderedProducts
from training.machine import command_line, commit, machine, versions

Counts = NDArray[np.int64]


def parser_numbers(data: Path, limit: int, backend: str) -> dict[str, Any]:
    """IoU of every class over people, with the person's mask and without."""
    people = RenderedPeople(data, "all", _size(data))
    shape = (len(CLASSES), len(CLASSES))
    tables = {name: np.zeros(shape, np.int64) for name in ("mask", "no_mask")}
    chosen = spread(len(people), limit)
    start = time.perf_counter()
    for index in chosen:
        person = people[index]
        alpha = person.alpha.astype(np.float32) / 255
        for name, mask in (("mask", alpha), ("no_mask", None)):
            found = parse_person(person.image, person.pose, mask, backend)
            tables[name] += confusion(person.labels, found)
    seconds = (time.perf_counter() - start) / max(2 * len(chosen), 1)
    rows = {name: iou(table) for name, table in tables.items()}
    return {"pictures": len(chosen), "seconds_each": round(seconds, 4), "backend": backend, **rows}


def landmark_numbers(data: Path, limit: int) -> dict[str, Any]:
    """Errors of the landmarks over garments, and of the cut-out."""
    garments = RenderedProducts(data, "all", _size(data))
    chosen = spread(len(garments), limit)
    errors: list[list[float]] = [[] for _ in LANDMARKS]
    right, overlaps, lost = 0, [], 0
    for index in chosen:
        garment = garments[index]
        truth = garment.alpha.astype(np.float32) / 255
        box = mask_box(truth)
        if box is None:
            continue
        size = max(box[2] - box[0], box[3] - box[1])
        points, chance = find_landmarks(garment.image, truth)
        right += int(((chance >= 0.5) == garment.known).sum())
        apart = np.hypot(*(points - garment.points).T) / size * 100
        for landmark in np.flatnonzero(garment.known):
            errors[landmark].append(float(apart[landmark]))
        try:
            cut = garment_alpha(garment.image) > 0.5
        except ImageError:
            lost += 1
            continue
        overlaps.append((cut & (truth > 0.5)).sum() / (cut | (truth > 0.5)).sum())
    every = [error for some in errors for error in some]
    return {
        "garments": len(chosen),
        "percent_of_size": {"mean": _rounded(np.mean(every)), "median": _rounded(np.median(every)),
                            "p90": _rounded(np.quantile(every, 0.9))},
        "each": {name: _rounded(np.mean(some)) if some else None
                 for name, some in zip(LANDMARKS, errors, strict=True)},
        "presence_right": _rounded(right / (len(chosen) * len(LANDMARKS))),
        "cut_out": {"iou": _rounded(np.mean(overlaps)) if overlaps else None, "refused": lost},
    }  # fmt: skip


def confusion(truth: NDArray[np.uint8], found: NDArray[np.uint8]) -> Counts:
    """Pixels by true and found class, (12, 12)."""
    count = len(CLASSES)
    both = truth.astype(np.int64).ravel() * count + found.ravel()
    return np.bincount(both, minlength=count * count).reshape(count, count)


def iou(table: Counts) -> dict[str, Any]:
    """Intersection over union of each class that is there, and their mean."""
    both = np.diag(table).astype(float)
    either = table.sum(0) + table.sum(1) - both
    each = {name: _rounded(both[i] / either[i]) if table[i].sum() else None
            for i, name in enumerate(CLASSES)}  # fmt: skip
    there = [value for value in each.values() if value is not None]
    return {"iou": each, "mean_iou": _rounded(np.mean(there)) if there else None,
            "pixels_right": _rounded(both.sum() / max(table.sum(), 1))}  # fmt: skip


def spread(count: int, limit: int) -> list[int]:
    """Numbers of ``limit`` of ``count`` things, evenly; 0: all."""
    wanted = min(limit, count) if limit else count
    return [place * count // wanted for place in range(wanted)]


def _size(data: Path) -> tuple[int, int]:
    return SyntheticFolder(data, "train").rendered


def _rounded(value: Any) -> float:
    return round(float(value), 4)


def _weights(name: str) -> dict[str, str]:
    file = weights_root() / name / WEIGHTS
    return {f"{name}/{WEIGHTS}": sha256_of(file)} if file.is_file() else {}


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        "python -m training.garments.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, required=True, help="rendered, and not trained on")
    parser.add_argument("--out", type=Path, required=True, help="a JSON file")
    parser.add_argument("--parts", nargs="+", choices=("parser", "landmarks"),
                        default=["parser", "landmarks"])  # fmt: skip
    parser.add_argument("--backend", default="small", help="of the parser: small or segformer")
    parser.add_argument("--limit", type=int, default=0, help="pictures of each; 0: all")
    given = sys.argv[1:] if argv is None else list(argv)
    options = parser.parse_args(given)
    try:
        content: dict[str, Any] = {
            "format": "reposedm-garments", "version": 1,
            "command": command_line("training.garments.evaluate", given),
            "utc": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit(),
            "machine": machine("cpu"), "packages": versions(),
            "weights": _weights("parser") | _weights("landmarks"),
        }  # fmt: skip
        if "parser" in options.parts:
            content["parser"] = parser_numbers(options.data, options.limit, options.backend)
        if "landmarks" in options.parts:
            content["landmarks"] = landmark_numbers(options.data, options.limit)
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    write_atomically(options.out, (json.dumps(content, indent=1) + "\n").encode())
    print(json.dumps({key: content[key] for key in ("parser", "landmarks") if key in content}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
