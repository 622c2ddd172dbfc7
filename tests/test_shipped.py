"""The weights that ship: whole, small enough, used by default, and of use."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.cli import main
from reposedm.imaging import read_image
from reposedm.jobs.garment import landmarks_problem, parser_problem
from reposedm.jobs.methods import (
    capabilities,
    default_method,
    load_method,
    method_names,
    unavailable,
)
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


def test_whatever_ships_whole_is_used() -> None:
    assert not parser_problem() and not landmarks_problem()
    for task in ("repose", "swap"):
        best = next(name for name in method_names(task) if not unavailable(name, task))
        assert default_method(task) == best
        assert load_method(best, task).capabilities == capabilities(best, task)
        for name in method_names(task):  # what does not ship says how to get it
            assert not (reason := unavailable(name, task)) or "python -m" in reason


def test_a_product_picture_is_put_on_with_the_networks_that_ship(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, mask = tmp_path / "out.png", tmp_path / "mask.png"
    garment = EXAMPLE.with_name("product-cardigan.jpg")
    command = ["swap", EXAMPLE, garment, "--region", "top", "-o", out, "--save-mask", mask]
    assert main([str(word) for word in command]) == 0
    assert "guessed" not in capsys.readouterr().err  # labels and landmarks are the networks'
    photo, made = read_image(EXAMPLE).pixels, read_image(out).pixels
    with Image.open(mask) as opened:
        inside = np.asarray(opened.convert("L")) > 0
    assert made.shape == photo.shape
    assert np.array_equal(made[~inside], photo[~inside])
    yellow = np.abs(photo.astype(int) - (225, 190, 60)).max(2) < 40  # the old T-shirt
    assert yellow.sum() > 10_000
    assert (np.abs(made.astype(int) - (225, 190, 60)).max(2) < 40).sum() < 0.05 * yellow.sum()
