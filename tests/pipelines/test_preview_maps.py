"""The maps of the puppet: exact on joints, rigid where they should be, smooth where they meet."""

from __future__ import annotations

import numpy as np
import pytest

from reposedm.pipelines.puppet.body import complete, place, rotation, similarity, wrap
from reposedm.pipelines.puppet.field import BoneMap, Joint, TrunkMap, smoothstep
from reposedm.pipelines.puppet.rig import (
    HEAD_PART,
    L_FORE,
    LIMBS,
    R_FORE,
    R_UPPER,
    TRUNK_PART,
    draw_order,
    part_maps,
)
from reposedm.pose import Pose
from tests.drawn import arms_up, standing


def test_a_bone_maps_its_ends_and_stretches_only_along_itself() -> None:
    source = np.array([[10.0, 10], [10, 50]])
    target = np.array([[100.0, 100], [180, 100]])  # turned by a quarter, twice as long
    bone = BoneMap(source, target, scale=1.0)
    assert np.allclose(bone(target), source)
    assert np.allclose(bone(np.array([[140.0, 100]])), [[10, 30]])
    # 5 px across stay 5 px; 8 px beyond the end stay 8 px.
    assert np.allclose(bone(np.array([[140.0, 105]])), [[5, 30]])
    assert np.allclose(bone(np.array([[188.0, 100]])), [[10, 58]])
    assert wrap(bone.turn - np.pi / 2) == pytest.approx(0)


@pytest.mark.parametrize("turn", [0.3, 1.5, 3.0, -2.5])
def test_a_joint_turns_and_never_shrinks(turn: float) -> None:
    joint_at = np.array([50.0, 50.0])
    source = np.array([[50.0, 10], joint_at]), np.array([joint_at, [50.0, 90]])
    end = joint_at + rotation(turn) @ np.array([0.0, 40.0])
    upper = BoneMap(source[0], source[0], 1.0)
    lower = BoneMap(source[1], np.array([joint_at, end]), 1.0)
    joint = Joint.between(
        joint_at, joint_at, upper, lower, directions=(upper.direction, lower.direction), radius=10
    )
    angles = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    ring = joint_at + 8 * np.stack([np.cos(angles), np.sin(angles)], 1)
    for share in (0.0, 0.25, 0.5, 1.0):
        mapped = joint.blend(ring, np.full(len(ring), share)) - joint_at
        assert np.allclose(np.linalg.norm(mapped, axis=1), 8)
    assert np.allclose(joint.blend(ring, np.zeros(36)), upper(ring))
    assert np.allclose(joint.blend(ring, np.ones(36)), lower(ring))


def test_the_trunk_is_exact_on_its_joints() -> None:
    source = np.array([[50.0, 20], [30, 22], [70, 22], [38, 80], [62, 80]])
    target = source @ rotation(0.4).T * 1.3 + (5, 9)
    target[1] += (-6, 4)
    trunk = TrunkMap.fit(source, target, 1.3)
    assert np.allclose(trunk(target), source, atol=0.05)
    assert trunk.turn == pytest.approx(-0.4, abs=0.1)


def test_five_joints_on_a_line_still_give_a_finite_trunk() -> None:
    source = np.array([[50.0, 20], [30, 22], [70, 22], [38, 80], [62, 80]])
    target = np.stack([np.full(5, 40.0), source[:, 1]], 1)
    mapped = TrunkMap.fit(source, target, 1.0)(np.random.default_rng(0).uniform(0, 100, (50, 2)))
    assert np.isfinite(mapped).all()


def test_every_part_maps_its_target_joints_to_its_source_joints() -> None:
    pose = standing(300, 400)
    body, target = complete(pose), arms_up(pose)
    goal = place(body, target)
    maps = part_maps(body, {part: 12.0 for part in LIMBS}, goal)
    for part, limb in LIMBS.items():
        ends = goal.points[[limb.start, limb.end]]
        assert np.allclose(maps[part](ends), body.points[[limb.start, limb.end]], atol=0.1)
    assert np.allclose(maps[TRUNK_PART](goal.points[[1, 8, 11]]), body.points[[1, 8, 11]], atol=0.1)
    assert np.allclose(maps[HEAD_PART](goal.points[[0]]), body.points[[0]], atol=1.5)


def test_the_same_pose_is_the_identity_everywhere() -> None:
    pose = standing(300, 400)
    body = complete(pose)
    maps = part_maps(body, {part: 12.0 for part in LIMBS}, place(body, pose), hem=1.2)
    points = np.random.default_rng(1).uniform(-50, 450, (200, 2))
    for field in maps.values():
        assert np.allclose(field(points), points, atol=1e-6)


