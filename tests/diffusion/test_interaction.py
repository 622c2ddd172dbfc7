"""Eq. 10-15: the interaction field, against finite differences and by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from reposedm.diffusion.interaction import (
    COCO_17,
    InteractionField,
    bounded_shift,
    calibrated_strength,
    coco_heat,
    displaced_noise,
    guided_noise,
    interaction_latent,
    matching_eta,
    moved,
    noise_shift,
    over_grey,
    smoothed,
)
from reposedm.diffusion.prediction import Level, clean_of, level_at
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.higherhrnet import imagenet_normalised
from reposedm.pose.skeleton import FROM_COCO_17, NECK
from tests.pipelines.tiny import lively, tiny_estimator


class Blur(nn.Module):
    """A decoder and an estimator in closed form: doubling, and a sum over channels."""

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        return 2 * z

    def heat_maps(self, picture: torch.Tensor) -> torch.Tensor:
        return picture.sum(1, keepdim=True).expand(-1, 17, -1, -1)


def by_hand(**options: object) -> InteractionField:
    network = Blur().eval()
    return InteractionField(network, network, **options)


@pytest.fixture(scope="module")
def networks() -> tuple[nn.Module, nn.Module]:
    """A decoder and an estimator with random weights, in double precision."""
    return lively(Autoencoder.tiny(4), 1).double(), tiny_estimator().double()


def test_eq11_energy_by_hand() -> None:
    # found = 2 * (0.1 + 0.1 + 0.1) = 0.6 in one cell, 0 in the other; wanted 0.1 and 0.05.
    z = torch.zeros(1, 3, 1, 2)
    z[..., 0] = 0.1
    target = torch.tensor([0.1, 0.05]).expand(1, 17, 1, 2)
    # The second cell is below the threshold in both and does not count.
    assert float(by_hand().energy(z, target)) == pytest.approx(17 * 0.25)
    assert float(by_hand(threshold=0.01).energy(z, target)) == pytest.approx(17 * (0.25 + 0.0025))


def test_eq11_a_wanted_joint_counts_where_nothing_is_found() -> None:
    target = torch.zeros(1, 17, 2, 2)
    target[0, 5, 1, 1] = 1
    assert float(by_hand().energy(torch.zeros(1, 3, 2, 2), target)) == pytest.approx(1)


def test_eq11_is_zero_where_the_pose_is_met() -> None:
    z = torch.full((1, 3, 2, 2), 0.1)
    assert float(by_hand().energy(z, torch.full((1, 17, 2, 2), 0.6))) < 1e-10


def test_eq11_is_a_sum_over_cells_not_a_mean() -> None:
    field = by_hand()
    small, large = torch.full((1, 3, 2, 2), 0.1), torch.full((1, 3, 4, 4), 0.1)
    ratio = field.energy(large, torch.ones(1, 17, 4, 4)) / field.energy(
        small, torch.ones(1, 17, 2, 2)
    )
    assert float(ratio) == pytest.approx(4)


def test_eq12_gradient_by_hand() -> None:
    # G = 17 (2 (a + b + c) - 1)^2, dG/da = 17 * 2 * 2 * (0.6 - 1)
    z = torch.full((1, 3, 1, 1), 0.1)
    gradient = by_hand().gradient(z, torch.ones(1, 17, 1, 1))
    torch.testing.assert_close(gradient, torch.full((1, 3, 1, 1), 17 * 4 * -0.4))


def test_eq12_gradient_equals_finite_differences(networks: tuple[nn.Module, nn.Module]) -> None:
    field = InteractionField(*networks, threshold=0.0)
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.double)
    target = torch.rand(1, 17, 32, 32, generator=generator, dtype=torch.double)
    gradient = field.gradient(z, target)
    assert float(gradient.norm()) > 1e-3
    for _ in range(5):
        direction = torch.randn(z.shape, generator=generator, dtype=torch.double)
        direction /= direction.norm()
        step = 1e-5 * direction
        # The mask does not change: threshold 0, and every wanted value is above it.
        ends = [float(field.energy(z + sign * step, target).detach()) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / 2e-5
        assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-3, abs=1e-4)


def test_eq12_samples_do_not_see_each_other(networks: tuple[nn.Module, nn.Module]) -> None:
    field = InteractionField(*networks)
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(2, 4, 8, 8, generator=generator, dtype=torch.double)
    target = torch.rand(2, 17, 32, 32, generator=generator, dtype=torch.double)
    both = field.gradient(z, target)
    torch.testing.assert_close(both[1:], field.gradient(z[1:], target[1:]), rtol=1e-4, atol=1e-5)


def test_eq12_changes_no_networks_gradients_and_works_without_grad(
    networks: tuple[nn.Module, nn.Module],
) -> None:
    decoder, estimator = networks
    field = InteractionField(decoder, estimator)
    z = torch.randn(1, 4, 8, 8, dtype=torch.double, requires_grad=True)
    with torch.no_grad():
        found = field.gradient(z, torch.rand(1, 17, 32, 32))
    assert not found.requires_grad and z.grad is None
    for network in networks:
        assert all(value.grad is None for value in network.parameters())


def test_eq12_one_step_down_lowers_the_energy(networks: tuple[nn.Module, nn.Module]) -> None:
    field = InteractionField(*networks)
    z = torch.randn(1, 4, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    target = torch.rand(1, 17, 32, 32, generator=torch.Generator().manual_seed(3))
    before, gradient = field.energy(z, target).detach(), field.gradient(z, target)
    after = field.energy(z + moved(gradient, 1e-3 / float(gradient.norm())), target)
    assert float(after.detach()) < float(before)


def test_eq13_and_14_with_the_matching_eta_are_eq15() -> None:
    generator = torch.Generator().manual_seed(0)
    noise, gradient = (torch.randn(3, 4, 5, 6, generator=generator) for _ in range(2))
    abar = torch.tensor([0.9, 0.5, 0.01]).reshape(3, 1, 1, 1)
    by_14 = displaced_noise(noise, moved(gradient, matching_eta(abar)), abar)
    by_15 = guided_noise(noise, gradient, Level(abar.sqrt(), (1 - abar).sqrt()))
    torch.testing.assert_close(by_14, by_15)


def test_eq14_with_the_papers_eta_is_not_eq15() -> None:
    """With eta = sqrt(1 - abar), Eq. 14 gives sqrt(abar) grad G: the paper's own step fails."""
    noise, gradient = torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    abar = torch.tensor(0.36)
    found = displaced_noise(noise, moved(gradient, (1 - abar).sqrt()), abar)
    assert float(found) == pytest.approx(0.6)
    assert float(guided_noise(noise, gradient, Level(abar.sqrt(), (1 - abar).sqrt()))) == (
        pytest.approx(0.8)
    )


