"""HigherHRNet: heat maps and grouping tags of everybody on a picture.

Names and shapes of all tensors are those of the original repository (and of mmpose 0.x below its
prefixes), so that public checkpoints fit key for key; hence ``conv1``, ``layer1``, ``stage2``...

B batch, H W pixels, J joints, w width (channels of the finest branch).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config
from torch import Tensor, nn

from reposedm.models.bounds import check_int, check_ints

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

STRIDE = 32
"""The coarsest branch has one cell for so many pixels; sides must be multiples of it."""


class HigherHRNet(ModelMixin, ConfigMixin):
    """HRNet with four resolutions, a head at 1/4, and a second head one deconvolution higher.

    Args:
        width: channels of the finest branch; the others have 2, 4 and 8 times as many.
            32 and 48 are the published ones.
        joints: J, 17 for COCO.
        stem_channels: channels of the two first convolutions.
        bottlenecks: blocks of ``layer1``.
        modules: exchanges between the branches with 2, 3 and 4 of them.
        blocks: residual blocks per branch and exchange, and after the deconvolution.

    Raises:
        WeightsError: an argument that no such network has.
    """

    @register_to_config
    def __init__(
        self,
        width: int = 32,
        joints: int = 17,
        *,
        stem_channels: int = 64,
        bottlenecks: int = 4,
        modules: tuple[int, int, int] = (1, 4, 3),
        blocks: int = 4,
    ) -> None:
        """Build with random weights."""
        w = check_int("width", width, 4, 128)
        check_int("joints", joints, 1, 256)
        c = check_int("stem_channels", stem_channels, 4, 256)
        check_int("bottlenecks", bottlenecks, 1, 16)
        exchanges = check_ints("modules", modules, 3, 1, 16)
        check_int("blocks", blocks, 1, 16)
        super().__init__()
        self.conv1 = nn.Conv2d(3, c, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c)
        self.conv2 = nn.Conv2d(c, c, 3, 2, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c)
        self.layer1 = nn.Sequential(
            Bottleneck(c, c), *(Bottleneck(4 * c, c) for _ in range(bottlenecks - 1))
        )
        self.transition1 = nn.ModuleList(
            (conv_bn_relu(4 * c, w), nn.Sequential(conv_bn_relu(4 * c, 2 * w, stride=2)))
        )
        self.stage2 = stage(2, w, exchanges[0], blocks)
        self.transition2 = new_branch(2, w)
        self.stage3 = stage(3, w, exchanges[1], blocks)
        self.transition3 = new_branch(3, w)
        self.stage4 = stage(4, w, exchanges[2], blocks, last=True)
        self.final_layers = nn.ModuleList((nn.Conv2d(w, 2 * joints, 1), nn.Conv2d(w, joints, 1)))
        self.deconv_layers = nn.ModuleList((deconvolution(w + 2 * joints, w, blocks),))
        for head in self.final_layers:
            nn.init.normal_(head.weight, std=0.001)
            nn.init.zeros_(head.bias)

    @classmethod
    def small(cls) -> HigherHRNet:
        """The configuration whose weights ship with the program: 1.5 M parameters."""
        return cls(width=16, stem_channels=32, bottlenecks=2, modules=(1, 2, 1), blocks=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Heat maps with tags at 1/4, and finer heat maps at 1/2.

        Args:
            x: (B, 3, H, W) RGB with ImageNet's mean and deviation removed; sides multiples of 32.

        Returns:
            (B, 2 J, H/4, W/4): J heat maps, then J tags; and (B, J, H/2, W/2) heat maps. A heat
            map peaks at about 1 on a joint; joints of one person have about the same tag.
        """
        f = self.features(x)  # (B, w, H/4, W/4)
        coarse = self.final_layers[0](f)  # (B, 2J, H/4, W/4)
        fine = self.deconv_layers[0](torch.cat((f, coarse), 1))  # (B, w, H/2, W/2)
        return coarse, self.final_layers[1](fine)  # (B, 2J, H/4, W/4), (B, J, H/2, W/2)

    def features(self, x: Tensor) -> Tensor:
        """The backbone P_phi: (B, 3, H, W) as in ``forward`` -> (B, w, H/4, W/4), never negative.

        Raises:
            ValueError: a side that is not a multiple of 32.
        """
        if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % STRIDE or x.shape[3] % STRIDE:
            raise ValueError(
                f"HigherHRNet takes (B, 3, H, W) with sides that are multiples of {STRIDE}, "
                f"not {tuple(x.shape)}"
            )
        x = F.relu(self.bn1(self.conv1(x)))  # (B, c, H/2, W/2)
        x = F.relu(self.bn2(self.conv2(x)))  # (B, c, H/4, W/4)
        x = self.layer1(x)  # (B, 4c, H/4, W/4)
        branches = self.stage2([transition(x) for transition in self.transition1])
        branches = self.stage3([*branches, self.transition2[-1](branches[-1])])
        branches = self.stage4([*branches, self.transition3[-1](branches[-1])])
        return branches[0]

    def heat_maps(self, x: Tensor) -> Tensor:
        """Heat maps of an ordinary picture, differentiable with respect to it.

        Args:
            x: (B, 3, H, W) RGB in [-1, 1]; sides multiples of 4 (of 256 x 176, say). It is padded
                right and below to multiples of 32 with ImageNet's mean.

        Returns:
            (B, J, H/2, W/2), the mean of both heads.

        Raises:
            ValueError: a side that is not a multiple of 4.
        """
        height, width = x.shape[-2:]
        if height % 4 or width % 4:
            raise ValueError(f"heat_maps takes sides that are multiples of 4, not {tuple(x.shape)}")
        x = F.pad(imagenet_normalised(x), (0, -width % STRIDE, 0, -height % STRIDE))
        coarse, fine = self(x)
        return mean_heat(coarse, fine)[..., : height // 2, : width // 2]


def imagenet_normalised(x: Tensor) -> Tensor:
    """RGB in [-1, 1] (B, 3, H, W) -> ImageNet's mean and deviation removed."""
    mean = torch.tensor(IMAGENET_MEAN, dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    std = torch.tensor(IMAGENET_STD, dtype=x.dtype, device=x.device).view(1, 3, 1, 1)
    return ((x + 1) / 2 - mean) / std


def mean_heat(coarse: Tensor, fine: Tensor) -> Tensor:
    """The two outputs of ``HigherHRNet`` -> (B, J, H/2, W/2), both heads at the finer grid."""
    joints = fine.shape[1]
    size = fine.shape[-2:]
    raised = F.interpolate(coarse[:, :joints], size=size, mode="bilinear", align_corners=False)
    return (raised + fine) / 2


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 with a residual: ``inside`` channels within, 4 times as many outside."""

    def __init__(self, channels: int, inside: int) -> None:
        """Residual branch, and a 1x1 convolution where the number of channels changes."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, inside, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inside)
        self.conv2 = nn.Conv2d(inside, inside, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(inside)
        self.conv3 = nn.Conv2d(inside, 4 * inside, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * inside)
        self.downsample = (
            nn.Identity() if channels == 4 * inside else conv_bn(channels, 4 * inside, kernel=1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w) -> (B, 4 inside, h, w)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        return F.relu(self.bn3(self.conv3(y)) + self.downsample(x))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a residual."""

    def __init__(self, channels: int) -> None:
        """The number of channels stays."""
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, h, w), same shape."""
        y = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(y)) + x)


class Exchange(nn.Module):
    """Residual blocks on every branch, then each output is the sum of all branches.

    Branch i has ``width * 2**i`` channels at 1/2**i of the finest grid. ``outputs`` is how many
    branches go on: all, but only the finest after the last exchange of the network.
    """

    def __init__(self, branches: int, width: int, blocks: int, outputs: int) -> None:
        """Build the branches and the layers between them."""
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(BasicBlock(width * 2**i) for _ in range(blocks)))
            for i in range(branches)
        )
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(between(j, i, width) for j in range(branches)) for i in range(outputs)
        )

    def forward(self, x: list[Tensor]) -> list[Tensor]:
        """One tensor per branch -> one per output; branch i is (B, w 2**i, h/2**i, w/2**i)."""
        x = [branch(tensor) for branch, tensor in zip(self.branches, x, strict=True)]
        return [
            F.relu(sum(layer(tensor) for layer, tensor in zip(layers, x, strict=True)))
            for layers in self.fuse_layers
        ]


