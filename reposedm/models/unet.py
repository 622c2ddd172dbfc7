"""The denoiser: noisy latent and pose latent in, noise and variance out, the photo by attention.

The photo comes in two ways, one or both: aligned to the pose (F_S^N), and as it is.

32x22   widths[0]   blocks, cross-attention to F_S^N (or its sum)         -> skip -> ...
16x11   widths[1]   blocks, self-attention, cross-attention to its 1/16   -> skip -> ...
 8x6    widths[2]   blocks, self-attention, cross-attention to its 1/32; middle; and up again
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.bounds import check_choice, check_flag, check_int, check_sequence
from reposedm.models.layers import group_norm, positions, tokens, zero
from reposedm.models.unet_blocks import Level, TimeEmbedding, ladder

Prediction = Literal["epsilon", "v_prediction", "sample", "flow_prediction"]
PREDICTIONS = ("epsilon", "v_prediction", "sample", "flow_prediction")


class UNet(ModelMixin, ConfigMixin):
    """eps_theta(y_t, t, P, I_S): the U-Net of RePoseDM and its baselines.

    Levels halve, odd sizes rounded up, and are cropped to the skip on the way back. Null conditions
    are learned: one pose latent, one token a context level, one value an extra channel.

    Args:
        latent_channels: c of y_t.
        pose_channels: of the pose latent, concatenated.
        extra_channels: of further latents, concatenated (the warped source's, say); 0: none.
        kept_channels: so many of the extra ones, the first, are never dropped: what is known of the
            picture itself, not of the photo or the pose.
        gated: where among the extra channels latents of the warped source begin, c channels each.
            They are added to the output, each number through a gate that the network computes: what
            the warp shows rightly is kept from the first step of training on, and the network
            makes the rest. The gate is the composition mask of flow-based try-on.
        learn_variance: 2c channels come out, the second half is the variance's (Improved DDPM).
        prediction: what the first c channels mean; read by pipelines and training, not here.
        widths: channels of each level.
        blocks: a level, on the way down and on the way up; each has its skip.
        attention: self-attention at each level.
        cross_attention: whether each level attends to its context. Where it does not, the context's
            features are added cell by cell: F_S^N is aligned to the target, so what a cell needs is
            in that cell, and the finest grid's attention costs more than all the rest.
        source_context: levels that attend do so to the photo as it is, through an encoder of its
            own, and the aligned features are added on every grid that has some. Alignment shows
            what the photo shows of a place; what it does not show, such as the other side of a
            coat, is made from all that it does. What is added begins as zero: weights of B1 are
            weights of this network, from which alignment is learned.
        context_dims: channels of each level of context; the last serves all deeper levels.
        head_width: channels of an attention head; divides all widths.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        latent_channels: int = 16,
        pose_channels: int = 16,
        extra_channels: int = 0,
        kept_channels: int = 0,
        gated: Sequence[int] = (),
        learn_variance: bool = True,
        prediction: Prediction = "epsilon",
        widths: Sequence[int] = (128, 192, 256),
        blocks: int = 2,
        attention: Sequence[bool] = (False, True, True),
        cross_attention: Sequence[bool] = (True, True, True),
        source_context: bool = False,
        context_dims: Sequence[int] = (128, 128, 128),
        head_width: int = 32,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("latent_channels", latent_channels, 1, 128)
        check_int("pose_channels", pose_channels, 1, 256)
        check_int("extra_channels", extra_channels, 0, 512)
        check_int("kept_channels", kept_channels, 0, extra_channels)
        _check_gates(gated, latent_channels, extra_channels)
        check_flag("learn_variance", learn_variance)
        check_choice("prediction", prediction, PREDICTIONS)
        _check_levels(widths, attention, cross_attention, context_dims, head_width)
        check_int("blocks", blocks, 1, 8)
        check_flag("source_context", source_context)

        embedding = 2 * widths[0]
        self.time = TimeEmbedding(widths[0], embedding)
        inputs = latent_channels + pose_channels + extra_channels
        self.stem = nn.Conv2d(inputs, widths[0], 3, padding=1)
        self.down, self.middle, self.up = ladder(
            widths=widths,
            blocks=blocks,
            attention=attention,
            cross_attention=cross_attention,
            source_context=source_context,
            context_dims=context_dims,
            embedding=embedding,
            head_width=head_width,
        )
        outputs = latent_channels * (2 if learn_variance else 1)
        self.out = nn.Sequential(
            group_norm(widths[0]), nn.SiLU(), zero(nn.Conv2d(widths[0], outputs, 3, padding=1))
        )
        self.gates: Any = None
        if gated:
            several = len(gated) * latent_channels
            self.gates = zero(nn.Conv2d(widths[0], several, 3, padding=1))
        self.null_pose = nn.Parameter(torch.zeros(pose_channels))
        self.null_photo = nn.ParameterList(torch.zeros(width) for width in context_dims)
        extra = nn.Parameter(torch.zeros(extra_channels)) if extra_channels else None
        self.null_extra: Any = extra

    @classmethod
    def small(cls, **changes: object) -> UNet:
        """About 12 M parameters: an hour of training on a CPU shows something."""
        return cls(**({"widths": (96, 160, 192), "blocks": 2} | changes))

    @classmethod
    def paper(cls, **changes: object) -> UNet:
        """About 145 M parameters, the size of PIDM's; for context of 256 channels."""
        large: dict[str, object] = {
            "widths": (320, 640, 640), "blocks": 2, "attention": (True, True, True),
            "context_dims": (256, 256, 256), "head_width": 64,
        }  # fmt: skip
        return cls(**(large | changes))

    @classmethod
    def tiny(cls, **changes: object) -> UNet:
        """A configuration for tests, under 0.3 M parameters; any argument can be changed."""
        small: dict[str, object] = {
            "latent_channels": 4, "pose_channels": 4, "widths": (16, 24, 32), "blocks": 1,
            "context_dims": (16, 16, 16), "head_width": 8,
        }  # fmt: skip
        return cls(**(small | changes))

    def forward(
        self,
        noisy: Tensor,
        t: Tensor,
        pose_latent: Tensor,
        context: Sequence[Tensor],
        *,
        extra: Tensor | None = None,
        source: Sequence[Tensor] | None = None,
        drop_pose: Tensor | None = None,
        drop_photo: Tensor | None = None,
    ) -> Tensor:
        """Predict the noise (or what ``prediction`` says), and the variance's half.

        Context and extra are usually warped by the target pose: who drops the pose and keeps the
        photo must pass a context that does not know the pose.

        Args:
            noisy: y_t, (B, c, h, w).
            t: (B,) timesteps in [0, 1000], whole or not.
            pose_latent: (B, pose_channels, h, w).
            context: F_S^N, [(B, D, h, w), (B, D, h/2, w/2), ...], as configured.
            extra: (B, extra_channels, h, w); null where pose *or* photo is dropped, but for the
                first ``kept_channels``.
            source: features of the photo as it is, shaped as ``context``; with ``source_context``.
            drop_pose: (B,) bool, where the pose is replaced by the learned null.
            drop_photo: (B,) bool, where the photo is.

        Returns:
            (B, 2c, h, w), or (B, c, h, w) without a learned variance.

        Raises:
            SettingsError: context, extra or source does not fit the configuration.
        """
        embedding = self.time(t)  # B,E
        given = self._extra(extra, drop_pose, drop_photo)  # B,ce,h,w
        pose = _null(pose_latent, self.null_pose, drop_pose)
        x = torch.cat([noisy, pose] if given is None else [noisy, pose, given], 1)
        levels = self._levels(context, source, drop_photo)

        x = self.stem(x)  # B,C,h,w
        skips = []
        for stage in self.down:
            for block in stage.blocks:
                x = block(x, embedding, levels[stage.level], stage.cell)
                skips.append(x)
            if stage.resize is not None:
                x = stage.resize(x)  # B,C,h/2,w/2
        for block in self.middle.blocks:
            x = block(x, embedding, levels[-1], self.middle.cell)
        for stage in self.up:
            for block in stage.blocks:
                x = torch.cat([x, skips.pop()], 1)
                x = block(x, embedding, levels[stage.level], stage.cell)
            if stage.resize is not None:
                h, w = skips[-1].shape[2:]
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")[:, :, :h, :w]
                x = stage.resize(x)  # B,C,2h,2w
        if self.gates is None or given is None:
            return self.out(x)
        return self._through_gates(x, given)

    def _through_gates(self, x: Tensor, extra: Tensor) -> Tensor:
        """The output plus what the gates let through of the latents in ``extra``."""
        count = self.config.latent_channels
        x = self.out[1](self.out[0](x))  # B,C,h,w
        found = self.out[2](x)  # B,c|2c,h,w
        latents = torch.cat([extra[:, start : start + count] for start in self.config.gated], 1)
        passed = (self.gates(x) * latents).unflatten(1, (-1, count)).sum(1)  # B,c,h,w
        if found.shape[1] > count:  # the variance's half has no latents to add
            passed = F.pad(passed, (0, 0, 0, 0, 0, count))
        return found + passed

    def _extra(
        self, extra: Tensor | None, drop_pose: Tensor | None, drop_photo: Tensor | None
    ) -> Tensor | None:
        """The extra channels, nulled where conditions are dropped."""
        if (extra is None) != (self.null_extra is None):
            wanted = f"needs {self.config.extra_channels}" if extra is None else "takes no"
            raise SettingsError(f"this U-Net {wanted} extra channels")
        if extra is None:
            return None
        kept = self.config.kept_channels
        known, told, null = extra[:, :kept], extra[:, kept:], self.null_extra[kept:]
        return torch.cat([known, _null(_null(told, null, drop_pose), null, drop_photo)], 1)

    def _levels(
        self, context: Sequence[Tensor], source: Sequence[Tensor] | None, drop: Tensor | None
    ) -> list[Level]:
        """What each level of the U-Net is told of the photo."""
        if (source is None) != (not self.config.source_context):
            wanted = "needs the photo as it is" if source is None else "takes no source"
            raise SettingsError(f"this U-Net {wanted}")
        for features in (context, source or context):
            if len(features) != len(self.null_photo):
                raise SettingsError(
                    f"this U-Net needs {len(self.null_photo)} levels of context, "
                    f"not {len(features)}"
                )
        found = []
        for level, null in enumerate(self.null_photo):
            attended = context[level] if source is None else source[level]
            shape = (attended.shape[2], attended.shape[3])
            seen = tokens(_null(attended, null, drop)), positions(shape, 2.0**level, null.device)
            added = seen[0]
            if source is not None:
                # Nothing stands for a photo that is not there: the null says so where it is seen.
                added = tokens(_null(context[level], torch.zeros_like(null), drop))
            found.append(Level(seen, added))
        deeper = Level(found[-1].seen, None)
        return found + [deeper] * (len(self.down) - len(found))


def _check_levels(
    widths: Sequence[int],
    attention: Sequence[bool],
    cross_attention: Sequence[bool],
    context_dims: Sequence[int],
    head_width: int,
) -> None:
    """Bounds of everything that is given once a level."""
    levels = len(check_sequence("widths", widths, 6))
    check_int("head_width", head_width, 4, 256)
    for width in widths:
        if check_int("a width", width, 8, 2048, step=8) % head_width:
            raise WeightsError(f"a width ({width}) must be a multiple of head_width ({head_width})")
    for name, flags in (("attention", attention), ("cross_attention", cross_attention)):
        for one in check_sequence(name, flags, 6, levels):
            check_flag(name, one)
    if not all(cross_attention[len(context_dims) :]):
        raise WeightsError("a level without a context of its own must attend: cross_attention")
    for width in check_sequence("context_dims", context_dims, levels):
        check_int("context_dims", width, 8, 2048)


def _check_gates(gated: Sequence[int], latents: int, extra: int) -> None:
    if isinstance(gated, (list, tuple)) and not gated:
        return
    if extra < latents:
        raise WeightsError("gated of a network needs extra channels: the latents to let through")
    for start in check_sequence("gated", gated, 4):
        check_int("gated", start, 0, extra - latents)


def _null(condition: Tensor, null: Tensor, drop: Tensor | None) -> Tensor:
    """The condition (B, C, h, w), replaced by a learned null (C,) where ``drop`` (B,) is True."""
    if drop is None:
        return condition
    return torch.where(
        drop[:, None, None, None], null.to(condition.dtype)[:, None, None], condition
    )
