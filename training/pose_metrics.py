"""Is the person in the wanted pose? PCKh and OKS-AP, by a detector that the generator never saw.

The interaction field of RePoseDM is trained against HigherHRNet, so HigherHRNet may not judge it:
mediapipe does. The same numbers on the *real* target picture are printed beside it, for a detector
that cannot find a pose on a small photograph cannot find it on a perfect imitation either.
"""

from __future__ import annotations

import contextlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.detect import Detection, detect_people
from reposedm.errors import PoseError
from reposedm.pose import Pose
from reposedm.pose.accuracy import head_length, pckh
from reposedm.pose.skeleton import FROM_COCO_17
from training.metrics import Image, MetricsError

DETECTOR: Final = "mediapipe"
COCO_JOINTS: Final = 17
_OURS: Final = tuple(FROM_COCO_17.index(joint) for joint in range(COCO_JOINTS))
"""Our index of each of COCO's 17."""
AP_NAMES: Final = {"ap": 0, "ap50": 1, "ap75": 2, "ap_m": 3, "ap_l": 4, "ar": 5}
"""Our names for COCO's summary numbers of keypoints."""


@dataclass(frozen=True)
class Person:
    """One person as COCO sees them.

    Attributes:
        joints: float (17, 3): x, y in pixels, and COCO's visibility 0, 1 or 2.
        score: confidence of a detection; 1 for the truth.
        area: of the person in square pixels, which decides how near is near; 0: by the detector.
    """

    joints: NDArray[np.float64]
    score: float = 1.0
    area: float = 0.0


def people_on(image: Image, detector: str = DETECTOR) -> list[Detection]:
    """Everybody on a picture; see ``reposedm.detect.detect_people``."""
    return detect_people(image, detector)


def best_pckh(found: Sequence[Detection], wanted: Pose) -> float:
    """PCKh@0.5 of the person nearest to the wanted pose: 0 if nobody is there.

    NaN where the wanted pose has no head length (no nose and neck, no shoulders).
    """
    try:
        pckh(wanted, wanted)
    except PoseError:
        return math.nan
    return max((pckh(one.pose, wanted) for one in found), default=0.0)


def joint_hits(found: Sequence[Detection], wanted: Pose) -> list[bool] | None:
    """Which of the 18 joints are found: drawn, within half a head length, on the best person.

    None where the wanted pose has no head length; a joint that is not wanted is not found.
    """
    try:
        radius = 0.5 * head_length(wanted)
    except PoseError:
        return None
    best = np.zeros(len(wanted.points), bool)
    for one in found:
        error = np.hypot(*(one.pose.points - wanted.points).astype(np.float64).T)
        hit = wanted.drawn & one.pose.drawn & (error <= radius)
        best = max(best, hit, key=np.count_nonzero)
    return [bool(hit) for hit in best]


def coco_person(pose: Pose, score: float = 1.0, area: float = 0.0) -> Person:
    """A pose of ours in COCO's form; the neck, which COCO lacks, is left out."""
    order = list(_OURS)
    joints = np.concatenate((pose.points[order], pose.state[order, None]), 1).astype(np.float64)
    joints[joints[:, 2] == 0] = 0
    return Person(joints, score, area)


def truth_person(pose: Pose, alpha: Image | None) -> Person:
    """The wanted pose; its area is the silhouette's, or, unknown, the joints' box."""
    if alpha is not None and (alpha >= 128).any():
        return coco_person(pose, area=float((alpha >= 128).sum()))
    left, top, right, bottom = pose.box() or (0.0, 0.0, 0.0, 0.0)
    return coco_person(pose, area=max(1.0, (right - left) * (bottom - top)))


def oks_ap(truths: Sequence[Person], found: Sequence[Sequence[Person]]) -> Mapping[str, float]:
    """COCO's keypoint AP and AR in [0, 1] by pycocotools; NaN where no such person exists.

    Args:
        truths: one person a picture.
        found: what the detector found on each picture.

    Raises:
        MetricsError: the package is missing, or the two differ in length.
    """
    if len(truths) != len(found):
        raise MetricsError(f"{len(truths)} pictures cannot have {len(found)} lists of people")
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise MetricsError(
            "OKS-AP needs the package pycocotools: run pip install -r requirements-train.txt, or "
            "leave 'ap' out of --metrics"
        ) from error
    results = [
        {"image_id": number, "category_id": 1, "score": one.score,
         "keypoints": one.joints.ravel().tolist()}
        for number, people in enumerate(found) for one in people
    ]  # fmt: skip
    if not results:  # pycocotools cannot read an empty list
        return {name: 0.0 for name in AP_NAMES}
    with contextlib.redirect_stdout(io.StringIO()):
        data = COCO()
        data.dataset = _dataset(truths)
        data.createIndex()
        judge = COCOeval(data, data.loadRes(results), "keypoints")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    # pycocotools writes -1 where there was nothing of that size to find.
    return {
        name: float(judge.stats[number]) if judge.stats[number] >= 0 else math.nan
        for name, number in AP_NAMES.items()
    }


def to_json(people: Sequence[Detection]) -> list[dict[str, Any]]:
    """Detections as JSON, so that a resumed run need not look again."""
    return [
        {"score": float(one.confidence), "joints": coco_person(one.pose).joints.ravel().tolist()}
        for one in people
    ]


def from_json(rows: Sequence[Mapping[str, Any]]) -> list[Person]:
    """What ``to_json`` wrote."""
    return [
        Person(np.array(row["joints"], np.float64).reshape(COCO_JOINTS, 3), float(row["score"]))
        for row in rows
    ]


def _dataset(truths: Sequence[Person]) -> dict[str, Any]:
    annotations = []
    for number, truth in enumerate(truths):
        labelled = truth.joints[truth.joints[:, 2] > 0, :2]
        low, high = (labelled.min(0), labelled.max(0)) if len(labelled) else (np.zeros(2),) * 2
        annotations.append(
            {
                "id": number + 1,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "area": truth.area,
                "bbox": [*low.tolist(), *(high - low).tolist()],
                "keypoints": truth.joints.ravel().tolist(),
                "num_keypoints": len(labelled),
            }
        )
    return {
        "info": {},
        "images": [{"id": number} for number in range(len(truths))],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": annotations,
    }
