"""The app as a test sees it: photo, skeleton, Repose, result."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from editor_page import EditorPage

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"


class AppPage(EditorPage):
    """A page of the app; ``load_example`` or ``upload`` puts a person on it."""

    def __init__(self, page: Any) -> None:
        super().__init__(page, load=None)
        page.wait_for_selector("#run")

    def load_example(self, index: int = 0) -> None:
        self.page.locator("#examples button.gallery-item").nth(index).click()
        self._wait_for_person()

    def upload(self, file: Path | str) -> None:
        self.page.set_input_files("#photo input[type=file]", str(file))
        self._wait_for_person()

    def _wait_for_person(self) -> None:
        self.page.wait_for_selector(".pe-joint", timeout=60_000)
        self.page.wait_for_selector("image[href]")
        self.wait_status("drag the joints")

    def wait_status(self, text: str, seconds: float = 60) -> None:
        self.page.wait_for_function(
            "text => document.querySelector('#status').innerText.toLowerCase().includes(text)",
            arg=text.lower(), timeout=seconds * 1000,
        )  # fmt: skip

    def status_text(self) -> str:
        return self.page.inner_text("#status")

    def toast(self) -> str:
        """The text of the error message that pops up."""
        self.page.wait_for_selector(".toast-body", timeout=30_000)
        return self.page.inner_text(".toast-body")

    def settings(self) -> None:
        if not self.page.locator("#method input").is_visible():
            self.page.click("#settings > button")
            self.page.wait_for_selector("#method input")

    def choose_method(self, label: str) -> None:
        self.settings()
        self.page.click("#method input")
        self.page.locator("ul[role=listbox] li", has_text=label).click()
        self.page.wait_for_timeout(600)

    def set_number(self, name: str, value: float) -> None:
        box = self.page.locator(f"#{name} input[type=number]")
        box.fill(str(value))
        box.press("Tab")

    def run(self, seconds: float = 60) -> None:
        # The line of an earlier run must not be taken for this one's.
        self.page.evaluate("document.querySelector('#status span').textContent = ''")
        self.page.click("#run")
        self.wait_status("done in", seconds)

    def result_urls(self) -> list[str]:
        """The two pictures of the before/after slider."""
        return [image.get_attribute("src") for image in self.page.locator("#result img").all()]
