"""Batches, the network, and whole tiny experiments."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reposedm.errors import SettingsError
from reposedm.models.reid import ReIDNet
from reposedm.models.safe import load_safetensors_strict
from tests.training.reid.small_market import write_market
from training.reid.__main__ import main
from training.reid.batches import batches, prepared
from training.reid.config import NetworkConfig, ProtocolConfig, RecipeConfig, ReidConfig
from training.reid.experiment import Experiment
from training.reid.fit import Losses, measure, rate_at, train
from training.reid.generate import Generator, from_folder, known_poses
from training.reid.market import pixels_of, read_market
from training.reid.plan import Draw, kept
from training.reid.results import METRICS, collect, differences, means, page
from training.sample import DataError

TINY = ReidConfig(
    NetworkConfig("resnet10-w8", (64, 32)),
    RecipeConfig(epochs=2, people=4, each=2, learning_rate=2e-3, warmup=0.1, pad=2),
    ProtocolConfig(("real", "repeated", "generated"), (50,), (0,)),
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as of ``reposedm augment``: three pictures of every training picture."""
    folder = tmp_path_factory.mktemp("made")
    for source in read_market(root).train:
        for number in (1, 2, 3):
            copy = folder / f"{source.source}_g{number}.png"
            copy.write_bytes(Path(source.path).read_bytes())
    return folder


def test_batches_hold_p_people_k_times() -> None:
    labels = [person for person in range(10) for _ in range(person + 1)]
    found = list(islice(batches(labels, 4, 3, seed=0), 30))
    for batch in found:
        assert sorted(Counter(labels[place] for place in batch).values()) == [3] * 4
    again = list(islice(batches(labels, 4, 3, seed=0), 30))
    assert np.array_equal(np.stack(found), np.stack(again))
    assert not np.array_equal(found[0], next(batches(labels, 4, 3, seed=1)))


def test_few_pictures_are_repeated_and_many_are_not() -> None:
    labels = [0] + [1] * 8
    (batch,) = islice(batches(labels, 2, 4, seed=0), 1)
    assert sorted(batch)[:4] == [0] * 4
    assert len(set(batch) - {0}) == 4
    with pytest.raises(SettingsError, match="there are 2"):
        next(batches(labels, 3, 2, seed=0))


def test_augmentation_moves_mirrors_and_erases() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 64, 32, 3), dtype=np.uint8)
    plain = prepared(pixels, (64, 32))
    assert torch.equal(plain, torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255)
    off = RecipeConfig(flip=0, pad=0, erase=0)
    for recipe, same in ((off, plain), (replace(off, flip=1.0), plain.flip(3))):
        assert torch.equal(prepared(pixels, (64, 32), recipe, np.random.default_rng(1)), same)
    erased = prepared(pixels, (64, 32), replace(off, erase=1.0), np.random.default_rng(1))
    share = (erased != plain).any(1).float().mean((1, 2))
    assert (share > 0.01).all()
    assert (share < 0.45).all()
    moved = prepared(pixels, (64, 32), replace(off, pad=4), np.random.default_rng(1))
    first = [(y, x) for y in range(9) for x in range(9)
             if torch.equal(torch.nn.functional.pad(plain[0], (4,) * 4)[:, y : y + 64, x : x + 32],
                            moved[0])]  # fmt: skip
    assert len(first) == 1
    assert prepared(pixels, (32, 16)).shape == (8, 3, 32, 16)


def test_the_last_stage_keeps_its_resolution() -> None:
    with torch.device("meta"):
        network = ReIDNet()
        pictures = torch.empty(2, 3, 256, 128)
        assert network.trunk(pictures).shape == (2, 2048, 16, 8)
        assert network(pictures).logits.shape == (2, 751)
    assert not network.neck.bias.requires_grad
    assert network.classifier.bias is None


def test_a_network_is_the_same_when_saved_and_loaded(tmp_path: Path) -> None:
    network = ReIDNet(backbone="resnet10-w8", identities=3, height=64, width=32).eval()
    network.save_pretrained(tmp_path)
    loaded = load_safetensors_strict(ReIDNet, tmp_path)
    pictures = torch.rand(2, 3, 50, 25, generator=torch.Generator().manual_seed(0))
    assert torch.equal(loaded.embed(pictures), network.embed(pictures))
    assert torch.allclose(network.embed(pictures).norm(dim=1), torch.ones(2))


