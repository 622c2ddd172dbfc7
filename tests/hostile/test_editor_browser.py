"""C-29 to C-33, C-89 in the browser: the hand, the flood, the server, the reader, the history."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "browser"))

from chromium_harness import browser, editor_url, open_page  # noqa: F401
from editor_page import FIGURE, EditorPage

pytestmark = pytest.mark.browser
WRIST = 4


@pytest.fixture
def editor(open_page, editor_url):  # noqa: F811
    return EditorPage(open_page(editor_url))


def test_c29_a_drag_outside_stops_at_the_edge(editor):
    editor.page.click('[data-toggle="live"]')
    editor.drag(editor.spot(WRIST), -1500, 0)
    editor.wait_inputs(1)
    assert editor.at(WRIST)[0] == 0
    assert editor.got()["people"][0][WRIST][0] == pytest.approx(0, abs=0.5)


def test_c29_a_release_outside_the_window_ends_the_drag(editor):
    x, y = editor.spot(WRIST)
    editor.drag((x, y), -x - 300, -y - 300)
    editor.wait_inputs(1)
    kept = editor.at(WRIST)
    editor.page.mouse.move(600, 400)
    assert editor.at(WRIST) == kept


def test_c29_a_pen_drags_and_a_cancelled_pointer_puts_back(editor):
    script = """([x, y, last]) => {
      const svg = document.querySelector('.pe-svg');
      const send = (type, dx) => svg.dispatchEvent(new PointerEvent(type, {
        pointerId: 9, pointerType: 'pen', isPrimary: true, clientX: x + dx, clientY: y,
        bubbles: true, cancelable: true}));
      send('pointerdown', 0); send('pointermove', -20); send('pointermove', -40); send(last, -40);
    }"""
    editor.page.evaluate(script, [*editor.spot(WRIST), "pointercancel"])
    assert editor.at(WRIST) == FIGURE[WRIST] and editor.inputs() == 0
    editor.page.evaluate(script, [*editor.spot(WRIST), "pointerup"])
    editor.wait_inputs(1)
    assert editor.at(WRIST)[0] < FIGURE[WRIST][0] - 20


def test_c30_sixty_moves_a_second_are_one_edit_and_few_previews(editor):
    x, y = editor.spot(WRIST)
    editor.page.wait_for_timeout(500)
    before = float(editor.page.input_value("#previews input"))
    running = []
    editor.page.on(
        "request",
        lambda r: running.append(r) if "run/predict" in r.url or "queue/join" in r.url else None,
    )
    editor.page.mouse.move(x, y)
    editor.page.mouse.down()
    start = time.monotonic()
    for i in range(120):
        editor.page.mouse.move(x - i / 2, y - i * 0.75)
        editor.page.wait_for_timeout(14)
    seconds = time.monotonic() - start
    assert editor.inputs() == 0
    editor.page.mouse.up()
    editor.wait_inputs(1)
    editor.page.wait_for_timeout(800)
    assert editor.inputs() == 1
    previews = float(editor.page.input_value("#previews input")) - before
    assert 2 <= previews <= seconds / 0.05 + 3, "one in flight at a time; the answer takes 50 ms"
    assert len(running) <= previews + 3, "no queue of stale questions"
    wrist = json.loads(editor.page.input_value("#wrist textarea"))
    assert wrist == pytest.approx(editor.at(WRIST), abs=1), "the last preview is the final pose"


def test_c31_a_server_update_redraws_and_is_no_edit(editor):
    editor.page.click("#server")
    editor.wait_label(WRIST, "x 160, y 350")
    editor.page.wait_for_timeout(500)
    assert editor.inputs() == 0


def test_c31_a_server_update_voids_a_drag_in_flight(editor):
    editor.drag_joint(WRIST, 40, 40, up=False)
    editor.page.evaluate("document.querySelector('#server').click()")
    editor.wait_label(WRIST, "x 160, y 350")
    editor.page.mouse.move(900, 500)
    editor.page.mouse.up()
    assert editor.at(WRIST) == (160, 350) and editor.inputs() == 0


def test_c32_keyboard_alone_reaches_and_moves_a_joint(editor):
    editor.page.focus('[data-cmd="undo"]')
    for _ in range(40):
        editor.page.keyboard.press("Tab")
        if editor.page.evaluate("document.activeElement.getAttribute('data-joint')") == "4":
            break
    editor.page.keyboard.press("Shift+ArrowLeft")
    assert editor.at(WRIST) == (200, 410)
    ring = editor.joint(WRIST).locator(".pe-ring").evaluate("node => getComputedStyle(node).stroke")
    assert ring != "none", "the focus is visible"
    live = editor.page.locator(".pe-status")
    assert live.get_attribute("aria-live") == "polite" and "x 200" in live.inner_text()


def test_c33_fifty_undos_fifty_redos(editor):
    editor.joint(WRIST).focus()
    for i in range(50):
        # h and arrows in turn: no two steps merge
        editor.page.keyboard.press("h" if i % 2 else "ArrowLeft")
    end = editor.label(WRIST)
    for _ in range(60):
        editor.page.keyboard.press("Control+z")
    assert editor.at(WRIST) == FIGURE[WRIST] and "in view" in editor.label(WRIST)
    for _ in range(60):
        editor.page.keyboard.press("Control+y")
    assert editor.label(WRIST) == end


def test_c33_a_server_update_is_one_step(editor):
    editor.drag_joint(WRIST, 20, 20)
    moved = editor.at(WRIST)
    editor.wait_inputs(1)
    old = editor.label(WRIST)
    editor.page.click("#server")
    editor.page.wait_for_function(
        "old => document.querySelector('[data-joint=\"4\"]').getAttribute('aria-label') != old",
        arg=old,
    )
    editor.command("undo")
    assert editor.at(WRIST) == moved
    editor.command("undo")
    assert editor.at(WRIST) == FIGURE[WRIST]


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "https://example.org/x.png", "//example.org/x", "data:text/html,x"],
)
def test_c30_a_live_picture_from_elsewhere_is_not_loaded(editor, url):
    """A hostile or broken answer to ``preview`` must not make the page ask another host."""
    live = {"__type__": "update", "props": {"live": {"number": 2**52, "url": url}}}
    answer = json.dumps({"data": [live, 1, "forged"]})

    def forge(route):
        if '"number"' in (route.request.post_data or ""):
            route.fulfill(status=200, content_type="application/json", body=answer)
        else:
            route.continue_()

    editor.page.route(re.compile("run/predict"), forge)
    editor.drag_joint(WRIST, -30, -30)
    editor.page.wait_for_function("document.querySelector('#wrist textarea').value == 'forged'")
    editor.page.wait_for_timeout(300)
    assert editor.page.get_attribute('[data-el="warped"]', "href") is None


@pytest.mark.parametrize("path", ["/etc/passwd", "/proc/self/environ", "http://127.0.0.1:1/x.png"])
def test_c89_a_posted_file_of_the_server_is_refused(editor_url, path):  # noqa: F811
    config = json.loads(urllib.request.urlopen(editor_url + "config", timeout=10).read())
    editor = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "editor")
    call = next(d["id"] for d in config["dependencies"] if d["inputs"] == [editor] and d["queue"])
    bait = {"path": path, "meta": {"_type": "gradio.FileData"}}
    value = {"image": bait, "width": 64, "height": 64, "people": []}
    body = json.dumps({"data": [value], "fn_index": call, "session_hash": "x"}).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(editor_url + "gradio_api/run/predict", body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    assert "root:" not in caught.value.read().decode("utf-8", "replace")
