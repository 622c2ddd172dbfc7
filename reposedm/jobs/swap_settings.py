"""The settings of a garment swap: checked once, whoever sends them (C-47)."""

from __future__ import annotations

import dataclasses
import secrets
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from reposedm.errors import SettingsError
from reposedm.garments.labels import REGIONS
from reposedm.jobs.methods import default_method
from reposedm.jobs.settings import (
    LABELS,
    MAX_COUNT,
    MAX_STEPS,
    SEEDS,
    scale_number,
    whole_number,
)
from reposedm.pipelines.base import Capabilities

Kind = Literal["auto", "worn", "product"]
KINDS: Final[tuple[str, ...]] = ("auto", "worn", "product")
MAX_RESAMPLE: Final = 10


@dataclass(frozen=True)
class SwapSettings:
    """What a person chooses for one swap. Whoever holds one can trust it.

    Attributes:
        method: a name from ``jobs.methods.method_names("swap")``; default: the best whose weights
            are here.
        region: what is swapped, one of ``garments.labels.REGIONS``.
        garment: what the garment photo shows: a person who wears it ("worn"), the garment alone
            on a plain ground ("product"), or "auto": whatever is found on it.
        steps: denoising steps, 1 .. 250; None: the method's default.
        guidance_scale: w_c of Eq. 16, 0 .. 30; None: the method's default.
        resample: how often each step is taken again (RePaint), 0 .. 10; None: the method's default.
        seed: of the first picture, 0 .. 2^32 - 1; the next ones count up. None or -1: drawn.
        count: how many pictures, 1 .. 8.
        texture: keep the garment photo's own texture, where the method finds it there.

    Raises:
        SettingsError: a value that is not possible.
    """

    method: str = field(default_factory=lambda: default_method("swap"))
    region: str = "top"
    garment: Kind = "auto"
    steps: int | None = None
    guidance_scale: float | None = None
    resample: int | None = None
    seed: int | None = None
    count: int = 1
    texture: bool = True

    def __post_init__(self) -> None:
        """Check every value, and give each its one type."""
        if not isinstance(self.method, str):
            raise SettingsError("the method must be given by its name")
        if self.region not in REGIONS:
            raise SettingsError(
                f"there is no region {self.region!r:.40}: choose one of {', '.join(REGIONS)}"
            )
        if self.garment not in KINDS:
            raise SettingsError(
                f"a garment photo is one of {', '.join(KINDS)}, not {self.garment!r:.40}"
            )
        seed = self.seed
        if seed is not None and not isinstance(seed, bool) and seed == -1:
            seed = None
        checked: dict[str, Any] = {
            "steps": whole_number("steps", self.steps, 1, MAX_STEPS),
            "guidance_scale": scale_number("guidance_scale", self.guidance_scale),
            "resample": whole_number("resample", self.resample, 0, MAX_RESAMPLE),
            "seed": whole_number("seed", seed, 0, SEEDS - 1),
            "count": whole_number("count", self.count, 1, MAX_COUNT),
        }
        if checked["count"] is None:
            raise SettingsError(f"{LABELS['count']} must be a whole number from 1 to {MAX_COUNT}")
        if not isinstance(self.texture, bool):
            raise SettingsError("texture must be true or false")
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def replace(self, **changes: Any) -> SwapSettings:
        """A copy with some values changed, checked again."""
        return dataclasses.replace(self, **changes)

    def with_seed(self) -> SwapSettings:
        """With a drawn seed, if there was none (C-82)."""
        return self if self.seed is not None else self.replace(seed=secrets.randbelow(SEEDS))

    def check_understood(self, method: Capabilities) -> None:
        """Refuse controls that would change nothing.

        Raises:
            SettingsError: names the first such control.
        """
        for name in ("steps", "guidance_scale", "resample"):
            if getattr(self, name) is not None and name not in method.controls:
                raise SettingsError(
                    f"{LABELS[name].capitalize()} means nothing to the method {method.label}: "
                    "leave it out"
                )
