"""The whole page: its tabs, the API, and how it is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import gradio as gr

from reposedm.errors import SettingsError
from reposedm.ui import augment_wiring, endpoints, garment_wiring, repose_wiring
from reposedm.ui.about import ABOUT
from reposedm.ui.pages import Page, Shell

STYLE: Final = Path(__file__).with_name("style.css")
QUEUE: Final = 20
"""Jobs that may wait; the next visitor is told that the app is busy (C-44)."""


def build(*, local: bool = False) -> gr.Blocks:
    """The interface, not yet served.

    Args:
        local: nobody but the user of this computer will reach it.
    """
    with gr.Blocks(
        title="RePoseDM", analytics_enabled=False, delete_cache=(3600, 86400), fill_width=True
    ) as page:
        gr.Markdown(
            "# RePoseDM\nA photo of a person in, joints dragged, the same person in the new pose.",
            elem_id="hero",
        )
        with gr.Tabs(selected=PAGES[0].id, elem_id="tabs") as tabs:
            shell = Shell(page, tabs, local)
            for one in PAGES:
                with gr.Tab(one.title, id=one.id) as shell.tab:
                    one.add(shell)
        endpoints.add()
    page.queue(max_size=QUEUE, default_concurrency_limit=1)
    return page


def _about(shell: Shell) -> None:
    gr.Markdown(ABOUT)


PAGES: Final = (
    Page("Repose", "repose", repose_wiring.add),
    Page("Garment swap", "garment", garment_wiring.add),
    Page("Re-ID augmentation", "augment", augment_wiring.add),
    Page("About", "about", _about),
)
"""The tabs, in their order."""


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
    page = build(local=not (listen or share or hosted))
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
