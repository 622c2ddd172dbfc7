"""What happens on the augmentation tab: callbacks, no layout."""

from __future__ import annotations

import hashlib
import html
import json
import time
import zipfile
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import gradio as gr

from reposedm.augment.ledger import MANIFEST, read_rows
from reposedm.augment.naming import Understood
from reposedm.augment.pictures import PictureSet
from reposedm.augment.report import contact_sheet, identity_sheet, understood_table
from reposedm.augment.run import REPORT, Summary, augment
from reposedm.augment.settings import AugmentSettings
from reposedm.errors import ArchiveError, SettingsError
from reposedm.imaging.archive import open_collection
from reposedm.jobs.methods import capabilities
from reposedm.jobs.runtime import Pace
from reposedm.pipelines.base import Image, Step
from reposedm.ui.augment_tab import FILE, AugmentTab, reid_weights
from reposedm.ui.messages import friendly
from reposedm.ui.run_controls import Updates
from reposedm.ui.session import Session
from reposedm.ui.status import line

PREVIEWED: Final = 3
"""Identities on the preview sheet."""
ON_SHEET: Final = 48
"""Newest pictures on the growing sheet."""
EVERY_S: Final = 0.5
"""Seconds between updates of the page."""
SKIPPED_SHOWN: Final = 200


@dataclass
class AugmentSession(Session):
    """What one visitor has read."""

    source: Path | None = None
    source_id: str = ""
    understood: Understood | None = None


