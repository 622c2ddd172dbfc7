"""Market-1501's rule, on lists short enough to do by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.metrics import MetricsError
from training.reid.evaluation import Scores, evaluate


def one_query(gallery: list[tuple[int, int]], person: int = 1, camera: int = 1) -> Scores:
    """A query against a gallery of (person, camera), the nearest first."""
    people, cameras = zip(*gallery, strict=True)
    return evaluate([np.arange(len(gallery))], [person], [camera], people, cameras)


def test_average_precision_by_hand() -> None:
    # Right ones at ranks 1, 3 and 4.
    scores = one_query([(1, 2), (7, 2), (1, 3), (1, 4), (9, 1)])
    assert scores.mean_ap == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)
    # Trapezoids: precision before rank 1 is 1, before rank 3 1/2, before rank 4 2/3.
    by_hand = ((1 + 1) / 2 + (1 / 2 + 2 / 3) / 2 + (2 / 3 + 3 / 4) / 2) / 3
    assert scores.mean_ap_trapezoid == pytest.approx(by_hand)
    assert (scores.rank1, scores.rank5, scores.queries) == (1, 1, 1)


def test_the_trapezoids_are_those_of_the_matlab_code() -> None:
    rng = np.random.default_rng(3)
    gallery = [(int(person), 2) for person in rng.integers(1, 4, 40)]
    area, hits, before_recall, before_precision = 0.0, 0, 0.0, 1.0
    right = [person == 1 for person, _ in gallery]
    for rank, hit in enumerate(right, start=1):
        hits += hit
        recall, precision = hits / sum(right), hits / rank
        area += (recall - before_recall) * (before_precision + precision) / 2
        before_recall, before_precision = recall, precision
    assert one_query(gallery).mean_ap_trapezoid == pytest.approx(area)


def test_own_camera_and_junk_take_no_rank() -> None:
    # Without the first two, which are neither right nor wrong, the right one is first.
    scores = one_query([(1, 1), (-1, 4), (1, 2), (5, 2)])
    assert (scores.mean_ap, scores.rank1) == (1, 1)
    # Counted as wrong, they would give 1/3; counted as right, the own camera's would hide a miss:
    missed = one_query([(1, 1), (5, 2), (1, 2)])
    assert (missed.mean_ap, missed.rank1, missed.rank5) == (0.5, 0, 1)


def test_distractors_and_others_of_the_same_camera_are_wrong() -> None:
    assert one_query([(0, 2), (1, 2)]).mean_ap == 0.5
    assert one_query([(8, 1), (1, 2)]).mean_ap == 0.5


def test_ranks_count_queries() -> None:
    # Of four queries, right ones at ranks 1, 2, 6 and 11.
    gallery = np.full(12, 50)
    distances = np.tile(np.arange(12.0), (4, 1))
    people = [1, 2, 3, 4]
    order = [0, 1, 5, 10]
    gallery[order] = people
    scores = evaluate(distances, people, [1] * 4, gallery, [2] * 12)
    assert (scores.rank1, scores.rank5, scores.rank10) == (0.25, 0.5, 0.75)
    assert scores.mean_ap == pytest.approx((1 + 1 / 2 + 1 / 6 + 1 / 11) / 4)


def test_a_query_no_other_camera_saw_is_left_out_and_counted() -> None:
    scores = evaluate(np.zeros((2, 2)), [1, 2], [1, 1], [1, 2], [2, 1])
    assert (scores.queries, scores.unanswerable) == (1, 1)
    with pytest.raises(MetricsError, match="no query has a right picture"):
        evaluate(np.zeros((1, 2)), [3], [1], [1, 2], [2, 1])


def test_equal_distances_do_not_help() -> None:
    # A model that says the same of all: the right one counts as the last, wherever its file is.
    for place in range(3):
        people = [7, 7, 7]
        people[place] = 1
        scores = evaluate(np.zeros((1, 3)), [1], [1], people, [2, 2, 2])
        assert scores.mean_ap == pytest.approx(1 / 3)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(MetricsError, match="do not fit 1 queries and 3 pictures"):
        evaluate(np.zeros((1, 2)), [1], [1], [1, 2, 3], [1, 2, 3])
    with pytest.raises(MetricsError, match="diverged"):
        evaluate([[np.nan, 0]], [1], [1], [1, 2], [2, 2])
