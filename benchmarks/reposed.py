"""Is the person where the pose wants them? Any method, on a folder of photographs.

    python -m benchmarks.reposed assets/examples --method preview --method reposedm \\
        -o training/results/reposed.json [--sheets FOLDER]

The largest person of every photo is put into presets and single-joint drags by the repose job, as
in the app, and looked for again: on the whole picture, and enlarged in a window round the wanted
pose (the detector overlooks small people, and in a crowd goes to another one). Of all that it finds
the one counts that fits the wanted pose best; ``whole_picture`` is what it found without windows.

Counted are the wanted visible joints that lie within 0.2 torso lengths. Joints outside the photo or
not seen on it are left out, and so are poses that show another side of the body: every method gets
the same poses. ``ceiling`` is what the same counting says of the untouched photos in other sizes.
Only numbers are written.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reposedm.detect import detect_people, person_mask
from reposedm.errors import RePoseError
from reposedm.imaging import read_image
from reposedm.pose import Pose, preset

PRESETS = (
    "standing", "contrapposto", "hands-on-hips", "a-pose", "t-pose", "arms-raised", "waving",
    "pointing", "walking-front", "star-jump", "lunge", "dancing", "yoga-tree", "sitting-front",
)  # fmt: skip
DRAGS = {"right elbow": (2, 3, 4), "left elbow": (5, 6, 7), "right knee": (8, 9, 10)}
TURNS = (-60, -30, 30, 60)
NEAR = 0.2
"""Torso lengths."""
WINDOW = (0.5, 480)
"""Torso lengths round the wanted pose, and the least long side of the window in pixels."""
TALL = 200
"""Pixels from the highest to the lowest joint on the photo."""
SIZES = (0.8, 0.9, 1.1, 1.25)
SUFFIXES = (".jpg", ".jpeg", ".png")
SHEET_WIDTH = 240


def targets(pose: Pose) -> Iterator[tuple[str, Pose]]:
    """Poses to try: presets on this body, and one limb turned about its root."""
    for name in PRESETS:
        yield name, preset(name, pose, pose.size)
    for name, chain in DRAGS.items():
        for degrees in TURNS:
            angle = np.radians(degrees)
            turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            points = pose.points.copy()
            root = points[chain[0]]
            points[list(chain[1:])] = (points[list(chain[1:])] - root) @ turn.T + root
            yield f"{name} {degrees:+d}", pose.replace(points=points)


def countable(source: Pose, target: Pose) -> NDArray[np.bool_]:
    """(18,) joints that the result must show: seen in the photo, wanted visible, inside it."""
    inside = (target.points >= 0).all(1) & (target.points < target.size).all(1)
    count = np.asarray(source.visible & target.visible & inside)
    count[[0, 14, 15, 16, 17]] = False
    return count


def found_on(picture: NDArray[np.uint8], target: Pose) -> tuple[list[Any], list[Any]]:
    """Poses of all people found: on the whole picture, and in a window round the target."""
    import cv2

    whole = [detection.pose for detection in detect_people(picture)]
    margin = WINDOW[0] * _torso(target)
    box = target.box() or (0, 0, *target.size)
    left, top = (max(0, int(edge - margin)) for edge in box[:2])
    right, bottom = (int(edge + margin) + 1 for edge in box[2:])
    window = picture[top:bottom, left:right]
    scale = max(1.0, WINDOW[1] / max(window.shape[:2]))
    large = cv2.resize(window, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    near = [detection.pose.transformed(1 / scale, (left, top), target.size)
            for detection in detect_people(large)]  # fmt: skip
    return whole, near


def _torso(pose: Pose) -> float:
    return float(np.linalg.norm(pose.points[1] - pose.points[[8, 11]].mean(0)))


def _height(pose: Pose) -> float:
    _, top, _, bottom = pose.box() or (0.0, 0.0, 0.0, 0.0)
    return bottom - top


def accuracy(found: Sequence[Any], target: Pose, count: NDArray[np.bool_]) -> tuple[int, int]:
    """(hits, joints) of the found pose that fits best."""
    best = 0
    for pose in found:
        error = np.linalg.norm(pose.points - target.points, axis=1)
        best = max(best, int((error[count] <= NEAR * _torso(target)).sum()))
    return best, int(count.sum())


def judged(source: Pose, target: Pose, puppet: Any) -> NDArray[np.bool_] | None:
    """The joints that count, or None for a pose that is left out.

    Args:
        source: the pose on the photo.
        target: the wanted pose.
        puppet: of the photo; it knows which poses show another side of the body.
    """
    count = countable(source, target)
    if not count[[1, 8, 11]].all() or count.sum() < 6 or puppet.turns(target):
        return None
    return count


def ceiling(photo: Path) -> list[dict[str, Any]]:
    """A row for each size of an untouched photo: what the detector says of the same pose."""
    import cv2

    image = read_image(photo).pixels
    people = detect_people(image)
    rows: list[dict[str, Any]] = []
    for scale in SIZES if people else ():
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        resized = cv2.resize(image, None, fx=scale, fy=scale, interpolation=how)
        pose = people[0].pose.transformed(scale, 0, (resized.shape[1], resized.shape[0]))
        count = countable(pose, pose)
        if not count[[1, 8, 11]].all() or count.sum() < 6:
            continue
        whole, near = found_on(resized, pose)
        hits, joints = accuracy([*whole, *near], pose, count)
        rows.append({"hits": hits, "whole": accuracy(whole, pose, count)[0], "joints": joints})
    return rows


def judge(
    photo: Path, methods: Sequence[str], options: argparse.Namespace
) -> tuple[list[dict[str, Any]], list[NDArray[np.uint8]]]:
    """A row for each method and pose of the largest person on a photo, and the pictures."""
    from reposedm.jobs.repose import repose
    from reposedm.jobs.settings import ReposeSettings
    from reposedm.pipelines.preview import prepare

    image = read_image(photo).pixels
    people = detect_people(image)
    if not people:
        return [], []
    source = people[0].pose
    mask = person_mask(image, source)
    puppet = prepare(image, source, mask)
    kept = [(name, target, count) for name, target in targets(source)
            if (count := judged(source, target, puppet)) is not None]  # fmt: skip
    if options.poses:
        kept = [kept[k * len(kept) // options.poses] for k in range(min(options.poses, len(kept)))]
    rows, strips = [], []
    for method in methods:
        pictures = []
        for name, target, count in kept:
            settings = ReposeSettings(
                method=method, seed=options.seed, **_settings(method, options)
            )
            start = time.perf_counter()
            work = repose(image, source, target, settings, source_mask=mask)
            picture = _finished(work)
            seconds = time.perf_counter() - start
            whole, near = found_on(picture, target)
            hits, joints = accuracy([*whole, *near], target, count)
            rows.append({"method": method, "photo": photo.stem, "pose": name, "hits": hits,
                         "height": _height(source),
                         "whole": accuracy(whole, target, count)[0], "joints": joints,
                         "seconds": seconds})  # fmt: skip
            pictures.append(picture)
        strips.append(pictures)
    return rows, [_strip(pictures) for pictures in strips if pictures]


def _settings(method: str, options: argparse.Namespace) -> dict[str, Any]:
    from reposedm.jobs.methods import load_method

    controls = load_method(method).capabilities.controls
    given = {
        "steps": options.steps,
        "guidance_scale": options.guidance,
        "pose_guidance_scale": options.pose_guidance,
    }
    return {k: v for k, v in given.items() if v is not None and k in controls}


def _finished(work: Any) -> NDArray[np.uint8]:
    while True:
        try:
            next(work)
        except StopIteration as stop:
            picture: NDArray[np.uint8] = stop.value.images[0]
            return picture


def _strip(pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    import cv2

    height = round(SHEET_WIDTH * pictures[0].shape[0] / pictures[0].shape[1])
    return np.hstack([cv2.resize(picture, (SHEET_WIDTH, height)) for picture in pictures])


def summary(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of each method: the part of the joints that is near, on how many, and by pose."""
    found: dict[str, Any] = {}
    for method in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == method]
        found[method] = {
            "within_torso": _share(mine),
            "whole_picture": _share(mine, "whole"),
            "of_tall_people": _share([row for row in mine if row["height"] > TALL]),
            "joints": sum(row["joints"] for row in mine),
            "pictures": len(mine),
            "seconds_median": round(float(np.median([row["seconds"] for row in mine])), 3),
            **{f"by_{key}": {name: _share([row for row in mine if row[key] == name])
                             for name in dict.fromkeys(row[key] for row in mine)}
               for key in ("photo", "pose")},
        }  # fmt: skip
    return found


