"""Preparing: once is enough, a kill costs nothing, and the index is what was written."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.training import raw_data as raw
from training.data import DataError, PairDataset, open_dataset
from training.datasets.records import Options
from training.pictures import output_files, read_progress
from training.prepare import main, prepare

ROOT = Path(__file__).parents[2]


def fashion(root: Path) -> Path:
    raw.csv_tree(root / "raw")
    return root / "raw"


def options(root: Path, out: str = "out", **more: object) -> Options:
    return Options("deepfashion", root, root.parent / out, **more)  # type: ignore[arg-type]


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    given = options(fashion(tmp_path))
    first = prepare(given, progress=False)
    before = raw.snapshot(given.out)
    second = prepare(given, progress=False)
    assert first.changed and not second.changed
    assert raw.snapshot(given.out) == before
    assert "nothing was written" in str(second)
    assert second.pairs == {"train": 4, "test": 2} and second.pictures == {"train": 5, "test": 2}


def test_processes_and_one_process_give_the_same_bytes(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    for out, workers in (("one", 1), ("two", 2)):
        prepare(options(root, out, workers=workers), progress=False)
    assert raw.contents(tmp_path / "one") == raw.contents(tmp_path / "two")


def many(root: Path, count: int) -> Path:
    """A Market with ``count`` pictures, slow enough to be interrupted."""
    rows = {}
    for number in range(count):
        name = f"{number // 4 + 1:04d}_c1s1_{number:06d}_01.jpg"
        raw.save(raw.picture(name, (640, 1280)), root / "train" / name)
        rows[name] = [(20.0 + j, 10.0 + 6 * j) for j in range(18)]
    raw.write(root / "market-annotation-train.csv", raw.annotation(rows))
    return root


def test_killed_and_run_again_is_as_if_nothing_had_happened(tmp_path: Path) -> None:
    root, out = many(tmp_path / "raw", 48), tmp_path / "out"
    arguments = ["market", "--root", str(root), "--size", "256x128", "--workers", "2"]
    command = [sys.executable, "-m", "training.prepare", *arguments, "--out", str(out)]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(read_progress(out / "progress.jsonl")) < 3 and time.monotonic() < deadline:
        assert process.poll() is None, "it was done before it could be killed"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(read_progress(out / "progress.jsonl"))
    assert 3 <= done < 48 and not (out / "meta.json").exists()
    with pytest.raises(DataError, match="not a prepared data set"):
        PairDataset(out)
    time.sleep(0.5)  # the workers end with their parent
    # The moment of the kill is luck: add the worst that it can leave behind.
    with open(out / "progress.jsonl", "ab") as file:
        file.write(b'{"name": "0001_c1s1_0000')
    (out / "images" / "train" / ".half.tmp").write_bytes(b"\x89PNG")
    kept = raw.snapshot(out / "images")
    assert main([*arguments, "--out", str(out)]) == 0
    assert main([*arguments, "--out", str(tmp_path / "whole")]) == 0
    assert raw.contents(out) == raw.contents(tmp_path / "whole")
    after = raw.snapshot(out / "images")
    lines = (out / "progress.jsonl").read_bytes().splitlines()
    assert len(lines) == 48 + 1  # the broken one, and none done twice
    assert sum(after[name] == kept[name] for name in kept if name in after) >= done


def test_only_what_has_changed_is_done_again(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    given = options(root)
    prepare(given, progress=False)
    before = raw.snapshot(given.out)
    raw.save(raw.picture("another"), root / "fashion" / raw.SIDE)
    report = prepare(given, progress=False)
    after = raw.snapshot(given.out)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {
        f"images/train/{raw.NAMES[raw.SIDE]}.png", "images.jsonl", "meta.json", "progress.jsonl",
    }  # fmt: skip
    assert report.changed


def test_a_picture_that_was_lost_is_made_again(tmp_path: Path) -> None:
    given = options(fashion(tmp_path))
    prepare(given, progress=False)
    file = given.out / "images" / "train" / f"{raw.NAMES[raw.BACK]}.png"
    data = file.read_bytes()
    file.unlink()
    prepare(given, progress=False)
    assert file.read_bytes() == data


def test_one_folder_holds_one_data_set(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    prepare(options(root), progress=False)
    for other in ({"size": (128, 64)}, {"image_format": "jpg"}):
        with pytest.raises(DataError, match="holds another data set"):
            prepare(options(root, **other), progress=False)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.doc").write_text("x")
    with pytest.raises(DataError, match="is not empty"):
        prepare(options(root, "full"), progress=False)
    with pytest.raises(DataError, match="there is no folder"):
        prepare(options(tmp_path / "nowhere"), progress=False)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    given = options(fashion(tmp_path))
    given.out.mkdir()
    with open(given.out / "prepare.lock", "ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another preparation"):
            prepare(given, progress=False)
    prepare(given, progress=False)


def test_the_prepared_folder_may_lie_inside_the_raw_one(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    given = Options("deepfashion", root, root / "prepared")
    prepare(given, progress=False)
    assert not prepare(given, progress=False).changed
    assert len(PairDataset(root / "prepared")) == 4


def test_jpeg_is_an_option(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    prepare(options(root, "png"), progress=False)
    prepare(options(root, "jpg", image_format="jpg"), progress=False)
    a, b = (PairDataset(tmp_path / kind)[0] for kind in ("png", "jpg"))
    assert np.abs(a.source_image.astype(int) - b.source_image).mean() < 2
    assert {p.suffix for p in (tmp_path / "jpg" / "images" / "train").iterdir()} == {".jpg"}


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = fashion(tmp_path)
    (root / "fashion" / raw.FRONT).write_bytes(b"")
    command = ["deepfashion", "--root", str(root), "--out", str(tmp_path / "out")]
    assert main([*command, "--size", "128x64", "--workers", "1"]) == 0
    out, err = capsys.readouterr()
    assert "train: 4 pictures, 3 pairs" in out and "test: 2 pictures, 2 pairs" in out
    assert "1 x pair of a picture without a pose" in out
    assert "7/7" in err  # the bar
    assert main([*command, "--size", "big"]) == 2
    assert main([*command, "--size", "100x64"]) == 2
    assert main(["market", "--root", str(root), "--out", str(tmp_path / "no")]) == 2
    err = capsys.readouterr().err
    assert err.count("prepare: ") == 3 and "Traceback" not in err


def test_no_pair_at_all_is_an_error_with_the_report(tmp_path: Path) -> None:
    root = fashion(tmp_path)
    for path in (root / "fashion").glob("*annotation*"):
        path.unlink()
    with pytest.raises(DataError, match="no usable pair") as error:
        prepare(options(root), progress=False)
    assert "7 x no pose annotation" in str(error.value)


def test_an_index_that_was_changed_is_refused(tmp_path: Path) -> None:
    given = options(fashion(tmp_path))
    prepare(given, progress=False)
    meta = json.loads((given.out / "meta.json").read_bytes())
    assert meta["splits"]["train"] == {"pictures": 5, "pairs": 4, "persons": 2}
    with pytest.raises(DataError, match="prepared from deepfashion"):
        open_dataset("market", given.out)
    with pytest.raises(DataError, match="no pairs of the split"):
        PairDataset(given.out, "val")
    pairs = given.out / "pairs-train.jsonl"
    text = pairs.read_text()
    pairs.write_text(text.replace("[", "[1", 1))
    with pytest.raises(DataError, match="was changed or is incomplete"):
        PairDataset(given.out)
    pairs.write_text(text)
    assert len(PairDataset(given.out, size=(64, 32))) == 4
    assert PairDataset(given.out, size=(64, 32))[0].size == (64, 32)
    (given.out / "meta.json").write_text(json.dumps({**meta, "version": 2}))
    with pytest.raises(DataError, match="another version"):
        PairDataset(given.out)
    (given.out / "meta.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        PairDataset(given.out)


def test_files_are_safe_and_unique_whatever_pictures_are_called() -> None:
    from training.datasets.records import Picture

    names = ["a/b.jpg", "a-b.jpg", "A-B.jpg", "../../x.png", "ü.jpg", "ö.jpg", "l" * 300, "a-b.png"]
    tasks = output_files([Picture(name, "", "p", "train") for name in names], "png")
    files = [file for _, file in tasks]
    assert len({file.lower() for file in files}) == len(names)
    assert all(file.startswith("images/train/") and file.count("/") == 2 for file in files)
    assert all(len(os.path.basename(file)) < 110 and ".." not in file for file in files)
