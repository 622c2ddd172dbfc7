"""Everything without a pointer: focus, arrows, shortcuts, the table of joints."""

from __future__ import annotations

import pytest
from editor_page import FIGURE, EditorPage

pytestmark = pytest.mark.browser
WRIST = 4


@pytest.fixture
def editor(open_page, editor_url) -> EditorPage:
    return EditorPage(open_page(editor_url))


def press(editor, *keys):
    for key in keys:
        editor.page.keyboard.press(key)


def focused(editor):
    return editor.page.evaluate("document.activeElement.getAttribute('data-joint')")


def test_tab_reaches_joints_and_arrows_move_them(editor):
    editor.page.focus(".pe-svg")
    press(editor, "Tab")
    assert focused(editor) == "0"
    press(editor, *["Tab"] * 4)
    assert focused(editor) == "4"
    press(editor, "ArrowLeft", "ArrowLeft", "Shift+ArrowUp")
    assert editor.at(WRIST) == (208, 400)
    assert editor.status() == editor.label(WRIST) == "right wrist, x 208, y 400, in view"
    editor.wait_inputs(3)
    assert editor.got()["people"][0][WRIST] == [208, 400, 2]


def test_next_previous_hide_flip_and_mirror(editor):
    editor.joint(3).focus()
    press(editor, "n")
    assert focused(editor) == "4"
    press(editor, "p", "p")
    assert focused(editor) == "2"
    press(editor, "h")
    assert "behind" in editor.label(2)
    press(editor, "Delete")
    assert "hidden" in editor.label(2)
    press(editor, "m")
    assert "hidden" in editor.label(5), "mirroring takes the state along"


def test_undo_and_redo_keep_the_focus(editor):
    before = editor.at(WRIST)
    editor.drag_joint(WRIST, -50, -50)
    after = editor.at(WRIST)
    press(editor, "Control+z")
    assert editor.at(WRIST) == before
    press(editor, "Control+Shift+Z")
    assert editor.at(WRIST) == after
    press(editor, "Control+z")
    assert editor.at(WRIST) == before
    press(editor, "Control+y")
    assert editor.at(WRIST) == after
    assert focused(editor) == "4"
    editor.command("undo")
    assert editor.at(WRIST) == before
    assert editor.page.get_attribute('[data-cmd="undo"]', "aria-disabled") == "true"
    editor.command("redo")
    assert editor.at(WRIST) == after
    editor.wait_inputs(7)
    assert editor.result()["people"][0][WRIST][0] == pytest.approx(after[0], abs=1)


def test_nudges_in_a_row_are_one_step(editor):
    editor.joint(WRIST).focus()
    # In one go: on a busy machine real presses come too far apart to be one step.
    editor.page.evaluate(
        """() => { for (let i = 0; i < 6; i += 1) document.activeElement.dispatchEvent(
          new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true, cancelable: true})); }"""
    )
    assert editor.at(WRIST) == (210, 416)
    press(editor, "Control+z")
    assert editor.at(WRIST) == FIGURE[WRIST]


def test_escape_cancels_a_drag(editor):
    editor.drag_joint(WRIST, -80, -80, up=False)
    assert editor.at(WRIST) != FIGURE[WRIST]
    press(editor, "Escape")
    assert editor.at(WRIST) == FIGURE[WRIST]
    editor.page.mouse.up()
    assert editor.at(WRIST) == FIGURE[WRIST] and editor.inputs() == 0


def test_shortcuts_leave_text_fields_alone(editor):
    editor.page.fill('[data-el="presetName"]', "")
    editor.page.focus('[data-el="presetName"]')
    press(editor, "m", "h", "0", "n")
    assert editor.page.input_value('[data-el="presetName"]') == "mh0n"
    assert editor.inputs() == 0


def test_the_table_moves_hides_and_follows(editor):
    editor.open_panel("tablePanel")
    x = editor.page.get_by_label("right wrist x", exact=True)
    x.wait_for()
    assert x.input_value() == "210"
    x.fill("180.5")
    x.press("Tab")
    editor.wait_inputs(1)
    assert editor.got()["people"][0][WRIST] == [180.5, 410, 2]
    editor.page.get_by_label("right wrist state").select_option(label="hidden")
    editor.wait_inputs(2)
    assert editor.got()["people"][0][WRIST][2] == 0
    editor.drag_joint(1, 20, 0)
    editor.page.wait_for_timeout(100)
    assert x.input_value() == "200.5"
    x.fill("99999")
    x.press("Tab")
    assert "right wrist" in editor.status() and x.input_value() == "200.5"


def test_one_click_actions(editor):
    editor.command("legs")
    assert (
        "hidden" in editor.label(10) and editor.page.inner_text('[data-cmd="legs"]') == "Show legs"
    )
    editor.command("legs")
    assert "in view" in editor.label(10)
    editor.command("turn")
    assert editor.page.inner_text('[data-cmd="turn"]') == "Turn to front"
    assert editor.at(WRIST)[0] > 300, "seen from behind the right hand is on the right"
    editor.command("turn")
    editor.command("swap")
    assert editor.at(WRIST) == FIGURE[7]
    editor.command("swap")
    editor.drag_joint(WRIST, -40, -40)
    editor.command("resetJoint")
    assert editor.at(WRIST) == FIGURE[WRIST]
    editor.drag_joint(1, 50, 0)
    editor.command("resetAll")
    assert editor.points() == [tuple(map(float, point)) for point in FIGURE]
    editor.command("fit")
    assert editor.at(10)[1] > 700 and editor.at(0)[1] < 120
    editor.wait_inputs(8)


def test_every_control_has_a_name(editor):
    for panel in ("tablePanel", "filePanel", "presetPanel", "mapPanel", "checkPanel"):
        editor.open_panel(panel)
    editor.page.wait_for_timeout(200)
    nameless = editor.page.evaluate(
        """() => [...document.querySelectorAll('.pe button, .pe input, .pe select, .pe textarea, '
            + '.pe summary, .pe [tabindex], .pe canvas, .pe [role]')].filter((node) => {
          const label = node.getAttribute('aria-label') || node.closest('label')?.textContent
            || (node.matches('[role=status], [role=alert]') ? 'live' : node.textContent);
          return !label || !label.trim();
        }).map((node) => node.outerHTML.slice(0, 120))"""
    )
    assert nameless == []
    assert editor.page.get_by_role("button", name="right wrist").count() == 1
    assert editor.page.get_by_role("button", name="Undo").count() == 1
