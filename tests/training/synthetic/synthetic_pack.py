"""The asset pack for tests, where there is one: it is not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[3].parent / "shared/assets/makehuman_pack_small"


def pack_folder() -> Path:
    """The folder, or the test is skipped."""
    given = os.environ.get("REPOSEDM_ASSETS", "")
    for folder in (Path(given) if given else None, BESIDE):
        if folder is not None and (folder / "assets.npz").is_file():
            return folder
    pytest.skip("needs the asset pack: set REPOSEDM_ASSETS")
