"""Where a job runs: the device, its number format, and the one lock of the accelerator."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, runtime_checkable

from reposedm.errors import ResourceError, SettingsError
from reposedm.jobs.memory import (
    GB,
    free_memory,
    gave_up,
    host_memory_free,
    is_out_of_memory,
    loaded_torch,
)
from reposedm.pipelines.base import Method, Step, SwapMethod

if TYPE_CHECKING:
    import torch

Result = TypeVar("Result")

ACCELERATOR: Final = threading.Lock()
"""Held by the one job that runs. Not an RLock: a generator's ``next`` may run on any thread."""

WAITING: Final = "waiting"
"""``Step.stage`` while another job holds the accelerator; index and total are 0."""


@runtime_checkable
class Movable(Protocol):
    """A method whose networks can be put on a device; the call of ``torch.nn.Module.to``."""

    def to(self, device: str, dtype: torch.dtype, /) -> Any:
        """Move every network there, in that number format."""


@runtime_checkable
class Offloadable(Protocol):
    """A method that can work on a device without keeping its weights there."""

    def offload(self, device: str, /) -> Any:
        """From now on bring one network over at a time; ``to`` ends it."""


@dataclass(frozen=True)
class Device:
    """What the networks run on.

    Attributes:
        name: torch's name: "cuda", "mps" or "cpu".
        dtype: torch's name of the number format of weights: "bfloat16" or "float32".
        label: for people, "NVIDIA H200", "the processor (Intel Xeon, 2 cores)".
    """

    name: str
    dtype: str
    label: str

    def free_gb(self) -> float:
        """Memory that can still be taken there, in GB."""
        torch: Any = loaded_torch()
        if self.name == "cuda" and torch is not None:
            return float(torch.cuda.mem_get_info()[0]) / GB
        return host_memory_free()


def choose_device(wanted: str = "") -> Device:
    """The best device of this computer, or the one asked for; imports torch (C-52).

    bfloat16 where the hardware multiplies it, float32 elsewhere; never float16, which overflows to
    black pictures in networks trained in bfloat16, and which no CPU is fast at.

    Args:
        wanted: "cuda", "mps", "cpu", or "" for the best there is.

    Raises:
        SettingsError: this computer has no such device.
    """
    import torch

    there = {
        "cuda": torch.cuda.is_available,
        "mps": torch.backends.mps.is_available,
        "cpu": lambda: True,
    }
    if wanted and wanted not in there:
        raise SettingsError(f"there is no device {wanted!r:.40}: choose one of {', '.join(there)}")
    if wanted and not there[wanted]():
        raise SettingsError(f"this computer has no {wanted} that torch can use: choose cpu")
    name = wanted or next(name for name, found in there.items() if found())
    if name == "cuda":
        bf16 = torch.cuda.get_device_capability() >= (8, 0)
        return Device(name, "bfloat16" if bf16 else "float32", torch.cuda.get_device_name())
    if name == "mps":
        return Device(name, "float32", "the graphics processor of this Mac")
    return processor()


def processor() -> Device:
    """The CPU, without asking torch."""
    flags = _cpu_info()
    dtype = "bfloat16" if multiplies_bf16(flags) else "float32"
    return Device("cpu", dtype, f"the processor ({os.cpu_count()} cores)")


def multiplies_bf16(cpu_info: str) -> bool:
    """Whether the text of /proc/cpuinfo names an instruction that multiplies bfloat16."""
    words = set(cpu_info.lower().split())
    return bool(words & {"avx512_bf16", "amx_bf16"})


def exclusively(
    work: Generator[Step, None, Result], *, patience_s: float = 1800.0
) -> Generator[Step, None, Result]:
    """Run ``work`` while holding the accelerator (C-41 to C-43).

    While another job holds it, yields a ``WAITING`` step four times a second, so that waiting can
    be stopped too. The accelerator and all memory are given back when the work ends, fails, is
    closed, or is forgotten (garbage-collected).

    Args:
        work: a generator that has not started.
        patience_s: give up after waiting that long, in seconds.

    Raises:
        ResourceError: another job held the accelerator all the time.
    """
    give_up = time.monotonic() + patience_s
    while not ACCELERATOR.acquire(timeout=0.25):
        if time.monotonic() > give_up:
            raise ResourceError("The computer is busy with another picture: try again later.")
        yield Step(0, 0, WAITING)
    try:
        return (yield from work)
    finally:
        free_memory()
        ACCELERATOR.release()


def place(method: Method | SwapMethod) -> tuple[Device, list[str]]:
    """Put a method on the best device there is, and say which; and notes for the user.

    A method with networks has ``to(device, dtype)``, as torch's modules do. One without runs on
    the processor, and torch is not imported for it.

    Raises:
        ResourceError: its weights fit nowhere.
    """
    if not isinstance(method, Movable):
        return processor(), []
    import torch

    device = choose_device()
    try:
        method.to(device.name, getattr(torch, device.dtype))
        return device, []
    except Exception as error:
        if not is_out_of_memory(error):
            raise
    free_memory()
    note = offload(method, device)
    if not note:
        raise ResourceError(gave_up(device))
    return device, [note]


def offload(method: Method | SwapMethod, device: Device) -> str:
    """Take a method off the accelerator: "" if it is not there, else a note for the user.

    ``method.offload(device)``, where there is one, keeps the weights in the computer's memory and
    brings one network over at a time. Other methods move to the processor as they are.
    """
    if device.name == "cpu" or not isinstance(method, Movable):
        return ""
    import torch

    if isinstance(method, Offloadable):
        # A move that ran out of memory may have changed the format of some networks only.
        method.to("cpu", getattr(torch, device.dtype))
        method.offload(device.name)
        return f"{device.label} ran out of memory: its networks take turns there, which is slower."
    method.to("cpu", getattr(torch, processor().dtype))
    return f"{device.label} ran out of memory: made on the processor, which is much slower."


class Pace:
    """How long the rest of a job takes, from the steps it has done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with the first step that is shown."""
        self._clock = clock
        self._stage = ""
        self._start = (0, 0.0)

    def seconds_left(self, step: Step) -> float | None:
        """Seconds until ``step.total``, or None before the second step of a stage."""
        now = self._clock()
        if step.stage != self._stage or step.index < self._start[0]:
            self._stage, self._start = step.stage, (step.index, now)
        done = step.index - self._start[0]
        if done <= 0:
            return None
        return (now - self._start[1]) / done * (step.total - step.index)


def _cpu_info() -> str:
    """/proc/cpuinfo, or nothing on a system without it: then float32, which is always right."""
    if platform.system() != "Linux":
        return ""
    try:
        return Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return ""
