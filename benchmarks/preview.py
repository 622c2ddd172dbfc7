"""The preview engine: is the person where the pose wants them, and how long does it take?

    python benchmarks/preview.py assets/examples [-o results.json] [--sheets FOLDER]

Every person of every photo is put into presets and single-joint drags, composited over the filled
background, and detected again. Counted are the wanted visible joints that the detector finds within
0.2 torso lengths; poses that show another side of the body, or joints outside the photo or not seen
on it, are left out. ``benchmarks.reposed`` does the same for any method. Times are the best of
several, at 768 x 1024, on a photo that is resized to it.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.reposed import accuracy, found_on, judged, targets  # noqa: E402
from reposedm.detect import detect_people, person_mask  # noqa: E402
from reposedm.errors import RePoseError  # noqa: E402
from reposedm.imaging import over, read_image  # noqa: E402
from reposedm.imaging.fill import fill_background  # noqa: E402
from reposedm.pipelines.preview import Puppet, prepare  # noqa: E402
from reposedm.pose import preset  # noqa: E402

SIZE = (768, 1024)


def judge(photo: Path, sheets: Path | None) -> list[dict[str, Any]]:
    """One row per pose of the largest person on a photo."""
    image = read_image(photo).pixels
    people = detect_people(image)
    if not people:
        return []
    pose = people[0].pose
    mask = person_mask(image, pose)
    puppet, empty = prepare(image, pose, mask), fill_background(image, mask)
    rows, pictures = [], []
    for name, target in targets(pose):
        count = judged(pose, target, puppet)
        if count is None:
            continue
        result = over(empty, puppet.warp(target))
        whole, near = found_on(result, target)
        hits, joints = accuracy([*whole, *near], target, count)
        rows.append({"photo": photo.stem, "pose": name, "hits": hits, "joints": joints})
        pictures.append(result)
    if sheets and pictures:
        small = [cv2.resize(p, (240, round(240 * p.shape[0] / p.shape[1]))) for p in pictures]
        sheets.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(sheets / f"preview_{photo.stem}.jpg"), np.hstack(small)[..., ::-1])
    return rows


def _best(call: Any, runs: int) -> float:
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(1000 * min(times), 1)


def speed(photo: Path) -> dict[str, float]:
    """Milliseconds (best of several) and megabytes at 768 x 1024."""
    image = cv2.resize(read_image(photo).pixels, SIZE, interpolation=cv2.INTER_AREA)
    pose = detect_people(image)[0].pose
    mask = person_mask(image, pose)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kept: list[Puppet] = []
    result = {"prepare_ms": _best(lambda: kept.append(prepare(image, pose, mask)), 3)}
    result["fill_background_ms"] = _best(lambda: fill_background(image, mask), 3)
    puppet, empty = kept[0], fill_background(image, mask)
    target = preset("dancing", pose, pose.size)
    for scale in (1.0, 0.5):
        result[f"warp_{scale:g}_ms"] = _best(lambda s=scale: puppet.warp(target, scale=s), 8)  # type: ignore[misc]
    result["warp_and_composite_ms"] = _best(lambda: over(empty, puppet.warp(target)), 8)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    result["added_peak_mb"] = round((after - before) / 1024, 1)
    result["layers_mb"] = round(sum(x.rgba.nbytes for x in puppet.layers.values()) / 2**20, 1)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--sheets", type=Path, help="folder for pictures of the results")
    parser.add_argument("--limit", type=int, default=1000, help="photos at most")
    options = parser.parse_args()
    photos = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in (".jpg", ".png"))
    rows: list[dict[str, Any]] = []
    for photo in photos[: options.limit]:
        try:
            found = judge(photo, options.sheets)
        except RePoseError as error:
            print(f"{photo.name}: {error}")
            continue
        rows += found
        hits, joints = sum(r["hits"] for r in found), sum(r["joints"] for r in found)
        print(f"{photo.stem}: {hits}/{joints} = {hits / max(joints, 1):.3f}", flush=True)
    hits, joints = sum(r["hits"] for r in rows), sum(r["joints"] for r in rows)
    by_pose = {
        name: round(
            sum(r["hits"] for r in rows if r["pose"] == name)
            / sum(r["joints"] for r in rows if r["pose"] == name),
            3,
        )
        for name in dict.fromkeys(r["pose"] for r in rows)
    }
    summary = {
        "within_0.2_torso": round(hits / max(joints, 1), 4),
        "joints": joints,
        "by_pose": by_pose,
        "speed": speed(photos[min(1, len(photos) - 1)]),
    }
    print(json.dumps(summary, indent=2))
    if options.output:
        options.output.write_text(json.dumps(summary | {"rows": rows}, indent=2), "utf-8")


if __name__ == "__main__":
    main()
