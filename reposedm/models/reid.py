"""A re-identification network: BoT, the "strong baseline" (Luo et al., CVPR workshops 2019).

A ResNet whose last stage keeps its resolution, the mean over the picture as feature, and a batch
norm between feature and classifier (the BNNeck): the triplet loss sees the feature before it,
the classifier and the comparison of two pictures what comes after it.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn
from torch.nn import functional as F

from reposedm.models.bounds import check_choice, check_int

Backbone = Literal[
    "resnet50", "resnet18", "resnet18-w32", "resnet10-w32", "resnet10-w16", "resnet10-w8"
]
BACKBONES: Final = (
    "resnet50",
    "resnet18",
    "resnet18-w32",
    "resnet10-w32",
    "resnet10-w16",
    "resnet10-w8",
)
"""torchvision's two, and basic-block ResNets of 18 or 10 layers that begin with so many channels
instead of 64: for CPUs, and for tests."""

_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)


class Seen(NamedTuple):
    """What the network makes of a batch.

    Attributes:
        pooled: (B, D) before the batch norm, for the triplet loss.
        embedding: (B, D) after it; compared by the cosine.
        logits: (B, identities).
    """

    pooled: Tensor
    embedding: Tensor
    logits: Tensor


class ReIDNet(ModelMixin, ConfigMixin):
    """A person's picture to a feature that says who it is.

    Args:
        backbone: one of ``BACKBONES``; random weights.
        identities: that it is trained to tell apart.
        height: of the pictures it was trained on, pixels.
        width: likewise.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(
        self,
        *,
        backbone: Backbone = "resnet50",
        identities: int = 751,
        height: int = 256,
        width: int = 128,
    ) -> None:
        """Build; arguments above."""
        super().__init__()
        check_choice("backbone", backbone, BACKBONES)
        check_int("identities", identities, 1, 1_000_000)
        check_int("height", height, 32, 2048)
        check_int("width", width, 32, 2048)
        self.trunk, features = _trunk(backbone)
        self.neck = nn.BatchNorm1d(features)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(features, identities, bias=False)
        nn.init.normal_(self.classifier.weight, std=0.001)

    def forward(self, images: Tensor) -> Seen:
        """Features and logits.

        Args:
            images: (B, 3, H, W) in [0, 1]; BoT's normalisation is done here.
        """
        mean, deviation = (images.new_tensor(value)[:, None, None] for value in (_MEAN, _DEVIATION))
        pooled = self.trunk((images - mean) / deviation).mean((2, 3))  # B D
        embedding = self.neck(pooled)
        return Seen(pooled, embedding, self.classifier(embedding))

    @torch.no_grad()
    def embed(self, images: Tensor) -> Tensor:
        """(B, D) of length 1: a dot product is the cosine.

        Args:
            images: (B, 3, h, w) in [0, 1] of any size; resized to the one trained on.
        """
        size = (int(self.config["height"]), int(self.config["width"]))
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True)
        return F.normalize(self.forward(images).embedding)


def _trunk(name: str) -> tuple[nn.Module, int]:
    """The convolutions, with the last stage's stride 1; and the features that come out."""
    from torchvision.models import resnet18, resnet50

    if name == "resnet50":
        whole = resnet50(weights=None)
        whole.layer4[0].conv2.stride = (1, 1)
        whole.layer4[0].downsample[0].stride = (1, 1)
        return _convolutions(whole), 2048
    if name == "resnet18":
        whole = resnet18(weights=None)
        whole.layer4[0].conv1.stride = (1, 1)
        whole.layer4[0].downsample[0].stride = (1, 1)
        return _convolutions(whole), 512
    layers, first = name.removeprefix("resnet").split("-w")
    return _narrow(2 if layers == "18" else 1, int(first)), int(first) * 8


def _convolutions(whole: nn.Module) -> nn.Sequential:
    names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
    parts = nn.Sequential()
    for name in names:
        parts.add_module(name, getattr(whole, name))
    return parts


def _narrow(blocks: int, first: int) -> nn.Sequential:
    """torchvision's ResNet with so many basic blocks a stage; it has no argument for the width."""
    from torchvision.models.resnet import BasicBlock

    layers: list[nn.Module] = [
        nn.Conv2d(3, first, 7, 2, 3, bias=False),
        nn.BatchNorm2d(first),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    channels = first
    for width, stride in zip((first, 2 * first, 4 * first, 8 * first), (1, 2, 2, 1), strict=True):
        for number in range(blocks):
            step = stride if number == 0 else 1
            shortcut = None
            if step != 1 or width != channels:
                shortcut = nn.Sequential(
                    nn.Conv2d(channels, width, 1, step, bias=False), nn.BatchNorm2d(width)
                )
            layers.append(BasicBlock(channels, width, step, shortcut))
            channels = width
    network = nn.Sequential(*layers)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
