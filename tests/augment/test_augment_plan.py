"""The plan: deterministic, complete, and fixed before anything is made."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from reposedm.augment.naming import Shot, understand
from reposedm.augment.plan import (
    BATCH,
    batches_of,
    from_lines,
    make_plan,
    pool_of,
    to_lines,
)
from reposedm.errors import PoseError, RePoseError, SettingsError
from reposedm.imaging.archive import Member
from reposedm.pose import Pose, to_openpose
from tests.drawn import arms_up, standing

SIZE = (32, 64)


def shots(identities: int, each: int) -> list[Shot]:
    names = [
        f"{person:04d}_c{index + 1}s1_000001_00.jpg"
        for person in range(1, identities + 1)
        for index in range(each)
    ]
    return list(understand([Member(name, (), name) for name in names]).shots)


def poses(found: list[Shot]) -> dict[str, Pose]:
    return {shot.key: standing(*SIZE) for shot in found}


def test_every_identity_gets_its_number_and_sources_take_turns() -> None:
    own = shots(5, 3)
    plan = make_plan(own, pool_of("set", poses(own)), per_identity=7, seed=1)
    assert Counter(wish.identity for wish in plan) == {f"{n:04d}": 7 for n in range(1, 6)}
    assert set(Counter(wish.source for wish in plan).values()) == {2, 3}
    assert [wish.number for wish in plan] == list(range(35))
    assert len({wish.name for wish in plan}) == 35
    assert len({wish.seed for wish in plan}) == 35
    assert all(wish.pose != f"image:{wish.source}" for wish in plan)
    assert [len(batch) for batch in batches_of(plan)] == [BATCH] * 4 + [3]
    sources = [wish.source for wish in plan]
    assert sources == sorted(sources, key=sources.index), "pictures of a source are neighbours"


def test_the_same_seed_gives_the_same_plan_and_another_another() -> None:
    own = shots(4, 3)
    pool = pool_of("set", poses(own))
    one, two = (make_plan(own, pool, per_identity=4, seed=3) for _ in range(2))
    assert one == two == from_lines(to_lines(one))
    assert make_plan(own[::-1], pool, per_identity=4, seed=3) == one
    other = make_plan(own, pool, per_identity=4, seed=4)
    assert [wish.pose for wish in other] != [wish.pose for wish in one]


def test_poses_are_not_repeated_before_all_were_used() -> None:
    own = shots(2, 3)
    plan = make_plan(own, pool_of("set", poses(own)), per_identity=6, seed=0)
    for identity in ("0001", "0002"):
        used = [wish.pose for wish in plan if wish.identity == identity]
        assert len(set(used)) >= 5


def test_poses_of_the_same_identity_the_library_and_numbers_by_name() -> None:
    own = shots(3, 2)
    same = make_plan(own, pool_of("same", poses(own)), per_identity=3, seed=0)
    assert all(wish.pose.removeprefix("image:")[:4] == wish.identity for wish in same)
    counts = {"0001": 2, "0003": 1}
    plan = make_plan(own, pool_of("presets", {}), per_identity=counts, seed=0)
    assert Counter(wish.identity for wish in plan) == counts
    assert all(wish.pose.startswith("preset:") for wish in plan)
    assert len(make_plan(own, pool_of("set", poses(own)), per_identity=9, seed=0, limit=4)) == 4


def test_what_cannot_be_planned_is_said() -> None:
    own = shots(1, 1)
    with pytest.raises(SettingsError, match="take the poses from the library"):
        make_plan(own, pool_of("set", poses(own)), per_identity=3, seed=0)
    own = shots(3, 1)
    with pytest.raises(SettingsError, match="take the poses from the set"):
        make_plan(own, pool_of("same", poses(own)), per_identity=3, seed=0)
    with pytest.raises(SettingsError, match="damaged"):
        from_lines(b'{"number": 0}\n')


def test_poses_of_files(tmp_path: Path) -> None:
    up = arms_up(standing(300, 400))
    (tmp_path / "two.json").write_text(json.dumps(to_openpose([standing(300, 400), up])))
    one = pool_of(tmp_path / "two.json", {})
    assert list(one.poses) == ["file:two.json#0", "file:two.json#1"]
    with zipfile.ZipFile(tmp_path / "poses.zip", "w") as made:
        made.write(tmp_path / "two.json", "../two.json")
        made.writestr("bad.json", "{}")
        made.writestr("notes.txt", "hello")
        hidden = up.replace(state=np.where(np.arange(18) == 8, 0, up.state))
        made.writestr("half.json", json.dumps(to_openpose([hidden])))
    many = pool_of(tmp_path / "poses.zip", {})
    assert list(many.poses) == ["file:two.json#0", "file:two.json#1"]
    assert [name for name, _ in many.skipped] == ["bad.json", "half.json", "notes.txt"]
    body = standing(*SIZE)
    placed = many.on("file:two.json#1", body)
    assert placed.size == SIZE and placed.points[4, 1] < placed.points[2, 1]
    assert many.fingerprint == one.fingerprint
    with pytest.raises(PoseError, match="holds no pose"):
        pool_of(_written(tmp_path / "none.json", "{}"), {})
    with pytest.raises(RePoseError, match="not a zip"):
        pool_of(_written(tmp_path / "none.zip", "{}"), {})


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path
