"""Pose interaction fields, Eq. 10-15: how well a latent's picture shows the wanted pose.

The paper's equations cannot be taken literally: P~ (Eq. 10) is a picture and eps a latent; at the
optimum eps - eps_theta is zero, so nothing would be decoded; and with the stated
eta = sqrt(1 - abar), Eq. 14 gives sqrt(abar) grad G, where Eq. 15 has sqrt(1 - abar) grad G,
which needs eta = (1 - abar) / sqrt(abar). What is done instead:

- decoded is Tweedie's estimate of y_0 (``interaction_latent``; the paper's with ``paper=True``);
- G compares heat maps with Gaussians drawn from the wanted pose: sampling has no picture of it;
- the gradient is with respect to the latent, through decoder and estimator, not the denoiser.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor

from reposedm.diffusion.prediction import Level, clean_of, noise_of

COCO_17: Final = (0, 15, 14, 17, 16, 5, 2, 6, 3, 7, 4, 11, 8, 12, 9, 13, 10)
"""Index among OpenPose's 18 joints of each of COCO's 17; OpenPose's neck (1) has no map."""


LARGEST_SHIFT: Final = 1.0
"""The gradient term is never larger than this part of the noise's norm. An estimate of y_0 from
next to nothing is no picture, and the estimator's gradient there may be anything."""
LARGEST_MOVE: Final = 0.1
"""Nor does a step of sampling move the estimate of y_0 by more than this part of its norm, with a
pose guidance scale of 1: what changes the noise by a twentieth tears the estimate up where sigma /
alpha is 15, and a sampler of few steps has no later ones to mend it."""
SMOOTH: Final = 1.0
"""Cells. A gradient through a decoder is speckled: single cells that change what the estimator
says and nothing that anybody sees. What moves a limb is the same in a cell and those beside it."""


class InteractionField:
    """G(z), Eq. 11, and its gradient, for one frozen decoder and one frozen estimator.

    Args:
        decoder: an autoencoder (its ``decode`` is used) or a function from latents (B, c, h, w) to
            pictures (B, 3 | 4, H, W) in about [-1, 1]; a fourth channel is an alpha, over grey.
        estimator: P_phi: ``heat_maps`` takes pictures (B, 3, H, W) in [-1, 1] and gives
            (B, 17, h', w'); in evaluation mode.
        threshold: where W_h is 1; 0.1 in the paper.
        features: the estimator's backbone on pictures in [-1, 1], (B, D, h", w"); for ``paper``.
        paper: compare backbone features with those of a true photo instead of heat maps, where the
            sum of the heat maps found is above the threshold. For training only.

    Raises:
        ValueError: the estimator is in training mode, or ``paper`` without features.
    """

    def __init__(
        self,
        decoder: Any,
        estimator: Any,
        threshold: float = 0.1,
        *,
        features: Callable[[Tensor], Tensor] | None = None,
        paper: bool = False,
    ) -> None:
        """Keep references; nothing is copied or changed."""
        if getattr(estimator, "training", False):
            raise ValueError("the pose estimator must be in evaluation mode: estimator.eval()")
        if paper and features is None:
            raise ValueError("comparing backbone features needs the backbone: pass features")
        self._decode: Callable[[Tensor], Tensor] = getattr(decoder, "decode", decoder)
        self._heat_maps: Callable[[Tensor], Tensor] = estimator.heat_maps
        self._features = features
        self.threshold = threshold
        self.paper = paper

    def energy(self, z: Tensor, target: Tensor) -> Tensor:
        """Eq. 11: G = W_h * || P_phi(P~) - P_phi(P) ||^2, summed over all cells.

        A sum and not a mean: a mean over cells would make the term vanish. W_h is a mask, 1 where
        some joint's heat map, found or wanted, is above the threshold; it is not differentiated.

        Args:
            z: the latent that is decoded, (B, c, h, w).
            target: the wanted pose's heat maps, (B, 17, h', w'), behind joints with peak 0.5; with
                ``paper`` the backbone features of the true photo, (B, D, h", w").

        Returns:
            G, (B,) >= 0, never in half precision.

        Raises:
            ValueError: a target of another shape.
        """
        picture = over_grey(self._decode(z))  # B,3,H,W
        found = _whole(self._heat_maps(picture))  # B,17,h',w'
        target = target.to(found)
        if self.paper and self._features is not None:
            mask = (found.detach().sum(1, keepdim=True) > self.threshold).float()  # B,1,h',w'
            found = _whole(self._features(picture))  # B,D,h",w"
            mask = F.adaptive_max_pool2d(mask, found.shape[2:])
            _check_target(found, target)
        else:
            _check_target(found, target)
            highest = torch.maximum(found.detach(), target).amax(1, keepdim=True)
            mask = (highest > self.threshold).to(found.dtype)  # W_h: B,1,h',w'
        return (mask * (found - target).square()).sum((1, 2, 3))

    def gradient(self, z: Tensor, target: Tensor) -> Tensor:
        """Eq. 12: grad_z G, through the frozen decoder and estimator.

        Samples do not see each other; no network's own gradients change.

        Args:
            z: (B, c, h, w); its own history plays no part.
            target: as in ``energy``.

        Returns:
            (B, c, h, w), detached, never in half precision.
        """
        with torch.enable_grad():
            latent = z.detach().clone().requires_grad_()
            (found,) = torch.autograd.grad(self.energy(latent, target).sum(), latent)
        return _whole(found.detach())


