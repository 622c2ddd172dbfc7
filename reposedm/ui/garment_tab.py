"""The Garment tab: what is on the page. What happens is in ``garment_events``."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from pose_editor import PoseEditor
from reposedm.jobs.methods import (
    available_methods,
    capabilities,
    default_method,
    method_names,
    unavailable,
)
from reposedm.pipelines.base import Capabilities
from reposedm.ui import garment_examples, status
from reposedm.ui.mask_editor import MaskEditor
from reposedm.ui.repose_tab import NOTICE
from reposedm.ui.run_controls import run_controls
from reposedm.ui.safe_image import SafeImage

REGIONS = [
    ("Top", "top"), ("Trousers or skirt", "bottom"), ("Dress", "dress"),
    ("Jacket or coat", "outerwear"), ("Shoes", "shoes"), ("Whole outfit", "outfit"),
]  # fmt: skip
KINDS = [("Find out", "auto"), ("A person wears it", "worn"), ("The garment alone", "product")]


@dataclass(frozen=True)
class GarmentTab:
    """The components of the tab that callbacks read or write."""

    person: SafeImage
    garment: SafeImage
    region: gr.Dropdown
    kind: gr.Radio
    mask: MaskEditor
    automatic: gr.Button
    landmarks: PoseEditor
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    live_result: gr.Image
    result: gr.ImageSlider
    gallery: gr.Gallery
    download: gr.DownloadButton
    reuse_result: gr.Button
    to_repose: gr.Button
    mask_view: gr.Image
    warp_view: gr.Image
    method: gr.Dropdown
    about_method: gr.Markdown
    steps: gr.Slider
    guidance: gr.Slider
    resample: gr.Slider
    count: gr.Slider
    seed: gr.Number
    random_seed: gr.Checkbox
    keep_settings: gr.Checkbox
    delete: gr.Button
    examples: gr.Dataset


def build() -> GarmentTab:
    """Lay the tab out inside the current ``gr.Blocks``."""
    with gr.Row(elem_id="garment-row", elem_classes="work-row"):
        with gr.Column(scale=3, min_width=250):
            person = _photo("Photo of the person", "garment-person", "a photo of a person")
            garment = _photo("Garment photo", "garment-photo", "the garment's photo")
            dataset = garment_examples.dataset()
        with gr.Column(scale=8, min_width=340):
            with gr.Row():
                region = gr.Dropdown(
                    REGIONS, value="top", label="What to swap", elem_id="garment-region", scale=2
                )
                automatic = gr.Button(
                    "Automatic mask", size="sm", elem_id="garment-automatic", min_width=120
                )
            mask = MaskEditor(
                label="What may change: paint and erase", elem_id="garment-mask", height=620,
                interactive=True, buttons=[],
                placeholder="The photo and its mask appear here",
            )  # fmt: skip
            kind, landmarks = _landmarks()
        with gr.Column(scale=5, min_width=300):
            with gr.Row(elem_id="garment-run-row", elem_classes="run-row"):
                run = gr.Button("Swap", variant="primary", scale=3, elem_id="garment-run")
                stop = gr.Button(
                    "Stop", variant="stop", scale=1, elem_id="garment-stop", interactive=False
                )
            status_line = gr.HTML(
                status.line("Upload a photo of a person and one of a garment, or click an "
                            "example."),
                elem_id="garment-status", elem_classes="job-status",
            )  # fmt: skip
            results = _result_column()
            controls = _settings(capabilities(default_method("swap"), "swap"))
            delete = gr.Button("Delete my data", size="sm", elem_id="garment-delete")
            gr.Markdown(NOTICE, elem_classes="notice")
    return GarmentTab(
        person=person, garment=garment, region=region, kind=kind, mask=mask, automatic=automatic,
        landmarks=landmarks, run=run, stop=stop, status=status_line, delete=delete,
        examples=dataset, **results, **controls,
    )  # fmt: skip


def _photo(label: str, elem_id: str, what: str) -> SafeImage:
    return SafeImage(
        label=label, height=260, elem_id=elem_id, sources=["upload", "webcam", "clipboard"],
        buttons=["fullscreen"], placeholder=f"Drop {what} here\n- or -\nClick to choose",
    )  # fmt: skip


def _landmarks() -> tuple[gr.Radio, PoseEditor]:
    with gr.Accordion("Correct where the garment is", open=False, elem_id="garment-correct"):
        kind = gr.Radio(
            KINDS, value="auto", label="The garment photo shows", elem_id="garment-kind",
            info="A garment alone needs a plain ground.",
        )  # fmt: skip
        gr.Markdown(
            "Drag the joints to the garment's shoulders, elbows, wrists, hips, knees and ankles; "
            "hide (press H) those that it does not reach. The mask follows.",
            elem_classes="notice",
        )
        editor = PoseEditor(
            label="Joints of the garment", elem_id="garment-landmarks", memory="garment-editor",
            live_preview=False,
        )  # fmt: skip
    return kind, editor


def _result_column() -> dict[str, gr.components.Component]:
    live = gr.Image(
        label="On the way", format="jpeg", interactive=False, visible=False, height=320,
        elem_id="garment-live", buttons=[],
    )  # fmt: skip
    result = gr.ImageSlider(
        label="Before and after", type="filepath", format="png", interactive=False,
        elem_id="garment-result", buttons=["fullscreen"], max_height=620, slider_position=8,
    )  # fmt: skip
    with gr.Row():
        download = gr.DownloadButton(
            "Download", size="sm", interactive=False, elem_id="garment-download", min_width=90
        )
        reuse = gr.Button("Use as photo", size="sm", elem_id="garment-reuse", min_width=90)
        to_repose = gr.Button("Repose it", size="sm", elem_id="garment-to-repose", min_width=90)
    gallery = gr.Gallery(
        label="This session", columns=4, height=160, format="png", elem_id="garment-gallery",
        elem_classes="session-gallery", allow_preview=False, interactive=False,
        buttons=["download_all"], object_fit="contain",
    )  # fmt: skip
    with gr.Accordion("Mask and warp", open=False, elem_id="garment-views"), gr.Row():
        mask_view, warp_view = (
            gr.Image(label=label, format="png", interactive=False, height=260, buttons=[],
                     elem_id=name, min_width=120)
            for label, name in (("What could change", "garment-mask-view"),
                                ("The garment, warped", "garment-warp-view"))
        )  # fmt: skip
    return {
        "live_result": live, "result": result, "download": download, "reuse_result": reuse,
        "to_repose": to_repose, "gallery": gallery, "mask_view": mask_view,
        "warp_view": warp_view,
    }  # fmt: skip


def _settings(first: Capabilities) -> dict[str, gr.components.Component]:
    shown = controls_visibility(first)
    with gr.Accordion("Settings", open=False, elem_id="garment-settings"):
        method = gr.Dropdown(
            [(capabilities(name, "swap").label, name) for name in available_methods("swap")],
            value=first.name, label="Method", elem_id="garment-method",
        )  # fmt: skip
        about = gr.Markdown(first.description + not_here())
        numbers = run_controls(
            first, "garment-", "Higher follows the garment more closely, with less variety."
        )
        resample = gr.Slider(
            0, 10, 0, step=1, label="Repeats of each step", visible=shown["resample"],
            info="More joins the new part better to the photo; each repeat costs a step.",
            elem_id="garment-resample",
        )  # fmt: skip
        keep = gr.Checkbox(
            True, label="Keep the settings in the PNG",
            info="The AI-generated mark always stays.", elem_id="garment-keep-settings",
        )  # fmt: skip
    return {
        "method": method, "about_method": about, **numbers, "resample": resample,
        "keep_settings": keep,
    }  # fmt: skip


def not_here() -> str:
    """A paragraph on methods that cannot be used on this computer; "" if all can."""
    missing = [name for name in method_names("swap") if unavailable(name, "swap")]
    if not missing:
        return ""
    labels = ", ".join(capabilities(name, "swap").label for name in missing)
    return f"\n\nNot installed here: {labels} (its weights are missing)."


def controls_visibility(method: Capabilities) -> dict[str, bool]:
    """Which controls mean something to a method: the others are hidden, not disabled."""
    shown = {name: name in method.controls for name in ("steps", "guidance_scale", "resample")}
    return {**shown, "seed": method.stochastic, "count": method.stochastic}
