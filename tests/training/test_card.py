"""The model card: nothing in it that no results file says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from reposedm.errors import WeightsError
from reposedm.weights import WEIGHTS
from training.card import (
    CARD,
    README,
    RESULTS,
    card,
    check_numbers,
    list_weights,
    readme_block,
    with_block,
    write_all,
)
from training.facts import read_results, unsupported
from training.history import _shown, run_facts
from training.history import main as history
from training.sample import DataError
from training.summary import over_seeds

MACHINE = {"device": "cpu", "cpu": "Test CPU 3000", "cores": 2, "threads": 2, "system": "Linux"}


def ablation() -> dict[str, Any]:
    numbers = {
        "person": {"psnr": over_seeds([20.0, 20.5]), "ssim_g1.5": over_seeds([0.61, 0.63])},
        "pose": {"pckh": over_seeds([0.9]), "kept": over_seeds([0.97]),
                 "pckh_real": over_seeds([0.95])},
    }  # fmt: skip
    picture = {"file": "ablation-typical.jpg", "rule": "of even ranks", "pairs": []}
    return {
        "data": {"people": 60, "settings": {"identities": 60, "seed": 7, "one_camera": True}},
        "counts": {"pairs": 300, "of": 300, "posed": 100, "seeds": 2},
        "arms": {"full": {"numbers": numbers}, "copy-source": {"numbers": numbers}},
        "differences": {
            "full - copy-source": {
                "person/psnr": {"mean": 1.25, "ci95": [0.5, 2.0], "above": 1.0, "pairs": 300}
            }
        },
        "bars": [{"bar": "full beats it", "met": False, "difference": 1.25}],
        "order": {"person/psnr": ["full"]},
        "paper": {"full": {"fid": 5.1986, "ssim": 0.7923, "lpips": 0.1463}},
        "bootstrap": {"resamples": 2000, "percent": 95},
        "absent": {"fid": "its weights are not here"},
        "pictures": {
            "columns": ["source", "target", "full"],
            "typical": picture,
            "failures": {**picture, "file": "ablation-failures.jpg", "rule": "the worst"},
        },
        "command": "python -m training.ablation --pairs 300 --seeds 0,1",
        "commit": "a" * 39 + "1",
        "machine": MACHINE,
    }


def parts() -> dict[str, Any]:
    return {
        "random_weights": False,
        "parts_ms": {"cpu": {"align": 41.5, "step_with_guidance": 120.0}},
        "batches": [1, 2],
        "images_per_second": {"cpu": {"1": 0.512}},
        "bars": [
            {"bar": "peak memory of the app, MB", "value": 2100, "limit": 3000.0, "met": True},
            {"bar": "a later repose, seconds", "value": None, "limit": 3.0, "met": None},
        ],
        "machine": MACHINE,
    }


def results() -> dict[str, Any]:
    return {
        "ablation": ablation(),
        "parts": parts(),
        "real_photos": {"photos": 9, "height": 256,
                        "psnr": {"mean": 29.128, "min": 26.0, "max": 33.333}},
        "reposed": {"photos": 9, "near": 0.2, "tall": 200,
                    "ceiling": {"within_torso": 0.99, "whole_picture": 0.89},
                    "methods": {"full": {"within_torso": 0.91, "whole_picture": 0.81,
                                         "of_tall_people": 0.93,
                                         "joints": 1500, "pictures": 120}}},
    }  # fmt: skip


def test_numbers_must_be_in_a_file_as_rounded() -> None:
    found = {"a": {"x": 20.256, "command": "run --seed 77 v2.5"}, "b": [3, -1.5]}
    for text in ("20.3 and 20.26 dB", "3 times", "-1.5", "+1.50", "B2, ssim51, x86_64, ssim_g1.5",
                 "after run --seed 77 v2.5 it"):  # fmt: skip
        assert unsupported(text, found) == [], text
    assert unsupported("20.27 dB on 4 of 3, seed 77", found) == ["20.27", "4", "77"]


def test_a_card_has_only_numbers_of_the_results() -> None:
    made = results()
    text = card(made)
    check_numbers("the card", text, made)
    check_numbers("README", readme_block(made), made)
    for shown in ("20.2500 ± 0.3536", "29.13 dB", "0.9100", "0.8100", "0.9900", "120.0", "0.512",
                  "NOT met (1.2500)",
                  "2100 (at most 3000.0): met", "model_card/ablation-failures.jpg", "the worst",
                  "B2 (alignment) | not run"):  # fmt: skip
        assert shown in text, shown
    assert "20.2500 ± 0.3536" in readme_block(made)
    made["parts"]["random_weights"] = True
    assert "benchmarks.parts" in card(made)  # times of no weights are not in the card
    del made["real_photos"]
    with pytest.raises(DataError, match=r"29\.13"):
        check_numbers("the card", text, made)


def test_without_results_the_card_says_what_makes_them() -> None:
    text = card({})
    for command in ("training.ablation", "training.real_photos", "benchmarks.parts",
                    "training.history", "benchmarks.reposed"):  # fmt: skip
        assert f"python -m {command}" in text
    assert unsupported(text, {}) == []
    assert "no results yet" in readme_block({})


def test_the_garment_networks_have_their_numbers_on_it() -> None:
    parser = {
        "pictures": 720,
        "mask": {"iou": {"top": 0.626, "hat": None}, "mean_iou": 0.5693},
        "no_mask": {"iou": {"top": 0.6031}, "mean_iou": 0.5088},
    }
    marks = {"garments": 129, "percent_of_size": {"mean": 1.46, "median": 1.01, "p90": 3.02},
             "cut_out": {"iou": 0.9836}}  # fmt: skip
    made = {"garments": {"parser": parser, "landmarks": marks, "command": "python -m x",
                         "commit": "abcdef0"}}  # fmt: skip
    text, block = card(made), readme_block(made)
    for shown in ("| top | 0.6260 | 0.6031 |", "| hat |  |  |", "mean | 0.5693 | 0.5088",
                  "1.46 %", "0.9836"):  # fmt: skip
        assert shown in text, shown
    assert "0.5693" in block and "no results yet" in block
    check_numbers("the card", text, made)
    check_numbers("README", block, made)


def spread(mean: float) -> dict[str, Any]:
    return {"mean": mean, "spread": 0.01, "per_seed": [mean], "pairs": 3, "left_out": 0}


def test_swaps_and_small_pictures_have_their_numbers_on_it() -> None:
    arms = ("swap", "swap-limbs", "paste", "paste-aligned", "unchanged")
    swap = {
        "counts": {"all": 120}, "seeds": [0, 1, 2], "command": "python -m x", "commit": "abcdef0",
        "numbers": {"all": {arm: {"region": {"psnr": spread(17.25), "ssim_g1.5": spread(0.4375)},
                                  "whole": {"ssim_g1.5": spread(0.9)}} for arm in arms}},
        "differences": {f"swap - {arm}": {"region/psnr": {"mean": 2.625}} for arm in arms[1:4]},
        "pixels_changed_outside_the_mask": dict.fromkeys(arms, 0), "number_of_seeds": 3,
    }  # fmt: skip
    street = {
        "counts": {"pairs": 200, "posed": 60}, "data": {"people": 40}, "command": "python -m y",
        "commit": "abcdef0",
        "arms": {arm: {"numbers": {"person": {"psnr": spread(19.5)}}}
                 for arm in ("copy-source", "preview", "b2", "street")},
    }  # fmt: skip
    text = card({"swap": swap, "street": street})
    for shown in ("| all (120) | without recurrent alignment | 17.2500 ± 0.0100 |", "+2.62 dB",
                  "| weights for small pictures | 19.5000 ± 0.0100 |", "any arm: 0."):  # fmt: skip
        assert shown in text, shown


def test_readme_and_card_are_what_the_results_say() -> None:
    made = read_results(RESULTS)
    readme = README.read_text("utf-8")
    assert with_block(readme, readme_block(made)) == readme
    check_numbers("README", readme_block(made), made)
    if CARD.exists():
        assert CARD.read_text("utf-8") == card(made)
        check_numbers("the card", card(made), made)


def test_everything_is_written_or_refused(tmp_path: Path) -> None:
    folder = tmp_path / "results"
    folder.mkdir()
    for name, content in results().items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    weights = tmp_path / "weights" / "reposedm" / "unet"
    weights.mkdir(parents=True)
    values = {"a": np.zeros((3, 4), np.float16), "b": np.zeros(5, np.float16)}
    save_file(values, weights / WEIGHTS)
    readme = tmp_path / "README.md"
    readme.write_text("before <!-- results: written by python -m training.card -->old\n"
                      "<!-- end of results --> after")  # fmt: skip
    options = argparse.Namespace(
        results=folder, weights=tmp_path / "weights", readme=readme, out=tmp_path / "docs/card.md"
    )
    with pytest.raises(DataError, match=r"ablation-typical\.jpg is absent"):
        write_all(options)
    assert not options.out.exists()
    for kind in ("typical", "failures"):
        (folder / f"ablation-{kind}.jpg").write_bytes(b"jpeg")
    written = write_all(options)
    assert tmp_path / "docs/model_card/ablation-failures.jpg" in written
    text = options.out.read_text("utf-8")
    assert "| `reposedm/unet` | 0.00 | 17 | F16 |" in text
    assert readme.read_text().startswith("before <!--") and "old" not in readme.read_text()
    with pytest.raises(WeightsError, match="holds no weights"):
        list_weights(folder)
    with pytest.raises(DataError, match="no place for results"):
        with_block("nothing", "x")


def log_of(run: Path) -> None:
    """A run of two stages that was killed after step 4 of the first, and repeated its step 4."""
    (run).mkdir()
    start = {
        "utc": "2026-01-01T00:00:00+00:00", "command": "python -m training.train --config small",
        "commit": "c" * 40, "machine": MACHINE, "processes": 1, "precision": "no", "torch": "2",
        "config": {"method": "full", "seed": 0, "data": {"kind": "synthetic", "size": [256, 176],
                   "root": str(run.parent / "people")}, "loss": {"latent": 5.0}},
    }  # fmt: skip
    (run / "starts.jsonl").write_text(json.dumps(start) + "\n")
    lines = []
    for stage, step, loss in (("autoencoder", 2, 3.0), ("autoencoder", 4, 2.0),
                              ("autoencoder", 4, 2.0), ("diffusion", 2, 1.0)):  # fmt: skip
        lines.append({"stage": stage, "step": step, "total": step, "loss": loss, "samples": 16,
                      "seconds": 1800.0, "samples_per_second": 1.0})  # fmt: skip
    lines.append({"stage": "diffusion", "step": 2, "total": 6, "validation/loss": 1.5})
    (run / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_history_adds_up_what_a_run_logged(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people/meta.json").write_text(json.dumps({"settings": {"seed": 1, "poses": 6}}))
    log_of(tmp_path / "small")
    facts = run_facts(tmp_path / "small")
    first = facts["stages"]["autoencoder"]
    assert (first["steps"], first["samples"], first["hours"]) == (4, 32, 1.5)
    assert facts["stages"]["diffusion"]["validation"] == {"loss": 1.5}
    assert facts["hours"] == 2.0
    assert facts["data"] == {"kind": "synthetic", "size": [256, 176], "seed": 1, "poses": 6}
    assert facts["config"]["loss"] == {"latent": 5.0}
    out = tmp_path / "training.json"
    assert history([str(tmp_path / "small"), "-o", str(out)]) == 0
    assert str(tmp_path) not in out.read_text("utf-8")
    made = {"training": json.loads(out.read_text("utf-8"))}
    text = card(made)
    check_numbers("the card", text, made)
    assert "| small | autoencoder | 4 | 32 | 1.50 | loss 2.0000 (in training) |" in text
    assert "seed 1, poses 6" in text
    assert history([str(tmp_path / "absent"), "-o", str(out)]) == 2


def test_history_names_no_folder_of_this_computer_in_lists_either() -> None:
    assert _shown({"kept": ["/home/somebody/kept", 3]}) == {"kept": ["kept", 3]}
