"""The augmentation tab's events: which component calls what."""

from __future__ import annotations

import gradio as gr

from reposedm.ui import augment_tab
from reposedm.ui.augment_events import AugmentCallbacks, AugmentSession
from reposedm.ui.pages import HIDDEN, Shell, show_on_phone


def add(shell: Shell) -> None:
    """Lay the tab out in the current ``gr.Tab`` and connect it."""
    session = gr.State(AugmentSession(), delete_callback=AugmentSession.clear)
    tab = augment_tab.build(local=shell.local)
    calls = AugmentCallbacks(tab)
    read = [tab.table, tab.status]
    ended = [tab.run, tab.preview, tab.stop, tab.status]
    for event in (
        tab.upload.change(calls.uploaded, [tab.upload, session], read, **HIDDEN),
        tab.read.click(calls.named, [tab.folder, session], read, **HIDDEN),
        tab.folder.submit(calls.named, [tab.folder, session], read, **HIDDEN),
    ):
        event.failure(calls.failed, session, ended, queue=False, **HIDDEN)
    chosen = [session, tab.per_identity, tab.poses, tab.pose_file, tab.method, tab.steps, tab.seed,
              tab.masks, tab.filter]  # fmt: skip
    shown = [*ended, tab.sheet, tab.download, tab.report]
    runs = [
        button.click(
            call, chosen, shown, concurrency_id="augment", concurrency_limit=1,
            trigger_mode="once", show_progress="minimal", show_progress_on=tab.status,
            api_visibility="private",
        )
        for button, call in ((tab.run, calls.run), (tab.preview, calls.preview))
    ]  # fmt: skip
    for run in runs:
        run.success(None, None, None, js=show_on_phone("#augment-status"), **HIDDEN)
        run.failure(calls.failed, session, ended, queue=False, **HIDDEN)
    tab.stop.click(calls.stopped, session, ended, cancels=runs, queue=False, **HIDDEN)
    tab.delete.click(
        calls.delete_data, session,
        [*ended, tab.upload, tab.folder, tab.pose_file, tab.table, tab.sheet, tab.download,
         tab.report],
        cancels=runs, **HIDDEN,
    )  # fmt: skip
    tab.poses.change(calls.poses_changed, tab.poses, tab.pose_file, queue=False, **HIDDEN)
    tab.method.change(
        calls.method_changed, tab.method, [tab.about_method, tab.steps], queue=False, **HIDDEN
    )
