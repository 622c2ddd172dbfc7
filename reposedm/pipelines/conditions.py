"""What the networks are shown of a photo and its poses: one home, for sampling and for training.

All poses here are in pixels of the frame picture, whose size is (W, H): ``pose.size``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reposedm.diffusion.inpainting import Known
from reposedm.diffusion.interaction import COCO_17
from reposedm.errors import ImageError, PoseError
from reposedm.models.autoencoder import FACTOR
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.mapping import Limbs, limbs_of, warp
from reposedm.pipelines.base import Image
from reposedm.pose import Pose, draw_map, heat_maps

HEAT_SIGMA: Final = 1.0
"""Standard deviation of the heat maps on the latent's grid, in its cells."""

ESTIMATOR_STRIDE: Final = 2
ESTIMATOR_SIGMAS: Final = (2.0, 4.0)
"""HigherHRNet gives the mean of two heads on half the picture's size, both trained with a deviation
of 2 of their own cells; those of the coarser one are twice as large."""


@dataclass(frozen=True)
class Inputs:
    """A photo and two poses as tensors, B of them, on one device; what data loaders make too.

    Attributes:
        photo: I_S, (B, 3, H, W) in [-1, 1].
        mask: the person's alpha on the photo, (B, 1, H, W) in [0, 1], or None.
        source_heat: ``grid_heat`` of the pose on the photo, (B, 18, h, w).
        target_heat: of the wanted pose, (B, 18, h, w).
        target_map: ``map_picture`` of the wanted pose, (B, 3, H, W) in [-1, 1], or None if no
            network needs it.
        initial: ``initial_mapping``, (B, 2, h, w).
        limbs: what it is blended from; needed by alignments that learn to blend.
    """

    photo: Tensor
    mask: Tensor | None
    source_heat: Tensor
    target_heat: Tensor
    target_map: Tensor | None
    initial: Tensor
    limbs: Limbs | None = None


@dataclass(frozen=True)
class Conditions:
    """What the denoiser is told, once per (photo, pose); B = 1 in sampling.

    Attributes:
        pose: pose latent, (B, cp, h, w).
        context: F_S^N, [(B, D, h, w), (B, D, h/2, w/2), ...].
        extra: further latents, (B, ce, h, w), or None.
        alpha: the person's silhouette in the wanted pose, (B, 1, H, W) in [0, 1], or None.
        mapping: F^N, (B, 2, h, w), where one was found by looking at the photo; else None.
        visible: with it, the probability that a cell is seen in the photo, (B, 1, h, w).
        known: of the picture that is made, where it is only painted in part; None: nothing.
        source: features of the photo as it is, shaped as ``context``, for U-Nets that see it.
    """

    pose: Tensor
    context: Sequence[Tensor]
    extra: Tensor | None
    alpha: Tensor | None
    mapping: Tensor | None = None
    visible: Tensor | None = None
    known: Known | None = None
    source: Sequence[Tensor] | None = None


