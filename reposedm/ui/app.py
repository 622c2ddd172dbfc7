"""The whole page: tabs, wiring of events to callbacks, API, and how it is served."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Final

import gradio as gr

from reposedm.errors import SettingsError
from reposedm.ui import endpoints, repose_tab
from reposedm.ui.about import ABOUT
from reposedm.ui.examples import all_examples
from reposedm.ui.repose_events import PhotoCallbacks
from reposedm.ui.repose_tab import ReposeTab
from reposedm.ui.run_events import RunCallbacks
from reposedm.ui.session import Session

STYLE: Final = Path(__file__).with_name("style.css")
HIDDEN: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
QUEUE: Final = 20
"""Jobs that may wait; the next visitor is told that the app is busy (C-44)."""


def build() -> gr.Blocks:
    """The interface, not yet served."""
    with gr.Blocks(
        title="RePoseDM", analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True
    ) as page:
        gr.Markdown(
            "# RePoseDM\nA photo of a person in, joints dragged, the same person in the new pose.",
            elem_id="hero",
        )
        session = gr.State(Session(), delete_callback=Session.clear)
        with gr.Tab("Repose", id="repose"):
            tab = repose_tab.build()
        with gr.Tab("About", id="about"):
            gr.Markdown(ABOUT)
        _wire_photo(tab, session)
        _wire_run(tab, session, PhotoCallbacks(tab))
        _wire_results(tab, session)
        endpoints.add()
        page.load(None, None, None, js=_name_examples(), **HIDDEN)
    page.queue(max_size=QUEUE, default_concurrency_limit=1)
    return page


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
         tab.random_seed, tab.count, tab.paste_back, tab.background, tab.keep_settings],
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
        [tab.about_method, tab.steps, tab.guidance, tab.pose_guidance, tab.seed, tab.random_seed,
         tab.count],
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
         tab.pose_guidance, tab.paste_back, tab.background, tab.editor, tab.status],
        **HIDDEN,
    )  # fmt: skip


def _name_examples() -> str:
    """Script that names the examples' pictures: ``gr.Dataset`` gives them an empty ``alt``."""
    titles = json.dumps([example.title for example in all_examples()])
    return (
        f"() => {{ const titles = {titles}; document.querySelectorAll('#examples img')"
        ".forEach((image, i) => { image.alt = titles[i] || ''; }); }"
    )


def show_on_phone(selector: str) -> str:
    """Script that scrolls a part of the page into view where the columns are stacked."""
    return (
        "(...inputs) => { if (innerWidth <= 768 && (!inputs.length || inputs[0])) "
        f"document.querySelector('{selector}')?.scrollIntoView({{block: 'start'}}); }}"
    )


def serve(
    *,
    port: int | None = None,
    listen: bool = False,
    share: bool = False,
    auth: str | None = None,
    open_browser: bool = True,
    block: bool = True,
) -> tuple[gr.Blocks, str]:
    """Build and serve the app.

    Args:
        port: the port, or None for 7860 or the next free one.
        listen: accept connections from other machines.
        share: a public link through gradio's servers.
        auth: "user:password" that visitors must give.
        open_browser: open the page in a browser, where there is one.
        block: stay here until interrupted.

    Returns:
        The page and its local address.

    Raises:
        SettingsError: the port is taken, or ``auth`` is not user:password.
    """
    login = _login(auth)
    hosted = "SPACE_ID" in os.environ  # a Hugging Face Space serves its own address
    if (listen or share) and not login:
        print("Warning: anybody who can reach this address can use the app; see --auth.")
    page = build()
    try:
        _, url, _ = page.launch(
            server_name="0.0.0.0" if listen or hosted else "127.0.0.1",
            server_port=port,
            share=share,
            auth=login,
            inbrowser=open_browser and not hosted and _has_display(),
            prevent_thread_lock=True,
            show_error=False,
            ssr_mode=False,
            run_history=False,  # on by default: it would keep visitors' photos in their browser
            max_file_size="25mb",
            footer_links=["api", "settings"],
            css_paths=[STYLE],
            theme=_theme(),
        )
    except OSError as error:
        raise SettingsError(
            f"Port {port or '7860 and those after it'} is taken: choose another with --port."
        ) from error
    if block:
        page.block_thread()
    return page, url


def _theme() -> gr.themes.Base:
    """Gradio's own, with its pale texts at a contrast of 4.5 and more."""
    return gr.themes.Default(primary_hue="indigo", font=["system-ui", "sans-serif"]).set(
        body_text_color_subdued="*neutral_600",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def _login(auth: str | None) -> tuple[str, str] | None:
    if auth is None:
        return None
    user, colon, password = auth.partition(":")
    if not (user and colon and password):
        raise SettingsError("--auth needs USER:PASSWORD.")
    return user, password


def _has_display() -> bool:
    import sys

    return sys.platform in ("win32", "darwin") or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
