"""Data sets in folders: strips of pictures, labels, alphas, canonical maps, and an index."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import SettingsError
from reposedm.garments.joints import LANDMARKS
from reposedm.pose.skeleton import JOINTS
from training.synthetic.assets import Assets, load_assets
from training.synthetic.labels import PARTS, SEGMENTS
from training.synthetic.maps import encode
from training.synthetic.outfit import Outfit
from training.synthetic.person import make_person
from training.synthetic.photographic import photograph, sample_film
from training.synthetic.product import GARMENTS, render_product
from training.synthetic.surveillance import render_surveillance
from training.synthetic.views import Session, View, render_again, render_session

FORMAT: Final = 1
SEED_STEP: Final = 1000003
"""Identities of two seeds of a data set never meet."""
PER_FOLDER: Final = 1000
_SURVEILLED: Final = 128
"""Pixels of width at which pictures of surveillance are as soft as others of that width."""
MODES: Final = ("studio", "wild", "mixed", "surveillance")


@dataclass(frozen=True)
class Plan:
    """What is rendered.

    Attributes:
        out: the folder.
        assets: the pack's folder.
        identities: people.
        poses: pictures of each.
        size: (H, W).
        seed: two seeds share no person.
        mode: of ``MODES``.
        outfits: in how many outfits each picture is rendered.
        products: garments alone as well.
        photographic: 0 as rendered, 1 as photographs are.
        one_camera: all pictures of a person by one camera, so that one lets expect the colours of
            another; noise and file are each one's own. Otherwise each has a camera of its own.
        samples: along each side of a pixel.
        full_body: never cut at knee, thigh or waist.
        quality: of JPEG.
        workers: processes; 0: in this one.

    Raises:
        SettingsError: a number is not possible.
    """

    out: str
    assets: str
    identities: int = 10
    poses: int = 6
    size: tuple[int, int] = (256, 176)
    seed: int = 0
    mode: str = "studio"
    outfits: int = 1
    products: bool = False
    photographic: float = 0.0
    samples: int = 2
    full_body: bool = False
    quality: int = 92
    workers: int = 2
    one_camera: bool = False

    def __post_init__(self) -> None:
        """Check."""
        counts = (self.identities, self.poses, self.outfits, self.samples)
        if min(counts) < 1 or min(self.size) < 32 or self.seed < 0 or self.workers < 0:
            raise SettingsError(
                "rendering needs at least 1 identity, pose, outfit and sample, 32 pixels and a "
                f"seed from 0, not {counts}, {self.size[0]}x{self.size[1]} and {self.seed}"
            )
        if self.mode not in MODES:
            raise SettingsError(f"there is no mode {self.mode!r}: choose one of {', '.join(MODES)}")


def render_dataset(plan: Plan, max_seconds: float = 0.0) -> Iterator[dict[str, Any]]:
    """Render; yields each identity's index line when it is written, in their order.

    Files and index do not depend on the number of workers.
    """
    out = Path(plan.out)
    out.mkdir(parents=True, exist_ok=True)
    write_meta(plan, load_assets(plan.assets), out)
    jobs = [(plan, number) for number in range(plan.identities)]
    started = time.monotonic()
    with (out / "index.jsonl").open("w", encoding="utf-8") as index:
        for record in _mapped(jobs, plan.workers):
            index.write(json.dumps(record) + "\n")
            index.flush()
            yield record
            if max_seconds and time.monotonic() - started > max_seconds:
                return


def _mapped(jobs: list[tuple[Plan, int]], workers: int) -> Iterator[dict[str, Any]]:
    if workers == 0:
        yield from map(render_identity, jobs)
        return
    import multiprocessing

    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(render_identity, jobs)


def write_meta(plan: Plan, assets: Assets, out: Path) -> None:
    """``meta.json``: names, boxes of canonical maps, how files are to be read."""
    boxes = make_person(assets, 0).boxes
    settings = {k: v for k, v in asdict(plan).items() if k not in ("out", "assets", "workers")}
    meta = {
        "format": FORMAT, "kind": "synthetic", "joints": JOINTS, "parts": PARTS,
        "segments": SEGMENTS, "landmarks": LANDMARKS, "part_box": boxes.tolist(),
        "size": plan.size, "settings": settings,
        "files": "NNN/NNNNNN: .jpg pictures, _seg.png segments, _alpha.png, _iuv.png RGBA: place "
        "in the part's box and part; strips of the views side by side; _oK: in outfit K",
        "states": "0 outside the frame, 1 behind, 2 visible; pixels, centres at +0.5",
    }  # fmt: skip
    (out / "meta.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")


def render_identity(job: tuple[Plan, int]) -> dict[str, Any]:
    """Render and write one identity; its index line."""
    plan, number = job
    cv2.setNumThreads(1)
    assets = load_assets(plan.assets)
    seed = plan.seed * SEED_STEP + number
    session, cameras = _session(plan, assets, seed)
    file = f"{number // PER_FOLDER:03d}/{number:06d}"
    base = Path(plan.out) / file
    base.parent.mkdir(parents=True, exist_ok=True)
    boxes = session.person.boxes
    write_views(base, _photographed(plan, session.views, seed), boxes, plan.quality)
    person = session.person
    for count in range(1, plan.outfits):
        other = make_person(assets, person.seed, Outfit().changed(count))
        views = [render_again(assets, other, v, samples=plan.samples) for v in session.views]
        named = base.with_name(f"{base.name}_o{count}")
        write_views(named, _photographed(plan, tuple(views), seed), boxes, plan.quality)
    record = {
        "id": number, "file": file, "seed": person.seed, "female": person.body.traits.female,
        "tone": round(person.body.traits.tone, 2), "hair": person.hair, "outfit": person.style,
        "outfits": plan.outfits, "views": [_described(view) for view in session.views],
    }  # fmt: skip
    if cameras:
        record["cameras"] = list(cameras)
    if plan.products:
        record["products"] = _write_products(plan, assets, session, base)
    return record


def _session(plan: Plan, assets: Assets, seed: int) -> tuple[Session, tuple[int, ...]]:
    if plan.mode == "surveillance":
        session, cameras = render_surveillance(
            assets, seed, plan.poses, plan.size, samples=plan.samples, one_camera=plan.one_camera
        )
        return session, () if plan.one_camera else cameras
    wild = plan.mode == "wild" or (plan.mode == "mixed" and seed % 2 == 1)
    session = render_session(
        assets, seed, plan.poses, plan.size, style="wild" if wild else "studio",
        samples=plan.samples, full_body=plan.full_body,
    )  # fmt: skip
    return session, ()


def _film_width(plan: Plan) -> int:
    """What blur is in proportion to: small pictures of surveillance are parts of large ones."""
    return _SURVEILLED if plan.mode == "surveillance" else plan.size[1]


def _photographed(plan: Plan, views: tuple[View, ...], seed: int) -> list[dict[str, Any]]:
    """The files' content of each view."""
    out = []
    for index, view in enumerate(views):
        image, alpha = view.image, view.alpha
        if plan.photographic:
            key = (seed, 13) if plan.one_camera else (seed, 13, index)
            film = sample_film(np.random.default_rng(key), plan.photographic, _film_width(plan))
            if plan.one_camera:
                film = replace(film, seed=film.seed + index)
            image, changed = photograph(film, image, alpha)
            alpha = alpha if changed is None else changed
        out.append({"image": image, "alpha": alpha, "view": view})
    return out


