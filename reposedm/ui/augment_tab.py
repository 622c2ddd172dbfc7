"""The augmentation tab: what is on the page. What happens is in ``augment_events``."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from reposedm.augment.plan import SAME, SET, SOURCES
from reposedm.jobs.methods import available_methods, capabilities
from reposedm.ui import status
from reposedm.weights import weights_root

FILE = "file"
INTRO = (
    "A set of identities in, more pictures of each out: for training a re-identification model. "
    "Names like those of Market-1501, DukeMTMC-reID and MSMT17 are read, and one folder per "
    "identity. Nothing is unpacked to disk, and the pictures stay on the machine this app runs on."
)
START = "Upload a zip of pictures."
START_LOCAL = "Upload a zip of pictures, or name a folder."
NOTICE = (
    "Results are generated pictures and are marked as such in the file. Augment only sets whose "
    "people agreed to it, or whose licence allows it."
)


@dataclass(frozen=True)
class AugmentTab:
    """The components of the tab that callbacks read or write.

    ``local`` says whether folders of this computer may be named: only where nobody else can reach
    the app.
    """

    local: bool
    upload: gr.File
    folder: gr.Textbox
    read: gr.Button
    table: gr.HTML
    per_identity: gr.Slider
    poses: gr.Dropdown
    pose_file: gr.File
    method: gr.Dropdown
    about_method: gr.Markdown
    steps: gr.Slider
    seed: gr.Number
    masks: gr.Radio
    filter: gr.Checkbox
    preview: gr.Button
    run: gr.Button
    stop: gr.Button
    status: gr.HTML
    sheet: gr.Image
    download: gr.DownloadButton
    report: gr.DownloadButton
    delete: gr.Button


def build(*, local: bool) -> AugmentTab:
    """Lay the tab out inside the current ``gr.Blocks``."""
    gr.Markdown(INTRO)
    with gr.Row(elem_id="augment-row", elem_classes="work-row"):
        with gr.Column(scale=4, min_width=280):
            upload = gr.File(
                label="Zip of pictures (at most 25 MB)", file_types=[".zip"], height=160,
                elem_id="augment-zip",
            )  # fmt: skip
            folder = gr.Textbox(
                label="Or a folder, or a larger zip, on this computer", visible=local,
                elem_id="augment-folder",
            )  # fmt: skip
            read = gr.Button("Read the folder", size="sm", visible=local, elem_id="augment-read")
            table = gr.HTML("", elem_id="augment-table")
        with gr.Column(scale=4, min_width=280):
            options = _options()
        with gr.Column(scale=6, min_width=320):
            with gr.Row(elem_classes="run-row"):
                run = gr.Button("Augment", variant="primary", scale=3, elem_id="augment-run")
                preview = gr.Button("Preview", scale=2, elem_id="augment-preview")
                stop = gr.Button(
                    "Stop", variant="stop", scale=1, elem_id="augment-stop", interactive=False
                )
            line = gr.HTML(
                status.line(START_LOCAL if local else START), elem_id="augment-status",
                elem_classes="job-status",
            )  # fmt: skip
            sheet = gr.Image(
                label="Contact sheet", format="png", interactive=False, height=420,
                elem_id="augment-sheet", buttons=["fullscreen"],
            )  # fmt: skip
            with gr.Row():
                download = gr.DownloadButton(
                    "Download the zip", size="sm", interactive=False, elem_id="augment-download"
                )
                report = gr.DownloadButton(
                    "Report", size="sm", interactive=False, elem_id="augment-report"
                )
            delete = gr.Button("Delete my data", size="sm", elem_id="augment-delete")
            gr.Markdown(NOTICE, elem_classes="notice")
    return AugmentTab(
        local=local, upload=upload, folder=folder, read=read, table=table, preview=preview,
        run=run, stop=stop, status=line, sheet=sheet, download=download, report=report,
        delete=delete, **options,
    )  # fmt: skip


def _options() -> dict[str, gr.components.Component]:
    names = available_methods()
    first = capabilities(names[0])
    per_identity = gr.Slider(
        1, 50, 4, step=1, label="New pictures of each identity", elem_id="augment-count",
        info="More takes longer, in proportion.",
    )  # fmt: skip
    words = {SET: "Other pictures of the set", SAME: "Other pictures of the same identity"}
    poses = gr.Dropdown(
        [*((words.get(name, "The pose library"), name) for name in SOURCES), ("A file", FILE)],
        value=SET, label="Target poses", elem_id="augment-poses",
        info="Where the new poses come from; each is fitted to the person.",
    )  # fmt: skip
    pose_file = gr.File(
        label="Poses: JSON, or a zip of JSON files", file_types=[".json", ".zip"], height=110,
        visible=False, elem_id="augment-pose-file",
    )  # fmt: skip
    method = gr.Dropdown(
        [(capabilities(name).label, name) for name in names], value=first.name, label="Method",
        elem_id="augment-method",
    )  # fmt: skip
    about = gr.Markdown(first.description)
    steps = gr.Slider(
        1, 200, first.default_steps, step=1, label="Steps", visible="steps" in first.controls,
        info="More is finer and slower.", elem_id="augment-steps",
    )  # fmt: skip
    seed = gr.Number(
        0, label="Seed", precision=0, minimum=0, elem_id="augment-seed",
        info="The same seed makes the same pictures again.",
    )  # fmt: skip
    masks = gr.Radio(
        [("Careful", "segment"), ("Quick", "skeleton")], value="segment", label="Cutting out",
        info="Quick guesses the outline from the joints: several times faster, rougher edges.",
        elem_id="augment-masks",
    )  # fmt: skip
    keep_best = gr.Checkbox(
        False, label="Keep only good pictures", elem_id="augment-filter",
        info="Drops pictures on which the wanted pose is not found again"
        + (", or the identity is not recognised." if reid_weights() else "."),
    )  # fmt: skip
    return {
        "per_identity": per_identity, "poses": poses, "pose_file": pose_file, "method": method,
        "about_method": about, "steps": steps, "seed": seed, "masks": masks, "filter": keep_best,
    }  # fmt: skip


def reid_weights() -> str:
    """The folder of the shipped re-identification network, or "" without one."""
    folder = weights_root() / "reid"
    return str(folder) if (folder / "config.json").is_file() else ""