class AugmentCallbacks:
    """Read a set, preview, run; ``self.tab`` names what is written."""

    def __init__(self, tab: AugmentTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def uploaded(self, path: str | None, session: AugmentSession) -> Generator[Updates, None, None]:
        """A zip arrived."""
        yield {self.tab.status: gr.skip()}
        if path is None:
            return
        session.uploads.add(Path(path))
        yield from self._read(Path(path), session)

    @friendly
    def named(self, text: str, session: AugmentSession) -> Generator[Updates, None, None]:
        """A folder of this computer was named."""
        yield {self.tab.status: gr.skip()}
        if not self.tab.local:
            raise SettingsError("Folders can be named only where the app runs on your computer.")
        if not text.strip():
            raise SettingsError("Name a folder of pictures first.")
        yield from self._read(Path(text.strip()).expanduser(), session)

    @friendly
    def preview(self, session: AugmentSession, *chosen: Any) -> Generator[Updates, None, None]:
        """Make the pictures of a few identities and show them beside their sources."""
        settings = self._settings(*chosen)
        settings = replace(settings, limit=PREVIEWED * settings.per_identity)
        summary = yield from self._work(session, settings)
        assert session.source is not None  # or there would be no summary
        with open_collection(session.source) as files:
            sheet = identity_sheet(
                PictureSet(files), summary.out, read_rows(summary.out / MANIFEST)
            )
        text = f"Preview of {summary.kept} pictures, each after its source, which is framed."
        yield self._idle() | {
            self.tab.sheet: sheet,
            self.tab.status: line(text, notes=notes_of(summary)),
        }

    @friendly
    def run(self, session: AugmentSession, *chosen: Any) -> Generator[Updates, None, None]:
        """Make everything; then the zip and the report."""
        summary = yield from self._work(session, self._settings(*chosen))
        yield {self.tab.status: line("Packing the zip…")}
        packed = pack(summary.out)
        text = f"Done: {summary.kept} of {summary.planned} pictures."
        yield self._idle() | {
            self.tab.status: line(text, notes=notes_of(summary)),
            self.tab.download: gr.update(value=str(packed), interactive=True),
            self.tab.report: gr.update(value=str(summary.out / REPORT), interactive=True),
        }

    @friendly
    def stopped(self, session: AugmentSession) -> Updates:
        """After Stop: what is finished is kept, and the same settings go on from there."""
        session.cut_short = "Stopped. Press the same button again to go on from here."
        return self.failed(session)

    @friendly
    def failed(self, session: AugmentSession) -> Updates:
        """After a run without result; Gradio reports one that was stopped as failed, too."""
        text = session.cut_short or "That did not work; see the message. Nothing of yours is lost."
        return self._idle() | {self.tab.status: line(text)}

    @friendly
    def poses_changed(self, poses: str) -> Updates:
        """Ask for the file where poses come from one."""
        return {self.tab.pose_file: gr.update(visible=poses == FILE)}

    @friendly
    def method_changed(self, method: str) -> Updates:
        """Show the controls that mean something to the method."""
        able = capabilities(method)
        return {
            self.tab.about_method: able.description,
            self.tab.steps: gr.update(visible="steps" in able.controls, value=able.default_steps),
        }

    @friendly
    def delete_data(self, session: AugmentSession) -> Updates:
        """Forget the set, the results and every file of this session."""
        session.clear()
        session.source, session.understood, session.source_id = None, None, ""
        session.cut_short = "Your pictures and results were deleted from this server."
        tab = self.tab
        return self._idle() | {
            tab.upload: None, tab.folder: "", tab.pose_file: None, tab.table: "", tab.sheet: None,
            tab.download: gr.update(value=None, interactive=False),
            tab.report: gr.update(value=None, interactive=False),
            tab.status: line(session.cut_short),
        }  # fmt: skip

    def _read(self, path: Path, session: AugmentSession) -> Generator[Updates, None, None]:
        """Open every picture once and show the table of what was understood."""
        tab = self.tab
        session.source, session.understood = None, None
        yield {tab.table: "", tab.status: line("Reading the pictures…")}
        with open_collection(path) as files:
            pictures = PictureSet(files)
            checking = pictures.checked()
            while True:
                try:
                    step = next(checking)
                except StopIteration as stop:
                    understood: Understood = stop.value
                    break
                yield {tab.status: line("Reading the pictures…", done=step.index, total=step.total)}
        session.source, session.understood = path, understood
        session.source_id = hashlib.sha256(
            f"{path.resolve()}\0{pictures.fingerprint}".encode()
        ).hexdigest()
        found = len(understood.identities)
        text = f"{len(understood.shots)} pictures of {found} identities. Preview first, or augment."
        yield {tab.table: table_of(understood), tab.status: line(text, notes=understood.notes)}

    def _settings(  # noqa: PLR0917  the order of the inputs is the layout's
        self, per_identity: float, poses: str, pose_file: str | None, method: str, steps: float,
        seed: float | None, masks: str, keep_best: bool,
    ) -> AugmentSettings:  # fmt: skip
        if poses == FILE and pose_file is None:
            raise SettingsError("Upload the file of poses first, or take the poses from the set.")
        able = capabilities(method)
        return AugmentSettings(
            per_identity=per_identity,  # type: ignore[arg-type]  # a slider's number; checked there
            poses=str(pose_file) if poses == FILE else poses,
            method=method,
            steps=steps if "steps" in able.controls else None,  # type: ignore[arg-type]
            seed=0 if seed is None else seed,  # type: ignore[arg-type]
            masks=masks,  # type: ignore[arg-type]
            filter=bool(keep_best),
            reid_weights=reid_weights() if keep_best else "",
        )

    def _work(
        self, session: AugmentSession, settings: AugmentSettings
    ) -> Generator[Updates, None, Summary]:
        """A run with its progress and the growing sheet."""
        tab = self.tab
        session.cut_short = ""
        if session.source is None or session.understood is None:
            raise ArchiveError("There are no pictures yet: upload a zip of them.")
        out = self._folder(session, settings)
        busy = {"interactive": False}
        yield {tab.run: gr.update(**busy), tab.preview: gr.update(**busy),
               tab.stop: gr.update(interactive=True), tab.status: line("Starting…")}  # fmt: skip
        work = augment(session.source, out, settings, resume=True)
        shown: list[Image] = []
        pace, last = Pace(), 0.0
        try:
            while True:
                try:
                    step = next(work)
                except StopIteration as stop:
                    summary: Summary = stop.value
                    return summary
                shown += step.previews
                left = pace.seconds_left(step)
                if time.monotonic() - last >= EVERY_S:
                    last = time.monotonic()
                    yield self._progress(step, left, shown)
        finally:
            work.close()

    def _progress(self, step: Step, left: float | None, shown: Sequence[Image]) -> Updates:
        tab = self.tab
        if not step.total:
            return {tab.status: line("Waiting for another picture to be finished…")}
        about = "" if left is None or left < 1 else f", about {_spoken(left)} left"
        text = f"{step.stage.capitalize()}: {step.index} of {step.total}{about}"
        updates: Updates = {tab.status: line(text, done=step.index, total=step.total)}
        if step.previews:
            updates[tab.sheet] = contact_sheet(shown[-ON_SHEET:])
        return updates

    def _folder(self, session: AugmentSession, settings: AugmentSettings) -> Path:
        """The folder of a run: the same for the same set and settings, so that it goes on."""
        asked = json.dumps([session.source_id, settings.stored(), settings.poses], sort_keys=True)
        key = hashlib.sha256(asked.encode()).hexdigest()[:16]
        return session.folder() / f"augment-{key}"

    def _idle(self) -> Updates:
        """The buttons while nothing runs."""
        tab = self.tab
        return {
            tab.run: gr.update(interactive=True), tab.preview: gr.update(interactive=True),
            tab.stop: gr.update(interactive=False),
        }  # fmt: skip


def table_of(understood: Understood) -> str:
    """HTML of what was understood; names of files are a stranger's text."""
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in understood_table(understood)
    )
    skipped = understood.skipped[:SKIPPED_SHOWN]
    listed = "".join(
        f"<li>{html.escape(one.name)}: {html.escape(one.reason)}</li>" for one in skipped
    )
    more = len(understood.skipped) - len(skipped)
    listed += f"<li>and {more} more</li>" if more else ""
    details = (
        f"<details><summary>{len(understood.skipped)} files were skipped</summary>"
        f"<ul>{listed}</ul></details>"
        if listed
        else ""
    )
    return f"<table>{rows}</table>{details}"


def notes_of(summary: Summary) -> list[str]:
    """What was left out of a run, for the status line."""
    notes = [f"Not used: {count} x {reason}" for reason, count in summary.unposed.items()][:5]
    return notes + [f"Not kept: {count} x {why}" for why, count in summary.reasons.items()][:5]


def pack(out: Path) -> Path:
    """A zip of a folder of results, beside it."""
    packed = out.with_suffix(".zip")
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as made:  # PNG is packed already
        for path in sorted(out.iterdir()):
            if path.is_file() and not path.name.startswith("."):
                made.write(path, f"augmented/{path.name}")
    return packed


def _spoken(seconds: float) -> str:
    """A time for people."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
