"""What a number was computed on and with: hardware, packages, the project's commit."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

PACKAGES: Final = (
    "torch", "torchvision", "numpy", "pillow", "opencv-python", "scikit-image", "lpips",
    "torch-fidelity", "pycocotools", "mediapipe", "diffusers",
)  # fmt: skip


def versions() -> dict[str, str]:
    """Of Python and of every package that can change a number."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine(device: str = "cpu") -> dict[str, Any]:
    """The hardware, as far as numbers depend on it: no name and no path of a computer.

    Args:
        device: what the networks run on; "cuda" names the card too.
    """
    import torch

    found: dict[str, Any] = {
        "device": device,
        "cpu": _cpu_name(),
        "cores": _cores(),
        "threads": torch.get_num_threads(),
        "system": platform.system(),
    }
    if device == "cuda":
        found["gpu"] = torch.cuda.get_device_name()
        found["gpus"] = torch.cuda.device_count()
    return found


def _cores() -> int:
    """That this process may use, which taskset and containers limit."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text("utf-8", "replace") if info.exists() else ""
    marked = [line for line in text.splitlines() if line.startswith("model name")]
    if marked:
        return marked[0].partition(":")[2].strip()
    return platform.processor() or platform.machine()


def command_line(module: str, arguments: Sequence[str]) -> str:
    """A command as a reader can repeat it: of absolute paths only the last name is kept."""
    return public(f"python -m {module} {shlex.join(arguments)}".strip())


def public(text: str) -> str:
    """A text without the folders of this computer: "/a/b/c.json" becomes "c.json"."""
    return re.sub(r"(?<![\w./-])~?/(?:[^\s/'\",:=]+/)*(?=[^\s/'\",:=])", "", text)


def commit() -> str | None:
    """The project's git commit, with "-dirty" if files differ from it; None outside of git."""
    root = Path(__file__).resolve().parents[1]
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=40",
               "--exclude=*"]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
