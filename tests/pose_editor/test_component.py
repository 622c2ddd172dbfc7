"""The component's Python half: templates, wire format, the server function, live pictures."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import FileData
from hypothesis import given
from hypothesis import strategies as st

from pose_editor import EditorValue, PoseEditor
from pose_editor.component import MAX_TEXT, STATIC
from pose_editor.value import EditorData, read_live, read_value, write_value
from reposedm.errors import PoseError
from reposedm.pose import Pose, default_pose, to_openpose
from tests.properties import examples

UI = sorted((STATIC / "ui").glob("*.js"))


@pytest.fixture(scope="module")
def editor() -> PoseEditor:
    return PoseEditor(label="Pose")


def person(**changes: Any) -> dict[str, Any]:
    return {"keypoints": [[10.0 + i, 20.0 + i, 0.9, 2] for i in range(18)], **changes}


def test_templates_are_constants(editor):
    """Gradio compiles templates with ``new Function``: anything interpolated would run as code."""
    for template in (editor.html_template, editor.css_template):
        for mark in ("{{", "${", "`", "\\", "@children", "@keyframes", "http:", "https:"):
            assert mark not in template
    assert "on" + "click" not in editor.html_template and "<script" not in editor.html_template


def test_the_page_writes_text_and_attributes_only():
    for file in UI:
        source = file.read_text("utf-8")
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("):
            assert word not in source, f"{file.name}: {word}"
        assert not re.search(r"(document|window|globalThis)\.addEventListener", source), file.name
        assert len(source.splitlines()) <= 300, file.name


def test_the_script_is_small(editor):
    assert len(gzip.compress(editor.js_on_load.encode(), 9)) < 32 * 1024
    assert len(editor.js_on_load) < 96 * 1024


def test_events_and_the_one_server_function(editor):
    names = {str(event) for event in PoseEditor.EVENTS}
    assert names == {"change", "input", "select", "upload", "preview", "detect"}
    assert [fn.__name__ for fn in editor.server_fns] == ["parse_pose"]


def test_quoted_words_of_the_script_are_no_attributes(editor):
    for word in ("mirror", "turn", "people"):
        assert not hasattr(editor, word)
    config = json.dumps(editor.get_config(), default=lambda value: type(value).__name__)
    assert '"partial"' not in config


def test_the_api_schema_shows_the_document(editor):
    assert {"people", "width", "height", "selected"} <= set(editor.api_info()["properties"])


def test_a_value_goes_to_the_page_and_back(tmp_path, editor):
    pose = default_pose((600, 800))
    state = pose.state.copy()
    state[4] = 0
    moved = pose.replace(
        points=pose.points + 3, state=state, extras={"face_keypoints_2d": [1.0, 2.0, 0.5]}
    )
    value = EditorValue(str(tmp_path / "photo.png"), (600, 800), [moved, pose], 1, [pose, pose])
    wire = json.loads(json.dumps(editor.postprocess(value).model_dump()))
    assert wire["image"]["meta"] == {"_type": "gradio.FileData"}
    back = editor.preprocess(EditorData.model_validate(wire, context={"validate_meta": True}))
    assert back.size == (600, 800) and back.selected == 1 and back.image == value.image
    assert np.abs(back.people[0].points - moved.points).max() <= 0.01
    assert back.people[0].state[4] == 0 and back.people[0].extras == moved.extras
    assert np.abs(back.source.points - pose.points).max() <= 0.01
    assert editor.preprocess(None) is None and editor.postprocess(None) is None


def test_an_empty_editor_is_none():
    assert read_value(EditorData()) is None


def test_sources_default_to_the_people_themselves():
    value = read_value(EditorData(people=[person()], width=64, height=64))
    assert value.source == value.pose


def test_a_file_in_disguise_does_not_travel():
    """Gradio would copy and serve a nested ``{"path"}``; only numbers pass."""
    bait = {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}
    raw = person(
        extras={"hand_left_keypoints_2d": [1, 2, 0.5], "x_2d": bait, "face_keypoints_2d": [bait]}
    )
    value = read_value(EditorData(people=[raw], width=64, height=64))
    assert value.people[0].extras == {"hand_left_keypoints_2d": [1.0, 2.0, 0.5]}
    pose = value.people[0].replace(
        extras={"x_2d": bait, "path": "/etc/passwd", "meta": bait["meta"]}
    )
    assert "passwd" not in write_value(EditorValue(None, (64, 64), [pose])).model_dump_json()


def test_counts_of_a_value_are_checked():
    pose = default_pose((64, 64))
    with pytest.raises(PoseError, match="20"):
        EditorValue(None, (64, 64), [pose] * 21)
    with pytest.raises(PoseError, match="does not exist"):
        EditorValue(None, (64, 64), [pose], 1)
    with pytest.raises(PoseError, match="sources"):
        EditorValue(None, (64, 64), [pose, pose], 0, [pose])


def test_errors_reach_the_user_escaped(editor):
    data = EditorData.model_validate(
        {"people": [person(keypoints=[["<img src=x>", 0, 0, 2]] * 18)]}
    )
    with pytest.raises(gr.Error) as caught:
        editor.preprocess(data)
    assert "<img" not in caught.value.message and "&lt;img" in caught.value.message


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(
        st.sampled_from(
            ["people", "width", "height", "keypoints", "image", "path", "selected", "sources"]
        ), inner, max_size=5),
    max_leaves=25,
)  # fmt: skip


@examples
@given(JUNK)
def test_any_posted_value_is_a_value_or_a_pose_error(data):
    model = EditorData.model_validate(data, context={"validate_meta": True})
    try:
        value = read_value(model)
    except PoseError as error:
        assert str(error)
    else:
        assert value is None or isinstance(value, EditorValue)
    try:
        read_live(data)
    except PoseError as error:
        assert str(error)


def test_parse_pose_answers_people_or_a_sentence(editor):
    document = to_openpose([default_pose((64, 64))])
    answer = editor.parse_pose([json.dumps(document), 640, 480])
    assert (answer["width"], answer["height"]) == (64, 64) and len(answer["people"]) == 1
    assert len(answer["people"][0]["keypoints"]) == 18
    for request in (
        None, "text", [], ["{}", 1], [1, 2, 3], ["{}", 0, 5], ["{}", 5, True],
        ["x" * (MAX_TEXT + 1), 5, 5], ["é" * (MAX_TEXT // 2 + 1), 5, 5], ["\ud800", 5, 5],
        ['{"people": []}', 5, 5], ["[" * 9999, 5, 5],
    ):  # fmt: skip
        answer = editor.parse_pose(request)
        assert list(answer) == ["error"] and answer["error"], request


def test_a_live_request_carries_the_pose_under_the_pointer():
    event = gr.EventData(
        None, {"number": 7, "selected": 1, "width": 64, "height": 64, "person": person()}
    )
    request = PoseEditor.live_request(event)
    assert (request.number, request.selected) == (7, 1) and isinstance(request.pose, Pose)
    for broken in (
        None,
        {},
        {"number": 7, "selected": 99, "width": 64, "height": 64, "person": person()},
    ):
        with pytest.raises(PoseError):
            PoseEditor.live_request(gr.EventData(None, broken))


def test_a_live_picture_is_a_small_data_url():
    picture = np.full((400, 300, 3), 128, np.uint8)
    answer = PoseEditor.live_picture(7, picture)
    assert answer["number"] == 7 and answer["url"].startswith("data:image/jpeg;base64,")
    assert len(answer["url"]) < 20_000


def test_a_property_alone_can_be_updated(editor):
    """``gr.update(live=...)`` must reach the page as a property and leave the value alone."""
    from gradio.blocks import postprocess_update_dict

    again = PoseEditor(label="Pose", live={"number": 1, "url": ""}, busy="Working", render=False)
    update = postprocess_update_dict(again, {"live": {"number": 1, "url": ""}, "busy": "Working"})
    assert update["props"] == {"live": {"number": 1, "url": ""}, "busy": "Working"}
    assert "value" not in update


def test_image_must_be_an_uploaded_file():
    with pytest.raises(PoseError, match="image"):
        read_value(
            EditorData.model_validate(
                {"image": {"path": "/etc/passwd"}}, context={"validate_meta": True}
            )
        )
    assert isinstance(EditorData(image=FileData(path="a.png")).image, FileData)
