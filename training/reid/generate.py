"""The pictures that are added: a method's, the renderer's own, or those of a folder.

A picture is written as ``{source}_g{k}.png``, as ``python -m reposedm augment`` names them, with
``manifest.csv`` beside them: which source, whose pose, which seed. Each is a function of its line
alone; one that is there already is not made again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import ImageError, PoseError
from reposedm.imaging import Frame, mask_box, paste_back, png_bytes
from reposedm.imaging.fill import fill_background
from reposedm.jobs.puppets import warped_person
from reposedm.jobs.repose import generators
from reposedm.jobs.texturing import with_texture
from reposedm.pipelines.base import Method, drain
from reposedm.pipelines.loading import load_method
from reposedm.pipelines.preview import PreviewEngine
from reposedm.pipelines.puppet.silhouette import guess_mask
from reposedm.pose import Pose, hide_outside, retarget
from reposedm.pose.skeleton import L_HIP, L_SHOULDER, R_HIP, R_SHOULDER
from training.datasets import lists
from training.datasets.market import HEIGHT, WIDTH
from training.datasets.records import body
from training.files import write_atomically
from training.reid.market import SIZE, Market, Shot, pixels_of, read_generated
from training.reid.plan import Draw
from training.reid.render import MASKS, POSES, developed, pose_of, read_poses
from training.reid.street import Shown
from training.sample import DataError

Image = NDArray[np.uint8]
MANIFEST: Final = "manifest.csv"
FEATHER: Final = 4
"""Pixels around both silhouettes that fade into the old picture; the pictures are 64 wide."""
_NEEDED: Final = (R_SHOULDER, L_SHOULDER, R_HIP, L_HIP)
_ORACLE: Final = "oracle"


@dataclass
class Poses:
    """What is known of the set's training pictures, and where from.

    Attributes:
        origin: the file.
        records: of ``poses.json``; {} of a real set.
        poses: on each picture, by name.
    """

    origin: str
    records: dict[str, dict[str, Any]]
    poses: dict[str, Pose]

    @property
    def usable(self) -> set[str]:
        """Names of pictures with shoulders and hips: those that can be source and target."""
        return {name for name, pose in self.poses.items() if pose.drawn[list(_NEEDED)].all()}


def known_poses(market: Market) -> Poses:
    """The poses that lie beside a set: ours, or the published annotation file of Market-1501.

    Raises:
        DataError: there are none.
    """
    if (market.root / POSES).is_file():
        records = read_poses(market.root)
        here = {shot.name: records[shot.name] for shot in market.train if shot.name in records}
        return Poses(POSES, here, {name: pose_of(record) for name, record in here.items()})
    file = market.root / "market-annotation-train.csv"
    if file.is_file():
        found = {}
        for name, points in lists.read_annotation_csv(file, lambda line: None):
            found[Path(name).stem] = body(points, WIDTH, HEIGHT).on(SIZE)
        return Poses(file.name, {}, found)
    raise DataError(
        f"no poses are known: {market.root} holds neither {POSES} nor {file.name}. Make the "
        "pictures with: python -m reposedm augment, and name its folder with --generated"
    )


@dataclass
class Generator:
    """Makes the pictures of one method.

    Args:
        method: a name of ``reposedm.pipelines.loading.METHODS``, or "oracle".
        market: the set.
        known: its poses.
        fit: see ``config.ProtocolConfig``.
        assets: of the renderer, for the oracle.
        tell: gets a line now and then.
    """

    method: str
    market: Market
    known: Poses
    fit: str = "body"
    assets: str = ""
    tell: Callable[[str], None] = lambda text: None
    _behind: dict[str, Image] = field(default_factory=dict)
    _loaded: Method | None = None

    def make(
        self, wanted: Sequence[Draw], folder: Path, interrupted: Callable[[], bool]
    ) -> tuple[Shot, ...] | None:
        """Make what is missing in a folder; the pictures, or None if it was interrupted.

        Raises:
            RePoseError: the method cannot run.
        """
        folder.mkdir(parents=True, exist_ok=True)
        failed: dict[str, str] = {}
        missing = [draw for draw in wanted if not (folder / f"{draw.name}.png").is_file()]
        by_source: dict[str, list[Draw]] = {}
        for draw in missing:
            by_source.setdefault(draw.source.name, []).append(draw)
        if missing and self.method != _ORACLE and self._loaded is None:
            self._loaded = load_method(self.method)
        done = 0
        for of_source in by_source.values():
            if interrupted():
                return None
            made = self._rendered(of_source) if self.method == _ORACLE else self._made(of_source)
            for draw, image in zip(of_source, made, strict=True):
                if isinstance(image, str):
                    failed[draw.name] = image
                    continue
                write_atomically(folder / f"{draw.name}.png", png_bytes(image), durable=False)
            before, done = done, done + len(of_source)
            if before // 100 != done // 100:
                self.tell(f"{done} of {len(missing)} pictures by {self.method}")
        write_atomically(folder / MANIFEST, _manifest(wanted, self.method, failed))
        there = {shot.name: shot for shot in read_generated(folder)}
        return tuple(there[draw.name] for draw in wanted if draw.name in there)

    def target(self, draw: Draw) -> Pose:
        """The donor's pose on the source's picture."""
        pose, on = self.known.poses[draw.donor.name], self.known.poses[draw.source.name]
        return hide_outside(retarget(pose, on) if self.fit == "body" else pose)

    def _made(self, of_source: Sequence[Draw]) -> list[Image | str]:
        """The pictures of one source by the method, or why there is none."""
        source = of_source[0].source
        assert self._loaded is not None  # for the type checker
        try:
            photo = pixels_of([source])[0]
            pose = self.known.poses[source.name]
            mask = self._mask(source, photo)
            if source.name not in self._behind:
                self._behind[source.name] = fill_background(photo, mask)
            layers = _Layers(self._loaded, photo, pose, mask)
        except (PoseError, ImageError) as error:
            return [str(error)] * len(of_source)
        found: list[Image | str] = []
        for draw in of_source:
            try:
                frame, layer = layers.make(self.target(draw), draw.seed)
            except (PoseError, ImageError) as error:
                found.append(str(error))
                continue
            behind = self._behind[source.name]
            found.append(paste_back(photo, behind, frame, layer, mask, feather=FEATHER))
        return found

    def _mask(self, source: Shot, photo: Image) -> NDArray[np.float32]:
        """The person's alpha: the renderer's where there is one, else guessed from the joints."""
        file = self.market.root / MASKS / f"{source.name}.png"
        if file.is_file():
            stored = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            if stored is None or stored.shape != photo.shape[:2]:
                raise DataError(f"{file} is no mask of its picture: render the set again")
            return np.asarray(stored, np.float32) / 255
        return guess_mask(photo, self.known.poses[source.name])

    def _rendered(self, of_source: Sequence[Draw]) -> list[Image | str]:
        """The same person rendered in the donors' postures and turns, by the source's camera.

        Raises:
            DataError: the set was not rendered.
        """
        from training.synthetic.assets import find_pack, load_assets
        from training.synthetic.person import make_person
        from training.synthetic.photographic import photograph
        from training.synthetic.surveillance import posts
        from training.synthetic.views import sample_view

        if not self.known.records:
            raise DataError("the oracle needs a rendered set: python -m training.reid render")
        cv2.setNumThreads(1)
        pack = load_assets(str(find_pack(self.assets)))
        record = self.known.records[of_source[0].source.name]
        person, camera = make_person(pack, record["person"]), record["camera"] - 1
        station, found = posts()[camera], []
        for draw in of_source:
            donor = self.known.records[draw.donor.name]
            view = sample_view(
                pack, _drawing_like(person, donor["person"]), station.scene, donor["view"], SIZE,
                full_body=True, viewpoint=station.viewpoint,
            )  # fmt: skip
            image, _ = photograph(replace(station.film, seed=draw.seed % (1 << 30)), view.image)
            shown = developed(
                Shown(image, view.alpha, view.pose), record["person"], camera, draw.seed
            )
            found.append(shown.image)
        return list(found)


def _drawing_like(person: Any, seed: int) -> Any:
    """The person with another's draws of posture, turn and framing: they depend on this seed."""
    return replace(person, seed=seed)


