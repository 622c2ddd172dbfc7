"""What the photo's own texture is worth, on rendered people whose exact correspondence is known.

    python benchmarks/texture.py --assets PACK [-o results.json] [--sheet sheet.png]

Held-out people at 768 x 528; the truth is the rendered target itself. The network is simulated: its
picture is the truth at 256 x 176, blurred and off in colour like a small autoencoder's, its mapping
the exact one on 32 x 22 cells plus smooth noise, its visibility noisy. Compared, inside the person:
that picture enlarged, the photo warped by the mapping as it is, and ``imaging.texture``. Without
``--assets``, only the time of a 768 x 1024 layer is measured.

"sharpness" is the energy of the finest details (above a Gaussian of 2 pixels) over that of the
truth, "detail" their correlation with the truth's; "seen" is where the photo shows the point.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from reposedm.imaging import Frame  # noqa: E402
from reposedm.imaging.smooth import smooth_fill  # noqa: E402
from reposedm.imaging.texture import EYES_AND_NOSE, NECK, textured  # noqa: E402
from reposedm.pose import JointState  # noqa: E402

Array = NDArray[Any]

SIZE = (768, 528)
SMALL = (176, 256)
GRID = (32, 22)
SHARP, VAGUE = 0.75, 1.3
"""Deviation in pixels of 256 x 176: an autoencoder alone, and a generator that smears."""
CASES = {
    "sharp picture, noise 0.3": (0.3, SHARP),
    "sharp picture, noise 0.6": (0.6, SHARP),
    "sharp picture, noise 1.0": (1.0, SHARP),
    "vague picture, noise 0.6": (0.6, VAGUE),
}
TIMED = (704, 1024)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], cells: float, n: int) -> Array:
    """(h, w, n) of deviation 1, correlated over ``cells``."""
    noise = rng.standard_normal((*shape, n)).astype(np.float32)
    noise = cv2.GaussianBlur(noise, (0, 0), cells, borderType=cv2.BORDER_REFLECT)
    return noise.reshape(*shape, n) / noise.std()


def simulated(sample: Any, rng: np.random.Generator, noise: float, blur: float) -> tuple[Any, ...]:
    """A network's picture, mapping and visibility for a rendered pair."""
    alpha = sample.target_alpha.astype(np.float32)[..., None] / 255
    layers = np.concatenate((sample.target_image * alpha, alpha), 2)
    layers = cv2.GaussianBlur(cv2.resize(layers, SMALL, interpolation=cv2.INTER_AREA), (0, 0), blur)
    colors = layers[..., :3] / np.maximum(layers[..., 3:], 1 / 255)
    shape = SMALL[::-1]
    colors += 3 * smooth_noise(rng, shape, 24, 3) + 3 * smooth_noise(rng, shape, 1, 3)
    rgba = np.concatenate((colors, layers[..., 3:] * 255), 2)
    size = GRID[::-1]
    seen = cv2.resize(sample.seen, size, interpolation=cv2.INTER_AREA)
    exact = np.ascontiguousarray((sample.mapping * sample.seen).transpose(1, 2, 0))
    offsets = cv2.resize(exact, size, interpolation=cv2.INTER_AREA)
    offsets *= GRID[1] / SIZE[1] / np.maximum(seen, 1e-6)[..., None]
    offsets = smooth_fill(offsets, seen > 0.05)
    offsets += smooth_noise(rng, GRID, 1.5, 2) * np.float32(noise / 2**0.5)
    visible = (0.05 + 0.9 * seen + 0.12 * rng.standard_normal(GRID)).clip(0.02, 0.98)
    mapping = np.ascontiguousarray(offsets.transpose(2, 0, 1), np.float32)
    return np.rint(rgba).clip(0, 255).astype(np.uint8), mapping, visible.astype(np.float32)


def warped(sample: Any, rgba: Array, mapping: Array, visible: Array) -> Array:
    """The naive way: the photo through the mapping, faded in by visibility."""
    size = SIZE[::-1]
    scale = np.array([SIZE[1] / GRID[1], SIZE[0] / GRID[0]], np.float32)
    offsets = cv2.resize(np.ascontiguousarray(mapping.transpose(1, 2, 0)), size) * scale
    y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
    maps = x + offsets[..., 0], y + offsets[..., 1]
    own = cv2.remap(sample.source_image, *maps, cv2.INTER_CUBIC).astype(np.float32)
    mask = cv2.remap(sample.source_alpha, *maps, cv2.INTER_LINEAR) / np.float32(255)
    plain = enlarged(rgba).astype(np.float32)
    return plain + (own - plain) * (cv2.resize(visible, size) * mask)[..., None]


def enlarged(rgba: Array) -> Array:
    """The network's picture by cubic interpolation."""
    return frame().place(rgba)[..., :3]


def ours(sample: Any, rgba: Array, mapping: Array, visible: Array) -> Array:
    """``imaging.texture``."""
    poses = (sample.source_pose, sample.target_pose)
    joints = [NECK, *EYES_AND_NOSE]
    seen = all((pose.state[joints] == JointState.VISIBLE).all() for pose in poses)
    faces = (poses[0].points, poses[1].points) if seen else None
    mask = sample.source_alpha.astype(np.float32) / 255
    layer, _ = textured(sample.source_image, mask, frame(), rgba, mapping, visible, faces=faces)
    return layer[..., :3]