def test_the_hardest_triplets_by_hand() -> None:
    recipe = RecipeConfig(smoothing=0.0, margin=0.3, center=0.0)
    losses = Losses(recipe, 2, 1)
    from reposedm.models.reid import Seen

    pooled = torch.tensor([[0.0], [1.0], [1.2], [3.0]])
    labels = torch.tensor([0, 0, 1, 1])
    logits = torch.full((4, 2), -50.0)
    logits[torch.arange(4), labels] = 50.0  # the cross entropy is 0
    # (farthest of the own, nearest of the others): (1, 1.2), (1, 0.2), (1.8, 0.2), (1.8, 2).
    by_hand = (0.1 + 1.1 + 1.9 + 0.1) / 4
    assert float(losses(Seen(pooled, pooled, logits), labels)) == pytest.approx(by_hand, abs=1e-5)


def test_the_rate_warms_up_and_drops() -> None:
    recipe = RecipeConfig(learning_rate=1.0)
    rates = [rate_at(step, 120, recipe) for step in (0, 5, 10, 39, 40, 69, 70, 119)]
    assert rates == pytest.approx([0.01, 0.505, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_training_learns_and_depends_on_the_seed_alone(root: Path) -> None:
    market = read_market(root)
    pixels, people = pixels_of(market.train, (64, 32)), [shot.person for shot in market.train]
    calm = replace(TINY, recipe=replace(TINY.recipe, erase=0.0, flip=0.0, center=0.0))
    said: list[str] = []
    made = train(calm, pixels, people, 40, seed=0, tell=said.append)
    assert len(said) == 10
    short = [train(calm, pixels, people, 3, seed=seed).network.state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(short[0][name], short[1][name]) for name in short[0])
    assert not torch.equal(short[0]["classifier.weight"], short[2]["classifier.weight"])
    scores = measure(made.network, market)
    assert scores.queries == 8
    assert scores.mean_ap > 0.6, "people of plain colours are told apart after a few steps"


def test_an_experiment_stops_and_goes_on(root: Path, made: Path, tmp_path: Path) -> None:
    market, said = read_market(root), []
    whole = Experiment(TINY, market, tmp_path / "whole", generated=made, tell=said.append)
    assert whole.run()
    results = collect(tmp_path / "whole", "a command")
    assert results["missing"] == []
    by_arm = {row["arm"]: row for row in results["means"]}
    assert by_arm["real"]["added"] == [0]
    assert by_arm["generated"]["added"] == by_arm["repeated"]["added"] == [16]
    assert by_arm["generated"]["steps"] == by_arm["repeated"]["steps"] > by_arm["real"]["steps"]

    def stop() -> bool:
        return len(list((tmp_path / "part" / "runs").glob("*.json"))) == 2

    part = Experiment(TINY, market, tmp_path / "part", generated=made, stop=stop, tell=said.append)
    assert not part.run()
    assert collect(tmp_path / "part", "")["missing"] == [
        ["generated", f"folder-{made.name}", 50, 0]
    ]
    part.stop = lambda: False
    assert part.run()
    again = collect(tmp_path / "part", "a command")
    assert [run["scores"] for run in again["runs"]] == [run["scores"] for run in results["runs"]]
    before = len(said)
    assert part.run(), "nothing is left to do"
    assert len(said) == before

    other = replace(TINY, recipe=replace(TINY.recipe, epochs=3))
    with pytest.raises(SettingsError, match="another digest"):
        Experiment(other, market, tmp_path / "part", generated=made).run()
    later = Experiment(TINY, market, tmp_path / "part", methods=("preview",), tell=said.append)
    assert [job.name for job in later.missing()] == ["generated-preview-050-s0"]


def test_the_table_stands_beside_the_published_rows(root: Path) -> None:
    def run(arm: str, seed: int, value: float) -> dict[str, Any]:
        scores = dict.fromkeys(METRICS, value) | {"queries": 8, "unanswerable": 0}
        arm, _, method = arm.partition(" ")
        return {"arm": arm, "method": method or None, "fraction": 60, "seed": seed, "real": 8,
                "added": 0, "steps": 4, "scores": scores, "machine": {"cores": 1}}  # fmt: skip

    runs = [run("repeated", 0, 0.4), run("repeated", 1, 0.6), run("generated preview", 0, 0.45),
            run("generated preview", 1, 0.55), run("generated other", 1, 0.65)]  # fmt: skip
    counts = read_market(root).counts
    asked = {
        "methods": ["preview", "other"],
        "synthetic": True,
        "config": TINY.record(),
        "counts": counts,
    }
    results = {"experiment": asked, "means": means(runs), "differences": differences(runs),
               "runs": runs, "missing": [], "cpu_seconds": 60, "commit": None,
               "command": "it"}  # fmt: skip
    text = page(results)
    for line in (
        "| RePoseDM (published) | Market-1501, ResNet-50 | 63.6 | 65.5 | 72.4 | 76.1 |",
        "| real + generated by preview | synthetic street, resnet10-w8 |  |  | 50.0 ± 7.1 |  |",
        "| real + generated by other | synthetic street, resnet10-w8 |  |  | 65.0 |  |",
        "| 60 % | generated by preview - repeated | 0, 1 | +0.0 ± 7.1 | +0.0 ± 7.1 |",
        "| 60 % | generated by other - generated by preview | 1 | +10.0 | +10.0 |",
    ):
        assert line in text


def test_the_preview_engine_makes_pictures_of_the_source(root: Path, tmp_path: Path) -> None:
    market = read_market(root)
    source, donor = market.train[0], market.train[9]
    maker = Generator("preview", market, known_poses(market))
    wanted = [Draw(f"{source.name}_g1", source, donor, 0), Draw(f"{source.name}_g2", source,
              market.train[5], 0)]  # fmt: skip
    made = maker.make(wanted, tmp_path, lambda: False)
    assert made is not None
    assert [(shot.person, shot.camera, shot.made) for shot in made] == [(1, 1, 1), (1, 1, 2)]
    old, new = pixels_of([source])[0].astype(int), pixels_of(made)[0].astype(int)
    assert new.shape == (128, 64, 3)
    # The cloth of its source, where the source's person stands: the donor's colours are nowhere.
    cloth = [np.median(picture[40:60, 28:36], (0, 1)) for picture in (old, new)]
    assert np.abs(cloth[0] - cloth[1]).max() < 12
    times = [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("*.png"))]
    assert maker.make(wanted, tmp_path, lambda: False) == made
    assert times == [file.stat().st_mtime_ns for file in sorted(tmp_path.glob("*.png"))]
    assert maker.make([Draw("x_g1", source, donor, 0)], tmp_path, lambda: True) is None


def test_pictures_of_the_command_augment_are_used(root: Path, made: Path) -> None:
    market = read_market(root)
    chosen = kept(market.train, 50, seed=0)
    found = from_folder(made, market.train, chosen)
    assert Counter(shot.person for shot in (*chosen, *found)) == dict.fromkeys(range(1, 9), 4)
    assert {shot.source for shot in found} <= {shot.source for shot in chosen}
    with pytest.raises(DataError, match="no picture made from the kept ones"):
        from_folder(root, market.train, chosen)


def test_the_commands(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "tiny.yaml"
    config.write_text(json.dumps(TINY.record()))  # JSON is YAML
    options = [str(config), "--data", str(root), "--out", str(tmp_path / "run")]
    assert main(["run", *options, "--max-minutes", "0"]) == 0
    assert "3 runs left" in capsys.readouterr().out
    assert main(["run", *options, "--arms", "real", "--results", str(tmp_path / "results")]) == 0
    written = json.loads((tmp_path / "results" / "results.json").read_text())
    assert [run["arm"] for run in written["runs"]] == ["real"]
    assert (tmp_path / "results" / "table.md").read_text().startswith("# Re-identification")
    assert main(["train", *options[:-1], str(tmp_path / "weights")]) == 0
    assert load_safetensors_strict(ReIDNet, tmp_path / "weights").config["identities"] == 8
    assert main(["run", "no-such", *options[1:]]) == 2
    assert "error: the configuration 'no-such'" in capsys.readouterr().err
