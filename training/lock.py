"""One run in one folder (C-79)."""

from __future__ import annotations

import contextlib
from pathlib import Path

from reposedm import files


def locked(run: Path) -> contextlib.AbstractContextManager[None]:
    """Hold the folder of a run; the operating system lets go of it when the process ends, however.

    Raises:
        SettingsError: another process holds it; says which. On entering.
    """
    busy = f"is training in {run}: choose another folder with --out, or stop it"
    return files.locked(run / "lock", busy)
