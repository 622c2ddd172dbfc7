"""The ablation from end to end, on the small rendered set and tiny networks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from reposedm.errors import RePoseError, SettingsError, WeightsError
from reposedm.imaging import over
from tests.pipelines.tiny import tiny_pidm, tiny_reposedm
from training.ablation import key_of, main
from training.arms import CopySource, LimbWarp, load_arm, parse_arm
from training.candidates import target_background
from training.held_out import open_held_out
from training.metrics import protocol_named
from training.scoring import Judges

pytest.importorskip("skimage")

DATA = Path(__file__).parents[2] / "assets" / "synthetic"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("weights")
    tiny_reposedm().save_pretrained(root / "full" / "reposedm")
    tiny_pidm().save_pretrained(root / "b1")
    for name in ("one", "other"):
        (root / "two" / name).mkdir(parents=True)
        (root / "two" / name / "model_index.json").write_text("{}")
    return root


def run(out: Path, *more: str, pairs: int = 2) -> tuple[int, dict[str, Any]]:
    code = main(
        ["--data", str(DATA), "--pairs", str(pairs), "--seeds", "0,1", "--protocol", "tf",
         "--device", "cpu", "--out", str(out), *more]
    )  # fmt: skip
    return code, json.loads(out.read_text("utf-8")) if out.exists() else {}


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without looking for people, which takes a detector and most of the time."""
    monkeypatch.setattr("training.ablation.OFFLINE", ("ssim", "psnr", "flow"))


def test_pairs_are_spread_over_people_and_angles_and_always_the_same() -> None:
    held_out = open_held_out(DATA, 20)
    record = held_out.record(range(20))
    assert (record["pairs"], record["people"]) == (20, 10)
    assert [held_out.person(n) for n in range(10)] == list(range(10))
    assert sum(record["angles"].values()) == 20
    assert sum(count > 0 for count in record["angles"].values()) >= 3
    assert open_held_out(DATA, 20).chosen == held_out.chosen
    assert open_held_out(DATA, 5).chosen == held_out.chosen[:5]
    views = held_out.pairs.records[held_out.person(3)]["views"]  # type: ignore[attr-defined]
    sample = held_out[3]
    yaws = [views[int(name[-1])]["yaw"] for name in (sample.source_name, sample.target_name)]
    apart = abs(yaws[0] - yaws[1]) % 360
    assert held_out.angle(3) == pytest.approx(min(apart, 360 - apart))
    with pytest.raises(SettingsError, match="no held-out pairs"):
        open_held_out(DATA, 0)


def test_arms_without_weights_are_put_over_the_targets_own_background() -> None:
    sample = open_held_out(DATA, 1)[0]
    behind = target_background(sample)
    assert sample.target_alpha is not None and sample.source_alpha is not None
    distance = cv2.distanceTransform((sample.target_alpha == 0).astype(np.uint8), cv2.DIST_L2, 3)
    away = distance > 24  # the filler covers a margin around the person
    assert away.any()
    assert np.array_equal(behind[away], sample.target_image[away])
    copy, warp = CopySource(), LimbWarp()
    layer = np.dstack((sample.source_image, sample.source_alpha))
    assert np.array_equal(copy.pictures(0, sample, [0])[0], over(behind, layer))
    assert not np.any(copy.flow())
    # Onto its own pose the limb mapping moves nothing, and gives back the source person.
    same = sample.replace(target_pose=sample.source_pose)
    still = warp.pictures(0, same, [0])[0]
    inside = sample.source_alpha == 255
    assert np.abs(still.astype(int) - sample.source_image)[inside].max() <= 1
    assert not np.any(warp.flow())


