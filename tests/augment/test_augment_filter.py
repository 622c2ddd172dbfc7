"""The quality filter: is the wanted pose found again, and is the identity recognised?"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.augment.filter import Identities, Judge, know_identities
from reposedm.augment.ledger import Row
from reposedm.augment.pictures import PictureSet
from reposedm.augment.poses import LONG_SIDE, enlarged, find_pose, mask_on
from reposedm.augment.settings import AugmentSettings
from reposedm.imaging import read_image
from reposedm.imaging.archive import open_collection
from reposedm.models.reid import ReIDNet
from reposedm.weights import write_manifest
from tests.drawn import arms_up

pytestmark = [pytest.mark.heavy]
PHOTO = Path(__file__).parents[2] / "assets" / "examples" / "number-shirt.jpg"
ROW = Row("a_g1.png", "0001", 1, "a.png", "image:b", 0, "preview", "")
COLORS = {"anna": (220, 30, 30), "bert": (20, 200, 60), "cleo": (240, 240, 240)}
FILTER = AugmentSettings(filter=True)


def small(path: Path = PHOTO, height: int = 128) -> np.ndarray:
    """A photo at the size of a re-identification picture."""
    picture = Image.open(path).convert("RGB")
    size = (round(height * picture.width / picture.height), height)
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def test_small_pictures_are_enlarged_and_framed_by_a_whole_number() -> None:
    image = np.zeros((128, 64, 3), np.uint8)
    big, scale, (x, y) = enlarged(image)
    assert scale == LONG_SIDE // 128 and big.shape == (768, 768, 3)
    assert (x, y) == ((768 - 256) // 2, (768 - 512) // 2)
    large = np.zeros((600, 300, 3), np.uint8)
    assert enlarged(large)[0] is large


@pytest.mark.models
def test_people_are_found_and_cut_out_on_tiny_pictures() -> None:
    image = small()
    pose = find_pose(image)
    assert pose is not None and pose.size == (image.shape[1], image.shape[0])
    top, bottom = pose.points[0, 1], pose.points[[10, 13], 1].max()
    assert top < 0.4 * image.shape[0] < 0.7 * image.shape[0] < bottom
    mask = mask_on(image, pose)
    assert mask.shape == image.shape[:2] and 0.1 < mask.mean() < 0.6
    x, y = np.rint(pose.points[[8, 11]].mean(0)).astype(int)
    assert mask[y, x] > 0.9 and mask[:4, :4].max() < 0.1
    assert find_pose(np.full((128, 64, 3), 128, np.uint8)) is None


@pytest.mark.models
def test_a_picture_is_kept_if_it_shows_the_wanted_pose() -> None:
    image = small()
    pose = find_pose(image)
    assert pose is not None
    judge = Judge(FILTER, None)
    row = judge.judge(ROW, image, pose)
    assert (row.kept, row.reason, row.pckh) == ("yes", "", "1.0000")
    moved = pose.replace(points=np.add(pose.points, (0.4 * image.shape[1], 0)))
    row = judge.judge(ROW, image, moved)
    assert (row.kept, row.reason) == ("no", "PCKh below 0.5") and float(row.pckh) < 0.5
    empty = np.full_like(image, 128)
    row = judge.judge(ROW, empty, arms_up(pose))
    assert (row.kept, row.reason, row.pckh) == ("no", "nobody was found on it", "0.0000")


def known(tmp_path: Path) -> tuple[Identities, dict[str, np.ndarray]]:
    """Three identities of one colour each, and a small untrained network."""
    network = ReIDNet(backbone="resnet10-w8", identities=3, height=64, width=32).eval()
    network.save_pretrained(tmp_path / "reid", safe_serialization=True)
    names = [path.name for path in (tmp_path / "reid").iterdir()]
    write_manifest(tmp_path / "reid", names, {})
    pictures, file = {}, io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        for who, color in COLORS.items():
            rng = np.random.default_rng(len(who))
            pictures[who] = np.clip(color + rng.normal(0, 8, (64, 32, 3)), 0, 255).astype(np.uint8)
            for index in range(2):
                data = io.BytesIO()
                Image.fromarray(pictures[who]).save(data, "PNG")
                made.writestr(f"set/{who}/{index}.png", data.getvalue())
    with open_collection(file.getvalue()) as files:
        found = PictureSet(files)
        weights = tmp_path / "reid" / "config.json"  # a file of the folder names it, too
        identities = know_identities(found, found.understood.shots, str(weights))
    return identities, pictures


def test_identities_are_compared_by_the_cosine(tmp_path: Path) -> None:
    identities, pictures = known(tmp_path)
    assert np.allclose(np.linalg.norm(identities.vectors, axis=1), 1, atol=1e-5)
    for who, picture in pictures.items():
        own, rival = identities.compare(picture, who)
        assert own == pytest.approx(1, abs=1e-4) and rival < own
    own, rival = identities.compare(pictures["anna"], "bert")
    assert rival == pytest.approx(1, abs=1e-4) and own < rival


@pytest.mark.models
def test_a_picture_of_somebody_else_is_not_kept(tmp_path: Path) -> None:
    identities, _ = known(tmp_path)
    image = read_image(PHOTO).pixels
    pose = find_pose(image)
    assert pose is not None
    strict = AugmentSettings(filter=True, min_similarity=1.0)
    row = Judge(strict, identities).judge(Row(**{**ROW.__dict__, "identity": "anna"}), image, pose)
    assert row.kept == "no" and "similarity below 1" in row.reason
    assert -1 <= float(row.similarity) <= 1 and float(row.pckh) == 1
