"""``PoseEditor``: the skeleton editor as a ``gr.HTML`` subclass, without any build step.

The HTML and CSS templates are constants: Gradio compiles them with ``new Function``, so a value
interpolated there would run as code. All data reaches the page through ``props`` and is written
with ``textContent`` and ``setAttribute`` only.
"""

from __future__ import annotations

import base64
import functools
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import cv2
import gradio as gr
import numpy as np
from gradio.components.base import Component, server
from gradio.events import EventListener, Events
from numpy.typing import NDArray

from pose_editor.value import (
    EditorData,
    EditorValue,
    LiveRequest,
    read_live,
    read_value,
    write_person,
    write_value,
)
from reposedm.errors import PoseError
from reposedm.pose import parse_people, presets_json

STATIC: Final = Path(__file__).with_name("static")
CORE: Final = (
    "skeleton", "kinematics", "actions", "history",
    "retarget", "plausibility", "map", "document",
)  # fmt: skip
UI: Final = ("state", "stage", "view", "pointer", "actions", "panels", "files", "start")
MAX_TEXT: Final = 256 * 1024
"""Bytes of an imported file: a server function runs outside Gradio's queue and its limits."""

PREVIEW: Final = EventListener(
    "preview",
    doc="Triggered while a joint is dragged, one at a time; see PoseEditor.live_request. ",
)
DETECT: Final = EventListener("detect", doc="Triggered by the button 'Detect again'. ")


class PoseEditor(gr.HTML):
    """A photo with draggable skeletons.

    Events: ``input`` once per gesture (never while dragging), ``select`` (``gr.SelectData`` with
    index [person, joint]), ``upload`` (a photo dropped or pasted: detect people in it),
    ``detect`` (the button), ``preview`` (live preview, see ``live_request``), and Gradio's
    ``change``, which also fires when Python sets the value: do not answer it with a new value.
    Listen to ``input`` with ``trigger_mode="always_last"`` (Gradio's default drops the edits made
    while an earlier one is under way) and to ``preview`` with ``trigger_mode="multiple"`` and
    ``queue=False`` (the page itself keeps one in flight).

    ``gr.update(busy="Looking for people")`` locks the editor, ``gr.update(busy=False)`` frees it.
    """

    EVENTS = [Events.change, Events.input, Events.select, Events.upload, PREVIEW, DETECT]  # noqa: RUF012
    data_model = EditorData

    def __init__(
        self,
        value: EditorValue | None = None,
        *,
        label: str | None = None,
        presets: Mapping[str, Any] | None = None,
        memory: str = "pose-editor",
        busy: bool | str = False,
        live: Mapping[str, Any] | None = None,
        live_preview: bool = True,
        **kwargs: Any,
    ) -> None:
        """Build the component.

        Args:
            value: what to show first.
            label: name of the component for assistive technology and the API.
            presets: the pose library (``reposedm.pose.presets_json()`` when None).
            memory: key under which the browser keeps the undo history and the last pose.
            busy: a text (or True) locks the editor while the app works.
            live: the last live picture, ``live_picture(...)``.
            live_preview: whether the app answers ``preview`` events; False hides the button.
            kwargs: ``gr.HTML``'s own (elem_id, visible, scale...).
        """
        # Gradio builds the component again from these arguments for each update of one property.
        super().__init__(
            value=value,
            label=label,
            html_template=_template("editor.html"),
            css_template=_template("editor.css"),
            js_on_load=_script(),
            apply_default_css=False,
            presets=_library() if presets is None else presets,
            memory=memory,
            busy=busy,
            live=live,
            live_preview=live_preview,
            **kwargs,
        )

    def preprocess(self, payload: EditorData | None) -> EditorValue | None:
        """Page -> ``EditorValue``; what cannot be used is shown to the user as an error."""
        if payload is None:
            return None
        try:
            return read_value(payload)
        except PoseError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error

    def postprocess(self, value: EditorValue | None) -> EditorData | None:
        """``EditorValue`` -> page."""
        return write_value(value)

    @server
    def parse_pose(self, request: list[Any]) -> dict[str, Any]:
        """Read an imported file with the one parser; called by the page, outside the queue.

        Args:
            request: [text of at most 256 KB, width, height]; the size scales normalised files.

        Returns:
            ``{"people", "width", "height"}``, or ``{"error": a sentence naming the field}``.
        """
        try:
            text, size = _check_request(request)
            people = parse_people(text, size)
            if not people:
                raise PoseError("people: the file holds nobody")
            width, height = people[0].size
            return {
                "people": [write_person(pose) for pose in people[:20]],
                "width": width,
                "height": height,
            }
        except PoseError as error:
            return {"error": str(error)}

    @staticmethod
    def live_request(event: gr.EventData) -> LiveRequest:
        """The pose that a ``preview`` event asks about.

        Raises:
            PoseError: the event carries none (a client of its own making).
        """
        return read_live(event._data)

    @staticmethod
    def live_picture(number: int, picture: NDArray[np.uint8], quality: int = 80) -> dict[str, Any]:
        """The answer to a ``LiveRequest``: ``gr.update(live=PoseEditor.live_picture(n, rgb))``.

        Args:
            number: the request's.
            picture: uint8 (H, W, 3) RGB of the whole photo, any resolution; keep it under 1024.
            quality: of the JPEG.

        Returns:
            ``{"number", "url"}`` with a data URL: nothing is written to the disk.
        """
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        _, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), options)
        encoded = base64.b64encode(data.tobytes()).decode("ascii")
        return {"number": number, "url": "data:image/jpeg;base64," + encoded}

    def api_info(self) -> dict[str, Any]:
        """The schema of the value; ``gr.HTML`` alone would announce a plain string."""
        return Component.api_info(self)

    def example_payload(self) -> dict[str, Any]:
        """An empty editor."""
        return EditorData().model_dump()

    def example_value(self) -> dict[str, Any]:
        """An empty editor."""
        return EditorData().model_dump()

    def __getattr__(self, name: str) -> Any:
        """No attributes out of thin air.

        ``gr.HTML`` makes an event of every quoted word in the script; with a script of this size
        that shadows constructor arguments. All our events are declared above.
        """
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")


@functools.cache
def _template(name: str) -> str:
    return (STATIC / name).read_text("utf-8")


@functools.cache
def _script() -> str:
    """Core and UI in one function scope, without comment lines and indentation.

    Gradio sends the script inside the page and runs it once for each mounted editor.
    """
    names = [*(f"core/{name}.js" for name in CORE), *(f"ui/{name}.js" for name in UI)]
    text = "\n".join((STATIC / name).read_text("utf-8") for name in names)
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("//"))


@functools.cache
def _library() -> Mapping[str, Any]:
    return presets_json()


def _check_request(request: Any) -> tuple[str, tuple[int, int]]:
    if not isinstance(request, list) or len(request) != 3 or not isinstance(request[0], str):
        raise PoseError("an import needs a text and the photo's size")
    text, *sides = request
    if len(text) > MAX_TEXT or len(text.encode("utf-8", "replace")) > MAX_TEXT:
        raise PoseError(f"the file is larger than {MAX_TEXT // 1024} KB: that is not a pose")
    if not all(isinstance(side, int) and 1 <= side <= 65535 for side in sides):
        raise PoseError("width and height must be whole numbers from 1 to 65535")
    return text, (int(sides[0]), int(sides[1]))
