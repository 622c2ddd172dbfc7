"""What travels between the page and Python: the bounded wire format and its typed counterpart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from gradio.data_classes import FileData, GradioModel
from pydantic import Field, ValidationError, model_validator

from reposedm.errors import PoseError
from reposedm.pose import Pose
from reposedm.pose.skeleton import JOINTS, N_JOINTS

MAX_PEOPLE: Final = 20
MAX_SIDE: Final = 65535
MAX_EXTRA_NUMBERS: Final = 3 * 70
"""The longest foreign field: OpenPose's face, 70 points of x, y, score."""

_FAR: Final = 2.0
"""Photo sizes that a joint may lie outside the photo: a leg may leave the frame, 1e9 may not."""


class EditorData(GradioModel):
    """A photo and the skeletons over it, as the page posts and shows them.

    Each person is ``{"keypoints": 18 x [x, y, score, state], "extras": {}}`` in photo pixels, state
    0 hidden, 1 behind, 2 visible. ``sources`` holds the detected skeletons, one per person.

    The page's value is whatever a client posts, and Gradio shows pydantic's own errors raw. So
    nothing here raises: what cannot be used is described in ``problem`` and refused by
    ``read_value``, in words.
    """

    image: FileData | None = None
    width: int = Field(default=512, description="photo width in pixels")
    height: int = Field(default=512, description="photo height in pixels")
    people: list[Any] = Field(default_factory=list)
    selected: int = 0
    sources: list[Any] = Field(default_factory=list)
    problem: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _describe_problems(cls, data: Any) -> dict[str, Any]:
        try:
            return _bounded(data)
        except PoseError as error:
            return {"problem": str(error)}


@dataclass(frozen=True)
class EditorValue:
    """The editor's content in Python.

    Attributes:
        image: path of the picture that the page shows (a proxy of the photo), or None.
        size: (width, height) of the original photo; every joint is in its pixels.
        people: the edited skeletons, at most 20.
        selected: index of the person to repose.
        sources: the detected skeletons, one per person; ``people`` themselves when left out.

    Raises:
        PoseError: too many people, or an index or a number of sources that do not fit them.
    """

    image: str | None
    size: tuple[int, int]
    people: Sequence[Pose] = ()
    selected: int = 0
    sources: Sequence[Pose] = ()

    def __post_init__(self) -> None:
        """Check the counts: everything else has been checked by ``Pose``."""
        people = tuple(self.people)
        sources = tuple(self.sources) or people
        if len(people) > MAX_PEOPLE:
            raise PoseError(f"at most {MAX_PEOPLE} people can be edited at once, not {len(people)}")
        if len(sources) != len(people):
            raise PoseError(f"{len(people)} people need as many sources, not {len(sources)}")
        if people and not 0 <= self.selected < len(people):
            raise PoseError(f"person {self.selected + 1} of {len(people)} does not exist")
        object.__setattr__(self, "people", people)
        object.__setattr__(self, "sources", sources)

    @property
    def pose(self) -> Pose | None:
        """The selected person's edited pose, or None without people."""
        return self.people[self.selected] if self.people else None

    @property
    def source(self) -> Pose | None:
        """The selected person's detected pose, or None without people."""
        return self.sources[self.selected] if self.sources else None


@dataclass(frozen=True)
class LiveRequest:
    """One question of the live preview: how would the selected person look in this pose?

    Attributes:
        number: counts up; the answer carries it back, and the page shows only newer ones.
        selected: index of the person.
        pose: the pose under the pointer, not committed yet.
    """

    number: int
    selected: int
    pose: Pose


def read_value(data: EditorData) -> EditorValue | None:
    """The typed value of what the page posted; None for an empty editor.

    Raises:
        PoseError: naming the field that cannot be used.
    """
    if data.problem:
        raise PoseError(data.problem)
    if data.image is None and not data.people:
        return None
    size = (data.width, data.height)
    people = [_pose(person, size, f"person {i + 1}") for i, person in enumerate(data.people)]
    sources = [_pose(person, size, f"source {i + 1}") for i, person in enumerate(data.sources)]
    return EditorValue(
        data.image.path if data.image else None,
        size,
        people,
        data.selected if people else 0,
        sources if len(sources) == len(people) else (),
    )


def write_value(value: EditorValue | None) -> EditorData | None:
    """The page's form of a typed value."""
    if value is None:
        return None
    return EditorData(
        image=FileData(path=str(Path(value.image))) if value.image else None,
        width=value.size[0],
        height=value.size[1],
        people=[write_person(pose) for pose in value.people],
        selected=value.selected,
        sources=[write_person(pose) for pose in value.sources],
    )


