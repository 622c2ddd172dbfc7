"""The weights that ship: whole, small enough, the default, and able to repose a photograph."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.imaging import read_image
from reposedm.jobs.methods import capabilities, default_method, unavailable
from reposedm.pipelines import loading
from reposedm.weights import CONFIG, MANIFEST, WEIGHTS, check_manifest

ROOT = Path(__file__).parents[1]
SHIPPED = ROOT / "assets" / "weights"
EXAMPLE = ROOT / "assets" / "examples" / "yellow-tee.jpg"
MIB = 2**20

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def shipped(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("REPOSEDM_WEIGHTS")
    yield


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    known = {key: value for key, value in os.environ.items() if key != "REPOSEDM_WEIGHTS"}
    return subprocess.run(
        [sys.executable, "-m", "reposedm", *map(str, arguments)],
        cwd=ROOT, env=known, text=True, capture_output=True, check=False,
    )  # fmt: skip


def test_files_are_whole_and_small_enough() -> None:
    found = sorted(SHIPPED.rglob(WEIGHTS))
    assert found
    for file in found:
        check_manifest(file.parent, (CONFIG, WEIGHTS))
        assert (file.parent / MANIFEST).is_file()
    assert sum(file.stat().st_size for file in SHIPPED.rglob("*")) <= 30 * MIB


def test_tracked_files_stay_small() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    names = [name for name in listed.stdout.decode().split("\0") if name]
    assert sum((ROOT / name).stat().st_size for name in names) < 48 * MIB


def test_what_ships_is_the_default() -> None:
    assert default_method() == "reposedm"
    assert capabilities("reposedm") == loading.load_method("reposedm").capabilities
    assert not unavailable("reposedm")


def test_a_photograph_is_reposed_from_a_shell(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    done = run("repose", EXAMPLE, "--preset", "arms-spread", "-o", out, "--seed", "3")
    assert done.returncode == 0, done.stderr
    with Image.open(out) as opened:
        settings = json.loads(opened.text["reposedm"])["settings"]  # type: ignore[attr-defined]
        made = np.asarray(opened.convert("RGB"))
    assert settings["method"] == "reposedm"
    photo = read_image(EXAMPLE).pixels
    assert made.shape == photo.shape
    changed = (made != photo).any(2)
    assert 0.02 < changed.mean() < 0.9  # the person, not the picture
