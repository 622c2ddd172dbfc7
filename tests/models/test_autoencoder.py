"""The latent autoencoder, and diffusers' in its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from reposedm.errors import ImageError, WeightsError
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.autoencoder_adapters import DiffusersAutoencoder, as_autoencoder
from tests.models.networks import SIZES, check_saved, count, dead_parameters, noise, stir


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels", [3, 4])
def test_shapes(size: tuple[int, int], channels: int) -> None:
    codec = Autoencoder.tiny(image_channels=channels)
    with torch.no_grad():
        latent = codec.encode(noise(1, channels, *size))
        picture = codec.decode(latent)
    assert latent.shape == (1, 4, size[0] // 8, size[1] // 8)
    assert picture.shape == (1, channels, *size)


def test_sizes_of_the_presets() -> None:
    assert 2e6 < count(Autoencoder.small(4)) < 3e6
    assert 10e6 < count(Autoencoder.large(4)) < 15e6
    assert count(Autoencoder.tiny()) < 0.02e6
    assert Autoencoder.small().latent_channels == 16
    assert Autoencoder.small(4).image_channels == 4


def test_latents_are_normalised_with_the_statistics() -> None:
    codec, picture = stir(Autoencoder.tiny()), noise(2, 3, 64, 48)
    raw = codec.encode_raw(picture)
    assert torch.equal(codec.encode(picture), raw)
    mean, std = raw.mean((0, 2, 3)).detach(), raw.std((0, 2, 3)).detach()
    codec.set_latent_statistics(mean, std)
    latent = codec.encode(picture)
    assert torch.allclose(latent.mean((0, 2, 3)), torch.zeros(4), atol=1e-5)
    assert torch.allclose(latent.std((0, 2, 3)), torch.ones(4), atol=1e-5)
    assert torch.allclose(codec.decode(latent), codec.decode_raw(raw), atol=1e-5)


def test_nothing_is_clipped() -> None:
    codec = Autoencoder.tiny()
    with torch.no_grad():
        codec.unproject.bias.fill_(5)
    latents = torch.stack([torch.full((4, 2, 2), 50.0), torch.full((4, 2, 2), 100.0)])
    found = codec.decode(latents)
    assert found.mean() > 1
    assert not torch.allclose(found[0], found[1])


@pytest.mark.parametrize("size", [(250, 176), (256, 170), (4, 8), (0, 8)])
def test_sides_must_be_multiples_of_eight(size: tuple[int, int]) -> None:
    with pytest.raises(ImageError, match=f"multiples of 8, not {size[1]} x {size[0]}"):
        Autoencoder.tiny().encode(torch.zeros(1, 3, *size))


def test_channels_must_fit() -> None:
    with pytest.raises(ImageError, match=r"\(B, 4, H, W\), not \(1, 3, 16, 16\)"):
        Autoencoder.tiny(4).encode(torch.zeros(1, 3, 16, 16))


@pytest.mark.parametrize(
    ("mean", "std"),
    [
        (torch.zeros(4), torch.zeros(4)), (torch.zeros(4), -torch.ones(4)),
        (torch.full((4,), torch.nan), torch.ones(4)), (torch.zeros(3), torch.ones(3)),
        (torch.zeros(4), torch.full((4,), torch.inf)),
    ],
)  # fmt: skip
def test_impossible_statistics_are_refused(mean: torch.Tensor, std: torch.Tensor) -> None:
    codec = Autoencoder.tiny()
    with pytest.raises(WeightsError):
        codec.set_latent_statistics(mean, std)
    assert torch.equal(codec.latent_std, torch.ones(4))


@pytest.mark.parametrize(
    "changes",
    [
        {"image_channels": 1}, {"image_channels": 5}, {"latent_channels": 10**9},
        {"latent_channels": 0}, {"width": 10**9}, {"width": 8.5}, {"blocks": 10**9},
        {"fine_blocks": -1}, {"width": None},
    ],
)  # fmt: skip
def test_impossible_arguments_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(WeightsError):
        Autoencoder(**changes)


def test_statistics_are_saved_with_the_weights(tmp_path: Path) -> None:
    codec = stir(Autoencoder.tiny(4))
    codec.set_latent_statistics(torch.arange(4.0), torch.arange(4.0) + 1)
    check_saved(codec, tmp_path)


def test_every_parameter_learns() -> None:
    codec = stir(Autoencoder.tiny())
    codec(noise(2, 3, 32, 32)).square().sum().backward()
    assert dead_parameters(codec) == []


def test_a_batch_is_its_members() -> None:
    codec, pictures = stir(Autoencoder.tiny()), noise(3, 3, 32, 24)
    with torch.no_grad():
        together = codec.encode(pictures)
        assert torch.allclose(codec.encode(pictures[1:2]), together[1:2], atol=1e-5)
        assert torch.allclose(codec.decode(together[2:]), codec.decode(together)[2:], atol=1e-5)


def test_bf16_is_close_to_fp32() -> None:
    codec, picture = stir(Autoencoder.tiny()), noise(1, 3, 64, 48)
    with torch.no_grad():
        exact = codec(picture)
        with torch.autocast("cpu", torch.bfloat16):
            rough = codec(picture).float()
    assert rough.isfinite().all()
    assert (rough - exact).abs().mean() < 0.05 * exact.abs().mean()


def test_it_learns_to_reconstruct() -> None:
    codec = Autoencoder(width=16, blocks=1, fine_width=16, fine_blocks=1)
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    picture = torch.stack([x, y, (3 * x * y).sin()])[None]
    optimizer = torch.optim.Adam(codec.parameters(), lr=3e-3)
    losses = []
    for _ in range(60):
        loss = (codec(picture) - picture).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 5


def tiny_kl(**changes: object) -> nn.Module:
    from diffusers import AutoencoderKL

    return AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), norm_num_groups=4, latent_channels=4,
        down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1, scaling_factor=0.5, **changes,
    )  # fmt: skip


def tiny_taesd() -> nn.Module:
    from diffusers import AutoencoderTiny

    return AutoencoderTiny(
        encoder_block_out_channels=(8,) * 4, decoder_block_out_channels=(8,) * 4,
        num_encoder_blocks=(1,) * 4, num_decoder_blocks=(1,) * 4, latent_channels=4,
    )  # fmt: skip


@pytest.mark.parametrize("make", [tiny_kl, tiny_taesd])
def test_diffusers_autoencoders_fit_in(make: object) -> None:
    codec = as_autoencoder(make())  # type: ignore[operator]
    picture = noise(1, 3, 64, 48).clamp(-1, 1)
    with torch.no_grad():
        latent = codec.encode(picture)
        assert torch.equal(codec.encode(picture), latent)  # the mean, not a draw
        assert codec.decode(latent).shape == picture.shape
    assert latent.shape == (1, 4, 8, 6)
    assert (codec.latent_channels, codec.image_channels) == (4, 3)
    with pytest.raises(ImageError, match="multiples of 8"):
        codec.encode(picture[..., :45])


def test_scale_and_shift_are_the_configurations() -> None:
    vae = tiny_kl(shift_factor=0.25).eval()
    codec, picture = DiffusersAutoencoder(vae), noise(1, 3, 32, 32)
    with torch.no_grad():
        mean = vae.encode(picture).latent_dist.mean
        assert torch.allclose(codec.encode(picture), (mean - 0.25) * 0.5)
        expected = vae.decode(mean).sample
        assert torch.allclose(codec.decode(codec.encode(picture)), expected, atol=1e-5)


def test_statistics_for_each_channel_are_used_where_there_are_any() -> None:
    vae = tiny_kl(latents_mean=[0.0, 1.0, 2.0, 3.0], latents_std=[1.0, 2.0, 4.0, 8.0]).eval()
    codec, picture = DiffusersAutoencoder(vae), noise(1, 3, 32, 32)
    with torch.no_grad():
        mean = vae.encode(picture).latent_dist.mean
        latent = codec.encode(picture)
        assert torch.allclose(latent[:, 2], (mean[:, 2] - 2) / 4 * 0.5, atol=1e-6)
        assert torch.allclose(codec.decode(latent), vae.decode(mean).sample, atol=1e-5)


def test_other_models_are_refused() -> None:
    with pytest.raises(WeightsError, match="not Linear"):
        as_autoencoder(nn.Linear(2, 2))
    from diffusers import AutoencoderKL

    with pytest.raises(WeightsError, match="shrinks by 1"):
        as_autoencoder(AutoencoderKL(block_out_channels=(8,), norm_num_groups=4))
    ours = Autoencoder.tiny()
    assert as_autoencoder(ours) is ours


def test_principal_components_alone_reconstruct() -> None:
    """Pictures that lie in the span of the components come back exactly, before any training."""
    codec = Autoencoder.tiny()
    components = torch.linalg.qr(noise(1, 1, 192, 4)[0, 0])[0].T.reshape(4, 3, 8, 8)
    mean = torch.tensor([0.1, -0.2, 0.3])
    codec.set_principal_components(mean, components)
    weights = noise(2, 4, 3, 2)
    picture = torch.einsum("bkhw,kcyx->bchywx", weights, components).reshape(2, 3, 24, 16)
    picture = picture + mean[:, None, None]
    assert torch.allclose(codec.encode(picture), weights, atol=1e-5)
    assert torch.allclose(codec(picture), picture, atol=1e-5)


@pytest.mark.parametrize(
    ("mean", "components"),
    [
        (torch.zeros(3), torch.zeros(4, 3, 8, 8)), (torch.zeros(4), torch.zeros(4, 3, 8, 8)),
        (torch.zeros(3), torch.zeros(3, 3, 8, 8)), (torch.zeros(3), torch.ones(4, 3, 8, 8)),
    ],
)  # fmt: skip
def test_components_must_be_orthonormal(mean: torch.Tensor, components: torch.Tensor) -> None:
    with pytest.raises(WeightsError, match="principal components"):
        Autoencoder.tiny().set_principal_components(mean, components)
