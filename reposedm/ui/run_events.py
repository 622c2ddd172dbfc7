"""What happens when a job runs on the Repose tab, and with its results: callbacks, no layout."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from dataclasses import replace
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
from reposedm.jobs.repose import PHOTO_KEY, ReposeResult, repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import Step
from reposedm.pose import Pose, parse_pose, retarget
from reposedm.ui.messages import friendly
from reposedm.ui.repose_events import Updates, source_of, write_picture
from reposedm.ui.repose_tab import ReposeTab, controls_visibility
from reposedm.ui.run_controls import RunEnds, chosen
from reposedm.ui.session import Entry, Pending, Session
from reposedm.ui.status import line, step_line

PREVIEW_SIDE = 640
OTHER_PHOTO = (
    "That picture was made from another photo: its pose was fitted to the person of this one, and "
    "the result will be a different picture."
)
NO_PHOTO = "Its pose was not used: there is no photo yet. Upload one and apply the settings again."


class RunCallbacks(RunEnds):
    """Repose, Stop, and what one does with results; ``self.tab`` names what is written."""

    UNTOUCHED = "Your photo and your pose are as they were."

    def __init__(self, tab: ReposeTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def run(  # noqa: PLR0917  the order of the inputs is the layout's
        self, value: EditorValue | None, session: Session, method: str, steps: float,
        guidance: float, pose_guidance: float, seed: float | None, random_seed: bool, count: float,
        paste_back: bool, background: str, texture: bool, keep_settings: bool,
    ) -> Generator[Updates, None, None]:  # fmt: skip
        """Repose: steps and previews while it works, then the pictures."""
        tab = self.tab
        session.cut_short = ""
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
            paste_back, background, texture,
        )  # fmt: skip
        assert session.proxy is not None  # it comes with the photo
        target, photo_id, proxy = value.people[value.selected], session.photo_id, session.proxy
        people = [*session.sources]
        people[value.selected] = target
        pixels = session.photo.pixels
        work = repose(pixels, source, target, settings)
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
        if result.images[0].shape[:2] != pixels.shape[:2]:  # a crop is compared with its like
            proxy = Path(write_picture(session, result.frame.crop(pixels)))
        made = Entry(proxy, proxy, photo_id, "", tuple(people), value.selected)
        entries = self._keep(session, result, made, keep_settings)
        yield self._show(session, entries[0]) | {
            tab.gallery: gr.update(value=gallery_of(session), selected_index=None),
            tab.seed: result.seeds[0],
            tab.status: line(
                summary(result, method), notes=(*result.notes, *(late_note if late else ()))
            ),
            tab.run: gr.update(interactive=True),
            tab.stop: gr.update(interactive=False),
        }

    @friendly
    def picked(self, session: Session, event: gr.SelectData) -> Updates:
        """A picture of the gallery was clicked."""
        return self._show(session, chosen(newest_first(session), event))

    @friendly
    def load_pose(self, value: EditorValue | None, session: Session) -> Updates:
        """Put the pose of the shown result back into the editor."""
        entry = current(session)
        if value is None or not value.people:
            raise PoseError("There is no person to give this pose: upload a photo first.")
        people, selected = list(value.people), value.selected
        if entry.photo_id == session.photo_id and entry.selected < len(people):
            selected, text = entry.selected, "The pose of this result is back."
            people[selected] = entry.pose
        else:
            people[selected] = retarget(entry.pose, value.sources[selected])
            text = "The pose of this result is on the person of this photo."
        changed = EditorValue(value.image, value.size, people, selected, value.sources)
        return {self.tab.editor: changed, self.tab.status: line(text)}

    @friendly
    def reuse(self, session: Session) -> Updates:
        """Use the shown result as the next photo; the poses of everybody on it are known."""
        entry = current(session)
        photo = read_image(entry.path)  # as it will be read when it comes back
        height, width = photo.pixels.shape[:2]
        if (width, height) == entry.pose.size:
            people = entry.people
            session.pending = Pending(photo_key(photo.pixels), people, people, entry.selected)
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
            tab.texture: settings.texture,
        }
        if settings.guidance_scale is not None:
            updates[tab.guidance] = settings.guidance_scale
        if settings.pose_guidance_scale is not None:
            updates[tab.pose_guidance] = settings.pose_guidance_scale
        pose = _stored_pose(stored)
        if pose is not None and (value is None or not value.people):
            notes = (*notes, NO_PHOTO)
        elif pose is not None and value is not None:
            people, body = list(value.people), value.sources[value.selected]
            if not _same_photo(stored, session, body):
                pose, notes = retarget(pose, body), (*notes, OTHER_PHOTO)
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
            tab.guidance: gr.update(visible=shown["guidance_scale"], value=able.default_guidance),
            tab.pose_guidance: gr.update(
                visible=shown["pose_guidance_scale"], value=able.default_pose_guidance
            ),
            tab.texture: gr.update(visible=shown["texture"]),
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
        self, session: Session, result: ReposeResult, like: Entry, keep_settings: bool
    ) -> list[Entry]:
        folder, made = session.folder(), []
        run = time.strftime("%H%M%S") + f"-{time.time_ns() % 10**6:06d}"
        for number, image in enumerate(result.images):
            method, seed = result.settings["method"], result.seeds[number]
            path = folder / run / result_name(method, seed, number + 1)
            path.parent.mkdir(exist_ok=True)
            settings = result.settings_of(number)
            save_png(image, path, settings, keep_settings=keep_settings)
            able = capabilities(method)
            caption = f"seed {seed}" if able.stochastic else able.name  # a thumbnail is narrow
            made.append(replace(like, path=path, caption=caption))
        session.entries.extend(made)
        return made

    def _show(self, session: Session, entry: Entry) -> Updates:
        tab = self.tab
        session.shown = entry
        return {
            tab.result: (str(entry.source_path), str(entry.path)),
            tab.live_result: gr.update(visible=False),
            tab.download: gr.update(value=str(entry.path), interactive=True),
        }


def chosen_settings(  # noqa: PLR0917  as the page's controls
    method: str, steps: float | None, guidance: float | None, pose_guidance: float | None,
    seed: float | None, count: float, paste_back: bool, background: str, texture: bool = True,
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
        texture=texture or "texture" not in able.controls,
    )


def gallery_of(session: Session) -> list[tuple[str, str]]:
    """What the gallery shows: the results of this session with their captions."""
    return [(str(entry.path), entry.caption) for entry in newest_first(session)]


def newest_first(session: Session) -> list[Entry]:
    """The results in the gallery's order: what was just made is seen without scrolling."""
    return list(session.entries)[::-1]


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
    if session.shown is None:
        raise PoseError("There is no result yet: press Repose first.")
    return session.shown


def _stored_pose(stored: Any, key: str = "pose") -> Pose | None:
    pose = stored.get(key) if isinstance(stored, dict) else None
    return parse_pose(pose) if pose else None


def _same_photo(stored: dict[str, Any], session: Session, body: Pose) -> bool:
    """Whether settings are of a result made from this session's photo.

    Files of older versions have no key of their photo: there, the person must stand where they did.
    """
    if "photo" in stored:
        return bool(stored["photo"] == session.photo_id[:PHOTO_KEY])
    source = _stored_pose(stored, "source_pose")
    if source is None or source.size != body.size:
        return False
    apart = np.hypot(*(source.points - body.points)[source.drawn & body.drawn].T)
    return bool(apart.size and apart.max() < 0.01 * np.hypot(*body.size))
