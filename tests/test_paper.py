"""docs/paper.md: every equation has a function that says so, and a test that exists."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "paper.md"
EQUATIONS = range(1, 18)


class Row(NamedTuple):
    number: int
    function: str
    test: str


def rows() -> list[Row]:
    found = re.findall(
        r"^\| (\d+) \| [^|]+ \| `([\w.]+)` \| `([\w./]+::\w+)` \|$", PAGE.read_text("utf-8"), re.M
    )
    return [Row(int(number), function, test) for number, function, test in found]


def named(path: str) -> Any:
    """A function, class or method by its dotted path."""
    parts = path.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        for name in parts[cut:]:
            found = getattr(found, name)
        return found
    raise AssertionError(f"no module on the way to {path}")


def equations_in(text: str) -> set[int]:
    """Numbers after "Eq.": "Eq. 3", "Eq. 5-9", "Eq. 3 and 17", "Eq. 1, 3"."""
    found: set[int] = set()
    for group in re.findall(r"Eq\.\s+((?:\d+(?:-\d+)?(?:, | and |,\n|\s+and\s+)?)+)", text):
        for first, last in re.findall(r"(\d+)(?:-(\d+))?", group):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def test_the_table_is_complete_and_in_order() -> None:
    numbers = [row.number for row in rows()]
    assert sorted(set(numbers)) == list(EQUATIONS)
    assert numbers == sorted(numbers)
    lines = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| \d", line)]
    assert len(lines) == len(numbers), "a row is not written like the others"


@pytest.mark.heavy  # imports all networks
@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.number}-{row.function[-20:]}")
def test_the_function_exists_and_names_its_equation(row: Row) -> None:
    function = named(row.function)
    assert callable(function)
    assert row.number in equations_in(function.__doc__ or ""), row.function


@pytest.mark.parametrize("row", rows(), ids=lambda row: f"{row.number}-{row.test[-30:]}")
def test_the_test_exists_and_can_fail(row: Row) -> None:
    file, name = row.test.split("::")
    tree = ast.parse((ROOT / file).read_text("utf-8"))
    tests = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert name in tests
    assert any(isinstance(node, ast.Assert) for node in ast.walk(tests[name])) or (
        "assert_close" in ast.unparse(tests[name])
    ), "a test that cannot fail"


def test_a_formula_has_one_home() -> None:
    """No two public functions of the formulas claim the same equation in their first line, but
    for the parts of Eq. 4 and the two scales of Eq. 16."""
    first_lines: dict[int, list[str]] = {}
    for file in sorted((ROOT / "reposedm" / "diffusion").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            text = ast.get_docstring(node) if isinstance(node, ast.FunctionDef) else None
            start = re.match(r"Eq\. (\d+):", text or "")
            if start:
                first_lines.setdefault(int(start[1]), []).append(node.name)  # type: ignore[attr-defined]
    assert {n: names for n, names in first_lines.items() if len(names) > 1} == {}
    assert set(first_lines) >= {1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16}


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("Eq. 7: one", {7}), ("(Eq. 5-9): x", {5, 6, 7, 8, 9}), ("Eq. 3 and 17. 4", {3, 17}),
        ("see Eq. 10-11 and 13", {10, 11, 13}), ("Eq 3", set()), ("equation 3", set()),
    ],
)  # fmt: skip
def test_numbers_are_read(text: str, numbers: set[int]) -> None:
    assert equations_in(text) == numbers
