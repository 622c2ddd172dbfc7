"""What differs between the stages: one function each, ``(components, batch, draws) -> loss, logs``.

    autoencoder   pictures -> latents -> the same pictures
    estimator     pictures -> heat maps of the joints
    prior         two poses -> the same, the start of alignment, where it is learned
    alignment     photo and two poses -> where each cell of the target looks in the photo
    diffusion     Eq. (3) and (4): the noise in a latent, given photo and pose
                  (``training.swap_step`` with method "swap")
    parser, landmarks    see ``training.garments.steps``

Losses are means over samples, so gradients of several processes may be averaged.
"""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.interaction import over_grey
from reposedm.diffusion.losses import hybrid_loss, mse_loss, noised, vlb_loss
from reposedm.diffusion.prediction import is_flow, mixed, split_variance
from reposedm.models.alignment import Alignment
from reposedm.models.autoencoder import FACTOR
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.higherhrnet import imagenet_normalised
from reposedm.models.mapping import Limbs, limbs_of, warp
from reposedm.pipelines.baselines import encoded
from reposedm.pipelines.conditions import Conditions, Inputs
from reposedm.pipelines.reposedm import aligned
from reposedm.pose.skeleton import L_EAR, L_EYE, NOSE, R_EAR, R_EYE
from training.components import Components, Networks
from training.config import STAGES, StageName
from training.draws import Draws
from training.field import gradient_shift, levels_of, padded, source_picture, target_picture
from training.garments.steps import landmarks_step, parser_step
from training.loader import TrainingBatch

Logs = dict[str, Tensor]

HEAD: Final = [NOSE, R_EYE, L_EYE, R_EAR, L_EAR]


def training_step(
    stage: StageName, components: Networks, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """The loss of a batch in a stage, and numbers for the log (scalars, detached)."""
    steps: dict[str, Any] = {
        "autoencoder": autoencoder_step,
        "estimator": estimator_step,
        "prior": prior_step,
        "alignment": alignment_step,
        "diffusion": diffusion_step,
        "parser": parser_step,
        "landmarks": landmarks_step,
    }
    if stage == "diffusion" and components.config.method == "swap":
        from training.swap_step import swap_step  # which is made of parts of this module

        steps[stage] = swap_step
    loss, logs = steps[stage](components, batch, draws)
    return loss, {name: value.detach().float() for name, value in logs.items()}


def draws_for(
    components: Networks, stage: StageName, places: range, device: torch.device | str
) -> Draws:
    """The random numbers of the samples at ``places`` of a stage's stream."""
    return Draws(components.config.seed, STAGES.index(stage), places, device)


# autoencoder


def autoencoder_step(
    components: Components, batch: TrainingBatch, draws: Draws
) -> tuple[Tensor, Logs]:
    """L1, L1 on differences of neighbouring pixels (detail), and a pull of latents towards 0.

    Sources keep their background: the photo that is encoded in sampling has one.
    """
    weights, network = components.config.loss, as_autoencoder(components.autoencoder)
    channels = network.image_channels
    wanted = torch.cat([target_picture(batch, channels), source_picture(batch, channels)])
    wanted = _crops(wanted, weights.autoencoder_crop, draws)
    raw = getattr(components.autoencoder, "encode_raw", network.encode)(wanted)  # 2B,c,h,w
    found = getattr(components.autoencoder, "decode_raw", network.decode)(raw)
    plain = (found - wanted).abs().mean()
    edges = torch.stack([one.abs().mean() for one in _edges(found - wanted)]).sum()
    size = raw.square().mean()
    loss = plain + weights.edges * edges + weights.latent * size
    mse = (found.detach().clamp(-1, 1) - wanted)[:, :3].square().mean()
    logs = {"l1": plain, "edges": edges, "latent": size, "psnr": 10 * torch.log10(4 / mse)}
    return loss, logs


@torch.no_grad()
def principal_components(
    components: Components, batches: list[TrainingBatch]
) -> tuple[Tensor, Tensor]:
    """Mean colour (C,) and principal components (c, C, 8, 8) of both pictures' patches."""
    network = as_autoencoder(components.autoencoder)
    channels, count = network.image_channels, network.latent_channels
    patches = []
    for batch in batches:
        both = torch.cat([target_picture(batch, channels), source_picture(batch, channels)])
        patches.append(F.unfold(both.double(), FACTOR, stride=FACTOR))  # B,C 64,N
    mean = torch.stack([one.unflatten(1, (channels, -1)).mean((0, 2, 3)) for one in patches]).mean(
        0
    )
    covariance = torch.zeros((), device=mean.device)
    for one in patches:
        centred = (one.unflatten(1, (channels, -1)) - mean[:, None, None]).flatten(1, 2)  # B,P,N
        covariance = covariance + torch.einsum("bpn,bqn->pq", centred, centred)
    _, vectors = torch.linalg.eigh(covariance)  # ascending
    chosen = vectors.flip(1)[:, :count].T
    return mean.float(), chosen.reshape(count, channels, FACTOR, FACTOR).float()


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
    first = () if found.prior is None else (found.prior,)
    every = [*first, *zip(found.mappings, found.visibility, strict=True)]
    growth = [weights.flow_growth ** (len(every) - 1 - n) for n in range(len(every))]
    flow = visibility = found.mapping.new_zeros(())
    if batch.flow is not None and batch.flow_valid is not None and batch.visibility is not None:
        known = batch.flow_known.to(batch.flow).reshape(-1, 1, 1, 1)
        on_person = known if person is None else known * person
        for factor, (mapping, logit) in zip(growth, every, strict=True):
            flow = flow + factor * _mean(_distance(mapping, batch.flow), batch.flow_valid)
            entropy = F.binary_cross_entropy_with_logits(
                logit, batch.visibility.clamp(0, 1), reduction="none"
            )
            visibility = visibility + factor * _mean(entropy, on_person)
    photometric = _photometric(batch, found, alpha)
    loss = (flow + weights.visibility * visibility) / sum(growth)
    loss = loss + weights.photometric * photometric
    logs = {"photometric": photometric}
    if batch.flow is not None and batch.flow_valid is not None:
        last = _mean(_distance(found.mapping, batch.flow), batch.flow_valid)
        logs |= {"flow_cells": last, "visibility": visibility}
    return loss, logs


def prior_step(components: Components, batch: TrainingBatch, draws: Draws) -> tuple[Tensor, Logs]:
    """Flow and visibility of the learned F^0 alone, from exact correspondence; sees no picture."""
    network: Any = components.alignment
    if network is None or network.prior is None:
        raise ValueError("the prior's stage needs models.alignment.initial: learned")
    if batch.flow is None or batch.flow_valid is None or batch.visibility is None:
        raise ValueError("the prior's stage needs pairs with exact correspondence")
    limbs = limbs_of_batch(batch)
    mapping, logit = network.prior(limbs)
    person = F.interpolate(batch.target[:, 3:] * 0.5 + 0.5, mapping.shape[2:], mode="area")
    known = batch.flow_known.to(mapping).reshape(-1, 1, 1, 1) * person
    flow = _mean(_distance(mapping, batch.flow), batch.flow_valid)
    entropy = F.binary_cross_entropy_with_logits(
        logit, batch.visibility.clamp(0, 1), reduction="none"
    )
    seen = _mean(entropy, known)
    analytic = _mean(_distance(limbs.blended(), batch.flow), batch.flow_valid)
    logs = {"flow_cells": flow, "analytic_cells": analytic, "visibility": seen}
    return flow + components.config.loss.visibility * seen, logs


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
        noisy, t, shown.pose, shown.context, extra=shown.extra,
        drop_pose=drop_pose, drop_photo=drop_photo,
    ).float()  # fmt: skip
    said, variance = split_variance(output, clean.shape[1])
    shift = None
    if settings.guided and components.strength:
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
    if found is not None and settings.joint_alignment and settings.alignment_weight:
        aligning, more = alignment_loss(components, batch, found)
        total = total + settings.alignment_weight * aligning
        logs |= more
    return total, logs


