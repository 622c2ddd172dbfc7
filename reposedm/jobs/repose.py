"""The job "repose": a photo, the pose of a person on it and the wanted pose -> finished pictures.

``repose`` checks everything at once and returns a generator of steps; closing it stops the work
before its next step and gives back the accelerator and the memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

import reposedm
from reposedm.errors import ImageError, PoseError, RePoseError, WeightsError
from reposedm.imaging import Frame, cut_out, mask_box, on_plain, over, paste_back
from reposedm.imaging.texture import Warped
from reposedm.jobs.detect import is_guessed, mask_of, photo_key
from reposedm.jobs.memory import PeakMemory, with_less_memory
from reposedm.jobs.methods import capabilities, is_loaded, load_method, unavailable
from reposedm.jobs.puppets import empty_photo, prepare_person, warped_person
from reposedm.jobs.runtime import Device, exclusively, offload, place
from reposedm.jobs.settings import SEEDS, ReposeSettings
from reposedm.jobs.texturing import with_texture
from reposedm.pipelines.base import Capabilities, Correspondence, Method, Output, Step
from reposedm.pose import Pose, hide_outside, preset, retarget, to_editor

if TYPE_CHECKING:
    import torch

    from reposedm.jobs.swap_settings import SwapSettings

Image = NDArray[np.uint8]

PREPARING: Final = "preparing"
COMPOSING: Final = "composing"
ALL_THE_SAME: Final = (
    "All pictures are the same: nothing in this pose had to be made up, so the photo's own pixels "
    "decide. Switch off the photo's own texture to see what the network draws."
)
PHOTO_KEY: Final = 16
"""Characters of ``photo_key`` that are stored with a result: whether a photo is the same."""
GUESSED: Final = (
    "No person's outline could be seen under the skeleton, so it was guessed from the joints: "
    "expect rough edges."
)
"""Stages of the job itself, before and after those of the method."""


@dataclass(frozen=True)
class ReposeResult:
    """What a repose job made.

    Attributes:
        images: uint8 each: (H, W, 3) RGB, or (H, W, 4) RGBA for a transparent background; the
            photo's size if pasted back, else the frame's of their own resolution.
        seeds: of each image.
        settings: everything that made them, for the PNG; JSON types only, and the same for the
            same job, so that the file's bytes are.
        notes: sentences for the user.
        seconds: what the job took, waiting for its turn not counted.
        peak_memory_mb: the most memory held: the accelerator's, or the process's.
        frame: the part of the photo that the method saw, at the resolution of pictures that are
            not pasted back: the method's, or the photo's if its texture was kept.
    """

    images: list[Image]
    seeds: list[int]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    seconds: float
    peak_memory_mb: float
    frame: Frame

    def settings_of(self, number: int) -> dict[str, Any]:
        """The settings that make image ``number`` alone: its own seed, one picture."""
        return {**self.settings, "seed": self.seeds[number], "count": 1}


def repose(
    image: Image,
    source_pose: Pose,
    target_pose: Pose,
    settings: ReposeSettings,
    *,
    source_mask: NDArray[np.float32] | None = None,
) -> Generator[Step, None, ReposeResult]:
    """Check a job, then return the generator that does it.

    Args:
        image: uint8 (H, W, 3) RGB, upright.
        source_pose: the person's pose on ``image``, in its pixels.
        target_pose: the wanted pose, in the same pixels.
        settings: what was chosen.
        source_mask: float32 (H, W) in [0, 1], the person's alpha; None: segmented here.

    Raises:
        RePoseError: at once, if the job cannot be done; or while it runs.
    """
    _check_picture(image, source_mask)
    for pose, name in ((source_pose, "the pose on the photo"), (target_pose, "the wanted pose")):
        pose.check_usable()
        if pose.size != (image.shape[1], image.shape[0]):
            raise PoseError(
                f"{name} is for a photo of {pose.size[0]} x {pose.size[1]} pixels, and this one "
                f"has {image.shape[1]} x {image.shape[0]}"
            )
    check_method(settings)
    return exclusively(_Job(image, source_pose, target_pose, settings, source_mask).work())


def check_method(settings: ReposeSettings) -> None:
    """Refuse a job that its method cannot do, before any work.

    Raises:
        SettingsError: no such method, or a control that means nothing to it.
        WeightsError: its weights are not on this computer.
    """
    why_not = unavailable(settings.method)
    if why_not:
        raise WeightsError(why_not)
    settings.check_understood(capabilities(settings.method))


def fit_pose(pose: Pose, body: Pose, settings: ReposeSettings) -> Pose:
    """A pose from a file, another photo or a preset, brought onto the photo of ``body``.

    With ``settings.retarget`` it gets the body's bone lengths and place (C-34). Without, it stays
    as it is on a photo of the same size, and is scaled as a whole and centred on any other. Joints
    that come to lie outside the photo are hidden.
    """
    if settings.retarget:
        return hide_outside(retarget(pose, body))
    if pose.size == body.size:
        return hide_outside(pose)
    old, new = np.array(pose.size, np.float64), np.array(body.size, np.float64)
    scale = float((new / old).min())
    return hide_outside(pose.transformed(scale, (new - old * scale) / 2, body.size))


def fit_preset(name: str, body: Pose, settings: ReposeSettings) -> Pose:
    """A preset, brought onto the photo of ``body`` like ``fit_pose``.

    A preset knows its unforeshortened bone lengths and its height above the floor, which
    ``fit_pose`` would have to guess.

    Raises:
        PoseError: no such preset, or the body is not usable.
    """
    return hide_outside(preset(name, body if settings.retarget else None, body.size))


@dataclass
class _Job:
    """One run: ``work`` prepares, makes the layers and composes the pictures."""

    image: Image
    source_pose: Pose
    target_pose: Pose
    settings: ReposeSettings
    given_mask: NDArray[np.float32] | None
    mask: NDArray[np.float32] = field(init=False)
    frame: Frame = field(init=False)
    memory: PeakMemory = field(init=False)
    correspondence: Correspondence | None = field(init=False, default=None)
    shown: Frame = field(init=False)

    def work(self) -> Generator[Step, None, ReposeResult]:
        """The whole job; runs while the accelerator is held."""
        start, self.memory = time.perf_counter(), PeakMemory()
        yield Step(1, 2, PREPARING)
        if not is_loaded(self.settings.method) and capabilities(self.settings.method).native_size:
            # Ten seconds of imports keep one core busy: the other one can do this.
            threading.Thread(target=self._prepare_beside, name="reposedm-prepare").start()
        method = load_method(self.settings.method)
        self.settings, notes = settle(self.settings, method.capabilities)
        device, placed = place(method)
        if self.given_mask is None:
            self.mask = mask_of(self.image, self.source_pose)
            if is_guessed(self.image, self.source_pose):
                notes = (*notes, GUESSED)
        else:
            self.mask = _as_mask(self.given_mask)
        self.frame = Frame.around(
            self.source_pose,
            self.target_pose,
            self.source_pose.size,
            mask_box=mask_box(self.mask),
            native_size=method.capabilities.native_size,
        )
        yield Step(2, 2, PREPARING)
        self.shown = self.frame
        layers, said = yield from self._layers(method, device)
        images = yield from self._composed(layers)
        if len(images) > 1 and all(np.array_equal(images[0], other) for other in images[1:]):
            notes = (*notes, ALL_THE_SAME)
        return ReposeResult(
            images=images,
            seeds=seeds_of(self.settings)[: len(images)],
            settings=self._stored(method.capabilities, device),
            notes=(*notes, *placed, *said),
            seconds=time.perf_counter() - start,
            peak_memory_mb=self.memory.megabytes,
            frame=self.shown,
        )

    def _prepare_beside(self) -> None:
        """The person taken apart and the photo without them, for when the networks are done."""
        # Whatever fails here fails again, with a message, where it is needed.
        with contextlib.suppress(RePoseError):
            mask = self.given_mask
            mask = mask_of(self.image, self.source_pose) if mask is None else _as_mask(mask)
            prepare_person(self.image, self.source_pose, mask)

    def _layers(
        self, method: Method, device: Device
    ) -> Generator[Step, None, tuple[list[Image], list[str]]]:
        """The person in the wanted pose, RGBA in the frame, once per seed; and notes."""
        frame, settings = self.frame, self.settings
        seen, seen_mask = frame.crop(self.image), frame.crop_mask(self.mask)
        source, target = frame.to_frame(self.source_pose), frame.to_frame(self.target_pose)
        seeds = seeds_of(settings)
        said: list[str] = []

        def make(numbers: Sequence[int]) -> Generator[Step, None, Sequence[Image]]:
            chosen = [seeds[number] for number in numbers]
            stream = method.stream(
                seen,
                source,
                target,
                source_mask=seen_mask,
                steps=settings.steps,
                guidance_scale=settings.guidance_scale,
                pose_guidance_scale=settings.pose_guidance_scale,
                # New ones for every attempt: a used generator makes another picture.
                generators=generators(chosen) if method.capabilities.stochastic else None,
            )
            output = yield from watched(stream, self.memory)
            said.extend(note for note in output.notes if note not in said)
            self.correspondence = output.correspondence
            return output.images

        layers, rungs = yield from with_less_memory(
            make, settings.count, device=device, offload=lambda: offload(method, device)
        )
        return layers, said + rungs

    def _composed(self, layers: Sequence[Image]) -> Generator[Step, None, list[Image]]:
        """The layers in front of the chosen background."""
        images: list[Image] = []
        for number, layer in enumerate(layers, start=1):
            yield Step(number, len(layers), COMPOSING)
            images.append(self._finished(layer))
            self.memory.sample()
        return images

    def _finished(self, layer: Image) -> Image:
        background, on_photo = self.settings.background, self.settings.paste_back
        layer, frame = self._textured(layer)
        self.shown = frame
        if background == "photo":
            empty = self._without_person()
            if on_photo:
                return paste_back(self.image, empty, frame, layer, self.mask)
            return over(frame.crop(empty), layer)
        alone = cut_out(frame, layer, on_photo=on_photo)
        return alone if background == "transparent" else on_plain(alone, self.settings.rgb)

    def _textured(self, layer: Image) -> tuple[Image, Frame]:
        """A layer with the photo's own texture where the method found it, and its frame."""
        if self.correspondence is None or not self.settings.texture:
            return layer, self.frame
        return with_texture(
            self.image, self.mask, self.source_pose, self.target_pose, self.frame, layer,
            found=self.correspondence, warped=self._warped_person,
        )  # fmt: skip

    @cached_property
    def _warped_person(self) -> Warped | None:
        """As the preview poses them, and how far that is certain; made once for all pictures."""
        return warped_person(self.image, self.source_pose, self.target_pose, self.mask)

    def _without_person(self) -> Image:
        """The photo without its person; not to be changed."""
        return empty_photo(self.image, self.mask)

    def _stored(self, able: Capabilities, device: Device) -> dict[str, Any]:
        """JSON of everything that decides the picture; no times, so equal jobs give equal files."""
        stored: dict[str, Any] = dataclasses.asdict(self.settings)
        if self.settings.steps is None and "steps" in able.controls:
            stored["steps"] = able.default_steps
        source, target = (pose.replace(extras={}) for pose in (self.source_pose, self.target_pose))
        return stored | {
            "made_with": f"RePoseDM {reposedm.__version__}",
            "device": device.name,
            "dtype": device.dtype,
            "size": list(self.source_pose.size),
            "photo": photo_key(self.image)[:PHOTO_KEY],
            "source_pose": to_editor([source]),
            "pose": to_editor([target]),
        }


