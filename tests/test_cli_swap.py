"""``python -m reposedm swap``, in this process: files in, files out, one line when it is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.cli import main
from reposedm.imaging import is_marked, read_image, read_settings
from reposedm.jobs.detect import forget_photos
from reposedm.jobs.garment import forget_garments
from reposedm.jobs.runtime import ACCELERATOR
from reposedm.pose import to_openpose
from tests.dressed import dressed, shirt

IMAGE, POSE, _ = dressed()
SWAP = "swap person.png shirt.png --source-pose body.json --garment-is product -o out.png"

WRONG = {
    "swap absent.png shirt.png -o out.png": "absent.png: There is no such picture",
    "swap person.png body.json -o out.png": "not an image",
    f"{SWAP} -o out.jpg": "results are PNG files",
    f"{SWAP} -o shirt.png": "shirt.png is used already",
    f"{SWAP} --region sky": "there is no region 'sky': choose one of top, bottom",
    f"{SWAP} --region shoes": "cannot be taken from a picture without a person",
    f"{SWAP} --method magic": "there is no method 'magic': choose one of swap, warp",
    f"{SWAP} --method swap": "The weights of swap",
    f"{SWAP} --steps 4": "means nothing to the method Paste the warp",
    f"{SWAP} --count 0": "number of pictures must be",
    f"{SWAP} --garment-is hat": "a garment photo is one of auto, worn, product",
    f"{SWAP} --mask black.png": "The mask is empty",
    f"{SWAP} --mask white.png": "covers the whole photo",
    f"{SWAP} --mask small.png": "the mask has 80 x 80 pixels and the photo has 144 x 192",
    f"{SWAP} --garment-pose body.json": "is for a photo of 144 x 192 pixels",
    "swap person.png white.png --source-pose body.json -o out.png": "empty, one colour",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    weights = tmp_path / "weights"
    weights.mkdir()
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(weights))
    Image.fromarray(IMAGE).save("person.png")
    Image.fromarray(shirt()).save("shirt.png")
    Image.new("RGB", IMAGE.shape[1::-1], "black").save("black.png")
    Image.new("RGB", IMAGE.shape[1::-1], "white").save("white.png")
    Image.new("RGB", (80, 80), "white").save("small.png")
    Path("body.json").write_text(json.dumps(to_openpose([POSE])))
    yield tmp_path
    assert not ACCELERATOR.locked()
    assert not list(tmp_path.glob(".*.tmp")), "an unfinished file was left behind"
    forget_photos()
    forget_garments()


@pytest.mark.models
@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_with_a_swap_is_said_in_one_line(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    words = line.split()
    assert main(words) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert WRONG[line] in said
    assert not Path("out.png").exists()


@pytest.mark.models
def test_a_swap_writes_picture_and_mask(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    painted = np.zeros(IMAGE.shape[:2], np.uint8)
    painted[55:100, 50:95] = 255
    Image.fromarray(painted).save("mask.png")
    line = f"{SWAP} --mask mask.png --save-mask used.png --seed 3"
    assert main(line.split()) == 0
    result = np.asarray(Image.open("out.png").convert("RGB"))
    assert np.array_equal(np.asarray(Image.open("used.png")), painted)
    assert np.array_equal(result[painted == 0], IMAGE[painted == 0])
    assert (np.abs(result[70:90, 65:80].astype(int) - (30, 120, 60)).max(2) < 45).mean() > 0.8
    assert is_marked(read_image(Path("out.png")))
    settings, _ = read_settings(Path("out.png"))
    assert settings is not None and settings["region"] == "top"
    assert "guessed" in capsys.readouterr().err
