"""The status line: what is going on, how far it is, and notes. Ours, so that it covers nothing."""

from __future__ import annotations

import html
from collections.abc import Sequence

from reposedm.pipelines.base import Step


def line(text: str, *, done: int = 0, total: int = 0, notes: Sequence[str] = ()) -> str:
    """HTML of the status line; ``done`` of ``total`` draws a bar when ``total`` is known."""
    bar = (
        f'<progress max="{total}" value="{done}" aria-label="progress"></progress>' if total else ""
    )
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    listed = f'<ul class="notes">{items}</ul>' if items else ""
    return f'<div class="line" role="status"><span>{html.escape(text)}</span>{bar}{listed}</div>'


def step_line(step: Step, seconds: float) -> str:
    """The line during a run, with the time left once two steps have been seen."""
    if not step.total:
        return line("Waiting for another picture to be finished…")
    left = ""
    if 1 < step.index < step.total:
        left = f", about {max(1, round(seconds / step.index * (step.total - step.index)))} s left"
    stage = step.stage.capitalize()
    return line(
        f"{stage}: step {step.index} of {step.total}{left}", done=step.index, total=step.total
    )
