"""The synthetic set: names, poses, masks, and the same person rendered again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.errors import SettingsError
from tests.training.synthetic.synthetic_pack import pack_folder
from training.reid.generate import Generator, known_poses
from training.reid.market import DISTRACTOR, JUNK, read_market
from training.reid.plan import Draw
from training.reid.render import MASKS, Street, pose_of, read_poses, render_street
from training.sample import DataError


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("street")
    made = Street(str(out), str(pack_folder()), 1, 1, distractors=1, cameras=2, junk=1)
    assert list(render_street(made)) == [1, 2, 3]
    return out


def test_a_street_is_a_market(street: Path) -> None:
    market = read_market(street)
    assert [shot.camera for shot in market.train] == [1, 1, 2, 2]
    assert [shot.camera for shot in market.query] == [1, 2], "one query a camera"
    people = [shot.person for shot in market.gallery]
    assert sorted(people) == [JUNK, DISTRACTOR, DISTRACTOR, 2, 2]
    assert not market.skipped


def test_joints_lie_on_the_person(street: Path) -> None:
    market, records = read_market(street), read_poses(street)
    assert set(records) == {
        shot.name for shots in (market.train, market.query, market.gallery) for shot in shots
    }
    on = []
    for shot in market.train:
        pose = pose_of(records[shot.name])
        mask = np.asarray(Image.open(street / MASKS / f"{shot.name}.png"))
        assert mask.shape == (128, 64)
        x, y = pose.points[pose.visible].astype(int).T
        on += list(mask[y.clip(0, 127), x.clip(0, 63)] > 64)
    assert np.mean(on) > 0.85


def test_a_set_of_other_settings_is_refused(street: Path) -> None:
    other = Street(str(street), str(pack_folder()), 2, 1)
    with pytest.raises(DataError, match="other settings"):
        next(render_street(other))
    with pytest.raises(SettingsError, match="2 to 50 pictures"):
        Street(str(street), "", per_camera=1)


def test_the_oracle_draws_the_person_in_the_other_pose(street: Path, tmp_path: Path) -> None:
    market = read_market(street)
    source, donor = market.train[0], market.train[2]
    wanted = [Draw(f"{source.name}_g1", source, donor, 5)]
    maker = Generator("oracle", market, known_poses(market), assets=str(pack_folder()))
    (made,) = maker.make(wanted, tmp_path, lambda: False) or ()
    assert (made.person, made.camera, made.made) == (source.person, source.camera, 1)
    first = Path(made.path).read_bytes()
    Path(made.path).unlink()
    maker.make(wanted, tmp_path, lambda: False)
    assert Path(made.path).read_bytes() == first
    assert maker.make([Draw("x", source, donor, 1)], tmp_path, lambda: True) is None
