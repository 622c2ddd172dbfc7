"""The forward process and the losses, Eq. 1-4 and 17. One value per sample, (B,)."""

from __future__ import annotations

import inspect
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from reposedm.diffusion.prediction import (
    Level,
    clean_of,
    level_at,
    shift_of,
    split_variance,
    target_of,
)


def noised(clean: Tensor, noise: Tensor, t: Tensor, scheduler: Any) -> Tensor:
    """Eq. 1: y_t = sqrt(abar_t) y_0 + sqrt(1 - abar_t) eps, by diffusers' scheduler.

    Args:
        clean: y_0, (B, c, h, w).
        noise: eps, (B, c, h, w), standard normal.
        t: (B,) whole timesteps.
        scheduler: with ``add_noise``; the paper's betas are linear, 1e-4 .. 2e-2, T = 1000.

    Returns:
        y_t, (B, c, h, w).
    """
    result: Tensor = scheduler.add_noise(clean, noise, t)
    return result


def reverse_step(
    output: Tensor,
    t: Tensor | int | float,
    noisy: Tensor,
    scheduler: Any,
    generators: list[torch.Generator] | None = None,
) -> Tensor:
    """Eq. 2: draw y_{t-1} from p_theta(y_{t-1} | y_t), by diffusers' scheduler.

    The variance's half of the channels goes to a scheduler that was configured for it (DDPM with
    ``learned_range``) and is split off for all others: DDIM and UniPC would fail on it, and
    DPM-Solver++ would cut it in the wrong place.

    Args:
        output: of the network after guidance, (B, c | 2c, h, w).
        t: the timestep, one of ``scheduler.timesteps``.
        noisy: y_t, (B, c, h, w).
        scheduler: after ``set_timesteps``; it keeps state, so one run has one scheduler.
        generators: CPU generators, one per sample, for schedulers that draw.

    Returns:
        y_{t-1}, (B, c, h, w).
    """
    prediction, variance = split_variance(output, noisy.shape[1])
    learned = getattr(scheduler.config, "variance_type", None) in ("learned", "learned_range")
    if learned and variance is None:
        raise ValueError("a scheduler with a learned variance needs 2c channels")
    said = output if learned else prediction
    if _takes_generator(scheduler) and generators is not None:
        result = scheduler.step(said, t, noisy, generator=generators, return_dict=False)[0]
    else:
        result = scheduler.step(said, t, noisy, return_dict=False)[0]
    return result


def mse_loss(
    output: Tensor,
    clean: Tensor,
    noise: Tensor,
    level: Level,
    *,
    prediction: str = "epsilon",
    shift: Tensor | None = None,
    weight: Tensor | None = None,
) -> Tensor:
    """Eq. 3: L_mse = || eps~ - eps_theta ||^2, the mean over a sample; and Eq. 17.

    eps~ is the *guided* noise of Eq. 15: the noise plus ``shift``. Without a shift it is the
    plain noise, the loss of DDPM. RePoseSD's loss, Eq. 17, is this function on another network:
    the U-Net of Stable Diffusion with a widened input ("epsilon" for the 512 model,
    "v_prediction" for the 768 model).

    Args:
        output: of the network, without its variance, (B, c, h, w).
        clean: y_0, (B, c, h, w).
        noise: eps, (B, c, h, w).
        level: of y_t.
        prediction: what the network predicts; the target is converted.
        shift: ``interaction.noise_shift(...)``, (B, c, h, w); never differentiated.
        weight: in its sample's mean, not all 0: of each cell, (B, 1, h, w), or each number, too.
            None: all the same.

    Returns:
        (B,) float32.
    """
    target = target_of(clean, noise, level, prediction)
    if shift is not None:
        target = target + shift_of(shift.detach(), level, prediction)
    error = (output.float() - target.float()).square()
    if weight is None:
        return error.mean((1, 2, 3))
    weight = weight.expand_as(error)
    return (error * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3))


class Posterior(NamedTuple):
    """q(y_{t-1} | y_t, y_0) of the forward process: broadcastable to (B, c, h, w), float32.

    Attributes:
        mean: (B, c, h, w).
        log_variance: of beta~_t, (B, 1, 1, 1); at t = 0, where it is zero, that of t = 1.
        log_beta: the other end of the learned range, log beta_t, (B, 1, 1, 1).
    """

    mean: Tensor
    log_variance: Tensor
    log_beta: Tensor


