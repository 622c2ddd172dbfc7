"""Which methods there are, whether they can run here, and the one that is loaded.

One method with weights is in memory at a time: loading another frees the one before. A job calls
``load_method`` while it holds the accelerator (``runtime.accelerator``), so methods change only
between jobs (C-46).
"""

from __future__ import annotations

import threading

from reposedm.jobs.memory import check_host_memory, free_memory
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities, Method

_loaded: dict[str, Method] = {}
_heavy: set[str] = set()
_lock = threading.Lock()


def method_names() -> list[str]:
    """Every method this version knows, usable or not; the first is the default."""
    return list(loading.METHODS)


def available_methods() -> list[str]:
    """The methods that can be used on this computer, in the same order."""
    return [name for name in method_names() if not unavailable(name)]


def capabilities(name: str) -> Capabilities:
    """What a method can do; loads no weights.

    Raises:
        SettingsError: there is no such method.
    """
    return loading.capabilities(name)


def unavailable(name: str) -> str:
    """Empty if the method can be used, else one sentence why not and what to do.

    Raises:
        SettingsError: there is no such method.
    """
    return loading.unavailable(name)


def load_method(name: str) -> Method:
    """The method, from memory where it was used last.

    Raises:
        SettingsError: there is no such method.
        WeightsError: its weights are absent, unfinished or damaged.
        ResourceError: it needs more memory than this computer has free (C-54).
    """
    with _lock:
        if name not in _loaded:
            found = loading.entry(name)
            if found.files:
                _forget_heavy()
            check_host_memory(found.host_gb, f"the method {name}")
            _loaded[name] = loading.load_method(name)
            if found.files:
                _heavy.add(name)
        return _loaded[name]


def unload_methods() -> None:
    """Forget every loaded method and free its memory."""
    with _lock:
        _loaded.clear()
        _heavy.clear()
    free_memory()


def _forget_heavy() -> None:
    if not _heavy:
        return
    for name in _heavy:
        del _loaded[name]
    _heavy.clear()
    free_memory()
