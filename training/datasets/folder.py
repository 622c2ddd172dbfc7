"""A user's own people: ``person_id/*.jpg``. Poses come from a JSON beside the picture, or from us.

A pose that we find is kept in ``poses/`` of the prepared folder, as OpenPose JSON with the
picture's hash: correct it there (or with the app's editor) and prepare again. Pictures are cut
around the person as the app does it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from reposedm.errors import PoseError
from reposedm.imaging import Frame
from reposedm.pose import Pose, hide_outside, parse_people, read_pose_file, to_openpose
from training.datasets.records import SUFFIXES, Framed, Listing, Options, Picture
from training.files import write_atomically
from training.sample import DataError

POSES: Final = "poses"
MIN_JOINTS: Final = 6
"""Fewer joints than a head and one shoulder do not tell how a person stands."""


def listing(options: Options) -> Listing:
    """The pictures of every person; who is in the test split follows from the name alone.

    Raises:
        DataError: there are no folders with pictures.
    """
    found = Listing()
    out = options.out.resolve()
    try:
        folders = sorted(path for path in options.root.iterdir() if path.is_dir())
    except OSError as error:
        raise DataError(f"{options.root} cannot be read: {error.strerror}") from error
    for folder in folders:
        if folder.resolve() == out or folder.name.startswith("."):
            continue
        paths = [p for p in sorted(folder.iterdir()) if p.suffix.lower() in SUFFIXES]
        if len(paths) == 1:
            found.skip("only one picture of this person", folder.name)
        split = "test" if _share(folder.name) < options.test_share else "train"
        for path in paths if len(paths) > 1 else []:
            name = f"{folder.name}/{path.name}"
            found.pictures[name] = Picture(name, str(path), folder.name, split)
    if not found.pictures:
        raise DataError(
            f"there are no people in {options.root}: expected a folder for each, with at least two "
            "pictures in it"
        )
    return found


def frame(picture: Picture, pixels: NDArray[np.uint8], options: Options) -> Framed:
    """The person cut out of the picture, at the size.

    Raises:
        PoseError: nobody is found, too little is seen of them, or their JSON is no pose.
        DetectionError: the detector cannot run.
    """
    size = (pixels.shape[1], pixels.shape[0])
    pose = _beside(picture, size) or _kept(picture, pixels, options)
    if pose.size != size:
        raise PoseError(f"the pose is of a picture of {pose.size}, not {size}")
    if int(pose.drawn.sum()) < MIN_JOINTS:
        raise PoseError(f"only {int(pose.drawn.sum())} joints are seen")
    height, width = options.size
    cut = Frame.around(pose, pose, size, native_size=(width, height))
    alpha = None
    if options.masks:
        from reposedm.detect import person_mask

        alpha = np.rint(cut.crop_mask(person_mask(pixels, pose)) * 255).astype(np.uint8)
    return Framed(cut.crop(pixels), (hide_outside(cut.to_frame(pose)),), alpha)


def pose_files(picture: Picture, options: Options) -> list[Path]:
    """Where the picture's pose may lie, the one that counts first."""
    return [Path(picture.path).with_suffix(".json"), _cache(picture, options)]


def _share(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _beside(picture: Picture, size: tuple[int, int]) -> Pose | None:
    path = Path(picture.path).with_suffix(".json")
    return _largest(read_pose_file(path, size)) if path.is_file() else None


def _cache(picture: Picture, options: Options) -> Path:
    digest = hashlib.sha256(picture.name.encode()).hexdigest()[:24]
    return options.out / POSES / f"{digest}.json"


def _kept(picture: Picture, pixels: NDArray[np.uint8], options: Options) -> Pose:
    """The pose found earlier in the same pixels, or found now."""
    path = _cache(picture, options)
    digest = hashlib.sha256(pixels.tobytes()).hexdigest()
    if path.is_file():
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise PoseError(f"{path.name} is not JSON: delete it, and it is made again") from error
        if isinstance(document, dict) and document.get("picture_sha256") == digest:
            return _largest(parse_people(document))
    from reposedm.detect import detect_people

    people = detect_people(pixels, options.detector)
    if not people:
        raise PoseError("nobody was found")
    pose = people[0].pose
    document = {**to_openpose([pose]), "picture": picture.name, "picture_sha256": digest}
    write_atomically(path, json.dumps(document).encode(), durable=False)
    return parse_people(document)[0]  # as every later run reads it


def _largest(people: list[Pose]) -> Pose:
    """The person who takes the most room."""

    def area(pose: Pose) -> float:
        box = pose.box()
        return 0.0 if box is None else (box[2] - box[0]) * (box[3] - box[1])

    if not people:
        raise PoseError("the JSON beside the picture holds nobody")
    return max(people, key=area)
