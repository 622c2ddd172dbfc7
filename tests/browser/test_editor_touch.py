"""Fingers: drag, long press, pinch, and a page that still scrolls."""

from __future__ import annotations

import math

import pytest
from editor_page import FIGURE, EditorPage

pytestmark = pytest.mark.browser
WRIST = 4


class Fingers:
    """Touches through the browser's own input pipeline, with the waits that a hand makes."""

    def __init__(self, page):
        self.page = page
        self.session = page.context.new_cdp_session(page)

    def send(self, kind, *points):
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})
        self.page.wait_for_timeout(30)

    def drag(self, start, dx, dy, steps=8):
        self.send("touchStart", start)
        for i in range(1, steps + 1):
            self.send("touchMove", (start[0] + dx * i / steps, start[1] + dy * i / steps))
        self.send("touchEnd")


@pytest.fixture
def editor(open_page, editor_url) -> EditorPage:
    editor = EditorPage(open_page(editor_url, (390, 844), touch=True, is_mobile=True))
    editor.page.locator(".pe-stage").scroll_into_view_if_needed()
    editor.page.evaluate("document.querySelector('.pe-stage').scrollIntoView({block: 'center'})")
    editor.page.wait_for_timeout(200)
    return editor


def test_a_finger_drags_a_joint_and_the_page_stays(editor):
    scroll = editor.page.evaluate("scrollY")
    fingers = Fingers(editor.page)
    fingers.drag(editor.spot(WRIST), -20, -60)
    editor.wait_inputs(1)
    assert editor.page.evaluate("scrollY") == scroll
    (x, y), scale = editor.at(WRIST), editor.scale()
    assert math.dist((x, y), (210 - 20 / scale, 410 - 60 / scale)) < 3
    assert math.dist(editor.got()["people"][0][WRIST][:2], (x, y)) <= 1


def test_a_joint_is_caught_within_22_pixels(editor):
    x, y = editor.spot(10)
    Fingers(editor.page).drag((x - 15, y + 14), -20, 0)
    editor.wait_inputs(1)
    assert editor.at(10)[0] < 258


def test_the_loupe_shows_above_the_finger_while_dragging(editor):
    fingers, (x, y) = Fingers(editor.page), editor.spot(WRIST)
    loupe = editor.page.locator(".pe-loupe-ring")
    assert not loupe.is_visible()
    fingers.send("touchStart", (x, y))
    fingers.send("touchMove", (x, y - 10))
    fingers.send("touchMove", (x, y - 20))
    box = loupe.bounding_box()
    assert box["y"] + box["height"] < y - 20 and abs(box["x"] + box["width"] / 2 - x) < 3
    fingers.send("touchEnd")
    assert not loupe.is_visible()


def test_a_long_press_cycles_the_state(editor):
    fingers = Fingers(editor.page)
    fingers.send("touchStart", editor.spot(WRIST))
    editor.page.wait_for_timeout(700)
    fingers.send("touchEnd")
    assert "behind" in editor.label(WRIST)
    assert editor.at(WRIST) == FIGURE[WRIST]


def test_an_empty_place_scrolls_the_page(editor):
    box = editor.page.locator(".pe-stage").bounding_box()
    scroll = editor.page.evaluate("scrollY")
    Fingers(editor.page).drag((box["x"] + 60, box["y"] + 280), 0, -150)
    editor.page.wait_for_timeout(300)
    assert editor.page.evaluate("scrollY") > scroll + 50
    assert editor.inputs() == 0


def test_two_fingers_zoom_and_void_a_drag(editor):
    fingers, (x, y) = Fingers(editor.page), editor.spot(WRIST)
    fingers.send("touchStart", (x, y))
    fingers.send("touchMove", (x, y - 30))
    fingers.send("touchStart", (x, y - 30), (x + 80, y - 30))
    for i in range(1, 6):
        fingers.send("touchMove", (x - 8 * i, y - 30), (x + 80 + 8 * i, y - 30))
    fingers.send("touchEnd")
    zoom = int(editor.page.inner_text(".pe-percent").split()[0])
    assert zoom == pytest.approx(200, abs=15)
    assert editor.at(WRIST) == FIGURE[WRIST] and editor.inputs() == 0


def test_targets_are_44_pixels(editor):
    small = editor.page.evaluate(
        """() => [...document.querySelectorAll('.pe button, .pe select, .pe summary')]
          .filter((node) => node.getClientRects().length)
          .map((node) => [node.textContent.trim(), node.getBoundingClientRect()])
          .filter(([, box]) => box.height < 43.5 || box.width < 38)
          .map(([name, box]) => [name, box.width, box.height])"""
    )
    assert small == []
