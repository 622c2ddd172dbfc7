"""Hostile rows of the pose editor that need no browser: its geometry and history under node.

The cases themselves are in ``tests/pose_editor/js``, named after their row.
"""

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1] / "pose_editor" / "js"
NODE = shutil.which("node")

pytestmark = pytest.mark.skipif(NODE is None, reason="node is not installed")


@functools.cache
def _report() -> str:
    """What node says about the page's tests of all rows; none may fail."""
    files = sorted(str(file) for file in TESTS.glob("*.test.js"))
    done = subprocess.run(
        [str(NODE), "--test", "--test-reporter=tap", r"--test-name-pattern=C-\d\d\b", *files],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout


def _passed(row: str) -> int:
    """How many of the page's tests of this row passed."""
    return len(re.findall(rf"^\s*ok \d+ - {row}\b(?!.*# SKIP)", _report(), re.MULTILINE))


def test_c25_values_that_are_no_document_are_described_by_the_page() -> None:
    assert _passed("C-25") >= 1


def test_c26_spots_and_zero_length_bones_give_numbers_in_the_page() -> None:
    assert _passed("C-26") >= 1


def test_c29_the_dragged_joint_stops_at_the_edge() -> None:
    assert _passed("C-29") >= 2


def test_c33_history_is_bounded_and_a_server_update_is_one_step() -> None:
    assert _passed("C-33") >= 2


def test_c34_the_page_keeps_the_bodys_own_lengths() -> None:
    assert _passed("C-34") >= 1
