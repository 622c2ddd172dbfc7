"""RePoseDM: recurrent pose alignment, a latent diffusion model, and pose interaction fields.

B2 of the paper's ablation, alignment without interaction fields, is this pipeline without an
estimator, or with ``pose_guidance_scale=0``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import nn

from reposedm.diffusion.interaction import LARGEST_MOVE, InteractionField
from reposedm.errors import SettingsError, WeightsError
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.abilities import REPOSEDM
from reposedm.pipelines.base import Capabilities, Image, Output, Step, refuse_extras
from reposedm.pipelines.conditions import (
    Conditions,
    Inputs,
    check_inputs,
    conditions_of,
    encode_for,
    estimator_heat,
    inputs_of,
    source_of,
    start_of,
    with_alpha,
)
from reposedm.pipelines.networks import NetworkPipeline
from reposedm.pipelines.run import (
    Plan,
    check_moves,
    check_settings,
    check_span,
    chosen_generators,
    chosen_preview,
    chosen_scale,
    chosen_steps,
    run,
)
from reposedm.pipelines.sampling import Steering, make_scheduler
from reposedm.pose import Pose


class RePoseDMPipeline(NetworkPipeline):
    """A ``base.Method``: photo, its pose and a wanted pose to pictures.

    Args:
        autoencoder: ``Autoencoder``, or diffusers' ``AutoencoderKL`` or ``AutoencoderTiny``.
        alignment: ``RecurrentPoseAlignment``.
        pose_encoder: ``PoseEncoder``.
        unet: ``UNet``.
        scheduler: the one of the training; runs make their own from it.
        estimator: ``HigherHRNet`` for the interaction field; None: no pose guidance.
        encoder: ``PhotoEncoder``, of U-Nets with ``source_context`` alone.
        native_size: (width, height) in pixels that the weights work at.
        sampler: one of ``sampling.SAMPLERS``; None: "ddim", or "euler" for a flow.
        steps: default number of steps.
        guidance_scale: default w_c of Eq. 16.
        pose_guidance_scale: default factor of the gradient term; without an estimator it is 0.
        pose_guidance_strength: lambda, from ``interaction.calibrated_strength``; 0: not calibrated,
            no pose guidance.
        pose_guidance_range: part of the steps with the gradient term, (from, to). The first steps
            have hardly any picture to look at.
        pose_guidance_moves: moves that each of them is made in, see ``sampling.Steering``.
        separate_guidance: trained with pose and photo dropped alone, too, so that ``pose_scale``
            and ``appearance_scale`` make sense.

    Raises:
        WeightsError: settings or networks that do not fit each other.
    """

    capabilities: Capabilities = REPOSEDM
    optional_components: ClassVar[list[str]] = ["estimator", "encoder"]

    def __init__(
        self,
        autoencoder: nn.Module,
        alignment: nn.Module,
        pose_encoder: nn.Module,
        unet: nn.Module,
        scheduler: Any,
        *,
        estimator: nn.Module | None = None,
        encoder: nn.Module | None = None,
        native_size: Sequence[int] = (176, 256),
        sampler: str | None = None,
        steps: int = 20,
        guidance_scale: float = 2.0,
        pose_guidance_scale: float = 1.0,
        pose_guidance_strength: float = 0.0,
        pose_guidance_range: Sequence[float] = (0.2, 1.0),
        pose_guidance_moves: int = 1,
        separate_guidance: bool = False,
    ) -> None:
        """Check, and keep references; arguments above."""
        super().__init__()
        sampler = sampler or default_sampler(unet)
        scales = {"guidance_scale": guidance_scale, "pose_guidance_scale": pose_guidance_scale}
        size = check_settings(native_size, sampler, steps, scales)
        span = check_span(pose_guidance_range)
        check_moves(pose_guidance_moves)
        if not isinstance(pose_guidance_strength, (int, float)) or not (
            0 <= pose_guidance_strength < float("inf")
        ):
            raise WeightsError(
                f"pose_guidance_strength is a number >= 0: not {pose_guidance_strength!r:.60}"
            )
        if not isinstance(separate_guidance, bool):
            raise WeightsError(f"separate_guidance is true or false: not {separate_guidance!r:.60}")
        check_networks(autoencoder, pose_encoder, unet, scheduler, sampler)
        check_encoder(encoder, unet)
        if estimator is not None:
            estimator.eval()
        self.register_modules(
            autoencoder=autoencoder,
            alignment=alignment,
            pose_encoder=pose_encoder,
            unet=unet,
            scheduler=scheduler,
            estimator=estimator,
            encoder=encoder,
        )
        self.register_to_config(
            native_size=list(size),
            sampler=sampler,
            steps=steps,
            guidance_scale=guidance_scale,
            pose_guidance_scale=pose_guidance_scale,
            pose_guidance_strength=pose_guidance_strength,
            pose_guidance_range=list(span),
            pose_guidance_moves=pose_guidance_moves,
            separate_guidance=separate_guidance,
        )
        able = type(self).capabilities
        if not self._can_steer:
            able = dataclasses.replace(able, controls=able.controls - {"pose_guidance_scale"})
        self.capabilities = dataclasses.replace(
            able,
            native_size=size,
            default_steps=steps,
            default_guidance=guidance_scale,
            default_pose_guidance=pose_guidance_scale,
        )

    @property
    def _can_steer(self) -> bool:
        return self.estimator is not None and self.config.pose_guidance_strength > 0

    @torch.no_grad()
    def align(self, inputs: Inputs) -> Conditions:
        """What the denoiser is told of a photo and a pose: once per pair, not once per step."""
        shown = aligned(self.unet, as_autoencoder(self.autoencoder), self, inputs)
        source = source_of(self, inputs.photo, inputs.mask, inputs.source_heat)
        return dataclasses.replace(shown, source=source)

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
        """See ``base.Method.stream``; arguments are checked here, before the first step.

        Args:
            image: uint8 (H, W, 3) of ``native_size``.
            source_pose: the person's pose on it.
            target_pose: the wanted pose.
            source_mask: float32 (H, W): the person's alpha, for autoencoders without one.
            steps: denoising steps.
            guidance_scale: w_c of Eq. 16; 1: no unconditional prediction, half the work.
            pose_guidance_scale: factor of the gradient term; 0: none is computed.
            pose_scale: with ``appearance_scale``, in the place of ``guidance_scale``.
            appearance_scale: see there.
            generators: CPU generators, one a picture.
            sampler: another one than configured.
            preview_every: steps between previews of the estimate; 0: none.
            extras: refused.

        Raises:
            SettingsError: an argument that means nothing to this method, or is out of range.
            ImageError: a picture or mask of another size.
            PoseError: a pose for another size.
        """
        refuse_extras(self.capabilities, extras)
        size = (self.config.native_size[0], self.config.native_size[1])
        check_inputs(image, source_pose, target_pose, source_mask, size=size)
        steering = self._steering(
            target_pose, guidance_scale, pose_guidance_scale, (pose_scale, appearance_scale)
        )
        plan = Plan(
            steps=chosen_steps(steps, self.config.steps),
            generators=chosen_generators(generators),
            steering=steering,
            sampler=self.config.sampler if sampler is None else sampler,
            preview_every=chosen_preview(preview_every),
            device=self.working_device,
        )

        def conditions() -> Conditions:
            return self.align(inputs_of(image, source_pose, target_pose, source_mask, plan.device))

        autoencoder = as_autoencoder(self.autoencoder)
        return run(autoencoder, self.unet, self.scheduler, plan, conditions)

    def _steering(
        self,
        target_pose: Pose,
        scale: float | None,
        pose_guidance: float | None,
        separate: tuple[float | None, float | None],
    ) -> Steering:
        """The guidance of a call."""
        pose_scale, appearance_scale = separate_scales(
            separate, scale, trained=self.config.separate_guidance
        )
        default = self.config.pose_guidance_scale if self._can_steer else 0.0
        factor = chosen_scale("the pose guidance", pose_guidance, default)
        field = target = None
        if factor > 0:
            if not self._can_steer:
                raise SettingsError(
                    "these weights have no calibrated pose estimator: leave the pose guidance out"
                )
            field = InteractionField(as_autoencoder(self.autoencoder), self.estimator)
            size = (self.config.native_size[0], self.config.native_size[1])
            target = torch.from_numpy(estimator_heat(target_pose, size))[None]
            target = target.to(self.working_device)
        span = self.config.pose_guidance_range
        return Steering(
            scale=chosen_scale("the guidance", scale, self.config.guidance_scale),
            pose_scale=pose_scale,
            appearance_scale=appearance_scale,
            field=field,
            target=target,
            strength=factor * self.config.pose_guidance_strength,
            span=(span[0], span[1]),
            largest_move=factor * LARGEST_MOVE,
            moves=self.config.pose_guidance_moves,
        )


def aligned(unet: Any, autoencoder: Any, networks: Any, inputs: Inputs) -> Conditions:
    """Conditions with the photo aligned to the pose (Eq. 5-9); differentiable, for training too.

    Args:
        unet: the denoiser.
        autoencoder: with ``encode`` and its channels.
        networks: with ``alignment`` and ``pose_encoder``.
        inputs: photos and poses, (B, ...).
    """
    alignment = networks.alignment
    given = start_of(alignment, inputs.initial, inputs.limbs)
    given["encode"] = encode_for(alignment, autoencoder)
    photo = with_alpha(inputs.photo, inputs.mask, alignment.config.photo_channels)
    found = alignment(photo, inputs.source_heat, inputs.target_heat, **given)
    conditions = conditions_of(
        unet,
        autoencoder,
        networks.pose_encoder,
        inputs,
        context=found.features,
        mapping=found.mapping,
        visible=found.visible,
    )
    return dataclasses.replace(conditions, mapping=found.mapping, visible=found.visible)


def separate_scales(
    separate: tuple[float | None, float | None], scale: float | None, *, trained: bool
) -> tuple[float | None, float | None]:
    """``pose_scale`` and ``appearance_scale`` of a call: both or none.

    Raises:
        SettingsError: the weights were not trained for it, one is missing, or a scale for both is
            given too.
    """
    if separate == (None, None):
        return None, None
    if not trained:
        raise SettingsError(
            "these weights were not trained with pose and photo dropped one at a time: use "
            "guidance_scale in the place of pose_scale and appearance_scale"
        )
    if None in separate or scale is not None:
        raise SettingsError("give pose_scale and appearance_scale, or guidance_scale alone")
    return (
        chosen_scale("pose_scale", separate[0], 1.0),
        chosen_scale("appearance_scale", separate[1], 1.0),
    )


def default_sampler(unet: Any) -> str:
    """The sampler for what a network predicts."""
    return "euler" if unet.config.prediction == "flow_prediction" else "ddim"


def check_networks(
    autoencoder: Any,
    pose_encoder: Any,
    unet: Any,
    scheduler: Any,
    sampler: str,
    *,
    extra: Sequence[int] | None = None,
) -> None:
    """Refuse networks that do not fit together.

    Args:
        autoencoder: with ``latent_channels``.
        pose_encoder: a ``PoseEncoder``.
        unet: the denoiser.
        scheduler: of the training.
        sampler: of ``sampling.SAMPLERS``.
        extra: how many extra channels the U-Net may have; None: 0, the autoencoder's, or one more.

    Raises:
        WeightsError: names both numbers.
    """
    latents = as_autoencoder(autoencoder).latent_channels
    config = unet.config
    if config.latent_channels != latents:
        raise WeightsError(
            f"the U-Net works on {config.latent_channels} channels, the autoencoder has {latents}"
        )
    if config.pose_channels != pose_encoder.config.channels:
        raise WeightsError(
            f"the U-Net takes a pose of {config.pose_channels} channels, the pose encoder gives "
            f"{pose_encoder.config.channels}"
        )
    able = (0, latents, latents + 1) if extra is None else tuple(extra)
    if config.extra_channels not in able or config.kept_channels:
        raise WeightsError(
            f"the U-Net's extra channels are {' or '.join(map(str, able))} and keep 0, not "
            f"{config.extra_channels} and {config.kept_channels}"
        )
    try:
        make_scheduler(sampler, scheduler, config.prediction, variance=config.learn_variance)
    except SettingsError as error:
        raise WeightsError(f"the scheduler does not fit: {error}") from error


def check_encoder(encoder: Any, unet: Any) -> None:
    """Refuse a U-Net without the encoder it attends to the photo through, or with a needless one.

    Raises:
        WeightsError: says what is missing, superfluous or of another size.
    """
    if (encoder is None) != (not unet.config.source_context):
        raise WeightsError(
            "a U-Net with source_context needs an encoder of the photo"
            if encoder is None
            else "an encoder of the photo is of use to U-Nets with source_context alone"
        )
    if encoder is None:
        return
    given = [encoder.config.features] * encoder.config.levels
    if given != list(unet.config.context_dims):
        raise WeightsError(
            f"the encoder gives levels of {given} channels, the U-Net attends to "
            f"{list(unet.config.context_dims)}"
        )
