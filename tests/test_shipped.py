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
from reposedm.jobs import methods
from reposedm.jobs.detect import people_on
from reposedm.jobs.garment import landmarks_problem, parser_problem
from reposedm.jobs.methods import (
    capabilities,
    default_method,
    load_method,
    method_names,
    unavailable,
    unload_methods,
    warm_up,
    warm_up_beside,
)
from reposedm.pose import preset
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


def test_the_first_method_is_loaded_while_a_photo_is_looked_at() -> None:
    unload_methods()
    warm_up()
    assert (default_method(),) == tuple(methods._loaded)
    first = load_method(default_method())
    warm_up()
    assert load_method(default_method()) is first
    unload_methods()
    warm_up_beside().join()
    assert (default_method(),) == tuple(methods._loaded)
    unload_methods()


def test_a_person_is_reposed_by_the_networks_that_ship(tmp_path: Path) -> None:
    out, again, warped = (tmp_path / f"{name}.png" for name in ("out", "again", "warped"))
    command = ["repose", EXAMPLE, "--preset", "running", "--seed", "3", "-o"]
    for file, more in ((out, []), (again, []), (warped, ["--method", "preview"])):
        assert main([str(word) for word in [*command, file, *more]]) == 0
    made, photo = read_image(out).pixels, read_image(EXAMPLE).pixels
    assert made.shape == photo.shape
    assert np.array_equal(made, read_image(again).pixels)
    assert not np.array_equal(made, read_image(warped).pixels)  # limbs that no warp can show
    target = preset("running", body=people_on(photo)[0].pose)
    seen = people_on(made)[0].pose
    known = (target.state == 2) & (seen.state == 2)
    trunk = np.hypot(*(target.points[1] - target.points[[8, 11]].mean(0)))
    away = np.hypot(*(seen.points - target.points)[known].T)
    assert known.sum() >= 8 and (away < 0.25 * trunk).mean() > 0.6


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
