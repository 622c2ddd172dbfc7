"""What differs between the stages: one function each, ``(components, batch, draws) -> loss, logs``.

    autoencoder   pictures -> latents -> the same pictures
    estimator     pictures -> heat maps of the joints
    alignment     photo and two poses -> where each cell of the target looks in the photo
    diffusion     Eq. (3) and (4): the noise in a latent, given photo and pose

Losses are means over samples, so gradients of several processes may be averaged.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.interaction import over_grey
from reposedm.diffusion.losses import hybrid_loss, mse_loss, noised, vlb_loss
from reposedm.diffusion.prediction import is_flow, mixed, split_variance
from reposedm.models.alignment import Alignment
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.higherhrnet import imagenet_normalised
from reposedm.models.mapping import warp
from reposedm.pipelines.baselines import encoded
from reposedm.pipelines.conditions import Conditions, Inputs
from reposedm.pipelines.reposedm import aligned
from training.components import Components
from training.config import STAGES, StageName
from training.draws import Draws
from training.field import gradient_shift, levels_of, padded, source_picture, target_picture
from training.loader import TrainingBatch

Logs = dict[str, Tensor]


def training_step(
    stage: StageName, components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """The loss of a batch in a stage, and numbers for the log (scalars, detached)."""
    step = {
        "autoencoder": autoencoder_step,
        "estimator": estimator_step,
        "alignment": alignment_step,
        "diffusion": diffusion_step,
    }[stage]
    loss, logs = step(components, batch, draws)
    return loss, {name: value.detach().float() for name, value in logs.items()}


def draws_for(
    components: Components, stage: StageName, places: range, device: torch.device | str
) -> Draws:
    """The random numbers of the samples at ``places`` of a stage's stream."""
    return Draws(components.config.seed, STAGES.index(stage), places, device)


# autoencoder


