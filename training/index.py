"""The index of a prepared folder: the one format that all data sets are brought into.

    meta.json               format, kind, size, counts, options, SHA-256 of the files below
    images.jsonl            a line a picture: name, file, sha256, person, split, people, caption
    pairs-train.jsonl       a line a pair: [source, target], numbers of lines of images.jsonl
    pairs-test.jsonl
    skipped.jsonl           a line for everything left out: reason, item
    images/<split>/*.png    the pictures

``people`` are poses in pixels of the prepared picture, ``{"points": 18 x [x, y], "state": [18]}``,
the person the pair is about first; empty if no pose is known (the picture is then in no pair).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.pose import Pose
from training.files import write_atomically
from training.sample import DataError

FORMAT: Final = "reposedm-pairs"
VERSION: Final = 1
IMAGES: Final = "images.jsonl"
META: Final = "meta.json"
SKIPPED: Final = "skipped.jsonl"


@dataclass(frozen=True)
class Index:
    """What one split of a prepared folder holds.

    Attributes:
        kind: the data set's family.
        size: (H, W) of all pictures.
        names: id of each picture, of all splits.
        files: path of each, relative to the folder.
        persons: who each shows.
        splits: "train" or "test" of each.
        points: float32 (N, 18, 2) of the first person, pixels.
        states: uint8 (N, 18); all 0 where no pose is known.
        pairs: int32 (P, 2), source and target of this split, numbers of pictures.
        others: further people on a picture.
        alphas: path of a picture's alpha.
        captions: what a picture shows.
    """

    kind: str
    size: tuple[int, int]
    names: list[str]
    files: list[str]
    persons: list[str]
    splits: list[str]
    points: NDArray[np.float32]
    states: NDArray[np.uint8]
    pairs: NDArray[np.int32]
    others: Mapping[int, tuple[Pose, ...]] = field(default_factory=dict)
    alphas: Mapping[int, str] = field(default_factory=dict)
    captions: Mapping[int, str] = field(default_factory=dict)

    def pose(self, picture: int) -> Pose:
        """The first person of a picture."""
        score = (self.states[picture] > 0).astype(np.float32)
        return Pose(self.points[picture], score, self.states[picture], self.size[::-1])


def read_index(root: str | Path, split: str) -> Index:
    """The index of a prepared folder.

    Raises:
        DataError: it is not prepared, of another version, changed since, or has no such pairs.
    """
    root = Path(root)
    meta = _read_meta(root)
    pairs_file = f"pairs-{split}.jsonl"
    if pairs_file not in meta["files"]:
        raise DataError(f"{root} has no pairs of the split {split!r}")
    lines = {name: _checked(root, name, meta["files"]) for name in (IMAGES, pairs_file)}
    try:
        return _index(meta, lines[IMAGES], lines[pairs_file])
    except (ValueError, KeyError, TypeError, IndexError, PoseError) as error:
        raise DataError(
            f"the index in {root} cannot be read ({error}): prepare it again"
        ) from error


def pose_record(pose: Pose) -> dict[str, Any]:
    """A pose as the index holds it."""
    points = [[round(float(x), 3), round(float(y), 3)] for x, y in pose.points]
    return {"points": points, "state": [int(state) for state in pose.state]}


def write_index(
    root: Path,
    meta: Mapping[str, Any],
    pictures: Iterable[Mapping[str, Any]],
    pairs: Mapping[str, NDArray[np.int32]],
    skipped: Iterable[Mapping[str, str]],
) -> bool:
    """Write the index files, each whole or not at all, ``meta.json`` last.

    Returns:
        False if every one of them was there already, with the same bytes: nothing is written.
    """
    files = {IMAGES: _jsonl(pictures), SKIPPED: _jsonl(skipped)}
    for split, numbers in pairs.items():
        files[f"pairs-{split}.jsonl"] = _jsonl([int(a), int(b)] for a, b in numbers)
    hashes = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    document = {"format": FORMAT, "version": VERSION, **meta, "files": hashes}
    files[META] = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    return any([write_atomically(root / name, data) for name, data in files.items()])


def _read_meta(root: Path) -> dict[str, Any]:
    try:
        meta = json.loads((root / META).read_bytes())
    except OSError as error:
        raise DataError(
            f"{root} is not a prepared data set: run python -m training.prepare on the raw one, "
            "and give its --out here"
        ) from error
    except ValueError as error:
        raise DataError(f"{root / META} is damaged: prepare the data set again") from error
    if not isinstance(meta, dict) or meta.get("format") != FORMAT or "files" not in meta:
        raise DataError(f"{root / META} is not of a prepared data set")
    if meta.get("version") != VERSION:
        raise DataError(f"{root} was prepared by another version of RePoseDM: prepare it again")
    return meta


def _checked(root: Path, name: str, hashes: Mapping[str, str]) -> list[Any]:
    try:
        data = (root / name).read_bytes()
    except OSError as error:
        raise DataError(f"{root / name} is missing: prepare the data set again") from error
    if hashlib.sha256(data).hexdigest() != hashes.get(name):
        raise DataError(f"{root / name} was changed or is incomplete: prepare the data set again")
    return [json.loads(line) for line in data.splitlines()]


def _index(meta: Mapping[str, Any], images: list[Any], pairs: list[Any]) -> Index:
    height, width = meta["size"]
    points = np.zeros((len(images), 18, 2), np.float32)
    states = np.zeros((len(images), 18), np.uint8)
    others: dict[int, tuple[Pose, ...]] = {}
    for number, image in enumerate(images):
        people = [_pose(person, (width, height)) for person in image["people"]]
        if people:
            points[number], states[number] = people[0].points, people[0].state
        if len(people) > 1:
            others[number] = tuple(people[1:])
    table = np.array(pairs, np.int32).reshape(-1, 2)
    if len(table) and not (table.min() >= 0 and table.max() < len(images)):
        raise ValueError("a pair names a picture that is not there")
    names, files, persons, splits = (
        [str(image[key]) for image in images] for key in ("name", "file", "person", "split")
    )
    return Index(
        str(meta["kind"]),
        (int(height), int(width)),
        names,
        files,
        persons,
        splits,
        points,
        states,
        table,
        others,
        {i: str(image["alpha"]) for i, image in enumerate(images) if image.get("alpha")},
        {i: str(image["caption"]) for i, image in enumerate(images) if image.get("caption")},
    )


def _pose(person: Mapping[str, Any], size: tuple[int, int]) -> Pose:
    state = np.array(person["state"], np.uint8)
    return Pose(np.array(person["points"], np.float32), (state > 0) * np.float32(1), state, size)


def _jsonl(records: Iterable[Any]) -> bytes:
    dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
    return "".join(dump(record) + "\n" for record in records).encode("utf-8", "replace")
