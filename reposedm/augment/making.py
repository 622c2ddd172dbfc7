"""Making the pictures of a batch: sources prepared once, then one picture for each wanted pose.

What does not depend on the wanted pose is computed once for a source: its pixels, the person's
mask, the background without them, the frame, and the puppet of the preview engine. The features of
recurrent pose alignment are not among it: its encoder sees the photo warped towards the pose.
"""

from __future__ import annotations

import dataclasses
import inspect
from collections import OrderedDict
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from reposedm.augment.naming import Shot
from reposedm.augment.pictures import Found, PictureSet
from reposedm.augment.plan import PosePool, Wish
from reposedm.augment.poses import mask_on
from reposedm.augment.settings import AugmentSettings
from reposedm.errors import ArchiveError, ImageError, PoseError
from reposedm.imaging import FEATHER, Frame, mask_box, paste_back
from reposedm.imaging.fill import fill_background
from reposedm.jobs.puppets import warped_person
from reposedm.jobs.repose import generators
from reposedm.jobs.texturing import with_texture
from reposedm.pipelines.base import Method, Output, Step
from reposedm.pose import Pose

Image = NDArray[np.uint8]
Box = tuple[float, float, float, float]

REMEMBERED: Final = 2
"""Sources: neighbours in the plan, and those of a batch that straddles two."""
ENLARGED: Final = 256
"""Methods without a size of their own see small frames enlarged to about this long side."""
_SMALLEST_FEATHER: Final = 3


class Warps(Protocol):
    """A prepared source of a method that warps."""

    def warp(self, target_pose: Pose, /) -> Image:
        """The person in a pose, uint8 (H, W, 4)."""


@runtime_checkable
class Prepares(Protocol):
    """A method that takes a source apart once for all poses, like the preview engine."""

    def prepare(
        self, image: Image, source_pose: Pose, source_mask: NDArray[np.float32], /
    ) -> Warps:
        """Once for each source."""


@dataclass(frozen=True)
class Source:
    """A source picture, ready for all its poses; or the reason why it is not.

    Attributes:
        photo: uint8 (H, W, 3).
        pose: on it.
        mask: float32 (H, W), the person's alpha.
        behind: uint8 (H, W, 3), the photo without the person.
        frame: the part that the method sees.
        seen: the frame's picture.
        seen_mask: and mask.
        warps: of a method that prepares.
    """

    photo: Image
    pose: Pose
    mask: NDArray[np.float32]
    behind: Image
    frame: Frame
    seen: Image
    seen_mask: NDArray[np.float32]
    warps: Warps | None


