"""What the networks of a garment swap are shown: one home, for sampling and for training.

    F            = RPA(garment photo; its pose -> the person's)         Eq. 5-9, from the limbs' F^0
    fitted       = W(garment; F)            the garment as the person would wear it, and where seen
    agnostic     = the person without what is under the mask
    pasted       = agnostic with the fitted garment laid in
    extra        = [E(agnostic), mask, E(pasted)]                        beside the noisy latent
    context      = Encoder(fitted)                                       what attention looks at
    y_0          = E(answer)                                             what is diffused

(Diffusing the difference E(answer) - E(pasted) was tried: it has the larger variance, since detail
that is a few pixels off counts twice.)

Dropping the garment (classifier-free guidance) nulls E(pasted) and the context; the person, the
mask and the pose stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from reposedm.diffusion.inpainting import Known, latent_mask
from reposedm.errors import ImageError, PoseError
from reposedm.models.autoencoder import FACTOR
from reposedm.models.mapping import Limbs, warp
from reposedm.pipelines.base import Image
from reposedm.pipelines.conditions import (
    Conditions,
    grid_heat,
    limbs_between,
    start_of,
    to_tensor,
    with_alpha,
)
from reposedm.pose import Pose

UNSEEN: Final = 0.2
SEEN: Final = 0.6
"""Probabilities of being visible up to which nothing is laid in, and from which all is: a garment
that is 0.7 sure is not 0.7 transparent."""


@dataclass(frozen=True)
class SwapInputs:
    """B persons and garments as tensors on one device; all pictures are H x W, h = H / 8.

    Attributes:
        photo: the person, (B, 3, H, W) in [-1, 1].
        alpha: the person's alpha on it, (B, 1, H, W) in [0, 1]; None: unknown, all is painted.
        mask: what is to be painted, (B, 1, H, W), 0 or 1.
        heat: ``grid_heat`` of the person's pose, (B, 18, h, w).
        garment: the garment's photo, (B, 3, H, W) in [-1, 1].
        garment_alpha: the garment alone on it, (B, 1, H, W) in [0, 1].
        wearer: the alpha of whoever is on it, (B, 1, H, W): the garment's own if nobody is.
        garment_heat: of the pose on the garment's photo, (B, 18, h, w).
        initial: limb mapping from the garment's pose to the person's, (B, 2, h, w).
        limbs: what it is blended from; needed by alignments that learn to blend.
    """

    photo: Tensor
    alpha: Tensor | None
    mask: Tensor
    heat: Tensor
    garment: Tensor
    garment_alpha: Tensor
    wearer: Tensor
    garment_heat: Tensor
    initial: Tensor
    limbs: Limbs


@dataclass(frozen=True)
class Fitted:
    """A garment in the person's pose.

    Attributes:
        picture: RGBA in [-1, 1], (B, 4, H, W): grey outside the garment; the alpha is the
            garment's where its photo shows that place at all.
        mapping: F^N, (B, 2, h, w).
        visible: probability that a cell is seen on the garment's photo, (B, 1, h, w).
    """

    picture: Tensor
    mapping: Tensor
    visible: Tensor


@dataclass(frozen=True)
class Frozen:
    """What networks that are not trained for the swap say: once per pair, can be kept.

    Attributes:
        agnostic: latents of the person without the region, (B, c, h, w).
        mask: cells to paint, (B, 1, h, w), 0 or 1.
        pasted: latents of the person with the fitted garment laid in, (B, c, h, w).
        fitted: the garment's picture, (B, 4, H, W).
    """

    agnostic: Tensor
    mask: Tensor
    pasted: Tensor
    fitted: Tensor


def swap_inputs(
    image: Image,
    pose: Pose,
    garment: Image,
    garment_pose: Pose,
    *,
    mask: NDArray[np.float32],
    garment_mask: NDArray[np.float32],
    source_mask: NDArray[np.float32] | None,
    garment_person: NDArray[np.float32] | None,
    device: torch.device | str = "cpu",
) -> SwapInputs:
    """One person and one garment, B = 1; see ``GarmentSwapPipeline.stream``."""
    size = (image.shape[1], image.shape[0])

    def plane(values: NDArray[np.float32]) -> Tensor:
        clipped = np.clip(values, 0, 1).astype(np.float32)
        return torch.from_numpy(clipped)[None, None].to(device)

    def heat(of: Pose) -> Tensor:
        return torch.from_numpy(grid_heat(of, size))[None].to(device)

    worn = garment_mask if garment_person is None else garment_person
    limbs = limbs_between(garment_pose, pose, size).to(device)
    return SwapInputs(
        photo=to_tensor(image)[None].to(device),
        alpha=None if source_mask is None else plane(source_mask),
        mask=(plane(mask) > 0).float(),
        heat=heat(pose),
        garment=to_tensor(garment)[None].to(device),
        garment_alpha=plane(garment_mask),
        wearer=plane(worn),
        garment_heat=heat(garment_pose),
        initial=limbs.blended(),
        limbs=limbs,
    )


def fitted(alignment: Any, autoencoder: Any, inputs: SwapInputs, *, align: bool = True) -> Fitted:
    """The garment warped to the person's pose, Eq. 5-9.

    Args:
        alignment: ``RecurrentPoseAlignment``, trained for reposing: the garment's photo is its
            source, the person's own pose its target.
        autoencoder: with ``encode``, for alignments that look through it.
        inputs: photos and poses.
        align: False: the limb mapping alone, no network.
    """
    mapping = inputs.initial
    visible = torch.ones_like(mapping[:, :1])
    if align:
        config = alignment.config
        given = start_of(alignment, inputs.initial, inputs.limbs)
        if config.encoder_input == "autoencoder":
            channels = autoencoder.image_channels
            given["encode"] = lambda seen: autoencoder.encode(with_alpha(seen, None, channels))
        seen = with_alpha(inputs.garment, inputs.wearer, config.photo_channels)
        found = alignment(seen, inputs.garment_heat, inputs.heat, **given)
        mapping, visible = found.mapping, found.visible
    worn = warp(inputs.garment_alpha, mapping, "zeros")  # B,1,H,W
    color = warp(inputs.garment, mapping) * worn
    sure = ((visible.float() - UNSEEN) / (SEEN - UNSEEN)).clamp(0, 1)
    seen = F.interpolate(sure, worn.shape[2:], mode="bilinear")
    return Fitted(torch.cat([color, 2 * worn * seen - 1], 1), mapping, visible)


def person_picture(photo: Tensor, alpha: Tensor | None, channels: int) -> Tensor:
    """A person as an autoencoder of 3 or 4 channels sees it; grey where it is quite transparent."""
    if channels == 3:
        return photo
    whole = with_alpha(photo, alpha, channels)
    color, layer = whole[:, :3], whole[:, 3:]
    return torch.cat([torch.where(layer > -1, color, 0.0), layer], 1)


def without_region(picture: Tensor, mask: Tensor) -> Tensor:
    """A picture (B, 3 | 4, H, W) with nothing under the mask: grey, and transparent."""
    nothing = torch.zeros_like(picture)
    nothing[:, 3:] = -1
    return torch.where(mask > 0.5, nothing, picture)


def laid_in(picture: Tensor, garment: Tensor, mask: Tensor) -> Tensor:
    """A picture (B, 3 | 4, H, W) with a garment (B, 4, H, W) over it, inside the mask alone."""
    share = (garment[:, 3:] + 1) / 2 * (mask > 0.5)  # B,1,H,W
    solid = torch.cat([garment[:, :3], torch.ones_like(garment[:, 3:])], 1)
    return picture + (solid[:, : picture.shape[1]] - picture) * share


@torch.no_grad()
def frozen(
    alignment: Any, autoencoder: Any, inputs: SwapInputs, *, align: bool = True
) -> tuple[Frozen, Fitted]:
    """All that does not change while the swap's own networks are trained; and the warp."""
    found = fitted(alignment, autoencoder, inputs, align=align)
    kind, channels = next(autoencoder.parameters()).dtype, autoencoder.image_channels
    person = person_picture(inputs.photo, inputs.alpha, channels)
    bare = without_region(person, inputs.mask)
    both = torch.cat([bare, laid_in(bare, found.picture, inputs.mask)])
    agnostic, pasted = autoencoder.encode(both.to(kind)).float().chunk(2)
    return Frozen(agnostic, latent_mask(inputs.mask, FACTOR), pasted, found.picture), found


