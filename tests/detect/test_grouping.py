"""Grouping of heat-map peaks into people, by hand-made maps."""

import numpy as np
import pytest

from reposedm.detect.grouping import Person, group

HEIGHT, WIDTH = 60, 90
STEP = np.array([(dx, dy) for dy in (0, 6, 12, 18, 24, 30) for dx in (0, 7, 14)])[:17] + 4


def maps(people: list[dict[int, tuple]], joints: int = 17, per_tag: int = 1) -> tuple:
    """Heat and tags of people given as {joint: (x, y, height, tag)}, x and y in whole cells."""
    heat = np.zeros((joints, HEIGHT, WIDTH), np.float32)
    tags = np.full((joints, HEIGHT, WIDTH, per_tag), 50.0, np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    for person in people:
        for joint, (x, y, peak, tag) in person.items():
            blob = peak * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 1.5**2))
            heat[joint] = np.maximum(heat[joint], blob)
            tags[joint, y - 2 : y + 3, x - 2 : x + 3] = tag
    return heat, tags


def whole(left: int, tag: float, peak: float = 1.0) -> dict[int, tuple]:
    """All 17 joints of a person, ``left`` cells from the left, tags a little apart."""
    return {
        joint: (int(x) + left, int(y), peak, tag + 0.02 * (joint % 5))
        for joint, (x, y) in enumerate(STEP)
    }


def leftmost_first(people: list[Person]) -> list[Person]:
    return sorted(people, key=lambda person: float(person.points[person.score > 0, 0].mean()))


def test_three_people_are_told_apart() -> None:
    placed = [whole(0, 7.0), whole(30, -3.0, 0.8), whole(60, 2.0, 0.6)]
    people = leftmost_first(group(*maps(placed)))
    assert len(people) == 3
    for person, left, peak in zip(people, (0, 30, 60), (1.0, 0.8, 0.6), strict=True):
        np.testing.assert_allclose(person.points, STEP + [left, 0] + 0.5, atol=1e-6)
        np.testing.assert_allclose(person.score, peak, atol=1e-6)


def test_the_best_score_comes_first() -> None:
    people = group(*maps([whole(0, 0.0, 0.5), whole(40, 9.0, 0.9)]))
    assert [round(float(person.score.mean()), 3) for person in people] == [0.9, 0.5]


def test_tags_decide_not_places() -> None:
    left, right = whole(0, 0.0), whole(40, 5.0)
    left[9], right[9] = (*right[9][:3], left[9][3]), (*left[9][:3], right[9][3])  # wrists crossed
    first, second = leftmost_first(group(*maps([left, right])))
    np.testing.assert_allclose(first.points[9], STEP[9] + [40, 0] + 0.5)
    np.testing.assert_allclose(second.points[9], STEP[9] + 0.5)
    np.testing.assert_allclose(first.points[10], STEP[10] + 0.5)


def test_joints_that_are_not_there_score_nothing() -> None:
    person = whole(10, 1.0)
    del person[3]
    person[15] = (*person[15][:2], 0.09, 1.0)  # below the threshold
    (found,) = group(*maps([person]))
    assert np.flatnonzero(found.score == 0).tolist() == [3, 15]
    assert found.points[[3, 15]].tolist() == [[0, 0], [0, 0]]


def test_nobody() -> None:
    assert group(*maps([])) == []
    faint = np.full((17, 20, 20), 0.1, np.float32)
    assert group(faint, np.zeros((17, 20, 20, 1), np.float32)) == []


@pytest.mark.parametrize(
    ("right", "below", "moved"),
    [(0.3, -0.3, (0.25, -0.25)), (0.0, 0.3, (0.0, 0.25)), (-0.3, 0.0, (-0.25, 0.0))],
)
def test_peaks_move_a_quarter_of_a_cell(right: float, below: float, moved: tuple) -> None:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    heat = np.exp(-((columns - 20 - right) ** 2 + (rows - 30 - below) ** 2) / 8)[None]
    (found,) = group(heat.astype(np.float32), np.zeros((1, HEIGHT, WIDTH, 1), np.float32))
    assert found.points[0].tolist() == [20.5 + moved[0], 30.5 + moved[1]]


