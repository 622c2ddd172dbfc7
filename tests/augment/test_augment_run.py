"""The run: what it writes, that a kill loses nothing, and that shards change nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.augment.ledger import COLUMNS, read_rows
from reposedm.augment.plan import from_lines
from reposedm.augment.run import augment
from reposedm.augment.settings import AugmentSettings
from reposedm.augment.shards import Shard
from reposedm.cli import main
from reposedm.errors import ArchiveError, SettingsError
from reposedm.imaging import is_marked, read_image
from reposedm.jobs.methods import unload_methods
from reposedm.jobs.progress import show
from reposedm.jobs.runtime import ACCELERATOR
from tests.augment.crowd import contents, write_crowd, zip_folder
from tests.methods import NAME as TINY
from tests.methods import install

pytestmark = pytest.mark.heavy  # runs, stopped and started again

ROOT = Path(__file__).parents[2]
QUICK = AugmentSettings(per_identity=5, masks="skeleton", poses="presets")
FLAGS = ["--per-identity", "5", "--masks", "skeleton", "--poses", "presets"]


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("crowd") / "set"
    write_crowd(folder, 2, 1, size=(24, 48))
    return folder


@pytest.fixture(scope="module")
def whole(crowd: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of a run that was not interrupted: 10 pictures, batches of 8 and 2."""
    out = tmp_path_factory.mktemp("whole") / "out"
    show(augment(crowd, out, QUICK))
    return out


@pytest.fixture(autouse=True)
def accelerator_is_given_back() -> Iterator[None]:
    yield
    assert not ACCELERATOR.locked()


