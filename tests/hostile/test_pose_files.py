"""C-25 to C-28 and C-34 of the hostile inputs: pose files and foreign bodies."""

import copy
import json
import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reposedm.errors import PoseError
from reposedm.pose import (
    JointState,
    Pose,
    draw_map,
    heat_maps,
    parse_people,
    parse_pose,
    pidm_encoding,
    preset,
    retarget,
    to_editor,
    to_openpose,
)
from reposedm.pose.skeleton import LIMBS, MIRROR
from tests.properties import examples

SIZE = (400, 600)


def good() -> dict:
    return to_openpose([preset("standing", size=SIZE)])


def native() -> dict:
    return to_editor([preset("standing", size=SIZE)])


def with_value(index: int, value: object) -> dict:
    document = good()
    document["people"][0]["pose_keypoints_2d"][index] = value
    return document


@pytest.mark.parametrize("value", [5, "xxx", [1, 2], None, True, 1.5, {}, {"people": 3}, [None]])
def test_c25_anything_that_is_no_pose_document(value: object) -> None:
    with pytest.raises(PoseError):
        parse_people(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, 16, 19, 24, 26, 32, 34, 51])
def test_c25_counts_of_joints_that_no_layout_has(count: int) -> None:
    document = good()
    document["people"][0]["pose_keypoints_2d"] = [1.0, 2.0, 1.0] * count
    with pytest.raises(PoseError, match=r"people\[0\]\.pose_keypoints_2d"):
        parse_people(document)


def test_c25_numbers_that_are_no_triples() -> None:
    document = good()
    document["people"][0]["pose_keypoints_2d"].pop()
    with pytest.raises(PoseError, match="53 numbers"):
        parse_people(document)


@pytest.mark.parametrize(
    "value", ["12", True, [], {}, math.nan, math.inf, -math.inf, 10**400, -1e9, 1e300]
)
def test_c25_values_that_are_no_coordinate_name_their_field(value: object) -> None:
    with pytest.raises(PoseError, match=r"people\[0\]\.pose_keypoints_2d"):
        parse_people(with_value(12, value))
    document = native()
    document["people"][0]["keypoints"][4][0] = value
    with pytest.raises(PoseError, match=r"people\[0\]\.keypoints"):
        parse_people(document)


