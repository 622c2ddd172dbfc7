"""Names and folders of Market-1501."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.training.reid.small_market import write_market
from training.reid.market import (
    DISTRACTOR,
    GALLERY,
    JUNK,
    QUERY,
    TRAIN,
    pixels_of,
    read_generated,
    read_market,
    shot_of,
)
from training.sample import DataError


@pytest.mark.parametrize(
    ("name", "person", "camera", "made"),
    [
        ("0002_c1s1_000451_03.jpg", 2, 1, 0),
        ("1501_c6s4_001877_01.jpg", 1501, 6, 0),
        ("-1_c3s2_106418_01.jpg", JUNK, 3, 0),
        ("0000_c2s3_060702_02.jpg", DISTRACTOR, 2, 0),
        ("0002_c1s1_000451_03_g12.png", 2, 1, 12),
        ("1488_c3s3_089203_01.jpg.jpg", 1488, 3, 0),
    ],
)
def test_a_name_says_who_and_where(name: str, person: int, camera: int, made: int) -> None:
    shot = shot_of(Path(name))
    assert shot is not None
    assert (shot.person, shot.camera, shot.made) == (person, camera, made)
    assert shot.source == "_".join(name.split(".", maxsplit=1)[0].split("_")[:4])


@pytest.mark.parametrize(
    "name", ["Thumbs.db", "0002_c1s1_000451_03.txt", "0002_c1_f000451.jpg", "x0002_c1s1_1_1.jpg",
             "0002_c1s1_000451_03_g.jpg", "-2_c1s1_000451_03.jpg"],
)  # fmt: skip
def test_other_names_are_nobody(name: str) -> None:
    assert shot_of(Path(name)) is None


def test_junk_and_distractors_are_in_the_gallery_alone(tmp_path: Path) -> None:
    root = write_market(tmp_path)
    for folder in (TRAIN, QUERY):
        shutil.copy(root / GALLERY / "-1_c2s1_000010_00.jpg", root / folder)
        shutil.copy(root / GALLERY / "0000_c1s1_000009_00.jpg", root / folder)
    (root / TRAIN / "Thumbs.db").write_bytes(b"no picture")
    shutil.copy(
        root / TRAIN / "0001_c1s1_000000_00.jpg", root / TRAIN / "0001_c1s1_000000_00_g1.jpg"
    )
    market = read_market(root)
    assert {shot.person for shot in market.train} == set(range(1, 9))
    assert {shot.person for shot in market.query} == {101, 102, 103, 104}
    assert {shot.person for shot in market.gallery} == {JUNK, DISTRACTOR, 101, 102, 103, 104}
    reasons = dict(market.skipped)
    assert reasons[f"{TRAIN}/Thumbs.db"] == "not a name of Market-1501"
    assert reasons[f"{QUERY}/-1_c2s1_000010_00.jpg"] == "distractor or junk"
    assert "generated" in reasons[f"{TRAIN}/0001_c1s1_000000_00_g1.jpg"]
    assert market.counts["skipped_files"] == 6
    assert (market.counts["gallery_junk"], market.counts["gallery_distractors"]) == (1, 1)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no bounding_box_train, query, bounding_box_test"):
        read_market(tmp_path)


def test_a_person_may_not_be_trained_on_and_searched_for(tmp_path: Path) -> None:
    root = write_market(tmp_path)
    shutil.copy(root / QUERY / "0101_c1s1_000000_00.jpg", root / TRAIN)
    with pytest.raises(DataError, match="1 identities are in bounding_box_train and in query"):
        read_market(root)


def test_generated_pictures_are_found_by_their_names(tmp_path: Path) -> None:
    root = write_market(tmp_path / "market")
    made = tmp_path / "made"
    made.mkdir()
    shutil.copy(root / TRAIN / "0001_c1s1_000000_00.jpg", made / "0001_c1s1_000000_00_g2.jpg")
    shutil.copy(root / TRAIN / "0001_c1s1_000000_00.jpg", made / "0001_c1s1_000000_00.jpg")
    (found,) = read_generated(made)
    assert (found.source, found.made) == ("0001_c1s1_000000_00", 2)
    assert pixels_of([found], (64, 32)).shape == (1, 64, 32, 3)
    (made / "0001_c1s1_000000_00_g2.jpg").write_bytes(b"not a picture")
    with pytest.raises(DataError, match="cannot be read as a picture"):
        pixels_of([found])
