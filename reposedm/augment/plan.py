"""The plan: every picture that will be made, decided before the first one.

A picture is one line of ``plan.jsonl``: its name, source, pose, seed and batch. Batches of eight
are part of the plan, so that whoever makes a batch, on whatever machine and after whatever
interruption, computes the same thing. Pictures of one source are neighbours: what does not depend
on the wanted pose is computed once for them.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from reposedm.augment.naming import Shot
from reposedm.augment.poses import is_complete
from reposedm.errors import ArchiveError, PoseError, SettingsError
from reposedm.imaging.archive import open_collection
from reposedm.pose import Pose, hide_outside, preset, preset_names, read_pose_file, retarget

BATCH: Final = 8
"""Pictures in a batch; part of every plan, and not a setting."""

SET: Final = "set"
SAME: Final = "same"
PRESETS: Final = "presets"
SOURCES: Final[Mapping[str, str]] = {
    SET: "the other pictures of the set",
    SAME: "other pictures of the same identity",
    PRESETS: "the pose library",
}
"""Where target poses can come from, beside a file of poses."""

MAX_FILE_POSES: Final = 5000


@dataclass(frozen=True)
class Wish:
    """One picture to make.

    Attributes:
        number: its place in the plan.
        batch: the batch it belongs to.
        name: of its file.
        identity: whose picture, as the set calls them.
        camera: of the source.
        source: key of the picture it is made from.
        pose: "image:KEY", "preset:NAME" or "file:KEY#PERSON".
        seed: of its noise, 0 .. 2^32 - 1.
    """

    number: int
    batch: int
    name: str
    identity: str
    camera: int
    source: str
    pose: str
    seed: int


@dataclass(frozen=True)
class PosePool:
    """The poses that can be asked for.

    Attributes:
        origin: a key of ``SOURCES``, or "file".
        poses: by name, as in ``Wish.pose``; presets have none of their own.
        skipped: names of files that were no poses, and why.
    """

    origin: str
    poses: Mapping[str, Pose | None]
    skipped: tuple[tuple[str, str], ...] = ()

    def on(self, name: str, body: Pose) -> Pose:
        """A pose on a body's own picture, with the body's bone lengths and place (C-34).

        Joints that come to lie outside the picture are hidden.
        """
        kind, _, rest = name.partition(":")
        if kind == "preset":
            return hide_outside(preset(rest, body, body.size))
        pose = self.poses[name]
        if pose is None:
            raise PoseError(f"there is no pose {name!r:.80} in this plan")
        return hide_outside(retarget(pose, body))

    @property
    def fingerprint(self) -> str:
        """Changes when a pose does."""
        digest = hashlib.sha256()
        for name, pose in self.poses.items():
            digest.update(name.encode())
            if pose is not None:
                digest.update(pose.points.tobytes() + pose.state.tobytes())
        return digest.hexdigest()[:16]


def pool_of(origin: str | Path, found: Mapping[str, Pose]) -> PosePool:
    """The poses of an origin.

    Args:
        origin: a key of ``SOURCES``, or a file of poses: JSON, or a zip or folder of them.
        found: the pose on every picture of the set that has one, by key.

    Raises:
        RePoseError: there is no such file, or no pose in it.
    """
    if origin in (SET, SAME):
        return PosePool(str(origin), {f"image:{key}": pose for key, pose in found.items()})
    if origin == PRESETS:
        return PosePool(PRESETS, {f"preset:{name}": None for name in preset_names()})
    return _from_files(Path(origin))


def make_plan(
    shots: Sequence[Shot],
    pool: PosePool,
    *,
    per_identity: int | Mapping[str, int],
    seed: int,
    limit: int | None = None,
) -> list[Wish]:
    """Decide every picture.

    The pictures of an identity take turns as sources, in a drawn order; poses are drawn from the
    pool, none twice before all were used, and never the source's own. What is drawn for an identity
    depends on the seed and on its name alone, given the same pool.

    Args:
        shots: the sources: pictures with a complete pose.
        pool: the poses.
        per_identity: new pictures for each identity; or for each by name, 0 if it is not named.
        seed: of all draws.
        limit: at most so many pictures in all; the first ones.

    Raises:
        SettingsError: nothing could be made.
    """
    by_identity: dict[str, list[Shot]] = {}
    for shot in sorted(shots, key=lambda one: (one.pid, one.key)):
        by_identity.setdefault(f"{shot.pid}/{shot.identity}", []).append(shot)
    made: list[tuple[Shot, str]] = []
    for label, own in by_identity.items():
        identity = own[0].identity
        count = per_identity if isinstance(per_identity, int) else per_identity.get(identity, 0)
        made += _of_identity(own, pool, count, _generator(seed, label))
        if limit is not None and len(made) >= limit:
            break
    if not made:
        raise SettingsError(_NOTHING.get(pool.origin, "There is nothing to make."))
    numbers: Counter[str] = Counter()
    wishes = []
    for number, (shot, pose) in enumerate(made[:limit]):
        numbers[shot.stem] += 1
        name = f"{shot.stem}_g{numbers[shot.stem]}.png"
        lot = f"{seed}\0{shot.key}\0{pose}\0{numbers[shot.stem]}"
        wishes.append(
            Wish(
                number, number // BATCH, name, shot.identity, shot.camera, shot.key, pose,
                int.from_bytes(hashlib.sha256(lot.encode()).digest()[:4], "big"),
            )
        )  # fmt: skip
    return wishes


def to_lines(plan: Sequence[Wish]) -> bytes:
    """The plan as JSON lines."""
    lines = [json.dumps(asdict(wish), ensure_ascii=False, sort_keys=True) for wish in plan]
    return ("\n".join(lines) + "\n").encode()


def from_lines(data: bytes) -> list[Wish]:
    """``to_lines``, read back.

    Raises:
        SettingsError: it is damaged.
    """
    try:
        return [Wish(**json.loads(line)) for line in data.decode().splitlines()]
    except (ValueError, TypeError) as error:
        raise SettingsError("plan.jsonl is damaged: start again in another folder") from error


def batches_of(plan: Sequence[Wish]) -> list[list[Wish]]:
    """The plan in its batches."""
    found: dict[int, list[Wish]] = {}
    for wish in plan:
        found.setdefault(wish.batch, []).append(wish)
    return list(found.values())


_NOTHING: Final = {
    SAME: "No identity has two pictures with a whole person: take the poses from the set.",
    SET: "There is only one picture with a whole person: take the poses from the library.",
}


def _of_identity(
    own: Sequence[Shot], pool: PosePool, count: int, rng: np.random.Generator
) -> list[tuple[Shot, str]]:
    """(source, pose) of each new picture of an identity, sources together."""
    names = list(pool.poses)
    if pool.origin == SAME:
        names = [f"image:{shot.key}" for shot in own]
    if not names or count <= 0:
        return []
    order = rng.permutation(len(own))
    chosen: list[tuple[int, str]] = []
    line: list[str] = []
    for turn in range(count):
        place = int(order[turn % len(own)])
        itself = f"image:{own[place].key}"
        if not any(name != itself for name in line):
            line += [names[at] for at in rng.permutation(len(names))]
        pick = next((at for at, name in enumerate(line) if name != itself), None)
        if pick is None:
            return []  # the one pose there is, is the source's own
        chosen.append((place, line.pop(pick)))
    return [(own[place], pose) for place, pose in sorted(chosen, key=lambda one: one[0])]


def _generator(seed: int, label: str) -> np.random.Generator:
    digest = hashlib.sha256(label.encode()).digest()
    return np.random.default_rng((seed, int.from_bytes(digest[:8], "big")))


def _from_files(path: Path) -> PosePool:
    """The poses of a JSON file, or of the JSON files in a zip or folder."""
    poses: dict[str, Pose | None] = {}
    skipped: list[tuple[str, str]] = []
    if path.suffix.lower() == ".json":
        _add(poses, skipped, path.name, path)
    else:
        with open_collection(path) as files:
            for member in files.members:
                if member.ending != ".json":
                    skipped.append((member.name, "not a file of poses (JSON)"))
                    continue
                try:
                    data = files.read(member)
                except ArchiveError as error:
                    skipped.append((member.name, str(error)))
                    continue
                _add(poses, skipped, member.key, data)
                if len(poses) > MAX_FILE_POSES:
                    raise PoseError(f"{path}: more than {MAX_FILE_POSES} poses are too many")
    if not poses:
        why = f": {skipped[0][0]}: {skipped[0][1]}" if skipped else ""
        raise PoseError(f"{path!s:.200} holds no pose that can be used{why}")
    return PosePool("file", poses, tuple(skipped))


def _add(
    poses: dict[str, Pose | None],
    skipped: list[tuple[str, str]],
    name: str,
    source: Path | bytes,
) -> None:
    try:
        people: list[Any] = list(read_pose_file(source))
    except PoseError as error:
        skipped.append((name, str(error)))
        return
    for index, pose in enumerate(people):
        if is_complete(pose):
            poses[f"file:{name}#{index}"] = pose.replace(extras={})
        else:
            skipped.append((name, "shoulders or hips are not seen"))
