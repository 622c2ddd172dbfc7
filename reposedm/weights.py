"""Weight folders on disk: where they are, whether a file is whole, and the manifest beside it.

A folder of one network holds ``config.json``, ``diffusion_pytorch_model.safetensors`` (the names
of diffusers) and, if we or ``reposedm convert`` wrote it, ``manifest.json`` with a SHA-256 for each
file. Nothing here imports torch.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from reposedm.errors import WeightsError

CONFIG: Final = "config.json"
WEIGHTS: Final = "diffusion_pytorch_model.safetensors"
MANIFEST: Final = "manifest.json"
INDEX: Final = "model_index.json"
"""Of a pipeline: its networks and its settings."""

MAX_JSON_BYTES: Final = 1 << 20
"""No configuration and no manifest is larger."""

GIT_LFS_POINTER: Final = b"version https://git-lfs"


def weights_root() -> Path:
    """The folder of all weights: ``$REPOSEDM_WEIGHTS``, else ``assets/weights`` of the project."""
    chosen = os.environ.get("REPOSEDM_WEIGHTS", "").strip()
    if chosen:
        return Path(chosen).expanduser().resolve()
    return Path(__file__).resolve().parents[1] / "assets" / "weights"


def file_problem(file: Path) -> str:
    """What is wrong with a weight file, from the outside: "" if nothing."""
    try:
        if not file.is_file():
            return "not here"
        with file.open("rb") as opened:
            start = opened.read(len(GIT_LFS_POINTER))
    except OSError as error:
        return f"not readable: {error.strerror}"
    if not start:
        return "unfinished: the file is empty"
    if start == GIT_LFS_POINTER:
        return "unfinished: this is a git-lfs pointer, not the file"
    return ""


def damaged(file: Path, sha256: str = "") -> WeightsError:
    """The one error for a file that is cut off or changed; ``sha256`` is what it should have."""
    should = f" (sha256 {sha256})" if sha256 else ""
    return WeightsError(
        f"{file} is damaged or incomplete: delete it and download it again{should}."
    )


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder as a path, ``~`` expanded.

    Raises:
        WeightsError: it is absent, no folder, or may not be entered.
    """
    path = Path(folder).expanduser()
    try:
        if path.is_dir():
            os.listdir(path)
            return path
        there = path.exists()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "this is not a path"
        raise WeightsError(f"The weights folder {path!s:.300} cannot be read: {reason}.") from error
    if there:
        raise WeightsError(f"{path} is a file: name the folder with {CONFIG} and {WEIGHTS}.")
    raise WeightsError(f"There is no weights folder {path!s:.300}.")


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object of at most ``MAX_JSON_BYTES``; NaN and Infinity are refused.

    Raises:
        WeightsError: unreadable, too large, or not such an object.
    """
    problem = file_problem(file)
    if problem:
        raise WeightsError(f"{file} is {problem}.")
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_JSON_BYTES + 1)
        if len(raw) > MAX_JSON_BYTES:
            raise WeightsError(f"{file} is larger than {MAX_JSON_BYTES} bytes: not one of ours.")
        content = json.loads(raw.decode("utf-8"), parse_constant=_refuse_constant)
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise damaged(file) from error
    if not isinstance(content, dict):
        raise damaged(file)
    return content


def write_manifest(folder: Path, names: Iterable[str], facts: Mapping[str, Any]) -> None:
    """Write ``manifest.json``: size and SHA-256 of each named file, and ``facts`` beside them.

    Args:
        folder: the folder of the files.
        names: file names relative to it, with forward slashes.
        facts: JSON values, such as the kind of checkpoint the weights came from.
    """
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)}
        for name in names
    }
    content = {"schema": 1, "files": files, **facts}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")


def check_manifest(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Compare files with ``folder/manifest.json``; their SHA-256, or {} without a manifest.

    A file that exists but is not listed is refused, since anybody could have put it there.

    Raises:
        WeightsError: the manifest cannot be read, or a file is not the one it names.
    """
    manifest = folder / MANIFEST
    if not manifest.exists():
        return {}
    listed = read_json(manifest).get("files")
    if not isinstance(listed, dict):
        raise damaged(manifest)
    found = {}
    for name in names:
        file, facts = folder / name, listed.get(name)
        facts = facts if isinstance(facts, dict) else {}
        expected = facts.get("sha256")
        if not isinstance(expected, str):
            raise WeightsError(f"{manifest} does not list {name}: the folder mixes two downloads.")
        try:
            if file.stat().st_size != facts.get("bytes") or sha256_of(file) != expected:
                raise damaged(file, expected)
        except OSError as error:
            raise WeightsError(f"{file} cannot be read: {error.strerror}.") from error
        found[name] = expected
    return found


def sha256_of(file: Path) -> str:
    """Lower-case hexadecimal SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