def _as_mask(given: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.clip(given, 0, 1).astype(np.float32)


def settle(settings: ReposeSettings, able: Capabilities) -> tuple[ReposeSettings, tuple[str, ...]]:
    """The settings with a seed, and with one picture where all would be the same; and notes."""
    if able.stochastic:
        return settings.with_seed(), ()
    seed = settings.seed if settings.seed is not None else 0
    notes: tuple[str, ...] = ()
    if settings.count > 1:
        notes = (
            f"{able.label} makes the same picture every time: made 1 instead of {settings.count}.",
        )
    return settings.replace(seed=seed, count=1), notes


def seeds_of(settings: ReposeSettings | SwapSettings) -> list[int]:
    """The seed of each picture of settled settings: the first one's, counting up."""
    first = settings.seed or 0
    return [(first + number) % SEEDS for number in range(settings.count)]


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """One new CPU generator per picture, so that a picture depends on its seed alone (C-81)."""
    import torch

    return [torch.Generator("cpu").manual_seed(seed) for seed in seeds]


def watched(
    stream: Generator[Step, None, Output], memory: PeakMemory
) -> Generator[Step, None, Output]:
    """The stream, with a look at the memory at each step."""
    try:
        while True:
            try:
                step = next(stream)
            except StopIteration as stop:
                output: Output = stop.value
                return output
            memory.sample()
            yield step
    finally:
        stream.close()


def _check_picture(image: Image, mask: NDArray[np.float32] | None) -> None:
    shape: tuple[int, ...] = getattr(image, "shape", ())
    if getattr(image, "dtype", None) != np.uint8 or len(shape) != 3 or shape[2] != 3:
        raise ImageError("a photo must be uint8 of shape (height, width, 3)")
    if mask is not None and (np.shape(mask) != shape[:2] or not np.isfinite(mask).all()):
        raise ImageError(f"the person's mask must be numbers of shape {shape[:2]}")
