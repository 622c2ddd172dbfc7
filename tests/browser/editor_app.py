"""The editor alone in an app: a drawn photo, and textboxes that echo what Python received."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import gradio as gr
import numpy as np
from editor_page import FIGURE
from PIL import Image, ImageDraw

from pose_editor import EditorValue, PoseEditor
from reposedm.errors import PoseError
from reposedm.pose import Pose

SIZE = (600, 800)
FOLDER = Path(tempfile.mkdtemp(prefix="reposedm-editor-"))


def figure(dx: float = 0, scale: float = 1.0, size: tuple[int, int] = SIZE) -> Pose:
    """The drawn person, shifted and scaled about the middle of the photo."""
    points = (np.array(FIGURE, float) - (300, 400)) * scale + (300 + dx, 400)
    return Pose(points, np.full(18, 0.9), np.full(18, 2), size)


def photo(*people: Pose) -> str:
    """A picture with those people as coloured tubes on a plain room; its path."""
    picture = Image.new("RGB", SIZE, (196, 204, 214))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 640, 600, 800), fill=(150, 138, 126))
    for pose in people:
        spots = [tuple(point) for point in pose.points.tolist()]
        scale = (pose.points[10, 1] - pose.points[0, 1]) / 560
        for joints, width, colour in (
            ((8, 9, 10), 54, (44, 58, 92)), ((11, 12, 13), 54, (44, 58, 92)),
            ((2, 5, 11, 8, 2), 60, (176, 64, 58)), ((2, 3, 4), 40, (196, 84, 70)),
            ((5, 6, 7), 40, (196, 84, 70)),
        ):  # fmt: skip
            draw.line([spots[j] for j in joints], colour, round(width * scale), joint="curve")
        middle = pose.points[[2, 5, 11, 8]].mean(0)
        draw.ellipse((*(middle - 60 * scale), *(middle + 60 * scale)), fill=(176, 64, 58))
        nose = pose.points[0]
        draw.ellipse((*(nose - 52 * scale), *(nose + 52 * scale)), fill=(222, 178, 148))
    path = FOLDER / f"photo{len(list(FOLDER.iterdir()))}.png"
    picture.save(path)
    return str(path)


def value(*people: Pose) -> EditorValue:
    """Those people on a new photo."""
    return EditorValue(photo(*people), SIZE, people)


def describe(edited: EditorValue | None) -> str:
    """What Python holds, as JSON."""
    if edited is None:
        return json.dumps(None)
    people = [
        [[*point, state] for point, state in zip(p.points.tolist(), p.state.tolist(), strict=True)]
        for p in edited.people
    ]
    return json.dumps(
        {
            "image": bool(edited.image),
            "size": list(edited.size),
            "selected": edited.selected,
            "people": people,
            "sources": len(edited.sources),
            "extras": [sorted(p.extras) for p in edited.people],
        }
    )


INPUTS: Counter[str | None] = Counter()


def on_input(
    edited: EditorValue | None, event: gr.EventData, request: gr.Request
) -> tuple[str, float, str]:
    INPUTS[request.session_hash] += 1  # events overlap: the page's own count would miss some
    count = INPUTS[request.session_hash]
    return describe(edited), count, str(event._data.get("action"))


def on_select(event: gr.SelectData) -> str:
    return f"{event.index} {event.value}"


def on_upload(edited: EditorValue | None) -> Any:
    assert edited is not None
    if Image.open(edited.image).size == (1, 1):
        raise gr.Error("This photo is too small")
    return gr.update(value=value(figure(40)), busy=False)


def on_preview(event: gr.EventData, count: float) -> tuple[Any, float, str]:
    time.sleep(0.05)
    try:
        request = PoseEditor.live_request(event)
    except PoseError as error:
        raise gr.Error(str(error)) from error
    pose = request.pose.transformed(0.5, 0, (300, 400))
    picture = np.asarray(Image.open(photo(pose.transformed(2, 0, SIZE))).resize((300, 400)))
    wrist = request.pose.points[4].round(1).tolist()
    return gr.update(live=PoseEditor.live_picture(request.number, picture)), count + 1, str(wrist)


def moved_wrist(edited: EditorValue | None) -> EditorValue:
    assert edited is not None
    pose = edited.people[0]
    points = pose.points.copy()
    points[4] += (-50, -60)
    return EditorValue(
        edited.image,
        edited.size,
        [pose.replace(points=points), *edited.people[1:]],
        0,
        edited.sources,
    )


def build() -> gr.Blocks:
    """One editor, and the buttons with which a test plays the rest of the app."""
    with gr.Blocks(title="Pose editor") as demo:
        with gr.Tab("Editor"):
            editor = PoseEditor(label="Pose", elem_id="editor", memory="test")
            with gr.Row():
                one = gr.Button("One person", elem_id="one")
                two = gr.Button("Two people", elem_id="two")
                server = gr.Button("Server moves the wrist", elem_id="server")
                lock = gr.Button("Busy", elem_id="busy")
                free = gr.Button("Free", elem_id="free")
                run = gr.Button("Repose", elem_id="run", variant="primary")
            with gr.Row():
                got = gr.Textbox(label="input", elem_id="got")
                count = gr.Number(0, label="inputs", elem_id="count")
                action = gr.Textbox(label="action", elem_id="action")
                chosen = gr.Textbox(label="select", elem_id="chosen")
                previews = gr.Number(0, label="previews", elem_id="previews")
                wrist = gr.Textbox(label="previewed wrist", elem_id="wrist")
                result = gr.Textbox(label="result", elem_id="result")
        with gr.Tab("Other"):
            gr.Markdown("Another tab")
        quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        one.click(lambda: value(figure()), None, editor, **quiet)
        two.click(lambda: value(figure(-130, 0.8), figure(140, 0.7)), None, editor, **quiet)
        server.click(moved_wrist, editor, editor, **quiet)
        lock.click(lambda: gr.update(busy="Looking for people"), None, editor, **quiet)
        free.click(lambda: gr.update(busy=False), None, editor, **quiet)
        run.click(describe, editor, result, **quiet)
        editor.input(
            on_input, editor, [got, count, action], queue=False, trigger_mode="multiple",
            **quiet,
        )  # fmt: skip
        editor.select(on_select, None, chosen, queue=False, **quiet)
        editor.upload(on_upload, editor, editor, **quiet)
        editor.detect(lambda: value(figure(-30)), None, editor, **quiet)
        editor.preview(
            on_preview, previews, [editor, previews, wrist], queue=False, trigger_mode="multiple",
            **quiet,
        )  # fmt: skip
    return demo


if __name__ == "__main__":
    build().launch(
        server_name="127.0.0.1",
        server_port=int(os.environ["PORT"]),
        ssr_mode=False,
        quiet=True,
        show_error=True,
    )
