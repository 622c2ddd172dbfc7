"""The diffusion stage, Eq. (3) and (4): the noise in a latent, given photo and pose."""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.losses import hybrid_loss, mse_loss, noised, vlb_loss
from reposedm.diffusion.prediction import is_flow, mixed, split_variance
from reposedm.models.alignment import Alignment
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.conditions import Conditions
from reposedm.pose.skeleton import L_EAR, L_EYE, NOSE, R_EAR, R_EYE
from training.components import Components
from training.draws import Draws
from training.field import gradient_shift, levels_of, target_picture
from training.kept import KeptBatch
from training.loader import TrainingBatch
from training.steps.alignment import alignment_loss
from training.steps.conditions import Logs, conditions_of_batch, kept_conditions, repeated
from training.swap_batch import SwapBatch

HEAD: Final = [NOSE, R_EYE, L_EYE, R_EAR, L_EAR]


def diffusion_step(
    components: Components, batch: TrainingBatch | SwapBatch | KeptBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """Eq. (4): L_mse of Eq. (3), on the guided noise of Eq. (15) if so configured, and L_vlb."""
    settings = components.config.diffusion
    unet: Any = components.unet
    kind = unet.config.prediction
    clean, shown, found = _told(components, batch)
    copies = settings.draws
    clean, shown = clean.repeat(copies, 1, 1, 1), repeated(shown, copies)
    # What depends on the sample alone is made once; noise, level and dropout are each copy's own.
    noise = torch.cat([draws.normal(clean.shape[1:]) for _ in range(copies)])  # K B,c,h,w
    t, level = levels_of(components, draws, copies)
    noisy = (
        mixed(clean, noise, level)
        if is_flow(components.scheduler)
        else noised(clean, noise, t, components.scheduler)
    )  # Eq. (1)
    lost = [dropped(settings.dropout, settings.dropout_rate, draws) for _ in range(copies)]
    drop_pose, drop_photo = (torch.cat(which) for which in zip(*lost, strict=True))
    output = unet(
        noisy, t, shown.pose, shown.context, extra=shown.extra, source=shown.source,
        drop_pose=drop_pose, drop_photo=drop_photo,
    ).float()  # fmt: skip
    said, variance = split_variance(output, clean.shape[1])
    shift = None
    if settings.guided and components.strength and isinstance(batch, TrainingBatch):
        shift = gradient_shift(components, batch, noisy, said, noise=noise, level=level)
        shift = shift * (~drop_pose)[:, None, None, None]  # without a pose nothing pulls towards it
    weight = loss_weight(components, batch)
    if weight is not None:
        weight = weight.repeat(copies, 1, 1, 1)  # K B,c,h,w
    mse = mse_loss(said, clean, noise, level, prediction=kind, shift=shift, weight=weight)  # K B
    logs = {"mse": mse.mean()}
    loss = mse
    if variance is not None and settings.vlb_weight:
        vlb = vlb_loss(said, variance, clean, noisy, t, components.scheduler, prediction=kind)
        loss = hybrid_loss(mse, vlb, settings.vlb_weight)
        logs["vlb"] = vlb.mean()
    if shift is not None:
        logs["shift"] = (shift.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)).mean()
    total = loss.mean()
    joint = settings.joint_alignment and settings.alignment_weight
    if found is not None and joint and isinstance(batch, TrainingBatch):
        aligning, more = alignment_loss(components, batch, found)
        total = total + settings.alignment_weight * aligning
        logs |= more
    return total, logs


def _told(
    components: Components, batch: TrainingBatch | SwapBatch | KeptBatch
) -> tuple[Tensor, Conditions, Alignment | None]:
    """y_0, what the U-Net is told, and what alignment found, where it was asked."""
    if isinstance(batch, KeptBatch):
        return batch.clean, kept_conditions(components, batch), None
    network = as_autoencoder(components.autoencoder)
    with torch.no_grad():
        clean = network.encode(target_picture(batch, network.image_channels)).float()
    return clean, *conditions_of_batch(components, batch)


def loss_weight(
    components: Components, batch: TrainingBatch | SwapBatch | KeptBatch
) -> Tensor | None:
    """Of each number of the latents in the loss, (B, c | 1, h, w); None: all the same, Eq. (3).

    In a swap what lies outside of the mask hardly counts: the photo will be there.
    """
    settings = components.config.diffusion
    if not isinstance(batch, TrainingBatch) and batch.painted is not None:
        return (batch.painted + components.config.swap.outside) * channel_weight(components)
    if not settings.power and settings.head == 1:
        return None
    near = F.max_pool2d(batch.target_heat[:, HEAD], 3, stride=1, padding=1)  # B,5,h,w
    cells = 1 + (settings.head - 1) * near.amax(1, keepdim=True).clamp(0, 1)  # B,1,h,w
    return cells * channel_weight(components)


def channel_weight(components: Components) -> Tensor:
    """Of each channel of the latents in the loss, (c, 1, 1): its deviation to ``power``.

    Public autoencoders tell no deviations of their channels: all weigh 1.
    """
    network: Any = components.autoencoder
    deviation = getattr(network, "latent_std", torch.ones(1, device=network.device))
    return deviation[:, None, None] ** components.config.diffusion.power


def dropped(how: str, rate: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Which samples lose their pose and which their photo, (B,) bool each.

    "joint": both, for ``rate`` of the samples. "separate": both for half of these, the photo alone
    for the other half. The pose is never dropped alone: features of the photo are warped by it, so
    they would give it away (and no guidance formula asks for it).
    """
    chance = draws.uniform()
    lost = chance < rate
    if how == "joint":
        return lost, lost
    return chance < rate / 2, lost
