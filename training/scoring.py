"""One pair's numbers: the judges are loaded once, then asked about every picture."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from training.batch import ENOUGH, mapping_on_grid, resized
from training.candidates import SUFFIXES, Flow
from training.data import PairDataset, Pairs, open_dataset
from training.datasets.drawn import SyntheticPairs
from training.fid import Gaussian, Inception, load_gaussian, save_gaussian
from training.metrics import (
    SSIM51_SIDE,
    SSIMS,
    Image,
    Mask,
    MetricsError,
    Protocol,
    blacked,
    flow_error,
    limb_mask,
    person_mask,
    psnr,
    ssim_map,
    ssim_mean,
)
from training.perceptual import Lpips
from training.pose_metrics import DETECTOR, best_pckh, joint_hits, people_on, to_json
from training.sample import Sample

METRICS: Final = ("ssim", "psnr", "lpips", "fid", "pckh", "ap", "flow")
Row = dict[str, Any]


@dataclass
class Judges:
    """The networks that an evaluation asks for; made before the first picture is.

    Args:
        protocol: how pictures are compared.
        metrics: some of ``METRICS``.
        device: of LPIPS and Inception.
        lpips_weights: a file of one's own; None: the published one.
        inception_weights: a file of one's own; None: the published one.
        detector: judges poses.

    Raises:
        MetricsError: an unknown metric, or weights that are missing: at once, not after hours.
    """

    protocol: Protocol
    metrics: tuple[str, ...] = METRICS
    device: str = "cpu"
    lpips_weights: Path | None = None
    inception_weights: Path | None = None
    detector: str = DETECTOR
    lpips: Lpips | None = field(init=False, default=None)
    inception: Inception | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        """Load."""
        for name in self.metrics:
            if name not in METRICS:
                raise MetricsError(
                    f"there is no metric {name!r:.40}: choose from {','.join(METRICS)}"
                )
        if "lpips" in self.metrics:
            self.lpips = Lpips(self.lpips_weights, self.device)
        if "fid" in self.metrics:
            self.inception = Inception(self.protocol, self.inception_weights, self.device)

    def record(self) -> dict[str, Any]:
        """JSON of which networks judged."""
        used: dict[str, Any] = {}
        if self.lpips is not None:
            used["lpips"] = self.lpips.weights.record()
        if self.inception is not None:
            used[self.protocol.fid] = self.inception.weights.record()
        if self.poses:
            used["detector"] = self.detector
        return used

    @property
    def poses(self) -> bool:
        """Whether people are looked for."""
        return bool({"pckh", "ap"} & set(self.metrics))


class Truth:
    """The real picture of a pair at the protocol's size, and what is known of it.

    Args:
        sample: the pair.
        judges: decide size and what is looked at.
        poses: look for people; None: if the judges do. (It is the slowest of all numbers.)
    """

    def __init__(self, sample: Sample, judges: Judges, *, poses: bool | None = None) -> None:
        """Bring to size; look for people if that is asked for."""
        self.judges = judges
        self.poses = judges.poses if poses is None else poses
        self.picture = judges.protocol.fit(sample.target_image)
        self.size = self.picture.shape[0], self.picture.shape[1]
        self.sample = resized(sample, self.size)
        self.pose = self.sample.target_pose
        self.mask, self.mask_from = person_mask(self.pose, self.sample.target_alpha, self.size)
        self.people = people_on(self.picture, judges.detector) if self.poses else []

    def score(self, picture: Image, flow: Flow | None = None) -> Row:
        """All numbers of one answer: {"numbers": {"region/metric": value or None}, ...}.

        Args:
            picture: uint8 (H, W, 3) of any size.
            flow: the mapping (2, h, w) behind it, in cells, where there is one.
        """
        fitted = self.judges.protocol.fit(picture, self.size)
        numbers = self._compare(fitted, self.picture, {"whole": None, "person": self.mask})
        if self.judges.protocol.masked:
            limbs = limb_mask(self.pose, self.size)
            both = blacked(fitted, limbs), blacked(self.picture, limbs)
            numbers |= self._compare(*both, {"ma-mask": None})
        row: Row = {"mask_from": self.mask_from}
        if self.poses:
            found = people_on(fitted, self.judges.detector)
            row |= {"people": to_json(found), "people_real": to_json(self.people)}
            row |= {
                "hits": joint_hits(found, self.pose),
                "hits_real": joint_hits(self.people, self.pose),
            }
            numbers["pose/pckh"] = best_pckh(found, self.pose)
            numbers["pose/pckh_real"] = best_pckh(self.people, self.pose)
        if flow is not None and "flow" in self.judges.metrics:
            numbers |= self._flow(flow)
        row["numbers"] = {
            name: value if math.isfinite(value) else None for name, value in numbers.items()
        }
        return row

    def _compare(
        self, picture: Image, truth: Image, regions: Mapping[str, Mask | None]
    ) -> dict[str, float]:
        metrics, numbers = self.judges.metrics, {}
        for name in SSIMS if "ssim" in metrics else ():
            if name != "ssim51" or min(self.size) >= SSIM51_SIDE:
                full = ssim_map(name, picture, truth)
                for region, mask in regions.items():
                    numbers[f"{region}/{name}"] = ssim_mean(name, full, mask)
        for region, mask in regions.items():
            if "psnr" in metrics:
                numbers[f"{region}/psnr"] = psnr(picture, truth, mask)
            if self.judges.lpips is not None:
                numbers[f"{region}/lpips"] = self.judges.lpips(picture, truth, mask)
        return numbers

    def _flow(self, found: Flow) -> dict[str, float]:
        sample = self.sample
        if sample.mapping is None or sample.seen is None:
            return {}
        grid = (found.shape[1], found.shape[2])
        truth, share = mapping_on_grid(sample.mapping, sample.seen, grid)
        cells, pixels = flow_error(found, truth, share >= ENOUGH, self.size)
        return {"flow/cells": cells, "flow/px": pixels}


def real_gaussian(inception: Inception, pairs: Pairs, cache: Path) -> Gaussian:
    """Statistics of the protocol's real pictures; from the cache if it is of the very same ones.

    Raises:
        MetricsError: there are none.
    """
    protocol, real = inception.protocol, inception.protocol.real
    names: Sequence[str]
    if real in ("train", "test") and not isinstance(pairs, PairDataset):
        known_pairs = _of_split(pairs, real)
        names = list(dict.fromkeys(known_pairs[n].target_name for n in range(len(known_pairs))))
        pictures = _distinct(known_pairs)
    else:
        paths = _paths(real, pairs)
        names = [path.name for path in paths]
        pictures = (_read(path) for path in paths)
    if not names:
        raise MetricsError(f"the real set {real!r} of the FID has no pictures: see --fid-real")
    size = None if protocol.size else pairs[0].size
    text = "\n".join((protocol.text, inception.weights.sha256, str(size), *names))
    key = hashlib.sha256(text.encode()).hexdigest()
    known = load_gaussian(cache, key)
    if known is None:
        known = inception.gaussian(protocol.fit(picture, size) for picture in pictures)
        save_gaussian(known, cache, key)
    return known


def _of_split(pairs: Pairs, split: str) -> Pairs:
    """Pairs that are no prepared folder: drawn ones have two splits, held-out ones only theirs."""
    if isinstance(pairs, SyntheticPairs):
        return open_dataset("drawn", split=split, size=pairs[0].size)
    if split == "test":
        return pairs
    raise MetricsError("the real set of these pairs' FID is test or a folder: see --fid-real")


def _paths(real: str, pairs: Pairs) -> list[Path]:
    if isinstance(pairs, PairDataset) and real in ("train", "test"):
        return sorted(pairs.picture_paths(real))
    folder = Path(real)
    if not folder.is_dir():
        raise MetricsError(f"the real set of the FID is train, test or a folder, not {real!r}")
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def _distinct(pairs: Pairs) -> Iterator[Image]:
    seen: set[str] = set()
    for number in range(len(pairs)):
        sample = pairs[number]
        if sample.target_name not in seen:
            seen.add(sample.target_name)
            yield sample.target_image


def _read(path: Path) -> Image:
    try:
        with Pillow.open(path, formats=("PNG", "JPEG")) as image:
            return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise MetricsError(f"{path} of the FID's real set cannot be read: {error}") from error
