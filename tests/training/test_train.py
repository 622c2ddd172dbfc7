import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.jobs.methods import unload_methods
from reposedm.jobs.repose import repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.reposedm import RePoseDMPipeline
from reposedm.weights import WEIGHTS
from tests.drawn import arms_up, photo
from tests.training.runs import FAST, contents, newest, train
from training.checkpoint import Checkpoint, checkpoints, verify
from training.export import main as export_main
from training.overfit import overfit
from training.report import sample_grid
from training.resume import restore_components

ROOT = Path(__file__).parents[2]


def shortened(whole: Path, copy: Path, total: int) -> Path:
    """A copy of a run that was killed after the checkpoint of that step."""
    shutil.copytree(whole, copy)
    for folder in checkpoints(copy):
        if int(folder.name[5:]) > total:
            shutil.rmtree(folder)
    return copy


def test_a_run_trains_every_stage_and_says_so(whole: Path) -> None:
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["stage"] for line in lines] == (
        ["autoencoder"] * 2 + ["estimator"] * 2 + ["alignment"] * 2 + ["diffusion"] * 4
    )
    assert [line["total"] for line in lines] == list(range(1, 11))
    assert all(math.isfinite(line["loss"]) for line in lines)
    state = newest(whole).state
    assert state["progress"] == {"stage": "diffusion", "step": 4, "total": 10, "seen": 8}
    assert state["strength"] > 0
    assert list((whole / "tensorboard").iterdir())


ON_DEMAND = [pytest.param(step, marks=pytest.mark.slow) for step in (1, 3, 4)]


@pytest.mark.parametrize("total", [8, *ON_DEMAND])  # 4 is a stage's end, the others are inside one
def test_resumed_is_bit_equal(whole: Path, tmp_path: Path, total: int) -> None:
    copy = shortened(whole, tmp_path / "run", total)
    assert train(copy) == 0
    assert contents(newest(copy)) == contents(newest(whole))
    same = ("progress", "strength", "networks", "average_steps")
    assert all(newest(copy).state[key] == newest(whole).state[key] for key in same)


def test_the_stages_hand_on_averaged_and_normalised_networks(whole: Path) -> None:
    found = restore_components(newest(whole))
    assert (found.autoencoder.latent_std != 1).all()
    at_end = restore_components(newest_of(whole, 2), averaged=True)
    for key, value in at_end.autoencoder.state_dict().items():
        if not key.startswith("latent_"):
            assert torch.equal(value, found.autoencoder.state_dict()[key])


def newest_of(run: Path, total: int) -> Checkpoint:
    return verify(run / f"step-{total:08d}")


def test_the_export_is_the_averaged_pipeline(whole: Path, tmp_path: Path) -> None:
    assert export_main([str(whole), "-o", str(tmp_path)]) == 0
    ours = RePoseDMPipeline.from_pretrained(tmp_path / "reposedm")
    theirs = RePoseDMPipeline.from_pretrained(whole / "weights" / "reposedm")
    checkpoint = newest(whole)
    average = checkpoint.tensors("ema")
    for pipeline in (ours, theirs):
        for key, value in pipeline.unet.state_dict().items():
            assert torch.equal(value, average[f"unet.{key}"])
        assert pipeline.config.pose_guidance_strength == checkpoint.state["strength"]
        assert list(pipeline.config.native_size) == [64, 64]
    live = checkpoint.tensors("unet")
    assert any(not torch.equal(live[k], average[f"unet.{k}"]) for k in live)


def test_no_denoiser_no_export(whole: Path, tmp_path: Path, capsys) -> None:
    assert export_main([str(whole / "step-00000003"), "-o", str(tmp_path)]) == 2
    assert "estimator" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_half_the_bytes_and_other_defaults(whole: Path, tmp_path: Path, capsys) -> None:
    to = ["-o", str(tmp_path), "--half", "--default", "steps=3", "--default", "guidance_scale=1"]
    assert export_main([str(whole), *to]) == 0
    full = RePoseDMPipeline.from_pretrained(whole / "weights" / "reposedm")
    half = RePoseDMPipeline.from_pretrained(tmp_path / "reposedm")
    assert (half.config.steps, half.config.guidance_scale) == (3, 1)
    assert half.config.pose_guidance_strength == full.config.pose_guidance_strength
    for key, value in half.unet.state_dict().items():
        assert torch.equal(value.half(), full.unet.state_dict()[key].half())
    sizes = [
        (root / "unet" / WEIGHTS).stat().st_size
        for root in (tmp_path / "reposedm", whole / "weights" / "reposedm")
    ]
    assert sizes[0] < 0.6 * sizes[1]
    for refused, why in (("seed=1", "of steps"), ("steps=x", "no number"), ("steps=0", "steps")):
        assert export_main([str(whole), "-o", str(tmp_path), "--default", refused]) == 2
        assert why in capsys.readouterr().err


