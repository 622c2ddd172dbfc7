"""Rows C-35 to C-39: zips that are hostile, damaged or odd. Nothing is ever extracted."""

from __future__ import annotations

import io
import os
import resource
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.augment.naming import FOLDERS, MARKET, understand
from reposedm.augment.pictures import PictureSet
from reposedm.errors import ArchiveError
from reposedm.imaging import archive
from reposedm.imaging.archive import MemberError, ZipArchive, open_collection
from reposedm.pipelines.base import Step

GOOD = "0002_c1s1_000451_03.png"


def png(seed: int = 0, size: tuple[int, int] = (32, 64)) -> bytes:
    rng = np.random.default_rng(seed)
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 255, (size[1], size[0], 3), np.uint8)).save(file, "PNG")
    return file.getvalue()


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], packed: bool = True) -> bytes:
    """A zip of these members, names as they are."""
    file = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", kind) as made:
        warnings.simplefilter("ignore")  # names that are there twice
        for name, data in members:
            made.writestr(name, data, None if isinstance(name, zipfile.ZipInfo) else kind)
    return file.getvalue()


def names(data: bytes) -> tuple[list[str], dict[str, str]]:
    """What can be read of a zip, and what is skipped: name -> reason."""
    with open_collection(data) as files:
        return [one.name for one in files.members], {x.name: x.reason for x in files.skipped}


