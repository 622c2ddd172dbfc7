"""Pictures for people who look: photographs beside what the parser makes of them.

python -m training.garments.sheet assets/examples/*.jpg -o sheet.png
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from reposedm.detect import detect_people, person_mask
from reposedm.errors import RePoseError
from reposedm.garments.labels import painted
from reposedm.garments.parse import parse_person
from reposedm.imaging import read_image

Image = NDArray[np.uint8]

HEIGHT: Final = 384


def panels(image: Image, backend: str) -> list[Image]:
    """A photo, and its largest person's labels over it: with the person's mask, and without.

    Raises:
        RePoseError: nobody is there, or something cannot run.
    """
    found = detect_people(image)
    if not found:
        return []
    pose = found[0].pose
    shown = [image]
    for mask in (person_mask(image, pose), None):
        labels = parse_person(image, pose, mask, backend)
        over = (image * 0.4 + painted(labels) * 0.6).astype(np.uint8)
        shown.append(np.where(labels[..., None] > 0, over, image // 2).astype(np.uint8))
    return [_high(panel) for panel in shown]


def _high(image: Image) -> Image:
    width = max(1, round(image.shape[1] * HEIGHT / image.shape[0]))
    return cv2.resize(image, (width, HEIGHT), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def sheet(rows: Sequence[Image]) -> Image:
    """Rows of one height below each other, filled up with white."""
    width = max(row.shape[1] for row in rows)
    filled = []
    for row in rows:
        room = ((0, 4), (0, width - row.shape[1]), (0, 0))
        filled.append(np.pad(row, room, constant_values=255))
    return np.concatenate(filled)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        "python -m training.garments.sheet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("photos", type=Path, nargs="+")
    parser.add_argument("-o", "--out", type=Path, required=True)
    parser.add_argument("--backend", default="small")
    options = parser.parse_args(argv)
    every: list[Image] = []
    for file in options.photos:
        try:
            found = panels(read_image(file).pixels, options.backend)
        except RePoseError as error:
            print(f"{file.name}: {error}", file=sys.stderr)
            continue
        if not found:
            print(f"{file.name}: nobody was found", file=sys.stderr)
            continue
        every.append(np.concatenate(found, 1))
    if not every:
        return 2
    pairs = [every[at : at + 2] for at in range(0, len(every), 2)]
    rows = [np.concatenate(pair, 1) for pair in pairs]
    PILImage.fromarray(sheet(rows)).save(options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
