"""What happens when a job runs on the Repose tab, and with its results: callbacks, no layout."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from pose_editor import EditorValue
from reposedm.errors import ImageError, PoseError
from reposedm.imaging import read_image, read_settings, result_name, save_png
from reposedm.jobs.detect import photo_key
from reposedm.jobs.methods import capabilities
from reposedm.jobs.repose import ReposeResult, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import Step
from reposedm.pose import Pose, parse_pose
from reposedm.ui.messages import friendly
from reposedm.ui.repose_events import Updates, source_of
from reposedm.ui.repose_tab import ReposeTab, controls_visibility
from reposedm.ui.session import Entry, Pending, Session
from reposedm.ui.status import line, step_line

PREVIEW_SIDE = 640


class RunCallbacks:
    """Repose, Stop, and what one does with results; ``self.tab`` names what is written."""

    def __init__(self, tab: ReposeTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def run(  # noqa: PLR0917  the order of the inputs is the layout's
        self, value: EditorValue | None, session: Session, method: str, steps: float,
        guidance: float, pose_guidance: float, seed: float | None, random_seed: bool, count: float,
        paste_back: bool, background: str, keep_settings: bool,
    ) -> Generator[Updates, None, None]:  # fmt: skip
        """Repose: steps and previews while it works, then the pictures."""
        tab = self.tab
        if session.photo is None or value is None or not value.people:
            raise ImageError("There is no photo yet: upload one, or click an example.")
        source = source_of(session, value.selected)
        if source is None:
            raise PoseError(
                "It is not known where the person is: move the skeleton onto them and press "
                "'The skeleton matches the person now'."
            )
        settings = chosen_settings(
            method, steps, guidance, pose_guidance, None if random_seed else seed, count,
            paste_back, background,
        )  # fmt: skip
        target, photo_id = value.people[value.selected], session.photo_id
        work = repose(session.photo.pixels, source, target, settings)
        started = time.perf_counter()
        try:
            yield {tab.stop: gr.update(interactive=True), tab.run: gr.update(interactive=False),
                   tab.status: line("Starting…")}  # fmt: skip
            while True:
                try:
                    step = next(work)
                except StopIteration as stop:
                    result: ReposeResult = stop.value
                    break
                yield self._progress(step, time.perf_counter() - started)
        finally:
            work.close()
        late = photo_id != session.photo_id
        late_note = ("The photo was changed meanwhile: the result is of the earlier one.",)
        entries = self._keep(session, result, target, keep_settings)
        yield self._show(session, len(session.entries) - len(entries)) | {
            tab.gallery: gallery_of(session),
            tab.seed: result.seeds[0],
            tab.status: line(
                summary(result, method), notes=(*result.notes, *(late_note if late else ()))
            ),
            tab.run: gr.update(interactive=True),
            tab.stop: gr.update(interactive=False),
        }

    @friendly
    def stopped(self) -> Updates:
        """After Stop: the run's generator has been closed by Gradio."""
        return {
            self.tab.run: gr.update(interactive=True),
            self.tab.stop: gr.update(interactive=False),
            self.tab.status: line("Stopped. Your photo and your pose are as they were."),
        }

    @friendly
    def failed(self) -> Updates:
        """After an error in a run: the buttons come back, the user's work stays."""
        return {
            self.tab.run: gr.update(interactive=True),
            self.tab.stop: gr.update(interactive=False),
            self.tab.status: line("That did not work; see the message. Nothing of yours is lost."),
        }

    @friendly
    def picked(self, session: Session, event: gr.SelectData) -> Updates:
        """A picture of the gallery was clicked."""
        return self._show(session, int(event.index))

    @friendly
    def load_pose(self, value: EditorValue | None, session: Session) -> Updates:
        """Put the pose of the shown result back into the editor."""
        entry = current(session)
        if value is None or entry.pose.size != value.size:
            raise PoseError("This result belongs to another photo: load that photo again first.")
        people = list(value.people)
        people[value.selected] = entry.pose
        changed = EditorValue(value.image, value.size, people, value.selected, value.sources)
        return {self.tab.editor: changed, self.tab.status: line("The pose of this result is back.")}

    @friendly
    def reuse(self, session: Session) -> Updates:
        """Use the shown result as the next photo; its pose is known."""
        entry = current(session)
        photo = read_image(entry.path)  # as it will be read when it comes back
        height, width = photo.pixels.shape[:2]
        if (width, height) == entry.pose.size:
            session.pending = Pending(photo_key(photo.pixels), entry.pose, entry.pose)
        return {self.tab.photo: str(entry.path)}

    @friendly
    def read_file(self, path: str | None) -> Updates:
        """Show the settings stored in a PNG, without applying them yet."""
        tab = self.tab
        if path is None:
            return {tab.settings_shown: gr.update(visible=False),
                    tab.settings_apply: gr.update(visible=False)}  # fmt: skip
        stored, note = read_settings(Path(path))
        return {
            tab.settings_shown: gr.update(value=stored, visible=stored is not None),
            tab.settings_apply: gr.update(visible=stored is not None),
            tab.status: line(note or "Settings found: look at them, then apply."),
        }

    @friendly
    def apply_settings(self, stored: Any, value: EditorValue | None, session: Session) -> Updates:
        """Set the controls (and the pose, on the same photo) as they were for that picture."""
        tab = self.tab
        if isinstance(stored, str):
            stored = json.loads(stored)
        settings, notes = ReposeSettings.restored(stored or {})
        able = capabilities(settings.method)
        updates: Updates = {
            tab.method: settings.method,
            tab.seed: settings.seed or 0,
            tab.random_seed: settings.seed is None,
            tab.count: settings.count,
            tab.steps: settings.steps or able.default_steps,
            tab.paste_back: settings.paste_back,
            tab.background: settings.background,
        }
        if settings.guidance_scale is not None:
            updates[tab.guidance] = settings.guidance_scale
        if settings.pose_guidance_scale is not None:
            updates[tab.pose_guidance] = settings.pose_guidance_scale
        pose = _stored_pose(stored)
        if pose is not None and value is not None and value.size == pose.size:
            people = list(value.people)
            people[value.selected] = pose
            updates[tab.editor] = EditorValue(
                value.image, value.size, people, value.selected, value.sources
            )
        updates[tab.status] = line("Settings applied.", notes=notes)
        return updates

    @friendly
    def method_changed(self, method: str) -> Updates:
        """Show the controls that mean something to the method."""
        tab, able = self.tab, capabilities(method)
        shown = controls_visibility(able)
        return {
            tab.about_method: able.description,
            tab.steps: gr.update(visible=shown["steps"], value=able.default_steps),
            tab.guidance: gr.update(visible=shown["guidance_scale"]),
            tab.pose_guidance: gr.update(visible=shown["pose_guidance_scale"]),
            tab.seed: gr.update(visible=shown["seed"]),
            tab.random_seed: gr.update(visible=shown["seed"]),
            tab.count: gr.update(visible=shown["count"]),
        }

    def _progress(self, step: Step, seconds: float) -> Updates:
        updates: Updates = {self.tab.status: step_line(step, seconds)}
        if len(step.previews):
            shown = Image.fromarray(step.previews[0])
            shown.thumbnail((PREVIEW_SIDE, PREVIEW_SIDE))
            ground = Image.new("RGBA", shown.size, "grey")
            ground.alpha_composite(shown.convert("RGBA"))
            picture = np.asarray(ground.convert("RGB"))
            updates[self.tab.live_result] = gr.update(value=picture, visible=True)
        return updates

    def _keep(
        self, session: Session, result: ReposeResult, target: Pose, keep_settings: bool
    ) -> list[Entry]:
        assert session.proxy is not None
        folder, made = session.folder(), []
        run = time.strftime("%H%M%S") + f"-{time.time_ns() % 10**6:06d}"
        for number, image in enumerate(result.images):
            method, seed = result.settings["method"], result.seeds[number]
            path = folder / run / result_name(method, seed, number + 1)
            path.parent.mkdir(exist_ok=True)
            settings = result.settings_of(number)
            save_png(image, path, settings, keep_settings=keep_settings)
            able = capabilities(method)
            caption = f"{able.label}, seed {seed}" if able.stochastic else able.label
            made.append(Entry(path, session.proxy, caption, settings, target))
        session.entries.extend(made)
        return made

    def _show(self, session: Session, index: int) -> Updates:
        tab = self.tab
        session.current = index
        entry = session.entries[index]
        return {
            tab.result: (str(entry.source_path), str(entry.path)),
            tab.live_result: gr.update(visible=False),
            tab.download: gr.update(value=str(entry.path), interactive=True),
        }


