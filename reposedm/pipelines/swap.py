"""Garment swap: the person of a photo in the garment of another picture.

Recurrent alignment warps the garment to the person's own pose; the latent diffusion model paints
the region under a mask, told of the person with the warped garment laid in; everything outside of
the mask is the photo's. The networks are those of RePoseDM, but for the U-Net's finest grid, which
learned from true answers: that alone is stored.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from reposedm.errors import SettingsError, WeightsError
from reposedm.imaging.composite import over
from reposedm.imaging.fill import fill_background
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.finest import FinestGrid
from reposedm.pipelines.abilities import SWAP
from reposedm.pipelines.base import Capabilities, Correspondence, Image, Output, Step, refuse_extras
from reposedm.pipelines.conditions import Conditions
from reposedm.pipelines.finest import SHARED, FinestPipeline, fingerprint_of_shared
from reposedm.pipelines.garment import Fitted, check_swap, known_of, swap_inputs, told
from reposedm.pipelines.reposedm import check_encoder, check_networks, default_sampler
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

MAX_RESAMPLE: Final = 10


class GarmentSwapPipeline(FinestPipeline):
    """Person and garment to pictures of the person in the garment.

    Args:
        autoencoder: ``Autoencoder``; RePoseDM's.
        alignment: ``RecurrentPoseAlignment``; RePoseDM's.
        pose_encoder: ``PoseEncoder`` on heat maps; RePoseDM's.
        unet: ``UNet``, RePoseDM's, with latents of the warped source among its extra channels.
        scheduler: the one of the training.
        encoder: RePoseDM's, where it has one.
        finest: ``FinestGrid`` to put into a copy of the U-Net; None: it is in there.
        native_size: (width, height) in pixels that the weights work at.
        sampler: one of ``sampling.SAMPLERS``; None: "ddim", or "euler" for a flow.
        steps: default number of steps.
        guidance_scale: default w_c; 1: none, half of the work.
        shared_fingerprint: of the networks that the weights were trained with; "": these.

    Raises:
        WeightsError: settings or networks that do not fit each other.
    """

    capabilities: Capabilities = SWAP
    optional_components: ClassVar[list[str]] = [*SHARED, "finest"]

    def __init__(
        self,
        autoencoder: nn.Module,
        alignment: nn.Module,
        pose_encoder: nn.Module,
        unet: nn.Module,
        scheduler: Any,
        *,
        encoder: nn.Module | None = None,
        finest: FinestGrid | None = None,
        native_size: Sequence[int] = (176, 256),
        sampler: str | None = None,
        steps: int = 1,
        guidance_scale: float = 1.0,
        shared_fingerprint: str = "",
    ) -> None:
        """Check, and keep references; arguments above."""
        super().__init__()
        sampler = sampler or default_sampler(unet)
        size = check_settings(native_size, sampler, steps, {"guidance_scale": guidance_scale})
        latents = as_autoencoder(autoencoder).latent_channels
        check_networks(
            autoencoder, pose_encoder, unet, scheduler, sampler, extra=(latents, latents + 1)
        )
        check_encoder(encoder, unet)
        if pose_encoder.config.pose_representation != "heat_maps":
            raise WeightsError("the garment swap needs a pose encoder of heat maps")
        own = fingerprint_of_shared(
            autoencoder, alignment, pose_encoder, unet, encoder,
            expected=shared_fingerprint, config="swap",
        )  # fmt: skip
        self.register_modules(
            autoencoder=autoencoder, alignment=alignment, pose_encoder=pose_encoder,
            unet=unet if finest is None else finest.put_into(unet), scheduler=scheduler,
            encoder=encoder, finest=None,
        )  # fmt: skip
        self.register_to_config(
            native_size=list(size), sampler=sampler, steps=steps, guidance_scale=guidance_scale,
            shared_fingerprint=own,
        )  # fmt: skip

    def stream(
        self,
        image: Image,
        pose: Pose,
        garment_image: Image,
        garment_pose: Pose,
        *,
        garment_mask: NDArray[np.float32],
        region_mask: NDArray[np.float32],
        region: str = "garment",
        source_mask: NDArray[np.float32] | None = None,
        garment_person: NDArray[np.float32] | None = None,
        steps: int | None = None,
        guidance_scale: float | None = None,
        generators: Sequence[torch.Generator] | None = None,
        resample: int = 0,
        align: bool = True,
        sampler: str | None = None,
        preview_every: int = 5,
        **extras: Any,
    ) -> Generator[Step, None, Output]:
        """Yield a ``Step`` after each step of work; arguments are checked before the first.

        Args:
            image: the person, uint8 (H, W, 3) of ``native_size``.
            pose: on it.
            garment_image: the garment, worn or alone, uint8 (H, W, 3).
            garment_pose: on it; a garment alone has the joints that it shows.
            garment_mask: float32 (H, W), the garment's alpha on its picture.
            region_mask: float32 (H, W), what may change; above 0 counts.
            region: its name, for messages.
            source_mask: float32 (H, W), the person's alpha on ``image``; None: the region is
                painted with whatever is behind the person.
            garment_person: float32 (H, W), the alpha of the person on ``garment_image``; None:
                nobody wears it.
            steps: denoising steps.
            guidance_scale: w_c of Eq. 16, of the garment; 1: none.
            generators: CPU generators, one a picture.
            resample: how often each step is taken again (RePaint); 0: never.
            align: False: the limb mapping in the place of recurrent alignment.
            sampler: another one than configured.
            preview_every: steps between previews; 0: none.
            extras: refused.

        Returns:
            Pictures RGBA of the whole person: new inside the mask, the photo's own pixels with
            ``source_mask`` outside (opaque without one); and the garment's correspondence, visible
            where it shows. Previews are opaque, with the background filled in.

        Raises:
            SettingsError: an argument that means nothing here, or is out of range.
            ImageError: a picture or mask of another size, or an empty mask.
            PoseError: a pose for another size.
        """
        refuse_extras(SWAP, extras)
        size = (self.config.native_size[0], self.config.native_size[1])
        masks = {
            f"the mask of the {region}": region_mask,
            f"the mask of the {region} on the garment's picture": garment_mask,
            "the person's mask": source_mask,
            "the mask of the garment's wearer": garment_person,
        }
        check_swap(image, pose, garment_image, garment_pose, masks, size=size)
        plan = Plan(
            steps=chosen_steps(steps, self.config.steps),
            generators=chosen_generators(generators),
            steering=Steering(
                scale=chosen_scale("the guidance", guidance_scale, self.config.guidance_scale)
            ),
            sampler=self.config.sampler if sampler is None else sampler,
            preview_every=chosen_preview(preview_every),
            device=self.working_device,
        )
        again = _chosen_resample(resample)
        autoencoder, warps = as_autoencoder(self.autoencoder), []

        def conditions() -> Conditions:
            inputs = swap_inputs(
                image, pose, garment_image, garment_pose, mask=region_mask,
                garment_mask=garment_mask, source_mask=source_mask,
                garment_person=garment_person, device=plan.device,
            )  # fmt: skip
            shown, warped = told(self, inputs, align=align)
            warps.append(warped)
            return dataclasses.replace(shown, known=known_of(autoencoder, inputs, again))

        inner = run(autoencoder, self.unet, self.scheduler, plan, conditions)
        return _finished(inner, image, source_mask, mask=region_mask > 0, warps=warps)


def _finished(
    inner: Generator[Step, None, Output],
    image: Image,
    person: NDArray[np.float32] | None,
    *,
    mask: NDArray[np.bool_],
    warps: list[Fitted],
) -> Generator[Step, None, Output]:
    """The stream with the photo outside of the mask, and previews on a background."""
    own = np.ones(mask.shape, np.float32) if person is None else np.clip(person, 0, 1)
    photo = np.dstack((image, np.rint(own * 255).astype(np.uint8)))

    def joined(layer: Image) -> Image:
        if person is None:
            layer = np.dstack((layer[..., :3], photo[..., 3]))
        return np.where(mask[..., None], layer, photo)

    @functools.cache
    def backdrop() -> Image:  # previews alone need it
        return image if person is None else fill_background(image, person)

    def put(layer: Image) -> Image:
        whole = np.where(mask[..., None], over(backdrop(), joined(layer)), image)
        return np.dstack((whole, np.full(mask.shape, 255, np.uint8)))

    while True:
        try:
            step = next(inner)
        except StopIteration as stop:
            output: Output = stop.value
            break
        yield Step(step.index, step.total, step.stage, [put(one) for one in step.previews])
    images = [joined(one) for one in output.images]
    return Output(images, correspondence=_correspondence(warps[0]))


def _correspondence(found: Fitted) -> Correspondence:
    """Where the person's cells look in the garment's picture, and how far it shows them."""
    alpha = (found.picture[:, 3:] + 1) / 2
    share = F.adaptive_avg_pool2d(alpha, found.mapping.shape[2:])[0, 0]
    return Correspondence(found.mapping[0].float().cpu().numpy(), share.float().cpu().numpy())


def _chosen_resample(resample: Any) -> int:
    if isinstance(resample, bool) or not isinstance(resample, int):
        raise SettingsError(f"resample is a whole number: not {resample!r:.40}")
    if not 0 <= resample <= MAX_RESAMPLE:
        raise SettingsError(f"resample is a whole number in 0..{MAX_RESAMPLE}: not {resample}")
    return resample
