"""The Repose tab: what is on the page. What happens is in ``repose_events``."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from pose_editor import PoseEditor
from reposedm.detect import backends
from reposedm.jobs.methods import (
    available_methods,
    capabilities,
    default_method,
)
from reposedm.pipelines.base import Capabilities
from reposedm.ui import examples, status
from reposedm.ui.run_controls import run_controls
from reposedm.ui.safe_image import SafeImage

NOTICE = (
    "Results are generated pictures and are marked as such in the file. Use only photographs of "
    "people who agreed to it."
)


@dataclass(frozen=True)
class ReposeTab:
    """The components of the tab that callbacks read or write."""

    photo: SafeImage
    rotate: gr.Button
    detector: gr.Dropdown
    editor: PoseEditor
    match: gr.Button
    pose_photo: SafeImage
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    live_result: gr.Image
    result: gr.ImageSlider
    gallery: gr.Gallery
    download: gr.DownloadButton
    load_pose: gr.Button
    reuse_result: gr.Button
    to_garment: gr.Button
    method: gr.Dropdown
    about_method: gr.Markdown
    steps: gr.Slider
    guidance: gr.Slider
    pose_guidance: gr.Slider
    count: gr.Slider
    seed: gr.Number
    random_seed: gr.Checkbox
    paste_back: gr.Checkbox
    background: gr.Radio
    texture: gr.Checkbox
    keep_settings: gr.Checkbox
    settings_file: gr.File
    settings_shown: gr.JSON
    settings_apply: gr.Button
    delete: gr.Button
    examples: gr.Dataset


def build() -> ReposeTab:
    """Lay the tab out inside the current ``gr.Blocks``."""
    first = capabilities(default_method())
    with gr.Row(elem_id="repose-row", elem_classes="work-row"):
        with gr.Column(scale=3, min_width=250):
            photo, rotate, detector, pose_photo = _source_column()
            dataset = examples.dataset()
        with gr.Column(scale=8, min_width=340):
            match = gr.Button("The skeleton matches the person now", elem_id="match", visible=False)
            editor = PoseEditor(label="Pose", elem_id="editor")
        with gr.Column(scale=5, min_width=300):
            with gr.Row(elem_id="run-row", elem_classes="run-row"):
                run = gr.Button("Repose", variant="primary", scale=3, elem_id="run")
                stop = gr.Button("Stop", variant="stop", scale=1, elem_id="stop", interactive=False)
            status_line = gr.HTML(
                status.line("Upload a photo of a person, or click an example."),
                elem_id="status", elem_classes="job-status",
            )  # fmt: skip
            results = _result_column()
            controls = _settings(first)
            delete = gr.Button("Delete my data", size="sm", elem_id="delete")
            gr.Markdown(NOTICE, elem_classes="notice")
    return ReposeTab(
        photo=photo, rotate=rotate, detector=detector, editor=editor, match=match,
        pose_photo=pose_photo, run=run, stop=stop, status=status_line, delete=delete,
        examples=dataset, **results, **controls,
    )  # fmt: skip


def _source_column() -> tuple[SafeImage, gr.Button, gr.Dropdown, SafeImage]:
    photo = SafeImage(
        label="Photo", height=300, elem_id="photo", sources=["upload", "webcam", "clipboard"],
        buttons=["fullscreen"],
        placeholder="Drop a photo of a person here\n- or -\nClick to choose",
    )  # fmt: skip
    with gr.Row():
        rotate = gr.Button("Rotate", size="sm", elem_id="rotate", min_width=80)
    with gr.Accordion("More ways to get a pose", open=False):
        pose_photo = SafeImage(
            label="Take the pose of the person in another photo", height=160, elem_id="pose-photo",
            sources=["upload", "clipboard"], buttons=[],
        )  # fmt: skip
        detector = gr.Dropdown(
            [name for name, problem in backends().items() if not problem], label="Detector",
            value="mediapipe",
            info="mediapipe works offline; openpose downloads its weights once (licence of CMU: "
            "not for commercial use).",
            elem_id="detector",
        )  # fmt: skip
    return photo, rotate, detector, pose_photo


def _result_column() -> dict[str, gr.components.Component]:
    live = gr.Image(
        label="On the way", format="jpeg", interactive=False, visible=False, height=320,
        elem_id="live-result", buttons=[],
    )  # fmt: skip
    result = gr.ImageSlider(
        label="Before and after", type="filepath", format="png", interactive=False,
        elem_id="result", buttons=["fullscreen"], max_height=620,
        # Nearly all of the result shows: in the middle, the reposed person might not.
        slider_position=8,
    )  # fmt: skip
    with gr.Row():
        download = gr.DownloadButton(
            "Download", size="sm", interactive=False, elem_id="download", min_width=90
        )
        load_pose = gr.Button("Load this pose", size="sm", elem_id="load-pose", min_width=90)
        reuse = gr.Button("Use as photo", size="sm", elem_id="reuse", min_width=90)
        to_garment = gr.Button("Swap garment", size="sm", elem_id="to-garment", min_width=90)
    gallery = gr.Gallery(
        label="This session", columns=4, height=160, format="png", elem_id="gallery",
        elem_classes="session-gallery",
        allow_preview=False, interactive=False, buttons=["download_all"], object_fit="contain",
    )  # fmt: skip
    return {
        "live_result": live, "result": result, "gallery": gallery, "download": download,
        "load_pose": load_pose, "reuse_result": reuse, "to_garment": to_garment,
    }  # fmt: skip


def _settings(first: Capabilities) -> dict[str, gr.components.Component]:
    names = available_methods()
    shown = controls_visibility(first)
    with gr.Accordion("Settings", open=False, elem_id="settings"):
        method = gr.Dropdown(
            [(capabilities(name).label, name) for name in names], value=first.name,
            label="Method", elem_id="method",
        )  # fmt: skip
        about = gr.Markdown(first.description)
        paste_back = gr.Checkbox(
            True, label="Paste back into the photo",
            info="On: the photo's own size and surroundings. Off: the person's crop only.",
            elem_id="paste-back",
        )  # fmt: skip
        background = gr.Radio(
            [("Photo", "photo"), ("Transparent", "transparent"), ("Plain", "plain")],
            value="photo", label="Background", elem_id="background",
        )  # fmt: skip
        numbers = run_controls(
            first, "", "Higher follows photo and pose more closely, with less variety."
        )
        pose_guidance = gr.Slider(
            0, 5, first.default_pose_guidance, step=0.1, label="Pose guidance",
            visible=shown["pose_guidance_scale"],
            info="Higher corrects the pose harder; 0 switches it off.", elem_id="pose-guidance",
        )  # fmt: skip
        texture = gr.Checkbox(
            True, label="Keep the photo's own texture", visible=shown["texture"],
            info="On: faces and prints are the photo's own pixels where it shows them. Off: the "
            "network's picture alone.",
            elem_id="texture",
        )  # fmt: skip
        keep = gr.Checkbox(
            True, label="Keep the settings in the PNG",
            info="Lets you restore pose and settings later. The AI-generated mark always stays.",
            elem_id="keep-settings",
        )  # fmt: skip
        settings_file = gr.File(
            label="Read the settings of an earlier result (PNG)", file_types=[".png"], height=90,
            elem_id="settings-file",
        )  # fmt: skip
        settings_shown = gr.JSON(label="Found in the file", visible=False, elem_id="settings-shown")
        apply = gr.Button(
            "Apply these settings", size="sm", visible=False, elem_id="settings-apply"
        )
    return {
        "method": method, "about_method": about, "paste_back": paste_back,
        "background": background, "texture": texture, **numbers, "pose_guidance": pose_guidance,
        "keep_settings": keep, "settings_file": settings_file, "settings_shown": settings_shown,
        "settings_apply": apply,
    }  # fmt: skip


def controls_visibility(method: Capabilities) -> dict[str, bool]:
    """Which controls mean something to a method: the others are hidden, not disabled."""
    shown = {name: name in method.controls for name in
             ("steps", "guidance_scale", "pose_guidance_scale", "texture")}  # fmt: skip
    return {**shown, "seed": method.stochastic, "count": method.stochastic}
