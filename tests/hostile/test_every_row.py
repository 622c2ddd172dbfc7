"""Every row of the checklist of hostile inputs has a test that carries its id."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {
    *range(1, 55), *range(60, 69), *range(70, 80), *range(80, 100),
} - {49}  # fmt: skip
"""There is no C-49."""


def test_every_row_has_a_test() -> None:
    found: set[int] = set()
    for file in TESTS.rglob("test_*.py"):
        found |= {int(row) for row in re.findall(r"def test_c(\d\d)_", file.read_text("utf-8"))}
    assert sorted(ROWS - found) == []
