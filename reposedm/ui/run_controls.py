"""What the tabs that make pictures have in common: numbers of a run, and how a run ends."""

from __future__ import annotations

from typing import Any, ClassVar

import gradio as gr

from reposedm.errors import PoseError
from reposedm.pipelines.base import Capabilities
from reposedm.ui.messages import friendly
from reposedm.ui.status import line

Updates = dict[Any, Any]


def run_controls(
    able: Capabilities, prefix: str, guidance_info: str
) -> dict[str, gr.components.Component]:
    """Seed, pictures, steps and guidance, in the current layout; shown if ``able`` has them.

    Args:
        able: the method that is chosen first.
        prefix: of the elements' ids.
        guidance_info: what more guidance does.
    """
    with gr.Row():
        seed = gr.Number(
            0, label="Seed", precision=0, minimum=0, info="Same seed, same picture.",
            elem_id=f"{prefix}seed", visible=able.stochastic,
        )  # fmt: skip
        random_seed = gr.Checkbox(
            True, label="New seed each time", elem_id=f"{prefix}random-seed",
            visible=able.stochastic,
        )  # fmt: skip
    count = gr.Slider(
        1, 8, 1, step=1, label="Pictures", info="More to choose from; takes longer.",
        elem_id=f"{prefix}count", visible=able.stochastic,
    )  # fmt: skip
    steps = gr.Slider(
        1, 200, able.default_steps, step=1, label="Steps", visible="steps" in able.controls,
        info="More is finer and slower.", elem_id=f"{prefix}steps",
    )  # fmt: skip
    guidance = gr.Slider(
        0, 10, able.default_guidance, step=0.1, label="Guidance",
        visible="guidance_scale" in able.controls, info=guidance_info,
        elem_id=f"{prefix}guidance",
    )  # fmt: skip
    return {
        "seed": seed, "random_seed": random_seed, "count": count, "steps": steps,
        "guidance": guidance,
    }  # fmt: skip


class RunEnds:
    """Callbacks of a tab whose run has ended without a result."""

    UNTOUCHED: ClassVar[str]
    """What Stop has left as it was: a sentence."""

    tab: Any

    @friendly
    def stopped(self, session: Any) -> Updates:
        """After Stop: the run's generator has been closed by Gradio."""
        session.cut_short = f"Stopped. {self.UNTOUCHED}"
        found: Updates = self.failed(session)
        return found

    @friendly
    def failed(self, session: Any) -> Updates:
        """After a run without result: the buttons come back, the user's work stays.

        Gradio reports a run that was stopped as one that failed, some time after Stop.
        """
        text = "That did not work; see the message. Nothing of yours is lost."
        return {
            self.tab.run: gr.update(interactive=True),
            self.tab.stop: gr.update(interactive=False),
            self.tab.live_result: gr.update(visible=False),
            self.tab.status: line(session.cut_short or text),
        }


def chosen(entries: list[Any], event: gr.SelectData) -> Any:
    """The result of a gallery that was clicked.

    Raises:
        PoseError: it is gone.
    """
    index = int(event.index)
    if not 0 <= index < len(entries):
        raise PoseError("That result is gone: choose another one.")
    return entries[index]
