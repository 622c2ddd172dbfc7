"""Networks that take turns on an accelerator, for when they do not fit there together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn

TOGETHER: Final = (
    frozenset({"alignment", "encoder", "pose_encoder", "autoencoder"}),  # what a run begins with
    frozenset({"autoencoder", "estimator"}),  # one gradient goes through both
    frozenset({"unet"}),
)
"""Networks that may be on the accelerator at the same time."""

ENTRANCES: Final = ("forward", "along", "encode", "decode", "heat_maps")
"""Methods by which pipelines use networks."""


class Turns:
    """Keeps the weights in the computer's memory; a network is brought over when it is used.

    It leaves again as soon as one is used that it is not ``TOGETHER`` with. For networks that do
    not change: nothing is copied back.

    Args:
        networks: by their names in a pipeline; moved to the computer's memory.
        device: where they work.

    Attributes:
        device: where they work.
        present: names of those that are there now.
    """

    def __init__(self, networks: Mapping[str, nn.Module], device: torch.device | str) -> None:
        """Start with no network on the device."""
        self.device = torch.device(device)
        self.present: set[str] = set()
        self._networks = dict(networks)
        self._home: dict[str, list[tuple[Tensor, Tensor]]] = {}
        for name, network in self._networks.items():
            nn.Module.to(network, "cpu")
            self._home[name] = [(tensor, tensor.data) for tensor in _tensors(network)]
            for entrance in ENTRANCES:
                if hasattr(network, entrance):
                    setattr(network, entrance, self._bringing(name, getattr(network, entrance)))

    def use(self, name: str) -> None:
        """Bring a network over, and send those home that must not be there with it."""
        if name in self.present:
            return
        for other in tuple(self.present):
            if not any({name, other} <= group for group in TOGETHER):
                self._leave(other)
        self.present.add(name)
        for tensor, home in self._home[name]:
            tensor.data = home.to(self.device, copy=True)

    def end(self) -> None:
        """All go home, and stay wherever they are put from now on."""
        for name, network in self._networks.items():
            self._leave(name)
            for entrance in ENTRANCES:
                vars(network).pop(entrance, None)

    def _leave(self, name: str) -> None:
        self.present.discard(name)
        for tensor, home in self._home[name]:
            tensor.data = home

    def _bringing(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def brought(*args: Any, **kwargs: Any) -> Any:
            self.use(name)
            return method(*args, **kwargs)

        return brought


def _tensors(network: nn.Module) -> Iterator[Tensor]:
    yield from network.parameters()
    yield from network.buffers()
