"""What differs between the stages: one function each, ``(components, batch, draws) -> loss, logs``.

    autoencoder   pictures -> latents -> the same pictures
    estimator     pictures -> heat maps of the joints
    prior         two poses -> the same, the start of alignment, where it is learned
    alignment     photo and two poses -> where each cell of the target looks in the photo
    diffusion     Eq. (3) and (4): the noise in a latent, given photo and pose
    parser, landmarks    see ``training.garments.steps``

Losses are means over samples, so gradients of several processes may be averaged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from training.components import Networks
from training.config import STAGES, StageName
from training.draws import Draws
from training.garments.steps import landmarks_step, parser_step
from training.loader import TrainingBatch
from training.steps.alignment import alignment_step, prior_step
from training.steps.autoencoder import autoencoder_step
from training.steps.conditions import Logs
from training.steps.diffusion import diffusion_step
from training.steps.estimator import estimator_step


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
    loss, logs = steps[stage](components, batch, draws)
    return loss, {name: value.detach().float() for name, value in logs.items()}


def draws_for(
    components: Networks, stage: StageName, places: range, device: torch.device | str
) -> Draws:
    """The random numbers of the samples at ``places`` of a stage's stream."""
    return Draws(components.config.seed, STAGES.index(stage), places, device)