def _share(rows: Sequence[dict[str, Any]], of: str = "hits") -> float:
    hits, joints = sum(row[of] for row in rows), sum(row["joints"] for row in rows)
    return round(hits / max(joints, 1), 4)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reposed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("folder", type=Path)
    add("--method", action="append", help="default: every one that can be used")
    add("--poses", type=int, default=0, help="so many poses a photo, evenly spread; 0: all")
    add("--limit", type=int, default=1000, help="photos at most")
    add("--seed", type=int, default=0)
    add("--steps", type=int)
    add("--guidance", type=float)
    add("--pose-guidance", type=float)
    add("--sheets", type=Path, help="folder for pictures of the results")
    add("-o", "--output", type=Path)
    options = parser.parse_args(given)
    from reposedm.jobs.methods import available_methods
    from training.machine import command_line, commit, machine, versions

    photos = sorted(p for p in options.folder.iterdir() if p.suffix.lower() in SUFFIXES)
    methods = options.method or available_methods()
    rows: list[dict[str, Any]] = []
    untouched: list[dict[str, Any]] = []
    counted = 0
    for number, photo in enumerate(photos[: options.limit]):
        try:
            found, strips = judge(photo, methods, options)
            untouched += ceiling(photo) if found else []
        except RePoseError as error:
            print(f"{photo.name}: {error}", file=sys.stderr)
            continue
        rows += found
        counted += bool(found)
        shares = {name: one["within_torso"] for name, one in summary(found).items()}
        print(f"photo {number + 1} of {len(photos)}: {shares}", file=sys.stderr, flush=True)
        if options.sheets and strips:
            import cv2

            options.sheets.mkdir(parents=True, exist_ok=True)
            sheet = np.vstack(strips)[..., ::-1]
            cv2.imwrite(str(options.sheets / f"{photo.stem}.jpg"), np.ascontiguousarray(sheet))
    if not rows:
        print(f"error: nobody could be judged on the photos of {options.folder}", file=sys.stderr)
        return 2
    results: dict[str, Any] = {
        "format": "reposedm-reposed",
        "photos": counted,
        "near": NEAR,
        "tall": TALL,
        "ceiling": {"within_torso": _share(untouched),
                    "whole_picture": _share(untouched, "whole")},
        "methods": summary(rows),
        "settings": {k: getattr(options, k) for k in
                     ("seed", "steps", "guidance", "pose_guidance", "poses")},
        "command": command_line("benchmarks.reposed", given),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
    }  # fmt: skip
    print(json.dumps({name: {k: v for k, v in one.items() if not k.startswith("by_")}
                      for name, one in results["methods"].items()}, indent=1))  # fmt: skip
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