def loss_weight(components: Components, batch: TrainingBatch) -> Tensor | None:
    """Of each number of the latents in the loss, (B, c | 1, h, w); None: all the same, Eq. (3)."""
    settings = components.config.diffusion
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


def repeated(shown: Conditions, copies: int) -> Conditions:
    """The same conditions for ``copies`` noises of each sample, the batch ``copies`` times over."""
    if copies == 1:
        return shown

    def many(x: Tensor | None) -> Tensor | None:
        return None if x is None else x.repeat(copies, 1, 1, 1)

    return dataclasses.replace(
        shown,
        pose=shown.pose.repeat(copies, 1, 1, 1),
        context=[one.repeat(copies, 1, 1, 1) for one in shown.context],
        extra=many(shown.extra),
    )


def conditions_of_batch(
    components: Components, batch: TrainingBatch
) -> tuple[Conditions, Alignment | None]:
    """What the U-Net is told, by the pipelines' own functions; and the alignment, if there is."""
    network, inputs = as_autoencoder(components.autoencoder), inputs_of_batch(batch)
    if components.alignment is not None and components.alignment.config.initial == "learned":
        inputs = dataclasses.replace(inputs, limbs=limbs_of_batch(batch))
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


def limbs_of_batch(batch: TrainingBatch) -> Limbs:
    """What the bones of a batch's poses say about each cell."""
    return limbs_of(
        batch.source_joints, batch.target_joints, batch.source_states, batch.target_states,
        size=(batch.source.shape[2], batch.source.shape[3]),
        shape=(batch.target_heat.shape[2], batch.target_heat.shape[3]),
    )  # fmt: skip


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


def _crops(pictures: Tensor, side: int, draws: Draws) -> Tensor:
    """A square of each picture at a place of its own, (2B, C, side, side); 0: all of it."""
    height, width = pictures.shape[2:]
    if not side or side >= min(height, width):
        return pictures
    places = []
    for _ in range(2):  # targets, then sources
        rows, columns = (draws.integers(n - side + 1) for n in (height, width))
        places += list(zip(rows.tolist(), columns.tolist(), strict=True))
    cut = [
        one[:, row : row + side, column : column + side]
        for one, (row, column) in zip(pictures, places, strict=True)
    ]
    return torch.stack(cut)


def _edges(x: Tensor) -> list[Tensor]:
    """Differences of neighbours to the right and below, (B, C, H, W) each, zero at the ends."""
    right = F.pad(x[..., 1:] - x[..., :-1], (0, 1))
    below = F.pad(x[..., 1:, :] - x[..., :-1, :], (0, 0, 0, 1))
    return [right, below]


def _distance(mapping: Tensor, truth: Tensor) -> Tensor:
    """Between two mappings, in cells, (B, 1, h, w); its gradient exists at 0, too."""
    return (mapping - truth).square().sum(1, keepdim=True).add(1e-6).sqrt()


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each sample, then over samples; 0 where nothing has weight."""
    sums = (value * weight).sum((1, 2, 3))
    return (sums / weight.expand_as(value).sum((1, 2, 3)).clamp_min(1e-6)).mean()
