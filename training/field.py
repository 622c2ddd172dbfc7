"""The interaction field inside the loss, and what it shares with the steps: pictures and levels."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.interaction import (
    InteractionField,
    bounded_shift,
    calibrated_strength,
    interaction_latent,
    noise_shift,
    over_grey,
)
from reposedm.diffusion.prediction import Level, flow_level, is_flow, level_at
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.higherhrnet import STRIDE, imagenet_normalised
from reposedm.pipelines.conditions import with_alpha
from reposedm.pipelines.garment import person_picture
from training.components import TRAIN_TIMESTEPS, Components
from training.draws import Draws
from training.loader import TrainingBatch
from training.swap_batch import SwapBatch


def interaction_field(components: Components) -> InteractionField:
    """The field of Eq. (11), as configured, on the frozen decoder and estimator."""
    estimator: Any = components.estimator
    paper = components.config.diffusion.paper_interaction
    return InteractionField(
        as_autoencoder(components.autoencoder),
        estimator,
        features=lambda x: estimator.features(padded(imagenet_normalised(x))),
        paper=paper,
    )


def gradient_shift(
    components: Components,
    batch: TrainingBatch,
    noisy: Tensor,
    said: Tensor,
    *,
    noise: Tensor,
    level: Level,
) -> Tensor:
    """The second term of Eq. (15) at the denoiser's own estimate, (B, c, h, w), detached."""
    config, unet = components.config, cast(Any, components.unet)
    z = interaction_latent(
        noisy, said.detach(), level, unet.config.prediction, noise=noise,
        paper=config.diffusion.paper_interaction,
    )  # fmt: skip
    target = _field_target(components, batch)
    target = target.repeat(len(z) // len(target), 1, 1, 1)  # several noises of each sample
    gradient = interaction_field(components).gradient(z, target)
    # An untrained denoiser's estimates are no pictures; the estimator's gradient there may be
    # anything, so the term is bounded as in sampling.
    return bounded_shift(noise_shift(gradient, level, components.strength), noise)


def calibrate(components: Components, batch: TrainingBatch, draws: Draws) -> float:
    """Lambda, once, before the first step: on pictures of the right people in the wrong poses.

    The sources stand in for estimates: they are pictures of people, whatever the denoiser can do.
    """
    network = as_autoencoder(components.autoencoder)
    with torch.no_grad():
        z = network.encode(source_picture(batch, network.image_channels)).float()
    gradient = interaction_field(components).gradient(z, _field_target(components, batch))
    _, level = levels_of(components, draws)
    fraction = components.config.diffusion.fraction
    return calibrated_strength(draws.normal(z.shape[1:]), gradient, level, fraction)


def target_picture(batch: TrainingBatch | SwapBatch, channels: int) -> Tensor:
    """The target as an autoencoder of 3 or 4 channels sees it, (B, channels, H, W).

    With an alpha, what is quite transparent is grey: the background is not the denoiser's task.
    """
    if isinstance(batch, SwapBatch):
        return person_picture(batch.inputs.photo, batch.inputs.alpha, channels)
    if channels == 3:
        return batch.target[:, :3]
    if batch.target.shape[1] == 3:
        return with_alpha(batch.target, None, 4)
    color, alpha = batch.target[:, :3], batch.target[:, 3:]
    return torch.cat([torch.where(alpha > -1, color, 0.0), alpha], 1)


def source_picture(batch: TrainingBatch, channels: int) -> Tensor:
    """The source as an autoencoder of 3 or 4 channels sees it, background and all."""
    mask = None if batch.source_alpha is None else batch.source_alpha * 0.5 + 0.5
    return with_alpha(batch.source, mask, channels)


def levels_of(components: Components, draws: Draws, copies: int = 1) -> tuple[Tensor, Level]:
    """Timesteps (copies B,) as the U-Net takes them, and their levels."""
    settings, flow = components.config.diffusion, is_flow(components.scheduler)
    highest = int(components.scheduler.config.num_train_timesteps)
    if settings.levels == "uniform" or (settings.levels == "auto" and not flow):
        t = torch.cat([draws.integers(highest) for _ in range(copies)])
        share = (t + 1) / highest
    else:
        normal = torch.cat([draws.normal() for _ in range(copies)])
        share = torch.sigmoid(settings.level_mean + settings.level_deviation * normal)
        t = (share * highest).long().clamp_max(highest - 1)
    if flow:
        return share * TRAIN_TIMESTEPS, flow_level(share)
    return t, level_at(components.scheduler, t)


def padded(x: Tensor) -> Tensor:
    """Right and below to multiples of HigherHRNet's stride, with ImageNet's mean."""
    return F.pad(x, (0, -x.shape[3] % STRIDE, 0, -x.shape[2] % STRIDE))


def _field_target(components: Components, batch: TrainingBatch) -> Tensor:
    if components.config.diffusion.paper_interaction:
        estimator: Any = components.estimator
        with torch.no_grad():
            found: Tensor = estimator.features(padded(imagenet_normalised(over_grey(batch.target))))
        return found.float()
    if batch.target_heat17 is None:
        raise ValueError("the interaction field needs heat maps of the target: heat17")
    return batch.target_heat17
