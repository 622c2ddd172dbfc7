"""Which files may go into the asset pack: CC0 by their own word, or by that of their folder."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HEAD, TAIL = 4000, 3000
"""Characters of a file that are searched for its licence."""
BY_REPOSITORY: Final = ("eyes/materials/brown_eye.png",)
"""Pictures in the repository itself, which cannot carry a header; its LICENSE covers them."""
_POINTER: Final = re.compile(r"oid sha256:([0-9a-f]{64})")
_CC0: Final = re.compile(r"\bCC0\b|Creative Commons Zero", re.IGNORECASE)
_TEXT: Final = (".obj", ".target", ".mhclo", ".mhskel", ".mhw", ".json")


def evidence(path: Path, pointer: Path | None = None) -> str:
    """Why a file is CC0; "" where nothing says so.

    Args:
        path: the file.
        pointer: for a picture: the Git LFS pointer of the CC0 repository that it must match.
    """
    if not path.is_file():
        return ""
    if pointer is not None:
        found = _POINTER.search(_text(pointer)) if pointer.is_file() else None
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return "hash" if found is not None and found.group(1) == digest else ""
    if path.as_posix().endswith(BY_REPOSITORY):
        return "repository"
    if path.suffix in _TEXT:
        text = _text(path)
        return "header" if _CC0.search(text[:HEAD]) or _CC0.search(text[-TAIL:]) else ""
    meta = path.with_suffix(".meta")
    return "meta" if meta.is_file() and _CC0.search(_text(meta)) else ""


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


@dataclass
class Ledger:
    """Every file that was asked for, and why it was taken or refused."""

    used: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    def allows(self, path: Path, pointer: Path | None = None) -> bool:
        """Whether the file may be read; noted either way."""
        why = evidence(path, pointer)
        if why:
            self.used[str(path)] = why
        else:
            self.refused.append(str(path))
        return bool(why)

    def report(self) -> str:
        """What was used and what refused, for people."""
        counts: dict[str, int] = {}
        for why in self.used.values():
            counts[why] = counts.get(why, 0) + 1
        reasons = ", ".join(f"{count} by {why}" for why, count in sorted(counts.items()))
        lines = [f"{len(self.used)} files used ({reasons}); {len(self.refused)} refused"]
        return "\n".join(lines + [f"  refused: {name}" for name in self.refused])