def write_person(pose: Pose) -> dict[str, Any]:
    """``{"keypoints": 18 x [x, y, score, state], "extras"}``, rounded to 1/100 pixel."""
    rows = zip(pose.points.tolist(), pose.score.tolist(), pose.state.tolist(), strict=True)
    keypoints = [
        [round(x, 2), round(y, 2), round(score, 3), state] for (x, y), score, state in rows
    ]
    return {"keypoints": keypoints, "extras": _extras(pose.extras)}


def read_live(data: Any) -> LiveRequest:
    """The question that the page's ``preview`` event carries.

    Raises:
        PoseError: it is not one.
    """
    if not isinstance(data, Mapping):
        raise PoseError("a preview needs a pose")
    size = (
        _whole(data.get("width"), 1, MAX_SIDE, "width"),
        _whole(data.get("height"), 1, MAX_SIDE, "height"),
    )
    return LiveRequest(
        _whole(data.get("number"), 0, 2**53, "number"),
        _whole(data.get("selected"), 0, MAX_PEOPLE - 1, "selected"),
        _pose(data.get("person"), size, "person"),
    )


def _bounded(data: Any) -> dict[str, Any]:
    """The same fields, of the right type and a bounded size; the joints are read later."""
    if not isinstance(data, Mapping):
        raise PoseError("the editor's value must be an object with people and a photo's size")
    image = data.get("image")
    if image is not None and not isinstance(image, FileData):
        try:
            image = FileData.model_validate(image, context={"validate_meta": True})
        except (ValidationError, ValueError, TypeError) as error:
            raise PoseError("image: must be a file uploaded to this app") from error
    lists = {}
    for name in ("people", "sources"):
        found = data.get(name)
        found = [] if found is None else found
        if not isinstance(found, list) or len(found) > MAX_PEOPLE:
            raise PoseError(f"{name}: must be a list of at most {MAX_PEOPLE} skeletons")
        lists[name] = found
    last = max(len(lists["people"]) - 1, 0)
    return {
        "image": image,
        "width": _whole(data.get("width", 512), 1, MAX_SIDE, "width"),
        "height": _whole(data.get("height", 512), 1, MAX_SIDE, "height"),
        "selected": _whole(data.get("selected", 0), 0, last, "selected"),
        **lists,
    }


def _pose(person: Any, size: tuple[int, int], name: str) -> Pose:
    rows = person.get("keypoints") if isinstance(person, Mapping) else None
    if not isinstance(rows, (list, tuple)) or len(rows) != N_JOINTS:
        got = f"not {len(rows)}" if isinstance(rows, (list, tuple)) else "as a list"
        raise PoseError(f"{name}: needs {N_JOINTS} keypoints, {got}")
    table = []
    for joint, row in zip(JOINTS, rows, strict=True):
        if not isinstance(row, (list, tuple)) or len(row) != 4:
            raise PoseError(f"{name}, {joint}: must be [x, y, score, state]")
        x, y, score = (_number(value, f"{name}, {joint}") for value in row[:3])
        for value, side, axis in ((x, size[0], "x"), (y, size[1], "y")):
            if not -_FAR * side <= value <= (1 + _FAR) * side:
                raise PoseError(f"{name}, {joint}: {axis} {value:g} is far outside the photo")
        table.append((x, y, score, _whole(row[3], 0, 2, f"{name}, {joint}: state")))
    numbers = np.array(table, np.float64)
    extras = person.get("extras")
    return Pose(
        points=numbers[:, :2].astype(np.float32),
        score=numbers[:, 2].astype(np.float32),
        state=numbers[:, 3].astype(np.uint8),
        size=size,
        extras=_extras(extras) if isinstance(extras, Mapping) else {},
    )


def _extras(extras: Mapping[str, Any]) -> dict[str, list[float]]:
    """Hands and face only: flat lists of numbers.

    Anything else stays behind, because Gradio would take a nested ``{"path": ...}`` for a file and
    serve it.
    """
    kept = {}
    for name, values in list(extras.items())[:8]:
        if not isinstance(name, str) or not name.endswith("_2d"):
            continue
        if not isinstance(values, (list, tuple)) or len(values) > MAX_EXTRA_NUMBERS:
            continue
        if all(_is_number(value) for value in values):
            kept[name] = [float(value) for value in values]
    return kept


def _is_number(value: Any) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return -(2**53) <= value <= 2**53  # False for NaN, and for an int too large for a float


def _number(value: Any, name: str) -> float:
    if not _is_number(value):
        raise PoseError(f"{name}: coordinates must be finite numbers, not {str(value)[:40]}")
    return float(value)


def _whole(value: Any, low: int, high: int, name: str) -> int:
    if not _is_number(value) or value != int(value) or not low <= value <= high:
        raise PoseError(
            f"{name}: must be a whole number from {low} to {high}, not {str(value)[:40]}"
        )
    return int(value)
