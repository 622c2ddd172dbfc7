"""A set of tiny drawn pictures in Market-1501's names, with the joints beside them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from reposedm.pose import to_openpose
from tests.drawn import arms_up, photo


def write_crowd(
    folder: Path,
    identities: int,
    each: int,
    *,
    size: tuple[int, int] = (32, 64),
    joints: bool = True,
) -> list[str]:
    """Write the pictures; their names. Every second picture has its arms up."""
    folder.mkdir(parents=True, exist_ok=True)
    image, pose, _ = photo(*size)
    names = []
    for person in range(1, identities + 1):
        tint = np.random.default_rng(person).integers(-40, 40, 3)
        for index in range(each):
            name = f"{person:04d}_c{index % 6 + 1}s1_{100 * index + person:06d}_00"
            pixels = np.clip(image.astype(int) + tint + index, 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{name}.png", compress_level=1)
            if joints:
                shown = arms_up(pose) if index % 2 else pose
                (folder / f"{name}.json").write_text(json.dumps(to_openpose([shown])))
            names.append(f"{name}.png")
    return names


def zip_folder(folder: Path, file: Path) -> Path:
    """The folder's files in a zip."""
    with zipfile.ZipFile(file, "w") as made:
        for path in sorted(folder.iterdir()):
            made.write(path, f"crowd/{path.name}")
    return file


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
