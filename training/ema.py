"""The moving average of the weights: diffusers' ``EMAModel``, over the parameters of one module."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn


class Average:
    """EMA of a module's trained parameters, with warm-up: decay min(d, (1 + step) / (10 + step)).

    It works on whatever the parameters are, shards included; the average of each shard is its
    shard of the average.

    Args:
        module: whose parameters with ``requires_grad`` are followed.
        decay: d, 0.9999 in the paper.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        """Start from the module's weights."""
        from diffusers.training_utils import EMAModel

        self._parameters = [p for p in module.parameters() if p.requires_grad]
        self._model = EMAModel(self._parameters, decay=decay, foreach=True)

    @property
    def steps(self) -> int:
        """Updates so far."""
        return int(self._model.optimization_step)

    def update(self) -> None:
        """After a step of the optimiser."""
        self._model.step(self._parameters)

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """The module has the averaged weights inside, and its own, to the bit, afterwards."""
        own = [p.detach().clone() for p in self._parameters]
        self._model.copy_to(self._parameters)
        try:
            yield
        finally:
            with torch.no_grad():
                for parameter, value in zip(self._parameters, own, strict=True):
                    parameter.copy_(value)

    def adopt(self) -> None:
        """Give the module the averaged weights for good."""
        self._model.copy_to(self._parameters)

    def restart(self, steps: int) -> None:
        """Take the module's present weights as the average after ``steps`` updates: to resume."""
        with torch.no_grad():
            for shadow, parameter in zip(self._model.shadow_params, self._parameters, strict=True):
                shadow.copy_(parameter)
        self._model.optimization_step = steps