class _Layers:
    """The person of one picture in other poses; what does not depend on the pose is done once."""

    def __init__(self, method: Method, photo: Image, pose: Pose, mask: NDArray[np.float32]) -> None:
        self.method, self.photo, self.pose, self.mask = method, photo, pose, mask
        self.size = (photo.shape[1], photo.shape[0])
        self.puppet = (
            method.prepare(photo, pose, mask) if isinstance(method, PreviewEngine) else None
        )

    def make(self, target: Pose, seed: int) -> tuple[Frame, Image]:
        """RGBA, and where on the picture it lies."""
        if self.puppet is not None:
            whole = Frame((0, 0, *self.size), self.size, self.size)
            return whole, self.puppet.warp(target)
        able = self.method.capabilities
        frame = Frame.around(
            self.pose, target, self.size, mask_box=mask_box(self.mask),
            native_size=able.native_size,
        )  # fmt: skip
        output = drain(
            self.method.stream(
                frame.crop(self.photo),
                frame.to_frame(self.pose),
                frame.to_frame(target),
                source_mask=frame.crop_mask(self.mask),
                generators=generators([seed]) if able.stochastic else None,
            )
        )
        layer, frame = with_texture(
            self.photo, self.mask, self.pose, target, frame, output.images[0],
            found=output.correspondence,
            warped=warped_person(self.photo, self.pose, target, self.mask),
        )  # fmt: skip
        return frame, layer


def from_folder(folder: Path, train: Sequence[Shot], chosen: Sequence[Shot]) -> tuple[Shot, ...]:
    """Pictures of ``python -m reposedm augment`` that a fraction may use, in the names' order.

    Only pictures made from kept ones are taken, and at most as many of an identity as it lacks.

    Raises:
        DataError: there are none.
    """
    own = {shot.source for shot in chosen}
    lacking: dict[int, int] = {}
    for shot in train:
        lacking[shot.person] = lacking.get(shot.person, 0) + 1
    for shot in chosen:
        lacking[shot.person] -= 1
    # g1 of every source before g2 of any: an identity's pictures come from all its sources.
    offered = sorted(read_generated(folder), key=lambda shot: (shot.made, shot.name))
    taken = []
    for shot in offered:
        if shot.source in own and lacking.get(shot.person, 0) > 0:
            lacking[shot.person] -= 1
            taken.append(shot)
    if not taken:
        raise DataError(f"{folder} holds no picture made from the kept ones, such as "
                        f"{chosen[0].source}_g1.png")  # fmt: skip
    return tuple(sorted(taken))


def _manifest(wanted: Sequence[Draw], method: str, failed: dict[str, str]) -> bytes:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("name", "source", "donor", "seed", "method", "not_made"))
    for draw in wanted:
        rows.writerow((f"{draw.name}.png", draw.source.name, draw.donor.name, draw.seed, method,
                       failed.get(draw.name, "")))  # fmt: skip
    return text.getvalue().encode()
