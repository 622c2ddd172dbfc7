"""From a data set to the batches of a stage, in an order that no restart changes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reposedm.diffusion.interaction import COCO_17
from reposedm.models.mapping import limb_mapping
from reposedm.pipelines.conditions import ESTIMATOR_STRIDE, HEAT_SIGMA, estimator_heat
from reposedm.pose import heat_maps
from training.checks import GARMENT_STAGES
from training.config import StageName, TrainConfig
from training.data import Augmented, Batch, EpochSampler, Key, Pairs, Sample, collate, open_dataset
from training.kept import Chained, KeptSamples, make_kept_batch

ESTIMATOR_SIGMA = 2.0
"""Of a head's heat maps, in its own cells: HigherHRNet's."""


@dataclass(frozen=True, eq=False)
class TrainingBatch(Batch):
    """A ``Batch`` with what the stages need beside.

    Attributes:
        initial: limb mapping from source to target, (B, 2, h, w).
        coarse_heat17: the estimator's stage only: heat maps of its first head, (B, 17, H/4, W/4);
            ``target_heat17`` is then that of its second, otherwise the mean of both.
    """

    initial: Tensor = dataclasses.field(default_factory=lambda: torch.zeros(0))
    coarse_heat17: Tensor | None = None

    def to(self, device: Any, *, non_blocking: bool = False) -> TrainingBatch:
        """The batch with its tensors on a device."""
        return cast(TrainingBatch, super().to(device, non_blocking=non_blocking))


@dataclass(frozen=True)
class Needs:
    """What a stage wants in its batches beside pictures and heat maps."""

    heat17: bool = False
    both_heads: bool = False
    maps: bool = False


def needs_of(config: TrainConfig, stage: StageName) -> Needs:
    """What the batches of a stage must hold."""
    maps = config.models.pose_encoder.get("pose_representation") == "map_latent"
    guided = stage == "diffusion" and config.diffusion.guided
    return Needs(guided, stage == "estimator", maps and stage == "diffusion")


def make_batch(samples: Sequence[Sample], size: tuple[int, int], needs: Needs) -> TrainingBatch:
    """Samples of one size (H, W) to a batch on the CPU."""
    plain = collate(samples, size, sigma=HEAT_SIGMA, maps=needs.maps)
    fields = {f.name: getattr(plain, f.name) for f in dataclasses.fields(plain)}
    initial = limb_mapping(
        plain.source_joints,
        plain.target_joints,
        plain.source_states,
        plain.target_states,
        size=size,
        shape=(plain.target_heat.shape[2], plain.target_heat.shape[3]),
    )
    poses = [_scaled(sample, size) for sample in samples]
    coarse = None
    if needs.both_heads:
        fields["target_heat17"], coarse = (
            _stack(
                heat_maps(pose, (size[0] // stride, size[1] // stride), ESTIMATOR_SIGMA)[
                    list(COCO_17)
                ]
                for pose in poses
            )
            for stride in (ESTIMATOR_STRIDE, 2 * ESTIMATOR_STRIDE)
        )
    elif needs.heat17:
        fields["target_heat17"] = _stack(estimator_heat(pose, (size[1], size[0])) for pose in poses)
    return TrainingBatch(**fields, initial=initial, coarse_heat17=coarse)


class Stream:
    """The batches of one process in one stage, by their number, without an end.

    Args:
        config: of the run.
        stage: of the run.
        rank: this process.
        world: processes.
        pairs: the data; None: opened as configured.
        needs: of the batches; None: the stage's own.
    """

    def __init__(
        self,
        config: TrainConfig,
        stage: StageName,
        *,
        rank: int = 0,
        world: int = 1,
        pairs: Pairs | None = None,
        needs: Needs | None = None,
    ) -> None:
        """Open the data set; no picture is read."""
        self.config, self.rank, self.world = config, rank, world
        self.batch = config.stage(stage).batch
        kept = config.diffusion.kept if stage == "diffusion" and pairs is None else ()
        if kept:
            pairs = cast(Pairs, Chained([KeptSamples(folder) for folder in kept]))
        self.pairs = open_pairs(config, config.data.split, stage) if pairs is None else pairs
        self._dataset: Any
        self._make: Any
        if kept:
            self._make, self._dataset = make_kept_batch, self.pairs
        elif stage in GARMENT_STAGES:
            from training.garments.data import Varied, make_batch_of

            self._make = partial(make_batch_of, size=config.data.size)
            self._dataset = Varied(cast(Any, self.pairs), seed=config.seed)
        elif config.method == "swap":
            from training.datasets.swap import Varied as VariedTriples
            from training.swap_batch import make_swap_batch

            self._make = partial(make_swap_batch, size=config.data.size)
            self._dataset = VariedTriples(cast(Any, self.pairs), seed=config.seed)
        else:
            if config.data.still:
                self.pairs = Still(self.pairs, config.data.still)
            wanted = needs_of(config, stage) if needs is None else needs
            self._make = partial(make_batch, size=config.data.size, needs=wanted)
            self._dataset = Augmented(self.pairs, seed=config.seed)

    def places(self, number: int) -> range:
        """Where in the stage's stream the samples of a batch stand."""
        start = (number * self.world + self.rank) * self.batch
        return range(start, start + self.batch)

    def batches(self, start: int) -> Iterator[TrainingBatch]:
        """The batches from number ``start`` on, loaded by the configured number of workers."""
        from torch.utils.data import DataLoader

        workers = self.config.data.workers
        loader = DataLoader(
            cast(Any, self._dataset),
            batch_sampler=cast(Any, self._sampler(start)),
            collate_fn=self._make,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            prefetch_factor=4 if workers else None,
            generator=torch.Generator(),  # else it draws from the one that is saved and resumed
        )
        return iter(loader)

    def read(self, places: range) -> TrainingBatch:
        """The samples at these places of the stage's stream, read here and now."""
        sampler = EpochSampler(len(self.pairs), 1, seed=self.config.seed)
        made: TrainingBatch = self._make(
            [self._dataset[sampler.batch(place)[0]] for place in places]
        )
        return made

    def some(self, count: int) -> list[TrainingBatch]:
        """The first batches of process 0 of 1, unaugmented: the same in every process."""
        sampler = EpochSampler(len(self.pairs), self.batch, seed=self.config.seed)
        return [
            self._make([self.pairs[key[1]] for key in sampler.batch(number)])
            for number in range(count)
        ]

    def _sampler(self, start: int) -> EpochSampler:
        return EpochSampler(
            len(self.pairs),
            self.batch,
            seed=self.config.seed,
            rank=self.rank,
            world=self.world,
            start_step=start,
        )


