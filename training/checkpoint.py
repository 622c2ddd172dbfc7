"""Checkpoints that survive a kill, a full disk and a bad file (C-70 to C-74).

    run/step-00001000/
        state.json             where the run is: configuration, stage, step, samples seen, networks
        <group>.safetensors    tensors: each network, "ema", "optimizer", "rng"; in numbered parts
                               (.000, .001, ...) if files must stay small
        manifest.json          size and SHA-256 of every file above

A checkpoint is written as ``step-N.tmp``, synced to the disk, renamed, read again and only then
are older ones deleted. There is no pickle in it, and none is ever opened.
"""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_bytes
from safetensors.torch import save as to_bytes
from torch import Tensor

from reposedm.errors import RePoseError, WeightsError
from reposedm.weights import MANIFEST, check_manifest, read_json, write_manifest

STATE: Final = "state.json"
Tensors = Mapping[str, Tensor]

_STEP: Final = re.compile(r"step-(\d{8,})")
_FILE: Final = re.compile(r"([a-z_]+)\.safetensors(?:\.(\d{3,}))?")
_FULL: Final = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


class CheckpointError(RePoseError):
    """A checkpoint cannot be written, or is damaged, or does not fit the run."""


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files were all verified.

    Attributes:
        folder: where it lies.
        state: the content of ``state.json``.
        files: file names of each group of tensors, in order.
    """

    folder: Path
    state: Mapping[str, Any]
    files: Mapping[str, tuple[str, ...]]

    def tensors(self, group: str) -> dict[str, Tensor]:
        """The tensors of a group, on the CPU.

        Raises:
            CheckpointError: there is no such group, or it is not a safetensors file.
        """
        if group not in self.files:
            raise CheckpointError(f"{self.folder} holds no {group!r}")
        raw = b"".join((self.folder / name).read_bytes() for name in self.files[group])
        try:
            return dict(load_bytes(raw))
        except (SafetensorError, ValueError, KeyError) as error:
            first = self.folder / self.files[group][0]
            raise CheckpointError(f"{first} is not a safetensors file: {error}") from error


def save(
    run: Path,
    step: int,
    groups: Mapping[str, Tensors],
    state: Mapping[str, Any],
    *,
    keep: int = 2,
    part_bytes: int = 0,
) -> Path:
    """Write a checkpoint; when it is whole and verified, delete all but the newest ``keep``.

    Whatever happens on the way, the checkpoints that were there before stay as they are.

    Args:
        run: folder of the run; made if absent.
        step: counted over all stages.
        groups: names (small letters and _) and their tensors.
        state: JSON values without NaN.
        keep: at least 1.
        part_bytes: largest file; 0: no limit.

    Raises:
        CheckpointError: the disk is full (says how many bytes were needed and free), or the files
            read back differ.
    """
    final = run / f"step-{step:08d}"
    partial = final.with_name(final.name + ".tmp")
    needed = sum(t.numel() * t.element_size() for group in groups.values() for t in group.values())
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        names = [_write(partial, STATE, json.dumps(state, indent=1, allow_nan=False).encode())]
        for group, tensors in groups.items():
            names += _write_group(partial, group, tensors, part_bytes)
        write_manifest(partial, names, {"step": step})
        _sync(partial / MANIFEST)
        _sync(partial)
        if final.exists():  # the same step again: it did not verify, or a run was repeated
            shutil.rmtree(final)
        partial.rename(final)
        _sync(run)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise _failed(run, needed, error) from error
    verify(final)
    for old in checkpoints(run)[keep:]:
        shutil.rmtree(old)
    return final


def checkpoints(run: Path) -> list[Path]:
    """Folders of finished checkpoints, newest first; whether they verify is another question."""
    if not run.is_dir():
        return []
    found = [path for path in run.iterdir() if path.is_dir() and _STEP.fullmatch(path.name)]
    return sorted(found, key=lambda path: int(path.name[5:]), reverse=True)


def latest(run: Path) -> tuple[Checkpoint | None, list[str]]:
    """The newest checkpoint that verifies, and why newer ones were refused."""
    refused: list[str] = []
    for folder in checkpoints(run):
        try:
            return verify(folder), refused
        except CheckpointError as error:
            refused.append(str(error))
    return None, refused


def verify(folder: Path) -> Checkpoint:
    """A checkpoint with exactly the files of its manifest, each with the size and hash it names.

    Raises:
        CheckpointError: says what is wrong.
    """
    try:
        present = {path.name for path in folder.iterdir()}
        listed = set(read_json(folder / MANIFEST).get("files", ()))
        if present != listed | {MANIFEST}:
            odd = sorted(present ^ (listed | {MANIFEST}))
            why = "is missing" if odd[0] in listed else "does not belong there"
            raise CheckpointError(f"{folder} is refused: {odd[0]} {why}")
        files = _groups(folder, listed - {STATE})
        check_manifest(folder, sorted(listed))
        return Checkpoint(folder, read_json(folder / STATE), files)
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be read: {error.strerror}") from error
    except WeightsError as error:
        raise CheckpointError(f"{folder} is refused: {error}") from error


def clear_partial(run: Path) -> list[str]:
    """Delete what a killed run left half written; only under the run's lock. Names of folders."""
    left = [path for path in run.glob("step-*.tmp") if path.is_dir()]
    for path in left:
        shutil.rmtree(path, ignore_errors=True)
    return [path.name for path in left]


