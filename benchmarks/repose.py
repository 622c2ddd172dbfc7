"""Time and memory of one repose, by method, on a 768 x 1024 photo; and of the live preview.

    python benchmarks/repose.py [--photo PHOTO] [--method NAME ...] [-o results.json]

Without ``--photo``, a drawn person with a known mask is used, so no detector is needed. Each method
runs in a process of its own, so that the memory is its own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

SIZE = (768, 1024)
RUNS = 3


def job_of(photo: Path | None) -> tuple[Any, Any, Any, Any]:
    """Photo, pose on it, wanted pose, mask."""
    from reposedm.imaging import read_image
    from reposedm.jobs.detect import mask_of, people_on
    from reposedm.jobs.repose import fit_preset
    from reposedm.jobs.settings import ReposeSettings
    from reposedm.pose import preset_names
    from tests import drawn

    if photo is None:
        image, pose, mask = drawn.photo(*SIZE)
        return image, pose, drawn.arms_up(pose), mask
    image = read_image(photo).pixels
    pose = people_on(image)[0].pose
    wanted = fit_preset(preset_names()[-1], pose, ReposeSettings())
    return image, pose, wanted, mask_of(image, pose)


def measure_method(name: str, photo: Path | None) -> dict[str, Any]:
    """Seconds of the first and the best later run, and the peak memory, of this process."""
    from reposedm.jobs.repose import repose
    from reposedm.jobs.settings import ReposeSettings

    image, pose, wanted, mask = job_of(photo)
    seconds, result = [], None
    for _ in range(RUNS):
        job = repose(image, pose, wanted, ReposeSettings(method=name, seed=1), source_mask=mask)
        start = time.perf_counter()
        try:
            while True:
                next(job)
        except StopIteration as stop:
            result = stop.value
        seconds.append(time.perf_counter() - start)
    assert result is not None
    return {
        "first_s": round(seconds[0], 2),
        "later_s": round(min(seconds[1:]), 2),
        "peak_memory_mb": round(result.peak_memory_mb),
        "device": result.settings["device"],
        "dtype": result.settings["dtype"],
        "size": list(image.shape[1::-1]),
    }


def measure_live(photo: Path | None) -> dict[str, Any]:
    """Seconds to prepare a photo, and milliseconds of a picture of a drag."""
    import numpy as np

    from reposedm.jobs.live import LivePreview

    image, pose, wanted, mask = job_of(photo)
    live, times = LivePreview(), []
    start = time.perf_counter()
    live.prepare(image, pose, source_mask=mask)
    prepared = time.perf_counter() - start
    for part in np.linspace(0, 1, 20):
        points = pose.points + (wanted.points - pose.points) * np.float32(part)
        start = time.perf_counter()
        shown = live.render(image, pose, wanted.replace(points=points), source_mask=mask)
        times.append((time.perf_counter() - start) * 1000)
    return {
        "prepare_s": round(prepared, 2),
        "median_ms": round(float(np.median(times))),
        "slowest_ms": round(max(times)),
        "size": list(shown.shape[1::-1]),
    }


def in_a_process(what: str, photo: Path | None) -> dict[str, Any]:
    """One measurement in a fresh Python."""
    command = [sys.executable, __file__, "--one", what]
    if photo is not None:
        command += ["--photo", str(photo)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photo", type=Path, help="a photo of a person; default: a drawn one")
    parser.add_argument("--method", action="append", help="default: every one that can be used")
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parsed = parser.parse_args()
    photo = parsed.photo.resolve() if parsed.photo else None
    if parsed.one:
        measure = measure_live(photo) if parsed.one == "live" else measure_method(parsed.one, photo)
        print(json.dumps(measure))
        return
    from reposedm.jobs.methods import available_methods

    names = parsed.method or available_methods()
    results = {name: in_a_process(name, photo) for name in [*names, "live"]}
    print(f"{os.cpu_count()} cores")
    for name, result in results.items():
        print(f"{name}: " + ", ".join(f"{key} {value}" for key, value in result.items()))
    if parsed.output:
        parsed.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
