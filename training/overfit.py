"""Can the whole of it learn four pairs by heart? A test of the wiring, not of the method.

    python -m training.overfit -o training/results/overfit.json

Four drawn pairs, one fixed draw of (t, eps): L_mse on exactly these must fall tenfold.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.components import build
from training.config import load_config
from training.field import calibrate
from training.loader import Stream
from training.steps import draws_for, training_step
from training.steps.autoencoder import latent_statistics

PAIRS = 4


def overfit(steps: int = 200, warm: int = 100, learning_rate: float = 3e-3) -> dict[str, Any]:
    """Train the tiny networks on four pairs; L_mse before and after, and what it took.

    Args:
        steps: of the diffusion stage, all on the same draw.
        warm: of the autoencoder's stage before.
        learning_rate: of AdamW, constant.
    """
    torch.manual_seed(0)
    config = load_config("tiny", [f"data.limit={PAIRS}", "data.size=[64,64]"])
    components: Any = build(config)
    (batch,) = Stream(config, "diffusion").some(1)
    started = time.monotonic()
    _descend(components, "autoencoder", batch, warm, learning_rate)
    components.autoencoder.set_latent_statistics(*latent_statistics(components, [batch]))
    components.prepare("diffusion")
    components.strength = calibrate(components, batch, _draws(components))
    losses = _descend(components, "diffusion", batch, steps, learning_rate)
    return {
        "pairs": PAIRS,
        "steps": steps,
        "mse_before": losses[0],
        "mse_after": losses[-1],
        "ratio": losses[0] / losses[-1],
        "guided": config.diffusion.guided,
        "seconds": round(time.monotonic() - started, 1),
    }


def _descend(
    components: Any, stage: Any, batch: Any, steps: int, learning_rate: float
) -> list[float]:
    """L_mse (or the loss) before each step and after the last."""
    parts = components.prepare(stage)
    trained = [p for p in parts.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate)
    losses = []
    for step in range(steps + 1):
        loss, logs = training_step(stage, components, batch, _draws(components))
        losses.append(float(logs.get("mse", loss.detach())))
        if step < steps:
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
    return losses


def _draws(components: Any) -> Any:
    """The same (t, eps) every time."""
    return draws_for(components, "diffusion", range(PAIRS), "cpu")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code: 1 if the loss did not fall tenfold."""
    parser = argparse.ArgumentParser("python -m training.overfit", description=__doc__)
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON file")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args(argv)
    found = overfit(options.steps)
    git = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parent,
    )  # fmt: skip
    found |= {"commit": git.stdout.strip(), "torch": torch.__version__}
    found["machine"] = platform.machine()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found))
    return 0 if found["ratio"] >= 10 else 1


if __name__ == "__main__":
    sys.exit(main())
