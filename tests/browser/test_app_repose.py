"""The Repose tab in a real browser: photo in, joints dragged, picture out."""

from __future__ import annotations

import io
import re
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_page import EXAMPLES, AppPage
from PIL import Image

from reposedm.imaging import is_marked, read_image, read_settings

pytestmark = [pytest.mark.browser, pytest.mark.models]
R_WRIST = 4


@pytest.fixture
def page(open_page: Any, app: Any) -> AppPage:
    return AppPage(open_page(app.url))


def fetch(url: str) -> Image.Image:
    with urllib.request.urlopen(url) as answer:
        return Image.open(io.BytesIO(answer.read()))


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB")).astype(int)


def test_a_dragged_joint_moves_the_arm_in_the_picture(page: AppPage) -> None:
    page.load_example(0)
    page.command("resetAll")
    photo = pixels(Image.open(EXAMPLES / "breton-stripes.jpg"))
    before = page.at(R_WRIST)
    page.drag_joint(R_WRIST, -110, -330)
    after = page.at(R_WRIST)
    assert abs(after[0] - before[0] + 110) <= 3
    assert abs(after[1] - before[1] + 330) <= 3
    page.run()
    result = pixels(fetch(page.result_urls()[1]))
    assert result.shape == photo.shape, "the result has the photo's own size"
    x, y = (round(value) for value in after)
    spot = np.s_[y - 6 : y + 6, x - 6 : x + 6]
    moved = np.abs(result[spot] - photo[spot]).mean()
    assert moved > 25, "where the wrist went there was backdrop, and now there is an arm"
    assert np.array_equal(result[:40, :40], photo[:40, :40]), "far from both it is the photo"


def test_an_example_shows_its_result_at_once(page: AppPage) -> None:
    page.load_example(2)
    page.page.wait_for_selector("#result img")
    before, after = (pixels(fetch(url)) for url in page.result_urls()[:2])
    assert before.shape == after.shape
    assert np.abs(before - after).max() > 60


def test_upload_detects_and_keeps_the_edits_of_the_same_photo(page: AppPage) -> None:
    page.upload(EXAMPLES / "number-shirt.jpg")
    x, y = page.at(R_WRIST)
    assert 100 < x < 400
    assert 400 < y < 700, "mediapipe found the right wrist of the man in the number shirt"


def test_result_png_carries_pose_settings_and_mark(page: AppPage, tmp_path: Path) -> None:
    page.load_example(1)
    page.run()
    with page.page.expect_download() as download:
        page.page.click("#download")
    file = tmp_path / download.value.suggested_filename
    download.value.save_as(file)
    assert re.fullmatch(r"reposedm-preview-.*\.png", file.name), file.name
    settings, _ = read_settings(file)
    assert settings is not None
    assert settings["method"] == "preview"
    assert is_marked(read_image(file))
    page.settings()
    page.page.set_input_files("#settings-file input[type=file]", str(file))
    page.wait_status("settings found")
    page.page.click("#settings-apply")
    page.wait_status("settings applied")


def test_steps_previews_and_gallery_of_a_stepwise_method(page: AppPage) -> None:
    page.load_example(0)
    page.choose_method("Tiny diffusion")
    page.set_number("steps", 12)
    page.set_number("count", 2)
    page.page.click("#run")
    page.wait_status("step 3 of 12")
    page.page.wait_for_selector("#live-result img")
    covered = page.page.evaluate(
        """() => { const box = document.querySelector('.pe-svg').getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        return !top.closest('#editor'); }"""
    )
    assert not covered, "previews and progress must not cover the editor"
    page.wait_status("done in", 90)
    assert page.page.locator("#gallery img").count() == 2
    first = page.page.input_value("#seed input")
    assert re.search(rf"seed {first}, {int(first) + 1}", page.status_text())


def test_stop_stops_within_a_step_and_nothing_is_lost(page: AppPage, app: Any) -> None:
    page.load_example(0)
    page.choose_method("Tiny diffusion")
    page.set_number("steps", 200)
    wrist = page.at(R_WRIST)
    closed = app.log.read_text("utf-8").count("CLOSED AT")
    page.page.click("#run")
    page.wait_status("step 5 of 200")
    page.page.click("#stop")
    page.wait_status("stopped")
    page.page.wait_for_timeout(1500)
    lines = [line for line in app.log.read_text("utf-8").splitlines() if "CLOSED AT" in line]
    assert len(lines) == closed + 1
    assert int(lines[-1].split()[-1]) < 60, "it stopped soon after Stop, not at the end"
    assert page.at(R_WRIST) == wrist
    page.choose_method("Preview")
    page.run()


def test_use_as_photo_and_load_pose(page: AppPage) -> None:
    page.load_example(1)
    page.run()
    posed = page.at(R_WRIST)
    page.command("resetAll")
    assert page.at(R_WRIST) != posed
    page.page.click("#load-pose")
    page.wait_status("pose of this result")
    page.page.wait_for_timeout(500)
    assert np.allclose(page.at(R_WRIST), posed, atol=1)
    page.page.click("#reuse")
    page.wait_status("drag the joints")
    page.page.wait_for_timeout(500)
    assert np.allclose(page.at(R_WRIST), posed, atol=1), "the result's pose is known"


def test_pose_of_another_photo_is_taken_over(page: AppPage) -> None:
    page.load_example(0)
    page.command("resetAll")
    before = page.points()
    page.page.get_by_text("More ways to get a pose").click()
    page.page.set_input_files(
        "#pose-photo input[type=file]", str(EXAMPLES / "check-shirt-walking.jpg")
    )
    page.wait_status("other photo's pose")
    page.page.wait_for_timeout(500)
    after = page.points()
    assert np.abs(np.subtract(before, after)).max() > 20


def test_live_preview_answers_while_dragging(page: AppPage) -> None:
    page.load_example(0)
    page.command("resetAll")
    page.drag_joint(R_WRIST, -120, -250, up=False)
    page.page.wait_for_function(
        "() => [...document.querySelectorAll('#editor image')].some("
        "i => (i.getAttribute('href') || '').startsWith('data:image/jpeg'))",
        timeout=20_000,
    )
    page.page.mouse.up()


def test_delete_my_data_empties_the_page(page: AppPage) -> None:
    page.load_example(0)
    page.run()
    page.page.click("#delete")
    page.wait_status("deleted")
    page.page.wait_for_timeout(500)
    assert page.page.locator(".pe-joint").count() == 0
    assert page.page.locator("#gallery img").count() == 0


@pytest.mark.parametrize("size", [(360, 740), (820, 1180)])
def test_no_sideways_scrolling(open_page: Any, app: Any, size: tuple[int, int]) -> None:
    page = AppPage(open_page(app.url, viewport=size, touch=True))
    page.load_example(0)
    width = page.page.evaluate("document.documentElement.scrollWidth")
    assert width <= size[0] + 1
