"""Pictures a second of an augmentation against the number of processes; and its detection.

    python benchmarks/augment.py [--set FOLDER] [--processes 1 2 4] [--method NAME] [-o FILE]
    python benchmarks/augment.py --detection FOLDER

Without ``--set``, drawn people of 64 x 128 with their joints beside them. The processes get their
numbers as ``accelerate launch`` and ``torchrun`` would give them. Times are of whole runs, start
included, on the same plan; the results must be the same bytes. ``--detection`` counts on how many
pictures of a set somebody is found as they are, enlarged, and enlarged and framed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


def launched(source: Path, out: Path, processes: int, flags: list[str]) -> float:
    """Seconds of a run shared by so many processes."""
    command = [sys.executable, "-m", "reposedm", "augment", str(source), str(out), *flags]
    start = time.perf_counter()
    running = []
    for index in range(processes):
        said = {"RANK": str(index), "WORLD_SIZE": str(processes), "LOCAL_RANK": str(index)}
        # One thread each: the processes are what is compared.
        said |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        running.append(
            subprocess.Popen(command, env={**os.environ, **said}, stderr=subprocess.DEVNULL)
        )
    codes = [process.wait() for process in running]
    if any(codes):
        raise SystemExit(f"a process failed: exit codes {codes}")
    return time.perf_counter() - start


def digest(out: Path) -> str:
    """One hash of everything in a folder of results."""
    found = hashlib.sha256()
    for path in sorted(out.iterdir()):
        found.update(path.name.encode() + path.read_bytes())
    return found.hexdigest()


def speed(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """One row per number of processes."""
    from tests.augment.crowd import write_crowd

    source = options.set
    if source is None:
        source = folder / "set"
        write_crowd(source, options.identities, 2, size=(64, 128))
    flags = ["--per-identity", str(options.per_identity), "--method", options.method]
    flags += ["--masks", options.masks, "--poses", "presets"]
    rows: list[dict[str, Any]] = []
    digests = set()
    for processes in options.processes:
        out = folder / f"out-{processes}"
        seconds = launched(source, out, processes, flags)
        pictures = len(list(out.glob("*.png")))
        digests.add(digest(out))
        rows.append(
            {
                "processes": processes,
                "pictures": pictures,
                "seconds": round(seconds, 2),
                "pictures_per_second": round(pictures / seconds, 3),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    if len(digests) > 1:
        raise SystemExit("the results differ between numbers of processes")
    return rows


def detection(folder: Path) -> dict[str, int]:
    """On how many pictures of a set somebody is found."""
    import cv2

    from reposedm.augment.pictures import PictureSet
    from reposedm.augment.poses import enlarged, scale_for
    from reposedm.detect import detect_people
    from reposedm.imaging.archive import open_collection

    counts = {"pictures": 0, "as they are": 0, "enlarged": 0, "enlarged and framed": 0}
    with open_collection(folder) as files:
        pictures = PictureSet(files)
        for shot in pictures.understood.shots:
            image, _ = pictures.photo(shot)
            scale = scale_for((image.shape[1], image.shape[0]))
            big = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
            counts["pictures"] += 1
            counts["as they are"] += bool(detect_people(image))
            counts["enlarged"] += bool(detect_people(big))
            counts["enlarged and framed"] += bool(detect_people(enlarged(image)[0]))
    return counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--set", type=Path, help="folder or zip; default: drawn people")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--method", default="preview")
    parser.add_argument("--masks", default="skeleton", choices=("segment", "skeleton"))
    parser.add_argument("--identities", type=int, default=16, help="of the drawn people")
    parser.add_argument("--per-identity", type=int, default=8)
    parser.add_argument("--detection", type=Path, metavar="SET", help="count people found instead")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.detection:
        result: Any = detection(options.detection)
        print(json.dumps(result))
    else:
        with tempfile.TemporaryDirectory() as folder:
            rows = speed(options, Path(folder))
        result = {"cores": os.cpu_count(), "method": options.method, "masks": options.masks,
                  "runs": rows}  # fmt: skip
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
