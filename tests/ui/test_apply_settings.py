"""Settings read from an older result: what is applied to this photo, and what is said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import numpy as np
import pytest

from pose_editor import EditorValue
from reposedm.imaging import Photo
from reposedm.jobs.repose import repose
from reposedm.jobs.settings import ReposeSettings
from reposedm.pipelines.base import drain
from reposedm.pose import Pose, retarget
from reposedm.ui import repose_tab
from reposedm.ui.run_events import NO_PHOTO, OTHER_PHOTO, RunCallbacks
from reposedm.ui.session import Session
from tests.drawn import arms_up, photo, standing

IMAGE, POSE, MASK = photo()
WANTED = arms_up(POSE)


@pytest.fixture(scope="module")
def calls() -> RunCallbacks:
    with gr.Blocks():
        return RunCallbacks(repose_tab.build())


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """What the PNG of a result says."""
    settings = ReposeSettings(background="transparent")
    return drain(repose(IMAGE, POSE, WANTED, settings, source_mask=MASK)).settings_of(0)


@pytest.fixture
def session() -> Iterator[Session]:
    session = Session()
    yield session
    session.clear()


def applied(
    calls: RunCallbacks, session: Session, stored: dict[str, Any], image: np.ndarray, body: Pose
) -> tuple[Pose, str]:
    """The editor's pose afterwards, and the status line."""
    session.set_photo(Photo(image))
    value = EditorValue(str(session.proxy), body.size, [body], 0, [body])
    updates = calls.apply_settings(stored, value, session)
    return updates[calls.tab.editor].people[0], updates[calls.tab.status]


def test_on_its_own_photo_the_pose_is_the_same(
    calls: RunCallbacks, session: Session, stored: dict[str, Any]
) -> None:
    pose, said = applied(calls, session, stored, IMAGE, POSE)
    np.testing.assert_allclose(pose.points, WANTED.points, atol=0.01)
    assert "Settings applied." in said and OTHER_PHOTO not in said


@pytest.mark.parametrize("same_size", [True, False])
def test_on_another_photo_it_is_fitted_and_that_is_said(
    calls: RunCallbacks, session: Session, stored: dict[str, Any], same_size: bool
) -> None:
    image = IMAGE[::-1].copy() if same_size else photo(120, 160)[0]
    body = standing(image.shape[1], image.shape[0])
    body = body.replace(points=body.points * 0.8)
    pose, said = applied(calls, session, stored, image, body)
    np.testing.assert_allclose(pose.points, retarget(WANTED, body).points, atol=0.05)
    assert pose.size == body.size and OTHER_PHOTO in said


@pytest.mark.parametrize("moved", [False, True])
def test_a_file_without_a_key_is_judged_by_where_the_person_stands(
    calls: RunCallbacks, session: Session, stored: dict[str, Any], moved: bool
) -> None:
    old = {name: value for name, value in stored.items() if name != "photo"}
    body = POSE.replace(points=POSE.points + (6 if moved else 0))
    _, said = applied(calls, session, old, IMAGE, body)
    assert (OTHER_PHOTO in said) == moved


def test_without_a_photo_only_the_controls_change(
    calls: RunCallbacks, session: Session, stored: dict[str, Any]
) -> None:
    updates = calls.apply_settings(stored, None, session)
    assert calls.tab.editor not in updates
    assert NO_PHOTO in updates[calls.tab.status]
