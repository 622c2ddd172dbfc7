"""What the tests of several networks share."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

SIZES = [(256, 176), (128, 64), (512, 352)]
"""H x W: DeepFashion, Market-1501, DeepFashion large."""


def stir(network: nn.Module, seed: int = 0, amount: float = 0.1) -> nn.Module:
    """Add noise to every parameter: layers that start at zero then take part, too."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(amount * torch.randn(parameter.shape, generator=generator))
    return network


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def photo(batch: int, height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Something as smooth as a photograph, in [-1, 1]: noise would turn rounding into errors."""
    coarse = noise(batch, channels, height // 8, width // 8, seed=seed)
    return torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear").clamp(-1, 1)


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def dead_parameters(network: nn.Module) -> list[str]:
    """Names of parameters whose gradient is missing or zero everywhere."""
    return [
        name
        for name, parameter in network.named_parameters()
        if parameter.numel() and (parameter.grad is None or not parameter.grad.any())
    ]


def check_saved(network: nn.Module, folder: Path) -> None:
    """Saved as safetensors, loaded again: every tensor is bit-equal and none is left on meta."""
    network.save_pretrained(folder)
    assert [file.suffix for file in folder.iterdir() if file.suffix != ".json"] == [".safetensors"]
    loaded, information = type(network).from_pretrained(
        folder, use_safetensors=True, output_loading_info=True
    )
    assert not any(information.values()), information
    assert _settings(loaded) == _settings(network)
    before, after = network.state_dict(), loaded.state_dict()
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]), name


def _settings(network: nn.Module) -> dict[str, object]:
    """The configuration as JSON has it: lists for tuples, without diffusers' own notes."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in network.config.items()
        if not name.startswith("_")
    }