def stage(branches: int, width: int, exchanges: int, blocks: int, last: bool = False) -> nn.Module:
    """Several exchanges; the very last one of the network keeps only the finest branch."""
    outputs = [branches] * exchanges
    if last:
        outputs[-1] = 1
    return nn.Sequential(*(Exchange(branches, width, blocks, count) for count in outputs))


def between(j: int, i: int, width: int) -> nn.Module:
    """From branch j to branch i: nothing, up by 2**(j-i), or i-j convolutions of stride 2."""
    here, there = width * 2**j, width * 2**i
    if i == j:
        return nn.Identity()
    if j > i:
        up = nn.Upsample(scale_factor=2 ** (j - i), mode="nearest")
        return nn.Sequential(*conv_bn(here, there, kernel=1), up)
    halvings = [conv_bn_relu(here, here, stride=2) for _ in range(i - j - 1)]
    return nn.Sequential(*halvings, conv_bn(here, there, stride=2))


def new_branch(branches: int, width: int) -> nn.ModuleList:
    """The existing branches go on as they are; one more starts from the coarsest of them."""
    here = width * 2 ** (branches - 1)
    start = nn.Sequential(conv_bn_relu(here, 2 * here, stride=2))
    return nn.ModuleList((*(nn.Identity() for _ in range(branches)), start))


def deconvolution(channels: int, width: int, blocks: int) -> nn.Module:
    """(B, channels, h, w) -> (B, width, 2 h, 2 w)."""
    up = nn.Sequential(
        nn.ConvTranspose2d(channels, width, 4, 2, 1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
    )
    return nn.Sequential(up, *(nn.Sequential(BasicBlock(width)) for _ in range(blocks)))


def conv_bn(channels: int, out: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """A convolution that keeps the size (but for its stride), and its normalisation."""
    conv = nn.Conv2d(channels, out, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out))


def conv_bn_relu(channels: int, out: int, stride: int = 1) -> nn.Sequential:
    """``conv_bn`` of 3x3 and a rectifier."""
    return nn.Sequential(*conv_bn(channels, out, stride=stride), nn.ReLU())
