"""The editor as a test sees it: joints, drags, and what Python received."""

from __future__ import annotations

import json
import re
from typing import Any

# One standing figure in a 600 x 800 photo; every number is a coordinate the tests know.
FIGURE = (
    (300, 130), (300, 200), (240, 205), (222, 310), (210, 410), (360, 205), (378, 310), (390, 410),
    (264, 410), (260, 550), (258, 690), (336, 410), (340, 550), (342, 690),
    (286, 116), (314, 116), (268, 126), (332, 126),
)  # fmt: skip
NUMBER = r"(-?\d+(?:\.\d+)?)"


class EditorPage:
    """A page of ``editor_app.py`` with a drawn person on it."""

    def __init__(self, page: Any, load: str | None = "one") -> None:
        self.page = page
        page.wait_for_selector(".pe-svg")
        if load:
            page.click(f"#{load}")
            page.wait_for_selector(".pe-joint")
            page.wait_for_selector("image[href]")
            page.wait_for_timeout(300)

    def joint(self, joint: int) -> Any:
        return self.page.locator(f'.pe-joint[data-joint="{joint}"]')

    def label(self, joint: int) -> str:
        return self.joint(joint).get_attribute("aria-label")

    def at(self, joint: int) -> tuple[float, float]:
        """Where the page says the joint is, in photo pixels (rounded by the label)."""
        found = re.search(rf"x {NUMBER}, y {NUMBER}", self.label(joint))
        return float(found[1]), float(found[2])

    def spot(self, joint: int) -> tuple[float, float]:
        """The joint's centre on the screen."""
        box = self.joint(joint).locator(".pe-dot").bounding_box()
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def scale(self) -> float:
        """Screen pixels per photo pixel, from neck and ankle."""
        (_, top), (_, bottom) = self.spot(1), self.spot(10)
        return (bottom - top) / (self.at(10)[1] - self.at(1)[1])

    def drag(self, start: tuple[float, float], dx: float, dy: float, up: bool = True) -> None:
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move(start[0] + dx, start[1] + dy, steps=8)
        if up:
            mouse.up()

    def drag_joint(self, joint: int, dx: float, dy: float, up: bool = True) -> None:
        """Drag a joint by (dx, dy) *photo* pixels."""
        scale = self.scale()
        self.drag(self.spot(joint), dx * scale, dy * scale, up)

    def inputs(self) -> int:
        return int(float(self.page.input_value("#count input")))

    def wait_inputs(self, count: int) -> None:
        self.page.wait_for_function(
            "n => +document.querySelector('#count input').value >= n", arg=count
        )

    def got(self) -> dict[str, Any]:
        """What Python received with the last ``input`` event."""
        return json.loads(self.page.input_value("#got textarea"))

    def result(self) -> dict[str, Any]:
        """What Python receives as the value now."""
        self.page.evaluate("document.querySelector('#result textarea').value = ''")
        with self.page.expect_response(re.compile("/queue/data|/run/")):
            self.page.click("#run")
        self.page.wait_for_timeout(400)
        return json.loads(self.page.input_value("#result textarea"))

    def status(self) -> str:
        return self.page.inner_text(".pe-status")

    def command(self, name: str) -> None:
        self.page.click(f'[data-cmd="{name}"]')

    def wait_label(self, joint: int, text: str) -> None:
        """Until the joint's accessible name contains the text."""
        self.page.wait_for_function(
            """([joint, text]) => document.querySelector(`[data-joint="${joint}"]`)
              .getAttribute('aria-label').includes(text)""",
            arg=[joint, text],
        )

    def open_all_panels(self) -> None:
        self.page.evaluate(
            "document.querySelectorAll('.pe details').forEach((panel) => { panel.open = true; })"
        )

    def open_panel(self, name: str) -> None:
        self.page.evaluate(
            "name => { document.querySelector(`details[data-el=${name}]`).open = true; }", name
        )

    def points(self) -> list[tuple[float, float]]:
        return [self.at(joint) for joint in range(18)]
