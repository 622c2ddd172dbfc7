"""Tiny real networks, with random weights that do not cancel, in every pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler
from torch import nn

from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.pose_encoder import PoseEncoder
from reposedm.models.unet import UNet
from reposedm.pipelines.baselines import PIDMPipeline
from reposedm.pipelines.finest import SHARED, FinestPipeline
from reposedm.pipelines.reposedm import RePoseDMPipeline
from reposedm.pipelines.street import StreetPipeline
from reposedm.pipelines.swap import GarmentSwapPipeline
from reposedm.pose import Pose
from tests import drawn

SIZE = (64, 96)
"""(width, height) of the frames of these tests."""


def lively(network: nn.Module, seed: int, scale: float = 0.5) -> Any:
    """Fill the layers that start at zero, so that every input changes the output."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in network.parameters():
            if value.abs().max() == 0:
                width = value[0].numel() if value.ndim > 1 else 4
                value.copy_(torch.randn(value.shape, generator=generator) * scale / width**0.5)
    return network.eval()


def parts(
    *,
    image_channels: int = 4,
    prediction: str = "epsilon",
    learn_variance: bool = True,
    extra: bool = True,
    gated: bool = False,
    pose: str = "heat_maps",
    source: bool = False,
) -> dict[str, Any]:
    """The networks that all pipelines share, and the scheduler."""
    torch.manual_seed(3)
    flow = prediction == "flow_prediction"
    scheduler = (
        FlowMatchEulerDiscreteScheduler()
        if flow
        else DDPMScheduler(prediction_type=prediction, clip_sample=False)
    )
    encoder = (
        PoseEncoder.tiny()
        if pose == "heat_maps"
        else PoseEncoder(pose_representation="map_latent", in_channels=4, channels=4)
    )
    channels: dict[str, Any] = {"extra_channels": 4 if extra else 0}
    if gated:
        channels = {"extra_channels": 5, "gated": (0,)}
    channels["source_context"] = source
    unet = UNet.tiny(**channels, prediction=prediction, learn_variance=learn_variance)
    seen = {"encoder": lively(PhotoEncoder.tiny(), 7)} if source else {}
    return seen | {
        "autoencoder": lively(Autoencoder.tiny(image_channels), 1),
        "pose_encoder": lively(encoder, 2),
        "unet": lively(unet, 3),
        "scheduler": scheduler,
    }


def tiny_estimator() -> HigherHRNet:
    """Random heat maps whose size is of order 1."""
    torch.manual_seed(4)
    network = HigherHRNet(width=4, stem_channels=4, bottlenecks=1, modules=(1, 1, 1), blocks=1)
    with torch.no_grad():
        for head in network.final_layers:
            head.weight.mul_(300)
    return network.eval()


def tiny_reposedm(
    *, steer: bool = True, alignment: dict[str, Any] | None = None, **options: Any
) -> RePoseDMPipeline:
    names = ("image_channels", "prediction", "learn_variance", "extra", "gated", "pose", "source")
    shared = parts(**{name: options.pop(name) for name in names if name in options})
    torch.manual_seed(5)
    settings = {"native_size": SIZE, "steps": 4, "pose_guidance_strength": 3.0}
    return RePoseDMPipeline(
        **shared,
        alignment=lively(RecurrentPoseAlignment.tiny(**(alignment or {})), 6, 0.05),
        estimator=tiny_estimator() if steer else None,
        **(settings | options),
    )


def tiny_pidm(**options: Any) -> PIDMPipeline:
    names = ("image_channels", "prediction", "learn_variance", "extra", "pose")
    shared = parts(**{name: options.pop(name) for name in names if name in options})
    torch.manual_seed(5)
    encoder = lively(PhotoEncoder.tiny(), 6)
    return PIDMPipeline(**shared, encoder=encoder, **({"native_size": SIZE, "steps": 4} | options))


def tiny_swap(**options: Any) -> GarmentSwapPipeline:
    names = ("image_channels", "prediction", "learn_variance", "extra", "gated", "source")
    given = {"gated": True} | {name: options.pop(name) for name in names if name in options}
    shared = parts(**given)
    torch.manual_seed(5)
    channels = shared["autoencoder"].image_channels
    alignment = RecurrentPoseAlignment.tiny(photo_channels=channels, initial="limbs")
    return GarmentSwapPipeline(
        **shared,
        alignment=lively(alignment, 6, 0.05),
        **({"native_size": SIZE, "steps": 4} | options),
    )


def tiny_street(*, source: bool = False, **options: Any) -> StreetPipeline:
    torch.manual_seed(5)
    return StreetPipeline(
        **parts(gated=True, source=source),
        alignment=lively(RecurrentPoseAlignment.tiny(), 6, 0.05),
        **({"native_size": SIZE, "steps": 4} | options),
    )


def write_shared(pipe: FinestPipeline, folder: Path) -> None:
    """The networks that its own folder leaves out, as in RePoseDM's."""
    for name in SHARED:
        if (network := getattr(pipe, name)) is not None:
            network.save_pretrained(folder / name)


def person() -> tuple[np.ndarray, Pose, Pose, np.ndarray]:
    """A photo, the pose on it, another pose of the same person, and the mask."""
    photo, pose, mask = drawn.photo(*SIZE)
    return photo, pose, drawn.arms_up(pose), mask


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]
