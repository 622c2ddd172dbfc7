"""When a run should end early: a signal (C-78), or its time is up."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType
from typing import Any

EXIT_TERMINATED = 128 + signal.SIGTERM


class Stop:
    """Remembers the first SIGINT or SIGTERM; a second one ends the program at once.

    Args:
        minutes: after which the run ends, too; None: no limit.
    """

    def __init__(self, minutes: float | None = None) -> None:
        """Start the clock."""
        self.code: int | None = None
        self._end = None if minutes is None else time.monotonic() + 60 * minutes
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Stop:
        """Take over the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give them back."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def wanted(self) -> bool:
        """Whether to finish the step, save and end."""
        if self.code is None and self._end is not None and time.monotonic() >= self._end:
            self.code = 0
        return self.code is not None

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.code = EXIT_TERMINATED if number == signal.SIGTERM else 0
        print("finishing this step and saving; once more ends at once", flush=True)
        for taken in self._before:
            signal.signal(taken, signal.SIG_DFL)
