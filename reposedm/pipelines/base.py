"""What every method looks like from outside: one call, one stream, and data on the class.

A *method* (the preview engine, RePoseDM, later PCDMs, FPDM and RePoseSD) is a class that has
``capabilities`` and ``stream``. There is no class tree: ``Method`` is a protocol, and ``drain`` is
the whole of ``__call__``. The job layer crops, resizes, composites and saves; a method only turns
(picture of a person, pose on it, wanted pose) into pictures with an alpha.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.pose import Pose

if TYPE_CHECKING:
    import torch

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Capabilities:
    """What a method can do; the app shows a control only for what is in here.

    Attributes:
        name: how it is called in code, on the command line and in file names.
        label: how it is called on screen; says what it is ("Preview (no AI)").
        description: one sentence for a person who chooses.
        native_size: (width, height) the method works at, or None: any, the photo's own.
        stages: what ``Step.stage`` can be, in order.
        controls: the keyword arguments of ``stream`` that change something.
        stochastic: whether the seed changes the picture.
        accepts_prompt: whether ``prompt=`` is understood.
        default_steps: what ``steps=None`` means.
    """

    name: str
    label: str
    description: str
    native_size: tuple[int, int] | None
    stages: tuple[str, ...]
    controls: frozenset[str] = frozenset()
    stochastic: bool = True
    accepts_prompt: bool = False
    default_steps: int = 1


@dataclass(frozen=True)
class Step:
    """One step of work done: ``index`` of ``total`` (1-based), with a picture where there is one.

    ``previews`` holds one RGBA image per picture being made, or is empty.
    """

    index: int
    total: int
    stage: str
    previews: Sequence[Image] = ()


@dataclass(frozen=True)
class Output:
    """The pictures of one call.

    Attributes:
        images: uint8 (H, W, 4) RGBA each, straight alpha, the person alone; the method's frame.
        notes: sentences for the user, such as what memory forced the method to do.
    """

    images: Sequence[Image]
    notes: Sequence[str] = field(default_factory=tuple)


class Method(Protocol):
    """A way to repose a person."""

    capabilities: Capabilities

    def stream(
        self,
        image: Image,
        source_pose: Pose,
        target_pose: Pose,
        *,
        source_mask: NDArray[np.float32] | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        pose_guidance_scale: float | None = None,
        generators: Sequence[torch.Generator] | None = None,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        """Yield a ``Step`` after each step of work; return the ``Output``.

        Closing the generator stops the work before its next step.

        Args:
            image: uint8 (H, W, 3) RGB; ``native_size`` if the method has one.
            source_pose: the person's pose on ``image``, in its pixels.
            target_pose: the wanted pose, in the same pixels; may reach outside.
            source_mask: float32 (H, W) in [0, 1], the person's alpha; None: estimate or do without.
            steps: denoising steps; None: the method's default.
            guidance_scale: w_c of Eq. 16; None: the method's default.
            pose_guidance_scale: factor of the gradient term only; None: the method's default.
            generators: CPU generators, one per picture wanted; None: one picture, seed 0.
            extras: what only some methods understand.

        Raises:
            SettingsError: an argument that means nothing to this method.
        """
        ...


def drain(stream: Generator[Step, None, Output]) -> Output:
    """Run a stream to its end: the ``__call__`` of every method."""
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            output: Output = stop.value
            return output


def refuse_extras(capabilities: Capabilities, extras: dict[str, Any]) -> None:
    """Refuse keyword arguments that mean nothing to a method.

    Raises:
        SettingsError: names the argument and the method.
    """
    for name, value in extras.items():
        if value is not None:
            raise SettingsError(f"{capabilities.label} does not understand {name!r}: leave it out")
