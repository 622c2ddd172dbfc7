"""The example pictures and their true joints, for the detector's tests."""

import json
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "assets" / "examples"
PHOTOS = ROOT.parent / "shared" / "photos"


def picture(file: Path) -> NDArray[np.uint8]:
    image = cv2.imread(str(file))
    assert image is not None, file
    return np.ascontiguousarray(image[:, :, ::-1])


def example(name: str) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """Picture and (18, 3) true x, y, state."""
    entries = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    entry = next(entry for entry in entries if entry["id"] == name)
    return picture(EXAMPLES / entry["file"]), np.array(entry["pose"], float)


def near(points: NDArray[np.float32], truth: NDArray[np.float64]) -> float:
    """Share of the visible true joints that were found within half a head length."""
    head = 2 * np.hypot(*(truth[0, :2] - truth[1, :2]))
    gaps = np.hypot(*(points - truth[:, :2]).T)
    return float((gaps <= 0.5 * head)[truth[:, 2] == 2].mean())
