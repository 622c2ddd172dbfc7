"""How well the autoencoder reproduces photographs: PSNR after encoding and decoding; numbers only.

    python -m training.real_photos FOLDER --weights assets/weights/reposedm/autoencoder \\
        -o training/results/real_photos.json

Photographs are brought to 256 pixels of height, with antialias, and to a multiple of 8 in width;
an autoencoder with an alpha gets them opaque. With ``--people`` the largest person's frame of each,
256x176 as the networks see it, is measured too. Neither pictures nor their names are written.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from reposedm.errors import RePoseError
from reposedm.imaging import read_image
from reposedm.models.autoencoder import FACTOR
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.conditions import to_tensor, with_alpha
from reposedm.pipelines.weights import INDEX
from reposedm.weights import WEIGHTS, sha256_of
from training.candidates import SUFFIXES
from training.components import load_network
from training.files import write_atomically
from training.machine import command_line, commit, machine, versions
from training.metrics import Image, MetricsError, psnr

FORMAT: Final = "reposedm-real-photos"
HEIGHT: Final = 256
FRAME: Final = (176, 256)
"""(width, height)."""
BAR_DB: Final = 28.0
GOAL_DB: Final = 30.0


def fitted(picture: Image, height: int = HEIGHT) -> Image:
    """The picture at a height, and at the nearest width that is a multiple of 8.

    Reduced as the app does (``Frame.crop``): by area; a sharper filter scores lower.
    """
    width = max(FACTOR, round(picture.shape[1] * height / picture.shape[0] / FACTOR) * FACTOR)
    smaller = height < picture.shape[0]
    kind = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(picture, (width, height), interpolation=kind), np.uint8)


@torch.no_grad()
def reproduced(autoencoder: Any, picture: Image) -> NDArray[np.uint8]:
    """Encoded, decoded, and rounded: uint8 (H, W, 3)."""
    codec = as_autoencoder(autoencoder)
    photo = with_alpha(to_tensor(picture)[None], None, codec.image_channels)
    decoded = codec.decode(codec.encode(photo))[0, :3]
    values = (decoded.float().clamp(-1, 1) + 1) * 127.5
    return values.round().byte().permute(1, 2, 0).numpy()


def framed(picture: Image) -> Image | None:
    """The frame of the largest person, 256 x 176; None where nobody is found."""
    from reposedm.detect import detect_people, person_mask
    from reposedm.imaging import Frame, mask_box

    people = detect_people(picture)
    if not people:
        return None
    pose = people[0].pose
    box = mask_box(person_mask(picture, pose))
    return Frame.around(pose, pose, pose.size, mask_box=box, native_size=FRAME).crop(picture)


def measure(folder: Path, autoencoder: Any, *, people: bool = False) -> dict[str, Any]:
    """PSNR of every photograph of a folder, from worst to best, and of their people's frames.

    Raises:
        MetricsError: no photographs.
        ImageError: one cannot be read.
    """
    files = sorted(p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES)
    if not files:
        raise MetricsError(f"{folder} holds no photographs ({', '.join(SUFFIXES)})")
    whole, frames = [], []
    for file in files:
        pixels = read_image(file).pixels
        whole.append(fitted(pixels))
        frame = framed(pixels) if people else None
        frames += [] if frame is None else [frame]
    numbers = _spread([psnr(reproduced(autoencoder, picture), picture) for picture in whole])
    mean = numbers["mean"]
    found: dict[str, Any] = {"photos": len(files), "height": HEIGHT, "psnr": numbers}
    if frames:
        found["people_psnr"] = _spread([psnr(reproduced(autoencoder, p), p) for p in frames])
    return found | {
        "bars": [
            {"bar": f"mean PSNR, {word}", "value": mean, "limit": limit, "met": mean >= limit}
            for word, limit in (("the bar", BAR_DB), ("the goal", GOAL_DB))
        ],
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    finite = sorted(value for value in values if math.isfinite(value))
    if not finite:
        raise MetricsError("no photograph gave a number: the networks are not whole")
    return {"mean": float(np.mean(finite)), "min": finite[0], "max": finite[-1], "all": finite}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m training.real_photos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="photographs that no training has seen")
    parser.add_argument("--weights", type=Path, required=True, help="of an autoencoder or pipeline")
    parser.add_argument("--people", action="store_true", help="the people's frames, too")
    parser.add_argument("-o", "--out", type=Path, help="JSON file to write")
    options = parser.parse_args(given)
    try:
        weights = options.weights
        if (weights / INDEX).is_file():
            weights = weights / "autoencoder"
        autoencoder = load_network("autoencoder", weights).eval()
        results = {
            "format": FORMAT,
            **measure(options.folder, autoencoder, people=options.people),
            "weights": {WEIGHTS: sha256_of(weights / WEIGHTS)},
            "command": command_line("training.real_photos", given),
            "commit": commit(),
            "machine": machine(),
            "versions": versions(),
        }
        if options.out is not None:
            write_atomically(options.out, (json.dumps(results, indent=1) + "\n").encode())
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = results["psnr"]
    print(f"{results['photos']} photographs at {HEIGHT} pixels: PSNR {found['mean']:.2f} dB, "
          f"{found['min']:.2f} to {found['max']:.2f}")  # fmt: skip
    if "people_psnr" in results:
        found = results["people_psnr"]
        print(f"{len(found['all'])} people in frames of {FRAME[1]} x {FRAME[0]}: PSNR "
              f"{found['mean']:.2f} dB, {found['min']:.2f} to {found['max']:.2f}")  # fmt: skip
    for bar in results["bars"]:
        print(f"{bar['bar']}, {bar['limit']:g} dB: {'met' if bar['met'] else 'NOT met'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