def test_the_app_loads_it(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(whole / "weights"))
    unload_methods()
    image, pose, mask = photo()
    settings = ReposeSettings(method="reposedm", steps=2, seed=1)
    job = repose(image, pose, arms_up(pose), settings, source_mask=mask)
    while True:
        try:
            next(job)
        except StopIteration as stop:
            result = stop.value
            break
    unload_methods()
    assert result.images[0].shape == image.shape and result.images[0].dtype == np.uint8
    assert result.settings["method"] == "reposedm"


def test_sample_pictures_are_the_pipelines(whole: Path) -> None:
    components = restore_components(newest(whole), averaged=True)
    grid = sample_grid(components)
    assert grid.shape == (64 * components.config.log.samples, 64 * 3, 3)
    assert np.array_equal(grid, sample_grid(components))


def test_accumulating_is_a_larger_batch(whole: Path, tmp_path: Path) -> None:
    only = [
        "stages.autoencoder.steps=0", "stages.estimator.steps=0", "stages.alignment.steps=0",
        f"init.pipeline={whole / 'weights' / 'reposedm'}", "stages.diffusion.steps=1",
    ]  # fmt: skip
    assert train(tmp_path / "a", *only, "stages.diffusion.batch=4") == 0
    assert train(tmp_path / "b", *only, "stages.diffusion.accumulate=2") == 0
    a, b = (newest(tmp_path / name).tensors("unet") for name in "ab")
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 1e-5


def test_separate_networks_can_be_given_to_other_runs(whole: Path, tmp_path: Path) -> None:
    folder = whole / "networks"
    given = [f"init.{n}={folder / n}" for n in ("autoencoder", "estimator", "alignment")]
    none = [f"stages.{n}.steps=0" for n in ("autoencoder", "estimator", "alignment")]
    assert train(tmp_path / "run", *given, *none, "stages.diffusion.steps=1") == 0
    ours, theirs = newest(tmp_path / "run").tensors("estimator"), newest(whole).tensors("estimator")
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def launch(out: Path, *settings: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen:
    command = [*(prefix or (sys.executable,)), "-m", "training.train", "--config", "tiny"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "--out", str(out), *FAST, *settings], cwd=ROOT, env=environment
    )


@pytest.mark.slow
def test_killed_and_resumed_by_the_command_line(whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = launch(out)
    while process.poll() is None and not (out / "step-00000003").exists():
        time.sleep(0.02)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert launch(out).wait() == 0
    assert contents(newest(out)) == contents(newest(whole))


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(whole: Path, tmp_path: Path) -> None:
    only = [
        "stages.autoencoder.steps=0", "stages.estimator.steps=0", "stages.alignment.steps=0",
        f"init.pipeline={whole / 'weights' / 'reposedm'}",
    ]  # fmt: skip
    accelerate = (
        sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2",
        "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
    )  # fmt: skip
    for steps in (2, 3):  # the second command resumes
        process = launch(
            tmp_path / "two", *only, f"stages.diffusion.steps={steps}", prefix=accelerate
        )
        assert process.wait(280) == 0
    only += ["stages.diffusion.batch=4", "stages.diffusion.steps=3"]
    assert train(tmp_path / "one", *only) == 0
    for group in ("unet", "alignment", "pose_encoder", "ema"):
        one, two = (newest(tmp_path / name).tensors(group) for name in ("one", "two"))
        assert one.keys() == two.keys()
        difference = max(float((one[k].double() - two[k].double()).abs().max()) for k in one)
        print(f"{group}: {difference:.1e}")
        assert difference < 1e-5
    assert newest(tmp_path / "two").state["world"] == 2


@pytest.mark.slow
def test_four_pairs_can_be_learned_by_heart() -> None:
    found = overfit(steps=80)
    assert found["mse_after"] < found["mse_before"] / 10
