"""The one sampling loop, shared by every diffusion pipeline here.

    y_T ~ N(0, 1), each picture from its own generator
    for t in the scheduler's timesteps:
        predictions of the network, unconditional and conditional, in one batch
        Tweedie's estimate of y_0, and the interaction field's gradient there       Eq. 10-15
        guidance                                                                   Eq. 16
        the scheduler's step                                                       Eq. 2
        what is known of the picture, put back at the next step's level            inpainting

Latents stay in float32 whatever the networks are in.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import diffusers
import torch
from torch import Tensor

from reposedm.diffusion.guidance import guided, guided_separately
from reposedm.diffusion.inpainting import jumped_back, next_levels, with_known
from reposedm.diffusion.interaction import (
    LARGEST_MOVE,
    InteractionField,
    bounded_part,
    bounded_shift,
    interaction_latent,
    noise_shift,
    smoothed,
)
from reposedm.diffusion.losses import reverse_step
from reposedm.diffusion.prediction import (
    Level,
    clean_of,
    is_flow,
    noise_of,
    run_levels,
    shift_of,
    split_variance,
)
from reposedm.errors import SettingsError
from reposedm.pipelines.conditions import Conditions

SAMPLERS: Final = ("ddpm", "ddim", "dpm++", "unipc", "euler")
"""Names of diffusers' DDPM, DDIM, DPM-Solver++ (2M), UniPC, and Euler along a flow."""

_CLASSES: Final = {
    "ddpm": "DDPMScheduler",
    "ddim": "DDIMScheduler",
    "dpm++": "DPMSolverMultistepScheduler",
    "unipc": "UniPCMultistepScheduler",
    "euler": "FlowMatchEulerDiscreteScheduler",
}


@dataclass(frozen=True)
class Steering:
    """How a run is guided.

    Attributes:
        scale: w_c of Eq. 16.
        pose_scale: with ``appearance_scale``: two scales in the place of ``scale``.
        appearance_scale: see there.
        field: the interaction field, or None: no gradient term.
        target: its target heat maps, (1, 17, H/2, W/2).
        strength: lambda * pose_guidance_scale; 0: no gradient term, and none is computed.
        span: the part of the steps that has the gradient term, (from, to) in [0, 1].
        largest_move: how far a step moves the estimate of y_0 at most, as a part of its norm.
        moves: in how many a step makes it, each with the gradient of where the last one led. Few
            steps cannot mend what one long move overshoots.
    """

    scale: float = 2.0
    pose_scale: float | None = None
    appearance_scale: float | None = None
    field: InteractionField | None = None
    target: Tensor | None = None
    strength: float = 0.0
    span: tuple[float, float] = (0.0, 1.0)
    largest_move: float = LARGEST_MOVE
    moves: int = 1

    @property
    def conditions(self) -> tuple[str, ...]:
        """Which predictions the formulas need: those with "none", the "pose" or "both"."""
        if self.pose_scale is not None:
            return ("none", "pose", "both")
        if self.scale == 0:
            return ("none",)
        return ("both",) if self.scale == 1 else ("none", "both")

    def steers(self, index: int, total: int) -> bool:
        """Whether step ``index`` (0-based) of ``total`` has the gradient term."""
        first, last = self.span
        inside = first <= (index + 0.5) / total <= last
        return inside and self.strength != 0 and self.field is not None


class Moment(NamedTuple):
    """After a step: y_{t-1} and the guided estimate of y_0, (B, c, h, w) each."""

    latents: Tensor
    estimate: Tensor


