"""The one place that knows which methods exist, where their weights lie and how to get them.

A new method is one entry of ``METHODS``, or of ``SWAPS`` if it changes garments. Nothing is loaded
before ``load_method``; a method whose weights are absent or unfinished is *unavailable*, with a
sentence that says what to do. There is no way to a network with random weights from here.
"""

from __future__ import annotations

import dataclasses
import gc
import importlib
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple, cast

from reposedm.errors import SettingsError, WeightsError
from reposedm.pipelines.abilities import PIDM, REPOSEDM, STREET, SWAP
from reposedm.pipelines.base import Capabilities
from reposedm.weights import INDEX, MAX_JSON_BYTES, WEIGHTS, file_problem, weights_root

__all__ = [
    "METHODS",
    "SWAPS",
    "Entry",
    "capabilities",
    "entry",
    "load_method",
    "unavailable",
    "weights_root",
]


class Entry(NamedTuple):
    """One method.

    Attributes:
        module: the module that holds the class.
        name: the class. Without ``files`` it is called without arguments; with them its
            ``from_pretrained(folder)`` is, which must refuse weights that are not complete.
        files: weight files below ``weights_root()/<method>`` that must all be there.
        fetch: the command that fetches (or trains) them, one line, ready to paste.
        host_gb: host memory that loading needs, in GB; 0: not worth a check.
        able: what it can do, where importing the class costs seconds; None: ask the class.
    """

    module: str
    name: str
    files: tuple[str, ...] = ()
    fetch: str = ""
    host_gb: float = 0.0
    able: Capabilities | None = None


def _files(*networks: str) -> tuple[str, ...]:
    """The files of a diffusion pipeline."""
    return (INDEX, *(f"{name}/{WEIGHTS}" for name in networks))


_SHARED = tuple(
    f"../reposedm/{name}/{WEIGHTS}" for name in ("autoencoder", "alignment", "pose_encoder", "unet")
)

METHODS: dict[str, Entry] = {
    "reposedm": Entry(
        "reposedm.pipelines.reposedm",
        "RePoseDMPipeline",
        _files("autoencoder", "alignment", "pose_encoder", "unet"),
        "python -m training.train --config paper-deepfashion-256",
        host_gb=1.5,
        able=REPOSEDM,
    ),
    "preview": Entry("reposedm.pipelines.preview", "PreviewEngine"),
    "reposedm-street": Entry(
        "reposedm.pipelines.street",
        "StreetPipeline",
        (*_files("finest"), *_SHARED),
        "python -m training.train --config street",
        host_gb=1.5,
        able=STREET,
    ),
    "pidm": Entry(
        "reposedm.pipelines.baselines",
        "PIDMPipeline",
        _files("autoencoder", "encoder", "pose_encoder", "unet"),
        "python -m training.train --config b1",
        host_gb=1.5,
        able=PIDM,
    ),
}
"""Every method of reposing by its name. The first whose weights are here is the default."""

SWAPS: dict[str, Entry] = {
    "swap": Entry(
        "reposedm.pipelines.swap",
        "GarmentSwapPipeline",
        (*_files("finest"), *_SHARED),
        "python -m training.train --config swap",
        host_gb=1.5,
        able=SWAP,
    ),
    "warp": Entry("reposedm.pipelines.paste", "PasteWarp"),
}
"""Every method of swapping garments, by a name that no method of reposing has."""


def entry(name: str, table: dict[str, Entry] | None = None) -> Entry:
    """The entry of a method of ``METHODS``, or of another table.

    Raises:
        SettingsError: there is no such method.
    """
    known = METHODS if table is None else table
    if not isinstance(name, str) or name not in known:
        raise SettingsError(f"there is no method {name!r:.60}: choose one of {', '.join(known)}")
    return known[name]


def capabilities(name: str, table: dict[str, Entry] | None = None) -> Capabilities:
    """What a method can do; loads no weights and no library of networks.

    Where its weights are here, their own index says with what settings they sample best.

    Raises:
        SettingsError: there is no such method.
    """
    found = entry(name, table)
    if found.able is None:
        return cast(Capabilities, _class(found).capabilities)
    return _as_saved(found.able, weights_root() / name / INDEX)


def _as_saved(able: Capabilities, file: Path) -> Capabilities:
    """With the defaults that a pipeline's index names; whoever loads the weights checks it."""
    try:
        saved = json.loads(file.read_bytes()) if file.stat().st_size <= MAX_JSON_BYTES else None
    except (OSError, ValueError):
        return able
    if not isinstance(saved, dict):
        return able

    def number(key: str, default: float) -> float:
        value = saved.get(key)
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return default
        return value if 0 <= value < float("inf") else default

    size = saved.get("native_size")
    if isinstance(size, list) and len(size) == 2 and all(type(side) is int for side in size):
        able = dataclasses.replace(able, native_size=(size[0], size[1]))
    steers = number("pose_guidance_strength", 0) > 0
    return dataclasses.replace(
        able,
        controls=able.controls if steers else able.controls - {"pose_guidance_scale"},
        default_steps=max(1, int(number("steps", able.default_steps))),
        default_guidance=float(number("guidance_scale", able.default_guidance)),
        default_pose_guidance=float(number("pose_guidance_scale", able.default_pose_guidance)),
    )


def unavailable(name: str, table: dict[str, Entry] | None = None) -> str:
    """Empty if the method can be used, else a sentence that says why not and what to do.

    Looks at files only; imports nothing.

    Raises:
        SettingsError: there is no such method.
    """
    found = entry(name, table)
    folder = weights_root() / name
    for file in found.files:
        problem = file_problem(folder / file)
        if problem:
            return f"The weights of {name} are {problem} ({folder / file}). Get them: {found.fetch}"
    return ""


def load_method(name: str, table: dict[str, Entry] | None = None) -> Any:
    """A method (``base.Method``, or ``base.SwapMethod``), ready to run on the CPU.

    Raises:
        SettingsError: there is no such method.
        WeightsError: its weights are absent, unfinished or damaged.
    """
    found = entry(name, table)
    why_not = unavailable(name, table)
    if why_not:
        raise WeightsError(why_not)
    kind = _class(found)
    return kind.from_pretrained(weights_root() / name) if found.files else kind()


def _class(found: Entry) -> Any:
    module = sys.modules.get(found.module) or _imported(found.module)
    return getattr(module, found.name)


def _imported(name: str) -> Any:
    """A module, imported without looking for garbage between its ten thousand functions.

    What libraries make at import stays as long as the process: the collection after each job need
    not look through it again, either. That is half a second of the first picture, and a third of
    every one.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        return importlib.import_module(name)
    finally:
        gc.freeze()
        if collects:
            gc.enable()