def test_c25_the_field_is_named_to_the_number() -> None:
    with pytest.raises(PoseError) as caught:
        parse_people(with_value(12, "twelve"))
    assert "people[0].pose_keypoints_2d[12]" in str(caught.value)
    assert "twelve" in str(caught.value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400"])
def test_c25_numbers_of_json_text_that_are_none(constant: str) -> None:
    text = json.dumps(with_value(12, "@")).replace('"@"', constant)
    with pytest.raises(PoseError):
        parse_people(text)


@pytest.mark.parametrize("state", [3, -1, 0.5, "2", None, True])
def test_c25_states_that_are_none(state: object) -> None:
    document = native()
    document["people"][0]["keypoints"][4][3] = state
    with pytest.raises(PoseError, match=r"people\[0\]\.keypoints\[4\]\[3\]"):
        parse_people(document)


@pytest.mark.parametrize("side", [0, -5, 70000, "400", math.nan, True, [], 10**400])
def test_c25_canvases_that_are_none(side: object) -> None:
    with pytest.raises(PoseError, match="canvas_width"):
        parse_people(good() | {"canvas_width": side})


def test_c25_joints_just_outside_are_moved_to_the_edge() -> None:
    pose = parse_pose(with_value(12, -79.0))
    assert pose.points[4, 0] == 0
    assert parse_pose(with_value(12, 479.0)).points[4, 0] == 400
    assert parse_pose(with_value(13, 719.0)).points[4, 1] == 600
    for index, value in ((12, -81.0), (12, 481.0), (13, 721.0)):
        with pytest.raises(PoseError, match="outside the canvas of 400 x 600"):
            parse_people(with_value(index, value))


def test_c25_joints_that_are_missing_may_lie_anywhere() -> None:
    document = with_value(12, -5000.0)
    document["people"][0]["pose_keypoints_2d"][14] = 0
    assert parse_pose(document).state[4] == JointState.HIDDEN


@pytest.mark.parametrize("extra", ["text", {"a": 1}, [1, "2"], [math.nan], [[1, 2]]])
def test_c25_hands_that_are_no_numbers(extra: object) -> None:
    document = good()
    document["people"][0]["hand_left_keypoints_2d"] = extra
    with pytest.raises(PoseError, match=r"people\[0\]\.hand_left_keypoints_2d"):
        parse_people(document)


def test_c26_all_joints_hidden_or_on_one_spot_cannot_be_used() -> None:
    hidden = parse_pose(openpose_of([[0, 0, 0]] * 18))
    spot = parse_pose(openpose_of([[50, 60, 1]] * 18))
    body = preset("standing", size=SIZE)
    for pose in (hidden, spot):
        with pytest.raises(PoseError):
            pose.check_usable()
        for pair in ((pose, body), (body, pose)):
            with pytest.raises(PoseError):
                retarget(*pair)


def openpose_of(rows: list[list[float]]) -> dict:
    numbers = [value for row in rows for value in row]
    return {
        "people": [{"pose_keypoints_2d": numbers}],
        "canvas_width": SIZE[0],
        "canvas_height": SIZE[1],
    }


def test_c26_left_and_right_exchanged_is_a_pose() -> None:
    pose = preset("walking-front", size=SIZE)
    order = list(MIRROR)
    swapped = pose.replace(points=pose.points[order])
    result = retarget(parse_pose(to_editor([swapped])), pose)
    assert np.isfinite(result.points).all()
    assert result.points[2, 0] > result.points[5, 0]


def test_c26_bones_without_length_are_a_pose_and_make_no_nan() -> None:
    body = preset("standing", size=SIZE)
    points = body.points.copy()
    for joint, parent in ((3, 2), (4, 3), (9, 8), (12, 11), (14, 0), (16, 14)):
        points[joint] = points[parent]
    squeezed = body.replace(points=points)
    for pose, other in ((squeezed, body), (body, squeezed), (squeezed, squeezed)):
        for proportions in (0.0, 0.5, 1.0):
            result = retarget(pose, other, proportions=proportions)
            assert np.isfinite(result.points).all()
    assert np.isfinite(pidm_encoding(squeezed, (64, 48))).all()
    assert draw_map([squeezed]).any()


def test_c27_ten_megabytes_are_refused_before_parsing() -> None:
    text = '{"people": [' + "1," * 5_000_000 + "1]}"
    for source in (text, text.encode()):
        start = time.perf_counter()
        with pytest.raises(PoseError, match="256 KB"):
            parse_people(source)
        assert time.perf_counter() - start < 1
    with pytest.raises(PoseError, match="far too many"):
        parse_people({"people": [[0] * 400_000]})


@pytest.mark.parametrize("bracket", ["[", '{"a":', '[{"people":'])
def test_c27_nesting(bracket: str) -> None:
    for text in (bracket * 1000, bracket * 20_000):
        with pytest.raises(PoseError, match="nested"):
            parse_people(text)
    deep: list = []
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(PoseError, match="nested"):
        parse_people(deep)
    around: list = []
    around.append(around)
    with pytest.raises(PoseError):
        parse_people({"people": around})


def test_c27_brackets_inside_texts_are_no_nesting() -> None:
    document = good()
    document["people"][0]["note"] = '[[[[{{{{"' * 50
    assert parse_pose(json.dumps(document)).extras["note"].startswith("[[[[")


def test_c27_no_text_takes_long() -> None:
    for text in ('"' * 250_000, '\\"' * 125_000, "{" + ",".join(f'"{i}":0' for i in range(20_000))):
        start = time.perf_counter()
        with pytest.raises(PoseError):
            parse_people(text)
        assert time.perf_counter() - start < 2


def test_c27_duplicate_keys_are_refused() -> None:
    text = json.dumps(good())
    for double in (
        '{"people": [], ' + text[1:],
        text.replace('"canvas_width": 400', '"canvas_width": 400, "canvas_width": 4'),
    ):
        with pytest.raises(PoseError, match="twice"):
            parse_people(double)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_c27_encodings_and_byte_order_marks(encoding: str) -> None:
    text = json.dumps(native())
    assert parse_people(text.encode(encoding)) == parse_people(text)
    assert parse_people("\ufeff" + text) == parse_people(text)


@pytest.mark.parametrize("data", [b"", b"\xff\xfe\x00", b"\x80\x81", b"{\xff}", b"\x00" * 9])
def test_c27_bytes_that_are_no_text(data: bytes) -> None:
    with pytest.raises(PoseError):
        parse_people(data)
    with pytest.raises(PoseError):
        parse_people("\udc80" + data.decode("latin-1"))


def test_c28_nobody_and_three_people() -> None:
    assert parse_people({"people": [], "canvas_width": 400, "canvas_height": 600}) == []
    with pytest.raises(PoseError, match="nobody"):
        parse_pose({"people": []})
    three = to_openpose([preset(name, size=SIZE) for name in ("standing", "t-pose", "back")])
    assert len(parse_people(three)) == 3
    assert parse_pose(three, person=1) == parse_people(three)[1]
    for person in (3, -1):
        with pytest.raises(PoseError, match="holds 3"):
            parse_pose(three, person=person)
    with pytest.raises(PoseError, match="20"):
        parse_people({**three, "people": three["people"] * 7})
    with pytest.raises(PoseError, match="20"):
        parse_people([three] * 7)


@pytest.mark.parametrize("count", [17, 18, 25, 33])
def test_c28_every_layout_with_hands_and_face(count: int) -> None:
    document = openpose_of([[20 + i, 30 + 3 * i, 0.9] for i in range(count)])
    document["people"][0] |= {
        "hand_left_keypoints_2d": [1, 2, 0.5] * 21,
        "hand_right_keypoints_2d": None,
        "face_keypoints_2d": [],
    }
    before = copy.deepcopy(document)
    pose = parse_pose(document)
    assert pose.drawn.all()
    assert document == before, "the parser leaves its input as it is"
    again = parse_pose(to_openpose([pose]))
    assert again == pose
    assert again.extras["hand_left_keypoints_2d"] == [1, 2, 0.5] * 21


def bone_lengths(pose: Pose) -> np.ndarray:
    points = pose.points.astype(np.float64)
    return np.array([np.hypot(*(points[a] - points[b])) for a, b in LIMBS])


def child() -> Pose:
    """Large head, short legs and arms, in a corner of a photo of its own."""
    adult = preset("standing", size=(1000, 1000))
    points = adult.points.astype(np.float64)
    hips = points[[8, 11]].mean(0)
    for joint in (9, 10, 12, 13):
        points[joint] = hips + (points[joint] - hips) * 0.8
    for arm in ((2, 3, 4), (5, 6, 7)):
        points[list(arm)] = points[arm[0]] + (points[list(arm)] - points[arm[0]]) * 0.8
    for joint in (0, 14, 15, 16, 17):
        points[joint] = points[1] + (points[joint] - points[1]) * 1.5
    return adult.replace(points=points * 0.4 + 30, size=(500, 500))


@pytest.mark.parametrize("name", ["t-pose", "a-pose", "arms-raised", "contrapposto"])
def test_c34_a_childs_bones_stay_a_childs(name: str) -> None:
    body = child()
    result = retarget(preset(name, size=(2000, 1500)), body)
    own, got = bone_lengths(body), bone_lengths(result)
    limbs = slice(2, 6), slice(7, 9), slice(10, 12)
    for part in limbs:
        assert (got[part] <= own[part] * 1.05).all()
        assert (got[part] >= own[part] * 0.8).all()
    assert got[12] == pytest.approx(own[12], rel=0.1), "the large head stays"
    assert result.points[[10, 13], 1].max() == pytest.approx(
        body.points[[10, 13], 1].max(), abs=0.1
    )


def test_c34_it_can_be_switched_off() -> None:
    body, pose = child(), preset("t-pose", size=(2000, 1500))
    copied = retarget(pose, body, proportions=1)
    ratio = bone_lengths(copied) / bone_lengths(pose)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-3)
    own = retarget(pose, body)
    assert bone_lengths(own)[7] < 0.9 * bone_lengths(copied)[7]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=30,
)
FIELDS = (
    "people", "pose_keypoints_2d", "keypoints", "extras", "canvas_width", "canvas_height", "width",
    "height", "format", "version", "hand_left_keypoints_2d", "face_keypoints_2d",
)  # fmt: skip
number = st.integers(-3, 700) | st.floats() | st.none()
points = st.sampled_from((17, 18, 25, 33)).flatmap(
    lambda n: (
        st.lists(number, min_size=3 * n, max_size=3 * n)
        | st.lists(st.lists(number, min_size=2, max_size=4) | st.none(), min_size=n, max_size=n)
    )
)
documents = st.dictionaries(
    st.sampled_from(FIELDS),
    json_values
    | points
    | number
    | st.lists(
        st.dictionaries(st.sampled_from(FIELDS), points | json_values, max_size=4), max_size=3
    ),
    max_size=6,
)


