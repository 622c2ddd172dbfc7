"""Fixtures of the whole suite: the app, served once per session."""

from __future__ import annotations

import functools
import gc
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent
if "PYTEST_XDIST_WORKER" in os.environ:  # the workers share the cores; before numpy is imported
    os.environ.setdefault("OMP_NUM_THREADS", "1")
NO_WEIGHTS = str(HERE / "no-weights")
"""Tests meet no weights unless they say so: they are of the code, and quick; ``test_shipped.py``
tests what ships."""
os.environ["REPOSEDM_WEIGHTS"] = NO_WEIGHTS
sys.path.insert(0, str(HERE / "browser"))

from chromium_harness import start_app  # noqa: E402

HEAVY = ("diffusion", "models", "pipelines", "training")
"""Folders whose tests load torch and networks: in make test, not in make fast."""
NETWORKS = re.compile(
    r"^(from|import) (diffusers|training|reposedm\.(models|diffusion)"
    r"|tests\.(models|training|pipelines))\b",
    re.MULTILINE,
)
"""What a test module elsewhere imports at its top if it needs networks: it is heavy, too."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not even import what ``-m`` would leave out: importing networks takes half a minute."""
    wanted = config.option.markexpr
    if collection_path.is_dir():  # its conftest.py would be imported, too
        named = {"not heavy": HEAVY, "not browser": ("browser",)}
        left_out = {name for text, names in named.items() if text in wanted for name in names}
        return True if collection_path.parent == HERE and collection_path.name in left_out else None
    is_test = collection_path.suffix == ".py" and collection_path.name.startswith("test_")
    return True if is_test and "not heavy" in wanted and _is_heavy(collection_path) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs networks: by its module, or by a fixture that loads them."""
    for item in items:
        if _is_heavy(item.path) or "weights" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.heavy)


def pytest_collection_finish() -> None:
    """Let garbage collection skip what importing left behind: many tests collect, to see leaks."""
    gc.collect()
    gc.freeze()


@functools.cache
def _is_heavy(file: Path) -> bool:
    return file.relative_to(HERE).parts[0] in HEAVY or bool(
        NETWORKS.search(file.read_text("utf-8"))
    )


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