def interaction_latent(
    noisy: Tensor,
    output: Tensor,
    level: Level,
    prediction: str = "epsilon",
    *,
    noise: Tensor | None = None,
    paper: bool = False,
) -> Tensor:
    """Eq. 10: the latent whose decoded picture is P~_t.

    Tweedie's estimate of y_0; with ``paper`` the paper's eps - eps_theta, which needs the true
    noise and so exists in training only.

    Args:
        noisy: y_t, (B, c, h, w).
        output: of the network, without its variance, (B, c, h, w).
        level: of y_t.
        prediction: what the network predicts.
        noise: eps, for ``paper``.
        paper: the paper's formula.

    Returns:
        (B, c, h, w), detached: the gradient of Eq. 12 does not go through the denoiser.

    Raises:
        ValueError: ``paper`` without the noise.
    """
    if not paper:
        return clean_of(output, noisy, level, prediction).detach()
    if noise is None:
        raise ValueError("the paper's Eq. 10 needs the true noise: pass noise")
    return (noise - noise_of(output, noisy, level, prediction)).detach()


def moved(gradient: Tensor, eta: Tensor | float) -> Tensor:
    """Eq. 13: how far the sample moves down G, Delta y_0 = -eta grad G."""
    return -eta * gradient


def matching_eta(abar: Tensor) -> Tensor:
    """The eta with which Eq. 14 is Eq. 15: (1 - abar) / sqrt(abar), not sqrt(1 - abar)."""
    return (1 - abar) / abar.sqrt()


def displaced_noise(noise: Tensor, displacement: Tensor, abar: Tensor) -> Tensor:
    """Eq. 14: eps~ = eps - sqrt(abar / (1 - abar)) Delta y_0, the noise that leads to the moved
    sample. abar broadcastable to (B, c, h, w)."""
    return noise - (abar / (1 - abar)).sqrt() * displacement


def guided_noise(noise: Tensor, gradient: Tensor, level: Level, strength: float = 1.0) -> Tensor:
    """Eq. 15: eps~ = eps + sqrt(1 - abar) grad G, the gradient times ``strength``.

    ``strength`` is lambda * pose_guidance_scale; 0 returns the noise itself, unchanged.
    """
    if strength == 0:
        return noise
    return noise + noise_shift(gradient, level, strength)


def noise_shift(gradient: Tensor, level: Level, strength: float) -> Tensor:
    """The second term of Eq. 15, strength * sqrt(1 - abar) * grad G: (B, c, h, w)."""
    return strength * level.sigma * gradient


