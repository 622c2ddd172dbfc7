"""Training a garment swap: the step, the run, the weights that come out."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from reposedm.errors import SettingsError
from reposedm.pipelines.swap import GarmentSwapPipeline
from tests.training.runs import contents, newest
from tests.training.swaps import HEIGHT, WIDTH, settings, write_folder, write_shared
from training.components import build_pipeline
from training.config import load_config
from training.datasets.swap import SwapTriples, Varied
from training.draws import Draws
from training.steps.swap import frozen_of_batch, swap_step
from training.swap_batch import make_swap_batch
from training.train import main


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    write_folder(folder / "people")
    write_shared(folder / "reposedm")
    return folder


def overrides(root: Path) -> list[str]:
    return settings(root / "people", root / "reposedm")


def train(root: Path, out: Path) -> int:
    return main(["--config", "swap", "--out", str(out), *overrides(root)])


@pytest.fixture(scope="module")
def whole(root: Path) -> Path:
    assert train(root, root / "run") == 0
    return root / "run"


def test_the_loss_falls_on_one_batch(root: Path) -> None:
    torch.manual_seed(0)
    components = build_pipeline(load_config("swap", overrides(root)))
    trained = components.prepare("diffusion")
    assert set(trained) == {"unet", "pose_encoder", "encoder"}
    assert not any(p.requires_grad for p in components.alignment.parameters())
    triples = SwapTriples(root / "people", "all")
    batch = make_swap_batch([triples[0], triples[4]], (HEIGHT, WIDTH))
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(20):
        loss, logs = swap_step(components, batch, Draws(0, 3, range(2)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0] and "inside" in logs
    used = [p.grad is not None and bool(p.grad.any()) for p in trained["encoder"].parameters()]
    assert all(used)


def test_a_batch_is_its_triples(root: Path) -> None:
    """Noise, mapping and latents of a triple do not depend on what it shares a batch with."""
    components = build_pipeline(
        load_config("swap", [*overrides(root), "swap.limbs=0.5", "swap.variants=0"])
    )
    components.prepare("diffusion")
    triples = SwapTriples(root / "people", "all")
    pair = make_swap_batch([triples[1], triples[2]], (HEIGHT, WIDTH))
    alone = make_swap_batch([triples[2]], (HEIGHT, WIDTH))
    both, clean = frozen_of_batch(components, pair)
    one, own = frozen_of_batch(components, alone)
    for name in ("agnostic", "mask", "pasted", "fitted"):
        assert torch.allclose(getattr(both, name)[1:], getattr(one, name), atol=1e-5)
    assert torch.allclose(clean[1:], own, atol=1e-5)


def test_what_comes_again_is_said_once(root: Path) -> None:
    components = build_pipeline(load_config("swap", overrides(root)))
    components.prepare("diffusion")
    triples = Varied(SwapTriples(root / "people", "all"), variants=1)
    batch = make_swap_batch([triples[0, 1], triples[0, 2]], (HEIGHT, WIDTH))
    first, clean = frozen_of_batch(components, batch)
    assert set(components.kept) == set(batch.names)
    later = make_swap_batch([triples[5, 1], triples[7, 2]], (HEIGHT, WIDTH))
    assert later.names == batch.names
    components.alignment = None  # whoever asked it now would fail
    again, same = frozen_of_batch(components, later)
    assert torch.equal(first.pasted, again.pasted) and torch.equal(clean, same)


def test_the_true_answer_is_not_shown_under_the_mask(root: Path) -> None:
    components = build_pipeline(load_config("swap", [*overrides(root), "swap.variants=0"]))
    components.prepare("diffusion")
    triples = SwapTriples(root / "people", "all")
    batch = make_swap_batch([triples[0]], (HEIGHT, WIDTH))
    given, clean = frozen_of_batch(components, batch)
    batch.inputs.photo.copy_(torch.where(batch.inputs.mask > 0, 0.3, batch.inputs.photo))
    other, changed = frozen_of_batch(components, batch)
    assert torch.equal(given.agnostic, other.agnostic) and torch.equal(given.pasted, other.pasted)
    assert not torch.equal(clean, changed)


def test_a_run_says_what_it_does_and_exports(whole: Path, root: Path) -> None:
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines if "inside" in line] == [1, 2, 3, 4]
    assert any("validation/loss" in line for line in lines)
    with Image.open(whole / "samples" / "step-00000004.png") as grid:
        assert grid.size == (4 * WIDTH, HEIGHT)
    shutil.copytree(whole / "weights" / "swap", root / "swap", dirs_exist_ok=True)
    pipe = GarmentSwapPipeline.from_pretrained(root / "swap")
    assert pipe.capabilities.name == "swap" and list(pipe.config.native_size) == [WIDTH, HEIGHT]


def test_resumed_is_bit_equal(whole: Path, root: Path, tmp_path: Path) -> None:
    copy = tmp_path / "run"
    shutil.copytree(whole, copy)
    for step in (3, 4):
        shutil.rmtree(copy / f"step-{step:08d}")
    assert train(root, copy) == 0
    assert contents(newest(copy)) == contents(newest(whole))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("stages.alignment.steps=2", "trains its own U-Net alone"),
        ("data.kind=drawn", "two outfits"),
        ("diffusion.vlb_weight=1", "no variance"),
        ('init.alignment=""', "needs a trained alignment"),
        ("swap.outside=0", "swap.outside must be in"),
    ],
)
def test_settings_that_make_no_swap_are_refused(root: Path, change: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_config("swap", [*overrides(root), change])
