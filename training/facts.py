"""Numbers in texts: each must be in a results file, as it stands there or rounded.

A text's numbers are looked for among the numbers of the files, rounded to as many digits as the
text shows. What a file says in words (commands, versions, names, rules) may be quoted as a whole.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from training.sample import DataError

NUMBER: Final = re.compile(r"(?<![\w.#-])[-+]?\d+(?:\.\d+)?(?![\w]|\.\d)")
"""Digits that are not a part of a word: "B1", "ssim51", "x86_64" and "#1" hold none."""
LEAST_QUOTE: Final = 4
"""Characters of a string that may be quoted: a shorter one could excuse any number."""


def read_results(folder: Path) -> dict[str, Any]:
    """All results files of a folder by their names without ".json".

    Raises:
        DataError: one cannot be read.
    """
    found = {}
    for file in sorted(folder.glob("*.json")):
        try:
            found[file.stem] = json.loads(file.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{file} is no results file: {error}") from error
    return found


def unsupported(text: str, results: Mapping[str, Any]) -> list[str]:
    """The numbers of a text that are in none of the results, in their order."""
    quotes, numbers = [], []
    for leaf in leaves(results):
        if isinstance(leaf, str):
            quotes.append(leaf)
        elif isinstance(leaf, (int, float)) and not isinstance(leaf, bool):
            numbers.append(float(leaf))
    for quote in sorted({q for q in quotes if len(q) >= LEAST_QUOTE}, key=len, reverse=True):
        if any(character.isdigit() for character in quote):
            text = text.replace(quote, " ")
    shown: dict[int, set[str]] = {}
    missing = []
    for token in NUMBER.findall(text):
        digits = len(token.partition(".")[2])
        if digits not in shown:
            shown[digits] = {f"{abs(number):.{digits}f}" for number in numbers}
        if token.lstrip("+-") not in shown[digits]:
            missing.append(token)
    return missing


def leaves(value: Any) -> Iterator[Any]:
    """Every value, and every key, of nested JSON."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield str(key)
            yield from leaves(inner)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for inner in value:
            yield from leaves(inner)
    else:
        yield value
