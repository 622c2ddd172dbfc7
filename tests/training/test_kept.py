"""What frozen networks say, kept on disk: the diffusion stage must not see a difference."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reposedm.errors import SettingsError
from training.components import build
from training.config import load_config
from training.kept import (
    KeptBatch,
    KeptSamples,
    fields_of,
    fingerprint,
    keep,
    main,
    make_kept_batch,
)
from training.loader import Stream
from training.steps import draws_for, training_step
from training.train import main as train

SETTINGS = [
    "data.size=[64,64]", "stages.diffusion.batch=3", "method=b2", "diffusion.guided=false",
    "diffusion.joint_alignment=false", "stages.alignment.steps=20",
]  # fmt: skip
B1 = ["models.unet.extra_channels=0"]
COUNT = 11


def configured(*more: str):
    torch.manual_seed(0)  # "pretrained": every run has these random networks
    return load_config("tiny", [*SETTINGS, *more])


def losses(components: Any, places: Any) -> Callable[[object], torch.Tensor]:
    """The stage's loss of a batch, with the same draws each time."""

    def loss_of(batch: object) -> torch.Tensor:
        draws = draws_for(components, "diffusion", places, "cpu")
        return training_step("diffusion", components, batch, draws)[0]

    return loss_of


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept") / "samples"
    assert keep(configured(), folder, COUNT) == COUNT
    return folder


def test_a_step_on_kept_samples_is_a_step_on_the_pictures(kept: Path) -> None:
    components = build(configured())
    stream = Stream(components.config, "diffusion")
    pictures, places = stream.read(range(3)), stream.places(0)

    loss_of = losses(components, places)
    expected = loss_of(pictures)
    samples = Stream(configured(f"diffusion.kept=[{kept}]"), "diffusion")
    order = [[samples.pairs[(0, number)] for number in range(3)]]
    batch = samples._make(order[0])
    assert isinstance(batch, KeptBatch)
    assert batch.names[0] == f"kept sample 0 of {kept.name}"
    assert loss_of(batch).item() == pytest.approx(expected.item(), rel=2e-3)
    components.prepare("diffusion")
    loss_of(batch).backward()
    down = components.alignment.encoder.down[0][0]
    assert down.weight.grad is not None  # only the U-Net's loss can train the finer levels


def test_b1_sees_the_photos_of_the_same_samples(kept: Path, tmp_path: Path) -> None:
    config = configured("method=b1", "stages.alignment.steps=0", *B1)
    folder = tmp_path / "photos"
    assert keep(config, folder, COUNT) == COUNT
    torch.manual_seed(0)
    components = build(config)
    stream = Stream(config, "diffusion")
    pictures, places = stream.read(range(3)), stream.places(0)
    samples = KeptSamples(folder)
    assert samples.fields == fields_of(components)
    samples.check(components)
    batch = make_kept_batch([samples[(0, number)] for number in range(3)])
    for name in ("clean", "target_heat"):  # the very samples that the other method has
        np.testing.assert_array_equal(samples[(0, 2)][0][name], KeptSamples(kept)[(0, 2)][0][name])

    loss_of = losses(components, places)
    components.prepare("diffusion")
    loss = loss_of(batch)
    assert loss.item() == pytest.approx(loss_of(pictures).item(), rel=2e-3)
    loss.backward()
    assert next(components.encoder.parameters()).grad is not None  # it is trained on them
    with pytest.raises(SettingsError, match="b1 keep their own"):
        KeptSamples(kept).check(components)


def test_a_network_that_sees_the_photo_as_it_is_keeps_that_too(kept: Path, tmp_path: Path) -> None:
    config = configured("models.unet.source_context=true")
    folder = tmp_path / "sources"
    assert keep(config, folder, COUNT) == COUNT
    torch.manual_seed(0)
    components = build(config)
    stream = Stream(config, "diffusion")
    pictures, places = stream.read(range(3)), stream.places(0)
    samples = KeptSamples(folder)
    assert set(samples.fields) - set(KeptSamples(kept).fields) == {"photo", "source_heat"}
    samples.check(components)
    batch = make_kept_batch([samples[(0, number)] for number in range(3)])

    loss_of = losses(components, places)
    components.prepare("diffusion")
    loss = loss_of(batch)
    assert loss.item() == pytest.approx(loss_of(pictures).item(), rel=2e-3)
    loss.backward()
    assert next(components.encoder.parameters()).grad is not None  # it is trained on them
    with pytest.raises(SettingsError, match="a U-Net with source_context"):
        KeptSamples(kept).check(components)


