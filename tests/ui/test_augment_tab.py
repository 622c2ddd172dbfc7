"""The augmentation tab without a browser: who may name folders, and what a session leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest

from reposedm.augment.naming import understand
from reposedm.augment.report import THUMBNAIL, contact_sheet
from reposedm.imaging.archive import Member, Skipped
from reposedm.ui import augment_tab
from reposedm.ui.augment_events import AugmentCallbacks, AugmentSession, pack, table_of
from tests.augment.crowd import write_crowd


def callbacks(*, local: bool) -> AugmentCallbacks:
    with gr.Blocks():
        return AugmentCallbacks(augment_tab.build(local=local))


def last(updates: Any) -> dict[Any, Any]:
    return list(updates)[-1]


def test_folders_are_named_only_where_nobody_else_can_reach_the_app(tmp_path: Path) -> None:
    write_crowd(tmp_path / "set", 2, 1, size=(24, 48))
    calls, session = callbacks(local=False), AugmentSession()
    assert not calls.tab.folder.visible and not calls.tab.read.visible
    with pytest.raises(gr.Error, match="only where the app runs on your computer"):
        list(calls.named(str(tmp_path / "set"), session))
    assert session.source is None
    calls = callbacks(local=True)
    updates = last(calls.named(f" {tmp_path / 'set'} ", session))
    assert "2 pictures of 2 identities" in updates[calls.tab.status]
    assert session.source == tmp_path / "set"
    with pytest.raises(gr.Error, match="cannot be read"):
        list(calls.named(str(tmp_path / "absent"), session))
    assert session.source is None, "nothing is left of the set before"


def test_names_in_the_table_are_text() -> None:
    name = "0001_c1s1_000001_00.png"
    table = table_of(understand([Member(name, (), name)], [Skipped("<img src=x>", "<b>bad</b>")]))
    assert "<img" not in table and "<b>" not in table and "&lt;img src=x&gt;" in table


def test_a_session_deletes_its_results_and_the_zip_has_them(tmp_path: Path) -> None:
    session = AugmentSession()
    out = session.folder() / "augment-1"
    out.mkdir()
    (out / "a.png").write_bytes(b"x")
    (out / ".lock-00000").write_bytes(b"x")
    packed = pack(out)
    assert packed.stat().st_size > 100 and packed.parent == session.folder()
    session.clear()
    assert not out.exists() and not packed.exists()


def test_the_contact_sheet_has_a_cell_for_each_picture() -> None:
    height, width = THUMBNAIL
    pictures = [np.full((40 + index, 20, 3), index, np.uint8) for index in range(14)]
    assert contact_sheet(pictures).shape == (2 * (height + 2), 12 * (width + 2), 3)
    assert contact_sheet(pictures[:1]).shape == (height + 2, width + 2, 3)
    assert contact_sheet([]).shape == (height + 2, width + 2, 3)
