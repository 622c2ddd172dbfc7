"""The Garment tab in a real browser: two photos in, a mask painted, the person in the garment."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_page import EXAMPLES
from garment_page import GarmentPage
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.models]
SIZE = (384, 512)


def fetch(url: str) -> np.ndarray:
    with urllib.request.urlopen(url) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)


@pytest.fixture
def photos(tmp_path: Path) -> tuple[Path, Path]:
    """A woman in a striped top and a man in a flowered T-shirt, small: the runs are shorter."""
    made = []
    for name in ("breton-stripes.jpg", "flower-shirt.jpg"):
        file = tmp_path / f"{name}.png"
        Image.open(EXAMPLES / name).convert("RGB").resize(SIZE).save(file)
        made.append(file)
    return made[0], made[1]


def test_two_photos_a_stroke_and_swap(open_page: Any, app: Any, photos: tuple[Path, Path]) -> None:
    page = GarmentPage(open_page(app.url))
    page.upload("person", photos[0])
    page.wait_status("garment's photo")
    page.upload("photo", photos[1])
    page.wait_status("look at the mask")
    page.page.wait_for_timeout(2000)
    page.run()
    photo = np.asarray(Image.open(photos[0])).astype(int)
    before, first = (fetch(url) for url in page.result_urls()[:2])
    assert np.array_equal(before, photo)
    assert first.shape == photo.shape, "the result has the photo's own size"
    chest = np.s_[160:220, 170:210]
    green = first[chest][..., 1] - first[chest][..., 0]
    assert np.median(green) > 15, "the striped top is green now"
    assert np.array_equal(first[:80], photo[:80]), "the face is the photo's"
    corner = np.s_[380:, :40]
    assert np.array_equal(first[corner], photo[corner])

    page.stroke((0.42, 0.9), (0.44, 0.97))  # a part of the picture that was outside the mask
    page.run()
    second = fetch(page.result_urls()[1])
    changed = (second != first).any(2)
    assert changed.any(), "the painted place may change now"
    assert changed[350:].sum() > 0.9 * changed.sum(), "and nothing else does"
    assert page.page.locator("#garment-gallery .gallery-item").count() == 2

    page.page.click("#garment-to-repose")
    page.page.wait_for_selector("#editor .pe-joint")
    page.page.wait_for_function(
        "document.querySelector('#status').innerText.toLowerCase().includes('drag the joints')"
    )
    assert page.page.locator("#run").is_visible(), "the Repose tab is in front, with the result"


def test_a_refused_garment_is_said_and_the_rest_stays(
    open_page: Any, app: Any, photos: tuple[Path, Path], tmp_path: Path
) -> None:
    page = GarmentPage(open_page(app.url, viewport=(360, 740), touch=True))
    page.upload("person", photos[0])
    page.wait_status("garment's photo")
    Image.new("RGB", (200, 200), "white").save(tmp_path / "white.png")
    page.upload("photo", tmp_path / "white.png")
    page.wait_status("empty, one colour")
    page.page.click("#garment-run")
    page.page.wait_for_selector(".toast-body")
    assert "one colour" in page.page.inner_text(".toast-body")
    page.wait_status("nothing of yours is lost")
    assert page.page.locator("#garment-person img").count() >= 1
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 361
