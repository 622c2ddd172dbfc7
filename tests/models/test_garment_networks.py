from pathlib import Path

import numpy as np
import pytest
import torch

from reposedm.errors import SettingsError, WeightsError
from reposedm.garments.joints import LANDMARKS
from reposedm.garments.labels import CLASSES
from reposedm.models.landmarks import GarmentLandmarks, places
from reposedm.models.parser import HEAT_STRIDE, GarmentParser
from reposedm.models.safe import load_safetensors_strict


def test_sizes_are_what_the_app_can_ship() -> None:
    with torch.device("meta"):
        parser, landmarks = GarmentParser(), GarmentLandmarks()
    assert parser.config.classes == len(CLASSES)
    assert landmarks.config.landmarks == len(LANDMARKS)
    assert 0.4e6 < sum(p.numel() for p in parser.parameters()) <= 0.6e6
    assert 0.2e6 < sum(p.numel() for p in landmarks.parameters()) <= 0.4e6


@pytest.mark.parametrize("size", [(128, 88), (64, 48), (36, 20)])
def test_shapes(size: tuple[int, int]) -> None:
    height, width = size
    photo = torch.rand(2, 3, height, width) * 2 - 1
    heat = torch.rand(2, 18, height // HEAT_STRIDE, width // HEAT_STRIDE)
    assert GarmentParser.tiny()(photo, heat).shape == (2, 12, height, width)
    maps, known = GarmentLandmarks.tiny()(photo)
    assert maps.shape == (2, 16, height // 2, width // 2) and known.shape == (2, 16)


def test_the_pose_decides_who_is_meant() -> None:
    network = GarmentParser.tiny()
    photo = torch.rand(1, 3, 64, 48)
    heat = torch.zeros(1, 18, 16, 12)
    one = network(photo, heat)
    heat[0, 3, 4, 4] = 1
    assert not torch.allclose(one, network(photo, heat))


@pytest.mark.parametrize(
    ("photo", "heat"), [((1, 3, 62, 48), (1, 18, 15, 12)), ((1, 3, 64, 48), (1, 18, 8, 6))]
)
def test_sizes_that_do_not_fit_are_refused(photo: tuple, heat: tuple) -> None:
    with pytest.raises(SettingsError, match="multiples of 4"):
        GarmentParser.tiny()(torch.zeros(photo), torch.zeros(heat))


def test_a_landmark_picture_of_another_size_is_refused() -> None:
    with pytest.raises(SettingsError, match="multiples of 4"):
        GarmentLandmarks.tiny()(torch.zeros(1, 3, 66, 48))


def test_places_are_found_between_cells() -> None:
    rows, columns = np.mgrid[:20, :16] + 0.5
    wanted = np.array([[5.3, 7.8], [12.5, 3.0]])  # x, y in cells
    maps = np.stack([-((columns - x) ** 2 + (rows - y) ** 2) / 1.5 for x, y in wanted])
    found, mass = places(torch.from_numpy(maps)[None])
    assert found[0].numpy() == pytest.approx(2 * wanted, abs=0.1)
    assert (mass > 0.9).all()


@pytest.mark.parametrize("cls", [GarmentParser, GarmentLandmarks])
def test_weights_are_loaded_strictly(cls: type, tmp_path: Path) -> None:
    network = cls.tiny().half()
    network.save_pretrained(tmp_path)
    again = load_safetensors_strict(cls, tmp_path)
    for name, value in again.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, network.state_dict()[name].float())
    other = {GarmentParser: GarmentLandmarks, GarmentLandmarks: GarmentParser}[cls]
    with pytest.raises(WeightsError, match="wrong folder"):
        load_safetensors_strict(other, tmp_path)


def test_a_new_parser_shows_no_pattern_of_cells() -> None:
    network = GarmentParser.tiny()
    features = torch.rand(1, 8, 3, 2)
    found = torch.nn.functional.pixel_shuffle(network.rough(features), 4)
    cells = found.unflatten(3, (2, 4)).unflatten(2, (3, 4))
    assert torch.equal(cells, cells[:, :, :, :1, :, :1].expand_as(cells))


def test_absurd_settings_are_refused() -> None:
    for settings in ({"classes": 1}, {"widths": (8, 8)}, {"widths": (8, 8, 4096)}, {"edge": 0}):
        with pytest.raises(WeightsError):
            GarmentParser(**settings)
