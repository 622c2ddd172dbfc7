"""A synthetic set in Market-1501's names and folders, with exact poses beside it.

    DIR/bounding_box_train/0001_c1s1_000000_00.jpg   person 1, camera 1, view 0
    DIR/query, DIR/bounding_box_test                 the test people's; with distractors and junk
    DIR/masks/NAME.png                               8 bit, what is seen of the person
    DIR/poses.json                                   joints of every picture, and how it was made

Of a test person's pictures by one camera the first is the query and the others are in the gallery,
as in Market-1501. A set is a function of its settings, whatever the number of processes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np

from reposedm.errors import SettingsError
from reposedm.pose import Pose, hide_outside
from training.files import write_atomically
from training.reid.market import GALLERY, JUNK, QUERY, SIZE, TRAIN
from training.reid.street import CAMERAS, Shown, habits, seen_by
from training.sample import DataError

FORMAT: Final = "reposedm-reid-poses"
VERSION: Final = 1
POSES: Final = "poses.json"
MASKS: Final = "masks"
QUALITY: Final = 95
"""Of the files; the cameras' own compression is in the pictures already."""
_PEOPLE: Final = 1_000_003
"""Seeds of people: no person of two sets, or of another data set of the renderer, is the same."""
_FIRST: Final = 500_000_000


@dataclass(frozen=True)
class Street:
    """What is rendered.

    Attributes:
        out: the folder.
        assets: the pack's folder.
        train: identities to train on.
        test: identities to search for.
        distractors: people who are only in the gallery, as person 0; one picture a camera.
        cameras: 2 to 6.
        per_camera: pictures of a person by one camera, at least 2.
        junk: bad boxes in the gallery, as person -1.
        seed: two seeds share no person.
        workers: processes; 0: this one.

    Raises:
        SettingsError: a number is not possible.
    """

    out: str
    assets: str
    train: int = 100
    test: int = 50
    distractors: int = 20
    cameras: int = CAMERAS
    per_camera: int = 2
    junk: int = 50
    seed: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        """Check."""
        if min(self.train, self.test) < 1 or min(self.distractors, self.junk, self.workers) < 0:
            raise SettingsError("a set needs at least 1 training and 1 test identity")
        if not 2 <= self.cameras <= CAMERAS or not 2 <= self.per_camera <= 50 or self.seed < 0:
            raise SettingsError(
                f"a set has 2 to {CAMERAS} cameras and 2 to 50 pictures of a person by each, and a "
                f"seed from 0, not {self.cameras}, {self.per_camera} and {self.seed}"
            )
        if self.train + self.test + self.distractors >= _PEOPLE:
            raise SettingsError(f"a set has less than {_PEOPLE} people")

    @property
    def people(self) -> int:
        """Everybody."""
        return self.train + self.test + self.distractors


def render_street(street: Street) -> Iterator[int]:
    """Render everybody; yields how many are done. ``poses.json`` is written last.

    A set that is complete, with the same settings, is not rendered again; a folder that holds
    another one is refused.

    Raises:
        DataError: the folder holds something else.
    """
    out = Path(street.out)
    _check_free(street, out)
    for name in (TRAIN, QUERY, GALLERY, MASKS):
        (out / name).mkdir(parents=True, exist_ok=True)
    pictures: dict[str, Any] = {}
    for done, found in enumerate(_mapped(street), start=1):
        pictures |= found
        yield done
    content = {
        "format": FORMAT, "version": VERSION, "size": list(SIZE[::-1]),
        "settings": _settings(street), "pictures": dict(sorted(pictures.items())),
    }  # fmt: skip
    write_atomically(out / POSES, json.dumps(content).encode())


