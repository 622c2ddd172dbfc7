"""The finest grid of a U-Net alone: what a task that is near another one has of its own.

Grids of 16 x 11 and 8 x 6 cells say who and what is where; the finest one says how that looks. A
task that shares the former with reposing stores a twentieth of the weights, and learns in minutes.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import Any

from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import nn

from reposedm.errors import WeightsError
from reposedm.models.unet import UNet


class FinestGrid(ModelMixin, ConfigMixin):
    """Stem, first stage down, last stage up, output and gates of a ``UNet``, to be stored.

    Args:
        unet: the arguments of the whole network.

    Raises:
        WeightsError: an argument out of bounds.
    """

    @register_to_config
    def __init__(self, *, unet: Mapping[str, Any]) -> None:
        """Build with random weights; ``of`` takes a network's."""
        super().__init__()
        if not isinstance(unet, Mapping):
            raise WeightsError(f"unet of a finest grid is the network's settings, not {unet!r:.40}")
        try:
            whole = UNet(**unet)
        except TypeError as error:
            raise WeightsError(f"the finest grid of an unknown U-Net: {error}") from error
        self.stem = whole.stem
        self.down = whole.down[0]
        self.up = whole.up[-1]
        self.out = whole.out
        self.gates: Any = whole.gates

    @classmethod
    def of(cls, unet: Any) -> FinestGrid:
        """A copy of a network's own."""
        made = cls(unet=_settings(unet))
        made.load_state_dict(
            {name: value for part, module in _parts(unet).items()
             for name, value in module.state_dict(prefix=f"{part}.").items()}
        )  # fmt: skip
        nn.Module.to(made, next(unet.parameters()).dtype)  # ``ModelMixin.to`` warns of each format
        return made

    def put_into(self, unet: Any) -> UNet:
        """A copy of a network with this finest grid in the place of its own.

        Raises:
            WeightsError: a network of other settings.
        """
        if _whole(self.config.unet) != _settings(unet):
            raise WeightsError("these weights are of the finest grid of another U-Net")
        made: UNet = copy.deepcopy(unet)
        for part, module in _parts(made).items():
            module.load_state_dict(getattr(self, part).state_dict())
        return made


def finest_prefixes(unet: Any) -> tuple[str, ...]:
    """Beginnings of the names that the parameters of a network's finest grid have."""
    found = ("stem.", "down.0.", f"up.{len(unet.up) - 1}.", "out.")
    return (*found, "gates.") if unet.gates is not None else found


def _parts(unet: Any) -> dict[str, nn.Module]:
    found = {"stem": unet.stem, "down": unet.down[0], "up": unet.up[-1], "out": unet.out}
    return {**found, "gates": unet.gates} if unet.gates is not None else found


def _whole(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with the defaults of what a U-Net did not know when they were written."""
    known = inspect.signature(UNet.__init__).parameters
    defaults = {name: one.default for name, one in known.items()
                if name != "self" and one.default is not inspect.Parameter.empty}  # fmt: skip
    return {name: list(value) if isinstance(value, (list, tuple)) else value
            for name, value in {**defaults, **settings}.items()}  # fmt: skip


def _settings(unet: Any) -> dict[str, Any]:
    """As they are read back from a file: lists, no tuples."""
    return {name: list(value) if isinstance(value, (list, tuple)) else value
            for name, value in unet.config.items() if not name.startswith("_")}  # fmt: skip
