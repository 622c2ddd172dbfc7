"""What file names of re-identification sets say, and the names of the pictures we make.

Read are ``0002_c1s1_000451_03.jpg`` (Market-1501), ``0001_c2_f0046182.jpg`` (DukeMTMC-reID),
``0000_000_01_0303morning_0015_0.jpg`` (MSMT17) and ``anybody/*.jpg``, a folder per identity. One
set has one kind of names: the kind that most of its files have.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from reposedm.imaging.archive import PICTURES, Member, Skipped

MARKET: Final = "Market-1501"
DUKE: Final = "DukeMTMC-reID"
MSMT: Final = "MSMT17"
FOLDERS: Final = "one folder per identity"

EXAMPLES: Final[Mapping[str, str]] = {
    MARKET: "0002_c1s1_000451_03.jpg",
    DUKE: "0001_c2_f0046182.jpg",
    MSMT: "0000_000_01_0303morning_0015_0.jpg",
    FOLDERS: "anna/1.jpg",
}
"""A name of each kind, for messages."""

_PATTERNS: Final = {
    MARKET: re.compile(
        r"(?P<pid>-1|\d{1,6})_c(?P<cam>\d{1,3})s(?P<seq>\d{1,3})_(?P<frame>\d{1,9})"
        r"_(?P<box>\d{1,3})(?P<made>_g\d{1,6})?(\.jpe?g)?$", re.ASCII,
    ),
    DUKE: re.compile(
        r"(?P<pid>\d{1,6})_c(?P<cam>\d{1,3})_f(?P<frame>\d{1,9})$", re.ASCII | re.IGNORECASE
    ),
    MSMT: re.compile(
        r"(?P<pid>\d{1,6})_\d{1,6}_(?P<cam>\d{1,3})_(?P<seq>\d{4}[a-z]{1,12})_(?P<frame>\d{1,9})"
        r"_(?P<box>\d{1,3})(_ex)?$", re.ASCII | re.IGNORECASE,
    ),
}  # fmt: skip
_TRAIN: Final = frozenset(("bounding_box_train", "train", "mask_train_v2"))
_TEST: Final = frozenset(
    ("bounding_box_test", "query", "gt_bbox", "gt_query", "test", "mask_test_v2")
)


@dataclass(frozen=True)
class Shot:
    """One picture of one identity, as its name has it.

    Attributes:
        member: the file.
        identity: how the set calls the person.
        pid: the number that our names carry.
        camera: 1-based; 1 where the name says none.
        sequence: 1-based; 1 where the name says none.
        frame: number of the frame, or of the picture within the identity.
        box: number of the detection; 0 where the name says none.
    """

    member: Member
    identity: str
    pid: int
    camera: int
    sequence: int
    frame: int
    box: int

    @property
    def key(self) -> str:
        """The file's key, unique in the set."""
        return self.member.key

    @property
    def stem(self) -> str:
        """How a picture made from this one is called, up to its number."""
        return f"{self.pid:04d}_c{self.camera}s{self.sequence}_{self.frame:06d}_{self.box:02d}"


@dataclass(frozen=True)
class Understood:
    """The table of what was understood.

    Attributes:
        kind: the kind of names, a key of ``EXAMPLES``.
        shots: the pictures to use, ordered by pid and key.
        skipped: the others, with reasons.
        notes: sentences for the user.
    """

    kind: str
    shots: tuple[Shot, ...]
    skipped: tuple[Skipped, ...]
    notes: tuple[str, ...]

    @property
    def identities(self) -> dict[int, list[Shot]]:
        """The pictures of each pid, both in order."""
        found: dict[int, list[Shot]] = {}
        for shot in self.shots:
            found.setdefault(shot.pid, []).append(shot)
        return found

    @property
    def cameras(self) -> dict[int, int]:
        """How many pictures each camera took."""
        return dict(sorted(Counter(shot.camera for shot in self.shots).items()))


