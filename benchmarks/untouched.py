"""Does reposing leave the rest of the photo alone? Every pixel far from the person is compared.

    python -m benchmarks.untouched [--photos 12] [--pose NAME ...] [--method preview] [-o FILE]

Every example is put into several presets and pasted back. A pixel more than 16 px outside both
silhouettes, the person's on the photo and the reposed one's, must be the photo's own, bit for bit;
the command fails where one is not. The silhouettes are taken from the person's mask and from the
same job on a transparent background, and grown by a distance transform of this module's own.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import RePoseError
from reposedm.imaging import read_image
from reposedm.jobs.detect import mask_of
from reposedm.jobs.repose import fit_preset, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import drain
from reposedm.pose import Pose, preset_names

EXAMPLES: Final = Path(__file__).resolve().parents[1] / "assets" / "examples"
MARGIN: Final = 16
POSES: Final = ("arms-raised", "hands-behind-head", "walking-left", "sitting-front", "jumping")


def judge(
    image: NDArray[np.uint8], source: Pose, target: Pose, settings: ReposeSettings
) -> dict[str, int]:
    """How many pixels had to stay the photo's, and how many did not."""
    mask = mask_of(image, source)
    pasted, alone = (
        drain(repose(image, source, target, settings.replace(background=behind), source_mask=mask))
        for behind in ("photo", "transparent")
    )
    person = (mask >= 0.5) | (alone.images[0][..., 3] >= 128)
    distance = cv2.distanceTransform((~person).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    outside = distance > MARGIN
    changed = (pasted.images[0] != image).any(2)
    return {
        "outside": int(outside.sum()),
        "changed_outside": int((changed & outside).sum()),
        "changed_in_all": int(changed.sum()),
    }


def main(given: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=int, default=1000, help="examples at most")
    parser.add_argument("--pose", action="append", choices=preset_names(), help="a preset's name")
    parser.add_argument("--method", default="preview")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(given)
    settings = ReposeSettings(method=options.method, seed=0)
    listed = json.loads((EXAMPLES / "examples.json").read_text("utf-8"))
    rows: list[dict[str, Any]] = []
    for example in listed[: options.photos]:
        image = read_image(EXAMPLES / example["file"]).pixels
        joints = np.array(example["pose"], np.float32)
        source = Pose(
            joints[:, :2], np.ones(18, np.float32), joints[:, 2].astype(np.uint8),
            (image.shape[1], image.shape[0]),
        )  # fmt: skip
        for name in options.pose or POSES:
            try:
                found = judge(image, source, fit_preset(name, source, settings), settings)
            except RePoseError as error:
                print(f"{example['id']}, {name}: {error}", file=sys.stderr)
                continue
            rows.append({"photo": example["id"], "pose": name} | found)
            print(f"{example['id']}, {name}: {found}", flush=True)
    if not rows:
        print("error: nothing could be judged", file=sys.stderr)
        return 2
    changed = sum(row["changed_outside"] for row in rows)
    summary = {
        "method": options.method,
        "margin_px": MARGIN,
        "results": len(rows),
        "pixels_outside": sum(row["outside"] for row in rows),
        "changed_outside": changed,
    }
    print(json.dumps(summary, indent=1))
    if options.output:
        options.output.write_text(json.dumps(summary | {"rows": rows}, indent=1) + "\n", "utf-8")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main())