def read_poses(root: Path) -> dict[str, dict[str, Any]]:
    """What ``poses.json`` says of each picture, by name without ending.

    ``points`` are 18 of (x, y, state) in pixels; ``person`` is the renderer's seed, ``camera``
    1-based and ``view`` the number of the view, from which it can be rendered again.

    Raises:
        DataError: it is absent or of another kind.
    """
    try:
        content = json.loads((root / POSES).read_text("utf-8"))
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise DataError(f"{root / POSES} is not of {FORMAT} {VERSION}")
        return dict(content["pictures"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{root / POSES} cannot be read: {error}") from error


def pose_of(record: dict[str, Any], size: tuple[int, int] = SIZE) -> Pose:
    """The joints of a picture of (H, W)."""
    values = np.asarray(record["points"], np.float32)
    return Pose(
        values[:, :2], np.ones(18, np.float32), values[:, 2].astype(np.uint8), (size[1], size[0])
    )


def _settings(street: Street) -> dict[str, Any]:
    return {k: v for k, v in asdict(street).items() if k not in ("out", "assets", "workers")}


def _check_free(street: Street, out: Path) -> None:
    if not (out / POSES).is_file():
        return
    there = json.loads((out / POSES).read_text("utf-8")).get("settings")
    if there != _settings(street):
        raise DataError(f"{out} holds a set of other settings ({there}): choose another folder")


def _mapped(street: Street) -> Iterator[dict[str, Any]]:
    jobs = [(street, number) for number in range(street.people)]
    if street.workers == 0:
        yield from map(_render_person, jobs)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(street.workers) as pool:
        yield from pool.imap(_render_person, jobs)


def developed(shown: Shown, person: int, camera: int, view: int) -> Shown:
    """A rendered view as camera number ``camera`` (0-based) gives it."""
    return seen_by(habits()[camera], shown, np.random.default_rng((person, 20, camera, view)))


def _render_person(job: tuple[Street, int]) -> dict[str, Any]:
    """Render and write one person's pictures; what ``poses.json`` says of them."""
    from training.synthetic.assets import load_assets
    from training.synthetic.surveillance import render_surveillance

    street, number = job
    cv2.setNumThreads(1)
    tested = number - street.train  # negative: to train on; beyond street.test: distractor
    count = CAMERAS * (street.per_camera if tested < street.test else 1)
    seed = _FIRST + street.seed * _PEOPLE + number
    session, cameras = render_surveillance(load_assets(street.assets), seed, count, SIZE)
    out, made, seen = Path(street.out), session.person.seed, set[int]()
    found: dict[str, Any] = {}
    for index, (view, camera) in enumerate(zip(session.views, cameras, strict=True)):
        if camera >= street.cameras:
            continue
        shown = developed(Shown(view.image, view.alpha, view.pose), made, camera, index)
        # Frames count on over all people: distractors share a number, and names stay unique.
        stem = f"c{camera + 1}s1_{number * 100 + index:06d}_00"
        if tested < 0:
            folder, person = TRAIN, number + 1
        elif tested < street.test:
            folder, person = (GALLERY if camera in seen else QUERY), number + 1
        else:
            folder, person = GALLERY, 0
        seen.add(camera)
        name = f"{person:04d}_{stem}"
        _write(out, folder, name, shown)
        found[name] = _record(shown, made, camera, index)
        if (
            folder == GALLERY
            and 0 <= tested < min(street.test, street.junk)
            and not any(key.startswith(str(JUNK)) for key in found)
        ):
            bad = _bad_box(shown, np.random.default_rng((seed, 21)))
            _write(out, GALLERY, f"{JUNK}_{stem}", bad)
            found[f"{JUNK}_{stem}"] = _record(bad, made, camera, index)
    return found


def _bad_box(shown: Shown, rng: np.random.Generator) -> Shown:
    """A box that holds a piece of the person only, as detectors give them."""
    height, width = shown.alpha.shape
    scale = rng.uniform(1.8, 2.6)
    offset = np.array((width, height)) * (1 - scale) * rng.uniform(0.1, 0.9, 2)
    matrix = np.array(((scale, 0, offset[0]), (0, scale, offset[1])))
    image, alpha = (
        np.asarray(cv2.warpAffine(part, matrix, (width, height)), np.uint8)
        for part in (shown.image, shown.alpha)
    )
    pose = shown.pose.transformed((scale, scale), offset, (width, height))
    return Shown(image, alpha, hide_outside(pose))


def _write(out: Path, folder: str, name: str, shown: Shown) -> None:
    image = np.ascontiguousarray(shown.image[..., ::-1])
    cv2.imwrite(str(out / folder / f"{name}.jpg"), image, (cv2.IMWRITE_JPEG_QUALITY, QUALITY))
    cv2.imwrite(str(out / MASKS / f"{name}.png"), shown.alpha)


def _record(shown: Shown, person: int, camera: int, view: int) -> dict[str, Any]:
    points = [
        [round(float(x), 2), round(float(y), 2), int(state)]
        for (x, y), state in zip(shown.pose.points, shown.pose.state, strict=True)
    ]
    return {"points": points, "person": person, "camera": camera + 1, "view": view}
