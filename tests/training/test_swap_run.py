"""Training a garment swap: the step, the run, the weights that come out."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from reposedm.errors import SettingsError
from reposedm.models.finest import finest_prefixes
from reposedm.pipelines.swap import GarmentSwapPipeline
from tests.training.runs import contents, newest
from tests.training.swaps import HEIGHT, WIDTH, settings, write_folder, write_shared
from training.components import Components, build_pipeline
from training.config import TrainConfig, load_config
from training.datasets.swap import SwapTriples
from training.draws import Draws
from training.field import target_picture
from training.kept import KeptSamples, keep, make_kept_batch
from training.loader import Stream
from training.steps.conditions import conditions_of_batch
from training.steps.diffusion import diffusion_step
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


def components_of(root: Path) -> Components:
    return build_pipeline(load_config("swap", overrides(root)))


def test_the_loss_falls_on_one_batch(root: Path) -> None:
    torch.manual_seed(0)
    components = components_of(root)
    trained = components.prepare("diffusion")
    assert set(trained) == {"unet"}
    names = [n for n, p in trained["unet"].named_parameters() if p.requires_grad]
    assert names and all(name.startswith(finest_prefixes(components.unet)) for name in names)
    triples = SwapTriples(root / "people", "all")
    batch = make_swap_batch([triples[0], triples[4]], (HEIGHT, WIDTH))
    optimizer = torch.optim.AdamW([p for p in trained.parameters() if p.requires_grad], lr=1e-2)
    losses = []
    for _ in range(20):
        loss, _ = diffusion_step(components, batch, Draws(0, 3, range(2)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0]
    used = [p.grad is not None and bool(p.grad.any()) for p in components.unet.out.parameters()]
    assert all(used)


def test_a_batch_is_its_triples(root: Path) -> None:
    """Mapping and latents of a triple do not depend on what it shares a batch with."""
    components = components_of(root)
    components.prepare("diffusion")
    triples = SwapTriples(root / "people", "all")
    pair = make_swap_batch([triples[1], triples[2]], (HEIGHT, WIDTH))
    alone = make_swap_batch([triples[2]], (HEIGHT, WIDTH))
    both, _ = conditions_of_batch(components, pair)
    one, _ = conditions_of_batch(components, alone)
    assert both.extra is not None and one.extra is not None
    assert torch.allclose(both.extra[1:], one.extra, atol=1e-5)
    assert all(torch.allclose(a[1:], b, atol=1e-5)
               for a, b in zip(both.context, one.context, strict=True))  # fmt: skip


def test_the_true_answer_is_not_shown_under_the_mask(root: Path) -> None:
    components = components_of(root)
    components.prepare("diffusion")
    triples = SwapTriples(root / "people", "all")
    batch = make_swap_batch([triples[0]], (HEIGHT, WIDTH))
    given, _ = conditions_of_batch(components, batch)
    clean = target_picture(batch, 4)
    batch.inputs.photo.copy_(torch.where(batch.inputs.mask > 0, 0.3, batch.inputs.photo))
    other, _ = conditions_of_batch(components, batch)
    assert torch.equal(given.extra, other.extra)
    assert not torch.equal(clean, target_picture(batch, 4))


@pytest.mark.parametrize("source", [False, True], ids=["aligned", "and as it is"])
def test_a_step_on_kept_triples_is_a_step_on_the_pictures(
    root: Path, tmp_path: Path, source: bool
) -> None:
    shared = write_shared(tmp_path / "reposedm", source=source)
    config = load_config("swap", settings(root / "people", shared))
    assert keep(config, tmp_path / "kept", 2) == 2
    components = build_pipeline(config)
    components.prepare("diffusion")
    samples = KeptSamples(tmp_path / "kept")
    samples.check(components)
    assert ("photo" in samples.fields) == source  # the garment's
    kept = make_kept_batch([samples[0, number] for number in range(2)])
    pictures = Stream(config, "diffusion").read(range(2))
    losses = [float(diffusion_step(components, batch, Draws(0, 3, range(2)))[0].detach())
              for batch in (pictures, kept)]  # fmt: skip
    assert losses[0] == pytest.approx(losses[1], rel=2e-3)
    with pytest.raises(SettingsError, match="samples of another task"):
        samples.check(dataclasses.replace(components, config=reposing(root)))


def reposing(root: Path) -> TrainConfig:
    return load_config("b2", [f"init.pipeline={root / 'reposedm'}", "data.kind=drawn"])


def test_a_run_says_what_it_does_and_exports(whole: Path, root: Path) -> None:
    lines = [json.loads(line) for line in (whole / "log.jsonl").read_text("utf-8").splitlines()]
    assert [line["step"] for line in lines if "mse" in line] == [1, 2, 3, 4]
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
        ("stages.alignment.steps=2", "finest grid of reposing's U-Net alone"),
        ("data.kind=drawn", "two outfits"),
        ('init.pipeline=""', "starts from reposing"),
        ("swap.outside=0", "swap.outside must be in"),
    ],
)
def test_settings_that_make_no_swap_are_refused(root: Path, change: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load_config("swap", [*overrides(root), change])
