"""Pose files: the one strict parser, and the writers.

Read: OpenPose JSON with 18, 25 (BODY_25), 17 (COCO) or 33 (BlazePose) body points, flat or as rows;
lists of such documents; ``width``/``height`` instead of ``canvas_*``; the older editors'
``{"width", "height", "keypoints": [[x, y], ...]}``; coordinates in 0..1; our editor's own JSON; and
the PNG map that ``save_map_png`` writes. Anything else is a ``PoseError`` that names the field.

A joint is missing (hidden) when its score is 0 or less, when it is null, when it is -1, -1, or, in
formats without scores, when it is 0, 0. Any score above 0 is visible: a detector's doubt is no
occlusion. Only our own format knows joints that are behind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from reposedm.errors import PoseError
from reposedm.pose.draw import SHORT_SIDE, draw_map
from reposedm.pose.pose import JointState, Pose
from reposedm.pose.reading import bounded, checked_extras, decode_json, number, png_text
from reposedm.pose.retarget import hide_outside
from reposedm.pose.skeleton import (
    FROM_BLAZEPOSE_33,
    FROM_BODY_25,
    FROM_COCO_17,
    L_SHOULDER,
    N_JOINTS,
    NECK,
    R_SHOULDER,
)

EDITOR_FORMAT: Final = "reposedm-pose"
EDITOR_VERSION: Final = 1
PNG_KEY: Final = "reposedm-pose"
"""Keyword of the PNG text chunk that holds the editor's JSON."""

MAX_PEOPLE: Final = 20
MAX_BYTES: Final = 256 * 1024
"""Largest JSON that is parsed."""
MAX_PNG_BYTES: Final = 25 * 1024 * 1024
CLAMP: Final = 0.2
"""A drawn joint up to this part of the side outside the canvas is moved to its edge."""

_LAYOUTS: Final[Mapping[int, Sequence[int | None]]] = {
    18: range(18),
    25: FROM_BODY_25,
    17: FROM_COCO_17,
    33: FROM_BLAZEPOSE_33,
}
_OWN_KEYS: Final = ("pose_keypoints_2d", "keypoints", "extras")

Row = tuple[float, float, float, int]
"""x, y, score, state."""
Person = tuple[str, list[Row], dict[str, Any], bool]
"""Field, 18 rows, extras, whether it is in the editor's own format."""


def parse_people(
    source: str | bytes | dict[str, Any] | list[Any], size: tuple[int, int] | None = None
) -> list[Pose]:
    """Every person of a pose file, in the file's order; an empty list if it holds nobody.

    Args:
        source: JSON text, its bytes (UTF-8 or UTF-16, with or without a byte order mark), or the
            parsed JSON.
        size: (width, height) of the photo, used where the file does not say its canvas; otherwise
            coordinates stay in the file's canvas.

    Raises:
        PoseError: it is not a pose file, or one of its values is impossible; the text names it.
    """
    if isinstance(source, str | bytes):
        document = decode_json(source, MAX_BYTES)
    else:
        document = bounded(source, MAX_BYTES)
    poses: list[Pose] = []
    if isinstance(document, list):
        for index, part in enumerate(document):
            poses += _document(part, f"[{index}].", size)
    else:
        poses += _document(document, "", size)
    if len(poses) > MAX_PEOPLE:
        raise PoseError(f"people: {len(poses)} people are too many; at most {MAX_PEOPLE} fit")
    return poses


def parse_pose(
    source: str | bytes | dict[str, Any] | list[Any],
    size: tuple[int, int] | None = None,
    person: int = 0,
) -> Pose:
    """One person of a pose file (see ``parse_people``).

    Raises:
        PoseError: as ``parse_people``, or there is no such person.
    """
    people = parse_people(source, size)
    if not people:
        raise PoseError("people: the file holds nobody; choose one with a person in it")
    if not 0 <= person < len(people):
        raise PoseError(f"people: there is no person {person}; the file holds {len(people)}")
    return people[person]


