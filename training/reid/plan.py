"""What is compared with what, decided before anything is trained.

The published protocol keeps a share of the training pictures, at least one of each identity, and
adds generated ones. It says neither how many, nor from which pictures and poses, nor how long each
model trains. Here:

* one random order of the pictures a seed; a fraction keeps its beginning, so that larger fractions
  hold the smaller ones, and one picture of each identity comes first;
* every identity is topped up to as many pictures as it had; the source is drawn evenly from its
  kept pictures, the pose from the kept pictures of all identities (or of its own);
* "repeated" adds, in place of each generated picture, its source once more: the same number of
  pictures, of steps and of pictures of every identity in a batch. Its difference to "generated" is
  what the new poses are worth; "real" trains for fewer steps, as many as its pictures are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from training.reid.config import Arm, ProtocolConfig, RecipeConfig
from training.reid.market import Shot


@dataclass(frozen=True)
class Job:
    """One model to train.

    Attributes:
        arm: of ``config.ARMS``.
        fraction: of the real pictures kept, per cent.
        seed: of everything drawn.
        method: that generates, of arm "generated"; "" of the others.
    """

    arm: Arm
    fraction: int
    seed: int
    method: str = ""

    @property
    def name(self) -> str:
        """Of its file."""
        made = f"{self.arm}-{self.method}" if self.method else self.arm
        return f"{made}-{self.fraction:03d}-s{self.seed}"


@dataclass(frozen=True)
class Draw:
    """One picture to generate.

    Attributes:
        name: of its file, without ending.
        source: the picture it is made from, whose person and camera it has.
        donor: the picture whose pose it gets.
        seed: of the method's noise.
    """

    name: str
    source: Shot
    donor: Shot
    seed: int


def jobs(protocol: ProtocolConfig, methods: Sequence[str]) -> list[Job]:
    """All models, seed by seed, so that an experiment cut short has whole seeds; oracles last.

    Args:
        protocol: what is compared.
        methods: that generate; arm "generated" is there once for each.
    """
    ordered = [
        Job(arm, fraction, seed, method)
        for seed in protocol.seeds
        for fraction in protocol.fractions
        for arm in protocol.arms
        for method in (methods if arm == "generated" else ("",))
    ]
    return sorted(ordered, key=lambda job: job.arm == "oracle")


def kept(train: Sequence[Shot], fraction: int, seed: int) -> tuple[Shot, ...]:
    """The real pictures of a fraction, ordered by name.

    Args:
        train: all of them.
        fraction: per cent.
        seed: of the order.
    """
    rng = np.random.default_rng((seed, 100))
    order = [train[index] for index in rng.permutation(len(train))]
    known: set[int] = set()
    first: list[Shot] = []
    later: list[Shot] = []
    for shot in order:
        (later if shot.person in known else first).append(shot)
        known.add(shot.person)
    count = max(len(first), round(len(train) * fraction / 100))
    return tuple(sorted((first + later)[:count]))


def draws(
    train: Sequence[Shot],
    chosen: Sequence[Shot],
    usable: Collection[str],
    seed: int,
    donors: Literal["any", "same"] = "any",
) -> list[Draw]:
    """The pictures that bring every identity back to its number, ordered by name.

    Args:
        train: all real pictures.
        chosen: the kept ones.
        usable: names of pictures with a pose that can be a source and a target; an identity
            without one is not topped up.
        seed: of the draws.
        donors: whose poses; a picture never gives its pose to itself.
    """
    rng = np.random.default_rng((seed, 101, len(chosen)))
    wanted = Counter(shot.person for shot in train)
    own: dict[int, list[Shot]] = {}
    for shot in sorted(chosen):
        own.setdefault(shot.person, []).append(shot)
    everybody = [shot for shot in sorted(chosen) if shot.name in usable]
    numbers: Counter[str] = Counter()
    found = []
    for person, pictures in sorted(own.items()):
        sources = [shot for shot in pictures if shot.name in usable]
        poses = everybody if donors == "any" else sources
        if not sources or len(poses) < 2:
            continue
        for _ in range(wanted[person] - len(pictures)):
            source = sources[rng.integers(len(sources))]
            donor = source
            while donor is source:
                donor = poses[rng.integers(len(poses))]
            numbers[source.name] += 1
            name = f"{source.source}_g{numbers[source.name]}"
            found.append(Draw(name, source, donor, int(rng.integers(1 << 32))))
    return sorted(found, key=lambda draw: draw.name)


def steps(arm: Arm, chosen: int, train: int, recipe: RecipeConfig) -> int:
    """Batches that an arm trains for: its epochs over the kept pictures alone ("real"), or over as
    many as the whole set has (all others), at least one each."""
    pictures = chosen if arm == "real" else train
    return max(1, -(-recipe.epochs * pictures // (recipe.people * recipe.each)))
