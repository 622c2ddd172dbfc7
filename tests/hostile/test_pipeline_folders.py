"""Rows C-46, C-48 and C-60 to C-68 for whole pipelines: what is on disk is data, and complete."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from reposedm.errors import WeightsError
from reposedm.pipelines.baselines import PIDMPipeline
from reposedm.pipelines.reposedm import RePoseDMPipeline
from reposedm.weights import MANIFEST, WEIGHTS
from tests.pipelines.tiny import generators, person, tiny_reposedm

Change = Callable[[Path], Any]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "weights"
    tiny_reposedm().save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "weights"))


def without_manifests(folder: Path) -> Path:
    for file in folder.rglob(MANIFEST):
        file.unlink()
    return folder


def edit(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text("utf-8"))
    file.write_text(json.dumps(content | changes), "utf-8")


def refused(folder: Path, said: str) -> None:
    with pytest.raises(WeightsError, match=said) as caught:
        RePoseDMPipeline.from_pretrained(folder)
    assert len(str(caught.value)) < 800


def test_the_folder_itself_loads(folder: Path) -> None:
    assert RePoseDMPipeline.from_pretrained(folder).config.steps == 4
    assert RePoseDMPipeline.from_pretrained(without_manifests(folder)).config.steps == 4


def test_c46_a_run_keeps_its_settings_when_the_method_changes_under_it() -> None:
    method, (photo, source, target, mask) = tiny_reposedm(), person()
    expected = method(photo, source, target, source_mask=mask, generators=generators(1)).images
    stream = method.stream(photo, source, target, source_mask=mask, generators=generators(1))
    next(stream)
    method.register_to_config(guidance_scale=9.0, steps=1, sampler="ddpm")
    output = None
    while output is None:
        try:
            next(stream)
        except StopIteration as stop:
            output = stop.value
    assert np.array_equal(output.images, expected)


def test_c48_no_run_touches_the_scheduler_of_the_weights() -> None:
    method, (photo, source, target, mask) = tiny_reposedm(sampler="ddpm"), person()
    timesteps, inside = method.scheduler.timesteps.clone(), dict(method.scheduler.config)
    for steps in (2, 3):
        method(photo, source, target, source_mask=mask, steps=steps)
    assert torch.equal(method.scheduler.timesteps, timesteps)
    assert method.scheduler.num_inference_steps is None
    assert dict(method.scheduler.config) == inside


@pytest.mark.parametrize("content", [b"", b"four", b"\xff" * 100], ids=["empty", "4", "header"])
def test_c60_a_damaged_network(folder: Path, content: bytes) -> None:
    (folder / "unet" / WEIGHTS).write_bytes(content)
    refused(without_manifests(folder), "damaged|unfinished")


def test_c60_a_truncated_network(folder: Path) -> None:
    file = folder / "alignment" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])
    refused(folder, "damaged or incomplete.*sha256")


def test_c61_a_git_lfs_pointer(folder: Path) -> None:
    (folder / "unet" / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    refused(folder, "git-lfs pointer")


def test_c62_missing_and_unexpected_tensors(folder: Path) -> None:
    file = without_manifests(folder) / "unet" / WEIGHTS
    tensors = load_file(file)
    name = next(iter(tensors))
    save_file({key: value for key, value in tensors.items() if key != name}, file)
    refused(folder, "1 missing")
    save_file(tensors | {"planted": torch.zeros(1)}, file)
    refused(folder, "1 unexpected")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_class_name": "PIDMPipeline"}, "is for 'PIDMPipeline'"),
        ({"_class_name": None}, "is for None"),
        ({"safety": False}, "nothing called 'safety'"),
        ({"steps": 10**9}, "steps is a whole number"),
        ({"native_size": [10**9, 10**9]}, "native_size"),
        ({"guidance_scale": "2"}, "guidance_scale"),
        ({"unet": None}, "unet must be UNet"),
        ({"alignment": [None, None]}, "alignment must be"),
    ],
    ids=str,
)
def test_c62_other_classes_and_unknown_or_impossible_settings(
    folder: Path, changes: dict[str, Any], said: str
) -> None:
    edit(without_manifests(folder) / "model_index.json", **changes)
    refused(folder, said)


def test_c62_a_folder_of_another_pipeline(folder: Path) -> None:
    with pytest.raises(WeightsError, match="not for PIDMPipeline"):
        PIDMPipeline.from_pretrained(folder)


def test_c63_not_a_number(folder: Path) -> None:
    file = without_manifests(folder) / "autoencoder" / WEIGHTS
    tensors = load_file(file)
    tensors["latent_mean"][0] = float("nan")
    save_file(tensors, file)
    refused(folder, "not finite")


@pytest.mark.parametrize(
    "name", [f"unet/{WEIGHTS}", "unet/config.json", "model_index.json",
             "scheduler/scheduler_config.json"],
)  # fmt: skip
def test_c64_one_changed_byte_anywhere(folder: Path, name: str) -> None:
    file = folder / name
    content = bytearray(file.read_bytes())
    at = content.rindex(b"0") if name.endswith(".json") else len(content) - 5
    content[at] ^= 1
    file.write_bytes(content)
    refused(folder, "damaged or incomplete.*sha256")


def test_c65_a_pickle_in_the_place_of_the_weights(folder: Path) -> None:
    class Planted:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {folder / 'ran'}",)

    (folder / "unet" / WEIGHTS).unlink()
    torch.save(Planted(), folder / "unet" / "diffusion_pytorch_model.bin")
    refused(folder, "is a pickle")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    "entry",
    [
        ["os", "system"], ["../x", "UNet"], ["unet", "UNet"], ["reposedm.models.unet", "Nothing"],
        ["reposedm.models.encoder", "PhotoEncoder"], ["torch.nn", "Linear"], ["diffusers", "UNet"],
        "UNet", ["reposedm.models.unet"], {"a": 1}, 5,
    ],
    ids=str,
)  # fmt: skip
def test_c66_a_component_of_another_class(folder: Path, entry: Any) -> None:
    edit(without_manifests(folder) / "model_index.json", unet=entry)
    refused(folder, "unet must be UNet")


@pytest.mark.parametrize(
    "entry",
    [["os", "system"], ["diffusers", "EulerDiscreteScheduler"], ["diffusers", "__loader__"], None],
    ids=str,
)
def test_c66_a_scheduler_of_another_class(folder: Path, entry: Any) -> None:
    edit(without_manifests(folder) / "model_index.json", scheduler=entry)
    refused(folder, "scheduler must be")


@pytest.mark.parametrize("place", ["unet.py", "unet/unet.py", "pipeline.py"])
def test_c66_code_beside_the_weights(folder: Path, place: str) -> None:
    (folder / place).write_text(f"open({str(folder / 'ran')!r}, 'w')")
    refused(folder, "holds code")
    assert not (folder / "ran").exists()


@pytest.mark.parametrize(
    ("name", "changes", "said"),
    [
        ("unet/config.json", {"widths": [10**9, 8, 8]}, "cannot be used"),
        ("alignment/config.json", {"iterations": 10**9}, "cannot be used"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**9}, "num_train_timesteps"),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": "9"}, "num_train_timesteps"),
        ("scheduler/scheduler_config.json", {"planted": 1}, "no setting 'planted'"),
        ("scheduler/scheduler_config.json", {"beta_schedule": "x"}, "cannot be used"),
        ("scheduler/scheduler_config.json", {"trained_betas": "abc"}, "cannot be used"),
    ],
    ids=str,
)
def test_c67_impossible_configurations(
    folder: Path, name: str, changes: dict[str, Any], said: str
) -> None:
    edit(without_manifests(folder) / name, **changes)
    refused(folder, said)


def test_c68_relative_and_home_paths(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "a b é"
    folder.rename(odd)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("a b é", "~/a b é", odd):
        assert RePoseDMPipeline.from_pretrained(path).config.steps == 4
    refused(tmp_path / "nothing", "no weights folder")
    refused(tmp_path / "a b é" / "model_index.json", "is a file")


def test_c68_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WeightsError, match="cannot be written"):
        tiny_reposedm().save_pretrained(tmp_path / "file" / "inside")
