"""The examples of the Garment tab: pairs of pictures, each with a result made beforehand."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from reposedm.pose import Pose, parse_people
from reposedm.ui import examples

FOLDER = examples.FOLDER


@dataclass(frozen=True)
class GarmentExample:
    """A person, a garment, and the region that it goes to.

    Attributes:
        title: for people.
        person: the person's picture.
        pose: where they are on it.
        garment: the garment's picture.
        garment_pose: of its wearer, or of the garment's landmarks; None: found on the picture.
        region: one of ``garments.labels.REGIONS``.
        result: the picture that ``make_garments.py`` made of them.
    """

    title: str
    person: Path
    pose: Pose
    garment: Path
    garment_pose: Pose | None
    region: str
    result: Path


@functools.cache
def all_examples() -> tuple[GarmentExample, ...]:
    """Every example listed in ``assets/examples/garments.json``."""
    people = {example.name: example for example in examples.all_examples()}
    listed = json.loads((FOLDER / "garments.json").read_text("utf-8"))
    made = []
    for item in listed:
        worn = people.get(item["garment"])
        pose = worn.source if worn else None
        if "pose" in item:
            pose = parse_people(json.dumps(item["pose"]))[0]
        person = people[item["person"]]
        made.append(
            GarmentExample(
                title=item["title"],
                person=person.file,
                pose=person.source,
                garment=worn.file if worn else FOLDER / item["garment"],
                garment_pose=pose,
                region=item["region"],
                result=FOLDER / "results" / f"swap-{item['id']}.jpg",
            )
        )
    return tuple(made)


def dataset() -> gr.Dataset:
    """The row of clickable pairs."""
    return gr.Dataset(
        components=[gr.Image(visible=False, render=False), gr.Image(visible=False, render=False)],
        samples=[[str(one.person), str(one.garment)] for one in all_examples()],
        headers=["Person", "Garment"], type="index", label="Examples: click one",
        elem_id="garment-examples", samples_per_page=8,
    )  # fmt: skip