def test_an_ablation_resumes_and_says_what_did_not_run(
    tmp_path: Path, weights: Path, blind: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "ablation.json"
    arms = ["--arm", f"full={weights / 'full'},steps=1", "--arm", f"b1={weights / 'b1'},steps=1"]
    code, first = run(out, *arms, "--max-minutes", "0")
    assert (code, first) == (0, {})  # no time: nothing is done, and nothing is written
    code, results = run(out, *arms)
    assert code == 0
    assert list(results["arms"]) == ["copy-source", "limb-warp", "preview", "full", "b1"]
    assert results["absent"]["b2"] == "no weights were given: --arm b2=FOLDER"
    assert results["counts"] == {"pairs": 2, "of": 2, "posed": 2, "seeds": 2}
    full = results["arms"]["full"]
    assert full["numbers"]["person"]["psnr"]["spread"] > 0
    assert full["numbers"]["flow"]["cells"]["mean"] > 0
    assert full["candidate"]["options"] == {"steps": 1}
    assert results["arms"]["copy-source"]["numbers"]["flow"]["cells"]["mean"] > 0
    assert results["differences"]["full - b1"]["person/psnr"]["pairs"] == 2
    assert results["bars"][0]["met"] is False  # random weights
    assert results["paper"]["b2"]["ssim"] == 0.7055
    classes = results["data"]["angles"]
    assert set(full["by_angle"]) == {name for name, count in classes.items() if count}
    shares = [classes[name] * one["person/psnr"] for name, one in full["by_angle"].items()]
    assert sum(shares) / 2 == pytest.approx(full["numbers"]["person"]["psnr"]["mean"])
    assert "By the angle between the two views" in out.with_suffix(".md").read_text("utf-8")
    page = out.with_suffix(".md").read_text("utf-8")
    assert "| B2 (alignment) | not run |" in page
    assert str(tmp_path) not in page + json.dumps(results)
    for kind in ("typical", "failures"):
        sheet = tmp_path / results["pictures"][kind]["file"]
        assert sheet.stat().st_size <= 150_000
        assert Image.open(sheet).width > Image.open(sheet).height / 2 * 4
    worst = results["pictures"]["failures"]["pairs"][0]
    psnrs = [pair["person_psnr"] for pair in results["pictures"]["typical"]["pairs"]]
    assert worst["person_psnr"] == min(psnrs)
    # Again: everything is there, and nothing is made anew.
    made = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")}
    capsys.readouterr()
    assert run(out, *arms)[1]["arms"]["full"]["numbers"] == full["numbers"]
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*.png")} == made
    assert "s a pair" not in capsys.readouterr().err


@pytest.mark.models
def test_poses_are_judged_on_the_first_pairs_and_later_on_more(tmp_path: Path) -> None:
    out = tmp_path / "ablation.json"
    code, results = run(out, "--pose-pairs", "1")
    assert code == 0
    pose = results["arms"]["preview"]["numbers"]["pose"]
    assert (results["counts"]["posed"], pose["kept"]["pairs"]) == (1, 1)
    assert pose["pckh_real"]["mean"] > 0.5
    more = run(out, "--pose-pairs", "2")[1]
    assert more["arms"]["preview"]["numbers"]["pose"]["kept"]["pairs"] == 2


def test_other_weights_start_anew_under_the_same_name(weights: Path) -> None:
    pairs = open_held_out(DATA, 2)
    judges = Judges(protocol_named("tf"), ("psnr",))
    first = load_arm(parse_arm(f"full={weights / 'full'},steps=1"), "cpu")
    other = load_arm(parse_arm(f"full={weights / 'full'},steps=2"), "cpu")
    assert first.name == "full"
    assert key_of(first, judges, pairs) != key_of(other, judges, pairs)
    again = load_arm(parse_arm(f"full={weights / 'full' / 'reposedm'},steps=1"), "cpu")
    assert key_of(first, judges, pairs) == key_of(again, judges, pairs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("full", "NAME=FOLDER"),
        ("=x", "NAME=FOLDER"),
        ("preview=x", "NAME=FOLDER"),
        ("full=x,stepz=3", "knows steps"),
        ("full=x,texture=yes", "texture of the arm full cannot be 'yes'"),
        ("full=x,steps=many", "steps of the arm full cannot be 'many'"),
    ],
)
def test_arms_that_cannot_be_read(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        parse_arm(text)


def test_errors_are_one_line(
    tmp_path: Path, weights: Path, blind: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.json"
    for more, message in (
        (["--arm", f"full={tmp_path}"], "holds 0 pipelines"),
        (["--arm", f"full={weights / 'full'}", "--arm", f"full={weights / 'b1'}"], "two arms are"),
    ):
        assert run(out, *more) == (2, {})
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith("error: ") and message in error
    with pytest.raises(WeightsError):
        load_arm(parse_arm(f"full={weights / 'two'}"))
    assert issubclass(WeightsError, RePoseError)


def test_an_arm_with_texture_shows_the_photos_own_pixels(weights: Path) -> None:
    folder = weights / "full" / "reposedm"
    plain, textured = (
        load_arm(parse_arm(f"full={folder},steps=1{more}"), "cpu") for more in ("", ",texture=on")
    )
    sample = open_held_out(DATA, 1)[0]
    one, other = (arm.pictures(0, sample, [0])[0] for arm in (plain, textured))
    assert one.shape == other.shape and (one != other).any()
    assert "texture" not in plain.record() and textured.record()["texture"] is True
