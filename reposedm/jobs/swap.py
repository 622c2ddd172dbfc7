"""The job "swap": a person and a garment, each on a photo -> the person in the garment.

``swap`` checks everything at once and returns a generator of steps; closing it stops the work
before its next step and gives back the accelerator and the memory. Outside the mask that comes
back with the result, every picture has the photo's own pixels.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, Final

import cv2
import numpy as np
from numpy.typing import NDArray

import reposedm
from reposedm.errors import ImageError, WeightsError
from reposedm.garments.ground import check_not_blank
from reposedm.garments.masks import checked_mask
from reposedm.imaging import Frame, mask_box
from reposedm.imaging.composite import over
from reposedm.imaging.fill import fill_background
from reposedm.imaging.texture import Warped, textured
from reposedm.jobs.garment import Garment, Plan, check_fits, find_garment, plan_swap
from reposedm.jobs.memory import PeakMemory, with_less_memory
from reposedm.jobs.methods import capabilities, load_method, unavailable
from reposedm.jobs.repose import generators, seeds_of, watched
from reposedm.jobs.runtime import Device, exclusively, offload, place
from reposedm.jobs.swap_settings import SwapSettings
from reposedm.pipelines.base import Capabilities, Correspondence, Step, SwapMethod
from reposedm.pipelines.paste import bare_limbs, in_own_skin
from reposedm.pose import Pose, to_editor

Image = NDArray[np.uint8]
Floats = NDArray[np.float32]
Labels = NDArray[np.uint8]

LOOKING: Final = "looking at the garment"
COMPOSING: Final = "composing"
FEATHER: Final = 0.003
"""How far inside the mask a generated picture fades into the photo, in parts of its diagonal."""

__all__ = ["SwapResult", "SwapSettings", "check_swap_method", "swap"]


@dataclass(frozen=True)
class SwapResult:
    """What a swap made.

    Attributes:
        images: uint8 (H, W, 3) RGB each, of the person's photo's size.
        mask: float32 (H, W) in [0, 1]; where it is 0, every image is the photo's own pixels.
        warp: uint8 (H, W, 4) RGBA, the garment's pixels where it lies on the person.
        seeds: of each image.
        settings: everything that made them, for the PNG; JSON types only.
        notes: sentences for the user.
        seconds: what the job took, waiting for its turn not counted.
        peak_memory_mb: the most memory held: the accelerator's, or the process's.
    """

    images: list[Image]
    mask: Floats
    warp: Image
    seeds: list[int]
    settings: dict[str, Any]
    notes: tuple[str, ...]
    seconds: float
    peak_memory_mb: float

    def settings_of(self, number: int) -> dict[str, Any]:
        """The settings that make image ``number`` alone: its own seed, one picture."""
        return {**self.settings, "seed": self.seeds[number], "count": 1}

    def save_mask(self, target: Path | BinaryIO) -> None:
        """Write the mask as a grey PNG: black is exactly what kept the photo's pixels."""
        from PIL import Image as Picture

        Picture.fromarray(np.ceil(self.mask * 255).astype(np.uint8)).save(target, "PNG")


def swap(  # noqa: PLR0917  the contract's order
    person_image: Image,
    person_pose: Pose,
    garment_image: Image,
    garment_pose: Pose | None,
    settings: SwapSettings,
    mask: Floats | None = None,
    *,
    person_labels: Labels | None = None,
    garment_labels: Labels | None = None,
) -> Generator[Step, None, SwapResult]:
    """Check a job, then return the generator that does it.

    Args:
        person_image: uint8 (H, W, 3) RGB, upright.
        person_pose: the person's, in its pixels.
        garment_image: uint8 (h, w, 3) RGB, upright.
        garment_pose: of who wears the garment, or of the garment's landmarks, in the pixels of
            ``garment_image``; None: found here.
        settings: what was chosen.
        mask: float32 (H, W) in [0, 1], what may change, painted by the user; None: automatic.
        person_labels: uint8 (H, W) of ``garments.labels``; None: parsed here.
        garment_labels: uint8 (h, w), of a worn garment; None: parsed here.

    Raises:
        RePoseError: at once, if the job cannot be done; or while it runs.
    """
    check_fits(person_image, person_pose, "the pose on the photo")
    if garment_pose is not None:
        check_fits(garment_image, garment_pose, "the pose on the garment photo")
    for labels, image in ((person_labels, person_image), (garment_labels, garment_image)):
        if labels is not None and labels.shape != image.shape[:2]:
            raise ImageError(f"labels of {labels.shape} are not of a photo {image.shape[:2]}")
    check_not_blank(garment_image)
    if mask is not None:
        mask = checked_mask(mask, (person_image.shape[0], person_image.shape[1]))
    check_swap_method(settings)
    job = _Job(
        person_image, person_pose, garment_image, garment_pose, settings, mask,
        (person_labels, garment_labels),
    )  # fmt: skip
    return exclusively(job.work())


