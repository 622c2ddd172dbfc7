"""What a data set's family tells ``training.prepare``: pictures, pairs, and what it left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.errors import SettingsError
from reposedm.pose import JointState, Pose, hide_outside

Split = Literal["train", "test"]
SPLITS: Final[tuple[Split, Split]] = ("train", "test")
SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
KINDS: Final = ("deepfashion", "market", "folder", "coco")
LAYOUTS: Final = ("auto", "csv", "txt", "json")
PAIR_ORDERS: Final = ("target-first", "source-first")
FRAMES: Final = ("auto", "whole", "padded")
TXT_FRAMES: Final = ("auto", "padded", "normalised")


@dataclass(frozen=True)
class Options:
    """How a data set is prepared; the command line's flags.

    Attributes:
        kind: the family.
        root: the raw data set.
        out: the prepared one.
        size: (H, W) of the prepared pictures.
        layout: DeepFashion: which lists to read; "auto" takes the first there is, CSV first.
        pair_order: DeepFashion's ``*_pairs.txt``: which of a line's pictures is the target. PIDM's
            code, which the published numbers come from, reads the first; its README says the last.
        picture_frame: DeepFashion: whether 256 x 256 pictures have 40 px bands left and right
            ("padded") that are cut off; "auto" looks at some of them.
        txt_frame: DeepFashion's pose/*.txt: in pixels of the padded 256 x 256 frame, or parts of
            the picture's width and height; "auto" tells them apart by their size.
        image_format: "png", or "jpg" (quality 95, a quarter of the space).
        test_share: folder: the part of the people that are kept for testing.
        masks: folder: find the person's outline too, as an alpha (needs mediapipe).
        detector: folder: back end of ``reposedm.detect``.
        workers: processes.

    Raises:
        SettingsError: a value is impossible.
    """

    kind: str
    root: Path
    out: Path
    size: tuple[int, int] = (256, 176)
    layout: str = "auto"
    pair_order: str = "target-first"
    picture_frame: str = "auto"
    txt_frame: str = "auto"
    image_format: str = "png"
    test_share: float = 0.1
    masks: bool = False
    detector: str = "mediapipe"
    workers: int = 1

    def __post_init__(self) -> None:
        """Check what the command line cannot."""
        for name, choices in (
            ("kind", KINDS),
            ("layout", LAYOUTS),
            ("pair_order", PAIR_ORDERS),
            ("picture_frame", FRAMES),
            ("txt_frame", TXT_FRAMES),
            ("image_format", ("png", "jpg")),
        ):
            if getattr(self, name) not in choices:
                raise SettingsError(
                    f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}"
                )
        if any(side % 8 or not 32 <= side <= 2048 for side in self.size):
            raise SettingsError(
                "pictures must be 32 to 2048 pixels high and wide, multiples of 8, not "
                f"{self.size[0]} x {self.size[1]}"
            )
        if not 0 <= self.test_share < 1 or not 1 <= self.workers <= 256:
            raise SettingsError("the test share must be 0 to 1, the workers 1 to 256")


@dataclass(frozen=True)
class Body:
    """One person's joints as the data set has them.

    Attributes:
        points: 18 (x, y) in parts of the width and height of the picture's content.
        state: 18 of ``JointState``.
    """

    points: tuple[tuple[float, float], ...]
    state: tuple[int, ...]

    def on(self, size: tuple[int, int], box: Sequence[float] = (0, 0, 1, 1)) -> Pose:
        """The pose on a picture of (H, W) that shows ``box`` of the content (left, top, right,
        bottom, in parts of it); joints outside are hidden and keep their coordinates."""
        low, high = np.array(box[:2]), np.array(box[2:])
        points = (np.array(self.points) - low) / (high - low) * (size[1], size[0])
        state = np.array(self.state, np.uint8)
        points = np.where((state > 0)[:, None], points, 0).astype(np.float32)
        return hide_outside(Pose(points, (state > 0) * np.float32(1), state, (size[1], size[0])))


@dataclass(frozen=True)
class Picture:
    """A picture of the raw data set.

    Attributes:
        name: its id.
        path: the file.
        person: who it shows.
        split: "train" or "test".
        people: joints of the people on it, the one it is about first; empty: not known.
        padded: whether 40 of its 256 columns left and right are empty bands.
        caption: what it shows.
    """

    name: str
    path: str
    person: str
    split: str
    people: tuple[Body, ...] = ()
    padded: bool = False
    caption: str = ""


@dataclass
class Listing:
    """All that is known of a raw data set before a picture is opened.

    Attributes:
        pictures: by name.
        pairs: (source, target) names of each split; None: every ordered pair of one person, known
            only when the poses are.
        skipped: (reason, item) of everything left out.
        notes: sentences for the user: which lists were used, and what was decided.
    """

    pictures: dict[str, Picture] = field(default_factory=dict)
    pairs: dict[str, list[tuple[str, str]]] | None = None
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def skip(self, reason: str, item: str) -> None:
        """Remember that something was left out."""
        self.skipped.append((reason, item))


@dataclass(frozen=True)
class Framed:
    """A picture ready to be written.

    Attributes:
        pixels: uint8 (H, W, 3) of the prepared size.
        people: in its pixels; empty: no pose is known.
        alpha: uint8 (H, W), 255 on the person.
    """

    pixels: NDArray[np.uint8]
    people: tuple[Pose, ...]
    alpha: NDArray[np.uint8] | None = None


Lister = Callable[[Options], Listing]
Framer = Callable[[Picture, NDArray[np.uint8], Options], Framed]


def resize(
    pixels: NDArray[np.uint8], size: tuple[int, int], box: Sequence[float] | None = None
) -> NDArray[np.uint8]:
    """A part of a picture at (H, W), bicubic with antialias, its shape stretched: the field's way.

    Args:
        pixels: uint8 (h, w, 3).
        size: (H, W).
        box: (left, top, right, bottom) in pixels; None: all of it.
    """
    image = Image.fromarray(pixels)
    whole = (0.0, 0.0, float(image.width), float(image.height))
    part = whole if box is None else (box[0], box[1], box[2], box[3])
    return np.array(image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=part))


def body(points: Sequence[Sequence[float]], width: float, height: float, left: float = 0) -> Body:
    """Joints given in pixels of a frame, where -1 (in x or y) means that a joint was not found.

    Args:
        points: 18 (x, y) in pixels.
        width: of the content, pixels.
        height: of the content, pixels.
        left: where the content begins in the frame, pixels.
    """
    found = [x != -1 and y != -1 for x, y in points]
    state = tuple(int(JointState.VISIBLE if f else JointState.HIDDEN) for f in found)
    unit = tuple(
        (float((x - left) / width), float(y / height)) if f else (0.0, 0.0)
        for (x, y), f in zip(points, found, strict=True)
    )
    return Body(unit, state)


def unique_pairs(
    found: Sequence[tuple[str, str]], listing: Listing, split: str
) -> list[tuple[str, str]]:
    """The pairs of known pictures, each once; the others are skipped and counted."""
    kept: dict[tuple[str, str], None] = {}
    for source, target in found:
        pair = (source, target)
        if source not in listing.pictures or target not in listing.pictures:
            listing.skip("pair of a picture that is not there", f"{split}: {source}, {target}")
        elif pair in kept:
            listing.skip("duplicated pair", f"{split}: {source}, {target}")
        elif source == target:
            listing.skip("pair of a picture with itself", f"{split}: {source}")
        else:
            kept[pair] = None
    return list(kept)


def all_pairs(people: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Every ordered pair of two pictures of one person."""
    return [(a, b) for names in people.values() for a in names for b in names if a != b]


def by_person(pictures: Sequence[Picture]) -> dict[str, list[str]]:
    """Names of the pictures of each person, in order."""
    people: dict[str, list[str]] = {}
    for picture in pictures:
        people.setdefault(picture.person, []).append(picture.name)
    return people


def plain(value: Any, length: int = 80) -> str:
    """Some value of a foreign file, short enough for a message."""
    text = str(value).replace("\n", " ")
    return text if len(text) <= length else text[: length - 3] + "..."