def test_neighbouring_parts_agree_round_their_joint() -> None:
    """Cracks at the elbow would show where upper arm and forearm map a pixel differently."""
    pose = standing(300, 400)
    body = complete(pose)
    goal = place(body, arms_up(pose))
    maps = part_maps(body, {part: 10.0 for part in LIMBS}, goal)
    elbow = goal.points[LIMBS[R_FORE].start]
    round_elbow = elbow + np.random.default_rng(2).uniform(-4, 4, (100, 2))
    assert np.allclose(maps[R_UPPER](round_elbow), maps[R_FORE](round_elbow), atol=0.2)


def test_scale_and_shift_of_the_whole_person() -> None:
    pose = standing(300, 400)
    body = complete(pose)
    goal = place(body, pose.replace(points=pose.points * 0.5 + (30, 40)))
    assert goal.scale == pytest.approx(0.5, abs=1e-3)
    maps = part_maps(body, {part: 12.0 for part in LIMBS}, goal)
    points = np.random.default_rng(1).uniform(0, 300, (200, 2))
    for field in maps.values():
        assert np.allclose(field(points * 0.5 + (30, 40)), points, atol=1e-3)


def test_a_foreshortened_trunk_does_not_make_the_person_small() -> None:
    pose = standing(300, 400)
    points = pose.points.copy()
    points[[0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17], 1] += 60  # bends towards the camera
    assert place(complete(pose), pose.replace(points=points)).scale == pytest.approx(1, abs=0.02)


def test_hidden_target_joints_follow_their_parents_rigidly() -> None:
    pose = standing(300, 400)
    body = complete(pose)
    points, state = arms_up(pose).points.copy(), pose.state.copy()
    points[4], state[4] = (9999, -9999), 0
    goal = place(body, pose.replace(points=points, state=state))
    before = body.points[4] - body.points[3], body.points[3] - body.points[2]
    after = goal.points[4] - goal.points[3], goal.points[3] - goal.points[2]
    assert np.linalg.norm(after[0]) == pytest.approx(np.linalg.norm(before[0]) * goal.scale)
    bend = [wrap(np.arctan2(*v[0][::-1]) - np.arctan2(*v[1][::-1])) for v in (before, after)]
    assert bend[0] == pytest.approx(bend[1], abs=1e-5)


def test_missing_source_joints_are_inferred_from_the_partner() -> None:
    pose = standing(300, 400)
    state = pose.state.copy()
    state[[9, 10]] = 0
    body = complete(pose.replace(state=state))
    assert not body.known[9]
    lengths = np.linalg.norm(body.points[[9, 10]] - body.points[[8, 9]], axis=1)
    partner = np.linalg.norm(body.points[[12, 13]] - body.points[[11, 12]], axis=1)
    assert np.allclose(lengths, partner, rtol=0.01)


@pytest.mark.parametrize("shown", [[1], [0, 14, 15], [2, 5], [8, 11], [3, 4], [16]])
def test_any_few_joints_make_a_whole_finite_body(shown: list[int]) -> None:
    pose = standing(300, 400)
    state = np.zeros(18, np.uint8)
    state[shown] = 2
    few = pose.replace(state=state)
    if len(shown) == 1:
        from reposedm.errors import PoseError

        with pytest.raises(PoseError):
            complete(few)
        return
    if shown == [3, 4]:  # an arm alone says nothing of the trunk
        from reposedm.errors import PoseError

        with pytest.raises(PoseError, match="neck"):
            complete(few)
        return
    body = complete(few)
    assert np.isfinite(body.points).all() and body.unit > 2
    assert np.isfinite(place(body, few).points).all()


def test_turning_is_noticed_and_sides_are_exchanged() -> None:
    pose = standing(300, 400)
    goal = place(complete(pose), pose.mirrored().mirrored())
    assert not goal.turned
    back = Pose(pose.mirrored().points * (1, 1), pose.score, pose.state, pose.size)
    assert not place(complete(pose), back).turned  # a mirrored photo shows the front still
    order = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10, 15, 14, 17, 16]
    turned = place(complete(pose), pose.replace(points=pose.points[order]))
    assert turned.turned and np.allclose(turned.points, pose.points, atol=1e-4)


def test_drawing_order() -> None:
    pose = standing(300, 400)
    body = complete(pose)
    order = draw_order(body, place(body, pose), skirt=False)
    assert sorted(order) == list(range(10))
    assert order.index(R_FORE) > order.index(TRUNK_PART)
    state = pose.state.copy()
    state[[6, 7]] = 1
    behind = draw_order(body, place(body, pose.replace(state=state)), skirt=False)
    assert behind.index(L_FORE) < behind.index(TRUNK_PART) < behind.index(R_FORE)


def test_smoothstep() -> None:
    assert smoothstep(np.array([-1.0, 0, 0.5, 1, 9]), 0, 1).tolist() == [0, 0, 0.5, 1, 1]
    matrix, offset = similarity(np.array([[0.0, 0]]), np.array([[3.0, 4]]))
    assert np.allclose(matrix, np.eye(2)) and np.allclose(offset, (3, 4))
