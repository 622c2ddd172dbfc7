"""The autoencoder's stage: pictures to latents and back, and what its start is made from."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.models.autoencoder import FACTOR
from reposedm.models.autoencoder_adapters import as_autoencoder
from training.components import Components
from training.draws import Draws
from training.field import source_picture, target_picture
from training.loader import TrainingBatch
from training.steps.conditions import Logs


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
