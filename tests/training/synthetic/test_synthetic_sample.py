"""The small rendered set in the repository: pairs without the asset pack."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from reposedm.pose import JointState
from training.batch import collate
from training.datasets.synthetic import SyntheticFolder

SET = Path(__file__).parents[3] / "assets/synthetic"


def test_it_is_small_and_names_no_machine() -> None:
    assert sum(path.stat().st_size for path in SET.rglob("*") if path.is_file()) < 6e6
    meta = (SET / "meta.json").read_text("utf-8")
    assert "/work" not in meta and "/home" not in meta and "/tmp" not in meta


def test_its_pairs_can_be_trained_on() -> None:
    pairs = SyntheticFolder(SET)
    assert len(pairs) == 9 * 4 * 3 and len(SyntheticFolder(SET, "test")) == 4 * 3
    batch = collate([pairs[0], pairs[40]], maps=False)
    assert batch.target.shape == (2, 4, 256, 176) and batch.flow is not None


def test_its_flow_brings_the_source_to_the_target() -> None:
    """Warped by the mapping, the source is nearer to the target than the source itself is."""
    pairs, better = SyntheticFolder(SET), 0
    tried = 0
    for index in range(0, len(pairs), 17):
        sample = pairs[index]
        assert sample.mapping is not None and sample.seen is not None
        height, width = sample.seen.shape
        if sample.seen.sum() < 60:
            continue
        small = [
            cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32)
            for picture in (sample.source_image, sample.target_image)
        ]
        rows, columns = np.mgrid[:height, :width].astype(np.float32)
        x, y = columns + sample.mapping[0], rows + sample.mapping[1]
        warped = cv2.remap(small[0], x, y, cv2.INTER_LINEAR)
        known = sample.seen > 0
        errors = [np.abs(picture - small[1])[known].mean() for picture in (warped, small[0])]
        tried, better = tried + 1, better + (errors[0] < errors[1])
    assert tried >= 4 and better >= 0.9 * tried


def test_its_joints_are_on_the_alpha() -> None:
    pairs, inside = SyntheticFolder(SET), []
    for index in range(0, len(pairs), 3):
        sample = pairs[index]
        assert sample.source_alpha is not None
        for (x, y), state in zip(sample.source_pose.points, sample.source_pose.state, strict=True):
            if state == JointState.VISIBLE:
                inside.append(sample.source_alpha[int(y), int(x)] > 0)
    assert np.mean(inside) > 0.95
