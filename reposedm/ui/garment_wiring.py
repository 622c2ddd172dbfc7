"""The Garment tab's events: which component calls what."""

from __future__ import annotations

from typing import Any, Final

import gradio as gr

from reposedm.ui import garment_endpoint, garment_tab
from reposedm.ui.garment_events import GarmentCallbacks
from reposedm.ui.garment_examples import all_examples
from reposedm.ui.garment_run import GarmentRun, send_to_garment, send_to_repose, shown_entry
from reposedm.ui.garment_session import GarmentSession
from reposedm.ui.garment_tab import GarmentTab
from reposedm.ui.messages import friendly
from reposedm.ui.pages import HIDDEN, Shell, name_pictures, show_on_phone, show_tab
from reposedm.ui.session import Session

DETECTION: Final[dict[str, Any]] = {
    **HIDDEN, "concurrency_id": "detect", "concurrency_limit": 1
}  # fmt: skip


def add(shell: Shell) -> None:
    """Lay the tab out in the current ``gr.Tab`` and connect it."""
    session = gr.State(GarmentSession(), delete_callback=GarmentSession.clear)
    tab = garment_tab.build()
    _wire_photos(tab, session)
    _wire_run(tab, session)
    _wire_tabs(shell, tab, session)
    garment_endpoint.add()
    titles = [f"{one.title}: {what}" for one in all_examples() for what in ("person", "garment")]
    assert shell.tab is not None  # its pictures are on the page once it is shown
    shell.tab.select(None, None, None, js=name_pictures("#garment-examples", titles), **HIDDEN)


def _wire_photos(tab: GarmentTab, session: gr.State) -> None:
    calls = GarmentCallbacks(tab)
    chosen = [session, tab.region, tab.kind]
    planned = [tab.mask, tab.landmarks, tab.mask_view, tab.warp_view, tab.status]
    events = [
        # `change`, because `upload` does not fire for examples; it also fires on None.
        tab.person.change(calls.person_changed, [tab.person, *chosen], planned, **DETECTION),
        tab.garment.change(calls.garment_changed, [tab.garment, *chosen], planned, **DETECTION),
        tab.region.input(calls.replanned, chosen, planned, **DETECTION),
        tab.kind.input(calls.kind_changed, chosen, planned, **DETECTION),
        tab.automatic.click(calls.replanned, chosen, planned, **DETECTION),
        tab.landmarks.input(
            calls.joints_moved, [tab.landmarks, *chosen], planned, trigger_mode="always_last",
            **DETECTION,
        ),
    ]  # fmt: skip
    for event in events:
        event.failure(calls.failed, session, tab.status, queue=False, **HIDDEN)
    tab.examples.click(
        calls.example_chosen, [tab.examples, session],
        [tab.region, tab.person, tab.garment, tab.result, tab.download, tab.status], **HIDDEN,
    )  # fmt: skip


def _wire_run(tab: GarmentTab, session: gr.State) -> None:
    calls, photos = GarmentRun(tab), GarmentCallbacks(tab)
    run = tab.run.click(
        calls.run,
        [tab.mask, session, tab.region, tab.kind, tab.method, tab.steps, tab.guidance,
         tab.resample, tab.seed, tab.random_seed, tab.count, tab.keep_settings],
        [tab.run, tab.stop, tab.status, tab.live_result, tab.result, tab.gallery, tab.download,
         tab.seed, tab.mask_view, tab.warp_view],
        concurrency_id="accelerator", concurrency_limit=1, trigger_mode="once",
        show_progress="minimal", show_progress_on=tab.status, api_visibility="private",
    )  # fmt: skip
    run.success(None, None, None, js=show_on_phone("#garment-status"), **HIDDEN)
    ended = [tab.run, tab.stop, tab.live_result, tab.status]
    run.failure(calls.failed, session, ended, queue=False, **HIDDEN)
    tab.stop.click(calls.stopped, session, ended, cancels=[run], queue=False, **HIDDEN)
    # A run under way would put its result back onto the page.
    tab.delete.click(
        photos.delete_data, session,
        [tab.person, tab.garment, tab.mask, tab.landmarks, tab.result, tab.gallery,
         tab.mask_view, tab.warp_view, tab.download, *ended],
        cancels=[run], **HIDDEN,
    )  # fmt: skip
    tab.method.change(
        calls.method_changed, tab.method,
        [tab.about_method, tab.steps, tab.guidance, tab.resample, tab.seed, tab.random_seed,
         tab.count],
        queue=False, **HIDDEN,
    )  # fmt: skip
    tab.gallery.select(
        calls.picked, session, [tab.result, tab.live_result, tab.download], queue=False, **HIDDEN
    )
    tab.reuse_result.click(calls.reuse, session, tab.person, queue=False, **HIDDEN)


def _wire_tabs(shell: Shell, tab: GarmentTab, session: gr.State) -> None:
    """Results go from the Repose tab to this one, and back."""
    assert shell.repose is not None  # the first tab
    repose, repose_session = shell.repose

    @friendly
    def to_repose(mine: GarmentSession, theirs: Session) -> str:
        return send_to_repose(mine, theirs)

    @friendly
    def to_garment(theirs: Session, mine: GarmentSession) -> str:
        return send_to_garment(theirs, mine)

    @friendly
    def checked(mine: GarmentSession) -> None:
        shown_entry(mine)

    # A tab that was never shown has no components on the page yet: first the tab, then the photo.
    tab.to_repose.click(checked, session, None, queue=False, **HIDDEN).success(
        None, None, None, js=show_tab("Repose"), **HIDDEN
    ).then(to_repose, [session, repose_session], repose.photo, queue=False, **HIDDEN)
    repose.to_garment.click(None, None, None, js=show_tab("Garment swap"), **HIDDEN).then(
        to_garment, [repose_session, session], tab.person, queue=False, **HIDDEN
    )
