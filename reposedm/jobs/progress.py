"""A job's progress on a terminal, or in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from reposedm.pipelines.base import Step

Result = TypeVar("Result")
MANY: Final = 1000
"""Of a stage with more steps than these, a log gets one line a second."""


def show(job: Generator[Step, None, Result]) -> Result:
    """Run a job to its end, with its progress on stderr; stopping the program stops it."""
    from reposedm.jobs.runtime import Pace

    pace, live, last, stage = Pace(), sys.stderr.isatty(), 0.0, ""
    try:
        while True:
            try:
                step = next(job)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            left = pace.seconds_left(step)
            now = time.monotonic()
            often = step.total > MANY or not step.total
            if (
                often
                and now < last + 1
                and step.stage == stage
                and step.index != (step.total or -1)
            ):
                continue
            last, stage = now, step.stage
            about = f", about {left:.0f} s left" if left is not None and left >= 1 else ""
            line = f"{step.stage} {step.index}/{step.total}{about}" if step.total else step.stage
            # A log gets whole lines; a terminal one line that is written over.
            print(f"\r{line:<60}" if live else line, end="" if live else "\n", file=sys.stderr)
    finally:
        job.close()
        if live:
            print(file=sys.stderr)
