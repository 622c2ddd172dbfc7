"""Themes, sizes, tabs and reloads."""

from __future__ import annotations

import pytest
from editor_page import FIGURE, EditorPage

pytestmark = pytest.mark.browser
WRIST = 4
CONTRAST = """() => {
  const parse = (text) => (text.match(/[0-9.]+/g) || []).map(Number);
  const backdrop = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0.9) return color;
    }
    return [255, 255, 255];
  };
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  return [...document.querySelectorAll('.pe button, .pe summary, .pe label, .pe b, .pe li span')]
    .filter((node) => node.getClientRects().length && node.getAttribute('aria-disabled') !== 'true')
    .map((node) => {
      const [a, b] = [light(parse(getComputedStyle(node).color)), light(backdrop(node))];
      return [node.textContent.trim(), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)];
    }).filter(([, ratio]) => ratio < 4.5);
}"""
OVERFLOW = """() => [document.documentElement.scrollWidth - innerWidth,
  [...document.querySelectorAll('.pe *')].filter((node) => !node.closest('svg, .pe-gallery')
    && node.getClientRects().length && node.getBoundingClientRect().right > innerWidth + 1)
    .map((node) => node.outerHTML.slice(0, 80))]"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_is_readable_in_both_themes(open_page, editor_url, theme):
    editor = EditorPage(open_page(editor_url + f"?__theme={theme}"))
    assert editor.page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    assert editor.page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("size", [(360, 740), (390, 844), (700, 450), (1400, 900)])
def test_nothing_sticks_out_sideways(open_page, editor_url, size):
    """700 x 450 is what 200 % zoom leaves of a 1400 x 900 window."""
    editor = EditorPage(open_page(editor_url, size), load="two")
    editor.page.evaluate(
        "document.querySelectorAll('.pe details').forEach((d) => { d.open = true; })"
    )
    editor.page.wait_for_timeout(200)
    assert editor.page.evaluate(OVERFLOW) == [0, []]
    stage = editor.page.locator(".pe-stage").bounding_box()
    assert stage["height"] >= 280 and stage["width"] >= 0.55 * min(size[0], 1000)


def test_two_hundred_percent_zoom_still_drags_to_the_pixel(open_page, editor_url):
    editor = EditorPage(open_page(editor_url, (700, 450), device_scale_factor=2))
    editor.page.evaluate("document.querySelector('.pe-stage').scrollIntoView()")
    editor.drag_joint(WRIST, -40, -80)
    editor.wait_inputs(1)
    x, y = editor.got()["people"][0][WRIST][:2]
    assert abs(x - (FIGURE[WRIST][0] - 40)) <= 2 and abs(y - (FIGURE[WRIST][1] - 80)) <= 2


def test_joints_keep_their_size_on_screen_when_the_window_changes(open_page, editor_url):
    editor = EditorPage(open_page(editor_url))
    before = editor.joint(WRIST).locator(".pe-dot").bounding_box()["width"]
    editor.page.set_viewport_size({"width": 500, "height": 800})
    editor.page.wait_for_timeout(300)
    after = editor.joint(WRIST).locator(".pe-dot").bounding_box()["width"]
    assert after == pytest.approx(before, abs=0.6)


def test_another_tab_and_back_keeps_pose_and_history(open_page, editor_url):
    editor = EditorPage(open_page(editor_url))
    editor.drag_joint(WRIST, -60, -60)
    moved = editor.at(WRIST)
    editor.page.get_by_role("tab", name="Other").click()
    editor.page.wait_for_timeout(300)
    editor.page.get_by_role("tab", name="Editor").click()
    editor.page.wait_for_selector(".pe-joint")
    assert editor.at(WRIST) == moved
    editor.command("undo")
    assert editor.at(WRIST) == FIGURE[WRIST]


def test_a_reload_offers_the_last_pose_and_no_photo(open_page, editor_url):
    editor = EditorPage(open_page(editor_url))
    assert not editor.page.locator(".pe-offer").is_visible()
    editor.drag_joint(WRIST, -60, -60)
    moved = editor.at(WRIST)
    kept = editor.page.evaluate("JSON.stringify(localStorage)")
    assert "keypoints" in kept and "file=" not in kept and "data:image" not in kept
    editor.page.reload()
    editor = EditorPage(editor.page)
    assert editor.at(WRIST) == FIGURE[WRIST]
    editor.page.get_by_role("button", name="Restore it").click()
    assert editor.at(WRIST) == moved
    assert not editor.page.locator(".pe-offer").is_visible()
    editor.page.reload()
    editor = EditorPage(editor.page, load=None)
    editor.page.get_by_role("button", name="Forget it").click()
    assert editor.page.evaluate("localStorage.length") == 0


def test_forbidden_storage_breaks_nothing(browser, open_page, editor_url):
    page = open_page("about:blank")
    page.add_init_script(
        "Object.defineProperty(window, 'localStorage', {get() { throw new Error('denied'); }});"
    )
    page.goto(editor_url)
    editor = EditorPage(page)
    editor.drag_joint(WRIST, -60, -60)
    editor.wait_inputs(1)
