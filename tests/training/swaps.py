"""A folder of rendered people as small as can be: two outfits, products; and a run on it."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import torch

from tests.pipelines.tiny import tiny_reposedm
from training.synthetic.labels import PARTS, SEGMENTS

HEIGHT, WIDTH, VIEWS = 96, 64, 3
MARKS = [
    [29, 23, 1], [32, 23, 1], [35, 23, 1], [17, 33, 1], [22, 33, 1], [47, 33, 1], [42, 33, 1],
    [0, 0, 0], [0, 0, 0], [22, 51, 1], [32, 51, 1], [42, 51, 1], *[[0, 0, 0]] * 4,
]  # fmt: skip
COLORS = {1: (60, 40, 20), 2: (220, 180, 150), 4: (210, 170, 140), 10: (30, 30, 30)}


def write_folder(root: Path, identities: int = 3) -> Path:
    """People of boxes: outfit 0 with short sleeves and long trousers, outfit 1 the reverse."""
    rng = np.random.default_rng(0)
    lines = []
    for number in range(identities):
        base = root / "000" / f"{number:06d}"
        base.parent.mkdir(parents=True, exist_ok=True)
        cloth = rng.integers(30, 250, (2, 2, 3))
        views = []
        for outfit in range(2):
            drawn = [_view(4 * view - 4, outfit, cloth[outfit]) for view in range(VIEWS)]
            name = str(base) + ("_o1" if outfit else "")
            image = np.concatenate([one[0] for one in drawn], 1)
            labels = np.concatenate([one[1] for one in drawn], 1)
            cv2.imwrite(f"{name}.jpg", image[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 95))
            cv2.imwrite(f"{name}_seg.png", labels)
            cv2.imwrite(f"{name}_alpha.png", np.where(labels > 0, 255, 0).astype(np.uint8))
            views = [{"pose": "stand", "yaw": 9.0 * k, "kp": one[2]} for k, one in enumerate(drawn)]
        picture, labels, _ = _view(0, 0, cloth[0])
        alpha = np.where(labels == 6, 255, 0).astype(np.uint8)
        picture[alpha == 0] = 255
        cv2.imwrite(f"{base}_top.png", np.dstack((picture[..., ::-1], alpha)))
        products = [{"file": f"000/{number:06d}_top.png", "landmarks": MARKS}]
        lines.append(
            {"id": number, "file": f"000/{number:06d}", "outfit": "two", "outfits": 2,
             "views": views, "products": products}
        )  # fmt: skip
    boxes = np.zeros((len(PARTS), 2, 3)).tolist()
    meta = {"size": [HEIGHT, WIDTH], "part_box": boxes, "segments": SEGMENTS}
    (root / "meta.json").write_text(json.dumps(meta), "utf-8")
    (root / "index.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return root


def write_shared(root: Path, *, source: bool = False) -> Path:
    """A pipeline of reposing, tiny, with random weights; ``source``: it sees the photo as it is."""
    torch.manual_seed(1)
    alignment = {"photo_channels": 4, "initial": "learned", "prior_width": 16, "prior_blocks": 1}
    pipe = tiny_reposedm(
        steer=False, gated=True, learn_variance=False, prediction="v_prediction",
        alignment=alignment, source=source,
    )  # fmt: skip
    pipe.save_pretrained(root)
    return root


def settings(data: Path, shared: Path) -> list[str]:
    """Over the configuration "swap": tiny, four steps, each saved."""
    return [
        f"data.root={data}",
        f"data.size=[{HEIGHT},{WIDTH}]",
        f"init.pipeline={shared}",
        "stages.diffusion={steps: 4, batch: 2, learning_rate: 1.0e-3, ema: 0.9}",
        "diffusion.draws=2",
        "checkpoint={every: 1, keep: 20}",
        "log={every: 1, validate_every: 4, validate_batches: 1, samples_every: 4, samples: 1,"
        " sample_steps: 2}",
    ]


def _view(
    shift: int, outfit: int, cloth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[list[float]]]:
    """Picture, labels and joints of a person whose middle is ``shift`` from the frame's."""
    labels = np.zeros((HEIGHT, WIDTH), np.uint8)
    x = WIDTH // 2 + shift

    def box(label: int, left: int, top: int, right: int, bottom: int) -> None:
        labels[top:bottom, x + left : x + right] = label

    box(1, -5, 6, 5, 10)
    box(2, -5, 10, 5, 20)
    for side in (-1, 1):
        ends = sorted((side * 10, side * 15))
        box(4, ends[0], 24, ends[1], 50)
        box(6, ends[0], 24, ends[1], 48 if outfit else 34)
        ends = sorted((side * 1, side * 8))
        box(5, ends[0], 52, ends[1], 88)
        box(8, ends[0], 50, ends[1], 66 if outfit else 86)
        box(10, ends[0], 86, ends[1], 90)
    box(6, -10, 22, 10, 52)
    picture = np.full((HEIGHT, WIDTH, 3), (150, 160, 170), np.uint8)
    for label, color in {**COLORS, 5: COLORS[4], 6: cloth[0], 8: cloth[1]}.items():
        picture[labels == label] = color
    picture[::4][labels[::4] == 6] //= 2  # stripes
    arm, leg = 12, 4
    places = {
        0: (0, 15), 1: (0, 23), 2: (-arm, 25), 3: (-arm, 37), 4: (-arm, 49), 5: (arm, 25),
        6: (arm, 37), 7: (arm, 49), 8: (-leg, 50), 9: (-leg, 68), 10: (-leg, 86), 11: (leg, 50),
        12: (leg, 68), 13: (leg, 86), 14: (-2, 13), 15: (2, 13), 16: (-5, 14), 17: (5, 14),
    }  # fmt: skip
    return picture, labels, [[x + places[j][0], places[j][1], 2] for j in range(18)]
