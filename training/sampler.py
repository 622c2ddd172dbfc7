"""Which samples a step gets: a stream that does not depend on workers, processes or restarts."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError


class Key(NamedTuple):
    """A sample and the epoch it is drawn in, which decides its augmentation."""

    epoch: int
    number: int


class EpochSampler:
    """Batches of keys, without an end; to be a ``DataLoader``'s ``batch_sampler``.

    The data set is one endless stream: every epoch all samples once, in an order of its own. Step
    k takes the next ``batch_size * world`` of them and rank r its share, so that two processes
    with batches of 4 see what one with batches of 8 sees. Nothing is dropped: a batch may begin in
    one epoch and end in the next.

    Args:
        count: samples of the data set.
        batch_size: of one process.
        seed: of the order.
        rank: this process, 0 to world - 1.
        world: processes.
        start_step: the first step to give: that many batches of each process are done already.
        shuffle: False: the data set's own order, every epoch.

    Raises:
        SettingsError: a number is impossible.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        *,
        seed: int = 0,
        rank: int = 0,
        world: int = 1,
        start_step: int = 0,
        shuffle: bool = True,
    ) -> None:
        """Remember the numbers; a permutation is made when its epoch comes."""
        if min(count, batch_size, world) < 1 or not 0 <= rank < world or min(seed, start_step) < 0:
            raise SettingsError(
                f"no batches of {batch_size} out of {count} samples for process {rank} of {world}, "
                f"from step {start_step}, seed {seed}"
            )
        self.count, self.batch_size, self.seed = count, batch_size, seed
        self.rank, self.world, self.start_step, self.shuffle = rank, world, start_step, shuffle

    def __iter__(self) -> Iterator[list[Key]]:
        """The batches of step ``start_step`` and all later ones."""
        step = self.start_step
        while True:
            yield self.batch(step)
            step += 1

    def batch(self, step: int) -> list[Key]:
        """This process's batch of one step, counted from 0."""
        start = (step * self.world + self.rank) * self.batch_size
        return [self._key(place) for place in range(start, start + self.batch_size)]

    def epoch(self, step: int) -> float:
        """How many epochs are done when ``step`` steps are."""
        return step * self.world * self.batch_size / self.count

    def _key(self, place: int) -> Key:
        epoch, index = divmod(place, self.count)
        if self.shuffle:
            index = int(_order(self.seed, epoch, self.count)[index])
        return Key(epoch, index)


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, count: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(count)