class Limited:
    """The first pairs of a data set."""

    def __init__(self, pairs: Pairs, count: int) -> None:
        """Keep ``count`` of them."""
        self._pairs, self._count = pairs, min(count, len(pairs))

    def __len__(self) -> int:
        """How many."""
        return self._count

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number."""
        return self._pairs[index]


class Still:
    """Pairs, a part of which have the target as their photo, too: see ``DataConfig.still``."""

    def __init__(self, pairs: Pairs, share: float) -> None:
        """Change ``share`` of them, the same ones always."""
        self._pairs, self._share = pairs, share

    def __len__(self) -> int:
        """How many."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number."""
        sample = self._pairs[index]
        if np.random.default_rng(index).random() >= self._share:
            return sample
        changes: dict[str, Any] = {
            "source_image": sample.target_image, "source_pose": sample.target_pose,
            "source_alpha": sample.target_alpha, "source_name": sample.target_name,
        }  # fmt: skip
        if sample.mapping is not None and sample.seen is not None:
            changes["mapping"] = np.zeros_like(sample.mapping)
            changes["seen"] = np.ones_like(sample.seen)
        return sample.replace(**changes)


def open_pairs(config: TrainConfig, split: str, stage: StageName = "diffusion") -> Pairs:
    """The pairs of a split as configured; for a garment stage, its pictures; swap's triples."""
    data = config.data
    if stage in GARMENT_STAGES:
        from training.garments.data import open_pictures

        return cast(Pairs, open_pictures(stage, data.kind, data.root, split, data.size))
    if config.method == "swap":
        from training.datasets.swap import SwapTriples

        return cast(Pairs, SwapTriples(data.root, split, config.seed, limit=data.limit))
    pairs = open_dataset(data.kind, data.root, split, data.size)
    return Limited(pairs, data.limit) if data.limit else pairs


def _scaled(sample: Sample, size: tuple[int, int]) -> Any:
    """The target pose in pixels of the training size."""
    scale = (size[1] / sample.size[1], size[0] / sample.size[0])
    return sample.target_pose.transformed(scale, (0, 0), (size[1], size[0]))


def _stack(maps: Iterator[NDArray[np.float32]]) -> Tensor:
    return torch.from_numpy(np.stack(list(maps)))


__all__ = ["Key", "Limited", "Needs", "Stream", "TrainingBatch", "make_batch", "needs_of"]