def understand(members: Iterable[Member], skipped: Sequence[Skipped] = ()) -> Understood:
    """Sort the files of a set by identity; an empty list of shots if none could be read.

    Args:
        members: the files.
        skipped: what was left out before.
    """
    left_out, notes = list(skipped), []
    pictures = []
    for member in members:
        if member.ending in PICTURES:
            pictures.append(member)
        elif member.ending != ".json":  # joints beside a picture
            left_out.append(Skipped(member.name, "not a picture"))
    if any(_part(member) == "train" for member in pictures):
        test = [member for member in pictures if _part(member) == "test"]
        left_out += [Skipped(member.name, "a test picture: only training is augmented")
                     for member in test]  # fmt: skip
        pictures = [member for member in pictures if _part(member) != "test"]
    kind = _kind(pictures)
    if kind == FOLDERS:
        shots, unread = _by_folder(pictures)
    else:
        shots, unread = _by_name(pictures, kind)
    left_out += unread
    shots.sort(key=lambda shot: (shot.pid, shot.key))
    if kind == MSMT and any(shot.pid == 0 for shot in shots):
        notes.append("MSMT17 counts identities from 0: keep 0000 when you train on the result.")
    if len({shot.pid for shot in shots}) == 1:
        notes.append("There is a single identity in this set.")
    return Understood(kind, tuple(shots), tuple(left_out), tuple(notes))


def _kind(pictures: Sequence[Member]) -> str:
    """The kind of names of a set: the one that most have, if it is at least half of them."""
    counts = {
        kind: sum(bool(pattern.match(member.stem)) for member in pictures)
        for kind, pattern in _PATTERNS.items()
    }
    best = max(counts, key=lambda kind: counts[kind])
    return best if counts[best] and counts[best] * 2 >= len(pictures) else FOLDERS


def _by_name(pictures: Sequence[Member], kind: str) -> tuple[list[Shot], list[Skipped]]:
    shots, skipped = [], []
    found = [(member, _PATTERNS[kind].match(member.stem)) for member in pictures]
    times = {match["seq"].lower() for _, match in found if match and kind == MSMT}
    number = {time: index for index, time in enumerate(sorted(times), start=1)}
    for member, match in found:
        if match is None:
            skipped.append(Skipped(member.name, f"not a name of {kind} ({EXAMPLES[kind]})"))
            continue
        said = match.groupdict()
        if said.get("made"):
            skipped.append(Skipped(member.name, "made by an earlier augmentation"))
        elif kind == MARKET and int(said["pid"]) <= 0:
            skipped.append(Skipped(member.name, "nobody's picture: a distractor or junk"))
        else:
            sequence = number[said["seq"].lower()] if kind == MSMT else int(said.get("seq", 1))
            shots.append(
                Shot(
                    member,
                    said["pid"],
                    int(said["pid"]),
                    int(said["cam"]),
                    sequence,
                    int(said["frame"]),
                    int(said.get("box", 0)),
                )
            )
    return shots, skipped


def _by_folder(pictures: Sequence[Member]) -> tuple[list[Shot], list[Skipped]]:
    """Identities are the folders the pictures lie in; camera 1, pictures counted."""
    skipped = [
        Skipped(member.name, "no identity: neither in its name nor as its folder")
        for member in pictures
        if not member.folders
    ]
    inside = [member for member in pictures if member.folders]
    names = sorted({member.folders for member in inside})
    numbers = _numbers(names)
    count: Counter[tuple[str, ...]] = Counter()
    shots = []
    for member in sorted(inside, key=lambda one: one.key):
        folder = member.folders
        count[folder] += 1
        shots.append(Shot(member, folder[-1], numbers[folder], 1, 1, count[folder], 0))
    return shots, skipped


def _numbers(names: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], int]:
    """A number for each folder: its own where all are different numbers, else counted from 1."""
    last = [name[-1] for name in names]
    if all(re.fullmatch(r"\d{1,6}", name, re.ASCII) for name in last):
        own = [int(name) for name in last]
        if len(set(own)) == len(own):
            return dict(zip(names, own, strict=True))
    return {name: index for index, name in enumerate(names, start=1)}


def _part(member: Member) -> str:
    """Whether a picture lies in a folder of a set's training or test part; "" if in neither."""
    parts = {folder.lower() for folder in member.folders}
    return "train" if parts & _TRAIN else "test" if parts & _TEST else ""
