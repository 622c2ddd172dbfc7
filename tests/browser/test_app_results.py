"""What one does around a run in a real browser: other photos, several people, older results."""

from __future__ import annotations

import io
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_page import EXAMPLES, AppPage
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.models]
R_WRIST, L_WRIST = 4, 7


@pytest.fixture
def page(open_page: Any, app: Any) -> AppPage:
    return AppPage(open_page(app.url))


def fetch(url: str) -> np.ndarray:
    with urllib.request.urlopen(url) as answer:
        return np.asarray(Image.open(io.BytesIO(answer.read())).convert("RGB")).astype(int)


def chosen(page: AppPage) -> list[str | None]:
    return [
        chip.get_attribute("aria-pressed") for chip in page.page.locator(".pe-people button").all()
    ]


@pytest.fixture
def pair(tmp_path: Path) -> Path:
    """Two people side by side on one photo."""
    both = [Image.open(EXAMPLES / name).convert("RGB") for name in
            ("breton-stripes.jpg", "flower-shirt.jpg")]  # fmt: skip
    picture = Image.new("RGB", (both[0].width + both[1].width, both[0].height))
    picture.paste(both[0], (0, 0))
    picture.paste(both[1], (both[0].width, 0))
    file = tmp_path / "pair.png"
    picture.save(file)
    return file


def test_a_photo_replaces_another_one(page: AppPage) -> None:
    page.upload(EXAMPLES / "number-shirt.jpg")
    before = page.points()
    page.page.set_input_files("#photo input[type=file]", str(EXAMPLES / "yellow-tee.jpg"))
    page.page.wait_for_timeout(500)
    page.wait_status("drag the joints")
    page.page.wait_for_timeout(1500)
    assert page.page.locator(".pe-joint").count() == 18, "the second photo's person is there"
    assert np.abs(np.subtract(before, page.points())).max() > 5
    assert page.status_text().strip()


def test_a_refused_photo_leaves_the_editor_free(page: AppPage, tmp_path: Path) -> None:
    page.load_example(0)
    before = page.points()
    (tmp_path / "text.png").write_text("not a picture")
    page.page.set_input_files("#photo input[type=file]", str(tmp_path / "text.png"))
    assert "text file" in page.toast()
    page.wait_status("was not used")
    page.page.wait_for_timeout(1500)  # Gradio reports a replaced photo twice
    assert page.page.locator(".toast-body").count() == 1
    assert page.points() == before
    page.command("resetAll")
    assert page.points() != before, "the editor is not locked"


def test_the_chosen_person_is_reposed_and_comes_back(page: AppPage, pair: Path) -> None:
    page.upload(pair)
    page.page.wait_for_timeout(800)
    chips = page.page.locator(".pe-people button")
    assert chips.count() == 2
    chips.nth(1).click()
    side = int(page.at(R_WRIST)[0] > 768)  # whichever of the two is the second
    page.drag_joint(R_WRIST, -40, -150)
    posed = page.at(R_WRIST)
    page.run()
    photo = np.asarray(Image.open(pair)).astype(int)
    first = fetch(page.result_urls()[1])
    changed = np.abs(first - photo).sum(2) > 0
    own, other = changed[:, 768 * side : 768 * side + 768], changed[:, 768 * (1 - side) :][:, :768]
    assert own.mean() > 0.01
    assert other[:, 100:-100].sum() == 0, "the other person is the photo's own"

    chips.nth(0).click()
    page.drag_joint(L_WRIST, 30, -120)
    page.run()
    second = fetch(page.result_urls()[1])
    assert not np.array_equal(first, second)
    results = page.page.locator("#gallery .gallery-item button")
    assert results.count() == 2
    results.nth(1).click()  # the newest is first
    page.page.wait_for_timeout(800)
    assert np.array_equal(fetch(page.result_urls()[1]), first)
    page.page.click("#load-pose")
    page.wait_status("pose of this result")
    page.page.wait_for_timeout(500)
    assert chosen(page) == ["false", "true"], "the pose goes to the person it was made for"
    assert np.allclose(page.at(R_WRIST), posed, atol=1)
    page.page.click("#reuse")
    page.wait_status("drag the joints")
    page.page.wait_for_timeout(1000)
    assert chosen(page) == ["false", "true"], "nobody is lost on the result"
    assert np.allclose(page.at(R_WRIST), posed, atol=1)


def test_a_crop_is_compared_with_the_same_crop(page: AppPage) -> None:
    page.load_example(2)
    page.settings()
    page.page.get_by_label("Paste back into the photo").uncheck()
    page.run()
    page.page.wait_for_timeout(600)
    before, after = (fetch(url) for url in page.result_urls()[:2])
    assert before.shape == after.shape


def test_stop_is_not_reported_as_a_failure(page: AppPage) -> None:
    page.load_example(0)
    page.choose_method("Tiny diffusion")
    page.set_number("steps", 200)
    page.page.click("#run")
    page.wait_status("step 3 of 200")
    page.page.click("#stop")
    page.wait_status("stopped")
    page.page.wait_for_timeout(3000)  # Gradio reports the end of the run some time later
    assert "stopped" in page.status_text().lower()
    assert not page.page.locator("#live-result").is_visible()
    assert page.page.is_enabled("#run")


def test_deleting_my_data_stops_the_run_and_leaves_the_examples(page: AppPage, app: Any) -> None:
    page.load_example(0)
    page.choose_method("Tiny diffusion")
    page.set_number("steps", 200)
    page.page.click("#run")
    page.wait_status("step 3 of 200")
    page.page.click("#delete")
    page.wait_status("deleted")
    page.page.wait_for_timeout(3000)
    assert "deleted" in page.status_text()
    assert page.page.locator("#gallery img").count() == 0
    thumbnail = page.page.locator("#examples img").first
    assert fetch(thumbnail.get_attribute("src")).size, "the next visitor still sees the example"


def test_examples_have_names(page: AppPage) -> None:
    page.page.wait_for_function("document.querySelector('#examples img')?.alt.length > 3")
    names = [image.get_attribute("alt") for image in page.page.locator("#examples img").all()]
    assert len(set(names)) == len(names) == 12


def test_on_a_phone_editor_and_result_come_into_view(open_page: Any, app: Any) -> None:
    page = AppPage(open_page(app.url, viewport=(390, 844), touch=True))
    page.load_example(1)
    page.page.wait_for_timeout(1500)
    stage = page.page.locator(".pe-stage").bounding_box()
    assert stage["y"] >= 0 and stage["y"] + stage["height"] < 844 - 64
    page.run()
    page.page.wait_for_timeout(1500)
    result = page.page.locator("#result").bounding_box()
    assert 0 <= result["y"] < 400