def told(networks: Any, heat: Tensor, given: Frozen) -> Conditions:
    """Conditions of the denoiser; differentiable.

    Args:
        networks: with ``encoder`` and ``pose_encoder``.
        heat: of the person's pose, (B, 18, h, w).
        given: of the frozen networks.
    """
    encoder, pose_encoder = networks.encoder, networks.pose_encoder
    kind = next(encoder.parameters()).dtype
    context = encoder(given.fitted[:, : encoder.config.photo_channels].to(kind))
    extra = torch.cat([given.agnostic, given.mask, given.pasted], 1)
    return Conditions(pose_encoder(heat.to(kind)), context, extra, None)


@torch.no_grad()
def known_of(autoencoder: Any, inputs: SwapInputs, given: Frozen, resample: int) -> Known:
    """The person's own latents, for all cells that no pixel of the mask is in."""
    person = person_picture(inputs.photo, inputs.alpha, autoencoder.image_channels)
    latents = autoencoder.encode(person.to(next(autoencoder.parameters()).dtype)).float()
    return Known(latents, given.mask, resample)


def check_swap(
    image: Image,
    pose: Pose,
    garment: Image,
    garment_pose: Pose,
    masks: dict[str, NDArray[np.float32] | None],
    *,
    size: tuple[int, int],
) -> None:
    """Refuse pictures, poses and masks that are not of the frame's size, and empty masks.

    Args:
        image: the person.
        pose: on it.
        garment: the garment's picture.
        garment_pose: on it.
        masks: by the name they have in a sentence; the first two must not be empty.
        size: (W, H) of the frame.

    Raises:
        ImageError: not uint8 RGB of ``size``; a mask of another size, not finite, or empty.
        PoseError: a pose for another size.
    """
    for picture, name in ((image, "the person's photo"), (garment, "the garment's picture")):
        shape: tuple[int, ...] = getattr(picture, "shape", ())
        if getattr(picture, "dtype", None) != np.uint8 or shape != (size[1], size[0], 3):
            raise ImageError(
                f"{name} must be uint8 of shape {(size[1], size[0], 3)}, not {shape}: crop it to "
                "a frame first"
            )
    for one, name in ((pose, "the person's pose"), (garment_pose, "the garment's pose")):
        one.check_usable()
        if one.size != size:
            raise PoseError(f"{name} is for {one.size} pixels, and the pictures have {size}")
    for number, (name, mask) in enumerate(masks.items()):
        if mask is None:
            continue
        if np.shape(mask) != (size[1], size[0]) or not np.isfinite(mask).all():
            raise ImageError(f"{name} must be finite numbers of shape {(size[1], size[0])}")
        if number < 2 and not (mask > 0).any():
            raise ImageError(f"{name} is empty: there is nothing to swap")
