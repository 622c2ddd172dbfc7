"""Fixtures of the whole suite: the app, served once per session."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "browser"))

from chromium_harness import start_app  # noqa: E402

HEAVY = ("diffusion", "models", "pipelines", "training")
"""Folders whose tests load torch and networks: in make test, not in make fast."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in the heavy folders."""
    for item in items:
        if item.path.relative_to(HERE).parts[0] in HEAVY:
            item.add_marker(pytest.mark.heavy)


@dataclass(frozen=True)
class Served:
    """A running app: its address, and the file its output goes to."""

    url: str
    log: Path


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The real app, with one more method: a slow step-wise one (see ``browser/repose_app.py``)."""
    log = tmp_path_factory.mktemp("app") / "app.log"
    process, url = start_app(HERE / "browser" / "repose_app.py", log)
    yield Served(url, log)
    process.terminate()
    process.wait(20)
