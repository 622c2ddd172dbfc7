"""Synthetic people as pairs: rendered on the fly, or read from a rendered folder.

The pictures of one identity are pairs of source and target with exact correspondence and alpha.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from reposedm.errors import SettingsError
from reposedm.pose import Pose
from training.sample import DataError, Sample

HELD_OUT: Final = 10_000_000
"""Seeds of the test split: no identity is in both."""
STRIDE: Final = 4
"""Pixels of the picture per cell of a mapping that is found from stored maps."""
KEPT: Final = 2 << 30
"""Bytes of decoded pictures that a process keeps: decoding is most of the cost of a pair."""


class RenderedPairs:
    """Pairs that are rendered when they are asked for, from seed and number alone.

    Nothing but the asset pack is needed. Identity ``index // pairs``; its ``pairs`` samples are
    ordered pairs of ``views`` pictures, and are rendered together: whoever asks for them one
    after the other gets them at the price of one.

    Args:
        assets: the pack's folder; "": from the environment.
        identities: people.
        views: pictures of each.
        size: (H, W).
        split: "train" or "test".
        mode: "studio", "wild", "mixed" or "surveillance".
        photographic: 0 as rendered, 1 as photographs are.
        seed: two seeds share no person.

    Raises:
        SettingsError: a number is too small.
        DataError: there is no asset pack.
    """

    def __init__(
        self,
        assets: str | Path = "",
        identities: int = 100_000,
        views: int = 3,
        size: tuple[int, int] = (256, 176),
        *,
        split: str = "train",
        mode: str = "mixed",
        photographic: float = 1.0,
        seed: int = 0,
    ) -> None:
        """Find the pack; nothing is rendered."""
        from training.synthetic.assets import find_pack

        if identities < 1 or views < 2 or min(size) < 32 or split not in ("train", "test"):
            raise SettingsError(
                "rendered pairs need at least 1 identity, 2 views, 32 pixels and the split train "
                f"or test, not {identities}, {views}, {size[0]} x {size[1]} and {split!r}"
            )
        self.assets = str(find_pack(assets))
        self.identities, self.views, self.size = identities, views, (size[0], size[1])
        self.mode, self.photographic = mode, photographic
        self.seed = seed * 2 * HELD_OUT + (HELD_OUT if split == "test" else 0)
        self.pairs = views * (views - 1)

    def __len__(self) -> int:
        """The number of ordered pairs."""
        return self.identities * self.pairs

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number, 0 to len - 1.

        Raises:
            IndexError: there is no such pair.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} rendered pairs, no number {index}")
        person, pair = divmod(index, self.pairs)
        first, second = divmod(pair, self.views - 1)
        second += second >= first
        session = _session(self.assets, self.seed + person, self.views, self.size, self.mode)
        return self._sample(session, person, first, second)

    def _sample(self, session: Any, person: int, first: int, second: int) -> Sample:
        from training.synthetic.correspondence import exact_flow, mapping

        source, target = session.views[first], session.views[second]
        offsets, seen = mapping(*exact_flow(session.person, source, target))
        (left, left_alpha), (right, right_alpha) = (
            self._photograph(view, person, number)
            for view, number in ((source, first), (target, second))
        )
        name = f"synthetic-{self.seed + person:08d}"
        return Sample(
            left, right, source.pose, target.pose, f"{name}-{first}", f"{name}-{second}", name,
            mapping=offsets, seen=seen, source_alpha=left_alpha, target_alpha=right_alpha,
        )  # fmt: skip

    def _photograph(
        self, view: Any, person: int, number: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """The picture as a camera takes it. All of one person share the camera, so that a target
        has the light and colours that its source lets expect; noise and file are their own."""
        if self.photographic <= 0 or self.mode == "surveillance":
            return view.image, view.alpha
        from dataclasses import replace

        from training.synthetic.photographic import photograph, sample_film

        rng = np.random.default_rng((self.seed + person, 14))
        film = sample_film(rng, self.photographic, self.size[1])
        image, alpha = photograph(replace(film, seed=film.seed + number), view.image, view.alpha)
        return image, view.alpha if alpha is None else alpha


@lru_cache(maxsize=4)
def _session(assets: str, seed: int, views: int, size: tuple[int, int], mode: str) -> Any:
    import cv2

    from training.synthetic.assets import load_assets
    from training.synthetic.surveillance import render_surveillance
    from training.synthetic.views import render_session

    cv2.setNumThreads(1)  # a worker process is one of many
    pack = load_assets(assets)
    if mode == "surveillance":
        return render_surveillance(pack, seed, views, size)[0]
    wild = mode == "wild" or (mode == "mixed" and seed % 2 == 1)
    return render_session(pack, seed, views, size, style="wild" if wild else "studio")


class SyntheticFolder:
    """Pairs of a folder that ``python -m training.synthetic render`` wrote.

    Args:
        root: the folder.
        split: "train": all but the last tenth of the identities; "test": those; "all".
        size: (H, W) of the samples; None: as rendered.

    Raises:
        DataError: the folder is not a rendered one.
    """

    def __init__(
        self, root: str | Path, split: str = "train", size: tuple[int, int] | None = None
    ) -> None:
        """Read the index; no picture is opened."""
        self.root, self.split = Path(root), split
        try:
            meta = json.loads((self.root / "meta.json").read_text("utf-8"))
            lines = (self.root / "index.jsonl").read_text("utf-8").splitlines()
            self.rendered: tuple[int, int] = (int(meta["size"][0]), int(meta["size"][1]))
            self.boxes = np.array(meta["part_box"], np.float32)
            records = sorted((json.loads(line) for line in lines), key=lambda r: int(r["id"]))
        except (OSError, KeyError, ValueError, TypeError) as error:
            raise DataError(
                f"{root} is not a folder of rendered people ({error}): make one with "
                "python -m training.synthetic render"
            ) from error
        count = len(records)
        cut = count - max(1, count // 10) if count > 1 else count
        parts = {"train": records[:cut], "test": records[cut:], "all": records}
        self.records = parts[split]
        if not self.records:
            raise DataError(f"{root} has no identities for the split {split}")
        self.size = size or self.rendered
        self._decoded: dict[tuple[int, int], dict[str, NDArray[np.uint8]]] = {}
        self._room = KEPT
        self._pairs = [
            (record, first, second)
            for record in range(len(self.records))
            for first in range(len(self.records[record]["views"]))
            for second in range(len(self.records[record]["views"]))
            if first != second
        ]

    def __len__(self) -> int:
        """The number of ordered pairs."""
        return len(self._pairs)

    def __getitem__(self, index: int) -> Sample:
        """The pair of that number.

        Raises:
            IndexError: there is no such pair.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"there are {len(self)} pairs, no number {index}")
        from training.batch import resized
        from training.synthetic.correspondence import STEP, canonical_flow, mapping
        from training.synthetic.maps import decode

        number, first, second = self._pairs[index]
        record = self.records[number]
        source, target = (self._view(record, view) for view in (first, second))
        sides = []
        for view in (source, target):
            _, places = decode(view["iuv"], self.boxes)
            sides.append((view["seg"], places))
        offsets, seen = mapping(*canonical_flow(sides[0], sides[1], STEP * STRIDE))
        name = f"synthetic-{record['id']:06d}"
        sample = Sample(
            source["image"], target["image"], source["pose"], target["pose"],
            f"{name}-{first}", f"{name}-{second}", name, mapping=offsets, seen=seen,
            source_alpha=source["alpha"], target_alpha=target["alpha"],
        )  # fmt: skip
        return resized(sample, self.size)

    def _view(self, record: dict[str, Any], number: int) -> dict[str, Any]:
        """A picture of a person, decoded once per process while there is room in memory."""
        key = (int(record["id"]), number)
        if key not in self._decoded:
            views = self._strip(record)
            if self._room < sum(array.nbytes for view in views for array in view.values()):
                self._decoded.clear()
                self._room = KEPT
            for place, view in enumerate(views):
                self._decoded[int(record["id"]), place] = view
                self._room -= sum(array.nbytes for array in view.values())
        joints = np.array(record["views"][number]["kp"], np.float32)
        state = joints[:, 2].astype(np.uint8)
        height, width = self.rendered
        pose = Pose(joints[:, :2], np.ones(18, np.float32), state, (width, height))
        return {**self._decoded[key], "pose": pose}

    def _strip(self, record: dict[str, Any]) -> list[dict[str, NDArray[np.uint8]]]:
        """All pictures of a person; labels and canonical maps thinned to a cell of ``STRIDE``."""
        height, width = self.rendered
        count = len(record["views"])
        base = self.root / record["file"]
        inner = slice(STRIDE // 2, None, STRIDE)
        views: list[dict[str, NDArray[np.uint8]]] = [{} for _ in range(count)]
        for key, suffix in (
            ("image", ".jpg"), ("alpha", "_alpha.png"), ("seg", "_seg.png"), ("iuv", "_iuv.png")
        ):  # fmt: skip
            with Image.open(f"{base}{suffix}") as picture:
                pixels = np.asarray(picture)
            if pixels.shape[0] != height or pixels.shape[1] < count * width:
                raise DataError(f"{base}{suffix} is too small for {count} views")
            for number, view in enumerate(views):
                own = pixels[:, number * width : (number + 1) * width]
                view[key] = np.ascontiguousarray(
                    own if key in ("image", "alpha") else own[inner, inner]
                )
        return views
