"""``python -m reposedm convert``: a public checkpoint (a pickle) into a folder that we can load.

The only command that opens a foreign pickle, and it runs nothing of it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
from pathlib import Path

from reposedm.errors import WeightsError
from reposedm.weights import CONFIG, MANIFEST, WEIGHTS, sha256_of, write_manifest

KINDS = ("auto", "higherhrnet", "pidm")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``convert`` to the command line."""
    parser = commands.add_parser(
        "convert", help="turn a public HigherHRNet or PIDM checkpoint into safetensors"
    )
    parser.set_defaults(run=convert)
    parser.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--kind", choices=KINDS, default="auto", help="what it is; default: see its tensors' names"
    )


def convert(parsed: argparse.Namespace) -> None:
    """``convert CHECKPOINT -o FOLDER``: writes config.json, the weights and manifest.json."""
    print(convert_file(parsed.checkpoint, parsed.output, parsed.kind), file=sys.stderr)
    print(f"wrote {parsed.output.expanduser()}", file=sys.stderr)


def convert_file(checkpoint: Path, output: Path, kind: str = "auto") -> str:
    """Convert ``checkpoint`` into the new folder ``output``; what it was, in words.

    The folder appears when it is complete, or not at all.

    Raises:
        WeightsError: the checkpoint is not one that we know, or the folder is taken.
    """
    from reposedm.models.foreign_layouts import convert_checkpoint

    checkpoint, output = checkpoint.expanduser(), output.expanduser()
    _check_output(output)
    converted = convert_checkpoint(checkpoint, kind)
    unfinished = output.with_name(f".{output.name[:100]}.{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir()
        _write(unfinished, converted.config, converted.tensors)
        shapes = {name: list(tensor.shape) for name, tensor in converted.tensors.items()}
        source = {
            "kind": converted.kind,
            "source": converted.source,
            "file": {"name": checkpoint.name, "sha256": sha256_of(checkpoint)},
            "shapes": {name: "x".join(map(str, shape)) for name, shape in shapes.items()},
        }
        write_manifest(unfinished, (CONFIG, WEIGHTS), source)
        if output.exists():
            output.rmdir()  # checked to be empty; some systems rename only onto nothing
        unfinished.rename(output)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    count = sum(tensor.numel() for tensor in converted.tensors.values())
    return f"{converted.source}: {len(converted.tensors)} tensors, {count:,} values"


def _write(folder: Path, config: dict[str, object], tensors: dict[str, object]) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    text = json.dumps(config, indent=2, sort_keys=True) + "\n"
    (folder / CONFIG).write_text(text, encoding="utf-8")
    try:
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    except SafetensorError as error:  # a full disk arrives here, not as OSError
        raise WeightsError(f"{folder / WEIGHTS} could not be written: {error}.") from error


def _check_output(output: Path) -> None:
    if output.exists() and not output.is_dir():
        raise WeightsError(f"{output} is a file: name a new folder.")
    if output.is_dir() and any(output.iterdir()):
        held = "weights already" if (output / MANIFEST).exists() else "files already"
        raise WeightsError(f"{output} holds {held}: name a new folder, or delete it first.")
