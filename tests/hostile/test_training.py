"""Hostile rows C-70 to C-76, C-78 and C-79: what happens to training runs."""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from reposedm.weights import write_manifest
from tests.training.runs import contents, newest, signal_when, train, whole_run
from training.checkpoint import CheckpointError, checkpoints, latest, random_state, save, verify
from training.lock import locked
from training.resume import restore_components

ROOT = Path(__file__).parents[2]
SAVING = """
import sys, pathlib, torch
from training.checkpoint import save
run = pathlib.Path(sys.argv[1])
for step in range(1, 10_000):
    save(run, step, {"unet": {"a": torch.full((1 << 21,), float(step))}}, {"n": step}, keep=3)
"""


@pytest.fixture(scope="session")
def whole() -> Path:
    """A finished run that a test may read, not change."""
    return whole_run()


def groups(value: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "unet": {"a": torch.full((300,), value)},
        "optimizer": {"exp_avg/a": torch.full((300,), value)},
        "rng": random_state(0),
    }


def two(run: Path) -> None:
    for step in (1, 2):
        save(run, step, groups(step), {"n": step})


def test_c70_killed_in_the_middle_of_saving(tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = subprocess.Popen([sys.executable, "-c", SAVING, str(run)], cwd=ROOT)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:  # kill while a folder is half written
        left = [path for path in run.glob("step-*.tmp") if len(checkpoints(run)) > 1]
        if left:
            process.send_signal(signal.SIGSTOP)
            os.waitpid(process.pid, os.WUNTRACED)  # until it has really stopped
            if left[0].exists():
                break
            process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait()
    assert list(run.glob("step-*.tmp"))  # the kill did fall into a save
    found, refused = latest(run)
    assert found is not None and not refused
    step = float(found.state["n"])
    assert (found.tensors("unet")["a"] == step).all() and found.folder.name.endswith(f"{step:.0f}")


def test_c70_half_written_folders_are_cleared_and_never_chosen(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    half = copy / "step-00000099.tmp"
    shutil.copytree(newest(whole).folder, half)
    assert train(copy) == 0
    assert not half.exists() and newest(copy).folder.name == "step-00000010"


def test_c71_disk_full(tmp_path: Path) -> None:
    two(tmp_path)
    before = {path: contents(verify(path)) for path in checkpoints(tmp_path)}
    large = {"unet": {"a": torch.zeros(1 << 20)}}
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, old[1]))
        with pytest.raises(CheckpointError) as caught:
            save(tmp_path, 3, large, {}, keep=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    text = str(caught.value)
    assert "4,194,304 bytes" in text and re.search(r"[\d,]+ are free", text)
    assert {path: contents(verify(path)) for path in checkpoints(tmp_path)} == before
    assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize(
    "name",
    ["state.json", "manifest.json", "unet.safetensors", "optimizer.safetensors", "rng.safetensors"],
)
@pytest.mark.parametrize("how", ["truncated", "empty", "missing", "changed"])
def test_c72_each_file_of_a_checkpoint(tmp_path: Path, name: str, how: str) -> None:
    two(tmp_path)
    file = tmp_path / "step-00000002" / name
    raw = file.read_bytes()
    if how == "missing":
        file.unlink()
    else:
        middle = len(raw) // 2
        changed = raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]
        file.write_bytes({"truncated": raw[:-7], "empty": b"", "changed": changed}[how])
    found, refused = latest(tmp_path)
    assert found is not None and found.state["n"] == 1
    assert len(refused) == 1 and "step-00000002" in refused[0]


def test_c72_a_missing_part(tmp_path: Path) -> None:
    save(tmp_path, 1, groups(), {}, part_bytes=500)
    folder = tmp_path / "step-00000001"
    (folder / "unet.safetensors.001").unlink()
    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    write_manifest(folder, names, {})  # even if the manifest agrees
    with pytest.raises(CheckpointError, match="parts of unet are missing"):
        verify(folder)


def test_c72_the_run_falls_back_and_says_so(whole: Path, tmp_path: Path, capfd) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    (copy / "step-00000010" / "rng.safetensors").unlink()
    assert train(copy) == 0
    said = capfd.readouterr().out
    assert "skipped:" in said and "rng.safetensors is missing" in said
    assert re.search(r"resuming .*step-00000009", said)
    assert contents(newest(copy)) == contents(newest(whole))


def test_c72_without_its_random_state_nothing_is_resumed(
    whole: Path, tmp_path: Path, capsys
) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    for folder in checkpoints(copy)[:2]:
        shutil.rmtree(folder)
    folder = checkpoints(copy)[0]
    (folder / "rng.safetensors").unlink()
    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    write_manifest(folder, names, {})
    assert train(copy) == 2
    assert "rng" in capsys.readouterr().err


