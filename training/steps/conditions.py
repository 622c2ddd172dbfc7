"""What a batch tells the U-Net, by the pipelines' own functions; shared by the stages."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

from torch import Tensor

from reposedm.models.alignment import Alignment
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.mapping import Limbs, limbs_of
from reposedm.pipelines.baselines import encoded
from reposedm.pipelines.conditions import Conditions, Inputs, source_of
from reposedm.pipelines.garment import told
from reposedm.pipelines.reposedm import aligned
from training.components import Components
from training.kept import KeptBatch
from training.loader import TrainingBatch
from training.swap_batch import SwapBatch

Logs = dict[str, Tensor]


def conditions_of_batch(
    components: Components, batch: TrainingBatch | SwapBatch
) -> tuple[Conditions, Alignment | None]:
    """What the U-Net is told, by the pipelines' own functions; and the alignment, if there is."""
    if isinstance(batch, SwapBatch):
        return told(components, batch.inputs)[0], None
    network, inputs = as_autoencoder(components.autoencoder), inputs_of_batch(batch)
    if components.alignment is not None and components.alignment.config.initial == "learned":
        inputs = dataclasses.replace(inputs, limbs=limbs_of_batch(batch))
    if components.alignment is None:
        return encoded(components.unet, network, components, inputs), None
    recorded = _Recorded(components.alignment)
    networks = SimpleNamespace(alignment=recorded, pose_encoder=components.pose_encoder)
    shown = aligned(components.unet, network, networks, inputs)
    source = source_of(components, inputs.photo, inputs.mask, inputs.source_heat)
    return dataclasses.replace(shown, source=source), recorded.found


def kept_conditions(components: Components, batch: KeptBatch) -> Conditions:
    """The same of kept samples: what is still trained is asked, all else was."""
    if batch.features is None:
        return _kept_of_b1(components, batch)
    alignment: Any = components.alignment
    latent: Any = components.pose_encoder
    source = None
    if batch.photo is not None and batch.source_heat is not None:
        source = source_of(components, *_photo_and_mask(batch.photo), batch.source_heat)
    context = alignment.encoder.levels_of(batch.features)
    return Conditions(latent(batch.target_heat), context, batch.extra, None, source=source)


def _kept_of_b1(components: Components, batch: KeptBatch) -> Conditions:
    if batch.photo is None or batch.source_heat is None or batch.initial is None:
        raise ValueError("kept samples of b1 hold photos, their poses and limb mappings")
    photo, mask = _photo_and_mask(batch.photo)
    inputs = Inputs(
        photo=photo,
        mask=mask,
        source_heat=batch.source_heat,
        target_heat=batch.target_heat,
        target_map=None,
        initial=batch.initial,
    )
    return encoded(components.unet, as_autoencoder(components.autoencoder), components, inputs)


def _photo_and_mask(photo: Tensor) -> tuple[Tensor, Tensor | None]:
    """A kept photo's colours, and its alpha as a mask in [0, 1]."""
    return photo[:, :3], photo[:, 3:] * 0.5 + 0.5 if photo.shape[1] > 3 else None


def limbs_of_batch(batch: TrainingBatch) -> Limbs:
    """What the bones of a batch's poses say about each cell."""
    return limbs_of(
        batch.source_joints, batch.target_joints, batch.source_states, batch.target_states,
        size=(batch.source.shape[2], batch.source.shape[3]),
        shape=(batch.target_heat.shape[2], batch.target_heat.shape[3]),
    )  # fmt: skip


def inputs_of_batch(batch: TrainingBatch) -> Inputs:
    """A batch as the pipelines' conditions see it."""
    alpha = batch.source_alpha
    return Inputs(
        photo=batch.source,
        mask=None if alpha is None else alpha * 0.5 + 0.5,
        source_heat=batch.source_heat,
        target_heat=batch.target_heat,
        target_map=batch.target_map,
        initial=batch.initial,
    )


def repeated(shown: Conditions, copies: int) -> Conditions:
    """The same conditions for ``copies`` noises of each sample, the batch ``copies`` times over."""
    if copies == 1:
        return shown

    def many(x: Any) -> Any:
        return None if x is None else x.repeat(copies, 1, 1, 1)

    return dataclasses.replace(
        shown,
        pose=shown.pose.repeat(copies, 1, 1, 1),
        context=[one.repeat(copies, 1, 1, 1) for one in shown.context],
        extra=many(shown.extra),
        source=None if shown.source is None else [many(one) for one in shown.source],
    )


class _Recorded:
    """Alignment that remembers what it found: the U-Net needs a part, its own loss the rest."""

    def __init__(self, module: Any) -> None:
        self.module, self.config = module, module.config
        self.found: Alignment | None = None

    def __call__(self, *inputs: Any, **given: Any) -> Alignment:
        found: Alignment = self.module(*inputs, **given)
        self.found = found
        return found
