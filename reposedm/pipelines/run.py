"""What every diffusion pipeline does around its own networks: settings, and one run as a stream."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, Final

import torch
from torch import Tensor

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.autoencoder import FACTOR
from reposedm.pipelines.abilities import ALIGN, DECODE, DENOISE
from reposedm.pipelines.base import Correspondence, Output, Step
from reposedm.pipelines.conditions import Conditions
from reposedm.pipelines.output import OPAQUE_NOTE, pictures
from reposedm.pipelines.sampling import SAMPLERS, Denoiser, Steering, denoise, make_scheduler

MAX_STEPS: Final = 1000
MAX_SCALE: Final = 100.0
MAX_MOVES: Final = 50


@dataclass(frozen=True)
class Plan:
    """One run, checked.

    Attributes:
        steps: denoising steps.
        generators: one a picture.
        steering: guidance.
        sampler: one of ``SAMPLERS``.
        preview_every: steps between previews; 0: none.
        device: where the networks work.
    """

    steps: int
    generators: Sequence[torch.Generator]
    steering: Steering
    sampler: str
    preview_every: int
    device: torch.device


def run(
    autoencoder: Any,
    unet: Any,
    scheduler: Any,
    plan: Plan,
    conditions: Callable[[], Conditions],
) -> Generator[Step, None, Output]:
    """The stream of a diffusion pipeline: align, denoise, decode.

    Args:
        autoencoder: with ``decode`` and ``image_channels``.
        unet: the denoiser.
        scheduler: the one of the weights; every run makes its own from it.
        plan: what to do.
        conditions: makes the conditions; called once.
    """
    total = plan.steps + 2
    own = make_scheduler(
        plan.sampler, scheduler, unet.config.prediction, variance=unet.config.learn_variance
    )
    with _in_its_format(unet, plan.device), torch.no_grad():
        shown = conditions()
    yield Step(1, total, ALIGN)
    alpha = None if autoencoder.image_channels == 4 else shown.alpha
    notes = (OPAQUE_NOTE,) if autoencoder.image_channels == 3 and alpha is None else ()
    denoiser = Denoiser(unet, shown, plan.steering)
    moments = denoise(denoiser, own, steps=plan.steps, generators=plan.generators)
    latents = None
    for index in range(1, plan.steps + 1):
        with _in_its_format(unet, plan.device):
            moment = next(moments)
            latents, estimate = moment
            wanted = plan.preview_every and index % plan.preview_every == 0 and index < plan.steps
            previews = pictures(autoencoder, estimate, alpha) if wanted else ()
        yield Step(index + 1, total, DENOISE, previews)
    with _in_its_format(unet, plan.device):
        images = pictures(autoencoder, _finite(latents), alpha)
    yield Step(total, total, DECODE, images)
    return Output(images, notes, _correspondence(shown))


def check_settings(
    native_size: Any, sampler: Any, steps: Any, scales: dict[str, Any]
) -> tuple[int, int]:
    """Refuse a pipeline's stored settings that no run could use; returns the size as a tuple.

    Raises:
        WeightsError: names the setting.
    """
    sides = tuple(native_size) if isinstance(native_size, (list, tuple)) else ()
    if len(sides) != 2 or not all(_is_int(side) and 64 <= side <= 2048 for side in sides):
        raise WeightsError(f"native_size is (width, height) in 64..2048, not {native_size!r:.60}")
    if any(side % FACTOR for side in sides):
        raise WeightsError(f"native_size must be multiples of {FACTOR}, not {native_size!r:.60}")
    if sampler not in SAMPLERS:
        raise WeightsError(f"sampler is one of {', '.join(SAMPLERS)}, not {sampler!r:.60}")
    if not (_is_int(steps) and 1 <= steps <= MAX_STEPS):
        raise WeightsError(f"steps is a whole number in 1..{MAX_STEPS}, not {steps!r:.60}")
    for name, value in scales.items():
        if not _is_scale(value):
            raise WeightsError(f"{name} is a number in 0..{MAX_SCALE:g}, not {value!r:.60}")
    return int(sides[0]), int(sides[1])


def check_span(span: Any) -> tuple[float, float]:
    """A part of the steps, (from, to) in [0, 1].

    Raises:
        WeightsError: anything else.
    """
    ends = tuple(span) if isinstance(span, (list, tuple)) else ()
    good = len(ends) == 2 and all(_is_scale(end) for end in ends)
    if not good or not 0 <= ends[0] <= ends[1] <= 1:
        raise WeightsError(f"a range of steps is (from, to) within 0..1, not {span!r:.60}")
    return float(ends[0]), float(ends[1])


def check_moves(moves: Any) -> None:
    """A number of moves that a guided step is made in.

    Raises:
        WeightsError: not a whole number in 1..50.
    """
    if not (_is_int(moves) and 1 <= moves <= MAX_MOVES):
        raise WeightsError(
            f"pose_guidance_moves is a whole number in 1..{MAX_MOVES}, not {moves!r:.60}"
        )


def chosen_steps(steps: Any, default: int) -> int:
    """The number of steps of a call.

    Raises:
        SettingsError: not a whole number in 1..1000.
    """
    if steps is None:
        return default
    if not (_is_int(steps) and 1 <= steps <= MAX_STEPS):
        raise SettingsError(
            f"the number of steps is a whole number in 1..{MAX_STEPS}: not {steps!r:.40}"
        )
    return int(steps)


def chosen_scale(name: str, value: Any, default: float) -> float:
    """A guidance scale of a call.

    Raises:
        SettingsError: not a number in 0..100.
    """
    if value is None:
        return default
    if not _is_scale(value):
        raise SettingsError(f"{name} is a number in 0..{MAX_SCALE:g}: not {value!r:.40}")
    return float(value)


def chosen_generators(generators: Any) -> list[torch.Generator]:
    """One CPU generator a picture; without any, one picture with seed 0.

    Raises:
        SettingsError: none, or not generators of the CPU, or one twice.
    """
    if generators is None:
        return [torch.Generator("cpu").manual_seed(0)]
    found = list(generators) if isinstance(generators, (list, tuple)) else []
    if not found or not all(isinstance(one, torch.Generator) for one in found):
        raise SettingsError("generators is a list of torch.Generator, one for each picture")
    if any(one.device.type != "cpu" for one in found):
        raise SettingsError("generators must be of the CPU, so that every device draws the same")
    if len({id(one) for one in found}) < len(found):
        raise SettingsError("every picture needs a generator of its own")
    return found


def chosen_preview(every: Any) -> int:
    """Steps between previews, 0 for none.

    Raises:
        SettingsError: not a whole number in 0..1000.
    """
    if not (_is_int(every) and 0 <= every <= MAX_STEPS):
        raise SettingsError(f"preview_every is a whole number in 0..{MAX_STEPS}: {every!r:.40}")
    return int(every)


def _correspondence(shown: Conditions) -> Correspondence | None:
    """What the alignment found, for whoever wants the photo's own pixels; None: nothing usable."""
    if shown.mapping is None or shown.visible is None:
        return None
    mapping, visible = shown.mapping[0].float().cpu(), shown.visible[0, 0].float().cpu()
    return Correspondence(mapping.numpy(), visible.numpy())


def _finite(latents: Tensor | None) -> Tensor:
    if latents is None or not bool(latents.isfinite().all()):
        raise SettingsError(
            "the run went to infinity: lower the guidance, or choose another number of steps"
        )
    return latents


def _in_its_format(network: Any, device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """Where a network's weights are not float32, numbers between layers follow them.

    Entered for each step and left before the stream yields: a mode that stayed on would be that of
    whoever consumes the stream.
    """
    dtype = next(network.parameters()).dtype
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype)


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_scale(value: Any) -> bool:
    real = isinstance(value, Real) and not isinstance(value, bool)
    return real and math.isfinite(value) and 0 <= value <= MAX_SCALE
