"""Guided predictions, Eq. 16: how the photo, the pose and the interaction field steer a step.

All formulas are sums whose weights add up to 1, so they hold for any prediction (noise, v, flow) if
``shift`` is expressed in the same one (``prediction.shift_of``).
"""

from __future__ import annotations

from torch import Tensor


def guided(
    unconditional: Tensor, conditional: Tensor, scale: float, shift: Tensor | None = None
) -> Tensor:
    """Eq. 16: eps_uncond + w_c (eps_interaction + sqrt(1 - abar_t) eps_gradient).

    eps_interaction is read as the difference conditional - unconditional, as in classifier-free
    guidance; with the conditional prediction itself in its place the weights would not add up.
    A scale of 1 gives ``conditional + shift``, a scale of 0 ``unconditional``.

    Args:
        unconditional: prediction with pose and photo both null, (B, c, h, w).
        conditional: with both, (B, c, h, w).
        scale: w_c, 2 in the paper.
        shift: the gradient term, ``interaction.noise_shift``, (B, c, h, w); None: without.

    Returns:
        (B, c, h, w).
    """
    difference = conditional - unconditional
    if shift is not None:
        difference = difference + shift
    return unconditional + scale * difference


def guided_separately(
    none: Tensor,
    pose: Tensor,
    both: Tensor,
    *,
    pose_scale: float,
    appearance_scale: float,
    shift: Tensor | None = None,
) -> Tensor:
    """Eq. 16 with its difference in two parts, each with its own scale.

    none + w_p (pose - none + gradient term) + w_a (both - pose). Equal scales give Eq. 16. The
    photo comes second because its features are warped by the pose: there is no prediction that
    knows the photo and not the pose. Only for weights trained with each condition dropped alone.

    Args:
        none: prediction with pose and photo null, (B, c, h, w).
        pose: with the pose only.
        both: with both.
        pose_scale: w_p.
        appearance_scale: w_a.
        shift: the gradient term; None: without.
    """
    posed = pose - none
    if shift is not None:
        posed = posed + shift
    return none + pose_scale * posed + appearance_scale * (both - pose)
