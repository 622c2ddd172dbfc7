"""Heat maps and tags to people: the grouping step of HigherHRNet (associative embedding).

A joint of a person has about the same tag as the person's other joints. Joint by joint, the
candidates are matched to the people found so far by the distance of their tags.

J joints, h w the grid, T tags per joint (2 with the flip test), K candidates.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

ORDER: Final = (0, 1, 2, 3, 4, 5, 6, 11, 12, 7, 8, 9, 10, 13, 14, 15, 16)
"""COCO's joints from the trunk outwards: a person's tag is settled before the limbs are added."""

THRESHOLD: Final = 0.1
"""A peak below it is no joint."""

TAG_THRESHOLD: Final = 1.0
"""A candidate whose tag is farther from a person's mean tag starts a new person."""

NMS_WINDOW: Final = 5
MAX_PEOPLE: Final = 30

_FAR: Final = 1e10


class Person(NamedTuple):
    """One person in grid coordinates.

    Attributes:
        points: float32 (J, 2), x and y, cell centres at +0.5; 0 where not found.
        score: float32 (J,), height of the peak; 0 where not found.
    """

    points: Floats
    score: Floats


def group(heat: Floats, tags: Floats, max_people: int = MAX_PEOPLE) -> list[Person]:
    """The people in heat maps and tags, by their mean score, highest first.

    Args:
        heat: float32 (J, h, w), peaks of about 1.
        tags: float32 (J, h, w, T).
        max_people: the highest so many peaks of each joint are considered.
    """
    peaks = [_peaks(heat[joint], max_people) for joint in range(len(heat))]
    people = [_person(found, heat) for found in _match(peaks, tags, _order(len(heat)))]
    return sorted(people, key=lambda person: -float(person.score.mean()))


def _peaks(heat: Floats, count: int) -> NDArray[np.int64]:
    """(K, 2) rows and columns of the highest local maxima above the threshold, highest first."""
    window = np.ones((NMS_WINDOW, NMS_WINDOW), np.uint8)
    highest = cv2.dilate(heat, window)  # its border counts as lower than anything
    rows, columns = np.nonzero((heat == highest) & (heat > THRESHOLD))
    order = np.argsort(-heat[rows, columns], kind="stable")[:count]
    return np.stack((rows, columns), 1)[order]


def _match(
    peaks: list[NDArray[np.int64]], tags: Floats, order: tuple[int, ...]
) -> list[dict[int, tuple[int, int]]]:
    """For every person: joint -> (row, column)."""
    people: list[dict[int, tuple[int, int]]] = []
    sums: list[NDArray[np.float64]] = []
    for joint in order:
        cells = peaks[joint]
        if not len(cells):
            continue
        found = tags[joint, cells[:, 0], cells[:, 1]].astype(np.float64)  # (K, T)
        chosen = _assign(found, people, sums)
        for candidate, cell in enumerate(cells):
            number = chosen.get(candidate)
            if number is None:
                number = len(people)
                people.append({})
                sums.append(np.zeros(found.shape[1]))
            people[number][joint] = (int(cell[0]), int(cell[1]))
            sums[number] += found[candidate]
    return people


def _assign(
    tags: NDArray[np.float64],
    people: list[dict[int, tuple[int, int]]],
    sums: list[NDArray[np.float64]],
) -> dict[int, int]:
    """Candidate -> person, where the tags agree; the sum of distances is the least possible.

    Distances are rounded, so that among about equal ones the higher peak (the earlier candidate)
    wins.
    """
    from scipy.optimize import linear_sum_assignment

    if not people:
        return {}
    means = np.stack([total / len(person) for total, person in zip(sums, people, strict=True)])
    distance = np.linalg.norm(tags[:, None] - means[None], axis=2)  # (K, people)
    rank = np.arange(len(tags))[:, None] / (len(tags) + 1)
    cost = np.round(distance) * 100 + rank
    # A square table: a candidate left over is matched to nobody.
    short = max(0, len(tags) - len(people))
    cost = np.pad(cost, ((0, 0), (0, short)), constant_values=_FAR)
    return {
        int(candidate): int(number)
        for candidate, number in zip(*linear_sum_assignment(cost), strict=True)
        if number < len(people) and distance[candidate, number] < TAG_THRESHOLD
    }


def _person(cells: dict[int, tuple[int, int]], heat: Floats) -> Person:
    """Peaks moved a quarter of a cell towards their higher neighbours."""
    points = np.zeros((len(heat), 2), np.float32)
    score = np.zeros(len(heat), np.float32)
    for joint, (row, column) in cells.items():
        plane = heat[joint]
        points[joint] = (
            column + 0.5 + 0.25 * _slope(plane[row], column),
            row + 0.5 + 0.25 * _slope(plane[:, column], row),
        )
        score[joint] = plane[row, column]
    return Person(points, score)


def _slope(line: Floats, at: int) -> float:
    """-1, 0 or 1: on which side of a peak the line is higher; 0 at its ends."""
    if not 0 < at < len(line) - 1:
        return 0.0
    return float(np.sign(line[at + 1] - line[at - 1]))


def _order(joints: int) -> tuple[int, ...]:
    return ORDER if joints == len(ORDER) else tuple(range(joints))
