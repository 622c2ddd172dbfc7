"""How well and how fast people are found: PCKh@0.5 against COCO key points, time, memory.

    python -m benchmarks.detection --keypoints K.json --photos FOLDER [--backend mediapipe]

The JSON is in COCO's key-point format; a photo is looked for as ``file_name`` or ``*file_name``.
Head length: 2 x |nose - neck|, without a nose 0.6 x shoulder width. A person that nobody was found
for counts with all joints missed. "placed" judges where a joint is, hidden or not; "shown" counts
hidden joints as missed.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.detect import Detection, backends, detect_people
from reposedm.pose.skeleton import FROM_COCO_17, L_SHOULDER, NECK, NOSE, R_SHOULDER


@dataclass(frozen=True)
class Wanted:
    """One annotated person: 18 points, which of them are labelled, the box's height, whole."""

    points: NDArray[np.float64]
    known: NDArray[np.bool_]
    height: float
    whole: bool

    @property
    def head(self) -> float | None:
        """Head length in pixels, or None where the annotation does not tell."""
        if self.known[NOSE] and self.known[NECK]:
            return 2 * float(np.hypot(*(self.points[NOSE] - self.points[NECK])))
        if self.known[NECK]:
            shoulders = self.points[R_SHOULDER] - self.points[L_SHOULDER]
            return 0.6 * float(np.hypot(*shoulders))
        return None


def wanted_people(coco: dict, image: dict) -> list[Wanted]:
    people = []
    for entry in coco["annotations"]:
        if entry["image_id"] != image["id"] or not entry.get("num_keypoints"):
            continue
        coco17 = np.array(entry["keypoints"], float).reshape(17, 3)
        order = [index if index is not None else 0 for index in FROM_COCO_17]
        points, known = coco17[order, :2] + 0.5, coco17[order, 2] > 0
        points[NECK] = points[[R_SHOULDER, L_SHOULDER]].mean(0)
        known[NECK] = known[[R_SHOULDER, L_SHOULDER]].all()
        x, y, w, h = entry["bbox"]
        edge = 2
        inside = x > edge and y > edge and x + w < image["width"] - edge
        inside = inside and y + h < image["height"] - edge
        people.append(Wanted(points, known, h, inside))
    return people


def hits(found: Detection, wanted: Wanted) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which known joints lie within half a head, and which of those are also shown."""
    gaps = np.hypot(*(found.pose.points - wanted.points).T)
    near = gaps <= 0.5 * (wanted.head or 0.0)
    return near[wanted.known], (near & found.pose.drawn)[wanted.known]


def match(found: list[Detection], wanted: list[Wanted]) -> dict[int, int]:
    """Wanted person -> detection, each used once; the nearest pairs (by median joint) first."""
    pairs = []
    for i, person in enumerate(wanted):
        for j, detection in enumerate(found):
            gaps = np.hypot(*(detection.pose.points - person.points).T)[person.known]
            pairs.append((float(np.median(gaps)) / person.height, i, j))
    chosen: dict[int, int] = {}
    for gap, i, j in sorted(pairs):
        if gap < 0.3 and i not in chosen and j not in chosen.values():
            chosen[i] = j
    return chosen


def timed(
    image: NDArray[np.uint8], backend: str, runs: int
) -> tuple[list[Detection], float, float]:
    """Detections, median seconds and CPU seconds of ``runs`` searches; the first is not counted."""
    found = detect_people(image, backend)
    seconds, work = [], []
    for run in range(runs):
        again = image.copy()
        again[0, 0, 0] ^= run + 1  # another photo, as far as the memory of recent ones knows
        start, before = time.perf_counter(), time.process_time()
        detect_people(again, backend)
        seconds.append(time.perf_counter() - start)
        work.append(time.process_time() - before)
    return found, statistics.median(seconds), statistics.median(work)


def main() -> int:
    parser = argparse.ArgumentParser(description="PCKh@0.5, time and memory of person detection.")
    parser.add_argument("--keypoints", type=Path, required=True, help="COCO key-point JSON")
    parser.add_argument("--photos", type=Path, required=True, help="folder of the photos")
    parser.add_argument("--backend", default="mediapipe", choices=list(backends()))
    parser.add_argument("--runs", type=int, default=5, help="timed runs a photo")
    options = parser.parse_args()
    coco = json.loads(options.keypoints.read_text("utf-8"))

    placed, shown, large, large_shown, seconds, cpu, extra = [], [], [], [], [], [], 0
    for image in coco["images"]:
        files = sorted(options.photos.glob(f"*{image['file_name']}"))
        if not files:
            print(f"{image['file_name']}: not in {options.photos}", file=sys.stderr)
            continue
        pixels = cv2.cvtColor(cv2.imread(str(files[0])), cv2.COLOR_BGR2RGB)
        wanted = wanted_people(coco, image)
        found, spent, worked = timed(pixels, options.backend, options.runs)
        seconds.append(spent)
        cpu.append(worked)
        chosen = match(found, wanted)
        extra += len(found) - len(chosen)
        print(
            f"{image['file_name']}: {len(found)} found, {len(wanted)} wanted, {spent:.3f} s, "
            f"{worked:.3f} s of CPU"
        )
        for i, person in enumerate(wanted):
            if person.head is None:
                print(f"  {person.height:4.0f} px: no head length, left out")
                continue
            near = drawn = np.zeros(int(person.known.sum()), bool)
            if i in chosen:
                near, drawn = hits(found[chosen[i]], person)
            placed.append(near)
            shown.append(drawn)
            big = person.whole and person.height > 200
            if big:
                large.append(near)
                large_shown.append(drawn)
            mark = "*" if big else " "
            missing = "" if i in chosen else "  NOT FOUND"
            print(f" {mark}{person.height:4.0f} px: {near.sum():2d}/{near.size:2d}{missing}")
    if not placed:
        print("no annotated person could be judged", file=sys.stderr)
        return 2
    for name, all_near, all_drawn in (
        ("all", placed, shown), ("*: > 200 px, whole", large, large_shown),
    ):  # fmt: skip
        if all_near:
            a, b = np.concatenate(all_near).mean(), np.concatenate(all_drawn).mean()
            print(f"PCKh@0.5 {name} ({len(all_near)} people): placed {a:.3f}, shown {b:.3f}")
    print(f"found but not annotated: {extra}")
    print(f"seconds a photo, warm: median {statistics.median(seconds):.3f}, max {max(seconds):.3f}")
    print(f"CPU seconds a photo: median {statistics.median(cpu):.3f}, max {max(cpu):.3f}")
    print(f"peak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
