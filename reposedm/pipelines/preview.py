"""The preview engine: reposes by warping the photo itself. No network, no weights, no seed."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError, PoseError
from reposedm.pipelines.base import Capabilities, Image, Output, Step, refuse_extras
from reposedm.pipelines.puppet.puppet import Puppet
from reposedm.pipelines.puppet.puppet import prepare as _prepare
from reposedm.pipelines.puppet.silhouette import guess_mask
from reposedm.pose import Pose

if TYPE_CHECKING:
    import torch

__all__ = ["PreviewEngine", "Puppet", "prepare"]


def prepare(image: Image, source_pose: Pose, source_mask: NDArray[np.float32]) -> Puppet:
    """Cut the person out and into layers, once per photo and source pose; then ``Puppet.warp``.

    Args:
        image: uint8 (H, W, 3) RGB.
        source_pose: the person's pose, in pixels of ``image``.
        source_mask: float32 (H, W) in [0, 1], the person's alpha.

    Raises:
        ImageError: not a picture, or a mask of another size, or one that shows nobody.
        PoseError: a pose of another photo, or one with nothing to hold on to.
    """
    _check(image, source_pose)
    return _prepare(image, source_pose, source_mask)


class PreviewEngine:
    """Cuts the person out along the bones and moves the pieces: instant, exact, never invents.

    A ``base.Method``; ``prepare`` and ``Puppet.warp`` are its interactive half.
    """

    capabilities = Capabilities(
        name="preview",
        label="Preview (warps the photo, no AI)",
        description=(
            "Moves the person's own pixels along the skeleton, in a moment and on any computer. "
            "It cannot turn the person round or show what the photo does not."
        ),
        native_size=None,
        stages=("cut out", "warp"),
        stochastic=False,
    )

    def prepare(
        self, image: Image, source_pose: Pose, source_mask: NDArray[np.float32] | None = None
    ) -> Puppet:
        """As the function ``prepare``; without a mask, one is guessed from pose and colours."""
        _check(image, source_pose)
        mask = guess_mask(image, source_pose) if source_mask is None else source_mask
        return _prepare(image, source_pose, mask)

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
        """See ``base.Method.stream``; one picture per generator, all the same.

        Raises:
            SettingsError: steps, guidance or an extra is given: they mean nothing here.
            ImageError: not a picture, or a mask of another size, or one that shows nobody.
            PoseError: a pose of another photo, or one with nothing to hold on to.
        """
        meaningless = {
            "steps": steps,
            "guidance_scale": guidance_scale,
            "pose_guidance_scale": pose_guidance_scale,
        }
        refuse_extras(self.capabilities, meaningless | extras)
        cut_out, warp = self.capabilities.stages
        puppet = self.prepare(image, source_pose, source_mask)
        yield Step(1, 2, cut_out)
        picture = puppet.warp(target_pose)
        count = 1 if generators is None else len(generators)
        notes = puppet.notes(target_pose)
        if source_mask is None:
            notes += ("The person was cut out by a guess from the skeleton: edges are rough.",)
        images = [picture] + [picture.copy() for _ in range(count - 1)]
        yield Step(2, 2, warp, images)
        return Output(images, notes)


def _check(image: Image, pose: Pose) -> None:
    if getattr(image, "dtype", None) != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ImageError("a photo must be uint8 of shape (height, width, 3)")
    if pose.size != (image.shape[1], image.shape[0]):
        raise PoseError(
            f"the pose is for a photo of {pose.size[0]} x {pose.size[1]} pixels, and this one "
            f"has {image.shape[1]} x {image.shape[0]}"
        )
