"""The step of method "swap": the diffusion loss inside the mask, of the true answer.

What the frozen networks say of a triple (the warp, three encodings) costs several times a forward
pass of the small U-Net, so each triple is used for several noises and timesteps at once, and where
every epoch shows the same variants, it is said once and kept in memory.
"""

from __future__ import annotations

import zlib
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.losses import mse_loss, noised
from reposedm.diffusion.prediction import is_flow, mixed
from reposedm.models.autoencoder import FACTOR
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.garment import Frozen, SwapInputs, frozen, person_picture, told
from training.components import Components
from training.draws import Draws
from training.field import levels_of
from training.steps.conditions import repeated
from training.steps.diffusion import channel_weight
from training.swap_batch import SwapBatch


def swap_step(
    components: Components, batch: SwapBatch, draws: Draws
) -> tuple[Tensor, dict[str, Tensor]]:
    """Eq. (3) on ``diffusion.draws`` noisy versions of each true answer, weighed by the mask."""
    config = components.config
    unet: Any = components.unet
    copies = config.diffusion.draws
    given, clean = frozen_of_batch(components, batch)
    shown = repeated(told(components, batch.inputs.heat, given), copies)
    clean = clean.repeat(copies, 1, 1, 1)  # y_0: K B,c,h,w
    noise = torch.cat([draws.normal(clean.shape[1:]) for _ in range(copies)])
    t, level = levels_of(components, draws, copies)
    flow = is_flow(components.scheduler)
    noisy = mixed(clean, noise, level) if flow else noised(clean, noise, t, components.scheduler)
    dropped = torch.cat([draws.uniform() for _ in range(copies)]) < config.diffusion.dropout_rate
    kept = torch.zeros_like(dropped)  # in the graph: a resumed optimiser wants every state
    said = unet(
        noisy, t, shown.pose, shown.context, extra=shown.extra, drop_pose=kept, drop_photo=dropped
    ).float()
    weight = F.avg_pool2d(batch.inputs.mask, FACTOR).repeat(copies, 1, 1, 1)  # K B,1,h,w
    channels = channel_weight(components)  # c,1,1

    def loss(outside: float) -> Tensor:
        kind = unet.config.prediction
        every = (weight + outside) * channels  # K B,c,h,w
        return mse_loss(said, clean, noise, level, prediction=kind, weight=every).mean()

    return loss(config.swap.outside), {"inside": loss(1e-6)}


@torch.no_grad()
def frozen_of_batch(components: Components, batch: SwapBatch) -> tuple[Frozen, Tensor]:
    """What the frozen networks say, and the true latents (B, c, h, w); one triple at a time.

    For ``swap.limbs`` of the triples, told by their names, the limb mapping takes alignment's
    place: the U-Net must not rely on a warp that is better than it will get. With
    ``swap.variants`` the answers are kept, in 16 bits.
    """
    settings, kept = components.config.swap, components.kept
    every = []
    for index, name in enumerate(batch.names):
        if name in kept:
            every.append(kept[name])
            continue
        limbs = zlib.crc32(name.encode()) < settings.limbs * 2**32
        found = _said(components, batch.sample(index), align=not limbs)
        if settings.variants:
            found = kept[name] = tuple(one.half() for one in found)
        every.append(found)
    device = batch.inputs.mask.device
    *given, clean = (torch.cat(some).float().to(device) for some in zip(*every, strict=True))
    return Frozen(*given), clean


def _said(components: Components, inputs: SwapInputs, *, align: bool) -> tuple[Tensor, ...]:
    """The fields of ``Frozen`` in their order, and the true latents; B = 1."""
    network = as_autoencoder(components.autoencoder)
    given, _ = frozen(components.alignment, network, inputs, align=align)
    person = person_picture(inputs.photo, inputs.alpha, network.image_channels)
    return given.agnostic, given.mask, given.pasted, given.fitted, network.encode(person)