def posterior(clean: Tensor, noisy: Tensor, t: Tensor, scheduler: Any) -> Posterior:
    """Mean and variance of the true reverse step of Eq. 2.

    mean = sqrt(abar_{t-1}) beta_t / (1 - abar_t) y_0 + sqrt(alpha_t) (1 - abar_{t-1}) /
    (1 - abar_t) y_t, variance beta~_t = (1 - abar_{t-1}) / (1 - abar_t) beta_t.

    Args:
        clean: y_0 or an estimate of it, (B, c, h, w).
        noisy: y_t, (B, c, h, w).
        t: (B,) whole timesteps.
        scheduler: with ``betas`` and ``alphas_cumprod``.
    """
    betas, abars = scheduler.betas.double().cpu(), scheduler.alphas_cumprod.double().cpu()
    before = torch.cat([abars.new_ones(1), abars[:-1]])
    variances = betas * (1 - before) / (1 - abars)
    variances[0] = variances[1] if len(variances) > 1 else betas[0]

    def at(table: Tensor) -> Tensor:  # B,1,1,1
        return table[t.cpu().long()].float().reshape(-1, 1, 1, 1).to(noisy.device)

    of_clean = at(before.sqrt() * betas / (1 - abars))
    of_noisy = at((1 - betas).sqrt() * (1 - before) / (1 - abars))
    mean = of_clean * clean.float() + of_noisy * noisy.float()
    return Posterior(mean, at(variances.log()), at(betas.log()))


def learned_log_variance(variance: Tensor, true: Posterior) -> Tensor:
    """The variance of Improved DDPM: between beta~_t and beta_t, in log space.

    Args:
        variance: the network's second half, (B, c, h, w); -1 is beta~_t, 1 is beta_t.
        true: of the same y_t.
    """
    share = (variance.float() + 1) / 2
    return share * true.log_beta + (1 - share) * true.log_variance


def normal_kl(
    mean: Tensor, log_variance: Tensor, other_mean: Tensor, other_log_variance: Tensor
) -> Tensor:
    """KL(N(mean, variance) || N(other_mean, other_variance)) of each number, in nats."""
    spread = torch.exp(log_variance - other_log_variance)
    distance = (mean - other_mean).square() * torch.exp(-other_log_variance)
    return 0.5 * (other_log_variance - log_variance + spread + distance - 1)


def normal_nll(value: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """-log N(value; mean, variance) of each number, in nats."""
    distance = (value - mean).square() * torch.exp(-log_variance)
    return 0.5 * (math.log(2 * math.pi) + log_variance + distance)


def vlb_loss(  # noqa: PLR0917
    output: Tensor,
    variance: Tensor,
    clean: Tensor,
    noisy: Tensor,
    t: Tensor,
    scheduler: Any,
    *,
    prediction: str = "epsilon",
) -> Tensor:
    """L_vlb of Eq. 4: one term of the variational bound, in bits per number.

    As in Improved DDPM the mean is frozen, so the term teaches the variance alone, and it is
    KL(q(y_{t-1} | y_t, y_0) || p_theta). It is not divided by T (nor multiplied). At t = 0 it is
    the negative log-likelihood of y_0: of its density, since latents are not 8-bit pixels whose
    bins could be integrated.

    Args:
        output: the network's first half, (B, c, h, w); detached here.
        variance: its second half, (B, c, h, w).
        clean: y_0, (B, c, h, w).
        noisy: y_t, (B, c, h, w).
        t: (B,) whole timesteps.
        scheduler: with ``betas`` and ``alphas_cumprod``.
        prediction: what the network predicts.

    Returns:
        (B,) float32.
    """
    level = level_at(scheduler, t.to(noisy.device))
    frozen = clean_of(output.detach().float(), noisy.float(), level, prediction)
    true = posterior(clean, noisy, t, scheduler)
    model_mean = posterior(frozen, noisy, t, scheduler).mean
    log_variance = learned_log_variance(variance, true)
    kl = normal_kl(true.mean, true.log_variance, model_mean, log_variance)
    nll = normal_nll(clean.float(), model_mean, log_variance)
    first = (t == 0).to(kl.device)
    return torch.where(first, nll.mean((1, 2, 3)), kl.mean((1, 2, 3))) / math.log(2)


def hybrid_loss(mse: Tensor, vlb: Tensor, vlb_weight: float = 1.0) -> Tensor:
    """Eq. 4: L = L_mse + L_vlb, (B,); the paper's weight is 1, Improved DDPM's 0.001."""
    return mse + vlb_weight * vlb


def _takes_generator(scheduler: Any) -> bool:
    return "generator" in inspect.signature(scheduler.step).parameters
