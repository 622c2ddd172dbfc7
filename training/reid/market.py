"""Market-1501 as a re-identification set: who is in which picture, seen by which camera.

``0002_c1s1_000451_03.jpg``: person 2, camera 1, sequence 1, frame 451, box 3. Three folders:
``bounding_box_train``, ``query`` and ``bounding_box_test`` (the gallery). In the gallery, person 0
is a *distractor*: somebody else, always wrong; person -1 is *junk*: a bad box of anybody, neither
right nor wrong. Names that end in ``_g1`` are generated, from the picture named before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from training.sample import DataError

SIZE: Final = (128, 64)
"""(H, W) of Market's pictures."""
TRAIN, QUERY, GALLERY = "bounding_box_train", "query", "bounding_box_test"
FOLDERS: Final = (TRAIN, QUERY, GALLERY)
JUNK: Final = -1
DISTRACTOR: Final = 0
ENDINGS: Final = (".jpg", ".jpeg", ".png")
_NAME: Final = re.compile(
    r"(?P<source>(?P<person>-1|\d{1,6})_c(?P<camera>\d{1,3})s(?P<sequence>\d{1,3})"
    r"_(?P<frame>\d{1,9})_(?P<box>\d{1,3}))(?:_g(?P<made>\d{1,6}))?",
    re.ASCII,
)


@dataclass(frozen=True, order=True)
class Shot:
    """A picture, as its name has it.

    Attributes:
        name: of the file, without ending.
        path: of the file.
        person: -1 junk, 0 distractor, else the identity.
        camera: 1-based.
        source: name of the picture that it was generated from; of a real one, its own.
        made: number of the generated picture, 1-based; 0: real.
    """

    name: str
    path: str
    person: int
    camera: int
    source: str
    made: int = 0


@dataclass(frozen=True)
class Market:
    """The set: real pictures, each part ordered by name.

    Attributes:
        root: its folder.
        train: without junk and distractors.
        query: one picture each is searched for.
        gallery: with distractors and junk.
        skipped: (file, reason) of what is in the folders and was not used.
    """

    root: Path
    train: tuple[Shot, ...]
    query: tuple[Shot, ...]
    gallery: tuple[Shot, ...]
    skipped: tuple[tuple[str, str], ...]

    @property
    def counts(self) -> dict[str, int]:
        """Numbers of pictures and identities, for reports."""
        return {
            "train_images": len(self.train),
            "train_identities": len({shot.person for shot in self.train}),
            "query_images": len(self.query),
            "query_identities": len({shot.person for shot in self.query}),
            "gallery_images": len(self.gallery),
            "gallery_distractors": sum(shot.person == DISTRACTOR for shot in self.gallery),
            "gallery_junk": sum(shot.person == JUNK for shot in self.gallery),
            "cameras": len({shot.camera for shot in (*self.train, *self.query, *self.gallery)}),
            "skipped_files": len(self.skipped),
        }


def shot_of(path: Path) -> Shot | None:
    """What a file's name says; None if it is not of Market's kind."""
    if path.suffix.lower() not in ENDINGS:
        return None
    # Market has a few names that end in ".jpg.jpg".
    stem = path.stem.removesuffix(".jpg")
    found = _NAME.fullmatch(stem)
    if found is None:
        return None
    person, camera = int(found["person"]), int(found["camera"])
    return Shot(stem, str(path), person, camera, found["source"], int(found["made"] or 0))


def read_market(root: str | Path) -> Market:
    """The set in a folder.

    Raises:
        DataError: a folder is absent, or there is nobody to train on or to search for.
    """
    folder = Path(root)
    missing = [name for name in FOLDERS if not (folder / name).is_dir()]
    if missing:
        raise DataError(
            f"{folder} is no Market-1501 folder: there is no {', '.join(missing)}. It holds "
            f"{', '.join(FOLDERS)}; a synthetic one is made by: python -m training.reid render"
        )
    skipped: list[tuple[str, str]] = []
    parts = {name: _shots(folder / name, skipped) for name in FOLDERS}
    parts[TRAIN] = _people(parts[TRAIN], TRAIN, skipped)
    parts[QUERY] = _people(parts[QUERY], QUERY, skipped)
    both = {shot.person for shot in parts[TRAIN]} & {shot.person for shot in parts[QUERY]}
    if both:
        raise DataError(
            f"{len(both)} identities are in {TRAIN} and in {QUERY} (the first is {min(both)}): "
            "a model must be tested on people it has never seen"
        )
    for name, shots in parts.items():
        if not shots:
            raise DataError(
                f"there are no pictures like 0002_c1s1_000451_03.jpg in {folder / name}"
            )
    return Market(folder, parts[TRAIN], parts[QUERY], parts[GALLERY], tuple(skipped))


def read_generated(folder: Path) -> tuple[Shot, ...]:
    """The generated pictures of a folder, ordered by name, all others left out."""
    if not folder.is_dir():
        raise DataError(f"there is no folder {folder} of generated pictures")
    found = (shot_of(path) for path in sorted(folder.rglob("*")))
    return tuple(sorted(shot for shot in found if shot is not None and shot.made))


def pixels_of(shots: Iterable[Shot], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """The pictures, uint8 (N, H, W, 3) RGB; those of another size are resized.

    Raises:
        DataError: a file is no picture.
    """
    height, width = size
    found = []
    for shot in shots:
        try:
            with Image.open(shot.path) as opened:
                image = opened.convert("RGB")
        except (OSError, ValueError, UnidentifiedImageError) as error:
            raise DataError(f"{shot.path} cannot be read as a picture: {error}") from error
        if image.size != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        found.append(np.asarray(image, np.uint8))
    return np.stack(found) if found else np.zeros((0, height, width, 3), np.uint8)


def _shots(folder: Path, skipped: list[tuple[str, str]]) -> tuple[Shot, ...]:
    found: dict[str, Shot] = {}
    for path in sorted(folder.iterdir()):
        name = f"{folder.name}/{path.name}"
        shot = shot_of(path)
        if shot is None:
            skipped.append((name, "not a name of Market-1501"))
        elif shot.made:
            skipped.append((name, "generated: the experiment adds such pictures itself"))
        elif shot.name in found:
            skipped.append((name, "picture twice"))
        else:
            found[shot.name] = shot
    return tuple(found[name] for name in sorted(found))


def _people(shots: Sequence[Shot], folder: str, skipped: list[tuple[str, str]]) -> tuple[Shot, ...]:
    for shot in shots:
        if shot.person <= 0:
            skipped.append((f"{folder}/{Path(shot.path).name}", "distractor or junk"))
    return tuple(shot for shot in shots if shot.person > 0)
