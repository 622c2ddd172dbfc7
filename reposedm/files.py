"""Files that are whole or not there at all, and folders that one process at a time works in."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from reposedm.errors import SettingsError


def write_atomically(path: Path, data: bytes, *, durable: bool = True) -> bool:
    """Write a file so that a kill at any moment leaves the old one, or the new one.

    Args:
        path: its folder is made.
        data: all of it.
        durable: also after a power cut; costs milliseconds.

    Returns:
        False if it was there already with the same bytes.
    """
    if path.is_file() and path.read_bytes() == data:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes files that nobody else can read
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return True


@contextlib.contextmanager
def locked(file: Path, busy: str) -> Iterator[None]:
    """Hold a lock file; the operating system lets go of it when the process ends, however.

    Args:
        file: made if it is not there; it stays.
        busy: what to tell a person when another process holds it, after who that is.

    Raises:
        SettingsError: another process holds it; says which.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as held:
        if not _take(held):
            held.seek(0)
            owner = held.read(200).strip() or "another process"
            raise SettingsError(f"{owner} {busy}")
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