def write_views(
    base: Path, views: list[dict[str, Any]], boxes: NDArray[np.float32], quality: int
) -> None:
    """The strips of some views."""

    def strip(parts: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
        return np.ascontiguousarray(np.concatenate(parts, 1))

    def write(suffix: str, pixels: NDArray[np.uint8], *options: int) -> None:
        cv2.imwrite(f"{base}{suffix}", pixels, options)

    png = (cv2.IMWRITE_PNG_COMPRESSION, 6)
    pictures = strip([entry["image"] for entry in views])[..., ::-1]
    write(".jpg", np.ascontiguousarray(pictures), cv2.IMWRITE_JPEG_QUALITY, quality)
    write("_alpha.png", strip([entry["alpha"] for entry in views]), *png)
    write("_seg.png", strip([entry["view"].segment for entry in views]), *png)
    maps = strip([encode(e["view"].part, e["view"].canonical, boxes) for e in views])
    write("_iuv.png", np.ascontiguousarray(maps[..., (2, 1, 0, 3)]), *png)


def _described(view: View) -> dict[str, Any]:
    joints = [
        [round(float(x), 2), round(float(y), 2), int(state)]
        for (x, y), state in zip(view.pose.points, view.pose.state, strict=True)
    ]
    return {
        "pose": view.posture.name, "yaw": round(view.yaw, 1), "framing": view.framing,
        "kp": joints,
    }  # fmt: skip


def _write_products(
    plan: Plan, assets: Assets, session: Session, base: Path
) -> list[dict[str, Any]]:
    out = []
    for material in GARMENTS:
        product = render_product(assets, session.person, material, plan.size)
        if product is None or product.materials[0] != material:  # a dress is one garment
            continue
        name = f"{base.name}_{material.name.lower()}"
        pixels = np.dstack((product.view.image[..., ::-1], product.view.alpha))
        cv2.imwrite(str(base.with_name(name + ".png")), np.ascontiguousarray(pixels))
        marks = [
            [round(float(x), 1), round(float(y), 1), int(known)]
            for (x, y), known in zip(product.landmarks, product.known, strict=True)
        ]
        out.append({"file": f"{base.parent.name}/{name}.png", "landmarks": marks})
    return out
