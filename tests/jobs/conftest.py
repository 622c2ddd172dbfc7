"""The tiny method, installed; and nothing left behind."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from reposedm.jobs.detect import forget_photos
from reposedm.jobs.methods import load_method, unload_methods
from reposedm.jobs.runtime import ACCELERATOR
from tests.methods import NAME, TinyDiffusion, install


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TinyDiffusion]:
    install(tmp_path, monkeypatch)
    yield load_method(NAME)
    unload_methods()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    yield
    assert not ACCELERATOR.locked(), "a job is still running"
    forget_photos()
