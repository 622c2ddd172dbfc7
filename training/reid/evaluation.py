"""Market-1501's evaluation: single query, cosine distance, mAP and Rank-k.

For each query the gallery is sorted by distance, and then

* junk (person -1) and the query's own person seen by the query's own camera are taken out: they
  are neither right nor wrong, and take no rank;
* distractors (person 0) and all other people are wrong;
* a query whose person no other camera saw cannot be answered and is left out of the means;
* pictures of equal distance count as if the wrong ones came first, so that a model that says the
  same of everything gains nothing from the order of the files.

Two average precisions are in use. ``mean_ap`` is the mean of the precision at each right picture,
which BoT, torchreid and fast-reid print; ``mean_ap_trapezoid`` is the area by trapezoids of the
data set's own Matlab code (Zheng et al., ICCV 2015), in which the precision before the first
picture is 1. Published numbers seldom say which.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.metrics import MetricsError
from training.reid.market import JUNK


@dataclass(frozen=True)
class Scores:
    """The numbers of one model; shares from 0 to 1.

    Attributes:
        mean_ap: mean of the precision at each right picture, over queries.
        mean_ap_trapezoid: the same with the area of the Matlab code.
        rank1: share of queries whose first picture is right.
        rank5: share with a right one among the first five.
        rank10: share with a right one among the first ten.
        queries: that could be answered.
        unanswerable: queries left out.
    """

    mean_ap: float
    mean_ap_trapezoid: float
    rank1: float
    rank5: float
    rank10: float
    queries: int
    unanswerable: int

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def evaluate(
    distances: ArrayLike,
    query_people: ArrayLike,
    query_cameras: ArrayLike,
    gallery_people: ArrayLike,
    gallery_cameras: ArrayLike,
) -> Scores:
    """Apply the rule above.

    Args:
        distances: (queries, gallery), any measure that grows with unlikeness.
        query_people: (queries,).
        query_cameras: (queries,).
        gallery_people: (gallery,).
        gallery_cameras: (gallery,).

    Raises:
        MetricsError: shapes do not fit, a distance is not finite, or no query can be answered.
    """
    table = np.asarray(distances, np.float64)
    people, cameras = np.asarray(query_people), np.asarray(query_cameras)
    others, places = np.asarray(gallery_people), np.asarray(gallery_cameras)
    if table.shape != (len(people), len(others)) or not (
        cameras.shape == people.shape and places.shape == others.shape
    ):
        raise MetricsError(
            f"distances of shape {table.shape} do not fit {len(people)} queries and {len(others)} "
            "pictures of the gallery"
        )
    if not np.isfinite(table).all():
        raise MetricsError("a distance is not a finite number: the model has diverged")
    found = []
    for row, person, camera in zip(table, people, cameras, strict=True):
        judged = (others != JUNK) & ~((others == person) & (places == camera))
        right = others[judged] == person
        if right.any():
            order = np.lexsort((right, row[judged]))
            found.append(_of_query(right[order]))
    if not found:
        raise MetricsError("no query has a right picture of another camera in the gallery")
    precision, area, one, five, ten = np.mean(found, axis=0).tolist()
    return Scores(precision, area, one, five, ten, len(found), len(people) - len(found))


def _of_query(right: NDArray[np.bool_]) -> tuple[float, float, float, float, float]:
    """Both average precisions and the ranks 1, 5 and 10 of one sorted list."""
    hits = np.flatnonzero(right)
    count = np.arange(1, len(hits) + 1)
    precision = count / (hits + 1)
    # Before a hit at rank r there were (number - 1) right ones among r - 1 pictures.
    before = np.where(hits > 0, (count - 1) / np.maximum(hits, 1), 1.0)
    first = int(hits[0])
    return (
        float(precision.mean()),
        float(((precision + before) / 2).mean()),
        float(first < 1),
        float(first < 5),
        float(first < 10),
    )
