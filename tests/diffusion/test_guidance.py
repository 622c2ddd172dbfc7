"""Eq. 16: identities of guidance."""

import pytest
import torch

from reposedm.diffusion.guidance import guided, guided_separately
from reposedm.diffusion.prediction import PREDICTIONS, Level, noise_of, shift_of, target_of


def three() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b, c = (torch.randn(2, 3, 4, 5, generator=generator) for _ in range(3))
    return a, b, c


def test_eq16_by_hand() -> None:
    one = torch.ones(1, 1, 1, 1)
    # 1 + 2 * ((3 - 1) + 0.5)
    assert float(guided(one, 3 * one, 2.0, 0.5 * one)) == 6


def test_eq16_scale_0_is_unconditional_and_1_is_conditional() -> None:
    none, both, shift = three()
    assert torch.equal(guided(none, both, 0.0, shift), none)
    torch.testing.assert_close(guided(none, both, 1.0), both)
    torch.testing.assert_close(guided(none, both, 1.0, shift), both + shift)


def test_eq16_without_difference_only_the_gradient_is_left() -> None:
    none, _, shift = three()
    assert torch.equal(guided(none, none, 7.5), none)
    torch.testing.assert_close(guided(none, none, 2.0, shift), none + 2 * shift)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_eq16_is_the_same_in_every_prediction(prediction: str) -> None:
    """Guidance of noises equals guidance of what a network says, converted."""
    none, both, shift = three()
    noisy = none * 0.3 + both
    flow = prediction == "flow_prediction"
    level = Level(torch.tensor(0.4 if flow else 0.8), torch.tensor(0.6))

    def said(noise: torch.Tensor) -> torch.Tensor:
        return target_of((noisy - level.sigma * noise) / level.alpha, noise, level, prediction)

    found = guided(said(none), said(both), 2.0, shift_of(shift, level, prediction))
    torch.testing.assert_close(
        noise_of(found, noisy, level, prediction), guided(none, both, 2.0, shift)
    )


def test_two_equal_scales_are_one() -> None:
    none, pose, both = three()
    shift = none * 0.1
    found = guided_separately(none, pose, both, pose_scale=2.5, appearance_scale=2.5, shift=shift)
    torch.testing.assert_close(found, guided(none, both, 2.5, shift))


def test_each_scale_turns_its_own_condition_off() -> None:
    none, pose, both = three()
    only_pose = guided_separately(none, pose, both, pose_scale=1.0, appearance_scale=0.0)
    torch.testing.assert_close(only_pose, pose)
    nothing = guided_separately(none, pose, both, pose_scale=0.0, appearance_scale=0.0)
    assert torch.equal(nothing, none)
