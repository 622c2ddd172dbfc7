"""Recurrent pose alignment (RPA, Eq. 5-9): warp the photo towards the pose, look again, correct.

    F_T = target pose's features                        F^0 = identity, or the limb mapping
    repeat N times:
        F_S   = Encoder(W(I_S; F))                      Eq. 9
        F_T', F_S' = MapFormer(F_T, F_S)                Eq. 5, neighbourhoods shrink
        C     = ReLU(<F_T'(x), F_S'(x + r)>)            Eq. 6
        dF, v = Aggregator(C, F_T', F_S', F)            Eq. 8
        F     = F o dF                                  Eq. 7
    F_S^N = Encoder(W(I_S; F))                          what the U-Net's cross-attention sees

It depends on neither y_t nor t: once per (photo, pose), never once per denoising step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.bounds import check_choice, check_flag, check_int, check_number, check_sequence
from reposedm.models.encoder import PhotoEncoder, Resolution
from reposedm.models.layers import (
    Attention,
    FeedForward,
    group_norm,
    neighbourhood_mask,
    positions,
    tokens,
    untokens,
    window_index,
    zero,
)
from reposedm.models.limb_prior import LimbPrior
from reposedm.models.mapping import Limbs, compose, identity, warp
from reposedm.models.pose_encoder import PoseEncoder

EncoderInput = Literal["rgb+heat", "rgb", "autoencoder"]
Initial = Literal["identity", "limbs", "learned"]


@dataclass(frozen=True)
class Alignment:
    """What recurrent alignment found.

    Attributes:
        features: F_S^N at every level, [(B, D, h, w), (B, D, h/2, w/2), ...]: the U-Net's context.
        mappings: F^1 .. F^N, (B, 2, h, w) each, offsets in cells.
        visibility: one a mapping, (B, 1, h, w) logits: is the target cell seen in the source?
        warped: W(I_S; F^N), (B, C, H, W) in the photo's range.
        prior: F^0 and its visibility (logits), where they are learned (``LimbPrior``).
    """

    features: list[Tensor]
    mappings: list[Tensor]
    visibility: list[Tensor]
    warped: Tensor
    prior: tuple[Tensor, Tensor] | None = None

    @property
    def mapping(self) -> Tensor:
        """F^N, (B, 2, h, w)."""
        return self.mappings[-1]

    @property
    def visible(self) -> Tensor:
        """Probability in [0, 1] that a target cell is seen in the source, (B, 1, h, w)."""
        return self.visibility[-1].sigmoid()


class MapFormer(nn.Module):
    """Eq. 5: one layer of self- and one of cross-attention within N(x), then a feed-forward.

    Both feature maps go through the same weights; in the cross-attention each listens to the other.
    """

    def __init__(self, features: int, head_width: int) -> None:
        """Build for D = ``features`` channels."""
        super().__init__()
        self.self_attention = Attention(features, features, head_width, start=False)
        self.cross_attention = Attention(features, features, head_width, start=False)
        self.feed_forward = FeedForward(features)
        self.norm = nn.LayerNorm(features)  # Eq. 6 compares: lengths of features must not matter

    def forward(
        self, target: Tensor, source: Tensor, neighbourhood: int | None
    ) -> tuple[Tensor, Tensor]:
        """F_T, F_S -> F_T', F_S'.

        Args:
            target: (B, D, h, w).
            source: (B, D, h, w).
            neighbourhood: side of N(x) in cells, odd; None: the whole grid.

        Returns:
            Two of (B, D, h, w).
        """
        shape = (target.shape[2], target.shape[3])
        where = positions(shape, 1.0, target.device)  # N,P
        mask = None
        if neighbourhood is not None and neighbourhood < 2 * max(shape) - 1:
            mask = neighbourhood_mask(shape, neighbourhood, target.device)  # N,N
        both = tokens(torch.cat([target, source]))  # 2B,N,D
        both = self.self_attention(both, both, where, where, mask)
        other = torch.cat(both.chunk(2)[::-1])  # 2B,N,D: source, target
        both = self.cross_attention(both, other, where, where, mask)
        both = self.norm(self.feed_forward(both))  # 2B,N,D
        found_target, found_source = untokens(both, shape).chunk(2)
        return found_target, found_source  # B,D,h,w each


class Aggregator(nn.Module):
    """Eq. 8: two convolutions and one max-pool turn the correlation volume into a step.

    The pool is 3x3 with stride 1, so the field keeps its size. It also sees both feature maps and
    the mapping so far. The last layer is zero at the start: nothing moves.
    """

    def __init__(self, features: int, radius: int, width: int, gain: float) -> None:
        """Build; ``gain`` is the step in cells that an output of 1 means."""
        super().__init__()
        self.gain = gain
        self.mix = nn.Conv2d((2 * radius + 1) ** 2 + 2 * features + 2, width, 3, padding=1)
        self.norm = group_norm(width)  # without it the activation died after 100 steps
        self.step = zero(nn.Conv2d(width, 3, 3, padding=1))

    def forward(
        self, volume: Tensor, target: Tensor, source: Tensor, mapping: Tensor
    ) -> tuple[Tensor, Tensor]:
        """C (B, (2R+1)^2, h, w), F_T', F_S' (B, D, h, w), F -> dF (B, 2, h, w), logit."""
        x = torch.cat([volume, target, source, mapping / self.gain], 1)
        x = F.silu(self.norm(self.mix(x)))  # B,width,h,w
        x = F.max_pool2d(x, 3, 1, 1)  # B,width,h,w
        x = self.step(x).float()  # B,3,h,w
        return x[:, :2] * self.gain, x[:, 2:]


def correlation(target: Tensor, source: Tensor, radius: int) -> Tensor:
    """Eq. 6: C(x, r) = ReLU(<F_T'(x), F_S'(x + r)>), |r|_inf <= R; over sqrt(D): of order 1.

    One matrix product of all cells with all, then the window is picked by a cached index: several
    times faster on a CPU than unfolding windows of features.

    Args:
        target: F_T', (B, D, h, w).
        source: F_S', (B, D, h, w).
        radius: R in cells.

    Returns:
        (B, (2R+1)^2, h, w), windows row by row, zero outside the grid.
    """
    shape = (target.shape[2], target.shape[3])
    index, inside = window_index(shape, radius, target.device)  # N,K
    products = tokens(target) @ source.flatten(2)  # B,N,N
    window = products.gather(2, index.expand(len(target), -1, -1))  # B,N,K
    window = window.relu() * inside / target.shape[1] ** 0.5
    return untokens(window, shape)


class RecurrentPoseAlignment(ModelMixin, ConfigMixin):
    """RPA, Eq. 5-9.

    Where the paper is silent (method.md, section 3): weights are shared over the iterations unless
    ``shared`` is off; positions enter the attention; the grid of a warp passes no gradient but in
    the last one (F_S^N), while the sum of steps (Eq. 7) does.

    Args:
        iterations: N, calls of MapFormer and aggregator.
        neighbourhoods: side of N(x) in cells for each iteration, None: global; the last repeats.
        radius: R of Eq. 6, in cells.
        features: D.
        head_width: channels of an attention head.
        width: hidden channels of the aggregator.
        encoder_width: channels of the photo encoder at 1/4.
        levels: resolutions of F_S^N that come out.
        blocks: residual blocks of both encoders.
        shared: one MapFormer and aggregator for all iterations.
        initial: F^0: "identity" (paper); "limbs": the caller passes ``limb_mapping``; "learned":
            the caller passes ``limbs_of``, which a ``LimbPrior`` blends.
        encoder_input: what Encoder sees: "rgb+heat": photo and the source pose's heat maps;
            "rgb": the photo; "autoencoder" (the paper to the letter): the frozen autoencoder.
        half_resolution: encode the photo at half its size (half of the encoder's time).
        photo_channels: 3, or 4 with an alpha.
        latent_channels: channels of the autoencoder, for encoder_input "autoencoder".
        joints: heat maps of a pose.
        gain: cells that an output of 1 of the zero-initialised last layer means.
        prior_width: channels of the ``LimbPrior``.
        prior_blocks: its residual blocks.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        iterations: int = 5,
        neighbourhoods: Sequence[int | None] = (None, 9, 5, 3, 3),
        radius: int = 4,
        features: int = 128,
        head_width: int = 32,
        width: int = 128,
        encoder_width: int = 64,
        levels: int = 3,
        blocks: int = 2,
        shared: bool = True,
        initial: Initial = "identity",
        encoder_input: EncoderInput = "rgb+heat",
        half_resolution: bool = False,
        photo_channels: int = 3,
        latent_channels: int = 16,
        joints: int = 18,
        gain: float = 4.0,
        prior_width: int = 96,
        prior_blocks: int = 2,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_int("iterations", iterations, 1, 32)
        for side in check_sequence("neighbourhoods", neighbourhoods, 32):
            if side is not None and check_int("a neighbourhood", side, 1, 255) % 2 == 0:
                raise WeightsError(f"a neighbourhood has an odd side, not {side}")
        check_int("radius", radius, 0, 16)
        check_int("features", features, 8, 2048, step=8)
        check_int("head_width", head_width, 4, 256)
        if features % head_width:
            raise WeightsError(f"features ({features}) must be a multiple of head_width")
        check_int("width", width, 8, 2048)
        check_flag("shared", shared)
        check_choice("initial", initial, ("identity", "limbs", "learned"))
        check_int("prior_width", prior_width, 8, 1024, step=8)
        check_int("prior_blocks", prior_blocks, 0, 16)
        check_choice("encoder_input", encoder_input, ("rgb+heat", "rgb", "autoencoder"))
        check_flag("half_resolution", half_resolution)
        check_int("latent_channels", latent_channels, 1, 128)
        check_number("gain", gain, 0.01, 100)
        latent = encoder_input == "autoencoder"
        resolution: Resolution = "latent" if latent else "half" if half_resolution else "full"
        self.encoder = PhotoEncoder(
            photo_channels=latent_channels if latent else photo_channels,
            heat_channels=joints if encoder_input == "rgb+heat" else 0,
            width=encoder_width,
            features=features,
            levels=levels,
            blocks=blocks,
            resolution=resolution,
        )
        self.pose_encoder = PoseEncoder("heat_maps", joints, features, features, blocks)
        self.prior = LimbPrior(prior_width, prior_blocks, gain) if initial == "learned" else None
        copies = 1 if shared else iterations
        self.mapformers = nn.ModuleList(MapFormer(features, head_width) for _ in range(copies))
        self.aggregators = nn.ModuleList(
            Aggregator(features, radius, width, float(gain)) for _ in range(copies)
        )

    @classmethod
    def paper(cls, **changes: object) -> RecurrentPoseAlignment:
        """About 12 M parameters, features of 256 channels: the partner of ``UNet.paper``."""
        large: dict[str, object] = {"features": 256, "width": 256, "encoder_width": 128}
        return cls(**(large | changes))

    @classmethod
    def tiny(cls, **changes: object) -> RecurrentPoseAlignment:
        """A configuration for tests, under 0.1 M parameters; any argument can be changed."""
        small: dict[str, object] = {
            "iterations": 2, "neighbourhoods": (None, 3), "radius": 2, "features": 16,
            "head_width": 8, "width": 16, "encoder_width": 16, "levels": 3, "blocks": 1,
        }  # fmt: skip
        return cls(**(small | changes))

    def forward(
        self,
        photo: Tensor,
        source_heat: Tensor,
        target_heat: Tensor,
        *,
        initial: Tensor | None = None,
        limbs: Limbs | None = None,
        encode: Callable[[Tensor], Tensor] | None = None,
        iterations: int | None = None,
    ) -> Alignment:
        """Align a photo to a pose.

        Args:
            photo: I_S, (B, photo_channels, H, W) in [-1, 1].
            source_heat: heat maps of the person's pose on the photo, (B, J, h, w), h = H / 8.
            target_heat: heat maps of the wanted pose, (B, J, h, w).
            initial: F^0, (B, 2, h, w); needed where the configuration says "limbs".
            limbs: ``limbs_of`` both poses; needed where it says "learned".
            encode: the autoencoder's ``encode``, for encoder_input "autoencoder".
            iterations: N, other than configured; weights that are not shared cannot do more.

        Returns:
            The alignment.

        Raises:
            SettingsError: an argument is missing, or means nothing to this configuration.
        """
        rounds = self._rounds(iterations)
        mapping, seen = self._initial(initial, limbs, target_heat)  # B,2,h,w; B,1,h,w or None
        prior = None if seen is None else (mapping, seen)
        target = self.pose_encoder(target_heat)  # F_T: B,D,h,w
        mappings, visibility = [], []
        for n in range(rounds):
            source = self._encode(photo, source_heat, mapping.detach(), encode, levels=1)[0]
            volume, aligned_target, aligned_source = self._match(n, target, source)
            step, logit = self._pick(self.aggregators, n)(
                volume, aligned_target, aligned_source, mapping.detach()
            )
            mapping = compose(mapping, step)  # Eq. 7: B,2,h,w
            mappings.append(mapping)
            visibility.append(logit if seen is None else seen + logit)  # B,1,h,w
        features = self._encode(photo, source_heat, mapping, encode)  # F_S^N: [B,D,h,w, ...]
        return Alignment(features, mappings, visibility, warp(photo, mapping), prior)

    def along(
        self,
        photo: Tensor,
        source_heat: Tensor,
        mapping: Tensor,
        *,
        encode: Callable[[Tensor], Tensor] | None = None,
    ) -> list[Tensor]:
        """Features of a photo warped by a mapping that is known: Eq. 9 without Eq. 5-8.

        Args:
            photo: I_S, as for ``forward``.
            source_heat: as for ``forward``.
            mapping: (B, 2, h, w), offsets in cells.
            encode: as for ``forward``.
        """
        return self._encode(photo, source_heat, mapping, encode)

    def _match(self, n: int, target: Tensor, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Eq. 5 and 6: the correlation volume, F_T' and F_S' of iteration n."""
        sides = self.config.neighbourhoods
        side = sides[min(n, len(sides) - 1)]
        target, source = self._pick(self.mapformers, n)(target, source, side)  # B,D,h,w each
        return correlation(target, source, self.config.radius), target, source

    def _encode(
        self,
        photo: Tensor,
        source_heat: Tensor,
        mapping: Tensor,
        encode: Callable[[Tensor], Tensor] | None,
        levels: int | None = None,
    ) -> list[Tensor]:
        """Eq. 9: F_S^n = Encoder(W(I_S; F^n)), at one or more levels."""
        seen = warp(photo, mapping)  # B,3,H,W
        if self.config.encoder_input != "autoencoder":
            with_heat = self.config.encoder_input == "rgb+heat"
            heat = warp(source_heat, mapping, "zeros") if with_heat else None  # B,J,h,w
            return list(self.encoder(seen, heat, levels))
        if encode is None:
            raise SettingsError("this alignment sees through an autoencoder: pass its encode")
        return list(self.encoder(encode(seen), None, levels))

    def _initial(
        self, initial: Tensor | None, limbs: Limbs | None, target_heat: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """F^0, (B, 2, h, w) float32, and the logit of its visibility where it is learned."""
        batch, _, h, w = target_heat.shape
        if self.prior is not None:
            if limbs is None:
                raise SettingsError("this alignment starts from a learned mapping: pass limbs")
            mapping, seen = self.prior(limbs)
            return mapping, seen
        if initial is None:
            if self.config.initial == "limbs":
                raise SettingsError("this alignment starts from the limb mapping: pass initial")
            return identity(batch, (h, w), target_heat), None
        if tuple(initial.shape) != (batch, 2, h, w):
            raise SettingsError(
                f"the initial mapping must be {(batch, 2, h, w)}, not {tuple(initial.shape)}"
            )
        return initial.float(), None

    def _rounds(self, iterations: int | None) -> int:
        rounds = self.config.iterations if iterations is None else iterations
        most = 32 if self.config.shared else self.config.iterations
        if not 1 <= rounds <= most:
            raise SettingsError(f"this alignment does 1..{most} iterations, not {rounds}")
        return int(rounds)

    def _pick(self, parts: nn.ModuleList, n: int) -> nn.Module:
        return parts[0] if self.config.shared else parts[n]
