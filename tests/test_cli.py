"""The command line, in this process: files in, files out, one line when something is wrong."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.cli import main
from reposedm.imaging import is_marked, read_image, read_settings
from reposedm.jobs.detect import forget_photos
from reposedm.jobs.methods import load_method, unload_methods
from reposedm.jobs.runtime import ACCELERATOR
from reposedm.pose import read_pose_file, to_openpose
from tests.drawn import arms_up, photo
from tests.methods import NAME, TinyDiffusion, install

SHARED = Path(__file__).parents[2] / "shared" / "photos"
IMAGE, POSE, _ = photo(192, 256)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a photo, its pose and a wanted pose; it is the working directory."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(IMAGE).save("photo.png")
    Path("body.json").write_text(json.dumps(to_openpose([POSE])))
    Path("wanted.json").write_text(json.dumps(to_openpose([arms_up(POSE)])))
    yield tmp_path
    assert not ACCELERATOR.locked()
    assert not list(tmp_path.glob(".*.tmp")), "an unfinished file was left behind"
    forget_photos()


@pytest.fixture
def tiny(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[TinyDiffusion]:
    install(tmp_path_factory.mktemp("weights"), monkeypatch)
    yield load_method(NAME)
    unload_methods()


REPOSE = "repose photo.png --source-pose body.json --pose wanted.json -o out.png"

WRONG = {
    "detect absent.png -o pose.json": "absent.png: There is no such picture",
    "detect body.json -o pose.json": "not an image",
    "detect . -o pose.json": "reposedm: .: ",
    "detect photo.png -o nowhere/pose.json": "there is no folder nowhere",
    "detect photo.png -o photo.png": "photo.png is used already",
    "detect photo.png -o pose.json --draw ./pose.json": "pose.json is used already",
    "detect photo.png -o .": "is a folder",
    "detect photo.png -o pose.json --detector guess": "there is no detector 'guess'",
    f"{REPOSE} -o out.jpg": "results are PNG files",
    f"{REPOSE} -o ../{{folder}}/photo.png": "photo.png is used already",
    f"{REPOSE} -o wanted.json": "results are PNG files",
    f"{REPOSE} --method magic": "there is no method 'magic': choose one of reposedm",
    f"{REPOSE} --steps 0": "number of steps must be a whole number from 1 to 250",
    f"{REPOSE} --count 64": "number of pictures must be a whole number from 1 to 8",
    f"{REPOSE} --seed -2": "the seed must be",
    f"{REPOSE} --guidance nan": "the guidance must be a number from 0 to 30",
    f"{REPOSE} --color red": "a colour is written #rrggbb",
    f"{REPOSE} --method tiny --pose-guidance 2": "means nothing to the method Tiny diffusion",
    f"{REPOSE} --method tiny --pose-person 1": "wanted.json: there is no person 1",
    f"{REPOSE} --method tiny --person -1": "body.json: there is no person -1",
    "repose photo.png --source-pose body.json --pose photo.png -o out.png --method tiny": (
        "carries no pose"
    ),
    "repose photo.png --source-pose body.json --preset fly -o out.png --method tiny": (
        "there is no preset 'fly'"
    ),
}


@pytest.mark.parametrize("line", WRONG)
def test_what_is_wrong_is_said_in_one_line(
    folder: Path, tiny: TinyDiffusion, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert main(line.format(folder=folder.name).split()) == 2
    said = capsys.readouterr()
    assert said.out == ""
    last = said.err.splitlines()
    assert len(last) == 1 and last[0].startswith("reposedm: ")
    assert WRONG[line] in last[0]
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "line",
    [
        "", "fly", "repose photo.png -o out.png", f"{REPOSE} --preset standing",
        f"{REPOSE} --steps many", f"{REPOSE} --background lava", "detect photo.png",
    ],
)  # fmt: skip
def test_usage_errors_exit_with_2(
    folder: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main(line.split())
    assert stop.value.code == 2
    assert "usage: reposedm" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    locked = folder / "locked"
    locked.mkdir(mode=0o500)
    assert main(["detect", "photo.png", "-o", "locked/pose.json"]) == 2
    assert "cannot be written to" in capsys.readouterr().err


def test_version_and_info(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert main(["info"]) == 0
    said = capsys.readouterr().out
    for word in (
        "RePoseDM 0.",
        "torch 2.",
        "device: ",
        "float",
        "preview: ",
        "mediapipe: ",
        "stand",
    ):
        assert word in said


@pytest.mark.models
def test_one_picture(folder: Path, tiny: TinyDiffusion, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(f"{REPOSE} --method tiny --steps 3 --seed 7".split()) == 0
    said = capsys.readouterr()
    assert said.out == "" and "wrote out.png (seed 7)" in said.err and "denoising 3/3" in said.err
    made = read_image("out.png")
    assert made.pixels.shape == IMAGE.shape and is_marked(made)
    stored, _ = read_settings(made)
    assert stored is not None
    assert (stored["method"], stored["steps"], stored["seed"]) == ("tiny", 3, 7)
    first = Path("out.png").read_bytes()
    assert main(f"{REPOSE} --method tiny --steps 3 --seed 7".split()) == 0
    assert Path("out.png").read_bytes() == first


@pytest.mark.models
def test_several_pictures_have_numbers_and_seeds(
    folder: Path, tiny: TinyDiffusion, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(f"{REPOSE} --method tiny --count 2 --seed 7 --no-settings".split()) == 0
    assert not Path("out.png").exists()
    assert "wrote out-2.png (seed 8)" in capsys.readouterr().err
    one, two = read_image("out-1.png"), read_image("out-2.png")
    assert not np.array_equal(one.pixels, two.pixels)
    assert is_marked(one) and read_settings(one)[0] is None


@pytest.mark.models
def test_background_and_frame(folder: Path, tiny: TinyDiffusion) -> None:
    line = f"{REPOSE} --method tiny --background transparent --no-paste-back"
    assert main(line.split()) == 0
    with Image.open("out.png") as made:
        assert made.mode == "RGBA" and made.size == (44, 64)


@pytest.mark.models
def test_the_preview_with_a_preset(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "repose photo.png --source-pose body.json --preset arms-up -o out.png --count 3"
    names = [name for name in _presets() if "up" in name] or _presets()
    assert main(line.replace("arms-up", names[0]).split()) == 0
    assert [path.name for path in sorted(folder.glob("out*"))] == ["out.png"]
    assert "note: " in capsys.readouterr().err
    made = read_image("out.png").pixels
    assert made.shape == IMAGE.shape and not np.array_equal(made, IMAGE)


def _presets() -> list[str]:
    from reposedm.pose import preset_names

    return preset_names()


@pytest.mark.models
def test_ctrl_c_stops_cleanly(
    folder: Path,
    tiny: TinyDiffusion,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(tiny, "decode", stop)
    assert main(f"{REPOSE} --method tiny".split()) == 130
    assert capsys.readouterr().err.splitlines()[-1] == "stopped"
    assert not Path("out.png").exists() and tiny.closed == 1


def test_a_failing_write_keeps_the_old_file(folder: Path) -> None:
    from reposedm.cli import _atomic

    path = Path("old.png")
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="disk full"), _atomic(path) as file:
        file.write(b"half")
        raise OSError("disk full")
    assert path.read_bytes() == b"old"
    with _atomic(path) as file:
        file.write(b"new")
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"
    assert sorted(entry.name for entry in folder.iterdir() if "old" in entry.name) == ["old.png"]


@pytest.mark.models
def test_nobody_on_the_photo(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.full((128, 128, 3), 99, np.uint8)).save("wall.png")
    assert main(["detect", "wall.png", "-o", "pose.json"]) == 2
    assert "Nobody was found" in capsys.readouterr().err
    assert not Path("pose.json").exists()


@pytest.mark.models
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared photos")
def test_detect_then_repose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = (str(SHARED / f"coco_val2017_{number}.jpg") for number in
                ("000000000785", "000000196141"))  # fmt: skip
    assert main(["detect", one, "-o", "pose.json", "--draw", "map.png"]) == 0
    assert "person 0: box" in capsys.readouterr().err
    people = read_pose_file("pose.json")
    assert people[0].size == read_image(one).size and people[0].drawn.sum() >= 12
    drawn = people[0].drawn
    assert np.array_equal(read_pose_file("map.png")[0].points[drawn], people[0].points[drawn])
    assert main(["repose", one, "--pose-from", two, "-o", "out.png"]) == 0
    assert main(["repose", one, "--pose", "map.png", "-o", "same.png"]) == 0
    assert read_image("out.png").size == read_image(one).size == read_image("same.png").size
    assert main(["repose", one, "--pose", "map.png", "-o", "x.png", "--person", "19"]) == 2
    assert "there is no person 19" in capsys.readouterr().err
