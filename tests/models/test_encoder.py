"""The photo encoder, the pose encoder, and what all networks promise."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.pose_encoder import PoseEncoder
from reposedm.models.unet import UNet
from tests.models.networks import SIZES, check_saved, count, dead_parameters, noise, stir


@pytest.mark.parametrize(
    ("network", "module"),
    [
        (Autoencoder, "reposedm.models.autoencoder"),
        (PhotoEncoder, "reposedm.models.encoder"),
        (PoseEncoder, "reposedm.models.pose_encoder"),
        (RecurrentPoseAlignment, "reposedm.models.alignment"),
        (UNet, "reposedm.models.unet"),
    ],
)
def test_module_paths_are_public(network: type, module: str) -> None:
    # save_pretrained of a pipeline writes them: moving a file breaks published weights.
    assert network.__module__ == module


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("resolution", ["full", "half", "latent"])
def test_shapes(size: tuple[int, int], resolution: str) -> None:
    h, w = size[0] // 8, size[1] // 8
    encoder = PhotoEncoder(width=16, features=16, blocks=1, resolution=resolution)
    photo = noise(1, 3, h, w) if resolution == "latent" else noise(1, 3, *size)
    with torch.no_grad():
        levels = encoder(photo, noise(1, 18, h, w))
        (finest,) = encoder(photo, noise(1, 18, h, w), levels=1)
    assert [tuple(level.shape[2:]) for level in levels] == [
        (h, w), (-(-h // 2), -(-w // 2)), (-(-h // 4), -(-w // 4)),
    ]  # fmt: skip
    assert torch.equal(finest, levels[0])


def test_heat_maps_must_fit() -> None:
    with pytest.raises(SettingsError, match="needs heat maps"):
        PhotoEncoder.tiny()(noise(1, 3, 64, 48))
    with pytest.raises(SettingsError, match="takes no heat maps"):
        PhotoEncoder.tiny(heat_channels=0)(noise(1, 3, 64, 48), noise(1, 18, 8, 6))
    with pytest.raises(SettingsError, match=r"\(8, 6\) cells for this photo, not \(6, 8\)"):
        PhotoEncoder.tiny()(noise(1, 3, 64, 48), noise(1, 18, 6, 8))


def test_every_parameter_of_the_photo_encoder_learns() -> None:
    encoder = stir(PhotoEncoder.tiny())
    sum(
        level.square().sum() for level in encoder(noise(2, 3, 64, 48), noise(2, 18, 8, 6))
    ).backward()
    assert dead_parameters(encoder) == []


def test_a_batch_is_its_members() -> None:
    encoder = stir(PhotoEncoder.tiny())
    photo, heat = noise(3, 3, 64, 48), noise(3, 18, 8, 6)
    with torch.no_grad():
        together = encoder(photo, heat)
        alone = encoder(photo[1:2], heat[1:2])
    for a, b in zip(together, alone, strict=True):
        assert torch.allclose(a[1:2], b, atol=1e-5)


def test_a_maps_latent_is_passed_on_at_first() -> None:
    latent = noise(2, 16, 8, 6)
    encoder = PoseEncoder("map_latent", 16, 16)
    assert torch.equal(encoder(latent), latent)
    with pytest.raises(WeightsError, match="keeps its 16 channels"):
        PoseEncoder("map_latent", 16, 8)


def test_heat_maps_become_a_pose_latent() -> None:
    encoder = stir(PoseEncoder())
    heat = torch.zeros(1, 18, 32, 22)
    empty = encoder(heat)
    assert empty.shape == (1, 16, 32, 22)
    heat[0, 4, 10, 10] = 1
    assert not torch.equal(encoder(heat), empty)


def test_sizes_of_both() -> None:
    assert count(PhotoEncoder.tiny()) < 0.1e6
    assert count(PoseEncoder.tiny()) < 0.02e6
    assert count(PhotoEncoder()) < 2e6


def test_the_large_configurations_fit_together() -> None:
    with torch.device("meta"):
        aligner, encoder, unet = RecurrentPoseAlignment.paper(), PhotoEncoder.paper(), UNet.paper()
    assert 9e6 < count(aligner) < 13e6
    assert 5e6 < count(encoder) < 9e6
    assert aligner.config.features == encoder.config.features == unet.config.context_dims[0]
    assert aligner.config.levels == encoder.config.levels == len(unet.config.context_dims)


def test_saved_and_loaded(tmp_path: Path) -> None:
    check_saved(stir(PhotoEncoder.tiny()), tmp_path / "photo")
    check_saved(stir(PoseEncoder.tiny()), tmp_path / "pose")


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 10**9}, {"features": 10**9}, {"features": 12}, {"levels": 0}, {"levels": True},
        {"photo_channels": 10**9}, {"heat_channels": -1}, {"blocks": 10**9}, {"resolution": "4k"},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        PhotoEncoder(**changes)


@pytest.mark.parametrize(
    "changes",
    [{"width": 10**9}, {"channels": 10**9}, {"in_channels": 0}, {"pose_representation": "points"}],
)
def test_impossible_arguments_of_the_pose_encoder_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        PoseEncoder(**changes)