@examples
@given(document=documents | json_values | st.lists(documents, max_size=3))
@pytest.mark.heavy
def test_c25_whatever_comes_only_a_pose_error_is_raised(document: object) -> None:
    try:
        people = parse_people(document, SIZE)  # type: ignore[arg-type]
    except PoseError as error:
        assert 10 < len(str(error)) < 300
        return
    for pose in people:
        assert parse_pose(json.dumps(to_editor([pose]))).size == pose.size
        assert np.isfinite(heat_maps(pose, (8, 6))).all()


@examples
@given(text=st.text() | st.binary())
def test_c27_any_text_or_bytes_give_only_a_pose_error(text: str | bytes) -> None:
    try:
        parse_people(text, SIZE)
    except PoseError:
        return
    assert text.strip() in ("[]", b"[]")


@examples
@given(data=st.data())
def test_c25_a_damaged_good_file_gives_only_a_pose_error(data: st.DataObject) -> None:
    text = json.dumps(data.draw(st.sampled_from((good(), native()))))
    start = data.draw(st.integers(0, len(text)))
    stop = data.draw(st.integers(start, min(len(text), start + 30)))
    broken = text[:start] + data.draw(st.text(max_size=5)) + text[stop:]
    try:
        people = parse_people(broken)
    except PoseError:
        return
    for pose in people:
        assert np.isfinite(pose.points).all()