def test_eq15_by_hand_and_strength_0_is_exactly_nothing() -> None:
    level = Level(torch.tensor(0.6), torch.tensor(0.8))
    noise, gradient = torch.ones(1, 1, 1, 1), torch.full((1, 1, 1, 1), 5.0)
    assert float(guided_noise(noise, gradient, level, 0.5)) == pytest.approx(1 + 0.5 * 0.8 * 5)
    assert guided_noise(noise, torch.full_like(noise, torch.inf), level, 0.0) is noise


def test_eq15_a_guided_noise_means_a_picture_with_less_energy(
    networks: tuple[nn.Module, nn.Module],
) -> None:
    field = InteractionField(*networks)
    generator = torch.Generator().manual_seed(5)
    noisy = torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.double)
    said = torch.randn(1, 4, 8, 8, generator=generator, dtype=torch.double)
    target = torch.rand(1, 17, 32, 32, generator=generator)
    level = Level(torch.tensor(0.8).double(), torch.tensor(0.6).double())
    z = interaction_latent(noisy, said, level)
    gradient = field.gradient(z, target).double()
    strength = calibrated_strength(said, gradient, level, fraction=1e-3)
    steered = clean_of(guided_noise(said, gradient, level, strength), noisy, level, "epsilon")
    energies = [float(field.energy(latent, target).detach()) for latent in (steered, z)]
    assert energies[0] < energies[1]


def test_eq10_decodes_tweedies_estimate_or_the_papers_difference() -> None:
    level = Level(torch.tensor(0.6), torch.tensor(0.8))
    noisy, said = torch.full((1, 1, 1, 1), 2.0), torch.ones(1, 1, 1, 1)
    assert float(interaction_latent(noisy, said, level)) == pytest.approx(2)
    found = interaction_latent(noisy, said, level, noise=3 * said, paper=True)
    assert float(found) == pytest.approx(2)  # 3 - 1
    # At the optimum nothing is decoded, which is why it is not the default.
    assert float(interaction_latent(noisy, said, level, noise=said, paper=True)) == 0
    with pytest.raises(ValueError, match="needs the true noise"):
        interaction_latent(noisy, said, level, paper=True)


def test_eq10_the_denoiser_is_not_differentiated() -> None:
    said = torch.ones(1, 1, 2, 2, requires_grad=True)
    level = level_at_half()
    assert not interaction_latent(torch.ones(1, 1, 2, 2), said, level).requires_grad


