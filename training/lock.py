"""One run in one folder (C-79)."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from reposedm.errors import SettingsError


@contextlib.contextmanager
def locked(run: Path) -> Iterator[None]:
    """Hold the folder of a run; the operating system lets go of it when the process ends, however.

    Raises:
        SettingsError: another process holds it; says which.
    """
    run.mkdir(parents=True, exist_ok=True)
    file = run / "lock"
    with file.open("a+", encoding="utf-8") as held:
        if not _take(held):
            held.seek(0)
            owner = held.read(200).strip() or "another process"
            raise SettingsError(
                f"{owner} is training in {run}: choose another folder with --out, or stop it"
            )
        held.truncate(0)
        held.write(f"process {os.getpid()} on {socket.gethostname()}\n")
        held.flush()
        yield


def _take(held: IO[str]) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            held.seek(1 << 20)  # the locked byte lies behind the text, which others may read
            msvcrt.locking(held.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