def bounded_shift(shift: Tensor, noise: Tensor, most: float = LARGEST_SHIFT) -> Tensor:
    """A gradient term of at most ``most`` times the norm of the noise, sample by sample.

    Direction and anything smaller stay as they are; what is not finite becomes 0.

    Args:
        shift: ``noise_shift(...)``, (B, c, h, w).
        noise: eps or eps_theta, (B, c, h, w).
        most: part of the noise's norm.
    """
    shift = shift.nan_to_num(0, 0, 0)
    return shift * bounded_part(shift, noise, most)


def bounded_part(change: Tensor, whole: Tensor, most: float) -> Tensor:
    """What to multiply a change with so that it is at most ``most`` of the norm of the whole.

    Args:
        change: (B, c, h, w).
        whole: (B, c, h, w).
        most: part of its norm.

    Returns:
        (B, 1, 1, 1) in [0, 1].
    """
    norm, limit = change.flatten(1).norm(dim=1), most * whole.flatten(1).norm(dim=1)  # B
    return (limit / norm.clamp_min(1e-12)).clamp_max(1)[:, None, None, None]


def smoothed(gradient: Tensor, sigma: float = SMOOTH) -> Tensor:
    """A gradient (B, c, h, w) averaged over neighbouring cells, with a Gaussian of ``sigma`` cells.

    Beyond the border lies what is at the border, so that a constant stays what it is.
    """
    reach = math.ceil(3 * sigma)
    away = torch.arange(-reach, reach + 1, dtype=gradient.dtype, device=gradient.device)
    weights = torch.exp(-0.5 * (away / sigma).square())
    weights = weights / weights.sum()
    channels = gradient.shape[1]
    across = weights.expand(channels, 1, 1, -1)
    found = F.pad(gradient, (reach,) * 4, mode="replicate")
    found = F.conv2d(found, across, groups=channels)
    return F.conv2d(found, across.transpose(2, 3), groups=channels)


def calibrated_strength(
    noise: Tensor, gradient: Tensor, level: Level, fraction: float = 0.05
) -> float:
    """The lambda with which a scale of 1 changes the noise of Eq. 15 by ``fraction`` of its norm.

    Measured once over a batch of many samples and levels (the median ratio), stored with the
    weights: G is a sum over cells, so its size depends on decoder, estimator and picture size.

    Args:
        noise: (B, c, h, w), true or predicted.
        gradient: grad G of the same samples, (B, c, h, w).
        level: of the same samples.
        fraction: of the noise's norm.

    Raises:
        ValueError: the gradients are zero or not finite: nothing to calibrate with.
    """
    norms = noise_shift(gradient, level, 1.0).flatten(1).norm(dim=1)  # B
    usable = norms.isfinite() & (norms > 0)
    if not usable.any():
        raise ValueError("no sample has a gradient: the estimator sees nothing in these pictures")
    ratios = noise.flatten(1).norm(dim=1)[usable] / norms[usable]
    return float(fraction * ratios.median())


def coco_heat(heat: Tensor) -> Tensor:
    """Heat maps of OpenPose's 18 joints (B, 18, h, w) -> of COCO's 17 (B, 17, h, w).

    Raises:
        ValueError: not 18 maps.
    """
    if heat.shape[-3] != 18:
        raise ValueError(f"18 heat maps, not {heat.shape[-3]}")
    return heat[..., list(COCO_17), :, :]


def over_grey(picture: Tensor) -> Tensor:
    """A picture with an alpha (B, 4, H, W) in front of grey, (B, 3, H, W); others as they are."""
    if picture.shape[1] == 3:
        return picture
    return picture[:, :3] * ((picture[:, 3:] + 1) / 2).clamp(0, 1)


def _whole(value: Tensor) -> Tensor:
    """Sums over thousands of cells need more digits than half precision has."""
    return value.float() if value.dtype in (torch.bfloat16, torch.float16) else value


def _check_target(found: Tensor, target: Tensor) -> None:
    if found.shape[1:] != target.shape[1:]:
        raise ValueError(
            f"the target must be {tuple(found.shape[1:])}, not {tuple(target.shape[1:])}"
        )
