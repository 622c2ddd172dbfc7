"""The settings of a garment swap: checked once, whoever sends them (C-47)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Literal

from reposedm.errors import SettingsError
from reposedm.garments.labels import REGIONS
from reposedm.jobs.methods import default_method
from reposedm.jobs.settings import RunSettings, whole_number

Kind = Literal["auto", "worn", "product"]
KINDS: Final[tuple[str, ...]] = ("auto", "worn", "product")
MAX_RESAMPLE: Final = 10


@dataclass(frozen=True)
class SwapSettings(RunSettings):
    """What a person chooses for one swap; beside what every job has:

    Attributes:
        method: a name from ``jobs.methods.method_names("swap")``; default: the best whose weights
            are here.
        region: what is swapped, one of ``garments.labels.REGIONS``.
        garment: what the garment photo shows: a person who wears it ("worn"), the garment alone
            on a plain ground ("product"), or "auto": whatever is found on it.
        resample: how often each step is taken again (RePaint), 0 .. 10; None: the method's default.

    Raises:
        SettingsError: a value that is not possible.
    """

    CONTROLS: ClassVar[tuple[str, ...]] = ("steps", "guidance_scale", "resample")

    method: str = field(default_factory=lambda: default_method("swap"))
    region: str = "top"
    garment: Kind = "auto"
    resample: int | None = None

    def __post_init__(self) -> None:
        """Check every value, and give each its one type."""
        super().__post_init__()
        if self.region not in REGIONS:
            raise SettingsError(
                f"there is no region {self.region!r:.40}: choose one of {', '.join(REGIONS)}"
            )
        if self.garment not in KINDS:
            raise SettingsError(
                f"a garment photo is one of {', '.join(KINDS)}, not {self.garment!r:.40}"
            )
        self._set(resample=whole_number("resample", self.resample, 0, MAX_RESAMPLE))
