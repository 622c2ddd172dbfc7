"""Held-out pairs for the ablation: chosen once, by rule, spread over people and angles.

The folder is one that ``python -m training.synthetic render --one-camera`` wrote, with a seed that
no training uses. (Without ``--one-camera`` every picture has a camera of its own, whose colours
nobody can know from another picture, and all methods score alike.)
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from reposedm.errors import SettingsError
from training.data import Pairs
from training.datasets.synthetic import SyntheticFolder
from training.sample import Sample

ANGLES: Final = (0.0, 15.0, 45.0, 90.0, 180.0)
"""Borders of the classes of angles between two views, degrees."""


class HeldOut:
    """Some pairs of a data set; a ``Pairs``, numbered in the order in which they are looked at.

    Every beginning of that order is spread over all people: pairs of one person are as far apart
    as they can be.

    Args:
        pairs: all pairs.
        people: for each person, (number of the pair in ``pairs``, angle in degrees) of theirs.
        count: how many to choose; fewer where the data has fewer.
        facts: JSON of what the data is.

    Raises:
        SettingsError: nothing is left.
    """

    def __init__(
        self,
        pairs: Pairs,
        people: Sequence[Sequence[tuple[int, float]]],
        count: int,
        facts: Mapping[str, Any],
    ) -> None:
        """Choose."""
        self.pairs, self.facts = pairs, dict(facts)
        self.chosen: list[tuple[int, int, float]] = list(_spread(people, count))
        if not self.chosen:
            raise SettingsError(
                "there are no held-out pairs: give at least 1, and 2 views a person"
            )

    def __len__(self) -> int:
        """The number of chosen pairs."""
        return len(self.chosen)

    def __getitem__(self, number: int) -> Sample:
        """The chosen pair of that number.

        Raises:
            IndexError: there is no such pair.
        """
        if not 0 <= number < len(self):
            raise IndexError(f"there are {len(self)} held-out pairs, no number {number}")
        return self.pairs[self.chosen[number][0]]

    def person(self, number: int) -> int:
        """Whose pair it is, 0 to people - 1."""
        return self.chosen[number][1]

    def angle(self, number: int) -> float:
        """Degrees between its two views, 0 to 180."""
        return self.chosen[number][2]

    def classes(self, numbers: Sequence[int]) -> list[tuple[str, list[int]]]:
        """The pairs in each class of angles, such as ("15-45", [...]); 180 is in the last one."""
        found: list[tuple[str, list[int]]] = []
        for low, high in pairwise(ANGLES):
            top = math.inf if high == ANGLES[-1] else high
            found.append((f"{low:g}-{high:g}", [n for n in numbers if low <= self.angle(n) < top]))
        return found

    def record(self, numbers: Sequence[int]) -> dict[str, Any]:
        """JSON of the data and of these pairs: how many people, and how the angles are spread."""
        return {
            **self.facts,
            "pairs": len(numbers),
            "people": len({self.person(number) for number in numbers}),
            "angles": {name: len(members) for name, members in self.classes(numbers)},
        }


def open_held_out(data: str | Path, count: int) -> HeldOut:
    """Held-out pairs of a rendered folder.

    Raises:
        SettingsError: no pairs.
        DataError: no such folder.
    """
    folder = SyntheticFolder(data, "all")
    people: list[list[tuple[int, float]]] = []
    start = 0
    for record in folder.records:
        people.append(list(_angles(start, [float(view["yaw"]) for view in record["views"]])))
        start += len(people[-1])
    settings = json.loads((Path(data) / "meta.json").read_text("utf-8")).get("settings", {})
    index = (Path(data) / "index.jsonl").read_bytes()
    facts = {
        "kind": "synthetic",
        "split": "test",
        "size": list(folder.size),
        "settings": settings,
        "index_sha256": hashlib.sha256(index).hexdigest(),
    }
    return HeldOut(folder, people, count, facts)


def _angles(start: int, yaws: Sequence[float]) -> Iterator[tuple[int, float]]:
    """The ordered pairs of one person, in the order of both data sets, with their angles."""
    pairs = [(a, b) for a in range(len(yaws)) for b in range(len(yaws)) if a != b]
    for number, (source, target) in enumerate(pairs):
        apart = abs(yaws[source] - yaws[target]) % 360
        yield start + number, min(apart, 360 - apart)


def _spread(
    people: Sequence[Sequence[tuple[int, float]]], count: int
) -> Iterator[tuple[int, int, float]]:
    """Round after round, one more pair of every person, from the next class of angles.

    Within a class a generator of the person's number decides.
    """
    queues = [_by_angle(pairs, np.random.default_rng(n)) for n, pairs in enumerate(people)]
    done = 0
    for turn in range(max((len(queue) for queue in queues), default=0)):
        for person, queue in enumerate(queues):
            if turn < len(queue) and done < count:
                done += 1
                index, angle = queue[turn]
                yield index, person, angle


def _by_angle(
    pairs: Sequence[tuple[int, float]], rng: np.random.Generator
) -> list[tuple[int, float]]:
    """All pairs of a person: the classes of angles take turns, starting with a random one."""
    classes: list[list[tuple[int, float]]] = [[] for _ in ANGLES[1:]]
    for place in rng.permutation(len(pairs)):
        index, angle = pairs[place]
        classes[min(int(np.searchsorted(ANGLES, angle, "right")) - 1, len(classes) - 1)].append(
            (index, angle)
        )
    first = int(rng.integers(len(classes)))
    order = [*classes[first:], *classes[:first]]
    queue = []
    while any(order):
        queue += [one.pop() for one in order if one]
    return queue
