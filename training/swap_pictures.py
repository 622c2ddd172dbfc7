"""Pictures of garment swaps beside the true answers: for people who look."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reposedm.imaging.composite import over
from reposedm.imaging.fill import fill_background
from reposedm.pipelines.base import Output
from training.components import Components
from training.datasets.swap import SwapSample
from training.loader import open_pairs
from training.swap_batch import share

Pixels = NDArray[np.uint8]


def swap_grid(components: Components) -> Pixels:
    """Rows of person, garment, the pipeline's answer and the true one, uint8 (rows H, 4 W, 3)."""
    config = components.config
    triples: Any = open_pairs(config, config.data.validation)
    pipeline: Any = components.pipeline()
    count = min(config.log.samples, len(triples))
    rows = []
    for number in range(count):
        sample: SwapSample = triples[number * len(triples) // count]
        made = answer(
            pipeline,
            sample,
            steps=config.log.sample_steps,
            generators=[torch.Generator().manual_seed(config.seed + number)],
        )[0]
        rows.append(row(sample, [made]))
    return np.concatenate(rows)


def answer(method: Any, sample: SwapSample, **options: Any) -> list[Pixels]:
    """What a swap method makes of a triple, on its background; it is never shown the truth."""
    made: Output = method(
        sample.image,
        sample.pose,
        sample.garment,
        sample.garment_pose,
        garment_mask=share(sample.garment_mask),
        region_mask=sample.mask.astype(np.float32),
        region=sample.region,
        source_mask=share(sample.alpha),
        garment_person=None if sample.product else share(sample.wearer),
        **options,
    )
    behind = fill_background(sample.image, share(sample.alpha))
    inside = sample.mask[..., None]
    return [np.where(inside, over(behind, image), sample.image) for image in made.images]


def row(sample: SwapSample, answers: list[Pixels]) -> Pixels:
    """Person, garment (grey elsewhere), answers and truth side by side, uint8 (H, n W, 3)."""
    only = np.where(sample.garment_mask[..., None] > 127, sample.garment, 128).astype(np.uint8)
    return np.concatenate([sample.image, only, *answers, sample.truth], 1)
