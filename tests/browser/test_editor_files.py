"""Poses from files and into files, and photos dropped on the stage."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from editor_page import FIGURE, EditorPage
from PIL import Image

from reposedm.pose import parse_people

pytestmark = pytest.mark.browser
WRIST = 4


@pytest.fixture
def editor(open_page, editor_url) -> EditorPage:
    editor = EditorPage(open_page(editor_url))
    editor.open_panel("filePanel")
    return editor


def openpose(points, size, score=0.9):
    flat = [number for x, y in points for number in (x, y, score)]
    return {
        "canvas_width": size[0],
        "canvas_height": size[1],
        "people": [{"pose_keypoints_2d": flat}],
    }


def paste(editor, text):
    editor.page.fill('[data-el="text"]', text)
    editor.command("importText")


def note(editor):
    editor.page.wait_for_function("document.querySelector('.pe-note').textContent != ''")
    return editor.page.inner_text(".pe-note")


def saved(editor, command):
    with editor.page.expect_download() as download:
        editor.command(command)
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_a_pose_of_this_photo_is_taken_as_it_is(editor):
    moved = [(x + 10, y - 20) for x, y in FIGURE]
    paste(editor, json.dumps(openpose(moved, (600, 800))))
    editor.wait_inputs(1)
    assert editor.points() == [tuple(map(float, point)) for point in moved]
    editor.page.keyboard.press("Control+z")


def test_a_pose_of_another_canvas_is_fitted_to_this_body(editor):
    other = [(x * 0.3 + (20 if i == WRIST else 0), y * 0.2) for i, (x, y) in enumerate(FIGURE)]
    paste(editor, json.dumps(openpose(other, (200, 160))))
    editor.wait_inputs(1)
    neck, hip = editor.at(1), editor.at(8)
    assert hip[1] - neck[1] == pytest.approx(210, rel=0.15), "the trunk keeps its length"
    assert editor.page.locator('[data-el="choice"] button').count() == 0


def test_several_people_in_a_file_can_be_chosen(editor):
    document = openpose([(x / 2, y / 2) for x, y in FIGURE], (300, 400))
    bent = [(x / 2, y / 2 - (60 if i in (4, 7) else 0)) for i, (x, y) in enumerate(FIGURE)]
    document["people"] += openpose(bent, (300, 400))["people"]
    paste(editor, json.dumps(document))
    editor.page.click('[data-el="choice"] button:nth-child(2)')
    editor.wait_inputs(1)
    assert editor.at(WRIST)[1] < FIGURE[WRIST][1] - 60


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{]", "JSON"),
        ('{"people": 3}', "people"),
        ('{"people": [{"pose_keypoints_2d": [1, 2]}]}', "pose_keypoints_2d"),
        ("[" * 1000, "nest"),
        ('{"people": [{"pose_keypoints_2d": ["<img src=x>"]}]}', "pose_keypoints_2d"),
        (" " * 300_000 + "{}", "256 KB"),
        ("", "nothing"),
    ],
)  # fmt: skip
def test_a_hostile_file_changes_nothing_and_says_why(editor, text, words):
    paste(editor, text)
    assert words.lower() in note(editor).lower()
    assert editor.inputs() == 0 and editor.at(WRIST) == FIGURE[WRIST]
    assert editor.page.locator(".pe img").count() == 0


def test_exports_read_back(editor):
    editor.drag_joint(WRIST, -40, -60)
    editor.joint(7).focus()
    editor.page.keyboard.press("h")
    editor.page.keyboard.press("h")
    name, data = saved(editor, "saveOpenPose")
    pose = parse_people(data)[0]
    assert name == "pose.json" and pose.size == (600, 800) and pose.state[7] == 0
    assert np.allclose(pose.points[WRIST], editor.at(WRIST), atol=1)
    _, data = saved(editor, "saveEditor")
    pose = parse_people(data)[0]
    assert pose.state[7] == 0 and np.allclose(pose.points[7], FIGURE[7], atol=0.1)


def test_the_png_map_carries_the_pose_for_page_and_python(editor, tmp_path):
    editor.drag_joint(WRIST, -40, -60)
    editor.wait_inputs(1)
    wanted = editor.points()
    name, data = saved(editor, "savePng")
    picture = Image.open(io.BytesIO(data))
    assert name == "pose.png" and picture.size == (512, 683)
    picture.load()
    assert parse_people(picture.text["reposedm-pose"])[0].size == (600, 800)
    editor.command("resetAll")
    editor.wait_inputs(2)
    file = tmp_path / "pose.png"
    file.write_bytes(data)
    editor.page.set_input_files('[data-el="file"]', file)
    editor.wait_inputs(3)
    assert editor.points() == wanted


def test_a_picture_without_a_pose_is_refused_by_import(editor, tmp_path):
    file = tmp_path / "empty.png"
    Image.new("RGB", (64, 64)).save(file)
    editor.page.set_input_files('[data-el="file"]', file)
    assert "holds no pose" in note(editor)


DROP = """([name, type, bytes, event]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], name, {type}));
  const node = document.querySelector(event === 'drop' ? '.pe-stage' : '.pe-svg');
  node.dispatchEvent(event === 'drop'
    ? new DragEvent('drop', {dataTransfer: data, bubbles: true, cancelable: true})
    : new ClipboardEvent('paste', {clipboardData: data, bubbles: true, cancelable: true}));
}"""


def give(editor, name, kind, data, event="drop"):
    editor.page.evaluate(DROP, [name, kind, list(data), event])


def png(size=(60, 80)):
    buffer = io.BytesIO()
    Image.new("RGB", size, (90, 120, 150)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_a_dropped_or_pasted_photo_is_detected(editor, event):
    before = editor.page.get_attribute('[data-el="photo"]', "href")
    give(editor, "photo.png", "image/png", png(), event)
    editor.page.wait_for_function(
        "old => document.querySelector('[data-el=photo]').getAttribute('href') != old", arg=before
    )
    assert editor.at(WRIST) == (250, 410), "the app answered with a person 40 px to the right"
    assert not editor.page.locator(".pe-pill").is_visible()
    editor.drag_joint(WRIST, -20, -20)
    assert editor.result()["people"][0][WRIST][0] == pytest.approx(230, abs=1.5)


def test_a_refused_photo_leaves_everything_as_it_was(editor):
    give(editor, "tiny.png", "image/png", png((1, 1)))
    editor.page.get_by_text("too small").wait_for()
    editor.page.wait_for_timeout(3000)
    assert editor.result()["people"][0][WRIST][:2] == list(FIGURE[WRIST])


def test_what_is_neither_photo_nor_pose_is_refused(editor):
    give(editor, "malware.exe", "application/x-msdownload", b"MZ")
    assert "neither" in editor.status()
    give(editor, "pose.json", "application/json", json.dumps(openpose(FIGURE, (600, 800))).encode())
    editor.page.wait_for_function(
        "document.querySelector('.pe-status').textContent.includes('imported')"
    )


def test_detect_again_asks_the_app(editor):
    editor.command("detect")
    editor.wait_label(WRIST, "x 180")
    assert editor.inputs() == 0
