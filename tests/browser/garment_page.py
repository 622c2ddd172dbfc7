"""The Garment tab as a test sees it: two photos, a mask, Swap, a result."""

from __future__ import annotations

from pathlib import Path
from typing import Any


class GarmentPage:
    """A page of the app with the Garment tab in front."""

    def __init__(self, page: Any) -> None:
        self.page = page
        page.wait_for_selector("#run")
        if page.viewport_size["width"] < 500:  # the row of tabs is longer than a phone is wide
            page.locator(".overflow-menu > button").first.click()
            page.locator(".overflow-dropdown button", has_text="Garment swap").click()
        else:
            page.get_by_role("tab", name="Garment swap").click()
        page.wait_for_selector("#garment-run")

    def upload(self, slot: str, file: Path | str) -> None:
        self.page.set_input_files(f"#garment-{slot} input[type=file]", str(file))

    def choose_region(self, label: str) -> None:
        self.page.click("#garment-region input")
        self.page.get_by_role("option", name=label).click()

    def wait_status(self, text: str, seconds: float = 90) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('#garment-status')?.innerText.toLowerCase()"
            ".includes(text)",
            arg=text.lower(), timeout=seconds * 1000,
        )  # fmt: skip

    def status_text(self) -> str:
        return self.page.inner_text("#garment-status")

    def stroke(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Paint from one place of the mask's canvas to another, in parts of its size."""
        canvas = self.page.locator("#garment-mask canvas").first
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (start, end)]
        self.page.mouse.move(*at[0])
        self.page.mouse.down()
        self.page.mouse.move(*at[1], steps=12)
        self.page.mouse.up()
        self.page.wait_for_timeout(800)

    def run(self, seconds: float = 120) -> None:
        self.page.evaluate("document.querySelector('#garment-status span').textContent = ''")
        self.page.click("#garment-run")
        self.wait_status("done in", seconds)

    def result_urls(self) -> list[str]:
        """The two pictures of the before/after slider."""
        return [
            image.get_attribute("src") for image in self.page.locator("#garment-result img").all()
        ]
