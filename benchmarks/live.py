"""How long after a pointer move does the live preview show the new pose, in a real browser?

    python -m benchmarks.live [--moves 40] [--example 0] [-o FILE]

Starts the app, opens an example in headless Chromium (CHROMIUM names another one than Debian's) and
drags a wrist. Each move is one measurement: from the pointer event to the frame that has the
preview of that very move, through the page, the server, the warp, the JPEG and back. The first one
prepares the photo and is listed apart. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.serving import PATIENCE_S, served

CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WRIST: Final = 4

# One in flight at a time: the picture that appears after a move is that move's, because the next
# move waits for it.
WATCH: Final = """() => {
  const svg = document.querySelector('.pe-svg');
  const warped = document.querySelector('[data-el=warped]');
  window.measured = [];
  let moved = 0;
  svg.addEventListener('pointermove', () => { moved = performance.now(); }, true);
  new MutationObserver(() => {
    if (!moved || !warped.getAttribute('href')) return;
    const start = moved;
    moved = 0;
    requestAnimationFrame((now) => requestAnimationFrame(
      () => measured.push(performance.now() - start)));
  }).observe(warped, {attributes: true, attributeFilter: ['href']});
}"""


def measure(page: Any, example: int, moves: int) -> list[float]:
    """Milliseconds of each move, in order."""
    page.set_default_timeout(PATIENCE_S * 1000)
    page.locator("#examples button.gallery-item").nth(example).click()
    page.wait_for_selector(".pe-joint")
    page.wait_for_selector("image[href]")
    page.wait_for_function(
        "document.querySelector('#status').innerText.toLowerCase().includes('drag the joints')"
    )
    page.evaluate(WATCH)
    box = page.locator(f'.pe-joint[data-joint="{WRIST}"] .pe-dot').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for number in range(1, moves + 2):
        page.mouse.move(x - 2 * number, y - 3 * number % 60 - 5)
        page.wait_for_function("n => measured.length >= n", arg=number)
    page.mouse.up()
    return [float(value) for value in page.evaluate("measured")]


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--moves", type=int, default=40)
    parser.add_argument("--example", type=int, default=0, help="its place in the row, from 0")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(given)
    from playwright.sync_api import sync_playwright

    with served() as app, sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        page.goto(app.url)
        first, *times = measure(page, options.example, options.moves)
        browser.close()
    result = {
        "moves": len(times),
        "first_ms": round(first, 1),
        "median_ms": round(statistics.median(times), 1),
        "p90_ms": round(sorted(times)[int(0.9 * (len(times) - 1))], 1),
        "max_ms": round(max(times), 1),
    }
    print(json.dumps(result, indent=1))
    if options.output:
        options.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