def level_at_half() -> Level:
    import diffusers

    return level_at(diffusers.DDPMScheduler(), torch.tensor([500]))


def test_the_papers_variant_compares_features_of_a_photo() -> None:
    estimator = tiny_estimator()

    def features(picture: torch.Tensor) -> torch.Tensor:
        return estimator.features(imagenet_normalised(picture))

    decoder = lively(Autoencoder.tiny(3), 1)
    field = InteractionField(decoder, estimator, threshold=-9, features=features, paper=True)
    z = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        same, photo = features(decoder.decode(z)), features(decoder.decode(torch.zeros_like(z)))
    assert float(field.energy(z, same).detach()) == 0
    assert float(field.energy(z, photo).detach()) > 0
    assert float(field.gradient(z, photo).norm()) > 0
    with pytest.raises(ValueError, match="needs the backbone"):
        InteractionField(decoder, estimator, paper=True)


def test_an_estimator_in_training_and_wrong_targets_are_refused() -> None:
    estimator = tiny_estimator().train()
    with pytest.raises(ValueError, match="evaluation mode"):
        InteractionField(Autoencoder.tiny(), estimator)
    with pytest.raises(ValueError, match="the target must be"):
        by_hand().energy(torch.zeros(1, 3, 2, 2), torch.zeros(1, 18, 2, 2))


def test_calibration_by_hand() -> None:
    # |eps| = 2, sigma |grad| = 0.8 * 10: lambda = 0.05 * 2 / 8
    level = Level(torch.tensor(0.6), torch.tensor(0.8))
    noise, gradient = torch.ones(3, 1, 2, 2), torch.full((3, 1, 2, 2), 5.0)
    strength = calibrated_strength(noise, gradient, level)
    assert strength == pytest.approx(0.05 * 2 / 8)
    change = noise_shift(gradient, level, strength)
    assert float(change[0].norm() / noise[0].norm()) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="no sample has a gradient"):
        calibrated_strength(noise, torch.zeros_like(gradient), level)


def test_the_gradient_term_is_bounded_sample_by_sample() -> None:
    noise = torch.ones(3, 1, 2, 2)  # norm 2
    shift = torch.zeros(3, 1, 2, 2)
    shift[0, 0, 0, 0], shift[1, 0, 0, 0], shift[2, 0, 0, 0] = 1.5, 8.0, torch.inf
    found = bounded_shift(shift, noise)
    assert torch.equal(found[0], shift[0])
    assert found[:, 0, 0, 0].tolist() == pytest.approx([1.5, 2.0, 0.0])
    assert float(bounded_shift(shift, noise, 0.25)[1, 0, 0, 0]) == pytest.approx(0.5)


def test_seventeen_maps_of_eighteen() -> None:
    assert len(set(COCO_17)) == 17 and NECK not in COCO_17
    for ours, coco in enumerate(FROM_COCO_17):
        if coco is not None:
            assert COCO_17[coco] == ours
    heat = torch.arange(18.0).reshape(1, 18, 1, 1)
    assert coco_heat(heat).flatten().tolist() == [float(index) for index in COCO_17]
    with pytest.raises(ValueError, match="18 heat maps, not 17"):
        coco_heat(heat[:, :17])


def test_what_is_transparent_is_grey() -> None:
    picture = torch.ones(1, 4, 1, 3)
    picture[:, 3] = torch.tensor([-1.0, 0.0, 1.2])
    np.testing.assert_allclose(over_grey(picture)[0, 0, 0], [0, 0.5, 1])
    assert over_grey(picture[:, :3]).shape == (1, 3, 1, 3)


def test_a_smoothed_gradient_has_no_speckle_and_keeps_what_is_wide() -> None:
    speckle = torch.ones(1, 2, 12, 10)
    speckle[:, :, ::2, ::2] = -1
    speckle[:, :, 1::2, 1::2] = -1
    assert smoothed(speckle)[:, :, 3:-3, 3:-3].abs().max() < 0.02
    torch.testing.assert_close(
        smoothed(torch.full((2, 3, 8, 6), 0.7)), torch.full((2, 3, 8, 6), 0.7)
    )
    point = torch.zeros(1, 2, 11, 11)
    point[0, 1, 5, 5] = 1
    found = smoothed(point)
    assert not found[0, 0].any()  # channels stay apart
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    torch.testing.assert_close(found[0, 1, 5, 6] / found[0, 1, 5, 5], torch.tensor(math.exp(-0.5)))
    torch.testing.assert_close(found, found.transpose(2, 3))
