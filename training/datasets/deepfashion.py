"""DeepFashion In-shop, in the three layouts in use: CSV (PATN), txt (PIDM), JSON (PCDMs, FPDM).

A picture's id is its mangled name without suffix, ``fashionWOMENSkirtsid0000062904_3back``, made
forward from the directory listing; whatever a list calls it is looked up there. Coordinates are
taken as the field takes them: ``(x - 40) / 176`` of the width in the padded 256 x 256 frame,
``x / 176`` in the files called *resize*, ``y / 256`` of the height in both.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.errors import ImageError
from reposedm.imaging import read_image
from training.datasets import lists
from training.datasets.records import (
    SPLITS,
    SUFFIXES,
    Body,
    Framed,
    Listing,
    Options,
    Picture,
    body,
    resize,
    unique_pairs,
)
from training.sample import DataError

BAND: Final = 40
"""Empty columns left and right of the padded 256 x 256 pictures."""
SIDE: Final = 256
WIDTH: Final = SIDE - 2 * BAND
LAYOUT_ORDER: Final = ("csv", "txt", "json")

_LISTS: Final = {
    "csv": re.compile(r"(?:fash?ion-(?:resize-)?pairs-)?(train|test)\.csv", re.I),
    "txt": re.compile(r"(train|test)_pairs\.txt", re.I),
    "json": re.compile(r"(train|test)_(?:pairs_)?data\.json", re.I),
}
_RESIZED: Final = re.compile(r"fash?ion-resize-annotation-(train|test)\.csv", re.I)
_PADDED: Final = re.compile(r"fash?ion-annotation-(train|test)\.csv", re.I)
_SPLIT: Final = re.compile(r"(train|test)\.lst", re.I)
_NO_PICTURES: Final = re.compile(
    r"(.*_)?(pose|pose_img|parse|parsing|densepose|texture|face|masks?|seg)", re.I
)
"""A folder or a stem of that name: drawings or crops of the pictures proper."""
_PERSON: Final = re.compile(r"id(\d{8})")


def mangled(path: str) -> str:
    """PATN's name of a picture of the original tree, without suffix.

    ``WOMEN/Skirts/id_00000629/04_3_back.jpg`` -> ``fashionWOMENSkirtsid0000062904_3back``: no "_"
    in the id, only the first one of the file's name, the category's own are kept. Anything before
    MEN or WOMEN is dropped; a path that is not of the tree gives its own stem.
    """
    parts = path.replace("\\", "/").split("/")
    stem = os.path.splitext(parts[-1])[0]
    for place in range(len(parts) - 3):
        if parts[place] in ("MEN", "WOMEN") and parts[place + 2].startswith("id_"):
            gender, category, person = parts[place : place + 3]
            first, _, rest = stem.partition("_")
            picture = f"{first}_{rest.replace('_', '')}" if rest else first
            return f"fashion{gender}{category}{person.replace('_', '')}{picture}"
    return stem


def loose(path: str) -> str:
    """What all spellings of a picture's name have in common."""
    stem = mangled(path)
    for prefix in ("deepfashion", "fashion"):
        stem = stem.removeprefix(prefix)
    return stem.replace("_", "")


def person_of(name: str) -> str:
    """The identity in a mangled name, ``id_00000629``; a name without one is its own person."""
    found = _PERSON.search(name)
    return f"id_{found.group(1)}" if found else name


@dataclass
class _Files:
    """What lies in the folder: pictures and pose files by id, and the lists."""

    pictures: dict[str, Path] = field(default_factory=dict)
    poses: dict[str, Path] = field(default_factory=dict)
    lists: list[Path] = field(default_factory=list)
    spelled: dict[str, str | None] = field(default_factory=dict)

    def name(self, path: str) -> str:
        """The id of the picture that a list calls ``path``; its mangled name if there is none."""
        exact = mangled(path)
        return exact if exact in self.pictures else self.spelled.get(loose(path)) or exact

    def matching(self, pattern: re.Pattern[str]) -> dict[str, Path]:
        """The list of each split whose name has the pattern: the one nearest to the root."""
        found: dict[str, Path] = {}
        for path in self.lists:
            match = pattern.fullmatch(path.name)
            if match:
                found.setdefault(match.group(1).lower(), path)
        return found


