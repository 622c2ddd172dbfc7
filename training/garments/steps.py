"""Losses of the garment networks, ``(components, batch, draws) -> loss, logs``.

parser        pictures and poses -> labels
landmarks     garments alone -> places of their landmarks
"""

from __future__ import annotations

from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.models.landmarks import CELL, places

WEIGHTS: Final = (0.6, 1.0, 1.4, 1.8, 1.4, 1.4, 1.0, 1.2, 1.0, 1.2, 1.8, 1.6)
"""How much a pixel of each class weighs: small things count more than their area."""
SPREAD: Final = 1.2
"""Standard deviation of a landmark's wanted place, in cells."""

Logs = dict[str, Tensor]


def parser_step(components: Any, batch: Any, draws: Any) -> tuple[Tensor, Logs]:
    """Weighted cross entropy, and one minus the Dice overlap of the classes that are there."""
    logits = components.parser(batch.photo, batch.heat).float()  # B,K,H,W
    classes = logits.shape[1]
    log_share = logits.log_softmax(1)
    weights = torch.tensor(WEIGHTS[:classes], device=logits.device)
    entropy = F.nll_loss(log_share, batch.labels, weights)
    share, truth = log_share.exp(), batch.labels.flatten()
    right = share.gather(1, batch.labels[:, None])  # B,1,H,W
    both = torch.zeros(classes, device=logits.device).index_add(0, truth, right.flatten())
    area = torch.bincount(truth, minlength=classes)
    dice = 1 - (2 * both + 1) / (share.sum((0, 2, 3)) + area + 1)  # K
    dice = dice[area > 0].mean()
    return entropy + 0.5 * dice, {"entropy": entropy, "dice": dice, "right": right.mean()}


def landmarks_step(components: Any, batch: Any, draws: Any) -> tuple[Tensor, Logs]:
    """Cross entropy between each map and a Gaussian on the place, and of being there at all."""
    maps, there = components.landmarks(batch.picture)
    maps, there = maps.float(), there.float()
    height, width = maps.shape[2:]
    x, y = batch.points[..., 0] / CELL, batch.points[..., 1] / CELL  # B,L in cells
    across = torch.arange(width, device=maps.device) + 0.5
    along = torch.arange(height, device=maps.device) + 0.5
    wanted = torch.exp(
        -((across - x[..., None])[:, :, None] ** 2 + (along - y[..., None])[..., None] ** 2)
        / (2 * SPREAD**2)
    ).flatten(2)  # B,L,hw
    wanted = wanted / wanted.sum(2, keepdim=True).clamp_min(1e-9)
    known = batch.known.float()
    entropy = -(wanted * maps.flatten(2).log_softmax(2)).sum(2)  # B,L
    place = (entropy * known).sum() / known.sum().clamp_min(1)
    presence = F.binary_cross_entropy_with_logits(there, known)
    with torch.no_grad():
        found, _ = places(maps)
        apart = (found - batch.points).norm(dim=2)
        pixels = (apart * known).sum() / known.sum().clamp_min(1)
    return place + presence, {"place": place, "presence": presence, "pixels": pixels}