def chosen_settings(  # noqa: PLR0917  as the page's controls
    method: str, steps: float | None, guidance: float | None, pose_guidance: float | None,
    seed: float | None, count: float, paste_back: bool, background: str,
) -> ReposeSettings:  # fmt: skip
    """The settings of a job, without the controls that mean nothing to the method."""
    able = capabilities(method)

    def if_used(name: str, value: float | None) -> Any:
        return value if name in able.controls else None

    return ReposeSettings(
        method=method,
        steps=if_used("steps", steps),
        guidance_scale=if_used("guidance_scale", guidance),
        pose_guidance_scale=if_used("pose_guidance_scale", pose_guidance),
        seed=seed if able.stochastic else 0,  # type: ignore[arg-type]
        count=count if able.stochastic else 1,  # type: ignore[arg-type]
        paste_back=paste_back,
        background=background,  # type: ignore[arg-type]
    )


def gallery_of(session: Session) -> list[tuple[str, str]]:
    """What the gallery shows: every result of this session with its caption."""
    return [(str(entry.path), entry.caption) for entry in session.entries]


def summary(result: ReposeResult, method: str) -> str:
    """One line about a finished job: time, method, seed, memory."""
    able = capabilities(method)
    seeds = ", ".join(str(seed) for seed in result.seeds)
    seeded = f", seed {seeds}" if able.stochastic else ""
    memory = f"{result.peak_memory_mb / 1024:.1f} GB"
    return f"Done in {result.seconds:.1f} s with {able.label}{seeded}, peak memory {memory}."


def current(session: Session) -> Entry:
    """The result that is shown.

    Raises:
        PoseError: there is none yet.
    """
    if session.current >= len(session.entries):
        raise PoseError("There is no result yet: press Repose first.")
    return session.entries[session.current]


def _stored_pose(stored: Any) -> Pose | None:
    pose = stored.get("pose") if isinstance(stored, dict) else None
    return parse_pose(pose) if pose else None