def read_pose_file(source: str | Path | bytes, size: tuple[int, int] | None = None) -> list[Pose]:
    """The people of a JSON file or of a PNG map with the pose inside, by path or by its bytes.

    Raises:
        PoseError: it cannot be read, is too large, or as ``parse_people``.
    """
    if isinstance(source, bytes):
        data = source
    else:
        try:
            with open(source, "rb") as file:
                data = file.read(MAX_PNG_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not a possible path"
            raise PoseError(f"the pose file cannot be read: {reason}") from error
    if len(data) > MAX_PNG_BYTES:
        raise PoseError(f"the pose file is larger than {MAX_PNG_BYTES >> 20} MB")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        text = png_text(data, PNG_KEY, MAX_BYTES)
        if text is None:
            raise PoseError("this PNG carries no pose; export the map from the pose editor")
        return parse_people(text, size)
    return parse_people(data, size)


def to_openpose(people: Sequence[Pose]) -> dict[str, Any]:
    """Standard OpenPose JSON: 18 triples a person, hidden = 0, 0, 0, hands and face put back.

    Raises:
        PoseError: the people are not on one canvas, or there is nobody.
    """
    width, height = canvas_of(people)
    persons = []
    for pose in people:
        flat: list[float] = []
        for (x, y), score, drawn in zip(pose.points, pose.score, pose.drawn, strict=True):
            # A joint that is shown although no detector saw it must not read back as missing.
            flat += [_plain(x), _plain(y), _plain(score) or 1.0] if drawn else [0.0, 0.0, 0.0]
        persons.append({**pose.extras, "pose_keypoints_2d": flat})
    return {"people": persons, "canvas_width": width, "canvas_height": height}


def to_editor(people: Sequence[Pose]) -> dict[str, Any]:
    """Our own JSON: 18 times [x, y, score, state], where hidden joints keep their coordinates.

    Joints that are further outside the canvas than the parser lets pass are written as hidden.

    Raises:
        PoseError: the people are not on one canvas, or there is nobody.
    """
    width, height = canvas_of(people)
    persons = []
    for pose in people:
        rows = [
            [_plain(x), _plain(y), _plain(score), int(state)]
            for (x, y), score, state in zip(
                pose.points, pose.score, hide_outside(pose, CLAMP).state, strict=True
            )
        ]
        persons.append({"keypoints": rows, "extras": dict(pose.extras)})
    return {
        "format": EDITOR_FORMAT,
        "version": EDITOR_VERSION,
        "canvas_width": width,
        "canvas_height": height,
        "people": persons,
    }


def save_map_png(
    people: Sequence[Pose], target: str | Path | BinaryIO, short_side: int | None = SHORT_SIDE
) -> None:
    """The drawn map as a PNG that carries the poses, so that ``read_pose_file`` reads it back.

    Raises:
        PoseError: as ``draw_map``.
    """
    info = PngInfo()
    info.add_text(PNG_KEY, json.dumps(to_editor(people)))
    Image.fromarray(draw_map(people, short_side)).save(target, format="PNG", pnginfo=info)


def canvas_of(people: Sequence[Pose]) -> tuple[int, int]:
    """(width, height) of the one canvas that all people share."""
    sizes = {pose.size for pose in people}
    if len(sizes) != 1:
        got = "nobody" if not sizes else " and ".join(f"{w} x {h}" for w, h in sorted(sizes))
        raise PoseError(f"people of one photo are needed, got {got}")
    return sizes.pop()


def _plain(value: Any) -> float:
    """A float32 as the shortest decimal that reads back as the same float32."""
    return float(str(np.float32(value)))


def _document(document: Any, field: str, size: tuple[int, int] | None) -> list[Pose]:
    """The people of one JSON object."""
    if not isinstance(document, dict):
        name = field.rstrip(".") or "the file"
        raise PoseError(f"{name}: a pose file is a JSON object with a list 'people'")
    if document.get("format") == EDITOR_FORMAT and document.get("version") != EDITOR_VERSION:
        raise PoseError(f"{field}version: only version {EDITOR_VERSION} is known; update RePoseDM")
    if "people" in document:
        entries = document["people"]
        if not isinstance(entries, list):
            raise PoseError(f"{field}people must be a list")
        if len(entries) > MAX_PEOPLE:
            raise PoseError(f"{field}people: at most {MAX_PEOPLE} people, not {len(entries)}")
        parts = [(entry, f"{field}people[{i}].") for i, entry in enumerate(entries)]
    elif "pose_keypoints_2d" in document or "keypoints" in document:
        parts = [(document, field)]
    else:
        raise PoseError(f"{field}people is missing: this is not a pose file")
    found = [person for entry, name in parts for person in _persons(entry, name)]
    canvas = _canvas(document, field, size) if found else (1, 1)
    # One person alone could stand in one pixel's corner; a whole file never does.
    shown = [v for _, rows, _, own in found for x, y, _, s in rows if s or own for v in (x, y)]
    unit = bool(shown) and not any(own for *_, own in found)
    unit = unit and all(-CLAMP <= value <= 1 + CLAMP for value in shown)
    return [_placed(person, canvas, canvas if unit else (1, 1)) for person in found]


def _canvas(document: dict[str, Any], field: str, size: tuple[int, int] | None) -> tuple[int, int]:
    """The canvas that the document names, or the photo's size."""
    for names in (("canvas_width", "canvas_height"), ("width", "height")):
        values = [document.get(name) for name in names]
        if all(value is None for value in values):
            continue
        for name, value in zip(names, values, strict=True):
            if not 1 <= number(value, field + name) <= 65535:
                raise PoseError(f"{field}{name} must be 1 to 65535 pixels, not {value}")
        return round(float(values[0])), round(float(values[1]))  # type: ignore[arg-type]
    if size is None:
        raise PoseError(f"{field}canvas_width and canvas_height are missing: add the photo's size")
    return size


def _persons(entry: Any, field: str) -> list[Person]:
    """The person of one entry; an older editor's list of circles may hold several."""
    if not isinstance(entry, dict):
        raise PoseError(f"{field.rstrip('.')} must be a JSON object")
    name = "pose_keypoints_2d" if "pose_keypoints_2d" in entry else "keypoints"
    values, field = entry.get(name), field + name
    if not isinstance(values, list) or not values:
        raise PoseError(f"{field} must be a list of numbers")
    extras = {key: value for key, value in entry.items() if key not in _OWN_KEYS}
    if "people" not in field:  # a document that is a person: its canvas is not the person's
        known = ("width", "height", "canvas_width", "canvas_height", "format", "version", "image")
        extras = {key: value for key, value in extras.items() if key not in known}
    extras |= _own_extras(entry, field, name)
    extras = checked_extras(extras, field.removesuffix(name))
    rows, own = _rows(values, field)
    if len(rows) > max(_LAYOUTS) and len(rows) % N_JOINTS == 0 and not own:
        if len(rows) > N_JOINTS * MAX_PEOPLE:
            raise PoseError(f"{field}: at most {MAX_PEOPLE} people")
        groups = [rows[i : i + N_JOINTS] for i in range(0, len(rows), N_JOINTS)]
        return [(field, group, {}, False) for group in groups]
    if len(rows) not in _LAYOUTS or (own and len(rows) != N_JOINTS):
        raise PoseError(f"{field} has {len(rows)} points; known are 18, 25, 17 and 33")
    return [(field, _mapped(rows), extras, own)]


def _own_extras(entry: dict[str, Any], field: str, name: str) -> dict[str, Any]:
    extras = entry.get("extras")
    if extras is None:
        return {}
    if not isinstance(extras, dict):
        raise PoseError(f"{field.removesuffix(name)}extras must be a JSON object")
    return {key: value for key, value in extras.items() if key not in _OWN_KEYS}


def _rows(values: list[Any], field: str) -> tuple[list[Row], bool]:
    """Points as x, y, score, state, and whether they are in the editor's own format."""
    lists = [value for value in values if isinstance(value, list)]
    if lists and all(value is None or isinstance(value, list) for value in values):
        rows = [
            _row(value, [f"{field}[{i}][{k}]" for k in range(4)]) for i, value in enumerate(values)
        ]
        return rows, max(map(len, lists)) == 4
    if len(values) % 3:
        raise PoseError(f"{field} must hold x, y, score for each point, not {len(values)} numbers")
    return [
        _row(values[i : i + 3], [f"{field}[{i + k}]" for k in range(3)])
        for i in range(0, len(values), 3)
    ], False


def _row(values: list[Any] | None, fields: list[str]) -> Row:
    """One point of two (x, y), three (and score) or four numbers (and state)."""
    if values is None:
        return 0.0, 0.0, 0.0, int(JointState.HIDDEN)
    if len(values) not in (2, 3, 4):
        raise PoseError(f"{fields[0][:-3]} must hold 2, 3 or 4 numbers, not {len(values)}")
    if len(values) < 4 and any(value is None for value in values):
        return 0.0, 0.0, 0.0, int(JointState.HIDDEN)
    x, y, *rest = (number(value, name) for value, name in zip(values, fields, strict=False))
    if len(rest) == 2:
        if rest[1] not in (0, 1, 2):
            raise PoseError(f"{fields[3]}: a joint's state is 0, 1 or 2, not {rest[1]:g}")
        return x, y, min(max(rest[0], 0.0), 1.0), int(rest[1])
    if (x, y) == (-1, -1) or (not rest and (x, y) == (0, 0)):
        return 0.0, 0.0, 0.0, int(JointState.HIDDEN)
    score = min(max(rest[0], 0.0), 1.0) if rest else 1.0
    return x, y, score, int(JointState.VISIBLE if score > 0 else JointState.HIDDEN)


def _mapped(rows: list[Row]) -> list[Row]:
    """18 rows out of any known layout; a neck that the layout lacks is mid-shoulder."""
    layout = _LAYOUTS[len(rows)]
    mapped = [(0.0, 0.0, 0.0, 0) if index is None else rows[index] for index in layout]
    right, left = mapped[R_SHOULDER], mapped[L_SHOULDER]
    if layout[NECK] is None and right[3] and left[3]:
        middle = ((right[0] + left[0]) / 2, (right[1] + left[1]) / 2)
        mapped[NECK] = (*middle, min(right[2], left[2]), int(JointState.VISIBLE))
    return mapped


def _placed(person: Person, canvas: tuple[int, int], scale: tuple[int, int]) -> Pose:
    """The person in pixels of the canvas, with joints just outside moved to its edge."""
    field, rows, extras, own = person
    points = np.array([row[:2] for row in rows]) * scale
    for joint, (*_, state) in enumerate(rows):
        for axis, side in enumerate(canvas):
            value = points[joint, axis]
            if 0 <= value <= side:
                continue
            within = -CLAMP * side <= value <= side * (1 + CLAMP)
            if state and not within:
                raise PoseError(
                    f"{field}: joint {joint} at {'xy'[axis]} = {value:.6g} is outside the canvas "
                    f"of {canvas[0]} x {canvas[1]}"
                )
            if state or (within and not own):
                points[joint, axis] = min(max(value, 0.0), side)
            elif not own:
                points[joint] = 0  # nothing is known of it
    if scale != (1, 1):
        extras = {name: _scaled(value, name, scale) for name, value in extras.items()}
    score = np.array([row[2] for row in rows], np.float32)
    states = np.array([row[3] for row in rows], np.uint8)
    return Pose(points.astype(np.float32), score, states, canvas, extras)


def _scaled(value: Any, name: str, scale: tuple[int, int]) -> Any:
    """Normalised hands and face in pixels, like the body."""
    if not name.endswith("_keypoints_2d") or not isinstance(value, list) or len(value) % 3:
        return value
    factors = (scale[0], scale[1], 1)
    return [v if v is None or v < 0 else v * factors[i % 3] for i, v in enumerate(value)]
