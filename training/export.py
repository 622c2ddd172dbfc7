"""Weights that the app loads, from a run or one of its checkpoints.

    python -m training.export runs/reposedm -o exported --half --default steps=4
    REPOSEDM_WEIGHTS=exported python app.py

The pipeline lands in a folder of its method's name, a garment network in one of its own. They have
the averaged weights; those of garment networks are in float16, the pipeline's with ``--half``. With
what defaults a pipeline samples best is measured after training, and told here.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import inspect
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, cast

from reposedm.errors import RePoseError, SettingsError
from reposedm.pipelines.weights import load_component
from reposedm.weights import CONFIG, WEIGHTS, write_manifest
from training.checkpoint import CheckpointError
from training.checks import GARMENT_STAGES
from training.components import Components, Networks
from training.resume import find, restore_components

DEFAULTS: Final[Mapping[str, type[float | int | str]]] = {
    "steps": int, "guidance_scale": float, "pose_guidance_scale": float,
    "pose_guidance_moves": int, "sampler": str,
}  # fmt: skip
"""Settings of a pipeline that ``--default`` may change."""

FOR_THE_APP: Final = ("diffusion", *GARMENT_STAGES)
"""Stages after which there is something that the app loads."""


def export_stage(
    components: Networks,
    stage: str,
    root: Path,
    *,
    half: bool = False,
    defaults: Mapping[str, float | str] | None = None,
) -> Path:
    """Write what the app loads after a stage of ``FOR_THE_APP``; its folder in ``root``."""
    if stage in GARMENT_STAGES:
        return export_network(components, stage, root)
    return export(cast(Components, components), root, half=half, defaults=defaults)


def export(
    components: Components,
    root: Path,
    *,
    half: bool = False,
    defaults: Mapping[str, float | str] | None = None,
) -> Path:
    """Write the pipeline to ``root/<method>`` and read it back; replaces what is there.

    Args:
        components: not changed.
        root: a folder of weights.
        half: in float16.
        defaults: of the pipeline's own settings, such as ``steps``.

    Returns:
        The pipeline's folder.

    Raises:
        WeightsError: a default that the pipeline refuses.
    """
    made = components
    if half:
        networks = {name: copy.deepcopy(one).half() for name, one in components.networks.items()}
        made = dataclasses.replace(components, **networks)
    pipeline = made.pipeline()
    if defaults:
        pipeline = type(pipeline)(**pipeline.components, **{**_settings(pipeline), **defaults})
    final = root / pipeline.capabilities.name
    partial = final.with_name(f".{final.name}.{os.getpid()}.tmp")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        pipeline.save_pretrained(partial)
        pipeline.check_saved(partial)
        if final.exists():
            shutil.rmtree(final)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def save_networks(components: Networks, names: Sequence[str], root: Path) -> None:
    """Write single networks to ``root/<name>``, for the ``init`` settings of other runs."""
    for name in names:
        network: Any = components.networks[name]
        network.save_pretrained(root / name, max_shard_size="1000GB")
        write_manifest(root / name, (CONFIG, WEIGHTS), {"class": type(network).__name__})


def export_network(components: Networks, name: str, root: Path) -> Path:
    """Write one network for the app to ``root/name``, in float16, and read it back.

    Returns:
        The network's folder.
    """
    network: Any = copy.deepcopy(components.networks[name]).half()
    final, partial = root / name, root / f".{name}.{os.getpid()}.tmp"
    shutil.rmtree(partial, ignore_errors=True)
    try:
        network.save_pretrained(partial, max_shard_size="1000GB")
        write_manifest(partial, (CONFIG, WEIGHTS), {"class": type(network).__name__})
        load_component(type(network), partial)
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return final


def _settings(pipeline: Any) -> dict[str, Any]:
    """What a pipeline was made with, without its networks."""
    known = inspect.signature(type(pipeline).__init__).parameters
    return {name: value for name, value in pipeline.config.items()
            if name in known and name not in pipeline.components}  # fmt: skip


def _defaults(pairs: Sequence[str]) -> dict[str, float | str]:
    """``steps=4`` and the like.

    Raises:
        SettingsError: no pair, or no name of ``DEFAULTS``.
    """
    found: dict[str, float | str] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if name not in DEFAULTS:
            known = ", ".join(DEFAULTS)
            raise SettingsError(f"a default is NAME=VALUE, of {known}: not {pair!r:.60}")
        try:
            found[name] = DEFAULTS[name](value)
        except ValueError:
            raise SettingsError(f"{name} is no number: {value!r:.40}") from None
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser("python -m training.export", description=__doc__)
    parser.add_argument("checkpoint", help="a run, or one of its step-... folders")
    parser.add_argument("-o", "--out", required=True, help="folder of weights")
    parser.add_argument("--half", action="store_true", help="a pipeline's weights in float16")
    parser.add_argument(
        "--default", action="append", default=[], metavar="NAME=VALUE",
        help=f"what the pipeline does when nothing is said: {', '.join(DEFAULTS)}",
    )  # fmt: skip
    options = parser.parse_args(argv)
    try:
        defaults = _defaults(options.default)
        found, refused = find(Path(options.checkpoint), options.checkpoint)
        if found is None:
            raise CheckpointError(f"{options.checkpoint} holds no checkpoint")
        for reason in refused:
            print(f"skipped: {reason}", file=sys.stderr)
        stage = found.state["progress"]["stage"]
        if stage not in FOR_THE_APP:
            raise CheckpointError(
                f"{found.folder} is of stage {stage}: its denoiser is not trained"
            )
        components = restore_components(found, averaged=True)
        out = Path(options.out)
        folder = export_stage(components, stage, out, half=options.half, defaults=defaults)
    except RePoseError as error:
        print(error, file=sys.stderr)
        return 2
    print(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