def snapshot(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


@pytest.mark.parametrize(
    "name",
    [
        f"../../{GOOD}", f"/etc/{GOOD}", f"..\\..\\{GOOD}", f"C:\\{GOOD}", f"C:{GOOD}",
        f"{GOOD}\0.exe", f"./a/../../{GOOD}", f"//server/share/{GOOD}",
    ],
)  # fmt: skip
def test_c35_only_the_base_name_counts_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    inside = tmp_path / "a" / "b" / "c"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    before = snapshot(tmp_path)
    picture = png()
    with open_collection(zipped((name, picture))) as files:
        (member,) = files.members
        assert member.name == GOOD
        assert files.read(member) == picture
        assert not {"..", ".", "", "/"} & set(member.folders)
        assert not any("/" in part or "\\" in part for part in member.folders)
        (shot,) = understand(files.members).shots
    assert (shot.pid, shot.camera, shot.frame) == (2, 1, 451)
    assert snapshot(tmp_path) == before


def link(name: str, target: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = 0o120777 << 16
    info.comment = target.encode()
    return info


def test_c36_links_are_skipped_and_odd_names_read() -> None:
    long = "x" * 290 + ".png"
    entries: list[tuple[str | zipfile.ZipInfo, bytes]] = [
        (link("a/link.png", "/etc/passwd"), b"/etc/passwd"),
        ("a/CON.png", png(1)), ("a/NUL.png", png(2)), ("a/one.png", png(3)), ("a/one.png", png(4)),
        ("a/ONE.PNG", png(5)), (f"a/{long}", png(6)), ("a/t\u00fcr \u202egnp.exe.png", png(7)),
    ]  # fmt: skip
    with open_collection(zipped(*entries)) as files:
        assert {one.name: one.reason for one in files.skipped} == {
            "link.png": "a link or no ordinary file"
        }
        read = {member.key: files.read(member) for member in files.members}
        assert sorted(read.values()) == sorted(data for _, data in entries[1:])
        assert len({member.key for member in files.members}) == 7
        assert all(len(member.name) <= 120 for member in files.members)
        assert not any("\u202e" in member.name for member in files.members)
        shots = understand(files.members).shots
    assert len(shots) == 7
    assert len({shot.stem for shot in shots}) == 7, "the pictures made of them have names too"


def test_c36_a_folder_s_links_are_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png())
    folder = tmp_path / "set" / "anna"
    folder.mkdir(parents=True)
    (folder / "1.png").write_bytes(png(1))
    os.symlink(secret, folder / "2.png")
    os.symlink(tmp_path, folder / "loop")
    with open_collection(folder.parent) as files:
        assert [member.key for member in files.members] == ["anna/1.png"]


def bomb(megabytes: int) -> bytes:
    """A deflate stream of zeros in a zip, put together from one megabyte's."""
    packer, block, crc = zlib.compressobj(9, zlib.DEFLATED, -15), bytes(1 << 20), 0
    one = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(megabytes):
        crc = zlib.crc32(block, crc)
    stream = one * megabytes + packer.flush()
    return by_hand([("anna/zeros.png", stream, megabytes << 20, crc, 8)])


def by_hand(members: list[tuple[str, bytes, int, int, int]], *, share: bool = False) -> bytes:
    """A zip of packed members (name, data, size, crc, method); ``share``: all at one place."""
    body, directory = bytearray(), bytearray()
    for name, data, size, crc, method in members:
        raw = name.encode()
        fields = struct.pack("<HHHHHIIIHH", 20, 0, method, 0, 33, crc, len(data), size, len(raw), 0)
        at = 0 if share and body else len(body)
        if at == len(body):
            body += b"PK\x03\x04" + fields + raw + data
        directory += (
            b"PK\x01\x02" + struct.pack("<H", 20) + fields
            + struct.pack("<HHHII", 0, 0, 0, 0, at) + raw
        )  # fmt: skip
    count = len(members)
    end = struct.pack("<HHHHIIH", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + b"PK\x05\x06" + end)


def grown(work: Callable[[], None]) -> float:
    """Megabytes by which the peak of this process's memory rises."""
    unit = 1024 if sys.platform != "darwin" else 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit


def read_all(data: bytes) -> dict[str, str]:
    """Read every member; name -> what was wrong, "" if nothing."""
    said = {}
    with open_collection(data) as files:
        for member in files.members:
            try:
                files.read(member)
                said[member.key] = ""
            except MemberError as error:
                said[member.key] = str(error)
    return said


def test_c37_a_bomb_is_one_skipped_member_and_memory_stays_flat() -> None:
    data = bomb(200)
    assert len(data) < 250_000
    assert read_all(bomb(2)) == {"anna/zeros.png": "unpacks to more than 100 times its size"}
    said: dict[str, str] = {}
    assert grown(lambda: said.update(read_all(data))) < 30, "at most one member is ever held"
    assert said == {"anna/zeros.png": "larger than 20 MB"}


def test_c37_sizes_are_those_of_the_bytes_that_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = np.random.default_rng(0).bytes(300_000)
    packed = zlib.compress(plain, 1)[2:-4]
    lying = by_hand([("anna/1.png", packed, 1000, zlib.crc32(plain), 8)])
    assert read_all(lying) == {"anna/1.png": "damaged in the zip"}
    honest = zipped(*((f"anna/{index}.png", plain) for index in range(4)))
    monkeypatch.setattr(archive, "MAX_MEMBER_BYTES", 200_000)
    assert set(read_all(honest).values()) == {"larger than 20 MB"}
    monkeypatch.undo()
    monkeypatch.setattr(archive._Budget, "__init__", lambda self: self.__dict__.update(
        left=700_000, seen=set()))  # fmt: skip
    with open_collection(honest) as files:
        for member in files.members[:2]:
            files.read(member)
            files.read(member)  # again: counted once
        with pytest.raises(ArchiveError, match="more than 500 MB"):
            files.read(files.members[2])


def test_c37_too_many_files_overlaps_and_nests_are_refused() -> None:
    many = zipped(*((f"a/{index}.png", b"x") for index in range(archive.MAX_FILES + 1)))
    with pytest.raises(ArchiveError, match="more than 2000 files"):
        names(many)
    more = by_hand([(f"a/{index:06d}.png", b"", 0, 0, 0) for index in range(20_000)])
    with pytest.raises(ArchiveError, match="too many files"):
        names(more)
    quine = by_hand([(f"a/{i}.png", b"x" * 5000, 5000, 0, 0) for i in range(50)], share=True)
    with pytest.raises(ArchiveError, match="on top of each other"):
        names(quine)
    nested = zipped(("inner.zip", zipped((GOOD, png()))), (GOOD, png()))
    with open_collection(nested) as files:
        table = understand(files.members, files.skipped)
    assert [shot.member.name for shot in table.shots] == [GOOD]
    assert [(one.name, one.reason) for one in table.skipped] == [("inner.zip", "not a picture")]


def test_c37_packing_methods_without_a_bound_are_not_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a/1.png", bytes(5_000_000), zipfile.ZIP_BZIP2)
        made.writestr("a/2.png", bytes(1000), zipfile.ZIP_LZMA)
        made.writestr("a/3.png", png())
    assert names(file.getvalue()) == (
        ["3.png"],
        {"1.png": "packed in a way we do not read", "2.png": "packed in a way we do not read"},
    )


def encrypted(data: bytes) -> bytes:
    """The zip with the bit that says so set for every member."""
    out = bytearray(data)
    for magic, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = out.find(magic)
        while place >= 0:
            out[place + at] |= 1
            place = out.find(magic, place + 4)
    return bytes(out)


WHOLE = zipped((GOOD, png()), packed=False)
REFUSED = {
    "encrypted": (encrypted(WHOLE), "encrypted: save it without a password"),
    "cut": (WHOLE[:-30], "damaged or cut off"),
    "half": (WHOLE[: len(WHOLE) // 2], "damaged or cut off"),
    "nothing": (b"", "The file is empty"),
    "no members": (zipped(), "no file in the zip"),
    "only a folder": (zipped(("a/", b"")), "no file in the zip"),
    "only junk": (zipped(("__MACOSX/._1.png", b"x"), ("a/Thumbs.db", b"x")), "no file in the zip"),
    "text": (b"hello", "not a zip"),
    "7z": (b"7z\xbc\xaf\x27\x1c" + bytes(50), "a 7z archive, not a zip"),
    "rar": (b"Rar!\x1a\x07\x01\x00" + bytes(50), "a RAR archive, not a zip"),
    "tar.gz": (b"\x1f\x8b\x08\x00" + bytes(50), "a gzip"),
    "directory beyond the file": (WHOLE[:-10] + b"\xff" * 4 + WHOLE[-6:], ""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_c38_what_is_no_zip_that_can_be_read_is_refused_in_words(what: str) -> None:
    data, words = REFUSED[what]
    with pytest.raises(ArchiveError) as refusal:
        names(data)
    said = str(refusal.value)
    assert words in said and said.count(". ") <= 1 and "Traceback" not in said


def test_c38_one_encrypted_or_damaged_member_is_skipped_with_its_reason() -> None:
    good, bad = png(1), png(2)
    data = bytearray(zipped(("a/1.png", good), ("a/2.png", bad), packed=False))
    at = data.find(bad)
    data[at + 100] ^= 0xFF
    assert read_all(bytes(data)) == {"a/1.png": "", "a/2.png": "damaged in the zip"}
    info = zipfile.ZipInfo("a/3.png")
    data = bytearray(zipped(("a/1.png", good), (info, bad), packed=False))
    data[data.rfind(b"PK\x01\x02") + 8] |= 1
    assert names(bytes(data)) == (["1.png"], {"3.png": "encrypted"})


def test_c38_zip64_and_system_files() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        with made.open(GOOD, "w", force_zip64=True) as member:
            member.write(png(3))
        for junk in ("__MACOSX/._0002_c1s1_000451_03.png", "Thumbs.db", ".DS_Store", "readme.txt"):
            made.writestr(junk, b"x")
    with open_collection(file.getvalue()) as files:
        table = understand(files.members, files.skipped)
        assert files.read(table.shots[0].member) == png(3)
    assert [(one.name, one.reason) for one in table.skipped] == [("readme.txt", "not a picture")]


def test_c38_a_zip_that_is_no_file_or_not_readable(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.zip", "\0"):
        with pytest.raises(ArchiveError, match="cannot be read"), open_collection(path):
            pass
    with pytest.raises(ArchiveError, match="no files in the folder"), open_collection(tmp_path):
        pass


def checked(data: bytes) -> tuple[int, dict[str, str]]:
    """Pictures that can be used, and the reasons of the others, after opening each."""
    with open_collection(data) as files:
        work = PictureSet(files).checked()
        while True:
            try:
                assert isinstance(next(work), Step)
            except StopIteration as stop:
                table = stop.value
                return len(table.shots), {one.name: one.reason for one in table.skipped}


def test_c39_bad_pictures_are_skipped_and_reported() -> None:
    count, why = checked(
        zipped(
            *((f"an\u00efs/{index}.png", png(index, (20 + index, 50))) for index in range(9)),
            ("an\u00efs/cut.png", png(1)[:500]), ("an\u00efs/tiny.png", png(1, (8, 15))),
            ("an\u00efs/text.png", b"hello"), ("orphan.png", png(1)),
        )
    )  # fmt: skip
    assert count == 9
    assert "damaged" in why["cut.png"] and "at least 16" in why["tiny.png"]
    assert "not an image" in why["text.png"] and "no identity" in why["orphan.png"]


def test_c39_mostly_bad_pictures_stop_with_a_report() -> None:
    bad = [(f"a/{index}.png", b"hello") for index in range(6)]
    with pytest.raises(ArchiveError, match=r"6 of 9 pictures cannot be used.* 6 x This is a text"):
        checked(zipped(*bad, *((f"a/good{index}.png", png(index)) for index in range(3))))


def test_c39_names_without_identity_and_a_single_identity() -> None:
    with pytest.raises(ArchiveError, match=r"whose it is.*0002_c1s1_000451_03\.jpg.*anna/1\.jpg"):
        checked(zipped(("1.png", png()), ("2.png", png())))
    with open_collection(zipped(("anna/1.png", png()), ("anna/2.png", png(1)))) as files:
        table = understand(files.members)
    assert table.kind == FOLDERS and len(table.identities) == 1
    assert table.notes == ("There is a single identity in this set.",)
    others = ("0000_c1s1_000001_00.png", "-1_c1s1_000001_00.png", "what.png")
    with open_collection(zipped(*((name, png()) for name in (GOOD, *others)))) as files:
        table = understand(files.members)
    assert table.kind == MARKET and [shot.pid for shot in table.shots] == [2]
    assert {one.reason for one in table.skipped} == {
        "nobody's picture: a distractor or junk",
        f"not a name of {MARKET} ({GOOD.replace('.png', '.jpg')})",
    }


def test_c39_the_archive_itself_is_never_extracted() -> None:
    """Nothing in the package calls what writes members to the disk."""
    root = Path(archive.__file__).parents[1]
    for file in root.rglob("*.py"):
        text = file.read_text("utf-8")
        for call in (".extract(", ".extractall(", "unpack_archive"):
            assert call not in text, f"{file.name}: {call}"
    assert not hasattr(ZipArchive, "extract")
