"""A set of pictures: which there are, their pixels, and where the person on each is.

What was found is kept line by line in ``poses.jsonl``, so that an interrupted search goes on where
it was, and several processes can share the work.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.augment.naming import EXAMPLES, Shot, Understood, understand
from reposedm.augment.poses import (
    INCOMPLETE,
    NOBODY,
    beside,
    find_pose,
    from_record,
    is_complete,
    to_record,
)
from reposedm.errors import ArchiveError, ImageError, PoseError
from reposedm.imaging import MIN_SIDE_IN_ARCHIVE, read_image
from reposedm.imaging.archive import Collection, MemberError, Skipped
from reposedm.pipelines.base import Step
from reposedm.pose import Pose

Image = NDArray[np.uint8]

READING: Final = "reading pictures"
LOOKING: Final = "looking for people"
BAD_SHARE: Final = 0.5
"""With a larger part of the pictures unusable, something else is wrong: stop and say so (C-39)."""


@dataclass(frozen=True)
class Found:
    """What is known of one picture.

    Attributes:
        key: of the picture.
        sha256: of the file's bytes; "" if they cannot be read.
        pose: of the person on it, complete enough to be used; or None.
        reason: why there is none.
        unusable: the picture cannot be read, or shows nobody.
    """

    key: str
    sha256: str
    pose: Pose | None
    reason: str = ""
    unusable: bool = False

    def line(self) -> bytes:
        """As a JSON line."""
        record: dict[str, Any] = {"key": self.key, "sha256": self.sha256}
        if self.pose is not None:
            record |= {"pose": to_record(self.pose)}
        else:
            record |= {"reason": self.reason, "unusable": self.unusable}
        return (json.dumps(record, ensure_ascii=False, sort_keys=True) + "\n").encode()


class PictureSet:
    """The pictures of an open collection."""

    def __init__(self, files: Collection) -> None:
        """Read the names.

        Raises:
            ArchiveError: no identity can be read from any name.
        """
        self.understood: Understood = understand(files.members, files.skipped)
        self._files = files
        self._joints = {
            (member.folders, member.stem): member
            for member in files.members
            if member.ending == ".json"
        }
        if not self.understood.shots:
            raise ArchiveError(no_identity(self.understood))

    @property
    def fingerprint(self) -> str:
        """Changes when a picture or a file of joints is added, removed or renamed."""
        keys = [shot.key for shot in self.understood.shots]
        keys += sorted(member.key for member in self._joints.values())
        return hashlib.sha256("\n".join(keys).encode()).hexdigest()[:16]

    def photo(self, shot: Shot) -> tuple[Image, str]:
        """The pixels of a picture, uint8 (H, W, 3), and the SHA-256 of its file.

        Raises:
            MemberError: the file cannot be read.
            ImageError: it is no picture we can use.
        """
        data = self._files.read(shot.member)
        pixels = read_image(data, min_side=MIN_SIDE_IN_ARCHIVE).pixels
        return pixels, hashlib.sha256(data).hexdigest()

    def look(self, shot: Shot, detector: str) -> Found:
        """Find the person on a picture: by the joints beside it, else by the detector.

        Raises:
            DetectionError: the detector cannot run.
        """
        try:
            pixels, sha256 = self.photo(shot)
        except (MemberError, ImageError) as error:
            return Found(shot.key, "", None, str(error), unusable=True)
        joints = self._joints.get((shot.member.folders, shot.member.stem))
        try:
            if joints is None:
                pose = find_pose(pixels, detector)
            else:
                pose = beside(self._files.read(joints), (pixels.shape[1], pixels.shape[0]))
        except (MemberError, PoseError) as error:
            return Found(shot.key, sha256, None, f"{joints.name if joints else ''}: {error}")
        if pose is None:
            return Found(shot.key, sha256, None, NOBODY, unusable=True)
        if not is_complete(pose):
            return Found(shot.key, sha256, None, INCOMPLETE)
        return Found(shot.key, sha256, pose)

    def checked(self) -> Generator[Step, None, Understood]:
        """The table of what was understood after every picture was opened once.

        Raises:
            ArchiveError: most pictures cannot be read.
        """
        shots, bad = [], []
        every = self.understood.shots
        for index, shot in enumerate(every, start=1):
            try:
                self.photo(shot)
                shots.append(shot)
            except (MemberError, ImageError) as error:
                bad.append(Skipped(shot.member.name, str(error)))
            if index % 50 == 0 or index == len(every):
                yield Step(index, len(every), READING)
        refuse_bad(len(every), [one.reason for one in bad])
        skipped = (*self.understood.skipped, *bad)
        return replace(self.understood, shots=tuple(shots), skipped=skipped)


def no_identity(understood: Understood) -> str:
    """What to tell a person whose names say nothing."""
    examples = ", ".join(EXAMPLES.values())
    reasons = Counter(one.reason for one in understood.skipped)
    why = "; ".join(f"{count} skipped: {reason}" for reason, count in reasons.most_common(3))
    return f"No picture here tells whose it is. Names like these are read: {examples}." + (
        f" ({why})" if why else ""
    )


def refuse_bad(total: int, reasons: Sequence[str]) -> None:
    """Stop where most of a set is bad, with a report.

    Raises:
        ArchiveError: it is.
    """
    if len(reasons) <= BAD_SHARE * total:
        return
    common = Counter(reasons).most_common(3)
    listed = "; ".join(f"{count} x {reason}" for reason, count in common)
    raise ArchiveError(
        f"{len(reasons)} of {total} pictures cannot be used, so we stopped: {listed}"
    )


def read_found(files: Iterable[Path]) -> dict[str, Found]:
    """What is known from files of lines; a line that is cut off or damaged is left out."""
    found = {}
    for file in files:
        for line in _whole_lines(file):
            try:
                one = _found(json.loads(line))
            except (ValueError, KeyError, TypeError, PoseError):
                continue
            found[one.key] = one
    return found


def _found(record: dict[str, Any]) -> Found:
    pose = from_record(record["pose"]) if "pose" in record else None
    return Found(
        str(record["key"]), str(record["sha256"]), pose, str(record.get("reason", "")),
        bool(record.get("unusable", False)),
    )  # fmt: skip


def _whole_lines(file: Path) -> list[bytes]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return []
    return data[: data.rfind(b"\n") + 1].splitlines()