def test_the_stream_gives_every_sample_once_an_epoch(kept: Path) -> None:
    stream = Stream(configured(f"diffusion.kept=[{kept}]", "stages.diffusion.batch=1"), "diffusion")
    batches = stream.batches(0)
    names = [next(batches).names[0] for _ in range(2 * COUNT)]
    assert len(set(names[:COUNT])) == len(set(names[COUNT:])) == COUNT
    assert names[:COUNT] != names[COUNT:]


def test_several_folders_are_one_after_another(kept: Path) -> None:
    both = Stream(configured(f"diffusion.kept=[{kept},{kept}]"), "diffusion").pairs
    assert len(both) == 2 * COUNT
    first, again, last = (both[(0, number)][0] for number in (0, COUNT, COUNT - 1))
    for name in fields_of(build(configured())):
        np.testing.assert_array_equal(first[name], again[name])
    assert (first["clean"] != last["clean"]).any()


def test_shards_and_a_second_start_make_the_same_files(kept: Path, tmp_path: Path) -> None:
    config, folder = configured(), tmp_path / "samples"
    first = keep(config, folder, COUNT, (0, 2))
    with pytest.raises(SettingsError, match="is not finished, 8 of 11"):
        KeptSamples(folder)
    torch.manual_seed(0)
    second = keep(config, folder, COUNT, (1, 2))
    assert (first, second) == (8, 3)
    torch.manual_seed(0)
    assert keep(config, folder, COUNT) == 0
    for name in fields_of(build(configured())):
        one, other = (np.load(root / f"{name}.npy") for root in (kept, folder))
        assert one.dtype == np.float16 and np.abs(one.astype(float)).max() > 0
        np.testing.assert_allclose(one.astype(float), other.astype(float), atol=2e-3)


def test_samples_of_other_networks_are_refused(kept: Path) -> None:
    samples = KeptSamples(kept)
    components = build(configured())
    samples.check(components)
    with torch.no_grad():  # the diffusion stage trains these: they may differ
        components.alignment.encoder.down[0][0].weight.add_(1)
    samples.check(components)
    before = fingerprint(components)
    with torch.no_grad():
        components.alignment.pose_encoder.net[0].weight.add_(1e-3)
    assert fingerprint(components) != before
    with pytest.raises(SettingsError, match="another autoencoder or alignment"):
        samples.check(components)


def test_other_networks_do_not_write_into_the_folder(kept: Path) -> None:
    config = configured()
    torch.manual_seed(1)
    with pytest.raises(SettingsError, match="samples of other networks"):
        keep(config, kept, COUNT)


@pytest.mark.parametrize(
    "settings", [["diffusion.joint_alignment=true"], ["method=full", "diffusion.guided=true"]]
)
def test_settings_that_need_pictures_are_refused(settings: list[str], kept: Path) -> None:
    with pytest.raises(SettingsError, match=r"diffusion\.kept holds what a frozen alignment says"):
        configured(f"diffusion.kept=[{kept}]", *settings)


def test_a_folder_without_samples_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SettingsError, match=r"training\.kept writes them"):
        KeptSamples(tmp_path)
    assert main(["--config", "tiny", "--out", str(tmp_path), "--count", "0"]) == 2
    assert "--count must be at least 1" in capsys.readouterr().err


def test_a_run_trains_on_kept_samples(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: stages before, samples of their networks, the stage that takes them.

    Method full: its interaction field is fitted on pictures, which kept samples are not.
    """
    first, second, samples = (str(tmp_path / name) for name in ("first", "second", "samples"))
    shared = [*SETTINGS, "method=full", "log.samples=0", "log.validate_batches=1"]
    before = ["stages.autoencoder.steps=2", "stages.estimator.steps=1", "stages.alignment.steps=2"]
    assert train(["--config", "tiny", "--out", first, *shared, *before,
                  "stages.diffusion.steps=0"]) == 0  # fmt: skip
    names = ("autoencoder", "estimator", "alignment")
    after = [*shared, "stages.diffusion.steps=2", "log.validate_every=2",
             *(f"stages.{name}.steps=0" for name in names),
             *(f"init.{name}={first}/networks/{name}" for name in names)]  # fmt: skip
    assert main(["--config", "tiny", "--out", samples, "--count", "5", *after]) == 0
    assert "5 samples written" in capsys.readouterr().out
    run = ["--config", "tiny", "--out", second, *after, f"diffusion.kept=[{samples}]"]
    assert train(run) == 0
    assert "interaction field: lambda" in capsys.readouterr().out
    log = (Path(second) / "log.jsonl").read_text("utf-8")
    assert '"validation/mse"' in log