def check_agreement(out: Path, expected: int) -> None:
    """Names, manifest, plan and images agree."""
    rows = read_rows(out / "manifest.csv")
    plan = from_lines((out / "plan.jsonl").read_bytes())
    assert len(rows) == len(plan) == expected
    for row, wish in zip(rows, plan, strict=True):
        assert (row["name"], row["source"], row["pose"]) == (wish.name, wish.source, wish.pose)
        assert (row["identity"], row["camera"]) == (wish.identity, str(wish.camera))
        assert row["seed"] == str(wish.seed)
        assert row["name"].startswith(f"{row['identity']}_c{row['camera']}s1_")
        assert row["kept"] == "yes", row["reason"]
        data = (out / row["name"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == row["sha256"]
        assert is_marked(read_image(data, min_side=1))
    pictures = {path.name for path in out.glob("*.png")}
    assert pictures == {row["name"] for row in rows}
    assert {path.name for path in out.iterdir()} - pictures == {
        "run.json", "poses.jsonl", "plan.jsonl", "manifest.csv", "report.html"
    }  # fmt: skip


def test_names_manifest_and_images_agree(whole: Path, crowd: Path) -> None:
    check_agreement(whole, 10)
    assert (whole / "manifest.csv").read_text().splitlines()[0] == ",".join(COLUMNS)
    row = read_rows(whole / "manifest.csv")[0]
    source = read_image(crowd / row["source"], min_side=16).pixels
    made = read_image(whole / row["name"], min_side=16).pixels
    assert made.shape == source.shape
    changed = np.abs(made.astype(int) - source).max(2) > 8
    assert 0.02 < changed.mean() < 0.8, "the arms moved, the background stayed"
    page = (whole / "report.html").read_text("utf-8")
    assert "10 of 10 planned pictures" in page and "Market-1501" in page
    assert page.count("data:image/jpeg") == 12 and "http" not in page


@pytest.mark.parametrize("steps", [1, 5, 12])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(
    steps: int, crowd: Path, whole: Path, tmp_path: Path
) -> None:
    work = augment(crowd, tmp_path / "out", QUICK)
    for _ in range(steps):
        next(work)
    work.close()
    show(augment(crowd, tmp_path / "out", QUICK, resume=True))
    assert contents(tmp_path / "out") == contents(whole)


def test_torn_lost_and_changed_files_are_made_again(
    crowd: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    for name, data in contents(whole).items():
        (out / name).write_bytes(data)
    manifest = out / "manifest.csv"
    manifest.write_bytes(manifest.read_bytes()[:-37])  # a row of the second batch, cut
    first, second = (row["name"] for row in read_rows(whole / "manifest.csv")[:2])
    (out / first).unlink()
    (out / second).write_bytes(b"something else")
    (out / ".left.tmp").write_bytes(b"half a picture")
    (out / "report.html").unlink()
    show(augment(crowd, out, QUICK, resume=True))
    assert contents(out) == contents(whole)
    again = contents(out)
    assert show(augment(crowd, out, QUICK, resume=True)).kept == 10
    assert contents(out) == again, "a finished run is left as it is"


@pytest.mark.heavy
def test_a_process_killed_at_any_moment_loses_nothing(
    crowd: Path, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "reposedm", "augment", str(crowd), str(out), *FLAGS]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    moment = time.time_ns() % 4  # anywhere in the first batch
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if len(list(out.glob("*.png"))) >= moment:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    process.wait()
    assert main(["augment", str(crowd), str(out), *FLAGS, "--resume"]) == 0
    assert contents(out) == contents(whole)


@pytest.mark.heavy
def test_shards_make_the_same_bytes(crowd: Path, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    running = [augment(crowd, out, QUICK, shard=Shard(index, 3)) for index in (2, 0, 1)]
    deadline = time.monotonic() + 120
    while running and time.monotonic() < deadline:
        for work in list(running):
            try:
                next(work)
            except StopIteration as stop:
                assert stop.value.kept == 10
                running.remove(work)
    assert not running
    assert contents(out) == contents(whole)


def test_a_zip_gives_what_its_folder_gives(crowd: Path, whole: Path, tmp_path: Path) -> None:
    data = zip_folder(crowd, tmp_path / "crowd.zip").read_bytes()
    show(augment(data, tmp_path / "out", QUICK))
    one, two = (read_rows(folder / "manifest.csv") for folder in (whole, tmp_path / "out"))
    assert [row["name"] for row in one] == [row["name"] for row in two]
    assert [f"crowd/{row['source']}" for row in one] == [row["source"] for row in two]


def test_bad_pictures_and_joints_are_skipped_and_named(crowd: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for path in crowd.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "0003_c1s1_000001_00.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "0003_c2s1_000001_00.png").write_bytes(
        (folder / "0001_c1s1_000001_00.png").read_bytes()
    )
    (folder / "0003_c2s1_000001_00.json").write_text("{}")
    settings = AugmentSettings(per_identity=1, masks="skeleton", poses="presets")
    summary = show(augment(folder, tmp_path / "out", settings))
    assert summary.planned == summary.kept == 2
    assert sorted(reason.split(":")[0][:19] for reason in summary.unposed) == [
        "0003_c2s1_000001_00", "The file is damaged"
    ]  # fmt: skip


def test_a_run_goes_on_only_with_what_it_was_begun_with(
    crowd: Path, whole: Path, tmp_path: Path
) -> None:
    before = contents(whole)
    for settings, words in (
        (replace(QUICK, per_identity=4), "begun with per_identity 5, not 4"),
        (replace(QUICK, seed=2), "begun with seed 0, not 2"),
    ):
        with pytest.raises(SettingsError, match=words):
            show(augment(crowd, whole, settings, resume=True))
    with pytest.raises(SettingsError, match="is not empty: add --resume"):
        show(augment(crowd, whole, QUICK))
    fewer = tmp_path / "set"
    write_crowd(fewer, 1, 1, size=(24, 48))
    with pytest.raises(SettingsError, match="begun with set"):
        show(augment(fewer, whole, QUICK, resume=True))
    (tmp_path / "file.txt").write_text("mine")
    with pytest.raises(SettingsError, match="holds no run"):
        show(augment(crowd, tmp_path, QUICK, resume=True))
    kept = contents(whole)
    kept.pop(".lock-00000", None)
    assert kept == before


@pytest.mark.heavy
def test_a_stochastic_method_draws_from_the_plan_s_seeds(
    crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "weights", monkeypatch)
    settings = replace(QUICK, method=TINY, steps=2)
    show(augment(crowd, tmp_path / "one", settings))
    work = augment(crowd, tmp_path / "two", settings)
    for _ in range(20):  # in the middle of a picture
        next(work)
    work.close()
    show(augment(crowd, tmp_path / "two", settings, resume=True))
    unload_methods()
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    rows = read_rows(tmp_path / "one" / "manifest.csv")
    assert len({row["sha256"] for row in rows}) == 10 and len(rows[0]["weights"]) == 16
    assert {row["method"] for row in rows} == {TINY}
    (tmp_path / "weights" / TINY / "tiny.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(SettingsError, match="begun with weights"):
        show(augment(crowd, tmp_path / "one", settings, resume=True))


@pytest.mark.heavy
def test_the_paper_s_method_makes_pictures_of_the_source_s_size(
    crowd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.pipelines.tiny import tiny_reposedm

    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path / "weights"))
    unload_methods()
    tiny_reposedm(steer=False).save_pretrained(tmp_path / "weights" / "reposedm")
    settings = replace(QUICK, method="reposedm", steps=2, per_identity=2)
    first = augment(crowd, tmp_path / "one", settings, shard=Shard(0, 2))
    other = augment(crowd, tmp_path / "one", settings, shard=Shard(1, 2))
    running, deadline = [first, other], time.monotonic() + 240
    while running and time.monotonic() < deadline:
        for work in list(running):
            if next(work, None) is None:
                running.remove(work)
    unload_methods()
    rows = read_rows(tmp_path / "one" / "manifest.csv")
    assert [row["kept"] for row in rows] == ["yes"] * 4
    made = [read_image(tmp_path / "one" / row["name"], min_side=16).pixels for row in rows]
    assert {picture.shape for picture in made} == {(48, 24, 3)}
    assert len({row["sha256"] for row in rows}) == 4 and len(rows[0]["weights"]) == 16
    asked = json.loads((tmp_path / "one" / "run.json").read_text())
    assert asked["method"] == "reposedm" and asked["dtype"] and asked["steps"] == 2


WRONG = {
    "absent out": "absent cannot be read: No such file",
    "set/0001_c1s1_000001_00.json out": "not a zip",
    "set out --per-identity 0": "must be a whole number from 1 to 1000",
    "set out --seed -1": "the seed must be a whole number",
    "set out --method magic": "there is no method 'magic'",
    "set out --poses nowhere.json": "there is no file nowhere.json",
    "set out --poses set/0001_c1s1_000001_00.png": "not a zip",
    "set out --reid-weights x": "switch it on",
    "set out --steps 3": "means nothing to the method",
    "set out --masks magic": "masks come from segment or skeleton",
    "set set/0001_c1s1_000001_00.png": "is a file: name a folder",
    "set set": "lies in the set of pictures itself",
    "set set/new": "lies in the set of pictures itself",
    "set full": "full is not empty",
    "empty out": "no files in the folder",
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_in_one_line(
    line: str,
    crowd: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    (tmp_path / "set").symlink_to(crowd)
    monkeypatch.chdir(tmp_path)
    before = contents(crowd)
    assert main(["augment", *line.split()]) == 2
    said = capsys.readouterr().err.splitlines()
    assert said[-1].startswith("reposedm: ") and WRONG[line] in said[-1]
    assert not any("Traceback" in text for text in said)
    assert contents(crowd) == before


def test_a_set_that_shows_nobody_stops(tmp_path: Path) -> None:
    for index in range(3):
        path = tmp_path / "set" / "anna" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"no picture")
    with pytest.raises(ArchiveError, match="3 of 3 pictures cannot be used"):
        show(augment(tmp_path / "set", tmp_path / "out", QUICK))


def test_what_a_launcher_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Shard.from_environment({}) == Shard(0, 1, 0)
    said = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}
    assert Shard.from_environment(said) == Shard(5, 8, 1)
    assert Shard(1, 3).own(list(range(8))) == [1, 4, 7]
    for wrong in ({"RANK": "2", "WORLD_SIZE": "2"}, {"RANK": "x"}):
        with pytest.raises(SettingsError):
            Shard.from_environment(wrong)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_sixty_identities_of_four_pictures_in_a_zip(tmp_path: Path) -> None:
    write_crowd(tmp_path / "set", 60, 4)
    source = zip_folder(tmp_path / "set", tmp_path / "set.zip")
    flags = ["--per-identity", "1", "--masks", "skeleton"]
    out, again = tmp_path / "out", tmp_path / "again"
    assert main(["augment", str(source), str(out), *flags]) == 0
    check_agreement(out, 60)
    command = [sys.executable, "-m", "reposedm", "augment", str(source), str(again), *flags]
    for wanted in (10, 35):
        process = subprocess.Popen(
            [*command, "--resume"], cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ}
        )
        while process.poll() is None and len(list(again.glob("*.png"))) < wanted:
            time.sleep(0.01)
        process.kill()
        process.wait()
    assert main(["augment", str(source), str(again), *flags, "--resume"]) == 0
    assert contents(again) == contents(out)
    assert json.loads((out / "run.json").read_text())["per_identity"] == 1
    assert Image.open(next(out.glob("*.png"))).size == (32, 64)
