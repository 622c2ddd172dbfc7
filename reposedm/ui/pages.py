"""What the tabs share: the shell that they are added to, and small pieces of wiring."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import gradio as gr

from reposedm.ui.repose_tab import ReposeTab

HIDDEN: Final[dict[str, Any]] = {"show_progress": "hidden", "api_visibility": "private"}
"""Options of events that nobody outside the page may call, and that cover nothing."""


@dataclass
class Shell:
    """The page while its tabs are added.

    Attributes:
        page: the whole page, for its ``load``.
        tabs: the row of tabs; ``gr.Tabs(selected=ID)`` as its update changes to one.
        local: only this computer's user can reach the app, so its folders may be named.
        tab: the tab that is being filled.
        repose: the Repose tab and its session, for tabs that exchange pictures with it.
    """

    page: gr.Blocks
    tabs: gr.Tabs
    local: bool = False
    tab: gr.Tab | None = None
    repose: tuple[ReposeTab, gr.State] | None = None


def name_pictures(selector: str, titles: Sequence[str]) -> str:
    """Script that names a dataset's pictures: ``gr.Dataset`` gives them an empty ``alt``."""
    return (
        f"() => {{ const titles = {json.dumps(list(titles))}; const name = () => "
        f"document.querySelectorAll('{selector} img').forEach((image, i) => "
        "{ image.alt = titles[i] || ''; }); name(); setTimeout(name, 1500); }"
    )


class Page(NamedTuple):
    """One tab: its title, its id, and what lays it out in the current ``gr.Tab`` and wires it."""

    title: str
    id: str
    add: Callable[[Shell], None]


def show_tab(title: str) -> str:
    """Script that brings a tab to the front, out of the menu of a narrow screen as well.

    An update ``gr.Tabs(selected=...)`` from the server did not: the tab that it names was the
    selected one as far as the server knew, since visitors change tabs without telling it.
    """
    return (
        "() => { [...document.querySelectorAll('#tabs button[role=tab], #tabs .overflow-dropdown "
        f"button')].find(one => one.textContent.trim() === {json.dumps(title)})?.click(); }}"
    )


def show_on_phone(selector: str) -> str:
    """Script that scrolls a part of the page into view where the columns are stacked."""
    return (
        "(...inputs) => { if (innerWidth <= 768 && (!inputs.length || inputs[0])) "
        f"document.querySelector('{selector}')?.scrollIntoView({{block: 'start'}}); }}"
    )
