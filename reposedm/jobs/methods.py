"""Which methods there are, whether they can run here, and the one that is loaded.

One method with weights is in memory at a time: loading another frees the one before. A job calls
``load_method`` while it holds the accelerator (``runtime.accelerator``), so methods change only
between jobs (C-46).
"""

from __future__ import annotations

import contextlib
import threading
from typing import Any, Literal

from reposedm.errors import RePoseError
from reposedm.jobs.memory import check_host_memory, free_memory
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities

_loaded: dict[str, Any] = {}
_heavy: set[str] = set()
_lock = threading.Lock()


Task = Literal["repose", "swap"]
"""What a method is for; names are unique over all tasks."""


def method_names(task: Task = "repose") -> list[str]:
    """Every method of a task this version knows, usable or not, the best first."""
    return list(_table(task))


def available_methods(task: Task = "repose") -> list[str]:
    """The methods that can be used on this computer, in the same order."""
    return [name for name in method_names(task) if not unavailable(name, task)]


def default_method(task: Task = "repose") -> str:
    """The best method whose weights are here; each task has one that needs none."""
    return available_methods(task)[0]


def capabilities(name: str, task: Task = "repose") -> Capabilities:
    """What a method can do; loads no weights.

    Raises:
        SettingsError: there is no such method.
    """
    return loading.capabilities(name, _table(task))


def unavailable(name: str, task: Task = "repose") -> str:
    """Empty if the method can be used, else one sentence why not and what to do.

    Raises:
        SettingsError: there is no such method.
    """
    return loading.unavailable(name, _table(task))


def load_method(name: str, task: Task = "repose") -> Any:
    """The method (``base.Method``, or ``base.SwapMethod``), from memory where it was used last.

    Raises:
        SettingsError: there is no such method.
        WeightsError: its weights are absent, unfinished or damaged.
        ResourceError: it needs more memory than this computer has free (C-54).
    """
    with _lock:
        if name not in _loaded:
            found = loading.entry(name, _table(task))
            if found.files:
                _forget_heavy()
            check_host_memory(found.host_gb, f"the method {name}")
            _loaded[name] = loading.load_method(name, _table(task))
            if found.files:
                _heavy.add(name)
        return _loaded[name]


def is_loaded(name: str) -> bool:
    """Whether ``load_method`` would answer at once."""
    return name in _loaded


def warm_up(task: Task = "repose") -> None:
    """Load the method that is offered first, unless networks of some method are there already.

    Errors as of ``load_method``.
    """
    if not _heavy:
        load_method(default_method(task), task)


def warm_up_beside() -> threading.Thread:
    """``warm_up`` while the caller goes on; whatever fails fails again when it is asked for."""

    def prepare() -> None:
        with contextlib.suppress(RePoseError):
            warm_up()

    thread = threading.Thread(target=prepare, name="reposedm-warm", daemon=True)
    thread.start()
    return thread


def unload_methods() -> None:
    """Forget every loaded method and free its memory."""
    with _lock:
        _loaded.clear()
        _heavy.clear()
    free_memory()


def _table(task: Task) -> dict[str, loading.Entry]:
    return loading.SWAPS if task == "swap" else loading.METHODS


def _forget_heavy() -> None:
    if not _heavy:
        return
    for name in _heavy:
        del _loaded[name]
    _heavy.clear()
    free_memory()
