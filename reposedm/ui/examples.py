"""The examples: licence-clean people with known joints, each with a result made beforehand."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from PIL import Image

from reposedm.pose import Pose, preset, retarget

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "examples"


@dataclass(frozen=True)
class Example:
    """One person: the picture, their joints, and a pose shown to have worked on them."""

    name: str
    title: str
    file: Path
    result: Path
    source: Pose
    target: str

    def target_pose(self) -> Pose:
        """The example's preset on this person's own body."""
        return retarget(preset(self.target), self.source)


@functools.cache
def all_examples() -> tuple[Example, ...]:
    """Every example listed in ``assets/examples/examples.json``."""
    listed = json.loads((FOLDER / "examples.json").read_text("utf-8"))
    return tuple(_example(item) for item in listed)


def _example(item: dict) -> Example:
    file = FOLDER / item["file"]
    joints = np.asarray(item["pose"], np.float32)
    with Image.open(file) as picture:  # reads the header only
        size = picture.size
    ones = np.ones(len(joints), np.float32)
    source = Pose(joints[:, :2], ones, joints[:, 2].astype(np.uint8), size)
    target = item["targets"][0]
    result = FOLDER / "results" / f"{item['id']}.jpg"
    return Example(item["id"], item["title"], file, result, source, target)


def dataset() -> gr.Dataset:
    """The row of clickable thumbnails."""
    shown = all_examples()
    return gr.Dataset(
        components=[gr.Image(visible=False, render=False)],
        samples=[[str(example.file)] for example in shown],
        type="index", label="Examples: click one", elem_id="examples", layout="gallery",
        samples_per_page=12,
    )  # fmt: skip
