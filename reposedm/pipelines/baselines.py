"""B1, the paper's "PIDM": a plain photo encoder in the place of recurrent alignment, no guidance by
the interaction field. (B2 is ``RePoseDMPipeline`` without its estimator.)"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import nn

from reposedm.errors import WeightsError
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.abilities import PIDM
from reposedm.pipelines.base import Capabilities, Image, Output, Step, refuse_extras
from reposedm.pipelines.conditions import (
    Conditions,
    Inputs,
    check_inputs,
    conditions_of,
    inputs_of,
    photo_features,
)
from reposedm.pipelines.networks import NetworkPipeline
from reposedm.pipelines.reposedm import (
    check_networks,
    default_sampler,
    separate_scales,
)
from reposedm.pipelines.run import (
    Plan,
    check_settings,
    chosen_generators,
    chosen_preview,
    chosen_scale,
    chosen_steps,
    run,
)
from reposedm.pipelines.sampling import Steering
from reposedm.pose import Pose


class PIDMPipeline(NetworkPipeline):
    """A ``base.Method``; arguments as in ``RePoseDMPipeline``, with ``encoder``: ``PhotoEncoder``.

    Raises:
        WeightsError: settings or networks that do not fit each other.
    """

    capabilities: Capabilities = PIDM
    optional_components: ClassVar[list[str]] = []

    def __init__(
        self,
        autoencoder: nn.Module,
        encoder: nn.Module,
        pose_encoder: nn.Module,
        unet: nn.Module,
        scheduler: Any,
        *,
        native_size: Sequence[int] = (176, 256),
        sampler: str | None = None,
        steps: int = 20,
        guidance_scale: float = 2.0,
        separate_guidance: bool = False,
    ) -> None:
        """Check, and keep references."""
        super().__init__()
        sampler = sampler or default_sampler(unet)
        size = check_settings(native_size, sampler, steps, {"guidance_scale": guidance_scale})
        if not isinstance(separate_guidance, bool):
            raise WeightsError(f"separate_guidance is true or false: not {separate_guidance!r:.60}")
        check_networks(autoencoder, pose_encoder, unet, scheduler, sampler)
        self.register_modules(
            autoencoder=autoencoder,
            encoder=encoder,
            pose_encoder=pose_encoder,
            unet=unet,
            scheduler=scheduler,
        )
        self.register_to_config(
            native_size=list(size),
            sampler=sampler,
            steps=steps,
            guidance_scale=guidance_scale,
            separate_guidance=separate_guidance,
        )
        able = type(self).capabilities
        self.capabilities = dataclasses.replace(
            able, native_size=size, default_steps=steps, default_guidance=guidance_scale
        )

    @torch.no_grad()
    def encode(self, inputs: Inputs) -> Conditions:
        """What the denoiser is told of a photo and a pose: once per pair, not once per step."""
        return encoded(self.unet, as_autoencoder(self.autoencoder), self, inputs)

    def stream(
        self,
        image: Image,
        source_pose: Pose,
        target_pose: Pose,
        *,
        source_mask: NDArray[Any] | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        pose_guidance_scale: float | None = None,
        pose_scale: float | None = None,
        appearance_scale: float | None = None,
        generators: Sequence[torch.Generator] | None = None,
        sampler: str | None = None,
        preview_every: int = 5,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        """See ``RePoseDMPipeline.stream``; ``pose_guidance_scale`` is refused.

        Raises:
            SettingsError: an argument that means nothing to this method, or is out of range.
            ImageError: a picture or mask of another size.
            PoseError: a pose for another size.
        """
        refuse_extras(self.capabilities, {"pose_guidance_scale": pose_guidance_scale} | extras)
        size = (self.config.native_size[0], self.config.native_size[1])
        check_inputs(image, source_pose, target_pose, source_mask, size=size)
        scales = separate_scales(
            (pose_scale, appearance_scale), guidance_scale, trained=self.config.separate_guidance
        )
        plan = Plan(
            steps=chosen_steps(steps, self.config.steps),
            generators=chosen_generators(generators),
            steering=Steering(
                scale=chosen_scale("the guidance", guidance_scale, self.config.guidance_scale),
                pose_scale=scales[0],
                appearance_scale=scales[1],
            ),
            sampler=self.config.sampler if sampler is None else sampler,
            preview_every=chosen_preview(preview_every),
            device=self.working_device,
        )

        def conditions() -> Conditions:
            return self.encode(inputs_of(image, source_pose, target_pose, source_mask, plan.device))

        autoencoder = as_autoencoder(self.autoencoder)
        return run(autoencoder, self.unet, self.scheduler, plan, conditions)


def encoded(unet: Any, autoencoder: Any, networks: Any, inputs: Inputs) -> Conditions:
    """Conditions with the photo as it is, not aligned; differentiable, for training too.

    Where silhouettes or warped latents are needed, the limb mapping moves them.

    Args:
        unet: the denoiser.
        autoencoder: with ``encode`` and its channels.
        networks: with ``encoder`` and ``pose_encoder``.
        inputs: photos and poses, (B, ...).
    """
    context = photo_features(
        networks.encoder, autoencoder, inputs.photo, inputs.mask, inputs.source_heat
    )
    return conditions_of(
        unet,
        autoencoder,
        networks.pose_encoder,
        inputs,
        context=context,
        mapping=inputs.initial,
    )
