import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.weights import sha256_of
from training.checkpoint import (
    CheckpointError,
    checkpoints,
    latest,
    random_state,
    restore_random_state,
    save,
    verify,
)


def groups(value: float = 1.0) -> dict[str, dict[str, torch.Tensor]]:
    return {
        "unet": {"a.weight": torch.full((40, 30), value), "b": torch.arange(5)},
        "rng": random_state(0),
    }


def test_what_goes_in_comes_out(tmp_path: Path) -> None:
    save(tmp_path, 7, groups(), {"n": 7})
    found, refused = latest(tmp_path)
    assert found is not None and not refused
    assert found.folder.name == "step-00000007" and found.state == {"n": 7}
    tensors = found.tensors("unet")
    assert torch.equal(tensors["a.weight"], torch.ones(40, 30))
    assert torch.equal(tensors["b"], torch.arange(5))
    with pytest.raises(CheckpointError, match="no 'optimizer'"):
        found.tensors("optimizer")


def test_in_parts_no_file_is_larger_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    state = random_state(0)
    content = groups() | {"rng": state}
    save(tmp_path / "whole", 1, content, {})
    save(tmp_path / "parts", 1, content, {}, part_bytes=1000)
    whole, parts = (
        verify(tmp_path / "whole/step-00000001"),
        verify(tmp_path / "parts/step-00000001"),
    )
    sizes = [file.stat().st_size for file in parts.folder.glob("*.safetensors.*")]
    assert len(sizes) > 10 and max(sizes) == 1000
    joined = b"".join((parts.folder / name).read_bytes() for name in parts.files["rng"])
    assert joined == (whole.folder / "rng.safetensors").read_bytes()
    assert all(torch.equal(parts.tensors("rng")[name], state[name]) for name in state)


def test_only_the_newest_stay(tmp_path: Path) -> None:
    for step in range(1, 6):
        save(tmp_path, step, groups(step), {}, keep=2)
    assert [path.name for path in checkpoints(tmp_path)] == ["step-00000005", "step-00000004"]
    assert not list(tmp_path.glob("*.tmp"))


def test_steps_are_ordered_as_numbers(tmp_path: Path) -> None:
    for step in (99_999_999, 100_000_000):
        save(tmp_path, step, groups(), {})
    assert checkpoints(tmp_path)[0].name == "step-100000000"


def test_the_manifest_is_the_files(tmp_path: Path) -> None:
    folder = save(tmp_path, 3, groups(), {"x": 1})
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert set(manifest["files"]) == {"state.json", "unet.safetensors", "rng.safetensors"}
    for name, facts in manifest["files"].items():
        assert facts["sha256"] == sha256_of(folder / name)


def test_random_state_brings_every_generator_back() -> None:
    state = random_state(2)
    random.gauss(0, 1)
    first = (torch.rand(3), np.random.rand(3), random.random(), np.random.normal())
    restore_random_state(state, 2)
    random.gauss(0, 1)
    second = (torch.rand(3), np.random.rand(3), random.random(), np.random.normal())
    assert torch.equal(first[0], second[0]) and np.array_equal(first[1], second[1])
    assert first[2:] == second[2:]


def test_random_state_of_another_process_is_not_taken() -> None:
    with pytest.raises(CheckpointError, match="random state 'torch' of process 1"):
        restore_random_state(random_state(0), 1)
