"""manifest.csv: one row for every picture of the plan, written batch by batch, never lost.

A batch's rows are appended together, after its pictures are on disk under their names. Whatever is
cut off or incomplete at the end of a file after a kill is not believed: the batch is made again.
Several processes append to files of their own; the first merges them in the order of the plan.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from reposedm.augment.plan import Wish
from reposedm.files import write_atomically

MANIFEST: Final = "manifest.csv"
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Row:
    """One picture of the plan, and what became of it.

    Attributes:
        name: of the file.
        identity: whose picture.
        camera: the source's.
        source: key of the picture it was made from.
        pose: the wanted pose, as in ``Wish.pose``.
        seed: of its noise.
        method: that made it.
        weights: a hash of the method's weights; "" where it has none.
        sha256: of the file; "" if it was not kept.
        kept: "yes", or "no": there is no such file.
        reason: why it was not kept.
        pckh: part of the wanted joints found on it, or "".
        similarity: cosine similarity to the identity's own pictures, or "".
        rival: the largest similarity to another identity, or "".
    """

    name: str
    identity: str
    camera: int
    source: str
    pose: str
    seed: int
    method: str
    weights: str
    sha256: str = ""
    kept: str = "yes"
    reason: str = ""
    pckh: str = ""
    similarity: str = ""
    rival: str = ""

    @classmethod
    def of(cls, wish: Wish, method: str, weights: str) -> Row:
        """The row of a wish, before it is fulfilled."""
        return cls(
            wish.name, wish.identity, wish.camera, wish.source, wish.pose, wish.seed, method,
            weights,
        )  # fmt: skip


COLUMNS: Final = tuple(field.name for field in fields(Row))


def to_csv(rows: Iterable[Row], *, header: bool) -> bytes:
    """Rows as CSV with one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(COLUMNS)
    writer.writerows([_cell(getattr(row, name)) for name in COLUMNS] for row in rows)
    return text.getvalue().encode()


def read_rows(file: Path) -> list[dict[str, str]]:
    """The whole lines of a manifest, by column; [] without the file. For anybody who reads one."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return []
    lines = data[: data.rfind(b"\n") + 1].decode("utf-8", "replace").splitlines()
    found = [row for row in csv.reader(lines) if len(row) == len(COLUMNS)]
    return [dict(zip(COLUMNS, row, strict=True)) for row in found if tuple(row) != COLUMNS]


class Ledger:
    """The manifest of one process: what is done, and where it writes."""

    def __init__(self, out: Path, batches: Sequence[Sequence[Wish]], part: int | None) -> None:
        """Look at what is there.

        Args:
            out: the folder of results.
            batches: the whole plan.
            part: number of this process among several; None: it is alone.
        """
        self.out = out
        self.batches = batches
        self.file = out / (MANIFEST if part is None else f"manifest-{part:05d}.csv")
        self._seen: set[int] = set()

    def done(self) -> dict[int, list[dict[str, str]]]:
        """The rows of every batch that is complete in any file, its pictures there and unchanged.

        Batches are those of the plan, by number.
        """
        files = [self.out / MANIFEST, *self._parts()]
        rows = {row["name"]: row for file in files for row in read_rows(file)}
        complete = {}
        for batch in self.batches:
            own = [row for wish in batch if (row := rows.get(wish.name)) is not None]
            number = batch[0].batch
            if len(own) == len(batch) and (number in self._seen or all(map(self._holds, own))):
                self._seen.add(number)  # pictures are compared with their rows once
                complete[number] = own
        return complete

    def is_merged(self) -> bool:
        """Whether the one manifest has a row for every picture of the plan."""
        return len(read_rows(self.out / MANIFEST)) == sum(map(len, self.batches))

    def begin(self, done: dict[int, list[dict[str, str]]]) -> None:
        """Leave only rows of complete batches in this process's file, and its header."""
        names = {row["name"] for rows in done.values() for row in rows}
        kept = [row for row in read_rows(self.file) if row["name"] in names]
        write_atomically(self.file, _joined(kept))

    def append(self, rows: Sequence[Row]) -> None:
        """Write the rows of one batch at the end, and to the disk."""
        with self.file.open("ab") as file:
            file.write(to_csv(rows, header=False))
            file.flush()
            os.fsync(file.fileno())

    def merge(self, done: dict[int, list[dict[str, str]]]) -> None:
        """Put all rows into one manifest in the order of the plan, and remove the others."""
        ordered = [row for batch in self.batches for row in done[batch[0].batch]]
        write_atomically(self.out / MANIFEST, _joined(ordered))
        for file in self._parts():
            file.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return sorted(self.out.glob("manifest-[0-9][0-9][0-9][0-9][0-9].csv"))

    def _holds(self, row: dict[str, str]) -> bool:
        """Whether the picture of a row is as the row says."""
        if row["kept"] != "yes":
            return True
        try:
            with (self.out / row["name"]).open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == row["sha256"]
        except OSError:
            return False


def _joined(rows: Iterable[dict[str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([row[name] for name in COLUMNS] for row in rows)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """One line, and no formula for a spreadsheet that opens the file."""
    text = " ".join(str(value).split()) if isinstance(value, str) else str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(_FORMULA) else text
