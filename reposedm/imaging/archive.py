"""Pictures in a zip or a folder, read one at a time into memory: nothing is ever extracted.

Names inside a zip are text for a person to read and for a parser of identities, never a path
(C-35, C-36). Sizes are counted on the bytes that come out, not on what a header says, and a member
is unpacked piece by piece, so a zip bomb costs one piece (C-37). What cannot be used is skipped
with a reason; an archive that cannot be used at all is an ``ArchiveError`` (C-38).
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from reposedm.errors import ArchiveError

MAX_FILES: Final = 2000
MAX_MEMBER_BYTES: Final = 20_000_000
MAX_TOTAL_BYTES: Final = 500_000_000
MAX_RATIO: Final = 100
"""Unpacked over packed bytes: pictures are compressed already and stay near 1."""
SMALL: Final = 100_000
"""Members up to this many bytes may have any ratio: a plain colour packs well, and is cheap."""
MAX_SKIPPED_SHOWN: Final = 5000
_MAX_DIRECTORY: Final = 1_000_000
"""The list of members is read as a whole: this many bytes of it hold 2000 names of 400 letters."""
_PIECE: Final = 1 << 16

PICTURES: Final = frozenset((".png", ".jpg", ".jpeg", ".webp", ".bmp", ".avif", ".gif"))
_JUNK: Final = frozenset(("thumbs.db", ".ds_store", "desktop.ini"))
_NOT_ZIP: Final = (
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"\x1f\x8b", "a gzip (tar.gz) archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\x00", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
)
_AGAIN: Final = "Make an ordinary zip of the folder and use that."


@dataclass(frozen=True)
class Member:
    """One file that could be read.

    Attributes:
        name: base name, cleaned for showing; not a path.
        folders: names of the folders above it, outermost first, cleaned the same way.
        key: says which of several files of one name it is; unique in its set.
    """

    name: str
    folders: tuple[str, ...]
    key: str

    @property
    def stem(self) -> str:
        """The name without its last ending."""
        return os.path.splitext(self.name)[0]

    @property
    def ending(self) -> str:
        """The last ending in lower case, with its dot."""
        return os.path.splitext(self.name)[1].lower()


@dataclass(frozen=True)
class Skipped:
    """A file that was not used, and why in a few words."""

    name: str
    reason: str


class Collection(Protocol):
    """Files that can be read one at a time: a ``ZipArchive`` or a ``Folder``."""

    members: list[Member]
    skipped: list[Skipped]

    def read(self, member: Member) -> bytes:
        """The bytes of a member.

        Raises:
            MemberError: this one cannot be read.
            ArchiveError: nothing more can be read.
        """
        ...


class MemberError(ArchiveError):
    """One member cannot be used; the others can. The text is a reason of a few words."""


@contextlib.contextmanager
def open_collection(source: str | Path | bytes | BinaryIO) -> Iterator[Collection]:
    """A folder, or a zip by its path, its bytes or an open file.

    Raises:
        ArchiveError: it is neither, or cannot be used.
    """
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        try:
            if path.is_dir():
                yield Folder(path)
                return
            opened: BinaryIO = path.open("rb")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "this is not a path"
            raise ArchiveError(f"{path!s:.300} cannot be read: {reason}.") from error
        with opened, ZipArchive(opened) as archive:
            yield archive
        return
    with ZipArchive(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
        yield archive


class Folder:
    """The files below a folder, in the order of their names; links are not followed."""

    def __init__(self, path: Path) -> None:
        """List the files.

        Raises:
            ArchiveError: there are none.
        """
        self.members: list[Member] = []
        self.skipped: list[Skipped] = []
        self._paths: dict[str, Path] = {}
        for parent, folders, files in os.walk(path):
            folders.sort()
            above = Path(parent).relative_to(path).parts
            for file in sorted(files):
                self._add(Path(parent) / file, file, above)
        if not self.members:
            raise ArchiveError(f"There are no files in the folder {path!s:.300}.")

    def read(self, member: Member) -> bytes:
        """The bytes of a file, at most ``MAX_MEMBER_BYTES``.

        Raises:
            MemberError: it cannot be read, or is larger.
        """
        try:
            with self._paths[member.key].open("rb") as file:
                data = file.read(MAX_MEMBER_BYTES + 1)
        except OSError as error:
            raise MemberError(f"cannot be read: {error.strerror}") from error
        if len(data) > MAX_MEMBER_BYTES:
            raise MemberError(_TOO_LARGE)
        return data

    def _add(self, path: Path, name: str, above: tuple[str, ...]) -> None:
        if is_junk(name, above):
            return
        try:
            kind = path.lstat().st_mode
        except OSError:
            kind = 0
        if not stat.S_ISREG(kind):
            self.skipped.append(Skipped(clean(name), "a link or no ordinary file"))
            return
        folders = tuple(clean(part) for part in above)
        key = "/".join((*folders, clean(name)))
        while key in self._paths:  # names that differ in what cannot be shown
            key += "'"
        self._paths[key] = path
        self.members.append(Member(clean(name), folders, key))


@dataclass
class _Budget:
    """What may still be unpacked of one archive."""

    left: int = MAX_TOTAL_BYTES
    seen: set[str] = field(default_factory=set)

    def take(self, key: str, count: int) -> None:
        """Count bytes; a second reading of a member that was whole is free."""
        if key not in self.seen:
            self.left -= count
        if self.left < 0:
            raise ArchiveError(
                f"The zip holds more than {MAX_TOTAL_BYTES // 1_000_000} MB: split it, or use the "
                "unpacked folder on the command line."
            )


class ZipArchive:
    """The files of a zip, in the order of their names; a context manager.

    Args:
        file: opened in binary mode, seekable; it stays open.

    Raises:
        ArchiveError: not a zip, damaged, empty, encrypted, or too much in it.
    """

    def __init__(self, file: BinaryIO) -> None:
        """Read the list of members; nothing is unpacked."""
        self.members: list[Member] = []
        self.skipped: list[Skipped] = []
        self._infos: dict[str, zipfile.ZipInfo] = {}
        self._budget = _Budget()
        try:
            file.seek(0)
            start = file.read(8)
            self._zip = zipfile.ZipFile(_Bounded(file))  # type: ignore[arg-type]
        except ArchiveError:
            raise
        except Exception as error:  # hostile bytes make zipfile raise nearly every type there is
            raise ArchiveError(_why_not(start)) from error
        infos = sorted(self._zip.infolist(), key=lambda one: (one.filename, one.header_offset))
        _refuse_overlap(infos)
        for info in infos:
            self._add(info)
        if not self.members:
            why = {one.reason for one in self.skipped}
            if why == {_ENCRYPTED}:
                raise ArchiveError("The zip is encrypted: save it without a password.")
            raise ArchiveError("There is no file in the zip that can be used.")

    def __enter__(self) -> ZipArchive:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the list; the file itself belongs to the caller."""
        self._zip.close()

    def read(self, member: Member) -> bytes:
        """The bytes of a member, unpacked piece by piece.

        Raises:
            MemberError: damaged, too large, or packed more tightly than pictures can be.
            ArchiveError: too much was unpacked in all.
        """
        info = self._infos[member.key]
        pieces, count = [], 0
        try:
            with self._zip.open(info) as opened:
                while piece := opened.read(_PIECE):
                    count += len(piece)
                    self._budget.take(member.key, len(piece))
                    if count > MAX_MEMBER_BYTES:
                        raise MemberError(_TOO_LARGE)
                    if count > max(SMALL, MAX_RATIO * info.compress_size):
                        raise MemberError(f"unpacks to more than {MAX_RATIO} times its size")
                    pieces.append(piece)
        except ArchiveError:
            raise
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
            raise MemberError("damaged in the zip") from error
        except (RuntimeError, NotImplementedError) as error:
            raise MemberError("packed in a way we do not read") from error
        self._budget.seen.add(member.key)
        return b"".join(pieces)

    def _add(self, info: zipfile.ZipInfo) -> None:
        *above, name = _parts(info.orig_filename)
        if info.is_dir() or not name or is_junk(name, tuple(above)):
            return
        reason = _unreadable(info)
        if reason:
            if len(self.skipped) < MAX_SKIPPED_SHOWN:
                self.skipped.append(Skipped(clean(name), reason))
            return
        if len(self.members) >= MAX_FILES:
            raise ArchiveError(
                f"The zip holds more than {MAX_FILES} files: split it, or use the unpacked folder "
                "on the command line."
            )
        folders = tuple(clean(part) for part in above if part not in ("", ".", ".."))
        key = "/".join((*folders, clean(name)))
        while key in self._infos:
            key += "'"
        self._infos[key] = info
        self.members.append(Member(clean(name), folders, key))


