"""Pose files: every layout in, our two formats out and back."""

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reposedm.errors import PoseError
from reposedm.pose import (
    JointState,
    Pose,
    parse_people,
    parse_pose,
    preset,
    preset_names,
    read_pose_file,
    save_map_png,
    to_editor,
    to_openpose,
)
from reposedm.pose.skeleton import FROM_BLAZEPOSE_33, FROM_BODY_25, FROM_COCO_17, MIRROR
from tests.properties import examples

SIZE = (400, 600)


def standing() -> Pose:
    return preset("standing", size=SIZE)


def flat(rows: list[list[float]]) -> list[float]:
    return [value for row in rows for value in row]


def numbered(count: int) -> list[list[float]]:
    """Point i at (10 + i, 100 + 2 i) with score 0.5 + i / 100."""
    return [[10 + i, 100 + 2 * i, 0.5 + i / 100] for i in range(count)]


def openpose(rows: list[list[float]], **fields: object) -> dict:
    person = {"pose_keypoints_2d": flat(rows), **fields}
    return {"people": [person], "canvas_width": 400, "canvas_height": 600}


def test_18_points_keep_their_order() -> None:
    pose = parse_pose(openpose(numbered(18)))
    assert pose.size == SIZE
    np.testing.assert_array_equal(pose.points[:, 0], np.arange(18) + 10)
    np.testing.assert_array_equal(pose.points[:, 1], 2 * np.arange(18) + 100)
    np.testing.assert_allclose(pose.score, 0.5 + np.arange(18) / 100, atol=1e-6)
    assert (pose.state == JointState.VISIBLE).all()


def test_body_25_skips_the_middle_of_the_hips() -> None:
    pose = parse_pose(openpose(numbered(25)))
    np.testing.assert_array_equal(pose.points[:, 0], np.array(FROM_BODY_25) + 10)
    assert pose.points[8, 0] == 19, "the right hip is BODY_25's joint 9, not 8"


@pytest.mark.parametrize(
    ("count", "layout", "shoulders"),
    [(17, FROM_COCO_17, (5, 6)), (33, FROM_BLAZEPOSE_33, (11, 12))],
)
def test_layouts_without_a_neck_get_it_between_the_shoulders(
    count: int, layout: tuple, shoulders: tuple
) -> None:
    rows = numbered(count)
    pose = parse_pose(openpose(rows))
    for joint, index in enumerate(layout):
        if index is not None:
            assert pose.points[joint].tolist() == rows[index][:2]
    left, right = (np.array(rows[index]) for index in shoulders)
    np.testing.assert_allclose(pose.points[1], (left + right)[:2] / 2)
    assert pose.score[1] == pytest.approx(min(left[2], right[2]))
    rows[shoulders[0]] = [0, 0, 0]
    assert parse_pose(openpose(rows)).state[1] == JointState.HIDDEN


def test_coco_and_blazepose_sides_are_right() -> None:
    """Left of a COCO person is 5, 7, 9: a swap would still pass a mere permutation test."""
    for layout in (FROM_COCO_17, FROM_BLAZEPOSE_33):
        for joint in (2, 3, 4, 8, 9, 10):
            right, left = layout[joint], layout[MIRROR[joint]]
            assert right == left + 1
        assert layout[0] == 0


def test_scores_and_missing_joints() -> None:
    rows: list = numbered(18)
    rows[3], rows[4], rows[5] = [0, 0, 0], [-1, -1, 0], [None, None, None]
    rows[6], rows[7] = [50, 60, 0.87], [50, 60, 0]
    pose = parse_pose(openpose(rows))
    assert pose.state[3:8].tolist() == [0, 0, 0, 2, 0]
    assert pose.score[6] == pytest.approx(0.87)
    assert pose.points[7].tolist() == [50, 60], "a hidden joint keeps its place"


def test_rows_instead_of_a_flat_list() -> None:
    document = openpose([])
    document["people"][0]["pose_keypoints_2d"] = numbered(18)
    assert parse_pose(document) == parse_pose(openpose(numbered(18)))


def test_old_editor_with_one_and_two_people() -> None:
    rows = [[x, y] for x, y, _ in numbered(18)]
    rows[4], rows[7] = [0, 0], [-1, -1]
    one = {"width": 400, "height": 600, "keypoints": rows}
    pose = parse_pose(one)
    assert pose.size == SIZE
    assert pose.state[4] == pose.state[7] == JointState.HIDDEN
    assert pose.drawn.sum() == 16
    people = parse_people({"width": 400, "height": 600, "keypoints": rows + rows})
    assert people == [pose, pose]


def test_list_of_documents_as_controlnet_aux_writes() -> None:
    document = openpose(numbered(18))
    assert len(parse_people([document, document])) == 2
    assert parse_people([]) == []


def test_normalised_coordinates_become_pixels() -> None:
    rows = [[i / 20, 0.5, 1.0] for i in range(1, 19)]
    pose = parse_pose(openpose(rows, hand_left_keypoints_2d=[0.5, 0.5, 1.0, -1, -1, 0]))
    np.testing.assert_allclose(pose.points[:, 0], np.arange(1, 19) / 20 * 400)
    np.testing.assert_allclose(pose.points[:, 1], 300)
    assert pose.extras["hand_left_keypoints_2d"] == [200, 300, 1.0, -1, -1, 0]


