"""A set in Market-1501's form that takes no time: plain people, each of one colour."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from training.reid.market import GALLERY, QUERY, TRAIN, Shot
from training.reid.render import FORMAT, POSES, VERSION

PEOPLE, CAMERAS = 8, 2
STANDING = (
    (32, 20), (32, 30), (22, 30), (20, 46), (19, 62), (42, 30), (44, 46), (45, 62), (26, 64),
    (25, 88), (25, 112), (38, 64), (39, 88), (39, 112), (30, 18), (34, 18), (28, 19), (36, 19),
)  # fmt: skip
"""18 joints of somebody who faces the camera, on 64 x 128."""


def write_market(root: Path, pictures: int = 4) -> Path:
    """8 people to train on, 4 to search for, a distractor and a junk box; poses beside them."""
    records = {}

    def add(folder: str, name: str, color: int) -> None:
        picture, (x, y) = person(color, len(records))
        path = root / folder / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path, quality=95)
        points = [[float(a + x), float(b + y), 2] for a, b in STANDING]
        records[name] = {"points": points, "person": 1, "camera": 1, "view": 0}

    for who in range(1, PEOPLE + 1):
        for number in range(pictures):
            add(TRAIN, f"{who:04d}_c{number % CAMERAS + 1}s1_{number:06d}_00", who)
    for who in range(101, 105):
        for camera in (1, 2):
            add(QUERY, f"{who:04d}_c{camera}s1_000000_00", who)
            add(GALLERY, f"{who:04d}_c{camera}s1_000001_00", who)
    add(GALLERY, "0000_c1s1_000009_00", 200)
    add(GALLERY, "-1_c2s1_000010_00", 201)
    content = {"format": FORMAT, "version": VERSION, "size": [64, 128], "pictures": records}
    (root / POSES).write_text(json.dumps(content))
    return root


def person(color: int, lot: int) -> tuple[np.ndarray, tuple[int, int]]:
    """uint8 (128, 64, 3), and how far the person is off the middle."""
    rng = np.random.default_rng((color, lot))
    picture = rng.integers(90, 110, (128, 64, 3), dtype=np.uint8)
    cloth = np.random.default_rng(color).integers(0, 256, (2, 3), dtype=np.uint8)
    x, y = (int(v) for v in rng.integers(-4, 5, 2))
    picture[10 + y : 28 + y, 25 + x : 39 + x] = (200, 160, 140)
    picture[28 + y : 66 + y, 18 + x : 46 + x] = cloth[0]
    picture[66 + y : 118 + y, 22 + x : 42 + x] = cloth[1]
    return picture, (x, y)


def shot(person: int, number: int, camera: int = 1, made: int = 0) -> Shot:
    name = f"{person:04d}_c{camera}s1_{number:06d}_00"
    return Shot(f"{name}_g{made}" if made else name, "", person, camera, name, made)
