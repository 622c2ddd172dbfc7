"""What a person chooses for an augmentation: checked once, whoever sends it."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final, Literal

from reposedm.augment.plan import SET, SOURCES
from reposedm.errors import SettingsError
from reposedm.jobs.settings import MAX_GUIDANCE, MAX_STEPS, SEEDS

Masks = Literal["segment", "skeleton"]
MASKS: Final[tuple[str, ...]] = ("segment", "skeleton")
MAX_PER_IDENTITY: Final = 1000
MAX_LIMIT: Final = 1_000_000


@dataclass(frozen=True)
class AugmentSettings:
    """Everything that decides the pictures. Whoever holds one can trust it.

    Attributes:
        per_identity: new pictures of each identity, 1 .. 1000.
        poses: "set", "same", "presets", or the path of a file of poses; see ``plan.SOURCES``.
        method: a name from ``jobs.methods.method_names()``.
        seed: of every draw and every picture, 0 .. 2^32 - 1.
        limit: at most so many pictures in all; None: no limit.
        steps: denoising steps; None: the method's default.
        guidance_scale: w_c of Eq. 16; None: the method's default.
        pose_guidance_scale: factor of the gradient term; None: the method's default.
        detector: who finds the people where no joints lie beside a picture.
        masks: who cuts them out: "segment", or "skeleton", which is quicker and rougher.
        filter: keep only pictures on which the wanted pose is found again, and, with
            ``reid_weights``, the identity is recognised.
        reid_weights: folder of the re-identification network for the filter.
        min_pckh: least part of the wanted joints that must be found, 0 .. 1.
        min_similarity: least cosine similarity to the identity's own pictures, -1 .. 1.

    Raises:
        SettingsError: a value that is not possible.
    """

    per_identity: int = 4
    poses: str = SET
    method: str = "preview"
    seed: int = 0
    limit: int | None = None
    steps: int | None = None
    guidance_scale: float | None = None
    pose_guidance_scale: float | None = None
    detector: str = "mediapipe"
    masks: Masks = "segment"
    filter: bool = False
    reid_weights: str = ""
    min_pckh: float = 0.5
    min_similarity: float = 0.5

    def __post_init__(self) -> None:
        """Check every value, and give each its one type."""
        checked: dict[str, Any] = {
            "per_identity": _whole(
                "the number of pictures of each identity", self.per_identity, 1, MAX_PER_IDENTITY
            ),
            "seed": _whole("the seed", self.seed, 0, SEEDS - 1),
        }
        if self.limit is not None:
            checked["limit"] = _whole("the limit", self.limit, 1, MAX_LIMIT)
        if self.steps is not None:
            checked["steps"] = _whole("the number of steps", self.steps, 1, MAX_STEPS)
        for name, words in (
            ("guidance_scale", "the guidance"),
            ("pose_guidance_scale", "the pose guidance"),
        ):
            if getattr(self, name) is not None:
                checked[name] = _number(words, getattr(self, name), 0, MAX_GUIDANCE)
        checked["min_pckh"] = _number("the least PCKh", self.min_pckh, 0, 1)
        checked["min_similarity"] = _number("the least similarity", self.min_similarity, -1, 1)
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.masks not in MASKS:
            raise SettingsError(f"masks come from {' or '.join(MASKS)}, not {self.masks!r:.40}")
        if self.reid_weights and not self.filter:
            raise SettingsError("re-identification weights are for the filter: switch it on")
        if self.poses not in SOURCES and not Path(self.poses).exists():
            raise SettingsError(
                f"poses come from {', '.join(SOURCES)} or a file; there is no file "
                f"{self.poses!s:.200}"
            )

    def stored(self) -> dict[str, Any]:
        """As JSON, without paths of this computer."""
        stored = dataclasses.asdict(self)
        stored["poses"] = self.poses if self.poses in SOURCES else Path(self.poses).name
        stored["reid_weights"] = Path(self.reid_weights).name if self.reid_weights else ""
        return stored


def _whole(name: str, value: Any, least: int, most: int) -> int:
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or not least <= value <= most:
        raise SettingsError(f"{name} must be a whole number from {least} to {most}: {value!r:.40}")
    return int(value)


def _number(name: str, value: Any, least: float, most: float) -> float:
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not good or not least <= value <= most:
        raise SettingsError(f"{name} must be a number from {least:g} to {most:g}: {value!r:.40}")
    return float(value)
