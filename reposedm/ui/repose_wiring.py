"""The Repose tab's events: which component calls what."""

from __future__ import annotations

import gradio as gr

from reposedm.ui import repose_tab
from reposedm.ui.examples import all_examples
from reposedm.ui.pages import HIDDEN, Shell, name_pictures, show_on_phone
from reposedm.ui.repose_events import PhotoCallbacks
from reposedm.ui.repose_tab import ReposeTab
from reposedm.ui.run_events import RunCallbacks
from reposedm.ui.session import Session


def add(shell: Shell) -> None:
    """Lay the tab out in the current ``gr.Tab`` and connect it."""
    session = gr.State(Session(), delete_callback=Session.clear)
    tab = repose_tab.build()
    shell.repose = tab, session
    _wire_photo(tab, session)
    _wire_run(tab, session, PhotoCallbacks(tab))
    _wire_results(tab, session)
    titles = [example.title for example in all_examples()]
    shell.page.load(None, None, None, js=name_pictures("#examples", titles), **HIDDEN)


def _wire_photo(tab: ReposeTab, session: gr.State) -> None:
    calls = PhotoCallbacks(tab)
    detection = {**HIDDEN, "concurrency_id": "detect", "concurrency_limit": 1}
    edit = [tab.editor, tab.match, tab.status]
    # `change`, because `upload` does not fire for examples; it also fires on None: handled there.
    photo = tab.photo.change(
        calls.photo_changed, [tab.photo, session, tab.detector], edit, **detection
    )
    again = tab.editor.detect(calls.detect_again, [session, tab.detector], edit, **detection)
    for event in (photo, again):  # a lock that nothing lifts would cost the user the page
        event.failure(calls.freed, None, [tab.editor, tab.status], queue=False, **HIDDEN)
    photo.success(None, tab.photo, None, js=show_on_phone("#editor"), **HIDDEN)
    tab.editor.select(calls.person_chosen, session, None, queue=False, **HIDDEN)
    tab.editor.upload(calls.dropped_into_editor, tab.editor, [tab.photo, tab.status], **HIDDEN)
    tab.match.click(calls.matched, [tab.editor, session], edit, **HIDDEN)
    tab.rotate.click(calls.rotate, session, tab.photo, **HIDDEN)
    tab.pose_photo.change(
        calls.pose_from_photo, [tab.pose_photo, tab.editor, session, tab.detector], edit,
        **detection,
    )  # fmt: skip
    tab.examples.click(
        calls.example_chosen, [tab.examples, session],
        [tab.photo, tab.result, tab.download, tab.status], **HIDDEN,
    )  # fmt: skip
    # Outside the queue, and the page asks for the next one only after the answer (C-30).
    tab.editor.preview(
        calls.live, session, tab.editor, queue=False, trigger_mode="multiple", **HIDDEN
    )


def _wire_run(tab: ReposeTab, session: gr.State, photo: PhotoCallbacks) -> None:
    calls = RunCallbacks(tab)
    shown = [
        tab.run, tab.stop, tab.status, tab.live_result, tab.result, tab.gallery, tab.download,
        tab.seed,
    ]  # fmt: skip
    run = tab.run.click(
        calls.run,
        [tab.editor, session, tab.method, tab.steps, tab.guidance, tab.pose_guidance, tab.seed,
         tab.random_seed, tab.count, tab.paste_back, tab.background, tab.texture,
         tab.keep_settings],
        shown, concurrency_id="accelerator", concurrency_limit=1, trigger_mode="once",
        # The queue place is shown on the status line, so that it covers no picture.
        show_progress="minimal", show_progress_on=tab.status, api_visibility="private",
    )  # fmt: skip
    run.success(None, None, None, js=show_on_phone("#status"), **HIDDEN)
    ended = [tab.run, tab.stop, tab.live_result, tab.status]
    run.failure(calls.failed, session, ended, queue=False, **HIDDEN)
    tab.stop.click(calls.stopped, session, ended, cancels=[run], queue=False, **HIDDEN)
    # A run under way would put its result back onto the page.
    tab.delete.click(
        photo.delete_data, session,
        [tab.photo, tab.pose_photo, tab.editor, tab.match, tab.result, tab.gallery, tab.download,
         tab.settings_file, *ended],
        cancels=[run], **HIDDEN,
    )  # fmt: skip
    tab.method.change(
        calls.method_changed, tab.method,
        [tab.about_method, tab.steps, tab.guidance, tab.pose_guidance, tab.texture, tab.seed,
         tab.random_seed, tab.count],
        queue=False, **HIDDEN,
    )  # fmt: skip


def _wire_results(tab: ReposeTab, session: gr.State) -> None:
    calls = RunCallbacks(tab)
    result = [tab.result, tab.live_result, tab.download]
    tab.gallery.select(calls.picked, session, result, queue=False, **HIDDEN)
    tab.load_pose.click(
        calls.load_pose, [tab.editor, session], [tab.editor, tab.status], queue=False, **HIDDEN
    )
    tab.reuse_result.click(calls.reuse, session, tab.photo, queue=False, **HIDDEN)
    tab.settings_file.change(
        calls.read_file, tab.settings_file, [tab.settings_shown, tab.settings_apply, tab.status],
        **HIDDEN,
    )  # fmt: skip
    tab.settings_apply.click(
        calls.apply_settings, [tab.settings_shown, tab.editor, session],
        [tab.method, tab.seed, tab.random_seed, tab.count, tab.steps, tab.guidance,
         tab.pose_guidance, tab.paste_back, tab.background, tab.texture, tab.editor, tab.status],
        **HIDDEN,
    )  # fmt: skip
