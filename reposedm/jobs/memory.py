"""Memory of the host and of the accelerator: how much there is, what a job took, what to do when
it runs out.

torch is looked at only where it is in use already, so a job of the preview engine never imports it.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import psutil

from reposedm.errors import ResourceError
from reposedm.pipelines.base import Step

if TYPE_CHECKING:
    from reposedm.jobs.runtime import Device

GB: Final = 1e9
OPENCV_NO_MEMORY: Final = -4
CGROUPS: Final = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
"""(limit, usage) of the memory a container may take, cgroup 2 and 1."""

Made = TypeVar("Made")


def host_memory_free() -> float:
    """Host memory that can still be taken, in GB; within the limit of a container."""
    free = float(psutil.virtual_memory().available)
    for limit, used in CGROUPS:
        try:
            free = min(free, int(Path(limit).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no such group, or "max"
            continue
    return max(free, 0.0) / GB


def check_host_memory(needed_gb: float, what: str) -> None:
    """Refuse before loading what cannot fit (C-54).

    Raises:
        ResourceError: with the numbers.
    """
    if needed_gb <= 0:
        return
    free = host_memory_free()
    if free < needed_gb:
        raise ResourceError(
            f"{what} needs {needed_gb:.1f} GB of memory and {free:.1f} GB are free: close other "
            "programs, or choose a smaller method"
        )


def loaded_torch() -> Any:
    """torch, if something has imported it: these functions must not be what takes five seconds.

    None also while another thread is in the middle of importing it.
    """
    torch = sys.modules.get("torch")
    importing = getattr(getattr(torch, "__spec__", None), "_initializing", False)
    return None if importing else torch


def free_memory() -> None:
    """Give back what no object holds any more: Python's cycles, then the accelerator's cache."""
    gc.collect()
    torch: Any = loaded_torch()
    if torch is None:
        return
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    elif torch.backends.mps.is_available():
        torch.mps.empty_cache()


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on the host or on any accelerator."""
    if isinstance(error, MemoryError) or getattr(error, "code", None) == OPENCV_NO_MEMORY:
        return True
    torch: Any = loaded_torch()
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    # MPS and torch's CPU allocator have no type of their own for it.
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


class PeakMemory:
    """The most memory this process held while a job ran, sampled after each of its steps.

    On CUDA the accelerator's own exact peak; elsewhere the process's resident memory.
    """

    def __init__(self) -> None:
        """Start counting."""
        self._process = psutil.Process()
        self._cuda = _cuda_in_use()
        if self._cuda is not None:
            self._cuda.reset_peak_memory_stats()
        self._most = 0
        self.sample()

    def sample(self) -> None:
        """Look now."""
        self._most = max(self._most, int(self._process.memory_info().rss))

    @property
    def megabytes(self) -> float:
        """The peak so far, in MB."""
        self.sample()
        cuda = self._cuda or _cuda_in_use()
        most = int(cuda.max_memory_allocated()) if cuda is not None else 0
        return (most or self._most) / 1e6


def with_less_memory(
    make: Callable[[Sequence[int]], Generator[Step, None, Sequence[Made]]],
    count: int,
    *,
    device: Device,
    at_once: int = 4,
    offload: Callable[[], str] | None = None,
) -> Generator[Step, None, tuple[list[Made], list[str]]]:
    """Make ``count`` things in batches, with smaller ones whenever memory runs out (C-50, C-51).

    The ladder: half the batch, ... one at a time, ``offload()``, give up. What was finished before
    is kept on every rung, and also when giving up.

    Args:
        make: makes the things of the given numbers (0 .. count - 1), yielding steps; called again
            for the same numbers after running out of memory, so it must start from nothing.
        count: how many, >= 1.
        device: named in the error.
        at_once: how many at most in one batch.
        offload: takes the method off the accelerator; returns the note for the user, or "" if
            there is nothing it could do.

    Returns:
        What was made, in order, at least one; and one sentence per rung that was taken.

    Raises:
        ResourceError: memory ran out before anything was made.
    """
    made: list[Made] = []
    notes: list[str] = []
    batch = min(count, at_once)
    steps_done = 0
    while len(made) < count:
        numbers = range(len(made), min(len(made) + batch, count))
        batches_left = -(-(count - len(made)) // batch)
        ran_out = False
        try:
            more, steps_done = yield from _renumbered(make(numbers), steps_done, batches_left)
            made += more
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            ran_out = True
        if not ran_out:
            continue
        # Only out here is the traceback gone, and with it the tensors its frames held.
        free_memory()
        if batch > 1:
            notes.append(f"Memory ran out with {batch} pictures at once: made {batch // 2} at once")
            batch //= 2
            continue
        note = offload() if offload is not None else ""
        offload = None
        if note:
            notes.append(note)
        elif made:
            notes.append(f"{gave_up(device)} Finished {len(made)} of {count} pictures.")
            return made, notes
        else:
            raise ResourceError(gave_up(device))
    return made, notes


def _renumbered(
    steps: Generator[Step, None, Sequence[Made]], before: int, batches_left: int
) -> Generator[Step, None, tuple[Sequence[Made], int]]:
    """The steps of one batch, counted as part of all the work; its result, and steps done then."""
    last = before
    try:
        while True:
            try:
                step = next(steps)
            except StopIteration as stop:
                return stop.value, last
            last = before + step.index
            total = before + batches_left * step.total
            yield Step(last, total, step.stage, step.previews)
    finally:
        steps.close()


def gave_up(device: Device) -> str:
    """What to tell a person when memory ran out on the last rung."""
    lower = (
        "make fewer pictures at once, close other programs that use it, or choose a smaller method"
        if device.name != "cpu"
        else "use a smaller photo, make fewer pictures, or close other programs"
    )
    label = device.label[:1].upper() + device.label[1:]
    return f"{label} ran out of memory ({device.free_gb():.1f} GB are free): {lower}."


def _cuda_in_use() -> Any:
    torch: Any = loaded_torch()
    if torch is None or not torch.cuda.is_available() or not torch.cuda.is_initialized():
        return None
    return torch.cuda
