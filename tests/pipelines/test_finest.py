"""The finest grid of a U-Net alone, and pipelines that store no more."""

from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.finest import FinestGrid, finest_prefixes
from reposedm.models.unet import UNet
from reposedm.pipelines.street import StreetPipeline
from tests.pipelines.tiny import generators, person, tiny_street, write_shared


def test_a_finest_grid_of_another_network_is_refused() -> None:
    finest = FinestGrid.of(UNet.tiny())
    with pytest.raises(WeightsError, match="another U-Net"):
        finest.put_into(UNet.tiny(extra_channels=4))
    assert torch.equal(finest.put_into(UNet.tiny()).stem.weight, finest.stem.weight)


def test_weights_that_are_older_than_a_setting_fit_its_default() -> None:
    unet = UNet.tiny()
    settings = dict(FinestGrid.of(unet).config.unet)
    del settings["source_context"]
    finest = FinestGrid(unet=settings)
    assert torch.equal(finest.put_into(unet).stem.weight, finest.stem.weight)
    with pytest.raises(WeightsError, match="another U-Net"):
        finest.put_into(UNet.tiny(source_context=True))


def test_the_finest_grid_is_all_that_has_its_names() -> None:
    unet = UNet.tiny(extra_channels=5, gated=(0,))
    names = {name for name in unet.state_dict() if name.startswith(finest_prefixes(unet))}
    assert len(FinestGrid.of(unet).state_dict()) == len(names)
    assert not any(name.startswith(("middle.", "down.1.", "time.")) for name in names)
    assert {name.split(".")[0] for name in names} == {"stem", "down", "up", "out", "gates"}


@pytest.mark.parametrize("settings", [None, {"nothing": 1}, {"widths": [7]}])
def test_settings_of_no_network_are_refused(settings: object) -> None:
    with pytest.raises(WeightsError):
        FinestGrid(unet=settings)


@pytest.fixture(params=[False, True], ids=["aligned", "and as it is"])
def pipe(request: pytest.FixtureRequest) -> StreetPipeline:
    return tiny_street(source=request.param)


@pytest.fixture
def folder(tmp_path: Path, pipe: StreetPipeline) -> Path:
    pipe.save_pretrained(tmp_path / "street")
    write_shared(pipe, tmp_path / "reposedm")
    return tmp_path / "street"


def test_a_street_pipeline_is_reposing_with_another_finest_grid(
    folder: Path, pipe: StreetPipeline
) -> None:
    assert {path.name for path in folder.iterdir() if path.is_dir()} == {"finest", "scheduler"}
    photo, source, target, mask = person()

    def drawn(pipe: StreetPipeline) -> np.ndarray:
        made = pipe(photo, source, target, source_mask=mask, generators=generators(1))
        return made.images[0].astype(int)

    again = StreetPipeline.from_pretrained(folder)
    assert np.abs(drawn(again) - drawn(pipe)).max() <= 3  # stored in 16 bits
    assert again.capabilities.name == "reposedm-street"
    with torch.no_grad():
        again.unet.stem.weight.zero_()
    assert (drawn(again) != drawn(pipe)).any()


def test_options_and_folders_that_are_none_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="torch_dtype is not an option"):
        StreetPipeline.from_pretrained(folder, torch_dtype="float16")
    with pytest.raises(WeightsError):
        StreetPipeline.from_pretrained(folder, shared=tmp_path / "nothing")
    (folder / "finest" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(WeightsError):
        StreetPipeline.from_pretrained(folder)
