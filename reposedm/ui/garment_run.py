"""What happens when a swap runs on the Garment tab, and with its results: callbacks, no layout."""

from __future__ import annotations

import time
from collections.abc import Generator
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from reposedm.errors import DetectionError, ImageError, PoseError
from reposedm.imaging import read_image, result_name, save_png
from reposedm.jobs.detect import photo_key
from reposedm.jobs.methods import capabilities
from reposedm.jobs.swap import SwapResult, SwapSettings, swap
from reposedm.pipelines.base import Step
from reposedm.ui.garment_events import NOBODY
from reposedm.ui.garment_session import GarmentSession
from reposedm.ui.garment_tab import GarmentTab, controls_visibility, not_here
from reposedm.ui.mask_editor import Painted
from reposedm.ui.messages import friendly
from reposedm.ui.repose_events import Updates
from reposedm.ui.run_controls import RunEnds, chosen
from reposedm.ui.run_events import PREVIEW_SIDE, current, gallery_of, newest_first
from reposedm.ui.session import Entry, Pending, Session
from reposedm.ui.status import line, step_line


class GarmentRun(RunEnds):
    """Swap, Stop, and what one does with results; ``self.tab`` names what is written."""

    UNTOUCHED = "Your photos and your mask are as they were."

    def __init__(self, tab: GarmentTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def run(  # noqa: PLR0917  the order of the inputs is the layout's
        self, painted: Painted | None, session: GarmentSession, region: str, kind: str,
        method: str, steps: float, guidance: float, resample: float, seed: float | None,
        random_seed: bool, count: float, keep_settings: bool,
    ) -> Generator[Updates, None, None]:  # fmt: skip
        """Swap: steps and previews while it works, then the pictures."""
        tab = self.tab
        session.cut_short = ""
        if session.photo is None or session.garment is None:
            missing = "photo of the person" if session.photo is None else "garment photo"
            raise ImageError(f"There is no {missing} yet: upload one, or click an example.")
        person = session.person()
        if person is None:
            raise DetectionError(NOBODY)
        settings = chosen_settings(
            method, region, kind, steps, guidance, resample,
            None if random_seed else seed, count,
        )  # fmt: skip
        assert session.proxy is not None  # it comes with the photo
        pixels, photo_id, proxy = session.photo.pixels, session.photo_id, session.proxy
        # An editor without any paint shows nothing where there is no automatic mask either.
        mask = session.painted(None if painted is None else painted.mask)
        work = swap(pixels, person, session.garment.pixels, session.garment_pose, settings, mask)
        started = time.perf_counter()
        try:
            yield {tab.stop: gr.update(interactive=True), tab.run: gr.update(interactive=False),
                   tab.status: line("Starting…")}  # fmt: skip
            while True:
                try:
                    step = next(work)
                except StopIteration as stop:
                    result: SwapResult = stop.value
                    break
                yield self._progress(step, pixels, time.perf_counter() - started)
        finally:
            work.close()
        notes = list(result.notes)
        if photo_id != session.photo_id:
            notes.append("The photo was changed meanwhile: the result is of the earlier one.")
        made = Entry(proxy, proxy, photo_id, "", (person,))
        entries = self._keep(session, result, made, keep_settings)
        yield self._show(session, entries[0]) | {
            tab.gallery: gr.update(value=gallery_of(session), selected_index=None),
            tab.mask_view: (result.mask * 255).astype(np.uint8),
            tab.warp_view: result.warp,
            tab.seed: result.seeds[0],
            tab.status: line(_summary(result), notes=notes),
            tab.run: gr.update(interactive=True),
            tab.stop: gr.update(interactive=False),
        }

    @friendly
    def picked(self, session: GarmentSession, event: gr.SelectData) -> Updates:
        """A picture of the gallery was clicked."""
        return self._show(session, chosen(newest_first(session), event))

    @friendly
    def reuse(self, session: GarmentSession) -> Updates:
        """Use the shown result as the photo of the person; where they are is known."""
        entry = shown_entry(session)
        photo = read_image(entry.path)  # as it will be read when it comes back
        session.waiting[photo_key(photo.pixels)] = entry.pose
        return {self.tab.person: str(entry.path)}

    @friendly
    def method_changed(self, method: str) -> Updates:
        """Show the controls that mean something to the method."""
        tab, able = self.tab, capabilities(method, "swap")
        shown = controls_visibility(able)
        return {
            tab.about_method: able.description + not_here(),
            tab.steps: gr.update(visible=shown["steps"], value=able.default_steps),
            tab.guidance: gr.update(visible=shown["guidance_scale"], value=able.default_guidance),
            tab.resample: gr.update(visible=shown["resample"]),
            tab.seed: gr.update(visible=shown["seed"]),
            tab.random_seed: gr.update(visible=shown["seed"]),
            tab.count: gr.update(visible=shown["count"]),
        }

    def _progress(self, step: Step, photo: np.ndarray[Any, Any], seconds: float) -> Updates:
        updates: Updates = {self.tab.status: step_line(step, seconds)}
        if len(step.previews):
            picture = Image.fromarray(step.previews[0])
            ground = Image.new("RGBA", picture.size, "grey")
            if picture.size == (photo.shape[1], photo.shape[0]):
                ground = Image.fromarray(photo).convert("RGBA")
            ground.alpha_composite(picture.convert("RGBA"))
            ground.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
            value = np.asarray(ground.convert("RGB"))
            updates[self.tab.live_result] = gr.update(value=value, visible=True)
        return updates

    def _keep(
        self, session: GarmentSession, result: SwapResult, like: Entry, keep_settings: bool
    ) -> list[Entry]:
        method = result.settings["method"]
        run = time.strftime("%H%M%S") + f"-{time.time_ns() % 10**6:06d}"
        folder = session.folder() / run
        folder.mkdir(exist_ok=True)
        made = []
        for number, image in enumerate(result.images):
            seed = result.seeds[number]
            path = folder / result_name(method, seed, number + 1)
            save_png(image, path, result.settings_of(number), keep_settings=keep_settings)
            able = capabilities(method, "swap")
            caption = f"seed {seed}" if able.stochastic else result.settings["region"]
            made.append(
                Entry(path, like.source_path, like.photo_id, caption, like.people, like.selected)
            )
        session.entries.extend(made)
        return made

    def _show(self, session: GarmentSession, entry: Entry) -> Updates:
        tab = self.tab
        session.shown = entry
        return {
            tab.result: (str(entry.source_path), str(entry.path)),
            tab.live_result: gr.update(visible=False),
            tab.download: gr.update(value=str(entry.path), interactive=True),
        }


def send_to_repose(session: GarmentSession, repose: Session) -> str:
    """Hand the shown result to the Repose tab with its pose; the file for its photo input.

    Raises:
        PoseError: there is no result yet.
    """
    entry = shown_entry(session)
    photo = read_image(entry.path)
    repose.pending = Pending(photo_key(photo.pixels), entry.people, entry.people)
    return str(entry.path)


def send_to_garment(repose: Session, session: GarmentSession) -> str:
    """Hand the shown result of the Repose tab, or its photo, to the Garment tab.

    Raises:
        ImageError: there is neither.
    """
    if repose.shown is not None:
        photo = read_image(repose.shown.path)
        pose, file = repose.shown.pose, repose.shown.path
        if pose.size == (photo.pixels.shape[1], photo.pixels.shape[0]):
            session.waiting[photo_key(photo.pixels)] = pose
        return str(file)
    if repose.photo is None or repose.proxy is None:
        raise ImageError("There is no photo on the Repose tab yet: upload one first.")
    if repose.sources:
        # The proxy of a large photo is smaller than the photo: the joints are on the photo.
        file = repose.folder() / f"whole-{repose.photo_id[:16]}.png"
        Image.fromarray(repose.photo.pixels).save(file, compress_level=1)
        session.waiting[repose.photo_id] = repose.sources[0]
        return str(file)
    return str(repose.proxy)


def shown_entry(session: Session) -> Entry:
    """The result that is shown.

    Raises:
        PoseError: there is none yet.
    """
    if session.shown is None:
        raise PoseError("There is no result yet: press Swap first.")
    return current(session)


def chosen_settings(  # noqa: PLR0917  as the page's controls
    method: str, region: str, kind: str, steps: float | None, guidance: float | None,
    resample: float | None, seed: float | None, count: float,
) -> SwapSettings:  # fmt: skip
    """The settings of a job, without the controls that mean nothing to the method."""
    able = capabilities(method, "swap")

    def if_used(name: str, value: float | None) -> Any:
        return value if name in able.controls else None

    return SwapSettings(
        method=method,
        region=region,
        garment=kind,  # type: ignore[arg-type]  # checked there
        steps=if_used("steps", steps),
        guidance_scale=if_used("guidance_scale", guidance),
        resample=if_used("resample", resample),
        seed=seed if able.stochastic else 0,  # type: ignore[arg-type]
        count=count if able.stochastic else 1,  # type: ignore[arg-type]
    )


def _summary(result: SwapResult) -> str:
    """One line about a finished job: time, method, seed, memory."""
    able = capabilities(result.settings["method"], "swap")
    seeded = f", seed {', '.join(str(seed) for seed in result.seeds)}" if able.stochastic else ""
    memory = f"{result.peak_memory_mb / 1024:.1f} GB"
    return f"Done in {result.seconds:.1f} s with {able.label}{seeded}, peak memory {memory}."