def make_scheduler(sampler: str, base: Any, prediction: str, *, variance: bool) -> Any:
    """A new scheduler for one run, from the configuration of the one the weights were trained with.

    Schedulers hold state, so no two runs share one. Latents are not clipped to [-1, 1], and the
    first step is at the last timestep, where there is nothing but noise.

    Args:
        sampler: one of ``SAMPLERS``.
        base: the training scheduler; not changed.
        prediction: what the network predicts.
        variance: the network has a learned variance; only DDPM can use it.

    Raises:
        SettingsError: no such sampler, or one that does not fit the prediction.
    """
    if sampler not in _CLASSES:
        raise SettingsError(
            f"there is no sampler {sampler!r:.40}: choose one of {', '.join(SAMPLERS)}"
        )
    cls = getattr(diffusers, _CLASSES[sampler])
    flow = is_flow(base)
    if flow != (prediction == "flow_prediction"):
        raise SettingsError(f"weights for {prediction} do not fit a {type(base).__name__}")
    if flow and sampler in ("ddpm", "ddim"):
        raise SettingsError(f"{sampler} cannot follow a flow: choose euler, dpm++ or unipc")
    if not flow and sampler == "euler":
        raise SettingsError("euler follows flows, and these weights are not one: choose ddim")
    wanted = {
        "prediction_type": prediction,
        "clip_sample": False,
        "thresholding": False,
        "timestep_spacing": "trailing",
        "variance_type": "learned_range" if variance and sampler == "ddpm" else None,
        "use_flow_sigmas": flow,
    }
    if wanted["variance_type"] is None and sampler == "ddpm":
        wanted["variance_type"] = "fixed_small"
    known = inspect.signature(cls.__init__).parameters
    config = {name: value for name, value in dict(base.config).items() if name in known}
    return cls.from_config(config | {k: v for k, v in wanted.items() if k in known})


def first_noise(shape: tuple[int, int, int], generators: Sequence[torch.Generator]) -> Tensor:
    """y_T: one (c, h, w) of standard normal numbers from each generator, on the CPU in float32."""
    return torch.stack([torch.randn(shape, generator=one) for one in generators])


@dataclass(frozen=True)
class Denoiser:
    """The network with everything a run tells it; shapes as in ``UNet``.

    Attributes:
        unet: the denoiser, with its configuration.
        conditions: batch 1, on the network's device.
        steering: guidance.
    """

    unet: Any
    conditions: Conditions
    steering: Steering

    @torch.no_grad()
    def __call__(
        self, latents: Tensor, t: Tensor, level: Level, *, steer: bool
    ) -> tuple[Tensor, Tensor]:
        """Guided output (B, c | 2c, h, w) of a step, and the estimate of y_0 it stands for.

        Args:
            latents: y_t, float32 (B, c, h, w).
            t: () timestep.
            level: of y_t.
            steer: with the gradient term.
        """
        said, variance = self._predictions(latents, t)
        kind = self.unet.config.prediction
        shift = self._shift(latents, said["both"], level) if steer and "both" in said else None
        prediction = self._combined(said, shift)
        estimate = clean_of(prediction, latents, level, kind)
        if variance is None:
            return prediction, estimate
        return torch.cat([prediction, variance], 1), estimate

    def _shift(self, latents: Tensor, conditional: Tensor, level: Level) -> Tensor:
        """The gradient term of Eq. 15 in the network's kind of prediction, (B, c, h, w)."""
        by, kind = self.steering, self.unet.config.prediction
        if by.field is None or by.target is None:
            raise ValueError("steering needs a field and its target")
        target = by.target.expand(len(latents), -1, -1, -1)
        noise = noise_of(conditional, latents, level, kind)
        estimate = interaction_latent(latents, conditional, level, kind)
        total, found = torch.zeros_like(conditional), estimate
        for _ in range(by.moves):
            gradient = smoothed(by.field.gradient(found, target))
            shift = noise_shift(gradient, level, by.strength / by.moves)
            change = shift_of(bounded_shift(shift, noise), level, kind)
            moved = clean_of(conditional + change, latents, level, kind) - estimate
            part = bounded_part(moved, estimate, by.largest_move / by.moves)
            total, found = total + change * part, found + moved * part
        return total

    def _combined(self, said: dict[str, Tensor], shift: Tensor | None) -> Tensor:
        """Eq. 16, or its form with two scales; 0 and 1 without the terms that cancel."""
        by = self.steering
        if by.pose_scale is not None and by.appearance_scale is not None:
            return guided_separately(
                said["none"],
                said["pose"],
                said["both"],
                pose_scale=by.pose_scale,
                appearance_scale=by.appearance_scale,
                shift=shift,
            )
        if by.scale == 0:
            return said["none"]
        if by.scale == 1:
            return said["both"] if shift is None else said["both"] + shift
        return guided(said["none"], said["both"], by.scale, shift)

    def _predictions(self, latents: Tensor, t: Tensor) -> tuple[dict[str, Tensor], Tensor | None]:
        """What the network says with "none", the "pose" or "both" conditions, in one batch.

        Only what the guidance uses is computed. float32 (B, c, h, w) each; and the variance's half
        of the last one.
        """
        names = self.steering.conditions
        count, device = len(latents), latents.device
        batch, kind = count * len(names), next(self.unet.parameters()).dtype

        def dropped(*where: str) -> Tensor:
            marks = torch.tensor([name in where for name in names], device=device)
            return marks.repeat_interleave(count)

        def spread(value: Tensor) -> Tensor:
            return value.to(kind).expand(batch, -1, -1, -1)

        given = self.conditions
        output: Tensor = self.unet(
            latents.to(kind).repeat(len(names), 1, 1, 1),
            t.to(device).expand(batch),
            spread(given.pose),
            [spread(level) for level in given.context],
            extra=None if given.extra is None else spread(given.extra),
            source=None if given.source is None else [spread(level) for level in given.source],
            drop_pose=dropped("none"),
            drop_photo=dropped("none", "pose"),
        )
        prediction, variance = split_variance(output.float(), latents.shape[1])
        parts = dict(zip(names, prediction.chunk(len(names)), strict=True))
        return parts, None if variance is None else variance[-count:]


