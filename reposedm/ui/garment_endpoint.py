"""The endpoint ``/swap_garment``, with plain types. Its name and arguments are promises."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import gradio as gr
import numpy as np

from reposedm.errors import ImageError
from reposedm.imaging import result_name, save_png
from reposedm.jobs.detect import people_on
from reposedm.jobs.methods import default_method
from reposedm.jobs.swap import SwapSettings, check_swap_method, swap
from reposedm.pose import Pose
from reposedm.ui.endpoints import fresh_folder, people_in
from reposedm.ui.messages import friendly
from reposedm.ui.safe_image import SafeImage, Upload


def add() -> None:
    """Add the endpoint to the current ``gr.Blocks``; its components are never shown."""
    with gr.Column(visible=False):
        person, garment = SafeImage(label="person"), SafeImage(label="garment")
        region = gr.Textbox("top", label="region")
        mask = SafeImage(label="mask")
        method = gr.Textbox(default_method("swap"), label="method")
        steps = gr.Number(None, label="steps", precision=0)
        guidance = gr.Number(None, label="guidance")
        seed = gr.Number(-1, label="seed", precision=0)
        count = gr.Number(1, label="count", precision=0)
        pose = gr.JSON(label="pose")
        garment_pose = gr.JSON(label="garment_pose")
        files = gr.Files(label="pictures")
        used_mask = gr.File(label="mask")
        used = gr.JSON(label="settings")
        button = gr.Button()
    button.click(
        swap_garment,
        [person, garment, region, mask, method, steps, guidance, seed, count, pose, garment_pose],
        [files, used_mask, used], api_name="swap_garment", concurrency_id="accelerator",
        concurrency_limit=1,
    )  # fmt: skip


@friendly
def swap_garment(  # noqa: PLR0917  the public order of arguments
    person: Upload | None, garment: Upload | None, region: str, mask: Upload | None, method: str,
    steps: float | None, guidance: float | None, seed: float | None, count: float,
    pose: Any, garment_pose: Any,
) -> Generator[Any, None, None]:  # fmt: skip
    """Put the largest person of a photo into the garment of another picture.

    ``mask``: a picture of the photo's size, white where it may change; empty: automatic. ``pose``
    and ``garment_pose``: JSON in pixels of their pictures; empty: found on them. Returns the PNG
    files, the mask outside which they are the photo's own pixels, and the settings that made them.
    """
    if person is None:
        raise ImageError("person: upload a photo.")
    if garment is None:
        raise ImageError("garment: upload a photo.")
    settings = SwapSettings(
        method=method, region=region,
        steps=steps,  # type: ignore[arg-type]  # numbers of JSON; checked there
        guidance_scale=guidance,
        seed=seed,  # type: ignore[arg-type]
        count=count,  # type: ignore[arg-type]
    )  # fmt: skip
    check_swap_method(settings)
    pixels = person.photo.pixels
    body = people_on(pixels)[0].pose if pose is None else _given(pose, person)
    landmarks = None if garment_pose is None else _given(garment_pose, garment)
    painted = None
    if mask is not None:
        painted = (mask.photo.pixels.mean(axis=2) > 127).astype(np.float32)
    work = swap(pixels, body, garment.photo.pixels, landmarks, settings, painted)
    try:
        while True:
            try:
                next(work)
            except StopIteration as stop:
                result = stop.value
                break
            yield gr.skip(), gr.skip(), gr.skip()  # a place to be cancelled at
    finally:
        work.close()
    folder = fresh_folder()
    paths = []
    for number, picture in enumerate(result.images):
        path = folder / result_name(settings.method, result.seeds[number], number + 1)
        save_png(picture, path, result.settings_of(number))
        paths.append(str(path))
    used_mask = folder / "mask.png"
    result.save_mask(used_mask)
    used = {**result.settings, "seeds": result.seeds, "notes": list(result.notes),
            "seconds": round(result.seconds, 3)}  # fmt: skip
    yield paths, str(used_mask), used


def _given(pose: Any, picture: Upload) -> Pose:
    height, width = picture.photo.pixels.shape[:2]
    return people_in(pose, (width, height))[0]