class Bomb:
    """Leaves a file behind where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["optimizer.safetensors", "rng.safetensors", "unet.safetensors"])
def test_c73_malicious_pickle_in_a_checkpoint(tmp_path: Path, name: str) -> None:
    two(tmp_path)
    folder, mark = tmp_path / "step-00000002", tmp_path / "ran"
    (folder / name).write_bytes(pickle.dumps(Bomb(mark)))
    torch.save({"x": Bomb(mark)}, folder / "optimizer.bin")
    with pytest.raises(CheckpointError, match=r"optimizer.bin does not belong"):
        verify(folder)
    # Whoever can write the folder can write the manifest, too.
    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    write_manifest(folder, names, {})
    with pytest.raises(CheckpointError, match=r"optimizer.bin is no file of a checkpoint"):
        verify(folder)
    (folder / "optimizer.bin").unlink()
    write_manifest(folder, [one for one in names if one != "optimizer.bin"], {})
    with pytest.raises(CheckpointError, match="not a safetensors file"):
        verify(folder).tensors(name.split(".", maxsplit=1)[0])
    assert not mark.exists()


def test_c73_a_state_that_names_other_classes(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "step-00000001"
    shutil.copytree(newest(whole).folder, folder)
    state = json.loads((folder / "state.json").read_text("utf-8"))
    for change in ({"unet": {"class": "os.system", "config": {}}}, {"evil": {}}):
        changed = {**state, "networks": {**state["networks"], **change}}
        (folder / "state.json").write_text(json.dumps(changed))
        names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
        write_manifest(folder, names, {})
        with pytest.raises(CheckpointError, match="cannot be used"):
            restore_components(verify(folder))


def test_c74_resume_is_bit_equal(whole: Path, tmp_path: Path) -> None:
    # Other steps: tests/training/test_train.py. Here through a real SIGTERM, wherever it falls.
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    for folder in checkpoints(out)[:3]:
        shutil.rmtree(folder)
    thread = signal_when(out / "step-00000008", signal.SIGTERM)
    assert train(out) == 128 + signal.SIGTERM
    thread.join()
    assert 8 <= int(newest(out).folder.name[5:]) <= 10
    assert train(out) == 0
    assert contents(newest(out)) == contents(newest(whole))


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("stages.diffusion.batch=3", "stages.diffusion.batch (2 -> 3)"),
        ("stages.diffusion.learning_rate=0.5", "learning_rate (0.002 -> 0.5)"),
        ("models.unet.blocks=2", "models.unet.blocks (None -> 2)"),
        ("seed=3", "seed (0 -> 3)"),
    ],
)
def test_c75_changed_configuration(whole: Path, setting: str, named: str, capsys) -> None:
    before = contents(newest(whole))
    assert train(whole, setting) == 2
    said = capsys.readouterr().err
    assert named in said and "--allow-changed-config" in said
    assert contents(newest(whole)) == before


def test_c75_another_number_of_processes(whole: Path, tmp_path: Path, capsys) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    folder = newest(copy).folder
    state = json.loads((folder / "state.json").read_text("utf-8"))
    (folder / "state.json").write_text(json.dumps({**state, "world": 8}))
    names = [path.name for path in folder.iterdir() if path.name != "manifest.json"]
    write_manifest(folder, names, {})
    assert train(copy) == 2
    assert "number of processes (8 -> 1)" in capsys.readouterr().err


def test_c75_the_override(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    settings = ("stages.diffusion.batch=4", "stages.diffusion.steps=5")
    assert train(copy, *settings, options=("--allow-changed-config",)) == 0
    assert newest(copy).state["progress"]["seen"] == 8 + 4


def test_c75_what_changes_no_number_may_change(whole: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    assert train(copy, "log.every=3", "checkpoint.keep=1", "stages.diffusion.steps=5") == 0
    assert newest(copy).state["progress"]["step"] == 5 and len(checkpoints(copy)) == 1


def test_c75_no_resume_into_a_run_that_is_there(whole: Path, capsys) -> None:
    assert train(whole, options=("--resume", "no")) == 2
    assert "holds a run" in capsys.readouterr().err


def test_c76_nan_loss(whole: Path, tmp_path: Path, capsys) -> None:
    good = verify(whole / "step-00000007")
    state = dict(good.state)
    tensors = {name: good.tensors(name) for name in good.files}
    tensors["unet"] = {key: value * float("nan") for key, value in tensors["unet"].items()}
    run = tmp_path / "run"
    save(run, 7, tensors, state)
    before = contents(newest(run))
    assert train(run, "stages.diffusion.steps=40") == 2
    said = capsys.readouterr().err
    assert "3 steps in a row, up to 4, had no finite gradients" in said
    assert len(re.findall(r"drawn-0-\d+-\d->drawn-0-\d+-\d", said)) == 6  # three batches of two
    assert [path.name for path in checkpoints(run)] == ["step-00000007"]
    assert contents(newest(run)) == before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_c78_signals(tmp_path: Path, number: int, code: int, capfd) -> None:
    out = tmp_path / "run"
    thread = signal_when(out / "log.jsonl", number)
    started = time.monotonic()
    assert train(out, "stages.autoencoder.steps=100000", "checkpoint.every=100000") == code
    thread.join()
    assert time.monotonic() - started < 120
    found = newest(out)
    assert found.state["progress"]["step"] >= 1
    assert "finishing this step" in capfd.readouterr().out


def test_c78_time_is_up(tmp_path: Path) -> None:
    out = tmp_path / "run"
    options = ("--max-minutes", "0.05")
    steps = ("stages.autoencoder.steps=100000", "checkpoint.every=100000")
    assert train(out, *steps, options=options) == 0
    assert newest(out).state["progress"]["step"] >= 1


def test_c79_two_runs_in_one_directory(tmp_path: Path, capsys) -> None:
    out = tmp_path / "run"
    with locked(out):
        assert train(out) == 2
    said = capsys.readouterr().err
    assert f"process {os.getpid()}" in said and "is training in" in said and "--out" in said
    with locked(out):  # and it is free again
        pass
