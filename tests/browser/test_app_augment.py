"""The augmentation tab in a real browser: a zip in; table, preview, zip and report out."""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.augment.crowd import write_crowd, zip_folder

pytestmark = [pytest.mark.browser]


def wait_status(page: Any, text: str, seconds: float = 90) -> None:
    page.wait_for_function(
        "text => document.querySelector('#augment-status').innerText.includes(text)",
        arg=text, timeout=seconds * 1000,
    )  # fmt: skip


def test_a_zip_goes_through_the_tab(open_page: Any, app: Any, tmp_path: Path) -> None:
    names = write_crowd(tmp_path / "set", 2, 2, size=(24, 48))
    (tmp_path / "set" / "<b>loud<b>.txt").write_text("hello")
    source = zip_folder(tmp_path / "set", tmp_path / "set.zip")
    page = open_page(app.url)
    page.get_by_role("tab", name="Re-ID augmentation").click()
    assert page.locator("#augment-folder input, #augment-folder textarea").is_visible()
    page.click("#augment-run")
    page.wait_for_selector(".toast-body")
    assert "upload a zip" in page.inner_text(".toast-body")
    page.set_input_files("#augment-zip input[type=file]", str(source))
    wait_status(page, "4 pictures of 2 identities")
    table = page.inner_text("#augment-table")
    assert "Market-1501" in table and "2: c1 2, c2 2" in table and "not a picture" in table
    assert page.locator("#augment-table b").count() == 0, "a file's name is never markup"
    page.locator("#augment-masks label", has_text="Quick").click()
    page.locator("#augment-count input[type=number]").fill("2")
    page.locator("#augment-count input[type=number]").press("Tab")
    page.click("#augment-preview")
    wait_status(page, "Preview of 4 pictures")
    assert page.locator("#augment-sheet img").count() == 1
    page.click("#augment-run")
    wait_status(page, "Done: 4 of 4 pictures")
    with page.expect_download() as download:
        page.click("#augment-download")
    file = tmp_path / "result.zip"
    download.value.save_as(file)
    with zipfile.ZipFile(file) as made:
        manifest = made.read("augmented/manifest.csv").decode()
        rows = list(csv.DictReader(io.StringIO(manifest)))
        pictures = {name for name in made.namelist() if name.endswith(".png")}
        assert pictures == {f"augmented/{row['name']}" for row in rows}
        for row in rows:
            data = made.read(f"augmented/{row['name']}")
            assert hashlib.sha256(data).hexdigest() == row["sha256"]
            assert row["source"].removeprefix("crowd/") in names
        assert b"<h1>Augmentation</h1>" in made.read("augmented/report.html")
    page.click("#augment-delete")
    wait_status(page, "were deleted")
    assert page.locator("#augment-sheet img").count() == 0
