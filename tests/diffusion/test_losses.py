"""Eq. 1-4 and 17, by numbers that can be checked by hand."""

import math

import diffusers
import pytest
import torch

from reposedm.diffusion.losses import (
    hybrid_loss,
    learned_log_variance,
    mse_loss,
    noised,
    normal_kl,
    normal_nll,
    posterior,
    reverse_step,
    vlb_loss,
)
from reposedm.diffusion.prediction import (
    PREDICTIONS,
    Level,
    flow_level,
    level_at,
    mixed,
    target_of,
)

PAPER = diffusers.DDPMScheduler(
    num_train_timesteps=1000, beta_start=1e-4, beta_end=2e-2, beta_schedule="linear"
)
SHORT = diffusers.DDPMScheduler(trained_betas=[0.1, 0.2, 0.5])
"""abar = 0.9, 0.72, 0.36."""


def tensors(*values: float) -> list[torch.Tensor]:
    return [torch.full((1, 1, 1, 1), value) for value in values]


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    clean, noise = (torch.randn(4, 3, 5, 2, generator=generator) for _ in range(2))
    return clean, noise


def test_eq1_forward_process_by_hand() -> None:
    clean, noise = tensors(1.0, 2.0)
    # sqrt(0.36) * 1 + sqrt(0.64) * 2
    assert float(noised(clean, noise, torch.tensor([2]), SHORT)) == pytest.approx(0.6 + 1.6)


def test_eq1_is_the_level_of_the_papers_schedule() -> None:
    clean, noise = batch()
    t = torch.tensor([0, 1, 500, 999])
    torch.testing.assert_close(
        noised(clean, noise, t, PAPER), mixed(clean, noise, level_at(PAPER, t))
    )
    abar = torch.linspace(1e-4, 2e-2, 1000).double().neg().add(1).cumprod(0)
    torch.testing.assert_close(PAPER.alphas_cumprod.double(), abar, rtol=1e-4, atol=0)


def test_eq2_reverse_step_by_hand() -> None:
    scheduler = diffusers.DDPMScheduler(
        trained_betas=[0.1, 0.2, 0.5], num_train_timesteps=3, variance_type="learned_range",
        clip_sample=False,
    )  # fmt: skip
    scheduler.set_timesteps(3)
    noisy, said, variance = tensors(2.2, 2.0, 0.0)
    drawn = torch.randn(1, 1, 1, generator=torch.Generator().manual_seed(1))
    output = torch.cat([said, variance], 1)
    stepped = reverse_step(output, 2, noisy, scheduler, [torch.Generator().manual_seed(1)])
    # y_0 = (2.2 - 0.8 * 2) / 0.6 = 1
    mean = math.sqrt(0.72) * 0.5 / 0.64 * 1 + math.sqrt(0.5) * 0.28 / 0.64 * 2.2
    deviation = (0.5 * 0.28 / 0.64 * 0.5) ** 0.25  # halfway between both in log space
    assert float(stepped) == pytest.approx(mean + deviation * float(drawn), abs=1e-5)


@pytest.mark.parametrize("name", ["DDIM", "DPMSolverMultistep", "UniPCMultistep"])
def test_eq2_the_variance_never_reaches_a_scheduler_that_cannot_use_it(name: str) -> None:
    noisy, said = batch()
    results = []
    for extra in (None, torch.full_like(said, 77.0)):
        scheduler = getattr(diffusers, f"{name}Scheduler")()
        scheduler.set_timesteps(5)
        output = said if extra is None else torch.cat([said, extra], 1)
        results.append(reverse_step(output, scheduler.timesteps[0], noisy, scheduler))
    assert torch.equal(*results)


def test_eq2_a_learned_variance_must_be_there() -> None:
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range")
    scheduler.set_timesteps(5)
    noisy, said = batch()
    with pytest.raises(ValueError, match="needs 2c channels"):
        reverse_step(said, scheduler.timesteps[0], noisy, scheduler)


def test_eq3_by_hand() -> None:
    clean, noise = torch.zeros(2, 1, 1, 2), torch.tensor([[[[1.0, 2.0]]], [[[0.0, 0.0]]]])
    output = torch.tensor([[[[0.0, 0.0]]], [[[3.0, 1.0]]]])
    level = level_at(SHORT, torch.tensor([0, 0]))
    assert mse_loss(output, clean, noise, level).tolist() == [2.5, 5.0]