def autoencoder_step(
    components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """L1, L1 on differences of neighbouring pixels (detail), and a pull of latents towards 0."""
    weights, network = components.config.loss, as_autoencoder(components.autoencoder)
    channels = network.image_channels
    wanted = torch.cat([target_picture(batch, channels), source_picture(batch, channels)])
    raw = getattr(components.autoencoder, "encode_raw", network.encode)(wanted)  # 2B,c,h,w
    found = getattr(components.autoencoder, "decode_raw", network.decode)(raw)
    seen = _visible(wanted)  # where the alpha hides a colour, it matters less
    plain = (seen * (found - wanted).abs()).mean()
    edges = torch.stack([(seen * one.abs()).mean() for one in _edges(found - wanted)]).sum()
    size = raw.square().mean()
    loss = plain + weights.edges * edges + weights.latent * size
    mse = (found.detach().clamp(-1, 1) - wanted)[:, :3].square().mean()
    logs = {"l1": plain, "edges": edges, "latent": size, "psnr": 10 * torch.log10(4 / mse)}
    return loss, logs


@torch.no_grad()
def latent_statistics(
    components: Components, batches: list[TrainingBatch]
) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the raw latents' channels over batches, (c,) each."""
    network: Any = components.autoencoder
    channels = as_autoencoder(network).image_channels
    raw = torch.cat([network.encode_raw(target_picture(b, channels)).double() for b in batches])
    return raw.mean((0, 2, 3)).float(), raw.std((0, 2, 3)).float().clamp_min(1e-4)


# estimator


def estimator_step(
    components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """Mean squared error of both heads' heat maps, as HigherHRNet; its tags are not trained.

    Scaled by 1000: Gaussians are nearly zero nearly everywhere.
    """
    if batch.target_heat17 is None or batch.coarse_heat17 is None:
        raise ValueError("the estimator's stage needs heat maps of both resolutions")
    coarse, fine = _estimated(components.estimator, over_grey(batch.target))
    joints = fine.shape[1]
    height, width = batch.target_heat17.shape[2:]
    fine_loss = F.mse_loss(fine[..., :height, :width].float(), batch.target_heat17)
    height, width = batch.coarse_heat17.shape[2:]
    coarse_loss = F.mse_loss(coarse[:, :joints, :height, :width].float(), batch.coarse_heat17)
    return 1000 * (fine_loss + coarse_loss), {"fine": fine_loss, "coarse": coarse_loss}


# alignment


def alignment_step(
    components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """Flow, visibility and photometric loss of recurrent alignment (``alignment_loss``)."""
    _, found = conditions_of_batch(components, batch)
    if found is None:
        raise ValueError("there is no alignment to train")
    return alignment_loss(components, batch, found)


def alignment_loss(
    components: Components, batch: TrainingBatch, found: Alignment
) -> tuple[Tensor, Logs]:
    """Errors of every iteration, weights growing with n.

    Where correspondence is known: the distance in cells on visible cells, and the cross entropy of
    visibility. Everywhere: the warped photo against the target, on the person where an alpha says
    where that is, and weighed by visibility, which may not vanish unless it is told to.
    """
    weights = components.config.loss
    alpha = batch.target[:, 3:] * 0.5 + 0.5 if batch.target.shape[1] == 4 else None
    person = None if alpha is None else F.interpolate(alpha, found.mapping.shape[2:], mode="area")
    rounds = len(found.mappings)
    growth = [weights.flow_growth ** (rounds - 1 - n) for n in range(rounds)]
    flow = visibility = found.mapping.new_zeros(())
    if batch.flow is not None and batch.flow_valid is not None and batch.visibility is not None:
        known = batch.flow_known.to(batch.flow).reshape(-1, 1, 1, 1)
        on_person = known if person is None else known * person
        for factor, mapping, logit in zip(growth, found.mappings, found.visibility, strict=True):
            distance = (mapping - batch.flow).square().sum(1, keepdim=True).add(1e-6).sqrt()
            flow = flow + factor * _mean(distance, batch.flow_valid)
            entropy = F.binary_cross_entropy_with_logits(
                logit, batch.visibility.clamp(0, 1), reduction="none"
            )
            visibility = visibility + factor * _mean(entropy, on_person)
    photometric = _photometric(batch, found, alpha)
    loss = (flow + weights.visibility * visibility) / sum(growth)
    loss = loss + weights.photometric * photometric
    logs = {"photometric": photometric}
    if batch.flow is not None and batch.flow_valid is not None:
        last = (found.mapping - batch.flow).square().sum(1, keepdim=True).sqrt()
        logs |= {"flow_cells": _mean(last, batch.flow_valid), "visibility": visibility}
    return loss, logs


# diffusion


def diffusion_step(
    components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """Eq. (4): L_mse of Eq. (3), on the guided noise of Eq. (15) if so configured, and L_vlb."""
    settings = components.config.diffusion
    unet: Any = components.unet
    kind = unet.config.prediction
    network = as_autoencoder(components.autoencoder)
    with torch.no_grad():
        clean = network.encode(target_picture(batch, network.image_channels)).float()  # y_0
    shown, found = conditions_of_batch(components, batch)
    noise = draws.normal(clean.shape[1:])  # B,c,h,w
    t, level = levels_of(components, draws)
    noisy = (
        mixed(clean, noise, level)
        if is_flow(components.scheduler)
        else noised(clean, noise, t, components.scheduler)
    )  # Eq. (1)
    drop_pose, drop_photo = dropped(settings.dropout, settings.dropout_rate, draws)
    output = unet(
        noisy, t, shown.pose, shown.context, extra=shown.extra,
        drop_pose=drop_pose, drop_photo=drop_photo,
    ).float()  # fmt: skip
    said, variance = split_variance(output, clean.shape[1])
    shift = None
    if settings.guided and components.strength:
        shift = gradient_shift(components, batch, noisy, said, noise=noise, level=level)
        shift = shift * (~drop_pose)[:, None, None, None]  # without a pose nothing pulls towards it
    mse = mse_loss(said, clean, noise, level, prediction=kind, shift=shift)  # B
    logs = {"mse": mse.mean()}
    loss = mse
    if variance is not None and settings.vlb_weight:
        vlb = vlb_loss(said, variance, clean, noisy, t, components.scheduler, prediction=kind)
        loss = hybrid_loss(mse, vlb, settings.vlb_weight)
        logs["vlb"] = vlb.mean()
    if shift is not None:
        logs["shift"] = (shift.flatten(1).norm(dim=1) / noise.flatten(1).norm(dim=1)).mean()
    total = loss.mean()
    if found is not None and settings.joint_alignment and settings.alignment_weight:
        aligning, more = alignment_loss(components, batch, found)
        total = total + settings.alignment_weight * aligning
        logs |= more
    return total, logs


def conditions_of_batch(
    components: Components, batch: TrainingBatch
) -> tuple[Conditions, Alignment | None]:
    """What the U-Net is told, by the pipelines' own functions; and the alignment, if there is."""
    network, inputs = as_autoencoder(components.autoencoder), inputs_of_batch(batch)
    if components.alignment is None:
        return encoded(components.unet, network, components, inputs), None
    recorded = _Recorded(components.alignment)
    networks = SimpleNamespace(alignment=recorded, pose_encoder=components.pose_encoder)
    shown = aligned(components.unet, network, networks, inputs)
    return shown, recorded.found


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


# shared


def inputs_of_batch(batch: TrainingBatch) -> Inputs:
    """A batch as the pipelines' conditions see it."""
    alpha = batch.source_alpha
    return Inputs(
        photo=batch.source,
        mask=None if alpha is None else alpha * 0.5 + 0.5,
        source_heat=batch.source_heat,
        target_heat=batch.target_heat,
        target_map=batch.target_map,
        initial=batch.initial,
    )


class _Recorded:
    """Alignment that remembers what it found: the U-Net needs a part, its own loss the rest."""

    def __init__(self, module: Any) -> None:
        self.module, self.config = module, module.config
        self.found: Alignment | None = None

    def __call__(self, *inputs: Any, **given: Any) -> Alignment:
        found: Alignment = self.module(*inputs, **given)
        self.found = found
        return found


def _estimated(estimator: Any, picture: Tensor) -> tuple[Tensor, Tensor]:
    coarse, fine = estimator(padded(imagenet_normalised(picture)))
    return coarse, fine


def _photometric(batch: TrainingBatch, found: Alignment, alpha: Tensor | None) -> Tensor:
    """L1 between the warped photo and the target at full and quarter size, on what is visible."""
    seen = F.interpolate(found.visible, batch.target.shape[2:], mode="bilinear")
    warped, wanted = warp(batch.source, found.mapping), batch.target[:, :3]
    if alpha is not None:
        seen = seen * alpha
    told = batch.flow is not None
    total = _mean((warped - wanted).abs().mean(1, keepdim=True), seen.detach() if told else seen)
    small = [F.avg_pool2d(one, 4) for one in (warped, wanted, seen)]
    total = total + _mean((small[0] - small[1]).abs().mean(1, keepdim=True), small[2].detach())
    if not told:  # nothing else keeps visibility from going where the error is small
        total = total - 0.05 * F.logsigmoid(found.visibility[-1]).mean()
    return total


def _visible(picture: Tensor) -> Tensor:
    """Weights (B, channels, H, W): colours count by their alpha (a tenth at least), alpha fully."""
    if picture.shape[1] == 3:
        return torch.ones_like(picture)
    color = (picture[:, 3:] * 0.5 + 0.5).clamp_min(0.1)
    return torch.cat([color.expand(-1, 3, -1, -1), torch.ones_like(color)], 1)


def _edges(x: Tensor) -> list[Tensor]:
    """Differences of neighbours to the right and below, (B, C, H, W) each, zero at the ends."""
    right = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    below = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return [right, below]


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each sample, then over samples; 0 where nothing has weight."""
    sums = (value * weight).sum((1, 2, 3))
    return (sums / weight.expand_as(value).sum((1, 2, 3)).clamp_min(1e-6)).mean()