class Workshop:
    """Makes wishes come true, one method, one plan."""

    def __init__(
        self,
        pictures: PictureSet,
        found: Mapping[str, Found],
        *,
        pool: PosePool,
        plan: Sequence[Wish],
        method: Method,
        settings: AugmentSettings,
    ) -> None:
        """Keep references; nothing is computed yet."""
        self.pictures = pictures
        self.found = found
        self.pool = pool
        self.method = method
        self.settings = settings
        self._shots: dict[str, Shot] = {shot.key: shot for shot in pictures.understood.shots}
        self._wanted: dict[str, list[str]] = {}
        for wish in plan:
            self._wanted.setdefault(wish.source, []).append(wish.pose)
        self._ready: OrderedDict[str, Source | str] = OrderedDict()
        takes = inspect.signature(method.stream).parameters
        self._quiet = {"preview_every": 0} if "preview_every" in takes else {}

    def target(self, wish: Wish) -> Pose:
        """The wanted pose of a wish on its source's picture.

        Raises:
            PoseError: it cannot be brought onto that body.
        """
        return self.pool.on(wish.pose, self._pose(wish.source)).check_usable()

    def source(self, wish: Wish) -> Image | None:
        """The source's picture of a wish, as it was read; None if it could not be."""
        ready = self._source(wish.source)
        return None if isinstance(ready, str) else ready.photo

    def make(self, wish: Wish) -> Generator[Step, None, Image | str]:
        """One picture, uint8 (H, W, 3) of its source's size; or why there is none."""
        ready = self._source(wish.source)
        if isinstance(ready, str):
            return ready
        try:
            target = self.target(wish)
            frame, layer = yield from self._layer(ready, target, wish.seed)
        except (PoseError, ImageError) as error:
            return str(error)
        feather = max(_SMALLEST_FEATHER, min(FEATHER, max(ready.photo.shape[:2]) // 32))
        return paste_back(ready.photo, ready.behind, frame, layer, ready.mask, feather=feather)

    def _layer(
        self, ready: Source, target: Pose, seed: int
    ) -> Generator[Step, None, tuple[Frame, Image]]:
        """The person in the wanted pose, RGBA, and the frame it lies in."""
        in_frame = ready.frame.to_frame(target)
        if ready.warps is not None:
            return ready.frame, ready.warps.warp(in_frame)
        settings, able = self.settings, self.method.capabilities
        stream = self.method.stream(
            ready.seen,
            ready.frame.to_frame(ready.pose),
            in_frame,
            source_mask=ready.seen_mask,
            steps=settings.steps,
            guidance_scale=settings.guidance_scale,
            pose_guidance_scale=settings.pose_guidance_scale,
            generators=generators([seed]) if able.stochastic else None,
            **self._quiet,
        )
        try:
            while True:
                try:
                    step = next(stream)
                except StopIteration as stop:
                    output: Output = stop.value
                    return self._textured(ready, target, output)
                yield step
        finally:
            stream.close()

    def _textured(self, ready: Source, target: Pose, output: Output) -> tuple[Frame, Image]:
        """The generated person with the source's own pixels where they are known to be right."""
        layer, found = output.images[0], output.correspondence
        if found is None:
            return ready.frame, layer
        warped = warped_person(ready.photo, ready.pose, target, ready.mask)
        layer, frame = with_texture(
            ready.photo, ready.mask, ready.pose, target, ready.frame, layer,
            found=found, warped=warped,
        )  # fmt: skip
        return frame, layer

    def _pose(self, key: str) -> Pose:
        pose = self.found[key].pose
        if pose is None:
            raise PoseError("the source has no pose")
        return pose

    def _source(self, key: str) -> Source | str:
        if key in self._ready:
            self._ready.move_to_end(key)
            return self._ready[key]
        try:
            ready: Source | str = self._prepared(key)
        except (ImageError, PoseError, ArchiveError) as error:
            ready = str(error)
        self._ready[key] = ready
        while len(self._ready) > REMEMBERED:
            self._ready.popitem(last=False)
        return ready

    def _prepared(self, key: str) -> Source:
        photo, sha256 = self.pictures.photo(self._shots[key])
        if sha256 != self.found[key].sha256:
            raise ImageError("the source was changed after the plan was made")
        pose = self._pose(key)
        mask = self._mask(photo, pose)
        frame = self._frame(key, pose, mask)
        seen, seen_mask = frame.crop(photo), frame.crop_mask(mask)
        warps = None
        if isinstance(self.method, Prepares):
            warps = self.method.prepare(seen, frame.to_frame(pose), seen_mask)
        return Source(
            photo, pose, mask, fill_background(photo, mask), frame, seen, seen_mask, warps
        )

    def _mask(self, photo: Image, pose: Pose) -> NDArray[np.float32]:
        if self.settings.masks == "segment":
            return mask_on(photo, pose)
        from reposedm.pipelines.puppet.silhouette import guess_mask

        return guess_mask(photo, pose)

    def _frame(self, key: str, pose: Pose, mask: NDArray[np.float32]) -> Frame:
        """One frame for all poses that the plan wants of a source."""
        boxes: list[Box | None] = [mask_box(mask)]
        for name in dict.fromkeys(self._wanted[key]):
            try:
                boxes.append(self.pool.on(name, pose).box())
            except PoseError:
                continue  # said again, and to the user, when its turn comes
        there = [box for box in boxes if box is not None]
        edges = np.array(there)
        union = (*edges[:, :2].min(0), *edges[:, 2:].max(0)) if there else None
        native = self.method.capabilities.native_size
        frame = Frame.around(
            pose, pose, pose.size, mask_box=union, native_size=native,
            aspect=None,
        )  # fmt: skip
        if native is not None:
            return frame
        width, height = frame.size
        factor = max(1, round(ENLARGED / max(width, height)))
        return dataclasses.replace(frame, size=(width * factor, height * factor))