def listing(options: Options) -> Listing:
    """Everything the folder says.

    Raises:
        DataError: there are no pictures, or no pairs in the wanted layout.
    """
    found = Listing()
    files = _look(options.root, options.out, found)
    layout, pair_lists = _pair_lists(files, options.layout)
    found.notes.append("pairs: " + ", ".join(sorted(p.name for p in pair_lists.values())))
    named = {
        split: _pairs(layout, path, options, found, files)
        for split, path in sorted(pair_lists.items(), reverse=True)
    }
    splits = _splits(files, named, found)
    padded = _padded(files, options)
    found.notes.append(
        f"256 x 256 pictures {'have bands that are cut off' if padded else 'are used whole'}"
    )
    bodies = _bodies(files, layout, set(splits), options, found)
    for name in sorted(splits):
        if name not in files.pictures:
            found.skip("picture not found", name)
            continue
        people = (bodies[name],) if name in bodies else ()
        if not people:
            found.skip("no pose annotation", name)
        path = str(files.pictures[name])
        found.pictures[name] = Picture(name, path, person_of(name), splits[name], people, padded)
    found.pairs = {split: unique_pairs(pairs, found, split) for split, pairs in named.items()}
    _check_identities(found)
    return found


def frame(picture: Picture, pixels: NDArray[np.uint8], options: Options) -> Framed:
    """The picture stretched to the size, without its bands, and the pose on it."""
    height, width = pixels.shape[:2]
    if picture.padded and height == width == SIDE:
        pixels = pixels[:, BAND:-BAND]  # before the resizing, which looks beyond a border
    people = tuple(person.on(options.size) for person in picture.people)
    return Framed(resize(pixels, options.size), people)


def _look(root: Path, out: Path, found: Listing) -> _Files:
    """One walk through the folder."""
    files = _Files()
    for path in _walk(root, out):
        suffix = path.suffix.lower()
        relative = path.relative_to(root).as_posix()
        if suffix in SUFFIXES:
            if any(map(_NO_PICTURES.fullmatch, (*Path(relative).parts[:-1], path.stem))):
                continue
            name = mangled(relative)
            known = files.pictures.get(name)
            files.pictures[name] = path if known is None else _larger(known, path)
        elif suffix == ".txt" and not _LISTS["txt"].fullmatch(path.name):
            files.poses.setdefault(loose(relative), path)
        elif suffix in (".csv", ".txt", ".json", ".lst"):
            files.lists.append(path)
    if not files.pictures:
        raise DataError(
            f"there are no pictures in {root}: give the folder that holds img/, fashion/ or "
            "train_highres/"
        )
    # A name that two pictures share once "_" is gone says nothing.
    for name in files.pictures:
        key = loose(name)
        files.spelled[key] = None if key in files.spelled else name
    for key in (key for key, name in files.spelled.items() if name is None):
        found.skip("ambiguous name", key)
    files.lists.sort(key=lambda path: (len(path.parts), "fasion" not in path.name, str(path)))
    return files


def _walk(root: Path, out: Path) -> Iterator[Path]:
    """All files below ``root``, in order, but not those that were prepared from them."""
    out = out.resolve()
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            f for f in folders if not f.startswith(".") and (here / f).resolve() != out
        )
        yield from (here / name for name in sorted(names) if not name.startswith("."))


def _larger(first: Path, second: Path) -> Path:
    """Of two files of one picture the one with more pixels; the first of equals."""

    def area(path: Path) -> int:
        size = _size(path)
        return size[0] * size[1]

    return second if area(second) > area(first) else first


