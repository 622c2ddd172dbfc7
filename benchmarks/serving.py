"""The app in a process of its own, on a free port, for as long as a benchmark needs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 180.0


class Served(NamedTuple):
    """A running app.

    Attributes:
        url: its address, with a slash at the end.
        pid: its process.
        start: when it was started, by ``time.perf_counter``.
        seconds: from then until its configuration came over HTTP.
    """

    url: str
    pid: int
    start: float
    seconds: float


@contextmanager
def served(environment: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Start the app, wait until it answers, and end it afterwards.

    Raises:
        SystemExit: it ended, or did not answer in ``PATIENCE_S``.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, start = f"http://127.0.0.1:{port}/", time.perf_counter()
    app = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--no-browser"],
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment,
    )  # fmt: skip
    try:
        _wait(url + "config", app, start + PATIENCE_S)
        yield Served(url, app.pid, start, time.perf_counter() - start)
    finally:
        app.terminate()
        app.wait(20)


def _wait(url: str, app: subprocess.Popen[bytes], give_up: float) -> None:
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                answer.read()
                return
        except OSError:
            if app.poll() is not None:
                raise SystemExit("the app ended: run python app.py to see why") from None
            if time.perf_counter() > give_up:
                raise SystemExit(f"the app did not answer in {PATIENCE_S:g} s") from None
            time.sleep(0.05)
