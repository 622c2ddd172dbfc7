"""mediapipe without what nobody here asks it for."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType
from typing import Any, Final

_PYPLOT: Final = "matplotlib.pyplot"
_once = threading.Lock()


class _Later(ModuleType):
    """A module that is imported when somebody wants something of it."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # import machinery looks for these; the real one has its own
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def import_mediapipe() -> Any:
    """The package, imported.

    Its drawing module imports pyplot for one function that shows landmarks in a window. That is
    half of the whole import, and a second of the app's first picture: it comes when that function
    is called.

    Raises:
        ImportError: mediapipe, or what it needs, is not installed.
    """
    with _once:
        if "mediapipe" in sys.modules or _PYPLOT in sys.modules:
            return importlib.import_module("mediapipe")
        later = _Later(_PYPLOT)
        sys.modules[_PYPLOT] = later
        try:
            return importlib.import_module("mediapipe")
        finally:
            if sys.modules.get(_PYPLOT) is later:
                del sys.modules[_PYPLOT]