class _Bounded:
    """A file that refuses to be read in pieces that no honest zip needs.

    ``zipfile`` reads the list of members in one piece, as long as the file says it is, and makes
    an object of each: looked at here, the bound holds whatever way the length was written.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, count: int = -1) -> bytes:
        data = self._file.read(count if 0 <= count <= _MAX_DIRECTORY else _MAX_DIRECTORY + 1)
        if len(data) > _MAX_DIRECTORY:
            raise ArchiveError(
                f"The zip holds too many files: at most {MAX_FILES} are possible. Split it."
            )
        return data

    def close(self) -> None:
        """The file is the caller's."""


def clean(text: str, most: int = 120) -> str:
    """A name from outside, for showing: no control or direction characters, not too long."""
    shown = "".join(
        letter for letter in text if unicodedata.category(letter)[0] != "C" and letter not in "/\\"
    )
    return shown if len(shown) <= most else f"{shown[: most - 20]}…{shown[-19:]}"


def is_junk(name: str, above: tuple[str, ...] | list[str]) -> bool:
    """Whether a system put the file there, and nobody would miss it."""
    low = name.lower()
    return low in _JUNK or low.startswith("._") or any(part == "__MACOSX" for part in above)


_TOO_LARGE: Final = f"larger than {MAX_MEMBER_BYTES // 1_000_000} MB"
_ENCRYPTED: Final = "encrypted"