def test_normalised_without_a_canvas_uses_the_photo() -> None:
    document = openpose([[0.5, 0.25, 1.0]] * 18)
    del document["canvas_width"], document["canvas_height"]
    assert parse_pose(document, (1000, 400)).points[0].tolist() == [500, 100]
    with pytest.raises(PoseError, match="canvas_width"):
        parse_pose(document)


def test_the_files_canvas_wins_over_the_photos_size() -> None:
    pose = parse_pose(openpose(numbered(18)), (4000, 6000))
    assert pose.size == SIZE
    assert pose.points[0].tolist() == [10, 100]


def test_hands_and_face_survive_both_formats() -> None:
    hand, face = [1.0, 2.0, 0.5] * 21, [3.5, 4.5, 1.0] * 70
    document = openpose(
        numbered(18), hand_right_keypoints_2d=hand, face_keypoints_2d=face, person_id=[-1]
    )
    pose = parse_pose(document)
    for written in (to_openpose([pose]), to_editor([pose])):
        again = parse_pose(json.dumps(written))
        assert again.extras["hand_right_keypoints_2d"] == hand
        assert again.extras["face_keypoints_2d"] == face
        assert again == pose


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_round_trips_exactly_in_our_format(name: str) -> None:
    pose = preset(name, size=SIZE)
    assert parse_people(json.dumps(to_editor([pose, pose]))) == [pose, pose]


def test_openpose_round_trip_keeps_everything_drawn() -> None:
    pose = preset("back", size=SIZE)
    written = to_openpose([pose])
    assert len(written["people"][0]["pose_keypoints_2d"]) == 54
    again = parse_pose(json.dumps(written))
    np.testing.assert_array_equal(again.drawn, pose.drawn)
    np.testing.assert_array_equal(again.points[pose.drawn], pose.points[pose.drawn])
    assert not again.points[~pose.drawn].any()


def test_a_joint_shown_by_hand_with_score_0_stays_shown() -> None:
    pose = standing().replace(score=np.zeros(18, np.float32))
    assert parse_pose(to_openpose([pose])).drawn.all()


def test_our_format_keeps_hidden_joints_outside_the_canvas() -> None:
    pose = standing()
    points, state = pose.points.copy(), pose.state.copy()
    points[4], state[4] = (-900, 1900), JointState.HIDDEN
    pose = pose.replace(points=points, state=state)
    assert parse_pose(to_editor([pose])) == pose


def test_our_format_hides_what_it_could_not_read_back() -> None:
    points = standing().points.copy()
    points[10] = (200, 1500)
    again = parse_pose(to_editor([standing().replace(points=points)]))
    assert again.state[10] == JointState.HIDDEN
    assert again.points[10].tolist() == [200, 1500]


def test_our_format_of_a_newer_version_is_refused() -> None:
    document = to_editor([standing()]) | {"version": 2}
    with pytest.raises(PoseError, match="version"):
        parse_people(document)


def test_text_bytes_and_object_are_one_thing() -> None:
    document = to_editor([standing()])
    text = json.dumps(document)
    assert parse_people(document) == parse_people(text) == parse_people(text.encode())


def test_png_carries_its_pose(tmp_path) -> None:
    people = [standing(), preset("jumping", size=SIZE)]
    path = tmp_path / "map.png"
    save_map_png(people, path)
    assert read_pose_file(path) == people
    assert read_pose_file(path.read_bytes()) == people
    with Image.open(path) as picture:
        assert picture.size == (512, 768)


def test_png_without_a_pose_and_damaged_png_are_refused(tmp_path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, "PNG")
    with pytest.raises(PoseError, match="no pose"):
        read_pose_file(buffer.getvalue())
    buffer = io.BytesIO()
    save_map_png([standing()], buffer)
    data = buffer.getvalue()
    with pytest.raises(PoseError, match="damaged"):
        read_pose_file(data[:100])
    place = data.index(b'"version"')
    with pytest.raises(PoseError, match="damaged"):
        read_pose_file(data[:place] + b"#" + data[place + 1 :])


def test_files_that_are_not_there_are_refused(tmp_path) -> None:
    for path in (tmp_path / "none.json", tmp_path, "nul\0.json"):
        with pytest.raises(PoseError, match="cannot be read"):
            read_pose_file(path)


@given(data=st.binary(max_size=300))
def test_any_bytes_after_a_png_signature_give_only_a_pose_error(data: bytes) -> None:
    with pytest.raises(PoseError):
        read_pose_file(b"\x89PNG\r\n\x1a\n" + data)


coordinate = st.floats(0, 400, width=32)
poses = st.builds(
    lambda xy, score, state: Pose(np.array(xy), np.array(score), np.array(state), SIZE),
    st.lists(st.tuples(coordinate, coordinate), min_size=18, max_size=18),
    st.lists(st.floats(0, 1, width=32), min_size=18, max_size=18),
    st.lists(st.integers(0, 2), min_size=18, max_size=18),
)


@examples
@given(pose=poses)
def test_our_format_is_lossless(pose: Pose) -> None:
    assert parse_pose(json.dumps(to_editor([pose]))) == pose


@examples
@given(pose=poses)
def test_mirrored_twice_is_the_same(pose: Pose) -> None:
    again = pose.mirrored().mirrored()
    np.testing.assert_allclose(again.points, pose.points, atol=1e-4)
    np.testing.assert_array_equal(again.state, pose.state)
    assert pose.mirrored().state[2] == pose.state[5]