def check_swap_method(settings: SwapSettings) -> None:
    """Refuse a job that its method cannot do, before any work.

    Raises:
        SettingsError: no such method, or a control that means nothing to it.
        WeightsError: its weights are not on this computer.
    """
    why_not = unavailable(settings.method, "swap")
    if why_not:
        raise WeightsError(f"{why_not}, or choose the method warp")
    settings.check_understood(capabilities(settings.method, "swap"))


@dataclass
class _Job:
    """One run: ``work`` finds the garment, makes the layers and composes the pictures."""

    image: Image
    pose: Pose
    garment_image: Image
    garment_pose: Pose | None
    settings: SwapSettings
    painted: Floats | None
    labels: tuple[Labels | None, Labels | None]
    memory: PeakMemory = field(init=False)
    garment: Garment = field(init=False)
    plan: Plan = field(init=False)
    mask: Floats = field(init=False)

    def work(self) -> Generator[Step, None, SwapResult]:
        """The whole job; runs while the accelerator is held."""
        start, self.memory = time.perf_counter(), PeakMemory()
        yield Step(1, 3, LOOKING)
        method = load_method(self.settings.method, "swap")
        self.settings, notes = _settled(self.settings, method.capabilities)
        device, placed = place(method)
        region = self.settings.region
        self.garment = find_garment(
            self.garment_image, region, self.settings.garment, self.garment_pose, self.labels[1]
        )
        yield Step(2, 3, LOOKING)
        self.plan = plan_swap(self.image, self.pose, self.garment, region, self.labels[0])
        self.mask = self._chosen_mask()
        yield Step(3, 3, LOOKING)
        layers, said = yield from self._layers(method, device)
        images: list[Image] = []
        for number, layer in enumerate(layers, start=1):
            yield Step(number, len(layers), COMPOSING)
            images.append(self._composed(layer))
            self.memory.sample()
        return SwapResult(
            images=images,
            mask=self.mask,
            warp=self.plan.warped.picture,
            seeds=seeds_of(self.settings)[: len(images)],
            settings=self._stored(method.capabilities, device),
            notes=tuple(dict.fromkeys((*notes, *placed, *self.plan.notes, *said))),
            seconds=time.perf_counter() - start,
            peak_memory_mb=self.memory.megabytes,
        )

    @cached_property
    def behind(self) -> Image:
        """The photo without its person."""
        return fill_background(self.image, self.plan.person)

    def _chosen_mask(self) -> Floats:
        if self.painted is not None:
            return self.painted
        if self.plan.mask is None:
            raise ImageError(self.plan.problem)
        return self.plan.mask

    def _layers(
        self, method: SwapMethod, device: Device
    ) -> Generator[Step, None, tuple[list[_Layer], list[str]]]:
        """What goes under the mask, once per seed; and notes."""
        able, settings, garment = method.capabilities, self.settings, self.garment
        here, there = self._frames(able)
        hints = {"labels": self.plan.labels, "warped": self.plan.warped}
        chosen = {name: getattr(settings, name) for name in ("steps", "guidance_scale", "resample")}
        controls = {
            name: value
            for name, value in (chosen | hints).items()
            if name in able.controls and value is not None
        }
        seeds, said = seeds_of(settings), list[str]()

        def make(numbers: Sequence[int]) -> Generator[Step, None, Sequence[_Layer]]:
            some = [seeds[number] for number in numbers]
            stream = method.stream(
                here.crop(self.image),
                here.to_frame(self.pose),
                there.crop(garment.image),
                there.to_frame(garment.pose),
                garment_mask=there.crop_mask(garment.alpha),
                region_mask=here.crop_mask(self.mask),
                region=settings.region,
                source_mask=here.crop_mask(self.plan.person),
                garment_person=(
                    None if garment.wearer is None else there.crop_mask(garment.wearer)
                ),
                # New ones for every attempt: a used generator makes another picture.
                generators=generators(some) if able.stochastic else None,
                **controls,
            )
            output = yield from watched(stream, self.memory)
            said.extend(note for note in output.notes if note not in said)
            found = output.correspondence
            if found is None:
                return [_Layer(here, image, here.is_native) for image in output.images]
            layers = [_Layer(here, self._in_own_skin(image, here), here.is_native)
                      for image in output.images]  # fmt: skip
            if not settings.texture:
                return layers
            return [self._textured(layer, there, found) for layer in layers]

        layers, rungs = yield from with_less_memory(
            make, settings.count, device=device, offload=lambda: offload(method, device)
        )
        return layers, said + rungs

    def _frames(self, able: Capabilities) -> tuple[Frame, Frame]:
        """What the method sees of the person's and of the garment's photo."""
        if able.native_size is None:
            return _whole(self.image), _whole(self.garment.image)
        boxes = [mask_box(self.mask, 1e-6), mask_box(self.plan.person)]
        person = _frame(self.pose, boxes, able.native_size)
        worn = self.garment.wearer
        shown = self.garment.alpha if worn is None else np.maximum(worn, self.garment.alpha)
        return person, _frame(self.garment.pose, [mask_box(shown)], able.native_size)

    def _textured(self, layer: _Layer, there: Frame, found: Correspondence) -> _Layer:
        """A layer with the garment photo's own texture, where the method found it.

        The texture is looked for in one picture with one frame. So the garment is first laid into
        a picture of the person's photo's size, where the person's frame is.
        """
        left, top, right, bottom = layer.frame.box
        fine = Frame(there.box, (right - left, bottom - top), there.photo_size)
        garment, alpha = fine.crop(self.garment.image), fine.crop_mask(self.garment.alpha)
        rgba = np.dstack((garment, np.rint(alpha * 255).astype(np.uint8)))
        canvas = Frame(layer.frame.box, fine.size, layer.frame.photo_size).place(rgba)
        made, frame = textured(
            np.ascontiguousarray(canvas[..., :3]),
            canvas[..., 3].astype(np.float32) / 255,
            layer.frame,
            layer.rgba,
            found.mapping,
            found.visible,
            warped=self._laid_on(),
        )
        return _Layer(frame, made, native=False)

    def _laid_on(self) -> Warped:
        """The garment brought along the bones; where it is not, everything is open."""
        warped = self.plan.warped
        return Warped(warped.picture, warped.sure, np.ones_like(warped.sure))

    def _in_own_skin(self, layer: Image, here: Frame) -> Image:
        """A painted layer without the skin of whoever wears the garment on its photo."""
        if self.garment.wearer is None:
            return layer
        return in_own_skin(layer, here.crop_mask(self._bare), self.image, self.plan.labels)

    @cached_property
    def _bare(self) -> Floats:
        """Where limbs come out of the old garment."""
        return bare_limbs(
            self.pose, self.plan.warped, self.plan.labels, mask=self.mask > 0,
            region=self.settings.region,
        )  # fmt: skip

    def _composed(self, layer: _Layer) -> Image:
        """The photo with the layer under the mask; exact outside, whatever the method did there."""
        placed = layer.frame.place(layer.rgba, self.pose.size)
        share = self.mask if layer.native else self.mask * _inwards(self.mask)
        if (placed[..., 3] < 255)[self.mask > 0].any():
            placed[..., :3] = over(self.behind, placed)
        photo = self.image.astype(np.float32)
        mixed = photo + (placed[..., :3].astype(np.float32) - photo) * share[..., None]
        result = np.rint(mixed).clip(0, 255).astype(np.uint8)
        return np.asarray(np.where((self.mask > 0)[..., None], result, self.image), np.uint8)

    def _stored(self, able: Capabilities, device: Device) -> dict[str, Any]:
        """JSON of everything that decides the picture but the two photos and a painted mask."""
        stored: dict[str, Any] = dataclasses.asdict(self.settings)
        if self.settings.steps is None and "steps" in able.controls:
            stored["steps"] = able.default_steps
        return stored | {
            "made_with": f"RePoseDM {reposedm.__version__}",
            "device": device.name,
            "dtype": device.dtype,
            "size": list(self.pose.size),
            "pose": to_editor([self.pose.replace(extras={})]),
            "garment_pose": to_editor([self.garment.pose.replace(extras={})]),
            "painted_mask": self.painted is not None,
        }


