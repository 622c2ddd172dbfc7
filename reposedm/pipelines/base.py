"""What every method looks like from outside: one call, one stream, and data on the class.

A *method* (the preview engine, RePoseDM, later PCDMs, FPDM and RePoseSD) is a class that has
``capabilities`` and ``stream``. There is no class tree: ``Method`` is a protocol, and ``drain`` is
the whole of ``__call__``. The job layer crops, resizes, composites and saves; a method only turns
(picture of a person, pose on it, wanted pose) into pictures with an alpha.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.pose import Pose

if TYPE_CHECKING:
    import torch

Image = NDArray[np.uint8]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Capabilities:
    """What a method can do; the app shows a control only for what is in here.

    Attributes:
        name: how it is called in code, on the command line and in file names.
        label: how it is called on screen; says what it is ("Preview (no AI)").
        description: one sentence for a person who chooses.
        native_size: (width, height) the method works at, or None: any, the photo's own.
        stages: what ``Step.stage`` can be, in order.
        controls: the keyword arguments of ``stream`` that change something; and "texture", where
            ``Output.correspondence`` lets the job keep the photo's own texture.
        stochastic: whether the seed changes the picture.
        accepts_prompt: whether ``prompt=`` is understood.
        default_steps: what ``steps=None`` means.
        default_guidance: what ``guidance_scale=None`` means.
        default_pose_guidance: what ``pose_guidance_scale=None`` means.
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
    default_guidance: float = 1.0
    default_pose_guidance: float = 1.0


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
class Correspondence:
    """Where each cell of the pictures looks in the photo, and whether the photo shows it at all.

    Attributes:
        mapping: float32 (2, h, w) offsets (x, y) in cells of its own grid, as in
            ``models/mapping.py``: the cell with centre ``p`` shows what the photo has at
            ``p + mapping(p)``, centres at +0.5.
        visible: float32 (h, w) in [0, 1], the probability that the photo shows it.
    """

    mapping: NDArray[np.float32]
    visible: NDArray[np.float32]


@dataclass(frozen=True)
class Output:
    """The pictures of one call.

    Attributes:
        images: uint8 (H, W, 4) RGBA each, straight alpha, the person alone; the method's frame.
        notes: sentences for the user, such as what memory forced the method to do.
        correspondence: between the method's frame of the photo and all ``images``; None: the
            method knows of none, or its pictures are the photo's own pixels already.
    """

    images: Sequence[Image]
    notes: Sequence[str] = field(default_factory=tuple)
    correspondence: Correspondence | None = None


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


class SwapMethod(Protocol):
    """A way to put a person into another garment; see ``Method`` for what is the same."""

    capabilities: Capabilities

    def stream(
        self,
        image: Image,
        pose: Pose,
        garment_image: Image,
        garment_pose: Pose,
        *,
        garment_mask: NDArray[np.float32],
        region_mask: NDArray[np.float32],
        region: str,
        source_mask: NDArray[np.float32] | None = None,
        garment_person: NDArray[np.float32] | None = None,
        generators: Sequence[torch.Generator] | None = None,
        **controls: Any,
    ) -> Generator[Step, None, Output]:
        """Yield a ``Step`` after each step of work; return the ``Output``.

        Args:
            image: uint8 (H, W, 3) RGB, the person; ``native_size`` if the method has one.
            pose: the person's, in its pixels.
            garment_image: uint8 (h, w, 3) RGB; ``native_size`` too.
            garment_pose: of who wears the garment, or the garment's own landmarks.
            garment_mask: float32 (h, w) in [0, 1], the garment there.
            region_mask: float32 (H, W) in [0, 1], what may change.
            region: one of ``garments.labels.REGIONS``.
            source_mask: float32 (H, W), the person's alpha.
            garment_person: float32 (h, w), the wearer's alpha; None: nobody is in the garment.
            generators: CPU generators, one per picture wanted.
            controls: those that ``capabilities.controls`` names.

        Returns:
            RGBA of the person's picture: inside the mask the new person's alpha, over whatever is
            behind them; outside only the photo's own pixels.
        """
        ...


def drain(stream: Generator[Step, None, Result]) -> Result:
    """Run a stream to its end: the ``__call__`` of every method, and of a job."""
    while True:
        try:
            next(stream)
        except StopIteration as stop:
            result: Result = stop.value
            return result


def refuse_extras(capabilities: Capabilities, extras: dict[str, Any]) -> None:
    """Refuse keyword arguments that mean nothing to a method.

    Raises:
        SettingsError: names the argument and the method.
    """
    for name, value in extras.items():
        if value is not None:
            raise SettingsError(f"{capabilities.label} does not understand {name!r}: leave it out")
