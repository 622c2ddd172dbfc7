"""A fresh app: when it answers, when the first picture is there, and the most memory it held."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.serving import served


def app_memory(method: str, photo: Path, environment: dict[str, str]) -> dict[str, float]:
    """A fresh app: seconds until it answers and until the first picture, and megabytes."""
    import psutil

    # Before the app starts: the client's own import takes seconds that no browser takes.
    from gradio_client import Client, handle_file

    with served(environment) as app:
        idle = peak_mb(psutil.Process(app.pid))
        client = Client(app.url, verbose=False)
        pose = client.predict(handle_file(str(photo)), api_name="/detect")
        seconds = []
        for _ in range(2):
            begun = time.perf_counter()
            client.predict(
                image=handle_file(str(photo)), pose=pose, method=method, steps=None, guidance=None,
                pose_guidance=None, seed=1, count=1, paste_back=True, api_name="/repose",
            )  # fmt: skip
            seconds.append(time.perf_counter() - begun)
            if len(seconds) == 1:
                first = time.perf_counter() - app.start
        return {
            "answers_s": round(app.seconds, 2),
            "first_picture_s": round(first, 2),
            "first_repose_s": round(seconds[0], 2),
            "later_repose_s": round(seconds[1], 2),
            "before_mb": idle,
            "peak_mb": peak_mb(psutil.Process(app.pid)),
        }


def peak_mb(process: Any) -> float:
    """The most that a process and its children ever held, in MB.

    Some sandboxed kernels keep no peak (no ``VmHWM`` in ``/proc``): there it is what they hold now.
    """
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        total += _kept_peak(one.pid) or one.memory_info().rss / 1e6
    return round(total)


def _kept_peak(pid: int) -> float | None:
    """The peak that the kernel wrote down for a process, in MB; ``None`` where it keeps none."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text("utf-8").splitlines()
    except OSError:
        return None
    peaks = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM")]
    return peaks[0] if peaks else None
