"""The evaluation of garment swaps: every arm on the same triples, none shown the answer."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.autoencoder import Autoencoder
from tests.pipelines.tiny import tiny_swap, write_shared
from tests.training.swaps import HEIGHT, WIDTH, write_folder
from training.datasets.swap import SwapTriples
from training.swap_evaluate import ARMS, answers, main, score, table


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    write_folder(folder / "people", 2)
    pipe = tiny_swap(native_size=(WIDTH, HEIGHT), prediction="flow_prediction",
                     learn_variance=False)  # fmt: skip
    pipe.save_pretrained(folder / "swap")
    write_shared(pipe, folder / "reposedm")
    return folder


def test_the_command_writes_numbers_a_table_and_pictures(root: Path) -> None:
    out, grid = root / "results.json", root / "grid.png"
    given = ["--data", str(root / "people"), "--weights", str(root / "swap"), "--seeds", "0,1",
             "--steps", "1", "--limit", "2", "--rows", "1"]  # fmt: skip
    assert main([*given, "--out", str(out), "--grid", str(grid)]) == 0
    results = json.loads(out.read_text("utf-8"))
    whole = results["numbers"]["all"]
    assert set(whole) == set(ARMS) and results["counts"]["all"] == 2
    assert len(whole["swap"]["region"]["psnr"]["per_seed"]) == 2
    assert whole["paste"]["region"]["psnr"]["spread"] == 0
    assert set(results["pixels_changed_outside_the_mask"].values()) == {0}
    assert "swap - paste" in results["differences"]
    assert results["seconds_per_picture"]["swap"] > 0
    assert str(root) not in out.read_text("utf-8")
    assert (root / "results.md").read_text("utf-8") == table(results)
    with Image.open(grid) as shown:
        assert shown.size == (12 * WIDTH, HEIGHT)  # two columns of six, one of them empty
    assert main([*given[:2], "--weights", str(root / "nothing"), "--out", str(out)]) == 2


def test_the_truth_scores_best_and_the_photo_as_it_came_less(root: Path) -> None:
    sample = SwapTriples(root / "people", "all")[0]
    noisy = sample.truth.copy()
    noisy[sample.mask] ^= 1
    found = score(noisy, sample, lambda picture, _: sample.truth_labels)
    assert found["region/psnr"] == pytest.approx(48.13, abs=0.1) and found["region/iou"] == 1
    assert found["region/psnr"] > score(sample.image, sample, None)["region/psnr"] + 10


def test_no_arm_is_shown_the_truth(root: Path) -> None:
    torch.manual_seed(0)
    pipe = tiny_swap(native_size=(WIDTH, HEIGHT))
    assert isinstance(pipe.autoencoder, Autoencoder)
    assert isinstance(pipe.alignment, RecurrentPoseAlignment)
    sample = SwapTriples(root / "people", "all")[0]
    one = dict(answers(pipe, sample, [0], 1))
    sample.truth[:] = 0
    sample.truth_labels[:] = 0
    two = dict(answers(pipe, sample, [0], 1))
    assert set(one) == set(ARMS)
    assert all(np.array_equal(one[arm][0], two[arm][0]) for arm in ARMS)
