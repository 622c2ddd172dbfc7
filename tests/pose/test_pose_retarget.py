"""Retargeting: a pose on its own body is itself, lengths are the body's, feet stay on the floor."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reposedm.errors import PoseError
from reposedm.pose import (
    JointState,
    Pose,
    hide_outside,
    preset,
    preset_names,
    presets_json,
    retarget,
)
from reposedm.pose.retarget import RATIO, measure
from reposedm.pose.skeleton import PARENT
from tests.properties import examples

SIZE = (500, 700)


def body() -> Pose:
    return preset("standing", size=SIZE)


def vectors(pose: Pose) -> np.ndarray:
    """(18, 2) bone vectors; 1 is the trunk, hips start in its end."""
    points = pose.points.astype(np.float64)
    middle = points[[8, 11]].mean(0)
    found = np.array([points[j] - points[max(PARENT[j], 0)] for j in range(18)])
    found[1] = middle - points[1]
    found[[8, 11]] = points[[8, 11]] - middle
    return found


coordinates = st.lists(
    st.tuples(st.floats(1, 499, width=32), st.floats(1, 699, width=32)), min_size=18, max_size=18
)
states = st.lists(st.integers(0, 2), min_size=18, max_size=18)


def build(points: list, state: list) -> Pose:
    pose = Pose(np.array(points), np.ones(18), np.array(state), SIZE)
    assume(pose.drawn.any() and np.ptp(pose.points[pose.drawn], axis=0).max() >= 1)
    return pose


@examples
@given(points=coordinates, state=states, proportions=st.floats(0, 1))
def test_a_pose_on_its_own_body_is_itself(points: list, state: list, proportions: float) -> None:
    pose = build(points, state)
    again = retarget(pose, pose, proportions=proportions)
    np.testing.assert_allclose(again.points, pose.points, atol=0.01)
    np.testing.assert_array_equal(again.state, pose.state)


@examples
@given(first=coordinates, second=coordinates, state=states, other=states, p=st.floats(0, 1))
def test_any_two_poses_give_finite_joints(
    first: list, second: list, state: list, other: list, p: float
) -> None:
    pose, person = build(first, state), build(second, other)
    try:
        result = retarget(pose, person, proportions=p)
    except PoseError as error:
        assert "possible range" in str(error)
        return
    assert np.isfinite(result.points).all()
    assert result.size == person.size


@pytest.mark.parametrize("name", preset_names())
@pytest.mark.parametrize("proportions", [0.0, 0.4, 1.0])
def test_directions_are_the_poses(name: str, proportions: float) -> None:
    pose = preset(name, size=(900, 900))
    result = retarget(pose, body(), proportions=proportions)
    a, b = vectors(pose), vectors(result)
    cross = a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
    lengths = np.hypot(*a.T) * np.hypot(*b.T)
    assert (np.abs(cross) <= 0.01 * lengths + 0.5).all()
    assert ((a * b).sum(1) >= -0.5).all()


def test_unforeshortened_bones_have_the_bodys_lengths() -> None:
    """A person with long arms and a short trunk, by hand; the T-pose shows all bones in full."""
    stretched = body()
    points = stretched.points.astype(np.float64)
    for arm in ((2, 3, 4), (5, 6, 7)):
        points[list(arm)] = points[arm[0]] + (points[list(arm)] - points[arm[0]]) * 1.25
    person = stretched.replace(points=points)
    own, got = measure(person).length, np.hypot(*vectors(preset("t-pose", person)).T)
    np.testing.assert_allclose(got[1:14], own[1:14], rtol=0.05)
    arms = [3, 4, 6, 7]
    np.testing.assert_allclose(got[arms], np.hypot(*vectors(person).T)[arms], rtol=0.05)


def test_foreshortening_is_kept() -> None:
    front = preset("sitting-front", size=SIZE)
    thigh = np.hypot(*vectors(front).T)[9] / measure(body()).length[9]
    assert thigh < 0.5
    for proportions in (0.0, 1.0):
        result = preset("sitting-front", body(), proportions=proportions)
        ratio = np.hypot(*vectors(result).T)[9] / measure(body()).length[9]
        assert ratio == pytest.approx(thigh, abs=0.03)


def test_a_sitting_person_stands_up_on_full_legs() -> None:
    """Its thighs point at the camera, so their length has to come from what people have."""
    sitting = preset("sitting-front", size=SIZE)
    stands = preset("standing", sitting)
    legs = np.hypot(*vectors(stands).T)[[9, 10, 12, 13]]
    expected = np.array(RATIO)[[9, 10, 12, 13]] * np.hypot(*vectors(stands).T)[1]
    np.testing.assert_allclose(legs, expected, rtol=0.1)


def test_measure_by_hand() -> None:
    points, state = np.zeros((18, 2)), np.zeros(18)
    for joint, place in {
        1: (100, 100), 8: (80, 200), 11: (120, 200), 9: (80, 270), 12: (120, 282),
        16: (80, 70), 17: (123.5, 70), 14: (99, 68),
    }.items():  # fmt: skip
        points[joint], state[joint] = place, 2
    found = measure(Pose(points, np.ones(18), state, (400, 400)))
    assert found.trunk == pytest.approx(100)
    assert found.length[8] == pytest.approx(20)  # half the hips; 0.95 of the usual: believed
    assert found.length[9] == found.length[12] == pytest.approx(82)  # the longer of the pair
    assert found.length[10] == pytest.approx(82)  # not seen: the usual
    assert found.length[3] == pytest.approx(62)
    # Ears 43.5 px apart: a head of 1.5 trunks, of which the seen eye-to-ear (19.1) says less.
    assert found.length[17] == pytest.approx(1.5 * 21)


def test_one_wild_joint_does_not_change_the_rest() -> None:
    pose = preset("t-pose", size=SIZE)
    points = pose.points.copy()
    points[4, 0] -= 1000
    wild, tame = measure(pose.replace(points=points)), measure(pose)
    assert wild.trunk == pytest.approx(tame.trunk)
    others = [j for j in range(18) if j not in (4, 7)]
    np.testing.assert_allclose(wild.length[others], tame.length[others])


def test_a_large_head_stays_large() -> None:
    person = body()
    points, face = person.points.astype(np.float64), [14, 15, 16, 17]
    points[face] = points[0] + (points[face] - points[0]) * 1.5
    result = preset("walking-front", person.replace(points=points))
    usual = preset("walking-front", person)
    ratio = np.hypot(*vectors(result).T)[face] / np.hypot(*vectors(usual).T)[face]
    np.testing.assert_allclose(ratio, 1.5, rtol=0.01)


def test_a_short_bone_is_believed_half_way_and_then_not() -> None:
    pose = preset("t-pose", size=(1000, 1000))
    usual = RATIO[3] * measure(pose).trunk
    for share, expected in ((0.8, 0.8), (0.7, 0.7), (0.6, 0.8), (0.5, 1.0), (0.3, 1.0), (0, 1.0)):
        points = pose.points.astype(np.float64)
        for shoulder, elbow, wrist in ((2, 3, 4), (5, 6, 7)):
            side = np.sign(points[elbow, 0] - points[shoulder, 0])
            moved = points[shoulder] + (side * share * usual, 0)
            points[wrist] += moved - points[elbow]
            points[elbow] = moved
        found = measure(pose.replace(points=points)).length[3]
        assert found == pytest.approx(expected * usual, rel=0.01), share


@pytest.mark.parametrize("name", preset_names())
def test_feet_stay_on_the_floor_and_hips_in_their_column(name: str) -> None:
    person = body()
    result = preset(name, person)
    lift = next(e["lift"] for e in presets_json()["presets"] if e["id"] == name)
    floor = person.points[[10, 13], 1].max() - lift * measure(person).trunk
    assert result.points[[10, 13], 1].max() == pytest.approx(floor, abs=0.05)
    middle = person.points[[8, 11], 0].mean()
    assert result.points[[8, 11], 0].mean() == pytest.approx(middle, abs=0.05)


def test_half_a_body_is_anchored_at_hips_or_neck() -> None:
    person = body()
    for hidden, joints in ((slice(9, 14), [8]), (slice(8, 14), [1])):
        state = person.state.copy()
        state[hidden] = JointState.HIDDEN
        state[11] = state[8]
        half = person.replace(state=state)
        anchor = [8, 11] if joints == [8] else [1]
        for name in ("t-pose", "jumping"):
            result = preset(name, half)
            np.testing.assert_allclose(
                result.points[anchor].mean(0), half.points[anchor].mean(0), atol=0.05
            )


def test_missing_bones_come_from_the_other_side() -> None:
    person = body()
    points, state = person.points.astype(np.float64), person.state.copy()
    points[6] = points[5] + (points[6] - points[5]) * 1.2
    state[[3, 4]] = JointState.HIDDEN
    lengths = measure(person.replace(points=points, state=state)).length
    assert lengths[3] == lengths[6]


def test_joints_missing_in_the_pose_get_a_place_and_stay_hidden() -> None:
    pose = preset("t-pose", size=SIZE)
    points, state = pose.points.copy(), pose.state.copy()
    gone = [1, 8, 9, 10, 4]
    points[gone], state[gone] = 0, JointState.HIDDEN
    result = retarget(pose.replace(points=points, state=state), body())
    assert (result.state[gone] == JointState.HIDDEN).all()
    whole = preset("t-pose", body())
    shift = result.points[[11]] - whole.points[[11]]
    # Where a standing person has them: the legs near those of the T-pose, the neck at its place.
    np.testing.assert_allclose(
        (result.points - shift)[[1, 8, 9, 10]], whole.points[[1, 8, 9, 10]], atol=45
    )


def test_mirrored_pose_on_mirrored_body_is_the_mirrored_result() -> None:
    person = preset("contrapposto", size=SIZE)
    for name in ("waving", "running", "over-shoulder"):
        pose = preset(name, size=(900, 700))
        straight = retarget(pose, person, proportions=0.3).mirrored()
        mirrored = retarget(pose.mirrored(), person.mirrored(), proportions=0.3)
        np.testing.assert_allclose(mirrored.points, straight.points, atol=0.01)


def test_size_and_place_of_the_pose_do_not_matter() -> None:
    pose = preset("dancing", size=(600, 600))
    moved = pose.transformed(3.0, (200, 50), (2500, 2500))
    np.testing.assert_allclose(
        retarget(moved, body()).points, retarget(pose, body()).points, atol=0.02
    )


def test_joints_outside_the_photo_are_hidden_and_keep_their_place() -> None:
    low = body().transformed(1.0, (0, 300), SIZE)
    hidden = hide_outside(low)
    assert hidden.state[10] == JointState.HIDDEN
    np.testing.assert_array_equal(hidden.points, low.points)
    state = low.state.copy()
    assert hide_outside(low, 0.6).state.tolist() == state.tolist()
    result = preset("arms-raised", body().transformed(1.0, (0, -60), SIZE))
    assert result.state[4] == JointState.HIDDEN
    assert result.points[4, 1] < 0


@pytest.mark.parametrize("proportions", [-0.1, 1.1, float("nan")])
def test_proportions_outside_0_1_are_refused(proportions: float) -> None:
    with pytest.raises(PoseError, match="proportions"):
        retarget(body(), body(), proportions=proportions)
