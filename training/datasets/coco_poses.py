"""COCO's person key points with captions: Human-Art, LAION-Human in its style, COCO itself.

Such pictures are not pairs: each is its own source and target, with everyone on it and a caption,
for text-conditioned training. They are cut to the size's shape around the middle of the people.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.pose import JointState
from reposedm.pose.skeleton import FROM_COCO_17, L_SHOULDER, NECK, R_SHOULDER
from training.datasets.lists import read_text
from training.datasets.records import Body, Framed, Listing, Options, Picture, plain, resize
from training.sample import DataError

MIN_JOINTS: Final = 4
"""People with fewer are left out: dots in a crowd."""
MAX_PEOPLE: Final = 20
_COCO: Final = {"train": "train", "test": "val"}
_CAPTIONS: Final = ("caption", "description", "prompt", "text")


def listing(options: Options) -> Listing:
    """Every picture with a person, of all annotation files; the split is in the file's name.

    Raises:
        DataError: no annotation file with key points.
    """
    found = Listing(pairs={"train": [], "test": []})
    folder = options.root / "annotations"
    paths = sorted((folder if folder.is_dir() else options.root).glob("*.json"))
    documents = {path: document for path in paths if (document := _document(path, found))}
    if not any(_has_keypoints(document) for document in documents.values()):
        raise DataError(
            f"there is no COCO key point file in {options.root}: expected annotations/*.json with "
            "images and annotations"
        )
    captions = _captions(documents.values())
    for path, document in documents.items():
        if _has_keypoints(document):
            split = "test" if any(w in path.stem.lower() for w in ("val", "test")) else "train"
            found.notes.append(f"{path.name}: {split}")
            _read(document, split, captions, options, found)
    assert found.pairs is not None  # for the type checker
    for picture in found.pictures.values():
        found.pairs[picture.split].append((picture.name, picture.name))
    return found


def frame(picture: Picture, pixels: NDArray[np.uint8], options: Options) -> Framed:
    """The largest part of the picture with the size's shape, as near the people as it can be."""
    height, width = pixels.shape[:2]
    scale = min(width / options.size[1], height / options.size[0])
    part = np.array((options.size[1] * scale, options.size[0] * scale))
    points = [p for b in picture.people for p, s in zip(b.points, b.state, strict=True) if s]
    points = points or [(0.5, 0.5)]
    middle = (np.min(points, 0) + np.max(points, 0)) / 2 * (width, height)
    low = np.clip(middle - part / 2, 0, np.maximum((width, height) - part, 0))
    box = (*low, *np.minimum(low + part, (width, height)))
    unit = [float(v) for v in np.array(box) / (width, height, width, height)]
    people = tuple(person.on(options.size, unit) for person in picture.people)
    people = tuple(person for person in people if person.drawn.sum() >= MIN_JOINTS)
    return Framed(resize(pixels, options.size, [float(side) for side in box]), people)


def from_coco(values: Any, width: float, height: float) -> Body | None:
    """51 numbers x, y, v of COCO's 17 joints as a body; None if they are not that.

    v is 0 where a joint is not labelled, 1 where it is behind something, 2 where it is seen. The
    neck, which COCO lacks, is in the middle of the shoulders when both are labelled.
    """
    try:
        rows = np.array(values, np.float64).reshape(17, 3)
    except (ValueError, TypeError):
        return None
    if not np.isfinite(rows).all() or np.abs(rows).max() > 1e5:
        return None
    states = np.clip(rows[:, 2].astype(int), 0, 2)
    points = np.zeros((18, 2))
    state = np.zeros(18, int)
    for joint, index in enumerate(FROM_COCO_17):
        if index is not None:
            points[joint], state[joint] = rows[index, :2], states[index]
    if state[R_SHOULDER] and state[L_SHOULDER]:
        points[NECK] = (points[R_SHOULDER] + points[L_SHOULDER]) / 2
        state[NECK] = min(state[R_SHOULDER], state[L_SHOULDER])
    state[(points < 0).any(1)] = JointState.HIDDEN
    unit = points / (width, height)
    return Body(tuple((float(x), float(y)) for x, y in unit), tuple(int(value) for value in state))


def _document(path: Path, found: Listing) -> dict[str, Any] | None:
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        found.skip("unreadable annotation file", f"{path.name}: {plain(error)}")
        return None
    return document if isinstance(document, dict) else None


def _has_keypoints(document: Mapping[str, Any]) -> bool:
    entries = document.get("annotations")
    return isinstance(entries, list) and any(
        isinstance(entry, dict) and "keypoints" in entry for entry in entries
    )


def _captions(documents: Any) -> dict[Any, str]:
    """The first caption of each picture, from files of captions alone as well."""
    captions: dict[Any, str] = {}
    for document in documents:
        for key, table in (("id", "images"), ("image_id", "annotations")):
            for entry in document.get(table) or []:
                for field in _CAPTIONS if isinstance(entry, dict) else ():
                    text = entry.get(field)
                    if isinstance(text, str) and text.strip():
                        captions.setdefault(_hashable(entry.get(key)), text.strip())
    return captions


def _read(
    document: Mapping[str, Any],
    split: str,
    captions: Mapping[Any, str],
    options: Options,
    found: Listing,
) -> None:
    bodies: dict[Any, list[Body]] = {}
    images = {
        _hashable(image.get("id")): image
        for image in document.get("images") or []
        if isinstance(image, dict)
    }
    for number, entry in enumerate(document["annotations"]):
        image = images.get(_hashable(entry.get("image_id"))) if isinstance(entry, dict) else None
        width, height = (_side(image, name) for name in ("width", "height"))
        if not (width and height):
            found.skip("annotation without a picture", f"number {number}")
        elif not entry.get("iscrowd") and "keypoints" in entry:
            one = from_coco(entry["keypoints"], width, height)
            if one is None:
                found.skip("unreadable pose annotation", f"number {number}")
            elif sum(1 for state in one.state if state) >= MIN_JOINTS:
                bodies.setdefault(_hashable(entry["image_id"]), []).append(one)
    for key, image in images.items():
        name = str(image.get("file_name", ""))
        people = sorted(bodies.get(key, []), key=_area, reverse=True)[:MAX_PEOPLE]
        path = _picture_path(options.root, name, split)
        if not people:
            found.skip("nobody with enough joints", name)
        elif path is None:
            found.skip("picture not found", name)
        elif name in found.pictures:
            found.skip("duplicated picture", name)
        else:
            caption = captions.get(key, "")
            found.pictures[name] = Picture(
                name, str(path), name, split, tuple(people), caption=caption
            )


def _side(image: Mapping[str, Any] | None, name: str) -> float:
    """The picture's width or height in pixels; 0 if it is not said."""
    value = None if image is None else image.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < 1e6 else 0.0


def _picture_path(root: Path, name: str, split: str) -> Path | None:
    """Where the picture lies; never outside the data set, whatever its name says."""
    parts = name.replace("\\", "/").split("/")
    if not name or Path(name).is_absolute() or ".." in parts or ":" in parts[0]:
        return None
    if parts[0] == root.resolve().name:  # Human-Art's names begin with its own folder
        parts = parts[1:]
    folders = (root, root / "images", root / f"{_COCO[split]}2017", root / f"{_COCO[split]}2014")
    paths = (folder.joinpath(*parts) for folder in folders)
    return next((path for path in paths if path.is_file()), None)


def _area(one: Body) -> float:
    points = np.array([p for p, s in zip(one.points, one.state, strict=True) if s])
    return float(np.prod(np.ptp(points, axis=0)))


def _hashable(key: Any) -> Any:
    return key if isinstance(key, int | str) else str(key)
