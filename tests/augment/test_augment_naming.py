"""File names of re-identification sets, and the names of what is made of them."""

from __future__ import annotations

import pytest

from reposedm.augment.naming import DUKE, FOLDERS, MARKET, MSMT, understand
from reposedm.imaging.archive import Member


def member(path: str) -> Member:
    *folders, name = path.split("/")
    return Member(name, tuple(folders), path)


def table(*paths: str) -> tuple[str, list[tuple[str, int, int, str]], dict[str, str]]:
    found = understand([member(path) for path in paths])
    shots = [(shot.identity, shot.pid, shot.camera, shot.stem) for shot in found.shots]
    return found.kind, shots, {one.name: one.reason for one in found.skipped}


@pytest.mark.parametrize(
    ("kind", "path", "shot"),
    [
        (MARKET, "a/0002_c1s1_000451_03.jpg", ("0002", 2, 1, "0002_c1s1_000451_03")),
        (MARKET, "1501_c6s4_012345_02.jpg.jpg", ("1501", 1501, 6, "1501_c6s4_012345_02")),
        (DUKE, "0001_c2_f0046182.jpg", ("0001", 1, 2, "0001_c2s1_046182_00")),
        (MSMT, "train/0000/0000_000_01_0303morning_0015_0.jpg",
         ("0000", 0, 1, "0000_c1s1_000015_00")),
        (FOLDERS, "people/anna/IMG 7.jpg", ("anna", 1, 1, "0001_c1s1_000001_00")),
        (FOLDERS, "0042/x.png", ("0042", 42, 1, "0042_c1s1_000001_00")),
    ],
)  # fmt: skip
def test_each_kind_of_name_is_read(kind: str, path: str, shot: tuple[str, int, int, str]) -> None:
    found, shots, skipped = table(path)
    assert (found, shots, skipped) == (kind, [shot], {})


def test_sequences_of_msmt_are_counted_by_their_time() -> None:
    names = ["0003_000_01_0303morning_0015_0", "0003_001_14_0302noon_0100_1"]
    _, shots, _ = table(*(f"train/0003/{name}.jpg" for name in names))
    assert [stem for *_, stem in shots] == ["0003_c1s2_000015_00", "0003_c14s1_000100_01"]


def test_folders_are_numbered_in_the_order_of_their_names() -> None:
    _, shots, _ = table("s/bert/1.jpg", "s/anna/2.jpg", "s/anna/1.jpg", "s/\u00c9mile/1.jpg")
    assert [(who, pid, stem) for who, pid, _, stem in shots] == [
        ("anna", 1, "0001_c1s1_000001_00"), ("anna", 1, "0001_c1s1_000002_00"),
        ("bert", 2, "0002_c1s1_000001_00"), ("\u00c9mile", 3, "0003_c1s1_000001_00"),
    ]  # fmt: skip


def test_only_the_training_part_of_a_set_is_used() -> None:
    _, shots, skipped = table(
        "m/bounding_box_train/0002_c1s1_000451_03.jpg", "m/query/0001_c1s1_000001_00.jpg",
        "m/bounding_box_test/0003_c1s1_000001_00.jpg",
    )  # fmt: skip
    assert [pid for _, pid, *_ in shots] == [2]
    assert set(skipped.values()) == {"a test picture: only training is augmented"}


def test_our_own_results_are_not_augmented_again() -> None:
    _, shots, skipped = table("0002_c1s1_000451_03.jpg", "0002_c1s1_000451_03_g1.png")
    assert len(shots) == 1
    assert skipped == {"0002_c1s1_000451_03_g1.png": "made by an earlier augmentation"}


def test_the_table_counts_cameras_and_identities() -> None:
    found = understand([member(f"000{p}_c{c}s1_000001_00.jpg") for p in (1, 2) for c in (3, 5)])
    assert found.cameras == {3: 2, 5: 2}
    assert {pid: len(own) for pid, own in found.identities.items()} == {1: 2, 2: 2}