def grid_heat(pose: Pose, size: tuple[int, int]) -> NDArray[np.float32]:
    """Heat maps of a pose on the latent's grid: float32 (18, H / 8, W / 8)."""
    return heat_maps(pose, (size[1] // FACTOR, size[0] // FACTOR), HEAT_SIGMA)


def estimator_heat(pose: Pose, size: tuple[int, int]) -> NDArray[np.float32]:
    """What a pose estimator should see of a pose, COCO's joints: float32 (17, H / 2, W / 2)."""
    shape = (size[1] // ESTIMATOR_STRIDE, size[0] // ESTIMATOR_STRIDE)
    both = [heat_maps(pose, shape, sigma) for sigma in ESTIMATOR_SIGMAS]
    mean: NDArray[np.float32] = np.mean(both, axis=0, dtype=np.float32)
    return mean[list(COCO_17)]


def map_picture(pose: Pose, size: tuple[int, int]) -> Image:
    """The drawn map of a pose at the frame's size: uint8 (H, W, 3)."""
    drawn = draw_map([pose], short_side=min(size))
    if drawn.shape[:2] != (size[1], size[0]):
        drawn = cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)
    return drawn


def to_tensor(picture: Image) -> Tensor:
    """uint8 (H, W, C) -> float32 (C, H, W) in [-1, 1]."""
    return torch.from_numpy(picture.astype(np.float32) / 127.5 - 1).permute(2, 0, 1).contiguous()


def limbs_between(source: Pose, target: Pose, size: tuple[int, int]) -> Limbs:
    """What the bones of two poses say about each cell of the latent's grid, B = 1."""

    def joints(pose: Pose) -> tuple[Tensor, Tensor]:
        points, state = np.array(pose.points), np.array(pose.state)
        return torch.from_numpy(points)[None], torch.from_numpy(state)[None]

    source_points, source_state = joints(source)
    target_points, target_state = joints(target)
    return limbs_of(
        source_points,
        target_points,
        source_state,
        target_state,
        size=(size[1], size[0]),
        shape=(size[1] // FACTOR, size[0] // FACTOR),
    )


def initial_mapping(source: Pose, target: Pose, size: tuple[int, int]) -> Tensor:
    """The limb mapping from a pose to another on the latent's grid, (1, 2, H / 8, W / 8)."""
    return limbs_between(source, target, size).blended()


def start_of(alignment: Any, initial: Tensor, limbs: Limbs | None) -> dict[str, Any]:
    """What an alignment is given to start from, as it is configured."""
    kind = alignment.config.initial
    return {"limbs": {"initial": initial}, "learned": {"limbs": limbs}}.get(kind, {})


def inputs_of(
    image: Image,
    source: Pose,
    target: Pose,
    mask: NDArray[np.float32] | None,
    device: torch.device | str = "cpu",
) -> Inputs:
    """One photo with its poses, B = 1, float32.

    Args:
        image: uint8 (H, W, 3).
        source: the pose on it.
        target: the wanted pose.
        mask: float32 (H, W) in [0, 1], or None.
        device: where the tensors go.
    """
    size = (image.shape[1], image.shape[0])
    limbs = limbs_between(source, target, size).to(device)

    def tensor(array: NDArray[np.float32]) -> Tensor:
        return torch.from_numpy(array)[None].to(device)

    return Inputs(
        photo=to_tensor(image)[None].to(device),
        mask=None if mask is None else tensor(np.clip(mask, 0, 1).astype(np.float32)[None]),
        source_heat=tensor(grid_heat(source, size)),
        target_heat=tensor(grid_heat(target, size)),
        target_map=to_tensor(map_picture(target, size))[None].to(device),
        initial=limbs.blended(),
        limbs=limbs,
    )


def encode_for(alignment: Any, autoencoder: Any) -> Callable[[Tensor], Tensor] | None:
    """``encode`` of an alignment's call, where it looks through the autoencoder; else None."""
    if alignment.config.encoder_input != "autoencoder":
        return None

    def encode(seen: Tensor) -> Tensor:
        found: Tensor = autoencoder.encode(with_alpha(seen, None, autoencoder.image_channels))
        return found

    return encode


def photo_features(
    encoder: Any, autoencoder: Any, photo: Tensor, mask: Tensor | None, heat: Tensor
) -> list[Tensor]:
    """A photo as a plain encoder sees it, [(B, D, h, w), (B, D, h/2, w/2), ...]; differentiable.

    Args:
        encoder: a ``PhotoEncoder``.
        autoencoder: with ``encode``, for encoders of latents.
        photo: (B, 3, H, W) in [-1, 1].
        mask: the person's alpha on it, (B, 1, H, W) in [0, 1], or None.
        heat: heat maps of the pose on it, for encoders that take some.
    """
    config = encoder.config
    if config.resolution == "latent":
        seen = autoencoder.encode(with_alpha(photo, mask, autoencoder.image_channels))
    else:
        seen = with_alpha(photo, mask, config.photo_channels)
    found: list[Tensor] = encoder(seen, heat if config.heat_channels else None)
    return found


def source_of(
    networks: Any, photo: Tensor, mask: Tensor | None, heat: Tensor
) -> list[Tensor] | None:
    """``photo_features`` for a U-Net with ``source_context``; else None.

    Args:
        networks: with ``unet``, ``encoder`` and ``autoencoder``.
        photo: see there, as all that follow.
        mask: see there.
        heat: see there.
    """
    if not networks.unet.config.source_context:
        return None
    autoencoder = as_autoencoder(networks.autoencoder)
    return photo_features(networks.encoder, autoencoder, photo, mask, heat)


def with_alpha(picture: Tensor, mask: Tensor | None, channels: int) -> Tensor:
    """A picture (B, 3, H, W) for a network of 3 or 4 channels: the mask as its alpha in [-1, 1].

    Without a mask it is opaque.
    """
    if channels == picture.shape[1]:
        return picture
    opaque = torch.ones_like(picture[:, :1])
    return torch.cat([picture[:, :3], opaque if mask is None else mask.to(picture) * 2 - 1], 1)


def pose_latent(pose_encoder: Any, autoencoder: Any, inputs: Inputs) -> Tensor:
    """The wanted pose as the U-Net's second input, (B, cp, h, w), as the configuration says.

    Raises:
        ValueError: the map is needed and not there.
    """
    kind = next(pose_encoder.parameters()).dtype
    if pose_encoder.config.pose_representation == "heat_maps":
        return pose_encoder(inputs.target_heat.to(kind))
    if inputs.target_map is None:
        raise ValueError("this pose encoder needs the drawn map")
    drawn = with_alpha(inputs.target_map.to(kind), None, autoencoder.image_channels)
    return pose_encoder(autoencoder.encode(drawn))


def conditions_of(
    unet: Any,
    autoencoder: Any,
    pose_encoder: Any,
    inputs: Inputs,
    *,
    context: Sequence[Tensor],
    mapping: Tensor,
    visible: Tensor | None = None,
) -> Conditions:
    """Everything beside the context: the pose latent, warped latents and silhouette.

    No gradient goes back through the warp: alignment learns from its own losses and from the
    features, and the way back through the autoencoder is long.

    Args:
        unet: its ``extra_channels`` are 0, or those of the autoencoder's latents, or one more.
        autoencoder: with ``encode`` and its channels.
        pose_encoder: a ``PoseEncoder``.
        inputs: photo and poses.
        context: features of the photo.
        mapping: where each target cell looks in the source, (B, 2, h, w): the alignment's own, or
            the limb mapping.
        visible: whether the photo shows the cell at all, (B, 1, h, w) in [0, 1], for that one more
            channel; None: it does.
    """
    mapping = mapping.detach()
    mask = None if inputs.mask is None else warp(inputs.mask, mapping, "zeros")
    extra = None
    if unet.config.extra_channels:
        seen = warp(inputs.photo, mapping)
        seen = with_alpha(seen, mask, autoencoder.image_channels)
        extra = autoencoder.encode(seen.to(next(autoencoder.parameters()).dtype))
        if unet.config.extra_channels > extra.shape[1]:
            seen = torch.ones_like(extra[:, :1]) if visible is None else visible.detach()
            extra = torch.cat([extra, seen.to(extra)], 1)
    latent = pose_latent(pose_encoder, autoencoder, inputs)
    return Conditions(latent, context, extra, mask)


def check_inputs(
    image: Image,
    source_pose: Pose,
    target_pose: Pose,
    mask: NDArray[np.float32] | None,
    *,
    size: tuple[int, int],
) -> None:
    """Refuse a photo, poses or a mask that are not of the frame's size.

    Raises:
        ImageError: not uint8 RGB of ``size``, or a mask of another size or not finite.
        PoseError: a pose for another size.
    """
    width, height = size
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if getattr(image, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise ImageError("a photo must be uint8 of shape (height, width, 3)")
    if shape[:2] != (height, width):
        raise ImageError(
            f"these weights work on {width} x {height} pixels, and this picture has "
            f"{shape[1]} x {shape[0]}: crop it to a frame first"
        )
    for pose, name in ((source_pose, "the pose on the photo"), (target_pose, "the wanted pose")):
        pose.check_usable()
        if pose.size != (width, height):
            raise PoseError(
                f"{name} is for {pose.size[0]} x {pose.size[1]} pixels, and the picture has "
                f"{width} x {height}"
            )
    if mask is not None and (np.shape(mask) != (height, width) or not np.isfinite(mask).all()):
        raise ImageError(f"the person's mask must be finite numbers of shape {(height, width)}")
