"""Take the screenshots of the README: desktop light and dark, and a phone.

    python assets/screenshots/make_screenshots.py

needs requirements-dev.txt and Chromium; the app is started for it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "browser")]

from app_page import AppPage
from chromium_harness import CHROMIUM, FLAGS

from benchmarks.serving import served

SHOTS = {
    "desktop-light": ((1440, 1000), "light", False),
    "desktop-dark": ((1440, 1000), "dark", False),
    "phone": ((390, 844), "light", True),
}
EXAMPLE = 1
PATIENCE_S = 300
"""A first picture loads networks."""


def main() -> None:
    """Repose an example with the default method, and photograph the page."""
    from playwright.sync_api import sync_playwright

    with served(dict(os.environ)) as app, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        try:
            for name, (size, theme, touch) in SHOTS.items():
                context = chromium.new_context(
                    viewport={"width": size[0], "height": size[1]}, has_touch=touch
                )
                raw = context.new_page()
                raw.goto(f"{app.url}?__theme={theme}")
                page = AppPage(raw)
                page.load_example(EXAMPLE)
                page.run(PATIENCE_S)
                raw.wait_for_timeout(2500)
                raw.evaluate("window.scrollTo(0, 0)")
                raw.screenshot(path=Path(__file__).with_name(f"{name}.png"), full_page=touch)
                context.close()
        finally:
            chromium.close()


if __name__ == "__main__":
    main()
