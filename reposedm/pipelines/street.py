"""RePoseDM for small pictures of people in the street, as surveillance cameras take them.

The weights of reposing with a finest grid of their own: pictures of 128 x 64 pixels, dark, blurred
and noisy, look different close by, not in what is where.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from torch import nn

from reposedm.models.finest import FinestGrid
from reposedm.pipelines.abilities import STREET
from reposedm.pipelines.base import Capabilities
from reposedm.pipelines.finest import SHARED, FinestPipeline, fingerprint_of_shared
from reposedm.pipelines.reposedm import RePoseDMPipeline


class StreetPipeline(FinestPipeline, RePoseDMPipeline):
    """``RePoseDMPipeline`` without an estimator, on small pictures that are enlarged to its size.

    Args:
        autoencoder: RePoseDM's.
        alignment: RePoseDM's.
        pose_encoder: RePoseDM's.
        unet: RePoseDM's.
        scheduler: the one of the training.
        encoder: RePoseDM's, where it has one.
        finest: ``FinestGrid`` to put into a copy of the U-Net; None: it is in there.
        estimator: None.
        shared_fingerprint: of the networks that the weights were trained with; "": these.
        native_size: see ``RePoseDMPipeline``, as all that follow.
        sampler: see there.
        steps: see there.
        guidance_scale: see there.
        pose_guidance_scale: see there.
        pose_guidance_strength: 0.
        pose_guidance_range: see there.
        pose_guidance_moves: see there.
        separate_guidance: see there.

    Raises:
        WeightsError: settings or networks that do not fit each other.
    """

    capabilities: Capabilities = STREET
    optional_components: ClassVar[list[str]] = [*SHARED, "finest", "estimator"]

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
        estimator: None = None,
        shared_fingerprint: str = "",
        native_size: Sequence[int] = (176, 256),
        sampler: str | None = None,
        steps: int = 1,
        guidance_scale: float = 1.0,
        pose_guidance_scale: float = 1.0,
        pose_guidance_strength: float = 0.0,
        pose_guidance_range: Sequence[float] = (0.2, 1.0),
        pose_guidance_moves: int = 1,
        separate_guidance: bool = False,
    ) -> None:
        """Check, and keep references; arguments above."""
        own = fingerprint_of_shared(
            autoencoder, alignment, pose_encoder, unet, encoder,
            expected=shared_fingerprint, config="street",
        )  # fmt: skip
        super().__init__(
            autoencoder, alignment, pose_encoder,
            unet if finest is None else finest.put_into(unet), scheduler, estimator=estimator,
            encoder=encoder, native_size=native_size, sampler=sampler, steps=steps,
            guidance_scale=guidance_scale, pose_guidance_scale=pose_guidance_scale,
            pose_guidance_strength=pose_guidance_strength,
            pose_guidance_range=pose_guidance_range, pose_guidance_moves=pose_guidance_moves,
            separate_guidance=separate_guidance,
        )  # fmt: skip
        self.register_modules(finest=None)
        self.register_to_config(shared_fingerprint=own)