@dataclass(frozen=True, eq=False)
class _Layer:
    """A method's RGBA picture, the frame it lies in, and whether it joins the photo by itself."""

    frame: Frame
    rgba: Image
    native: bool = True


def _whole(image: Image) -> Frame:
    height, width = image.shape[:2]
    return Frame((0, 0, width, height), (width, height), (width, height))


def _frame(
    pose: Pose, boxes: Sequence[tuple[int, int, int, int] | None], native_size: tuple[int, int]
) -> Frame:
    """The frame round a pose and all boxes that there are."""
    there = [box for box in boxes if box is not None]
    if not there:
        return Frame.around(pose, pose, pose.size, native_size=native_size)
    corners = np.array(there)
    box = (*corners[:, :2].min(0).tolist(), *corners[:, 2:].max(0).tolist())
    return Frame.around(pose, pose, pose.size, mask_box=box, native_size=native_size)


def _inwards(mask: Floats) -> Floats:
    """0 at the mask's rim, 1 a feather's width inside: a seam would show."""
    width = max(1.5, FEATHER * float(np.hypot(mask.shape[0], mask.shape[1])))
    padded = np.pad((mask > 0).astype(np.uint8), 1, constant_values=1)  # no seam at the photo's end
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    return np.asarray(np.clip(depth / width, 0, 1), np.float32)


def _settled(settings: SwapSettings, able: Capabilities) -> tuple[SwapSettings, tuple[str, ...]]:
    """The settings with a seed, and with one picture where all would be the same; and notes."""
    if able.stochastic:
        return settings.with_seed(), ()
    notes: tuple[str, ...] = ()
    if settings.count > 1:
        notes = (
            f"{able.label} makes the same picture every time: made 1 instead of {settings.count}.",
        )
    return settings.replace(seed=settings.seed or 0, count=1), notes
