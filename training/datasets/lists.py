"""The list files of the pose-transfer family: pairs, annotations, poses, splits.

Every reader gives what it can read and a line for what it cannot; only a file that is not such a
list at all is an error.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from training.datasets.records import plain
from training.sample import DataError

Points = list[tuple[float, float]]
"""18 (x, y) in pixels of the file's frame, -1 where a joint was not found."""
Bad = Callable[[str], None]
"""Told about each line that cannot be used."""

JOINTS: Final = 18
MAX_LIST_BYTES: Final = 1 << 30
MAX_POSE_BYTES: Final = 65_536


def read_pairs_csv(path: Path, bad: Bad) -> list[tuple[str, str]]:
    """(source, target) names of a CSV with the columns ``from,to``.

    Raises:
        DataError: it has no such columns.
    """
    rows = csv.reader(read_text(path).splitlines())
    header = [cell.strip().lower() for cell in next(rows, [])]
    if "from" not in header or "to" not in header:
        raise DataError(f"{path} must begin with the line 'from,to', not {plain(header)}")
    first, second = header.index("from"), header.index("to")
    pairs = []
    for number, row in enumerate(rows, 2):
        if len(row) > max(first, second) and row[first].strip() and row[second].strip():
            pairs.append((row[first].strip(), row[second].strip()))
        elif row:
            bad(f"{path.name} line {number}")
    return pairs


def read_annotation_csv(path: Path, bad: Bad) -> Iterator[tuple[str, Points]]:
    """(name, joints) of a file ``name:keypoints_y:keypoints_x`` (``:`` or ``,`` between them).

    The lists are JSON arrays of 18 numbers, y first.

    Raises:
        DataError: it has no such columns.
    """
    lines = read_text(path).splitlines()
    first = lines[0] if lines else ""
    separator = ":" if ":" in first else ","
    header = [cell.strip().lower() for cell in first.split(separator)]
    if set(header) != {"name", "keypoints_y", "keypoints_x"}:
        raise DataError(
            f"{path} must begin with the line 'name:keypoints_y:keypoints_x', not {plain(first)}"
        )
    for number, row in enumerate(csv.reader(lines[1:], delimiter=separator), 2):
        if not row:
            continue
        # Unquoted lists hold commas themselves: put together what belongs together.
        cells = row if len(row) == len(header) else _bracketed(row, separator)
        try:
            fields = dict(zip(header, cells, strict=True))
            points = _points(json.loads(fields["keypoints_x"]), json.loads(fields["keypoints_y"]))
        except (ValueError, TypeError, RecursionError):
            bad(f"{path.name} line {number}")
            continue
        yield fields["name"].strip(), points


def read_pairs_txt(path: Path, target_first: bool, bad: Bad) -> list[tuple[str, str]]:
    """(source, target) of ``*_pairs.txt``: comma-separated paths, one target, one or more sources.

    Args:
        path: the file.
        target_first: the first path of a line is the target and all others are sources, as PIDM's
            code reads them; else the last is the target, as its README says.
        bad: told about lines with fewer than two paths.
    """
    pairs = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        names = [name.strip() for name in line.split(",") if name.strip()]
        if len(names) < 2:
            if line.strip():
                bad(f"{path.name} line {number}")
            continue
        target, sources = (names[0], names[1:]) if target_first else (names[-1], names[:-1])
        pairs += [(source, target) for source in sources]
    return pairs


def read_pairs_json(path: Path, bad: Bad) -> list[tuple[str, str]]:
    """(source, target) of a list of ``{"source_image": ..., "target_image": ...}``.

    Raises:
        DataError: it is not such a list.
    """
    try:
        document: Any = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is not JSON ({plain(error)})") from error
    if not isinstance(document, list):
        raise DataError(f"{path} must be a list of pairs, not {plain(type(document).__name__)}")
    pairs = []
    for number, entry in enumerate(document, 1):
        names = entry if isinstance(entry, dict) else {}
        source, target = names.get("source_image"), names.get("target_image")
        if isinstance(source, str) and isinstance(target, str) and source and target:
            pairs.append((source, target))
        else:
            bad(f"{path.name} entry {number}")
    return pairs


def read_pose_txt(path: Path) -> Points:
    """18 lines ``x y``; ``-1 -1`` where a joint was not found.

    Raises:
        ValueError: it is not that.
        OSError: it cannot be read.
    """
    if path.stat().st_size > MAX_POSE_BYTES:
        raise ValueError("too large")
    rows = [line.replace(",", " ").split() for line in path.read_text("utf-8-sig").splitlines()]
    rows = [row for row in rows if row]
    if any(len(row) != 2 for row in rows):
        raise ValueError("not two numbers a line")
    return _points([float(row[0]) for row in rows], [float(row[1]) for row in rows])


def read_names(path: Path) -> list[str]:
    """The lines of a ``train.lst`` or ``test.lst``."""
    return [line.strip() for line in read_text(path).splitlines() if line.strip()]


def read_text(path: Path) -> str:
    """A whole list file.

    Raises:
        DataError: it cannot be read, or is larger than any list.
    """
    try:
        if path.stat().st_size > MAX_LIST_BYTES:
            raise DataError(f"{path} is too large for a list")
        return path.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from error


def _bracketed(row: list[str], separator: str) -> list[str]:
    cells: list[str] = []
    depth = 0
    for piece in row:
        if depth > 0:
            cells[-1] += separator + piece
        else:
            cells.append(piece)
        depth += piece.count("[") - piece.count("]")
    return cells


def _points(x: Any, y: Any) -> Points:
    if not (isinstance(x, list) and isinstance(y, list) and len(x) == len(y) == JOINTS):
        raise ValueError("not 18 joints")
    points = [(float(a), float(b)) for a, b in zip(x, y, strict=True)]
    if not all(abs(value) < 1e5 for point in points for value in point):  # refuses nan as well
        raise ValueError("not numbers that a joint can have")
    return points
