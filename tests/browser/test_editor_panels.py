"""Presets, the pose map, the plausibility guide, several people, views, and the lock."""

from __future__ import annotations

import base64
import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from editor_page import FIGURE, EditorPage

from reposedm.pose import Pose, draw_map, preset_names, presets_json

pytestmark = pytest.mark.browser
WRIST = 4


@pytest.fixture
def editor(open_page, editor_url) -> EditorPage:
    return EditorPage(open_page(editor_url))


def lengths(points):
    return [math.dist(points[a], points[b]) for a, b in ((2, 3), (3, 4), (8, 9), (9, 10))]


def test_every_preset_has_a_thumbnail_and_keeps_this_body(editor):
    assert editor.page.locator(".pe-preset svg line").count() > 10 * len(preset_names())
    own = lengths(FIGURE)
    editor.page.get_by_role("button", name="Preset Hands on hips").click()
    editor.wait_inputs(1)
    for before, after in zip(own, lengths(editor.points()), strict=True):
        assert after < 1.15 * before
    assert editor.got()["people"][0][WRIST] != [210, 410, 2]
    editor.page.keyboard.press("Control+z")
    assert editor.at(WRIST) == FIGURE[WRIST]


def test_the_slider_goes_from_my_proportions_to_theirs(editor):
    editor.page.get_by_role("button", name="Preset Standing", exact=True).click()
    mine = lengths(editor.points())
    slider = editor.page.locator('[data-el="proportions"]')
    slider.fill("1")
    slider.dispatch_event("change")
    editor.wait_inputs(2)
    theirs = lengths(editor.points())
    assert max(abs(a - b) for a, b in zip(mine, theirs, strict=True)) > 5
    slider.fill("0")
    slider.dispatch_event("change")
    assert lengths(editor.points()) == pytest.approx(mine, abs=2)


def test_own_presets_are_saved_used_exported_and_deleted(editor):
    editor.drag_joint(WRIST, -60, -150)
    wanted = editor.at(WRIST)
    editor.page.fill('[data-el="presetName"]', "<b>Wave</b>")
    editor.command("savePreset")
    editor.command("resetAll")
    editor.page.get_by_role("button", name="Preset <b>Wave</b>", exact=True).click()
    assert math.dist(editor.at(WRIST), wanted) < 30
    with editor.page.expect_download() as download:
        editor.command("exportPresets")
    exported = json.loads(Path(download.value.path()).read_bytes())
    assert [entry["name"] for entry in exported["presets"]] == ["<b>Wave</b>"]
    editor.page.get_by_role("button", name="Delete preset <b>Wave</b>").click()
    assert editor.page.get_by_role("button", name="Wave").count() == 0


def test_presets_work_without_a_photo(open_page, editor_url):
    editor = EditorPage(open_page(editor_url), load=None)
    title = presets_json()["presets"][0]["title"]
    editor.page.get_by_role("button", name=f"Preset {title}", exact=True).click()
    editor.wait_inputs(1)
    assert len(editor.got()["people"]) == 1 and not editor.got()["image"]
    editor.drag_joint(WRIST, -10, -10)
    editor.wait_inputs(2)


def test_the_pose_map_is_python_s(editor):
    editor.drag_joint(WRIST, -70, -170)
    editor.joint(7).focus()
    editor.page.keyboard.press("h")
    editor.joint(10).focus()
    editor.page.keyboard.press("h")
    editor.page.keyboard.press("h")
    editor.wait_inputs(4)
    editor.page.wait_for_timeout(200)
    # As a PNG: two million numbers in JSON take half a minute.
    url = editor.page.evaluate("document.querySelector('.pe-map').toDataURL('image/png')")
    png = np.frombuffer(base64.b64decode(url.split(",")[1]), np.uint8)
    shown = cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1]
    rows = np.array(editor.result()["people"][0], float)
    pose = Pose(rows[:, :2], np.ones(18), rows[:, 2], (600, 800))
    drawn = draw_map([pose])
    assert drawn.shape == shown.shape
    error = ((drawn.astype(float) - shown) ** 2).mean()
    assert 10 * math.log10(255**2 / max(error, 1e-9)) >= 35


def test_an_impossible_bone_is_named_painted_and_fixed(editor):
    assert "possible" in editor.page.inner_text(".pe-checks")
    editor.page.click('[data-mode="one"]')
    editor.drag_joint(WRIST, -100, 150)
    assert "pe-long" in editor.page.locator(".pe-bone").nth(3).get_attribute("class")
    text = editor.page.inner_text(".pe-checks").lower()
    assert "right" in text and "problem" in text
    editor.command("fix")
    assert editor.page.locator(".pe-long").count() == 0
    assert lengths(editor.points())[1] <= 1.16 * lengths(FIGURE)[1]
    editor.wait_inputs(2)


def test_several_people_are_chosen_by_chip_and_by_click(open_page, editor_url):
    editor = EditorPage(open_page(editor_url), load="two")
    chips = editor.page.locator(".pe-people button")
    assert chips.all_inner_texts() == ["Person 1", "Person 2"]
    first = editor.points()
    chips.nth(1).click()
    assert editor.points() != first
    editor.wait_inputs(1)
    assert editor.got()["selected"] == 1
    editor.drag_joint(WRIST, -30, -60)
    editor.wait_inputs(2)
    for seen, point in zip(editor.got()["people"][0], first, strict=True):
        assert math.dist(seen[:2], point) <= 1, "the other person stays"
    badge = editor.page.locator(".pe-badge").first.bounding_box()
    editor.page.mouse.click(badge["x"] + badge["width"] / 2, badge["y"] + badge["height"] + 14)
    editor.wait_inputs(3)
    assert editor.got()["selected"] == 0
    assert chips.nth(0).get_attribute("aria-pressed") == "true"


def test_views_show_the_original_letters_and_opacity(editor):
    editor.drag_joint(WRIST, -60, -60)
    editor.page.evaluate(
        "document.querySelectorAll('.pe details').forEach((d) => { d.open = true; })"
    )
    onion = editor.page.locator(".pe-onion line").first
    assert not onion.is_visible()
    editor.page.get_by_label("Show the original skeleton").check()
    assert editor.page.locator('[data-el="onion"]').evaluate("node => node.style.display") == ""
    letter = editor.joint(WRIST).locator("text")
    assert not letter.is_visible()
    editor.page.get_by_label("L and R letters on the joints").check()
    assert letter.is_visible() and letter.text_content() == "R"
    editor.page.get_by_label("Photo opacity").fill("0.3")
    assert editor.page.get_attribute('[data-el="photos"]', "opacity") == "0.3"


def test_busy_locks_the_editor_without_covering_it(editor):
    editor.page.click("#busy")
    editor.page.locator(".pe-pill", has_text="Looking for people").wait_for()
    editor.drag_joint(WRIST, -50, -50)
    editor.joint(WRIST).focus()
    editor.page.keyboard.press("ArrowLeft")
    editor.page.keyboard.press("h")
    editor.command("mirror")
    assert editor.at(WRIST) == FIGURE[WRIST] and editor.inputs() == 0
    assert editor.page.get_attribute(".pe", "aria-busy") == "true"
    editor.page.click("#free")
    editor.page.locator(".pe-pill").wait_for(state="hidden")
    editor.drag_joint(WRIST, -50, -50)
    editor.wait_inputs(1)
