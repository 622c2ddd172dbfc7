"""Pipelines that store the finest grid of RePoseDM's U-Net alone, and take all else from there."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, Final, Self

from torch import nn

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.finest import FinestGrid, finest_prefixes
from reposedm.pipelines.networks import NetworkPipeline
from reposedm.pipelines.weights import fingerprint, load_component, load_pipeline, network_class
from reposedm.weights import INDEX

SHARED: Final = ("autoencoder", "alignment", "pose_encoder", "unet", "encoder")
"""Networks that come from RePoseDM's own folder; of the U-Net, what is not its finest grid. The
encoder is there where the U-Net has ``source_context``."""


class FinestPipeline(NetworkPipeline):
    """A pipeline with the networks ``SHARED`` and the optional component ``finest``.

    Its constructor puts ``finest``, where it is given, into a copy of the U-Net.
    """

    def save_pretrained(self, save_directory: str | os.PathLike[str], **kwargs: Any) -> None:
        """Write the finest grid in 16 bits; the shared networks are named by a fingerprint."""
        present = {**self.networks, "finest": None}
        stored: dict[str, Any] = dict.fromkeys(SHARED)
        finest = FinestGrid.of(self.unet)
        self.register_modules(**stored, finest=nn.Module.half(finest))
        try:
            super().save_pretrained(save_directory, **kwargs)
        finally:
            self.register_modules(**present)

    def check_saved(self, folder: str | os.PathLike[str]) -> None:
        """Read back the finest grid: the shared networks are not in the folder."""
        load_pipeline(type(self), folder)

    @classmethod
    def from_pretrained(
        cls,
        pretrained_model_name_or_path: str | os.PathLike[str],
        *,
        shared: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> Self:
        """Read a folder and the shared networks of another one, strictly.

        Args:
            pretrained_model_name_or_path: the folder with the finest grid.
            shared: RePoseDM's folder; None: ``reposedm`` beside it.
            kwargs: refused.

        Raises:
            WeightsError: anything absent, damaged, changed, unexpected or not finite, or other
                networks than those of the training.
        """
        for name in kwargs:
            raise SettingsError(f"{name} is not an option of weights that share networks")
        folder = Path(pretrained_model_name_or_path).expanduser()
        components, settings = load_pipeline(cls, folder)
        if components["finest"] is None:
            raise WeightsError(f"{folder / INDEX} names no finest grid: it is all that is stored.")
        beside = folder.parent / "reposedm" if shared is None else Path(shared).expanduser()
        for name in SHARED:
            if name == "encoder" and not components["unet"].config.source_context:
                continue
            components[name] = load_component(network_class(name, beside / name), beside / name)
        return cls(**components, **settings)


def fingerprint_of_shared(
    autoencoder: Any,
    alignment: Any,
    pose_encoder: Any,
    unet: Any,
    encoder: Any,
    *,
    expected: str,
    config: str,
) -> str:
    """Of all that is not stored: whole networks, and the U-Net's coarser grids.

    Args:
        autoencoder: RePoseDM's.
        alignment: RePoseDM's.
        pose_encoder: RePoseDM's.
        unet: RePoseDM's.
        encoder: RePoseDM's, or None.
        expected: the fingerprint that the weights name; "": none.
        config: of ``training.configs`` that trains them, for the message.

    Raises:
        WeightsError: it is another one.
    """
    found = hashlib.sha256()
    for network in (autoencoder, alignment, pose_encoder, encoder):
        if network is not None:
            found.update(fingerprint(network).encode())
    found.update(fingerprint(unet, without=finest_prefixes(unet)).encode())
    if expected not in {"", found.hexdigest()}:
        raise WeightsError(
            f"the weights of {config} belong to other weights of RePoseDM than those that are "
            "installed: get both from the same release, or train them again "
            f"(python -m training.train --config {config})"
        )
    return found.hexdigest()
