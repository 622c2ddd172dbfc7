"""Market-1501: ``0002_c1s1_000451_03.jpg``, the person before the first "_"; 128 x 64 pictures.

Folders ``train`` and ``test``, or the original ``bounding_box_train`` and ``bounding_box_test``.
Without a list of pairs, all legal ones are made: two pictures of one person, both with hips and
shoulders, neither a distractor (0000) nor junk (-1).
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.pose.skeleton import L_HIP, L_SHOULDER, R_HIP, R_SHOULDER
from training.datasets import lists
from training.datasets.records import (
    SPLITS,
    SUFFIXES,
    Body,
    Framed,
    Listing,
    Options,
    Picture,
    all_pairs,
    body,
    by_person,
    resize,
    unique_pairs,
)
from training.sample import DataError

HEIGHT: Final = 128
WIDTH: Final = 64
"""The frame of the annotation files."""
TEST_PAIRS: Final = 12_000
"""The published test list is a random sample of so many."""
FOLDERS: Final = {
    "train": ("train", "bounding_box_train"),
    "test": ("test", "bounding_box_test"),
}
_NEEDED: Final = (R_HIP, L_HIP, L_SHOULDER, R_SHOULDER)


def person_of(name: str) -> str:
    """The identity in a file's name."""
    return name.split("_", 1)[0]


def is_junk(name: str) -> bool:
    """Whether it is a distractor or a bad detection, and nobody's picture."""
    return name.startswith(("-1", "0000"))


def is_legal(picture: Picture) -> bool:
    """Whether the picture may be in a pair."""
    state = picture.people[0].state if picture.people else (0,) * 18
    return not is_junk(picture.name) and all(state[joint] for joint in _NEEDED)


def listing(options: Options) -> Listing:
    """Everything the folder says.

    Raises:
        DataError: there are no pictures.
    """
    found = Listing(pairs={})
    root = options.root / "market" if (options.root / "market").is_dir() else options.root
    for split in SPLITS:
        folder = next((root / name for name in FOLDERS[split] if (root / name).is_dir()), None)
        if folder is None:
            found.notes.append(f"there is no folder {' or '.join(FOLDERS[split])}")
            continue
        bodies = _bodies(root, split, found)
        for path in sorted(folder.iterdir()):
            if path.suffix.lower() not in SUFFIXES:
                continue
            if is_junk(path.stem):
                found.skip("distractor or junk", path.name)
                continue
            people = (bodies[path.stem],) if path.stem in bodies else ()
            if not people:
                found.skip("no pose annotation", path.name)
            person = person_of(path.stem)
            if path.stem in found.pictures:
                found.skip("picture twice, in one folder or both", path.name)
                continue
            found.pictures[path.stem] = Picture(path.stem, str(path), person, split, people)
    if not found.pictures:
        raise DataError(
            f"there are no pictures in {root}: expected train/ and test/, or bounding_box_train/ "
            "and bounding_box_test/"
        )
    assert found.pairs is not None  # for the type checker
    for split in SPLITS:
        found.pairs[split] = _pairs(root, split, found)
    return found


def frame(picture: Picture, pixels: NDArray[np.uint8], options: Options) -> Framed:
    """The picture stretched to the size, and the pose on it."""
    people = tuple(person.on(options.size) for person in picture.people)
    return Framed(resize(pixels, options.size), people)


def _bodies(root: Path, split: str, found: Listing) -> dict[str, Body]:
    path = root / f"market-annotation-{split}.csv"
    if not path.is_file():
        return {}
    bodies: dict[str, Body] = {}
    for name, points in lists.read_annotation_csv(
        path, lambda line: found.skip("unreadable pose annotation", line)
    ):
        stem = Path(name).stem
        if stem in bodies:
            found.skip("annotated twice", name)
        bodies.setdefault(stem, body(points, WIDTH, HEIGHT))
    return bodies


def _pairs(root: Path, split: str, found: Listing) -> list[tuple[str, str]]:
    path = root / f"market-pairs-{split}.csv"
    if path.is_file():
        found.notes.append(f"pairs: {path.name}")
        named = lists.read_pairs_csv(path, lambda line: found.skip("unreadable pair", line))
        return unique_pairs([(Path(a).stem, Path(b).stem) for a, b in named], found, split)
    legal = [p for p in found.pictures.values() if p.split == split and is_legal(p)]
    pairs = all_pairs(by_person(legal))
    if split == "test" and len(pairs) > TEST_PAIRS:
        chosen = np.random.RandomState(0).choice(len(pairs), TEST_PAIRS, replace=False)
        found.notes.append(
            f"there is no {path.name}: {TEST_PAIRS} random pairs, not those of published results"
        )
        return [pairs[number] for number in chosen]
    found.notes.append(f"there is no {path.name}: all {len(pairs)} legal pairs")
    return pairs
