"""C-25 to C-27, C-87, C-91: what a client may post as the editor's value."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import pytest

from pose_editor import PoseEditor
from pose_editor.value import EditorData
from reposedm.errors import PoseError


@pytest.fixture(scope="module")
def editor() -> PoseEditor:
    return PoseEditor()


def rows(**changed: Any) -> list[Any]:
    points: list[Any] = [[float(10 * i), float(5 * i), 1.0, 2] for i in range(18)]
    for index, row in changed.items():
        points[int(index[1:])] = row
    return points


def refusal(editor: PoseEditor, data: Any) -> str:
    with pytest.raises(gr.Error) as caught:
        editor.preprocess(EditorData.model_validate(data, context={"validate_meta": True}))
    return caught.value.message


def value(keypoints: Any, **more: Any) -> dict[str, Any]:
    return {"width": 400, "height": 300, "people": [{"keypoints": keypoints}], **more}


@pytest.mark.parametrize("data", ["text", 7, [1, 2], True, 1e400])
def test_c25_value_is_not_an_object(editor, data):
    assert "object" in refusal(editor, data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (value(rows()[:17]), "17"),
        (value([*rows(), [0, 0, 0, 0]]), "19"),
        (value("x" * 18), "list"),
        (value(rows(j4=["a", 0, 1, 2])), "right wrist"),
        (value(rows(j4=[float("nan"), 0, 1, 2])), "right wrist"),
        (value(rows(j4=[float("inf"), 0, 1, 2])), "right wrist"),
        (value(rows(j4=[1e400, 0, 1, 2])), "right wrist"),
        (value(rows(j4=[-1e9, 0, 1, 2])), "far outside"),
        (value(rows(j4=[10**400, 0, 1, 2])), "right wrist"),
        (value(rows(j4=[0, 0, 1])), "right wrist"),
        (value(rows(j4=[0, 0, 1, 7])), "state"),
        (value(rows(j4=[0, 0, 1, True])), "state"),
        (value(rows(), width=0), "width"),
        (value(rows(), height=1.5), "height"),
        (value(rows(), width="wide"), "width"),
        (value(rows(), selected=1), "selected"),
        (value(rows(), people={"0": 1}), "people"),
        (value(rows(), people=[{"keypoints": rows()}] * 21), "20"),
        (value(rows(), people=[None]), "person 1"),
        (value(rows(), sources=[{"keypoints": []}]), "source 1"),
    ],
)
def test_c25_a_field_that_cannot_be_used_is_named(editor, data, words):
    assert words in refusal(editor, data)


def test_c25_a_joint_near_the_photo_is_kept(editor):
    seen = editor.preprocess(EditorData.model_validate(value(rows(j10=[-60.0, 330.0, 1.0, 2]))))
    assert seen.people[0].points[10].tolist() == [-60.0, 330.0]


def test_c26_hidden_equal_and_swapped_joints_are_the_app_s_to_judge(editor):
    same = value([[50.0, 50.0, 1.0, 2]] * 18)
    hidden = value([[50.0, 50.0, 1.0, 0]] * 18)
    for data in (same, hidden):
        pose = editor.preprocess(EditorData.model_validate(data)).pose
        with pytest.raises(PoseError, match=r"spot|hidden"):
            pose.check_usable()


def test_c27_huge_and_deep_imports_are_refused(editor):
    for text in ("x" * 10_000_000, "[" * 1000, '{"people":' * 1000, "\ufeff{}", "\x00\x01"):
        assert editor.parse_pose([text, 400, 300])["error"]
    twice = '{"people": 1, "people": [{"pose_keypoints_2d": []}]}'
    assert editor.parse_pose([twice, 400, 300])["error"]


def test_c87_text_of_a_client_is_escaped(editor):
    message = refusal(editor, value(rows(j4=["<img src=x onerror=alert(1)>", 0, 1, 2])))
    assert "<" not in message


def test_c91_exactly_one_server_function(editor):
    assert [function.__name__ for function in editor.server_fns] == ["parse_pose"]
    assert "error" in editor.parse_pose([json.dumps({"people": [{}]}), 400, 300])
