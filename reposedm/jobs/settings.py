"""The settings of a repose job: checked once, whoever sends them (C-47)."""

from __future__ import annotations

import dataclasses
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar, Final, Literal, Self

from reposedm.errors import SettingsError
from reposedm.jobs.methods import default_method
from reposedm.pipelines.base import Capabilities
from reposedm.pipelines.loading import entry

Background = Literal["photo", "transparent", "plain"]
BACKGROUNDS: Final[tuple[str, ...]] = ("photo", "transparent", "plain")

MAX_STEPS: Final = 250
MAX_GUIDANCE: Final = 30.0
MAX_COUNT: Final = 8
SEEDS: Final = 2**32
"""Seeds are 0 .. SEEDS - 1: more than anybody draws, and exact in a browser."""

LABELS: Final = {
    "steps": "the number of steps",
    "guidance_scale": "the guidance",
    "pose_guidance_scale": "the pose guidance",
    "seed": "the seed",
    "count": "the number of pictures",
    "resample": "the number of times that a step is taken again",
}


@dataclass(frozen=True)
class RunSettings:
    """What a person chooses for any job; whoever holds one can trust it. Values: the subclasses'.

    Attributes:
        method: a method's name.
        steps: denoising steps, 1 .. 250; None: the method's default.
        guidance_scale: w_c of Eq. 16, 0 .. 30; None: the method's default.
        seed: of the first picture, 0 .. 2^32 - 1; the next ones count up. None or -1: drawn.
        count: how many pictures, 1 .. 8.
        texture: keep the photo's own texture, at its resolution, where the method says which part
            of the photo each of its pixels shows.
    """

    CONTROLS: ClassVar[tuple[str, ...]] = ("steps", "guidance_scale")
    """Numbers that mean something to some methods alone."""

    method: str = field(default_factory=default_method)
    steps: int | None = None
    guidance_scale: float | None = None
    seed: int | None = None
    count: int = 1
    texture: bool = True

    def __post_init__(self) -> None:
        """Check every value, and give each its one type."""
        if not isinstance(self.method, str):
            raise SettingsError("the method must be given by its name")
        seed = self.seed
        if seed is not None and not isinstance(seed, bool) and seed == -1:
            seed = None
        count = whole_number("count", self.count, 1, MAX_COUNT)
        if count is None:
            raise SettingsError(f"{LABELS['count']} must be a whole number from 1 to {MAX_COUNT}")
        self._set(
            steps=whole_number("steps", self.steps, 1, MAX_STEPS),
            guidance_scale=scale_number("guidance_scale", self.guidance_scale),
            seed=whole_number("seed", seed, 0, SEEDS - 1),
            count=count,
        )
        self._check_flags("texture")

    def _set(self, **checked: float | None) -> None:
        for name, value in checked.items():
            object.__setattr__(self, name, value)

    def _check_flags(self, *names: str) -> None:
        for name in names:
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} must be true or false")

    def replace(self, **changes: Any) -> Self:
        """A copy with some values changed, checked again."""
        return dataclasses.replace(self, **changes)

    def with_seed(self) -> Self:
        """With a drawn seed, if there was none (C-82)."""
        return self if self.seed is not None else self.replace(seed=secrets.randbelow(SEEDS))

    def check_understood(self, method: Capabilities) -> None:
        """Refuse controls that would change nothing.

        Raises:
            SettingsError: names the first such control.
        """
        for name in self.CONTROLS:
            if getattr(self, name) is not None and name not in method.controls:
                raise SettingsError(
                    f"{LABELS[name].capitalize()} means nothing to the method {method.label}: "
                    "leave it out"
                )


@dataclass(frozen=True)
class ReposeSettings(RunSettings):
    """What a person chooses for reposing; beside what every job has:

    Attributes:
        pose_guidance_scale: factor of the gradient term, 0 .. 30; None: the method's default.
        paste_back: put the person back into the photo, at the photo's size; otherwise the
            pictures are those of the method's frame.
        background: behind the person: the photo with its person removed, nothing (RGBA), or
            ``color``.
        color: "#rrggbb" of the plain background.
        retarget: give a pose that comes from a file, another photo or a preset the body's own
            bone lengths and place (C-34); for callers that fetch such a pose: ``fit_pose``.
        texture: with it, pictures that are not pasted back have the photo's resolution too.

    Raises:
        SettingsError: a value that is not possible.
    """

    CONTROLS: ClassVar[tuple[str, ...]] = ("steps", "guidance_scale", "pose_guidance_scale")

    pose_guidance_scale: float | None = None
    paste_back: bool = True
    background: Background = "photo"
    color: str = "#ffffff"
    retarget: bool = True

    def __post_init__(self) -> None:
        """Check every value, and give each its one type."""
        super().__post_init__()
        scale = scale_number("pose_guidance_scale", self.pose_guidance_scale)
        self._set(pose_guidance_scale=scale)
        self._check_flags("paste_back", "retarget")
        if self.background not in BACKGROUNDS:
            raise SettingsError(
                f"there is no background {self.background!r:.40}: choose one of "
                f"{', '.join(BACKGROUNDS)}"
            )
        if not (isinstance(self.color, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", self.color)):
            raise SettingsError(f"a colour is written #rrggbb, not {self.color!r:.40}")

    @property
    def rgb(self) -> tuple[int, int, int]:
        """The plain colour, 0 .. 255 each."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue

    def check_understood(self, method: Capabilities) -> None:
        """As every job, and a texture that is not there cannot be switched off either."""
        super().check_understood(method)
        if not self.texture and "texture" not in method.controls:
            raise SettingsError(
                f"The photo's texture cannot be switched off for the method {method.label}: leave "
                "it out"
            )

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> tuple[ReposeSettings, tuple[str, ...]]:
        """Settings read from a result's PNG, with the seed of that picture (C-83, C-95).

        Values that are not possible here (another version's) become the defaults.

        Args:
            stored: ``ReposeResult.settings_of(...)``, read back; may be anything.

        Returns:
            The settings, and one sentence for the user per value that could not be used.
        """
        settings, notes = cls(), []
        if not isinstance(stored, Mapping):
            return settings, ("The picture's settings are not a table of names and values.",)
        for each in dataclasses.fields(cls):
            if each.name not in stored:
                continue
            try:
                if each.name == "method":
                    entry(stored["method"])
                settings = settings.replace(**{each.name: stored[each.name]})
            except SettingsError as error:
                notes.append(f"Not used from the picture's settings: {error}.")
        return settings, tuple(notes)


def whole_number(name: str, value: Any, least: int, most: int) -> int | None:
    """A whole number; 20.0, which sliders and JSON send for 20, is one."""
    if value is None:
        return None
    whole = isinstance(value, Integral) or (isinstance(value, Real) and float(value).is_integer())
    if isinstance(value, bool) or not whole or not least <= value <= most:
        raise SettingsError(
            f"{LABELS[name]} must be a whole number from {least} to {most}, not {value!r:.40}"
        )
    return int(value)


def scale_number(name: str, value: Any) -> float | None:
    """A guidance scale, 0 .. 30."""
    if value is None:
        return None
    good = isinstance(value, Real) and not isinstance(value, bool)
    if not good or not 0 <= value <= MAX_GUIDANCE:  # not a number is on neither side
        raise SettingsError(
            f"{LABELS[name]} must be a number from 0 to {MAX_GUIDANCE:g}, not {value!r:.40}"
        )
    return float(value)
