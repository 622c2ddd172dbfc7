"""Evaluations from end to end, on drawn pairs."""

from __future__ import annotations

import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import Image as Pillow

from reposedm.pipelines.base import Capabilities, Correspondence, Output, Step
from reposedm.pose import Pose
from training.candidates import (
    MethodCandidate,
    ResultsFolder,
    plain_name,
    possible_pairs,
    result_name,
)
from training.datasets.drawn import SyntheticPairs
from training.evaluate import chosen_pairs, main
from training.evaluation import Evaluation
from training.metrics import MetricsError, protocol_named, psnr, ssim
from training.scoring import Judges
from training.summary import oracle, statistic

pytest.importorskip("skimage")

PAIRS = (0, 24, 48, 72)
"""What --limit 4 takes of the 96 drawn test pairs."""


def run(out: Path, *more: str, metrics: str = "ssim,psnr") -> tuple[int, dict[str, Any]]:
    code = main(
        ["--data", "drawn", "--protocol", "tf", "--metrics", metrics, "--limit", "4",
         "--out", str(out), *more]
    )  # fmt: skip
    return code, json.loads(out.read_text("utf-8")) if out.exists() else {}


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("preview") / "preview.json"
    code, results = run(out, "--method", "preview", "--seeds", "3,4")
    assert code == 0
    return out, results