def denoise(
    denoiser: Denoiser, scheduler: Any, *, steps: int, generators: Sequence[torch.Generator]
) -> Generator[Moment, None, None]:
    """The loop: one ``Moment`` a step; the last one holds the clean latents.

    Args:
        denoiser: the network with its conditions.
        scheduler: from ``make_scheduler``; used up.
        steps: how many.
        generators: CPU generators, one a picture; a picture depends on its own alone.

    Raises:
        SettingsError: more steps than the schedule has.
    """
    most = int(scheduler.config.num_train_timesteps)
    if steps > most:
        raise SettingsError(f"these weights know {most} steps: not {steps}")
    # Without a device: an index into tables on the CPU costs no synchronisation.
    if isinstance(scheduler, diffusers.FlowMatchEulerDiscreteScheduler):
        # Its own choice spends the last step next to the picture, where nothing is left to do.
        scheduler.set_timesteps(sigmas=[1 - index / steps for index in range(steps)])
    else:
        scheduler.set_timesteps(steps)
    levels = run_levels(scheduler)
    pose, known = denoiser.conditions.pose, denoiser.conditions.known
    shape = (int(denoiser.unet.config.latent_channels), int(pose.shape[2]), int(pose.shape[3]))
    noise = first_noise(shape, generators).to(pose.device)  # B,c,h,w
    latents, again = noise, known.resample if known is not None else 0
    for index, (t, after) in enumerate(zip(scheduler.timesteps, next_levels(levels), strict=True)):
        level, steer = levels[index].to(pose.device), denoiser.steering.steers(index, len(levels))
        for left in range(again, -1, -1):
            output, estimate = denoiser(latents, t, level, steer=steer)
            if index == len(levels) - 1:
                output = _without_noise(output, latents.shape[1])
            # A step that is taken again must find the scheduler as it was.
            own = copy.deepcopy(scheduler) if left else scheduler
            with torch.no_grad():
                latents = reverse_step(output, t, latents, own, list(generators))
                if known is not None:
                    latents = with_known(latents, known, after.to(pose.device), noise)
                if known is not None and left:
                    noise = first_noise(shape, generators).to(pose.device)
                    latents = jumped_back(latents, after.to(pose.device), level, noise)
                    latents = with_known(latents, known, level, noise)
        yield Moment(latents, estimate)


def _without_noise(output: Tensor, channels: int) -> Tensor:
    """The output with the least variance there is: the last step goes to the mean.

    diffusers' DDPM draws noise in every step but that of timestep 0, which a short run never meets.
    """
    prediction, variance = split_variance(output, channels)
    return output if variance is None else torch.cat([prediction, -torch.ones_like(variance)], 1)
