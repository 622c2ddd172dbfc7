"""The stages of alignment and of its learned start F^0: flow, visibility and the warped photo."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from reposedm.models.alignment import Alignment
from reposedm.models.mapping import warp
from training.components import Components
from training.draws import Draws
from training.loader import TrainingBatch
from training.steps.conditions import Logs, conditions_of_batch, limbs_of_batch


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


def _distance(mapping: Tensor, truth: Tensor) -> Tensor:
    """Between two mappings, in cells, (B, 1, h, w); its gradient exists at 0, too."""
    return (mapping - truth).square().sum(1, keepdim=True).add(1e-6).sqrt()


def _mean(value: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of each sample, then over samples; 0 where nothing has weight."""
    sums = (value * weight).sum((1, 2, 3))
    return (sums / weight.expand_as(value).sum((1, 2, 3)).clamp_min(1e-6)).mean()
