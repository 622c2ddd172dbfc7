"""How fast things start: imports, the command line, and the app until it answers.

    python -m benchmarks.startup [-o results.json]

Each number is the best of three fresh processes; memory is what the process holds then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from benchmarks.serving import ROOT, served

RUNS = 3

IMPORTS = {
    "python itself": "pass",
    "reposedm.pose": "import reposedm.pose",
    "reposedm.imaging": "import reposedm.imaging",
    "reposedm.detect": "import reposedm.detect",
    "reposedm.jobs.repose": "import reposedm.jobs.repose",
    "reposedm.ui.app (gradio)": "import reposedm.ui.app",
    "torch, for comparison": "import torch",
}
MEASURED = "import psutil; print(psutil.Process().memory_info().rss)"


def best_import(code: str) -> dict[str, float]:
    """Seconds of a fresh Python that runs ``code``, and its memory in MB."""
    times, memory = [], 0
    for _ in range(RUNS):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", f"{code}; {MEASURED}"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        times.append(time.perf_counter() - start)
        memory = int(done.stdout.split()[-1])
    return {"seconds": round(min(times), 2), "memory_mb": round(memory / 1e6)}


def best_command(*arguments: str) -> dict[str, float]:
    """Seconds of ``python -m reposedm ...``."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "reposedm", *arguments],
            cwd=ROOT, capture_output=True, check=True,
        )  # fmt: skip
        times.append(time.perf_counter() - start)
    return {"seconds": round(min(times), 2)}


def start_app() -> dict[str, float]:
    """Seconds until the app's page and its configuration come over HTTP, and its memory in MB."""
    with served() as app:
        memory = psutil.Process(app.pid).memory_info().rss
    return {"seconds": round(app.seconds, 2), "memory_mb": round(memory / 1e6)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    parsed = parser.parse_args()
    results = {f"import {name}": best_import(code) for name, code in IMPORTS.items()}
    results["reposedm --help"] = best_command("--help")
    results["reposedm info"] = best_command("info")
    runs = [start_app() for _ in range(RUNS)]
    results["app.py until HTTP answers"] = min(runs, key=lambda run: run["seconds"])
    print(f"{'':34} {'seconds':>8} {'MB':>6}   ({os.cpu_count()} cores)")
    for name, result in results.items():
        print(f"{name:34} {result['seconds']:8.2f} {result.get('memory_mb', ''):>6}")
    if parsed.output:
        parsed.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