def _parts(name: str) -> list[str]:
    """A member's name taken apart at every kind of separator; the last part is the base name."""
    parts = re.split(r"[\\/]+", name.split("\0", 1)[0])
    return [re.sub(r"^[A-Za-z]:", "", part) for part in parts]


def _unreadable(info: zipfile.ZipInfo) -> str:
    """Why a member is not even tried; "" if it is."""
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind and kind != stat.S_IFREG:
        return "a link or no ordinary file"
    if info.flag_bits & 0x1:
        return _ENCRYPTED
    # zipfile unpacks other kinds without a bound on what comes out of one piece.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "packed in a way we do not read"
    return ""


def _refuse_overlap(infos: list[zipfile.ZipInfo]) -> None:
    """Members that share bytes make a small file out of endlessly much.

    Raises:
        ArchiveError: two do.
    """
    end = 0
    for info in sorted(infos, key=lambda one: one.header_offset):
        if info.header_offset < end:
            raise ArchiveError(
                f"The zip is not an ordinary one: its files lie on top of each other. {_AGAIN}"
            )
        end = info.header_offset + 30 + info.compress_size


def _why_not(start: bytes) -> str:
    for magic, what in _NOT_ZIP:
        if start.startswith(magic):
            return f"This is {what}, not a zip. {_AGAIN}"
    if not start:
        return f"The file is empty, not a zip. {_AGAIN}"
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return f"The zip is damaged or cut off. {_AGAIN}"
    return f"This is not a zip. {_AGAIN}"