def test_eq3_is_on_the_guided_noise() -> None:
    clean, noise = batch()
    level, shift = level_at(PAPER, torch.tensor([10, 200, 500, 900])), torch.full_like(noise, 0.5)
    assert mse_loss(noise + shift, clean, noise, level, shift=shift).abs().max() < 1e-10
    torch.testing.assert_close(
        mse_loss(noise, clean, noise, level, shift=shift), torch.full((4,), 0.25)
    )


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_eq3_is_zero_for_the_right_answer_of_every_prediction(prediction: str) -> None:
    clean, noise = batch()
    t = torch.tensor([10, 200, 500, 900])
    level = flow_level(t / 1000) if prediction == "flow_prediction" else level_at(PAPER, t)
    output = target_of(clean, noise, level, prediction)
    assert mse_loss(output, clean, noise, level, prediction=prediction).abs().max() == 0


def test_eq3_the_shift_is_not_differentiated() -> None:
    clean, noise = batch()
    shift = torch.randn_like(noise).requires_grad_()
    output = torch.zeros_like(noise).requires_grad_()
    level = level_at(PAPER, torch.tensor([1, 2, 3, 4]))
    mse_loss(output, clean, noise, level, shift=shift).sum().backward()
    assert shift.grad is None and output.grad is not None


def test_eq17_is_eq3_with_another_networks_prediction() -> None:
    """RePoseSD on Stable Diffusion 2.1 at 768 predicts v; its loss is the one on eps~, rescaled.

    v~ - v_theta = (eps~ - eps_theta) / alpha at the same y_t, so the losses differ by 1 / alpha^2.
    """
    clean, noise = batch()
    t = torch.tensor([10, 200, 300, 400])
    level = level_at(PAPER, t)
    noisy, shift = mixed(clean, noise, level), torch.randn_like(noise) * 0.1
    said_noise = noise + torch.randn_like(noise)
    said_clean = (noisy - level.sigma * said_noise) / level.alpha
    said_v = level.alpha * said_noise - level.sigma * said_clean
    on_noise = mse_loss(said_noise, clean, noise, level, shift=shift)
    on_v = mse_loss(said_v, clean, noise, level, prediction="v_prediction", shift=shift)
    torch.testing.assert_close(on_v, on_noise / level.alpha.flatten() ** 2, rtol=1e-3, atol=0)


def test_posterior_by_hand() -> None:
    clean, noisy = tensors(1.0, 2.2)
    found = posterior(clean, noisy, torch.tensor([2]), SHORT)
    # abar_1 = 0.72, abar_2 = 0.36, beta_2 = 0.5
    mean = math.sqrt(0.72) * 0.5 / 0.64 * 1 + math.sqrt(0.5) * 0.28 / 0.64 * 2.2
    assert float(found.mean) == pytest.approx(mean, abs=1e-6)
    assert math.exp(float(found.log_variance)) == pytest.approx(0.28 / 0.64 * 0.5)
    assert math.exp(float(found.log_beta)) == pytest.approx(0.5)


def test_posterior_at_the_first_timestep_is_the_picture() -> None:
    clean, noisy = tensors(1.0, 2.2)
    found = posterior(clean, noisy, torch.tensor([0]), SHORT)
    assert float(found.mean) == pytest.approx(1)
    # Clipped to that of t = 1: (1 - 0.9) / (1 - 0.72) * 0.2.
    assert math.exp(float(found.log_variance)) == pytest.approx(0.1 / 0.28 * 0.2)


def test_the_learned_variance_is_that_of_the_sampler() -> None:
    scheduler = diffusers.DDPMScheduler(variance_type="learned_range")
    clean, noisy = batch()
    share = torch.linspace(-1, 1, clean.numel()).reshape(clean.shape)
    for t in (1, 3, 500, 999):
        true = posterior(clean, noisy, torch.full((4,), t), scheduler)
        ours = learned_log_variance(share, true)
        torch.testing.assert_close(
            ours, scheduler._get_variance(t, predicted_variance=share), atol=2e-3, rtol=0
        )


