"""Seconds of a garment swap beside a repose of the same photo, in one process.

    python -m benchmarks.garment -o training/results/garment_time.json

Both are the whole job, as in the app, with its defaults. The first of each loads its networks and
looks at the pictures (labels, mask, the garment cut out), which the app does as soon as both are
there; counted is the best of two later ones.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, Final

from benchmarks.parts import PHOTO, make_job

ROOT = Path(__file__).resolve().parents[1]
GARMENT = ROOT / "assets" / "examples" / "flower-shirt.jpg"
MOST: Final = 1.5
"""Times a repose that a swap may take."""


def later(work: Callable[[], Generator[Any, None, Any]], runs: int = 3) -> float:
    """Seconds of the fastest run but the first."""
    seconds = []
    for _ in range(runs):
        start = time.perf_counter()
        for _ in work():
            pass
        seconds.append(time.perf_counter() - start)
    return round(min(seconds[1:]), 2)


def measure(photo: Path, garment: Path) -> dict[str, Any]:
    """Both jobs on one photo."""
    from reposedm.imaging import read_image
    from reposedm.jobs.detect import people_on
    from reposedm.jobs.methods import default_method
    from reposedm.jobs.repose import repose
    from reposedm.jobs.settings import ReposeSettings
    from reposedm.jobs.swap import SwapSettings, swap
    from training.machine import command_line, commit, machine, versions

    job = make_job(photo, (176, 256))
    other = read_image(garment).pixels
    wearer = people_on(other)[0].pose
    reposing = later(
        lambda: repose(
            job.photo, job.source, job.target, ReposeSettings(seed=1), source_mask=job.mask
        )
    )
    swapping = later(
        lambda: swap(job.photo, job.source, other, wearer, SwapSettings(region="top", seed=1))
    )
    return {
        "format": "reposedm-garment-time",
        "photo": list(job.photo.shape[1::-1]),
        "methods": {"repose": default_method(), "swap": default_method("swap")},
        "repose_s": reposing, "swap_s": swapping, "ratio": round(swapping / reposing, 2),
        "limit": MOST, "met": swapping <= MOST * reposing,
        "command": command_line("benchmarks.garment", sys.argv[1:]), "commit": commit(),
        "machine": machine("cpu"), "versions": versions(),
    }  # fmt: skip


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.garment",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--garment", type=Path, default=GARMENT)
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    options = parser.parse_args()
    results = measure(options.photo, options.garment)
    print(f"repose {results['repose_s']} s, swap {results['swap_s']} s: {results['ratio']} times, "
          f"at most {MOST}: {results['met']}")  # fmt: skip
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
