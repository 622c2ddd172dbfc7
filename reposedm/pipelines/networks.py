"""What every pipeline of networks can: be called, moved, saved, loaded and published."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

import torch
from diffusers.configuration_utils import ConfigMixin
from torch import nn

from reposedm.errors import SettingsError
from reposedm.pipelines.base import Output, drain
from reposedm.pipelines.turns import Turns
from reposedm.pipelines.weights import library_of, load_pipeline, names_of, push, save_pipeline
from reposedm.weights import INDEX


class NetworkPipeline(ConfigMixin):
    """A pipeline with a ``stream`` and a ``unet``; most of ``base.Method``.

    Its folders are those of diffusers' pipelines: ``model_index.json`` and a folder a component.
    It is none of them: importing ``DiffusionPipeline`` imports every model that diffusers has, and
    transformers, seconds between the app's start and the first picture; and loading, saving and
    moving are stricter here.

    Attributes:
        optional_components: names of those that can be None.
        turns: while the networks take turns on a device; see ``offload``.
    """

    config_name = INDEX
    optional_components: ClassVar[list[str]] = []
    turns: Turns | None = None

    def __call__(self, *args: Any, **kwargs: Any) -> Output:
        """Run ``stream`` to its end; without previews."""
        return drain(self.stream(*args, **{"preview_every": 0, **kwargs}))

    def register_modules(self, **components: Any) -> None:
        """Keep components by their names, and name their classes in the configuration."""
        for name, component in components.items():
            self.register_to_config(**{name: library_of(component)})
            setattr(self, name, component)

    @property
    def components(self) -> dict[str, Any]:
        """Everything that the constructor takes and that is not a setting, by name."""
        required, optional, _ = names_of(type(self))
        return {name: getattr(self, name, None) for name in (*required, *optional)}

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Those that are there, by name."""
        found = self.components.items()
        return {name: one for name, one in found if isinstance(one, nn.Module)}

    @property
    def working_device(self) -> torch.device:
        """Where the networks work, whether or not their weights are there now."""
        found: torch.device = next(self.unet.parameters()).device
        return found if self.turns is None else self.turns.device

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move every network, as ``torch.nn.Module.to`` does; returns the pipeline.

        Networks that took turns do so no longer.
        """
        self._end_turns()
        for network in self.networks.values():
            nn.Module.to(network, *args, **kwargs)  # ``ModelMixin.to`` warns about each format
        return self

    def offload(self, device: str | torch.device) -> Self:
        """Let the networks take turns on a device that cannot hold them all, until ``to``."""
        self._end_turns()
        self.turns = Turns(self.networks, device)
        return self

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the folder that ``from_pretrained`` reads, with a SHA-256 of every file."""
        _refuse_options(kwargs)
        save_pipeline(self, save_directory)

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: str | os.PathLike[str], **kwargs: Any
    ) -> Self:
        """Read a folder, strictly: see ``weights.load_pipeline``.

        Raises:
            WeightsError: anything absent, damaged, changed, unexpected or not finite.
        """
        _refuse_options(kwargs)
        components, settings = load_pipeline(cls, pretrained_model_name_or_path)
        return cls(**components, **settings)

    def check_saved(self, folder: str | os.PathLike[str]) -> None:
        """Read back, strictly, what ``save_pretrained`` wrote.

        Raises:
            WeightsError: see ``from_pretrained``.
        """
        type(self).from_pretrained(folder)

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> str:
        """Upload to the Hugging Face hub, private at first; see ``weights.push``."""
        return push(self, repo_id, **kwargs)

    def _end_turns(self) -> None:
        if self.turns is not None:
            self.turns.end()
            self.turns = None


def _refuse_options(options: dict[str, Any]) -> None:
    """diffusers' options of loading and saving mean nothing here.

    Raises:
        SettingsError: names the first.
    """
    for name in options:
        raise SettingsError(
            f"{name} is not an option: weights are safetensors, read strictly and in float32; "
            "use .to(device, dtype) afterwards"
        )