def frame() -> Frame:
    """The whole picture."""
    return Frame((0, 0, SIZE[1], SIZE[0]), SMALL, (SIZE[1], SIZE[0]))


def scores(made: Array, truth: Array, inside: Array, seen: Array) -> dict[str, float]:
    """PSNR, SSIM, and sharpness and detail where the photo shows the person."""
    made, truth = made.astype(np.float32).clip(0, 255), truth.astype(np.float32)
    error = np.square(made - truth).mean(2)
    a, b = (cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (made, truth))
    mean = lambda x: cv2.GaussianBlur(x, (11, 11), 1.5)  # noqa: E731
    ma, mb = mean(a), mean(b)
    va, vb, both = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    one, two = 0.01**2 * 255**2, 0.03**2 * 255**2
    ssim = (2 * ma * mb + one) * (2 * both + two) / ((ma**2 + mb**2 + one) * (va + vb + two))
    core = cv2.erode((inside & seen).astype(np.uint8), np.ones((9, 9))) > 0
    fine = [(one - cv2.GaussianBlur(one, (0, 0), 2))[core] for one in (a, b)]
    energy = [float(np.square(one).mean()) if core.any() else 1.0 for one in fine]
    product = float((fine[0] * fine[1]).mean()) if core.any() else 1.0
    return {
        "psnr": float(10 * np.log10(255**2 / error[inside].mean())),
        "psnr_seen": float(10 * np.log10(255**2 / error[inside & seen].mean())),
        "ssim": float(ssim[inside].mean()),
        "sharpness": (energy[0] / energy[1]) ** 0.5,
        "detail": product / max((energy[0] * energy[1]) ** 0.5, 1e-6),
    }


def measure(assets: str, people: int, sheet: Path | None) -> dict[str, Any]:
    """All scores, as means over pairs."""
    from training.datasets.synthetic import RenderedPairs

    # Two views of each, the first frontal; it is the source for every other person.
    pairs = RenderedPairs(assets, people, 2, SIZE, split="test", photographic=0.0, seed=3)
    results: dict[str, dict[str, list[dict[str, float]]]] = {}
    rows = []
    for number in range(people):
        sample: Any = pairs[number * pairs.pairs + number % 2]
        inside, seen = sample.target_alpha > 127, sample.seen > 0.5
        if not (inside & seen).any():
            continue
        for place, (noise, blur) in CASES.items():
            given = simulated(sample, np.random.default_rng(number), noise, blur)
            made = {
                "enlarged": enlarged(given[0]),
                "warped": warped(sample, *given),
                "texture": ours(sample, *given),
            }
            for name, picture in made.items():
                found = scores(picture, sample.target_image, inside, seen)
                results.setdefault(place, {}).setdefault(name, []).append(found)
            if sheet and (noise, blur) == (0.6, SHARP) and number % 4 == 0:
                shown = (sample.source_image, sample.target_image, *made.values())
                rows.append(np.hstack([one.clip(0, 255).astype(np.uint8) for one in shown]))
    if sheet and rows:
        cv2.imwrite(str(sheet), np.vstack(rows)[..., ::-1])
    return {
        place: {
            name: {key: round(float(np.mean([one[key] for one in many])), 3) for key in many[0]}
            for name, many in by_name.items()
        }
        for place, by_name in results.items()
    }


def timed() -> dict[str, Any]:
    """CPU seconds of one layer of ``TIMED`` pixels, on one core."""
    cv2.setNumThreads(1)
    rng, (width, height) = np.random.default_rng(0), TIMED
    photo = cv2.resize(rng.integers(0, 255, (height // 4, width // 4, 3), np.uint8), TIMED)
    mask = np.zeros((height, width), np.float32)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 4, height * 2 // 5), 0, 0, 360, 1, -1)
    view = Frame((0, 0, width, height), SMALL, TIMED)
    rgba = np.dstack((view.crop(photo), np.rint(view.crop_mask(mask) * 255).astype(np.uint8)))
    mapping, visible = np.full((2, *GRID), 0.1, np.float32), np.ones(GRID, np.float32)
    seconds = []
    for _ in range(4):
        start = time.thread_time()
        textured(photo, mask, view, rgba, mapping, visible)
        seconds.append(time.thread_time() - start)
    return {"size": list(TIMED), "cpu_s": round(min(seconds[1:]), 3)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assets", help="folder of the asset pack; default: only the time")
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--sheet", type=Path, help="write some pictures, side by side")
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    parsed = parser.parse_args()
    results: dict[str, Any] = {"time": timed()}
    print(f"a layer of {TIMED[0]} x {TIMED[1]}: {results['time']['cpu_s']} s on one core")
    if parsed.assets:
        results["people"] = parsed.people
        results["scores"] = measure(parsed.assets, parsed.people, parsed.sheet)
        for place, by_name in results["scores"].items():
            for name, found in by_name.items():
                print(f"{place}: {name:8}", ", ".join(f"{k} {v}" for k, v in found.items()))
    if parsed.output:
        parsed.output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