def _size(path: Path) -> tuple[int, int]:
    """Width and height as the file's header says, 0 if it says nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # nothing is decoded
            with Image.open(path, formats=("JPEG", "PNG", "WEBP", "BMP")) as image:
                return image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return 0, 0


def _pair_lists(files: _Files, layout: str) -> tuple[str, dict[str, Path]]:
    for name in LAYOUT_ORDER if layout == "auto" else (layout,):
        paths = files.matching(_LISTS[name])
        if paths:
            return name, paths
    wanted = {
        "csv": "fasion-resize-pairs-{train,test}.csv",
        "txt": "{train,test}_pairs.txt",
        "json": "{train,test}_pairs_data.json or {train,test}_data.json",
    }
    names = ", ".join(wanted.values()) if layout == "auto" else wanted[layout]
    raise DataError(f"no lists of pairs were found: expected {names}")


def _pairs(
    layout: str, path: Path, options: Options, found: Listing, files: _Files
) -> list[tuple[str, str]]:
    def bad(line: str) -> None:
        found.skip("unreadable pair", line)

    if layout == "csv":
        pairs = lists.read_pairs_csv(path, bad)
    elif layout == "txt":
        pairs = lists.read_pairs_txt(path, options.pair_order == "target-first", bad)
        found.notes.append(f"{path.name}: read {options.pair_order}")
    else:
        pairs = lists.read_pairs_json(path, bad)
    return [(files.name(source), files.name(target)) for source, target in pairs]


def _splits(
    files: _Files, pairs: dict[str, list[tuple[str, str]]], found: Listing
) -> dict[str, str]:
    """The split of every picture that is listed, or in a pair."""
    splits: dict[str, str] = {}
    for split, path in files.matching(_SPLIT).items():
        for line in lists.read_names(path):
            if splits.setdefault(files.name(line), split) != split:
                found.skip("picture listed in both splits", line)
    for split in SPLITS:
        for pair in pairs.get(split, []):
            for name in pair:
                splits.setdefault(name, split)
    return splits


def _bodies(
    files: _Files, layout: str, wanted: set[str], options: Options, found: Listing
) -> dict[str, Body]:
    """The joints of the wanted pictures, from the layout's own files before any others'."""
    bodies: dict[str, Body] = {}
    sources = (_csv_bodies, _txt_bodies) if layout == "csv" else (_txt_bodies, _csv_bodies)
    for read in sources:
        for name, one in read(files, wanted - bodies.keys(), options, found):
            bodies.setdefault(name, one)
    return bodies


def _csv_bodies(
    files: _Files, wanted: set[str], options: Options, found: Listing
) -> Iterator[tuple[str, Body]]:
    for pattern, left in ((_RESIZED, 0), (_PADDED, BAND)):
        for path in files.matching(pattern).values():
            if not wanted:
                return
            found.notes.append(f"poses: {path.name}")
            seen: set[str] = set()
            for called, points in lists.read_annotation_csv(
                path, lambda line: found.skip("unreadable pose annotation", line)
            ):
                name = files.name(called)
                if name in seen:
                    found.skip("annotated twice", name)
                elif name in wanted:
                    yield name, body(points, WIDTH, SIDE, left)
                seen.add(name)


def _txt_bodies(
    files: _Files, wanted: set[str], options: Options, found: Listing
) -> Iterator[tuple[str, Body]]:
    count = 0
    for name in sorted(wanted) if files.poses else ():
        path = files.poses.get(loose(name))
        if path is None:
            continue
        try:
            points = lists.read_pose_txt(path)
        except (OSError, ValueError) as error:
            found.skip("unreadable pose annotation", f"{path.name} of {name}: {error}")
            continue
        count += 1
        largest = max(value for point in points for value in point)
        unit = options.txt_frame == "normalised" or (options.txt_frame == "auto" and largest <= 1.5)
        yield name, body(points, 1, 1) if unit else body(points, WIDTH, SIDE, BAND)
    if count:
        found.notes.append(f"poses: {count} txt files")


def _padded(files: _Files, options: Options) -> bool:
    """Whether the 256 x 256 pictures have bands: all of those looked at have white ones."""
    if options.picture_frame != "auto":
        return options.picture_frame == "padded"
    names = sorted(files.pictures)
    looked = []
    for name in names[:: max(1, len(names) // 24)]:
        path = files.pictures[name]
        if _size(path) == (SIDE, SIDE):
            with contextlib.suppress(ImageError):  # it will be skipped when its turn comes
                looked.append(read_image(path).pixels)
    # Two columns next to the picture are left out: JPEG lets it run over.
    bands = [np.concatenate((p[:, : BAND - 2], p[:, -BAND + 2 :]), 1) for p in looked]
    return bool(bands) and all((band > 240).mean() > 0.99 for band in bands)


def _check_identities(found: Listing) -> None:
    people = [{p.person for p in found.pictures.values() if p.split == split} for split in SPLITS]
    both = people[0] & people[1]
    if both:
        found.notes.append(f"{len(both)} people are in both splits, for example {min(both)}")
