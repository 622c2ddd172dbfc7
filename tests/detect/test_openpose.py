"""The OpenPose back end, with weights of the right names and shapes and one value each."""

import pickle
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reposedm.detect import detect_people, openpose_backend
from reposedm.detect.openpose_backend import FILE, REPOSITORY, _detection
from reposedm.errors import DetectionError, WeightsError
from reposedm.pose.skeleton import L_ANKLE, NOSE


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache of the Hub's library; yields where the weights file belongs."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    folder = tmp_path / f"models--{REPOSITORY.replace('/', '--')}"
    commit = "0" * 40
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text(commit)
    (folder / "snapshots" / commit).mkdir(parents=True)
    openpose_backend._loaded.clear()
    yield folder / "snapshots" / commit / FILE
    openpose_backend._loaded.clear()


def save_weights(file: Path, **changes: Any) -> None:
    """A file of a few KB: every tensor is one zero, repeated. Names as in CMU's file."""
    import torch
    from controlnet_aux.open_pose.model import bodypose_model

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in bodypose_model().state_dict().items()}
    zero = torch.zeros(1)
    tensors = {name.split(".", 1)[1]: zero.expand(shape) for name, shape in shapes.items()}
    torch.save({**tensors, **changes}, file)


@pytest.mark.models
@pytest.mark.filterwarnings("ignore")  # controlnet-aux imports with a dozen warnings
def test_real_code_path_with_small_weights(hub: Path) -> None:
    save_weights(hub)
    assert hub.stat().st_size < 200_000
    assert detect_people(np.zeros((64, 48, 3), np.uint8), "openpose") == []


@pytest.mark.models
@pytest.mark.filterwarnings("ignore")  # controlnet-aux imports with a dozen warnings
def test_weights_of_another_shape_are_refused(hub: Path) -> None:
    import torch

    save_weights(hub, **{"conv1_1.weight": torch.zeros(2, 2)})
    with pytest.raises(WeightsError, match=FILE):
        detect_people(np.zeros((64, 48, 3), np.uint8), "openpose")


class Trap:
    """A pickle that makes a file when it is opened carelessly."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.file,)


@pytest.mark.models
@pytest.mark.filterwarnings("ignore")  # controlnet-aux imports with a dozen warnings
@pytest.mark.parametrize("kind", ["pickle", "torch", "cut", "text"])
def test_files_that_are_no_weights(hub: Path, tmp_path: Path, kind: str) -> None:
    import torch

    trace = tmp_path / "was-run"
    if kind == "pickle":
        hub.write_bytes(pickle.dumps(Trap(trace)))
    elif kind == "torch":
        torch.save({"conv1_1.weight": Trap(trace)}, hub)
    elif kind == "cut":
        save_weights(hub)
        hub.write_bytes(hub.read_bytes()[:5000])
    else:
        hub.write_text("<html>not found</html>")
    with pytest.raises(WeightsError, match="fetch it again"):
        detect_people(np.zeros((64, 48, 3), np.uint8), "openpose")
    assert not trace.exists()


def test_without_weights_offline_it_says_how_to_get_them(hub: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DetectionError) as caught:
        detect_people(np.zeros((64, 48, 3), np.uint8), "openpose")
    assert time.monotonic() - start < 5
    for part in (FILE, REPOSITORY, "hf download", "HF_HUB_OFFLINE", "mediapipe"):
        assert part in str(caught.value)


def test_a_row_of_openposes_table() -> None:
    candidates = np.array([[10, 20, 0.9, 0], [12, 60, 0.8, 1], [30, 70, 1.4, 2]])
    row = -np.ones(20)
    row[[NOSE, 1, L_ANKLE]] = 0, 1, 2
    found = _detection(candidates, row, (64, 96))
    assert found is not None
    assert found.pose.points[NOSE].tolist() == [10.5, 20.5]
    assert found.pose.visible.sum() == 3 and found.pose.score[L_ANKLE] == 1
    assert found.notes == ("15 of 18 joints were not found",)
    left, top, right, bottom = found.box
    assert left <= 10 and top <= 20 and 30.5 <= right <= 64 and 70.5 <= bottom <= 96
    assert _detection(candidates, -np.ones(20), (64, 96)) is None
