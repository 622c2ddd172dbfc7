from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.runs import whole_run


@pytest.fixture(scope="session")
def whole() -> Path:
    """A finished run that a test may read, not change."""
    return whole_run()