def random_state(process: int) -> dict[str, Tensor]:
    """The state of every random generator of this process: torch's, CUDA's, numpy's, Python's."""
    kind, keys, position, has_gauss, gauss = cast(Any, np.random.get_state(legacy=True))
    if kind != "MT19937":
        raise CheckpointError(f"numpy's generator is {kind}, which no checkpoint can hold")
    version, numbers, following = random.getstate()
    state = {
        "torch": torch.get_rng_state(),
        "numpy": torch.tensor([*keys.tolist(), position, has_gauss]),
        "numpy_gauss": torch.tensor([gauss], dtype=torch.float64),
        "python": torch.tensor([version, *numbers]),
        "python_gauss": torch.tensor([] if following is None else [following]).double(),
    }
    if torch.cuda.is_available():
        state["cuda"] = torch.cuda.get_rng_state()
    return {f"{name}.{process}": value for name, value in state.items()}


def restore_random_state(tensors: Tensors, process: int) -> None:
    """Put back what ``random_state`` found.

    Raises:
        CheckpointError: it is not all there: the run could not go on as it would have.
    """
    names = ["torch", "numpy", "numpy_gauss", "python", "python_gauss"]
    names += ["cuda"] if torch.cuda.is_available() else []
    missing = [name for name in names if f"{name}.{process}" not in tensors]
    if missing:
        raise CheckpointError(
            f"the checkpoint lacks the random state {missing[0]!r} of process {process}: going on "
            "would not be the same run. --allow-changed-config goes on all the same."
        )
    found = {name: tensors[f"{name}.{process}"] for name in names}
    try:
        torch.set_rng_state(found["torch"])
        *keys, position, has_gauss = found["numpy"].tolist()
        gauss = float(found["numpy_gauss"])
        np.random.set_state(("MT19937", np.array(keys, np.uint32), position, has_gauss, gauss))
        version, *numbers = found["python"].tolist()
        following = found["python_gauss"].tolist()
        random.setstate((version, tuple(numbers), following[0] if following else None))
        if "cuda" in found:
            torch.cuda.set_rng_state(found["cuda"])
    except (RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(f"the checkpoint's random state is not one: {error}") from error


def _write_group(folder: Path, group: str, tensors: Tensors, part_bytes: int) -> list[str]:
    name = f"{group}.safetensors"
    if not _FILE.fullmatch(name):
        raise ValueError(f"a group's name has small letters and _ only, not {group!r}")
    raw = to_bytes({key: value.detach().cpu().contiguous() for key, value in tensors.items()})
    if not part_bytes:
        return [_write(folder, name, raw)]
    return [
        _write(folder, f"{name}.{index:03d}", raw[start : start + part_bytes])
        for index, start in enumerate(range(0, len(raw), part_bytes))
    ]


def _write(folder: Path, name: str, content: bytes) -> str:
    with (folder / name).open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return name


def _sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    if path.is_dir() and os.name == "nt":
        return  # Windows has no handle to sync for a folder
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _groups(folder: Path, names: set[str]) -> dict[str, tuple[str, ...]]:
    """File names by group, the parts of each complete and in order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        match = _FILE.fullmatch(name)
        if not match:
            raise CheckpointError(f"{folder} is refused: {name} is no file of a checkpoint")
        found.setdefault(match[1], []).append((int(match[2] or 0), name))
    for group, parts in found.items():
        if sorted(number for number, _ in parts) != list(range(len(parts))):
            raise CheckpointError(f"{folder} is refused: parts of {group} are missing")
    return {group: tuple(name for _, name in sorted(parts)) for group, parts in found.items()}


def _failed(run: Path, needed: int, error: OSError) -> CheckpointError:
    reason = error.strerror or str(error)
    if error.errno not in _FULL:
        return CheckpointError(f"no checkpoint could be written to {run}: {reason}")
    free = shutil.disk_usage(run).free if run.exists() else 0
    return CheckpointError(
        f"no checkpoint could be written to {run} ({reason}): it needs {needed:,} bytes and "
        f"{free:,} are free. Earlier checkpoints are untouched; make room and resume."
    )
