"""The estimator's stage: heat maps of the joints from a picture."""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.interaction import over_grey
from reposedm.models.higherhrnet import imagenet_normalised
from training.components import Components
from training.draws import Draws
from training.field import padded
from training.loader import TrainingBatch
from training.steps.conditions import Logs


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


def _estimated(estimator: Any, picture: Tensor) -> tuple[Tensor, Tensor]:
    coarse, fine = estimator(padded(imagenet_normalised(picture)))
    return coarse, fine
