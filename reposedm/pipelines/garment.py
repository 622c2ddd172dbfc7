"""What the networks of a garment swap are shown: one home, for sampling and for training.

    F            = RPA(garment photo; its pose -> the person's)         Eq. 5-9
    fitted       = W(garment; F)            the garment as the person would wear it, and where seen
    pasted       = the person without what is under the mask, the fitted garment laid in
    extra        = [E(pasted), known]       beside the noisy latent, in the place of reposing's
                                            [E(W(photo)), visible]
    context      = F_S^N                    features of the garment's photo, as in reposing
    y_0          = E(answer)                what is diffused

The U-Net is thus told what reposing tells it: a picture of the person put together from what other
pictures show, and where that can be relied on. What it learned there carries over.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.mapping import Limbs, warp
from reposedm.pipelines.base import Image
from reposedm.pipelines.conditions import (
    Conditions,
    encode_for,
    grid_heat,
    limbs_between,
    source_of,
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
        features: F_S^N of the garment's photo, [(B, D, h, w), (B, D, h/2, w/2), ...].
    """

    picture: Tensor
    mapping: Tensor
    visible: Tensor
    features: Sequence[Tensor]


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
        align: False: the limb mapping in its place; the photo is looked at through that.
    """
    encode = encode_for(alignment, autoencoder)
    seen = with_alpha(inputs.garment, inputs.wearer, alignment.config.photo_channels)
    if align:
        given = start_of(alignment, inputs.initial, inputs.limbs)
        found = alignment(seen, inputs.garment_heat, inputs.heat, **given, encode=encode)
        mapping, visible, features = found.mapping, found.visible, found.features
    else:
        mapping = inputs.initial
        visible = torch.ones_like(mapping[:, :1])
        features = alignment.along(seen, inputs.garment_heat, mapping, encode=encode)
    worn = warp(inputs.garment_alpha, mapping, "zeros")  # B,1,H,W
    color = warp(inputs.garment, mapping) * worn
    sure = ((visible.float() - UNSEEN) / (SEEN - UNSEEN)).clamp(0, 1)
    shown = F.interpolate(sure, worn.shape[2:], mode="bilinear")
    return Fitted(torch.cat([color, 2 * worn * shown - 1], 1), mapping, visible, features)


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


def told(networks: Any, inputs: SwapInputs, *, align: bool = True) -> tuple[Conditions, Fitted]:
    """Conditions of the denoiser, and the garment as it was fitted; differentiable.

    Args:
        networks: with ``autoencoder``, ``alignment``, ``pose_encoder`` and ``unet``.
        inputs: person and garment.
        align: False: no recurrent alignment.
    """
    autoencoder: Any = as_autoencoder(networks.autoencoder)
    kind, channels = next(autoencoder.parameters()).dtype, autoencoder.image_channels
    with torch.no_grad():
        found = fitted(networks.alignment, autoencoder, inputs, align=align)
        bare = without_region(person_picture(inputs.photo, inputs.alpha, channels), inputs.mask)
        pasted = laid_in(bare, found.picture, inputs.mask)
        extra = autoencoder.encode(pasted.to(kind))  # B,c,h,w
        if networks.unet.config.extra_channels > extra.shape[1]:
            extra = torch.cat([extra, known_share(found, inputs.mask).to(extra)], 1)
        source = source_of(networks, inputs.garment, inputs.wearer, inputs.garment_heat)
    latent = networks.pose_encoder(inputs.heat.to(kind))
    return Conditions(latent, found.features, extra, None, source=source), found


def known_share(found: Fitted, mask: Tensor) -> Tensor:
    """How much of each cell is known, (B, 1, h, w): the person's, or the fitted garment's."""
    garment = (found.picture[:, 3:] + 1) / 2
    return F.avg_pool2d(torch.where(mask > 0.5, garment, 1.0), FACTOR)


@torch.no_grad()
def known_of(autoencoder: Any, inputs: SwapInputs, resample: int) -> Known:
    """The person's own latents, for all cells that no pixel of the mask is in."""
    person = person_picture(inputs.photo, inputs.alpha, autoencoder.image_channels)
    latents = autoencoder.encode(person.to(next(autoencoder.parameters()).dtype)).float()
    return Known(latents, latent_mask(inputs.mask, FACTOR), resample)


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
