"""What a network predicts, and how one prediction becomes another.

A noisy latent is y_t = alpha y_0 + sigma eps (Eq. 1); a ``Level`` is the pair (alpha, sigma).

    epsilon           eps                       v_prediction      alpha eps - sigma y_0
    sample            y_0                       flow_prediction   eps - y_0, with alpha = 1 - sigma
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import torch
from torch import Tensor

PREDICTIONS: Final = ("epsilon", "v_prediction", "sample", "flow_prediction")

LEAST_ALPHA: Final = 0.05
"""A change of the noise moves the estimate of y_0 by sigma / alpha as much. Below this alpha there
is next to nothing of the picture in y_t, and the factor is held where it is here."""


class Level(NamedTuple):
    """How much of the picture and of the noise is in y_t; float32, broadcastable to (B, c, h, w).

    Attributes:
        alpha: sqrt(abar_t) of a variance-preserving process, 1 - s of a flow.
        sigma: sqrt(1 - abar_t), or s.
    """

    alpha: Tensor
    sigma: Tensor

    def to(self, device: torch.device | str) -> Level:
        """The same on a device."""
        return Level(self.alpha.to(device), self.sigma.to(device))


def level_at(scheduler: Any, t: Tensor) -> Level:
    """The levels of whole timesteps of a variance-preserving scheduler, Eq. 1.

    Args:
        scheduler: with ``alphas_cumprod``, such as diffusers' ``DDPMScheduler``.
        t: (B,) whole numbers.

    Returns:
        (B, 1, 1, 1) each, on the device of ``t``.
    """
    abar = scheduler.alphas_cumprod.double()[t.cpu().long()]
    return _level(abar.sqrt(), (1 - abar).sqrt()).to(t.device)


def flow_level(s: Tensor) -> Level:
    """The levels of a straight flow from the picture (s = 0) to noise (s = 1), (B,) each."""
    return _level(1 - s, s)


def run_levels(scheduler: Any) -> list[Level]:
    """The level of each timestep of a run, () each; after ``set_timesteps``.

    Multistep schedulers of diffusers carry sigma / alpha of a variance-preserving process, or s of
    a flow, for each step; the others are asked by their timesteps.
    """
    steps = len(scheduler.timesteps)
    sigmas = getattr(scheduler, "sigmas", None)
    if sigmas is None:
        abar = scheduler.alphas_cumprod.double()[scheduler.timesteps.cpu().long()]
        return _each(abar.sqrt(), (1 - abar).sqrt())
    sigmas = sigmas[:steps].double().cpu()
    if is_flow(scheduler):
        return _each(1 - sigmas, sigmas)
    alphas = (1 + sigmas**2).rsqrt()
    return _each(alphas, sigmas * alphas)


def is_flow(scheduler: Any) -> bool:
    """Whether a scheduler walks a straight flow instead of a variance-preserving process."""
    config = scheduler.config
    return "FlowMatch" in type(scheduler).__name__ or bool(getattr(config, "use_flow_sigmas", 0))


def mixed(clean: Tensor, noise: Tensor, level: Level) -> Tensor:
    """y_t = alpha y_0 + sigma eps, Eq. 1 at a level; for flows, which no scheduler's add_noise
    serves. (B, c, h, w)."""
    return level.alpha * clean + level.sigma * noise


def clean_of(output: Tensor, noisy: Tensor, level: Level, prediction: str) -> Tensor:
    """The picture's latent that a prediction stands for: Tweedie's estimate of y_0.

    For "epsilon": (y_t - sqrt(1 - abar) eps_theta) / sqrt(abar).

    Args:
        output: the network's, without a variance, (B, c, h, w).
        noisy: y_t, (B, c, h, w).
        level: of y_t.
        prediction: one of ``PREDICTIONS``.

    Returns:
        (B, c, h, w).

    Raises:
        ValueError: no such prediction.
    """
    alpha, sigma = level
    if prediction == "epsilon":
        return (noisy - sigma * output) / alpha
    if prediction == "v_prediction":
        return alpha * noisy - sigma * output
    if prediction == "flow_prediction":
        return noisy - sigma * output
    return _sample(output, prediction)


def noise_of(output: Tensor, noisy: Tensor, level: Level, prediction: str) -> Tensor:
    """The noise eps_theta that a prediction stands for; arguments as in ``clean_of``."""
    alpha, sigma = level
    if prediction == "epsilon":
        return output
    if prediction == "v_prediction":
        return sigma * noisy + alpha * output
    if prediction == "flow_prediction":
        return noisy + alpha * output
    return (noisy - alpha * _sample(output, prediction)) / sigma


def target_of(clean: Tensor, noise: Tensor, level: Level, prediction: str) -> Tensor:
    """What the network should say: eps, v, y_0 or the flow, (B, c, h, w)."""
    if prediction == "epsilon":
        return noise
    if prediction == "v_prediction":
        return level.alpha * noise - level.sigma * clean
    if prediction == "flow_prediction":
        return noise - clean
    return _sample(clean, prediction)


def shift_of(noise_shift: Tensor, level: Level, prediction: str) -> Tensor:
    """A change of the noise, as the change of another prediction at the same y_t.

    With y_t fixed, a change d of eps changes y_0 by -(sigma / alpha) d, and both v and a flow by
    d / alpha. ``LEAST_ALPHA`` bounds the divisions.

    Args:
        noise_shift: d, (B, c, h, w).
        level: of y_t.
        prediction: one of ``PREDICTIONS``.
    """
    if prediction == "epsilon":
        return noise_shift
    alpha = level.alpha.clamp_min(LEAST_ALPHA)
    if prediction in ("v_prediction", "flow_prediction"):
        return noise_shift / alpha
    return _sample(-level.sigma / alpha * noise_shift, prediction)


def split_variance(output: Tensor, channels: int) -> tuple[Tensor, Tensor | None]:
    """A network's output (B, c | 2c, h, w) -> prediction (B, c, h, w), variance half or None.

    Raises:
        ValueError: neither c nor 2c channels.
    """
    if output.shape[1] == channels:
        return output, None
    if output.shape[1] != 2 * channels:
        raise ValueError(f"{channels} or {2 * channels} channels, not {output.shape[1]}")
    prediction, variance = output.chunk(2, 1)
    return prediction, variance


def _sample(value: Tensor, prediction: str) -> Tensor:
    if prediction != "sample":
        raise ValueError(f"a prediction is one of {', '.join(PREDICTIONS)}, not {prediction!r}")
    return value


def _level(alpha: Tensor, sigma: Tensor) -> Level:
    return Level(alpha.float().reshape(-1, 1, 1, 1), sigma.float().reshape(-1, 1, 1, 1))


def _each(alphas: Tensor, sigmas: Tensor) -> list[Level]:
    return [Level(*pair) for pair in zip(alphas.float(), sigmas.float(), strict=True)]
