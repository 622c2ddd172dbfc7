"""Hostile row C-77: what is wrong with a data set is counted, skipped and listed; nobody dies."""

import json
import multiprocessing
import os
import shutil
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from tests.hostile.images_by_hand import png
from tests.training import raw_data as raw
from training.data import DataError, EpochSampler, PairDataset, collate
from training.datasets.records import Options
from training.pictures import output_files, prepare_pictures
from training.prepare import prepare


def prepared(root: Path, **more: object) -> tuple[Path, dict[str, int]]:
    given = Options("deepfashion", root, root.parent / "out", **more)  # type: ignore[arg-type]
    return given.out, prepare(given, progress=False).skipped


@pytest.mark.parametrize("workers", [1, 2])
def test_c77_corrupt_pictures_are_counted_skipped_and_listed(workers: int, tmp_path: Path) -> None:
    raw.csv_tree(tmp_path / "raw")
    whole = tmp_path / "raw" / "fashion"
    data = (whole / raw.BACK).read_bytes()
    (whole / raw.BACK).write_bytes(data[: len(data) // 2])
    (whole / raw.SKIRT_FULL).write_bytes(b"<html>no</html>")
    (whole / raw.FRONT).write_bytes(png(13_000, 13_000, 1, 0, b"\0" * 1625))  # a bomb
    (whole / raw.MAN).unlink()
    (whole / raw.MAN).mkdir()  # a folder of that name
    with pytest.raises(DataError, match="no usable pair"):
        prepared(tmp_path / "raw", workers=workers)
    (whole / raw.FRONT).write_bytes(data)
    out, skipped = prepared(tmp_path / "raw", workers=workers)
    assert len(PairDataset(out)) == 1  # of front and side
    assert skipped["picture not found"] == 1
    assert skipped["pair of a picture that is not there"] == 2
    assert skipped["pair of a picture without a pose"] == 3
    listed = [json.loads(line) for line in (out / "skipped.jsonl").open()]
    broken = {entry["item"]: entry["reason"] for entry in listed}
    assert "damaged" in broken[raw.NAMES[raw.BACK]]
    assert "HTML" in broken[raw.NAMES[raw.SKIRT_FULL]] or "picture" in str(
        broken[raw.NAMES[raw.SKIRT_FULL]]
    )
    assert json.loads((out / "meta.json").read_bytes())["skipped"] == dict(sorted(skipped.items()))


def test_c77_missing_annotations_and_duplicated_pairs(tmp_path: Path) -> None:
    root = tmp_path / "raw"
    raw.csv_tree(root)
    train = root / "fashion" / "fasion-resize-pairs-train.csv"
    lines = train.read_text().splitlines()
    name = raw.NAMES[raw.SIDE]
    lines += [lines[1], lines[1], f"{name}.jpg,{name}.jpg", f"{name}.jpg,nobody.jpg", "half", ",,"]
    train.write_text("\r\n".join(lines))
    notes = root / "fashion" / "fasion-resize-annotation-train.csv"
    rows = notes.read_text().splitlines()
    del rows[1]  # of the back view
    rows += [rows[2], "x.jpg:[1,2]:[3,4]", "y.jpg:[oops", f"z.jpg:{[float('nan')] * 18}:{[1] * 18}"]
    notes.write_text("\n".join(rows))
    out, skipped = prepared(root)
    assert skipped == {
        "no pose annotation": 1,
        "duplicated pair": 2,
        "pair of a picture with itself": 1,
        "pair of a picture that is not there": 1,
        "picture not found": 1,
        "unreadable pair": 2,
        "unreadable pose annotation": 3,
        "annotated twice": 1,
        "pair of a picture without a pose": 2,
    }
    dataset = PairDataset(out)
    pairs = [(dataset[i].source_name, dataset[i].target_name) for i in range(len(dataset))]
    assert pairs == [p for p in raw.named_pairs("train") if raw.NAMES[raw.BACK] not in p]


@pytest.mark.parametrize(
    "text",
    ["", "1 2\n" * 17, "1 2\n" * 19, "1 2 3\n" * 18, "x y\n" * 18, "nan 1\n" * 18, "1e400 1\n" * 18,
     "1 2\n" * 50_000],
)  # fmt: skip
def test_c77_a_pose_file_that_is_none(text: str, tmp_path: Path) -> None:
    root = tmp_path / "raw"
    raw.txt(root)
    (root / "pose" / raw.FRONT.replace(".jpg", ".txt")).write_text(text)
    out, skipped = prepared(root)
    assert skipped == {
        "unreadable pose annotation": 1,
        "no pose annotation": 1,
        "pair of a picture without a pose": 1,
    }
    assert len(PairDataset(out)) == 3


def test_c77_a_killed_worker_loses_no_picture(tmp_path: Path) -> None:
    """The operating system kills a decoder (out of memory): everything is done all the same."""
    rows = {}
    for number in range(12):
        name = f"0001_c1s1_{number:06d}_01.jpg"
        raw.save(raw.picture(name, (640, 1280)), tmp_path / "raw" / "train" / name)
        rows[name] = [(20.0 + j, 10.0 + 6 * j) for j in range(18)]
    raw.write(tmp_path / "raw" / "market-annotation-train.csv", raw.annotation(rows))
    given = Options("market", tmp_path / "raw", tmp_path / "out", (128, 64), workers=2)
    given.out.mkdir()
    from training.datasets.market import listing

    tasks = output_files(list(listing(given).pictures.values()), "png")
    done = []
    for line in prepare_pictures(tasks, given):
        done.append(line)
        if len(done) == 1:
            os.kill(multiprocessing.active_children()[0].pid or 0, signal.SIGKILL)
    assert sorted(line["name"] for line in done) == sorted(rows_name[:-4] for rows_name in rows)
    assert all((given.out / line["file"]).is_file() for line in done if not line["problem"])
    assert not any(line["problem"] for line in done)


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.mark.parametrize("workers", [0, 2])
def test_c77_a_picture_lost_after_preparing_stops_no_worker(workers: int, tmp_path: Path) -> None:
    raw.csv_tree(tmp_path / "raw")
    out, _ = prepared(tmp_path / "raw")
    broken = out / "images" / "train" / f"{raw.NAMES[raw.BACK]}.png"
    broken.write_bytes(broken.read_bytes()[:2000])
    dataset = PairDataset(out, size=(64, 48))
    with pytest.warns(UserWarning, match="skipped pair"):
        sample = dataset[0]
    assert sample.source_name == raw.NAMES[raw.FRONT]  # the next pair without that picture
    plain = _Numbered(dataset)
    with quiet():
        loader = DataLoader(
            plain, batch_sampler=EpochSampler(4, 2), collate_fn=collate, num_workers=workers
        )
        batches = iter(loader)
        names = [name for _ in range(2) for name in next(batches).names]
    assert len(names) == 4 and not any(raw.NAMES[raw.BACK] in name for name in names)


class _Numbered:
    """A data set by keys, without augmentation."""

    def __init__(self, pairs: PairDataset) -> None:
        self.pairs = pairs

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: tuple[int, int]):
        return self.pairs[key[1]]


def test_c77_a_lost_disk_is_an_error_not_an_endless_search(tmp_path: Path) -> None:
    raw.csv_tree(tmp_path / "raw")
    out, _ = prepared(tmp_path / "raw")
    dataset = PairDataset(out)
    shutil.rmtree(out / "images")
    with quiet(), pytest.raises(DataError, match="still there"):
        dataset[0]


def test_c77_a_picture_of_another_size_is_not_trained_on(tmp_path: Path) -> None:
    raw.csv_tree(tmp_path / "raw")
    out, _ = prepared(tmp_path / "raw")
    swapped = out / "images" / "train" / f"{raw.NAMES[raw.BACK]}.png"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(swapped)
    with pytest.warns(UserWarning, match="32 x 32 pixels"):
        sample = PairDataset(out)[0]
    assert sample.source_name != raw.NAMES[raw.BACK]
