"""Predictions convert into each other exactly, and levels are those of the schedulers."""

import diffusers
import pytest
import torch

from reposedm.diffusion.prediction import (
    LEAST_ALPHA,
    PREDICTIONS,
    Level,
    clean_of,
    flow_level,
    is_flow,
    level_at,
    mixed,
    noise_of,
    run_levels,
    shift_of,
    split_variance,
    target_of,
)

DDPM = diffusers.DDPMScheduler()


def drawn(shape: tuple[int, ...] = (3, 4, 2, 5)) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    clean, noise = (torch.randn(shape, generator=generator) for _ in range(2))
    return clean, noise


def level_for(prediction: str) -> Level:
    t = torch.tensor([0, 400, 950])
    return flow_level(t / 1000 + 0.01) if prediction == "flow_prediction" else level_at(DDPM, t)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_right_prediction_gives_back_the_picture_and_the_noise(prediction: str) -> None:
    clean, noise = drawn()
    level = level_for(prediction)
    noisy = mixed(clean, noise, level)
    said = target_of(clean, noise, level, prediction)
    torch.testing.assert_close(clean_of(said, noisy, level, prediction), clean, atol=3e-4, rtol=0)
    torch.testing.assert_close(noise_of(said, noisy, level, prediction), noise, atol=3e-4, rtol=0)


def test_tweedie_by_hand() -> None:
    # y_t = 0.6 * 2 + 0.8 * 1 = 2; (2 - 0.8 * 1) / 0.6 = 2
    level = Level(torch.tensor(0.6), torch.tensor(0.8))
    one = torch.ones(1, 1, 1, 1)
    assert float(clean_of(one, 2 * one, level, "epsilon")) == pytest.approx(2)
    # v = 0.6 * 1 - 0.8 * 2 = -1
    assert float(target_of(2 * one, one, level, "v_prediction")) == pytest.approx(-1)
    assert float(clean_of(-one, 2 * one, level, "v_prediction")) == pytest.approx(2)
    assert float(noise_of(-one, 2 * one, level, "v_prediction")) == pytest.approx(1)


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_shift_of_the_noise_is_the_same_shift_in_every_prediction(prediction: str) -> None:
    clean, noise = drawn((2, 4, 2, 5))
    shift = torch.randn_like(noise) * 0.1
    t = torch.tensor([100, 500])
    level = flow_level(t / 1000) if prediction == "flow_prediction" else level_at(DDPM, t)
    noisy = mixed(clean, noise, level)
    said = target_of(clean, noise, level, prediction) + shift_of(shift, level, prediction)
    moved = noise_of(said, noisy, level, prediction)
    torch.testing.assert_close(moved, noise + shift, atol=1e-4, rtol=0)


def test_where_nothing_of_the_picture_is_left_a_shift_stays_finite() -> None:
    level = Level(torch.tensor(0.0), torch.tensor(1.0))
    one = torch.ones(1, 1, 1, 1)
    assert float(shift_of(one, level, "flow_prediction")) == pytest.approx(1 / LEAST_ALPHA)
    assert float(shift_of(one, level, "sample")) == pytest.approx(-1 / LEAST_ALPHA)
    assert float(shift_of(one, level, "epsilon")) == 1


def test_levels_are_those_of_the_scheduler() -> None:
    level = level_at(DDPM, torch.tensor([0, 999]))
    assert level.alpha.shape == (2, 1, 1, 1)
    assert float(level.alpha[0]) ** 2 == pytest.approx(1 - 1e-4)  # abar_0 = 1 - beta_0
    torch.testing.assert_close(level.alpha**2 + level.sigma**2, torch.ones(2, 1, 1, 1))
    assert float(level.alpha[1]) == pytest.approx(0.00635, abs=1e-4)


@pytest.mark.parametrize("name", ["DDPM", "DDIM", "DPMSolverMultistep", "UniPCMultistep"])
def test_levels_of_a_run_are_those_of_its_timesteps(name: str) -> None:
    scheduler = getattr(diffusers, f"{name}Scheduler")(timestep_spacing="trailing")
    scheduler.set_timesteps(7)
    assert not is_flow(scheduler)
    wanted = level_at(DDPM, scheduler.timesteps)
    for index, level in enumerate(run_levels(scheduler)):
        assert float(level.alpha) == pytest.approx(float(wanted.alpha[index]), rel=1e-4)
        assert float(level.sigma) == pytest.approx(float(wanted.sigma[index]), rel=1e-4)


def test_levels_of_a_flow_are_straight() -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()
    scheduler.set_timesteps(sigmas=[1.0, 0.75, 0.5, 0.25])
    assert is_flow(scheduler)
    assert [float(level.sigma) for level in run_levels(scheduler)] == [1, 0.75, 0.5, 0.25]
    assert [float(level.alpha) for level in run_levels(scheduler)] == [0, 0.25, 0.5, 0.75]


def test_the_variance_is_split_off() -> None:
    output = torch.arange(8.0).reshape(1, 8, 1, 1)
    said, variance = split_variance(output, 4)
    assert said.flatten().tolist() == [0, 1, 2, 3]
    assert variance is not None and variance.flatten().tolist() == [4, 5, 6, 7]
    assert split_variance(output, 8)[1] is None
    with pytest.raises(ValueError, match="3 or 6 channels, not 8"):
        split_variance(output, 3)


def test_unknown_predictions_are_refused() -> None:
    clean, noise = drawn()
    level = level_for("epsilon")
    with pytest.raises(ValueError, match="a prediction is one of"):
        clean_of(clean, noise, level, "v")