@pytest.mark.parametrize(("x", "y"), [(0, 0), (WIDTH - 1, HEIGHT - 1), (0, 30)])
def test_peaks_at_the_border_stay(x: int, y: int) -> None:
    heat = np.zeros((1, HEIGHT, WIDTH), np.float32)
    heat[0, y, x] = 1
    (found,) = group(heat, np.zeros((1, HEIGHT, WIDTH, 1), np.float32))
    assert found.points[0].tolist() == [x + 0.5, y + 0.5]


@pytest.mark.parametrize(("distance", "count"), [(2, 1), (3, 2)])
def test_of_peaks_within_five_cells_the_higher_one_stays(distance: int, count: int) -> None:
    heat = np.zeros((1, 20, 20), np.float32)
    heat[0, 10, 5], heat[0, 10, 5 + distance] = 0.9, 0.7
    tags = np.zeros((1, 20, 20, 1), np.float32)
    tags[0, :, 6:] = 9  # far apart: two people
    found = group(heat, tags)
    assert len(found) == count
    assert found[0].points[0, 0] == 5.5 + (0.25 if distance == 1 else 0)


def test_the_sum_of_distances_is_the_least_possible() -> None:
    # People at tags 0 and 1.4. The higher candidate (0.6) is nearer to the first, but the other
    # one (-0.8) can only be of the first: 0.8 each together, where greedy leaves one alone.
    people = [
        {0: (10, 10, 1.0, 0.0), 1: (10, 30, 0.5, -0.8)},
        {0: (40, 10, 1.0, 1.4), 1: (40, 30, 0.9, 0.6)},
    ]
    first, second = leftmost_first(group(*maps(people, joints=2)))
    assert first.points[1].tolist() == [10.5, 30.5]
    assert second.points[1].tolist() == [40.5, 30.5]


def test_a_far_tag_starts_a_new_person() -> None:
    for gap, count in ((0.9, 1), (1.1, 2)):
        person = {0: (10, 10, 1.0, 3.0), 1: (10, 30, 1.0, 3.0 + gap)}
        assert len(group(*maps([person], joints=2))) == count


def test_more_candidates_than_people() -> None:
    people = [{0: (10, 10, 1.0, 0.0), 1: (10, 30, 0.6, 0.1)}, {1: (40, 30, 0.9, 0.1)}]
    first, second = leftmost_first(group(*maps(people, joints=2)))
    assert second.score.tolist() == pytest.approx([1.0, 0.9]), "the higher peak joins"
    assert first.score.tolist() == pytest.approx([0.0, 0.6]), "the other one is on its own"


def test_tags_of_the_flip_test_have_two_numbers() -> None:
    left, right = whole(0, 0.0), whole(40, 0.0)
    left[9], right[9] = right[9], left[9]
    heat, tags = maps([left, right], per_tag=2)
    tags[:, :, 40:, 1] += 4  # only the second number tells them apart...
    tags[9, :, :, 1] = np.where(np.arange(WIDTH) < 40, 4, 0)  # ...and it crosses the wrists
    first, second = leftmost_first(group(heat, tags))
    np.testing.assert_allclose(first.points[9], STEP[9] + [40, 0] + 0.5)
    np.testing.assert_allclose(second.points[9], STEP[9] + 0.5)
    np.testing.assert_allclose(np.delete(first.points, 9, 0), np.delete(STEP + 0.5, 9, 0))


def test_crowds_are_bounded() -> None:
    heat = np.zeros((2, HEIGHT, WIDTH), np.float32)
    heat[0, 3::6, 3::6] = np.linspace(0.2, 1, 150).reshape(10, 15)
    tags = np.arange(2 * HEIGHT * WIDTH, dtype=np.float32).reshape(2, HEIGHT, WIDTH, 1)
    found = group(heat, tags, max_people=7)
    assert len(found) == 7
    assert found[0].score[0] == 1 and found[-1].score[0] > 0.95
