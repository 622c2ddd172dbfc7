"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells; the second row is the line below the head (``"---"``)."""
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