def test_copy_source_is_the_source_against_the_target(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = tmp_path / "copy.json", tmp_path / "pairs.csv"
    code, results = run(out, "--method", "copy-source", "--csv", str(table))
    assert code == 0
    data = SyntheticPairs(seed=1)
    samples = [data[number] for number in PAIRS]
    wanted = [ssim("ssim_g1.5", s.source_image, s.target_image) for s in samples]
    found = results["numbers"]["whole"]["ssim_g1.5"]
    assert found["mean"] == pytest.approx(np.mean(wanted), abs=1e-12)
    assert found["ci95"] == pytest.approx(1.96 * np.std(wanted, ddof=1) / 2)
    assert (found["spread"], found["pairs"], found["left_out"]) == (None, 4, 0)
    inside = [psnr(s.source_image, s.target_image, s.target_alpha >= 128) for s in samples]  # type: ignore[operator]
    assert results["numbers"]["person"]["psnr"]["mean"] == pytest.approx(np.mean(inside))
    assert "ssim51" not in results["numbers"]["whole"]  # 48 px are fewer than its window
    assert results["counts"] == {"pairs": 4, "of": 96, "seeds": 1}
    assert results["protocol"]["name"] == "tf"
    assert results["command"].startswith("python -m training.evaluate --data drawn")
    assert results["versions"]["numpy"] == np.__version__
    lines = table.read_text("utf-8").splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("pair,source,target,seed,whole/ssim_g1.2")
    assert [line.split(",")[0] for line in lines[1:]] == [str(number) for number in PAIRS]
    printed = capsys.readouterr().out
    assert results["protocol"]["text"] in printed
    assert f"whole      ssim_g1.5              {found['mean']:.4f}" in printed


def test_preview_beats_copy_source_inside_the_person(
    preview: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    _, results = preview
    _, copied = run(tmp_path / "copy.json", "--method", "copy-source")
    mine, theirs = (r["numbers"]["person"]["ssim_g1.5"]["mean"] for r in (results, copied))
    assert mine > theirs + 0.1
    assert results["seeds"] == [3]
    assert "preview makes the same picture with every seed: one run" in results["notes"]
    assert results["candidate"]["background"] == "filled"
    assert results["seconds_per_picture"] > 0


def test_a_stopped_run_goes_on(preview: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    out, results = preview
    rows = out.with_suffix(".work") / "rows.jsonl"
    whole = rows.read_bytes()
    lines = whole.splitlines(keepends=True)
    assert len(lines) == 4
    marked = json.loads(lines[0])
    marked["numbers"]["whole/psnr"] = 1234.0  # kept, so not computed again
    kept = json.dumps(marked).encode() + b"\n"
    rows.write_bytes(kept + lines[1] + lines[2][:-40])  # killed while it wrote the third
    try:
        code, again = run(out, "--method", "preview", "--seeds", "3,4")
        assert code == 0
        assert rows.read_bytes() == kept + b"".join(lines[1:])
        numbers, before = again["numbers"]["whole"], results["numbers"]["whole"]
        assert numbers["ssim_g1.5"] == before["ssim_g1.5"]
        first = json.loads(lines[0])["numbers"]["whole/psnr"]
        assert numbers["psnr"]["mean"] - before["psnr"]["mean"] == pytest.approx((1234 - first) / 4)
    finally:
        rows.write_bytes(whole)


def test_another_evaluation_does_not_mix_in(
    preview: tuple[Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    out, _ = preview
    code, _ = run(out, "--method", "preview", "--background", "rgb")
    assert code == 2
    assert "differs in its candidate: choose another --out" in capsys.readouterr().err


def test_saved_results_give_the_numbers_of_the_run_that_saved_them(
    preview: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, results = preview
    pictures = out.with_suffix(".work") / "seed-3"
    assert len(list(pictures.iterdir())) == 4
    code, again = run(tmp_path / "again.json", "--results", str(pictures), "--name", "Again")
    assert code == 0
    assert again["numbers"] == results["numbers"]
    assert again["name"] == "Again"
    assert again["candidate"]["format"] == "4 png"


def test_missing_results_are_an_error_unless_allowed(
    preview: tuple[Path, dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    some = tmp_path / "some"
    some.mkdir()
    files = sorted((preview[0].with_suffix(".work") / "seed-3").iterdir())
    for file in files[:3]:
        (some / file.name).write_bytes(file.read_bytes())
    (some / "notes.txt").write_text("not a picture")
    code, _ = run(tmp_path / "x.json", "--results", str(some))
    assert code == 2
    assert "has pictures for 3 of 4 pairs" in capsys.readouterr().err
    code, results = run(tmp_path / "y.json", "--results", str(some), "--allow-missing")
    assert (code, results["counts"]["pairs"]) == (0, 3)
    (some / files[0].name.replace("_vis", "")).write_bytes(files[0].read_bytes())
    assert run(tmp_path / "z.json", "--results", str(some))[0] == 2
    assert "are of the same pair" in capsys.readouterr().err


SOURCE, TARGET = "fashionWOMENSkirtsid0000062904_3back", "fashionWOMENSkirtsid0000062901_1front"


@pytest.mark.parametrize(
    "file",
    [
        f"{SOURCE}_2_{TARGET}_vis.png",
        f"{SOURCE}.jpg___{TARGET}.jpg_vis.jpg",
        "WOMENSkirtsid_0000062904_3_back.jpg_2_WOMENSkirtsid_0000062901_1_front.jpg.png",
        "WOMENSkirtsid_00000629_04_2_back_2_x_vis.png",
    ],
)
def test_names_of_pidm_patn_and_fpdm(file: str) -> None:
    key = (plain_name(SOURCE), plain_name(TARGET))
    assert (key in possible_pairs(file)) == ("_2_x" not in file)


def test_plain_names() -> None:
    assert plain_name("fashion/WOMEN/Skirts/id_00000629/04_3_back.jpg") == plain_name(SOURCE)
    assert plain_name("deepfashion" + SOURCE[7:] + ".png") == plain_name(SOURCE)
    assert plain_name("0002_c1s1_000451_03.jpg") == "0002c1s100045103"
    assert list(possible_pairs("a_2_b_2_c.txt")) == []
    assert list(possible_pairs("a_2_b_2_c.png")) == [("a", "b2c"), ("a2b", "c")]
    assert list(possible_pairs(result_name("a/b.c", "d"))) == [("abc", "d")]


def test_a_strip_of_five_panels_gives_the_last(tmp_path: Path) -> None:
    sample = SyntheticPairs(seed=1)[0]
    strip = np.concatenate(
        [sample.source_image] * 2 + [sample.target_image] * 2 + [255 - sample.target_image], 1
    )
    names = {7: (sample.source_name, sample.target_name)}
    Pillow.fromarray(strip).save(tmp_path / f"{names[7][0]}___{names[7][1]}_vis.png")
    folder = ResultsFolder(tmp_path, names)
    assert folder.missing([7]) == []
    np.testing.assert_array_equal(folder.pictures(7, sample, [0])[0], 255 - sample.target_image)
    with pytest.raises(MetricsError, match="both called"):
        ResultsFolder(tmp_path, {**names, 8: names[7]})


class Noisy:
    """The target with noise from the seed's generator, opaque; counts what it was asked."""

    capabilities: ClassVar[Capabilities] = Capabilities(
        "noisy", "Noisy", "For tests.", (48, 64), ("noise",)
    )

    def __init__(self, targets: dict[tuple[float, ...], np.ndarray]) -> None:
        self.targets, self.calls = targets, 0

    def stream(
        self,
        image: np.ndarray,
        source_pose: Pose,
        target_pose: Pose,
        *,
        generators: Sequence[torch.Generator] | None = None,
        **_: Any,
    ) -> Generator[Step, None, Output]:
        self.calls += 1
        yield Step(1, 1, "noise")
        clean = self.targets[tuple(target_pose.points.ravel())].astype(float)
        layers = []
        for generator in generators or ():
            noise = torch.randn(clean.shape, generator=generator).numpy() * 20
            layer = np.full((*clean.shape[:2], 4), 255, np.uint8)
            layer[..., :3] = np.clip(clean + noise, 0, 255)
            layers.append(layer)
        still = Correspondence(np.zeros((2, 8, 6), np.float32), np.ones((8, 6), np.float32))
        return Output(layers, correspondence=still)


def noisy(work: Path, seeds: list[int], pairs: tuple[int, ...] = (0, 24)) -> Evaluation:
    data = SyntheticPairs(seed=1)
    samples = [data[number] for number in pairs]
    method = Noisy({tuple(s.target_pose.points.ravel()): s.target_image for s in samples})
    judges = Judges(protocol_named("tf"), ("ssim", "psnr", "flow"))
    candidate = MethodCandidate("noisy", method, background="rgb")  # type: ignore[arg-type]
    return Evaluation(
        candidate, judges, data, data={"kind": "drawn"}, numbers=pairs, seeds=seeds, work=work
    )


def test_seeds_spread_oracle_and_more_seeds_later(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    first = noisy(tmp_path / "w", [0, 1])
    numbers = first.run()["whole"]["ssim_g1.5"]
    assert first.candidate.method.calls == 2  # type: ignore[attr-defined]
    assert numbers["mean"] == pytest.approx(np.mean(numbers["per_seed"]))
    assert numbers["spread"] == pytest.approx(np.std(numbers["per_seed"], ddof=1))
    assert numbers["spread"] > 0
    chosen = oracle(first.rows, [0, 1], [0, 24])["ssim_g1.5"]["mean"]
    best = [
        max(first.rows[seed, pair]["numbers"]["whole/ssim_g1.5"] for seed in (0, 1))
        for pair in (0, 24)
    ]
    assert chosen == pytest.approx(np.mean(best))
    assert chosen > numbers["mean"]
    later = noisy(tmp_path / "w", [0, 1, 2], (0, 24, 48))
    more = later.run()["whole"]["ssim_g1.5"]
    assert len(more["per_seed"]) == 3
    assert later.rows[0, 0] == first.rows[0, 0]
    assert later.candidate.method.calls == 3  # type: ignore[attr-defined]
    # A picture depends on its seed and its pair, not on which others were asked for with it.
    (tmp_path / "alone").mkdir()
    alone = noisy(tmp_path / "alone", [2], (24,))
    alone.run()
    assert alone.rows[2, 24]["numbers"] == later.rows[2, 24]["numbers"]


def test_flow_error_of_a_method_with_an_alignment(tmp_path: Path) -> None:
    evaluation = noisy(tmp_path, [0], (0,))
    found = evaluation.run()["flow"]
    sample = SyntheticPairs(seed=1)[0]
    assert sample.mapping is not None
    assert sample.seen is not None
    # The method says that nothing moves: in each 8 x 8 cell that is known for at least half, the
    # error is the mean true offset itself.
    lengths = []
    for row in range(8):
        for column in range(6):
            cell = (slice(row * 8, row * 8 + 8), slice(column * 8, column * 8 + 8))
            seen = sample.seen[cell] > 0
            if seen.mean() >= 0.5:
                lengths.append(np.hypot(*sample.mapping[:, *cell][:, seen].mean(1)))
    assert found["px"]["mean"] == pytest.approx(np.mean(lengths), rel=1e-4)
    assert found["cells"]["mean"] == pytest.approx(np.mean(lengths) / 8, rel=1e-4)


def test_a_saved_pipeline_runs_resumes_and_names_its_weights(tmp_path: Path) -> None:
    from tests.pipelines.tiny import tiny_reposedm

    tiny_reposedm().save_pretrained(tmp_path / "weights")
    more = ["--method", "reposedm", "--weights", str(tmp_path / "weights"), "--steps", "2",
            "--seeds", "0,1", "--limit", "2", "--background", "rgb", "--device", "cpu"]  # fmt: skip
    out = tmp_path / "tiny.json"
    code, results = run(out, *more, metrics="ssim,flow")
    assert code == 0
    weights = results["candidate"]["weights"]
    assert "unet/diffusion_pytorch_model.safetensors" in weights
    assert all(len(sha) == 64 for sha in weights.values())
    assert results["candidate"]["options"] == {"steps": 2}
    assert results["numbers"]["flow"]["px"]["mean"] > 0
    assert results["numbers"]["whole"]["ssim_g1.5"]["spread"] > 0
    assert len(list(out.with_suffix(".work").glob("seed-*/*.png"))) == 4
    assert run(out, *more, metrics="ssim,flow")[1]["numbers"] == results["numbers"]


def test_statistic_leaves_undefined_pairs_out() -> None:
    table = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, 4.0]])
    found = statistic(table)
    assert (found["mean"], found["per_seed"], found["left_out"]) == (2.5, [2.0, 3.0], 1)
    nothing = statistic(np.full((2, 3), np.nan))
    assert (nothing["mean"], nothing["pairs"], nothing["left_out"]) == (None, 0, 3)


def test_limited_pairs_are_evenly_spread() -> None:
    assert chosen_pairs(96, 4) == list(PAIRS)
    assert chosen_pairs(3, 10) == chosen_pairs(3, None) == [0, 1, 2]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--method", "copy-source", "--metrics", "lpips"], "alexnet-owt-7be5be79.pth"),
        (["--method", "copy-source", "--metrics", "fid"], "weights-inception-2015-12-05"),
        (["--method", "nothing"], "there is no method 'nothing'"),
        (["--method", "copy-source", "--metrics", "is"], "there is no metric 'is'"),
        (["--method", "copy-source", "--data", "absent"], "absent"),
        (["--results", "absent"], "there is no folder absent"),
        (["--method", "preview", "--steps", "3"], "does not understand 'steps'"),
        (["--method", "preview", "--weights", "x"], "has no weights"),
    ],
)
def test_errors_are_one_line(
    more: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    code, results = run(tmp_path / "x.json", *more)
    assert (code, results) == (2, {})
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


@pytest.mark.slow  # two Inceptions' worth of features and two square roots of 2048 x 2048
def test_fid_and_lpips_from_end_to_end(tmp_path: Path) -> None:
    pytest.importorskip("torch_fidelity")
    from test_metrics import averaging
    from torchvision.models import inception_v3

    with torch.device("meta"):
        network = inception_v3(weights=None, init_weights=False, aux_logits=True)
    weights = tmp_path / "inception.pth"
    torch.save(averaging(network.state_dict()), weights)
    real = tmp_path / "real"
    real.mkdir()
    data = SyntheticPairs(seed=1)
    for number in PAIRS:
        Pillow.fromarray(data[number].source_image).save(real / f"{number}.png")
    out = tmp_path / "copy.json"
    code = main(
        ["--data", "drawn", "--protocol", "market", "--metrics", "fid", "--limit", "4",
         "--method", "copy-source", "--fid-real", str(real), "--out", str(out),
         "--inception-weights", str(weights)]
    )  # fmt: skip
    assert code == 0
    results = json.loads(out.read_text("utf-8"))
    found = results["numbers"]["set"]["fid_legacy_torchvision"]
    assert found["mean"] == pytest.approx(0, abs=1e-3)  # the very pictures that are copied
    assert (found["pictures"], found["real_pictures"]) == (4, 4)
    assert any("weights of its own" in note for note in results["notes"])
    assert any("biased upwards" in note for note in results["notes"])


@pytest.mark.models
def test_poses_are_judged_on_the_real_picture_too(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    code, results = run(tmp_path / "x.json", "--method", "copy-source", metrics="pckh,ap")
    assert code == 0
    pose = results["numbers"]["pose"]
    assert set(pose) >= {"pckh", "pckh_real", "ap", "ap50", "ar", "ap_real"}
    # Capsules of 64 px are no people to mediapipe, which is what the control is there to say.
    assert 0 <= pose["pckh_real"]["mean"] <= 1
    assert results["judges"]["detector"] == "mediapipe"
