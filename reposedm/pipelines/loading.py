"""The one place that knows which methods exist, where their weights lie and how to get them.

A new method is one entry of ``METHODS``. Nothing is loaded before ``load_method``; a method whose
weights are absent or unfinished is *unavailable*, with a sentence that says what to do. There is no
way to a network with random weights from here.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple, cast

from reposedm.errors import SettingsError, WeightsError
from reposedm.pipelines.abilities import PIDM, REPOSEDM
from reposedm.pipelines.base import Capabilities, Method
from reposedm.weights import WEIGHTS, file_problem, weights_root

__all__ = [
    "METHODS",
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
    return ("model_index.json", *(f"{name}/{WEIGHTS}" for name in networks))


METHODS: dict[str, Entry] = {
    "preview": Entry("reposedm.pipelines.preview", "PreviewEngine"),
    "reposedm": Entry(
        "reposedm.pipelines.reposedm",
        "RePoseDMPipeline",
        _files("autoencoder", "alignment", "pose_encoder", "unet"),
        "python -m training.train --config paper-deepfashion-256",
        host_gb=1.5,
        able=REPOSEDM,
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
"""Every method by its name; the first is the default."""


def entry(name: str) -> Entry:
    """The entry of a method.

    Raises:
        SettingsError: there is no such method.
    """
    if not isinstance(name, str) or name not in METHODS:
        raise SettingsError(f"there is no method {name!r:.60}: choose one of {', '.join(METHODS)}")
    return METHODS[name]


def capabilities(name: str) -> Capabilities:
    """What a method can do; loads no weights and no library of networks.

    Raises:
        SettingsError: there is no such method.
    """
    return entry(name).able or cast(Capabilities, _class(name).capabilities)


def unavailable(name: str) -> str:
    """Empty if the method can be used, else a sentence that says why not and what to do.

    Looks at files only; imports nothing.

    Raises:
        SettingsError: there is no such method.
    """
    found = entry(name)
    folder = weights_root() / name
    for file in found.files:
        problem = file_problem(folder / file)
        if problem:
            return f"The weights of {name} are {problem} ({folder / file}). Get them: {found.fetch}"
    return ""


def load_method(name: str) -> Method:
    """A method, ready to run on the CPU.

    Raises:
        SettingsError: there is no such method.
        WeightsError: its weights are absent, unfinished or damaged.
    """
    found = entry(name)
    why_not = unavailable(name)
    if why_not:
        raise WeightsError(why_not)
    kind = _class(name)
    made = kind.from_pretrained(weights_root() / name) if found.files else kind()
    return cast(Method, made)


def _class(name: str) -> Any:
    found = entry(name)
    return getattr(importlib.import_module(found.module), found.name)