def test_kl_of_gaussians_by_hand() -> None:
    zero = torch.zeros(())
    assert float(normal_kl(zero, zero, zero, zero)) == 0
    # KL(N(1, 1) || N(0, 4)) = (ln 4 + 1/4 + 1/4 - 1) / 2
    found = normal_kl(zero + 1, zero, zero, zero + math.log(4))
    assert float(found) == pytest.approx((math.log(4) - 0.5) / 2)
    assert float(normal_nll(zero, zero, zero)) == pytest.approx(0.5 * math.log(2 * math.pi))


def test_vlb_is_zero_for_the_true_reverse_step() -> None:
    clean, noise = batch()
    t = torch.tensor([1, 7, 500, 999])
    noisy = noised(clean, noise, t, PAPER)
    loss = vlb_loss(noise, -torch.ones_like(noise), clean, noisy, t, PAPER)
    assert loss.shape == (4,)
    assert loss.abs().max() < 1e-4


def test_vlb_by_hand() -> None:
    """The mean right, the variance beta instead of beta~: 1/2 (ln(b/b~) + b~/b - 1) / ln 2."""
    clean, noise = tensors(1.0, 2.0)
    t = torch.tensor([2])
    noisy = noised(clean, noise, t, SHORT)
    loss = vlb_loss(noise, torch.ones_like(noise), clean, noisy, t, SHORT)
    ratio = 0.28 / 0.64
    assert float(loss) == pytest.approx(
        0.5 * (-math.log(ratio) + ratio - 1) / math.log(2), rel=1e-4
    )


def test_vlb_of_the_first_timestep_is_a_likelihood() -> None:
    clean, noise = tensors(1.0, 2.0)
    t = torch.tensor([0])
    noisy = noised(clean, noise, t, SHORT)
    loss = vlb_loss(noise, torch.ones_like(noise), clean, noisy, t, SHORT)
    assert float(loss) == pytest.approx(
        0.5 * (math.log(2 * math.pi) + math.log(0.1)) / math.log(2), rel=1e-4
    )


def test_vlb_teaches_the_variance_alone() -> None:
    clean, noise = batch()
    t = torch.tensor([3, 7, 500, 0])
    noisy = noised(clean, noise, t, PAPER)
    said, variance = (torch.zeros_like(noise).requires_grad_() for _ in range(2))
    vlb_loss(said, variance, clean, noisy, t, PAPER).sum().backward()
    assert said.grad is None
    assert variance.grad is not None and bool((variance.grad != 0).all())


def test_vlb_does_not_depend_on_how_the_mean_is_said() -> None:
    clean, noise = batch()
    t = torch.tensor([3, 100, 300, 600])
    level = level_at(PAPER, t)
    noisy, share = noised(clean, noise, t, PAPER), torch.zeros_like(noise)
    wrong, wrong_clean = noise + 0.3, (noisy - level.sigma * (noise + 0.3)) / level.alpha
    expected = vlb_loss(wrong, share, clean, noisy, t, PAPER)
    v = target_of(wrong_clean, wrong, level, "v_prediction")
    found = vlb_loss(v, share, clean, noisy, t, PAPER, prediction="v_prediction")
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_eq4_is_the_sum() -> None:
    mse, vlb = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 4.0])
    assert hybrid_loss(mse, vlb).tolist() == [1.5, 6.0]
    assert hybrid_loss(mse, vlb, 0.0).tolist() == [1.0, 2.0]


def test_a_weight_chooses_cells_and_numbers_of_the_mean() -> None:
    """With half of the cells wrong by 1, and a quarter of these numbers."""
    clean, level = torch.zeros(1, 2, 2, 2), Level(torch.ones(1), torch.zeros(1))
    said = clean.clone()
    said[:, :, 0] = 1
    said[:, 1, 0] = 3
    given = (said, clean, clean, level)
    cells = torch.tensor([[[[1.0, 1.0], [0.0, 0.0]]]])
    assert mse_loss(*given, prediction="sample").item() == 2.5
    assert mse_loss(*given, prediction="sample", weight=cells).item() == 5
    numbers = cells * torch.tensor([1.0, 0.0])[:, None, None]
    assert mse_loss(*given, prediction="sample", weight=numbers).item() == 1
