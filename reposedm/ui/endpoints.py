"""The API: endpoints with plain types. Everything else on the page is private.

Their names and arguments are promises to scripts: change them only with the changelog.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr

from reposedm.errors import ImageError, PoseError
from reposedm.imaging import result_name, save_png
from reposedm.jobs.detect import people_on
from reposedm.jobs.methods import default_method, warm_up_beside
from reposedm.jobs.repose import repose as repose_job
from reposedm.jobs.settings import ReposeSettings
from reposedm.pose import Pose, draw_map, parse_people, to_openpose
from reposedm.ui.messages import friendly
from reposedm.ui.safe_image import SafeImage, Upload

KEEP_SECONDS = 3600
"""Files of API calls are deleted after this long; Gradio serves its own copy of each."""


def add() -> None:
    """Add the endpoints to the current ``gr.Blocks``; their components are never shown."""
    with gr.Column(visible=False):
        image = SafeImage(label="image")
        pose = gr.JSON(label="pose")
        method = gr.Textbox(default_method(), label="method")
        steps = gr.Number(None, label="steps", precision=0)
        guidance = gr.Number(None, label="guidance")
        pose_guidance = gr.Number(None, label="pose_guidance")
        seed = gr.Number(-1, label="seed", precision=0)
        count = gr.Number(1, label="count", precision=0)
        paste_back = gr.Checkbox(True, label="paste_back")
        found, used = gr.JSON(label="people"), gr.JSON(label="settings")
        drawn = gr.Image(label="map", format="png")
        files = gr.Files(label="pictures")
        button = gr.Button()
    button.click(detect, image, found, api_name="detect", concurrency_id="detect")
    button.click(render_pose, pose, drawn, api_name="render_pose")
    button.click(
        repose, [image, pose, method, steps, guidance, pose_guidance, seed, count, paste_back],
        [files, used], api_name="repose", concurrency_id="accelerator", concurrency_limit=1,
    )  # fmt: skip


@friendly
def detect(image: Upload | None) -> dict[str, Any]:
    """Everybody on a photo, largest first, as OpenPose JSON with 18 joints each."""
    if image is None:
        raise ImageError("image: upload a photo.")
    warm_up_beside()
    return to_openpose([person.pose for person in people_on(image.photo.pixels)])


@friendly
def render_pose(pose: Any) -> Any:
    """The OpenPose map (RGB, 512 px on its short side) of a pose in any format we read."""
    return draw_map(people_in(pose, None))


@friendly
def repose(  # noqa: PLR0917  the public order of arguments
    image: Upload | None, pose: Any, method: str, steps: float | None, guidance: float | None,
    pose_guidance: float | None, seed: float | None, count: float, paste_back: bool,
) -> Generator[Any, None, None]:  # fmt: skip
    """Repose the largest person of a photo into a pose given in that photo's pixels.

    Returns the PNG files and the settings that made them. seed -1 draws one; steps, guidance and
    pose_guidance may be left empty.
    """
    if image is None:
        raise ImageError("image: upload a photo.")
    pixels = image.photo.pixels
    height, width = pixels.shape[:2]
    target = people_in(pose, (width, height))[0]
    if target.size != (width, height):
        raise PoseError(
            f"pose: it is for a picture of {target.size[0]} x {target.size[1]} pixels, "
            f"the photo has {width} x {height}."
        )
    source = people_on(pixels)[0].pose
    settings = ReposeSettings(
        method=method,
        steps=steps,  # type: ignore[arg-type]  # numbers of JSON; checked there
        guidance_scale=guidance,
        pose_guidance_scale=pose_guidance,
        seed=seed,  # type: ignore[arg-type]
        count=count,  # type: ignore[arg-type]
        paste_back=paste_back,
    )
    work = repose_job(pixels, source, target, settings)
    try:
        while True:
            try:
                next(work)
            except StopIteration as stop:
                result = stop.value
                break
            yield gr.skip(), gr.skip()  # a place to be cancelled at
    finally:
        work.close()
    folder = fresh_folder()
    paths = []
    for number, picture in enumerate(result.images):
        path = folder / result_name(settings.method, result.seeds[number], number + 1)
        save_png(picture, path, result.settings_of(number))
        paths.append(str(path))
    used = {**result.settings, "seeds": result.seeds, "notes": list(result.notes),
            "seconds": round(result.seconds, 3)}  # fmt: skip
    yield paths, used


def people_in(pose: Any, size: tuple[int, int] | None) -> list[Pose]:
    """The people of a pose given as JSON.

    Raises:
        PoseError: none is given, or it holds nobody.
    """
    if pose is None:
        raise PoseError("pose: give a pose as JSON.")
    people = parse_people(pose if isinstance(pose, (str, list)) else json.dumps(pose), size)
    if not people:
        raise PoseError("pose: it holds nobody.")
    return people


def fresh_folder() -> Path:
    """A folder for one call; those of long ago are removed on the way."""
    root = Path(tempfile.gettempdir())
    for old in root.glob("reposedm-api-*"):
        try:
            if time.time() - old.stat().st_mtime > KEEP_SECONDS:
                shutil.rmtree(old, ignore_errors=True)
        except OSError:
            continue  # another call removed it first
    return Path(tempfile.mkdtemp(prefix="reposedm-api-"))
