"""What people read of an ablation: a Markdown page and two sheets of pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from PIL import Image as Pillow

from training.arms import FREE, TRAINED
from training.comparison import joints_kept
from training.files import write_atomically
from training.markdown import table
from training.metrics import HEADLINE, Image
from training.summary import shown
from training.table import PUBLISHED

if TYPE_CHECKING:
    from training.ablation import Study

SHEET_ROWS: Final = 8
SHEET_BYTES: Final = 150_000
"""Of a JPEG file, at most: both sheets are kept in the repository."""
LABELS: Final = {
    "copy-source": "copy of the source", "limb-warp": "limb mapping alone",
    "preview": "preview engine", "b1": "B1 (no alignment, no guidance)",
    "b2": "B2 (alignment)", "full": "full (alignment and guidance)",
}  # fmt: skip
COLUMNS: Final = (
    ("PSNR", "person", "psnr"), ("SSIM g1.5", "person", "ssim_g1.5"),
    ("SSIM g1.2", "person", "ssim_g1.2"), ("ssim51", "person", "ssim51"),
    ("LPIPS", "person", "lpips"), ("PSNR, whole", "whole", "psnr"),
    ("SSIM g1.5, whole", "whole", "ssim_g1.5"), ("LPIPS, whole", "whole", "lpips"),
    ("PCKh", "pose", "pckh"), ("joints kept", "pose", "kept"),
    ("flow error, cells", "flow", "cells"),
)  # fmt: skip


def _paper() -> dict[str, dict[str, float]]:
    published = json.loads(PUBLISHED.read_text("utf-8"))["groups"][0]
    rows = {row["measured"][0]: row for row in published["rows"]}
    return {
        arm: {name: rows[key][name] for name in ("fid", "ssim", "lpips")}
        for arm, key in (("b1", "b1"), ("b2", "b2"), ("full", "reposedm"))
    }


PAPER: Final = _paper()
"""The paper's ablation, on DeepFashion."""


def page(results: Mapping[str, Any]) -> str:
    """The Markdown page of an ablation's results."""
    arms, counts = results["arms"], results["counts"]
    names = list(dict.fromkeys([*FREE, *TRAINED, *arms]))
    columns = [c for c in COLUMNS if any(_has(arms[name], c) for name in arms)]
    fids = [key for key in ("fid_legacy_torchvision", "fid_tf")
            if any(key in one["numbers"].get("set", {}) for one in arms.values())]  # fmt: skip
    head = ["arm", *(label for label, _, _ in columns), *fids]
    rows = [head, ["---"] * len(head)]
    for name in names:
        label = LABELS.get(name, name)
        if name not in arms:
            rows.append([label, "not run", *[""] * (len(head) - 2)])
            continue
        numbers = arms[name]["numbers"]
        cells = [_cell(numbers, region, metric) for _, region, metric in columns]
        rows.append([label, *cells, *(_cell(numbers, "set", key) for key in fids)])
    title = (
        f"{counts['pairs']} of {counts['of']} pairs of {results['data']['people']} held-out "
        f"rendered people, {counts['seeds']} sampling seeds (mean ± deviation between seeds); "
        "inside the person's mask unless it says whole; poses on "
        f"{counts['posed']} pairs."
    )
    parts = [title, table(rows), _ceiling(arms), _angles(results), _paper_table(results)]
    parts += [_differences(results)]
    parts += [_bars(results["bars"])]
    parts += [f"Not measured: {name}: {why}" for name, why in results["absent"].items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def _has(arm: Mapping[str, Any], column: tuple[str, str, str]) -> bool:
    return column[2] in arm["numbers"].get(column[1], {})


def _cell(numbers: Mapping[str, Any], region: str, metric: str) -> str:
    value = numbers.get(region, {}).get(metric)
    return "" if value is None else shown(value)


def _ceiling(arms: Mapping[str, Any]) -> str:
    for arm in arms.values():
        real = arm["numbers"].get("pose", {}).get("pckh_real")
        if real is not None:
            return (
                f"PCKh of the judge on the real pictures, the ceiling: {shown(real)}. Joints "
                "kept: the part of the joints it finds on the real picture and on the arm's too."
            )
    return ""


def _angles(results: Mapping[str, Any]) -> str:
    """PSNR and SSIM by how far the person turns between the two views."""
    arms = results["arms"]
    if not all("by_angle" in arm for arm in arms.values()):
        return ""
    counts = results["data"]["angles"]
    classes = [name for name, count in counts.items() if count]
    rows = [["arm", *(f"{name}° ({counts[name]} pairs)" for name in classes)]]
    rows.append(["---"] * len(rows[0]))
    for name in dict.fromkeys([*(n for n in (*FREE, *TRAINED) if n in arms), *arms]):
        cells = []
        for one in classes:
            found = arms[name]["by_angle"][one]
            psnr, ssim = found["person/psnr"], found["person/ssim_g1.5"]
            cells.append("" if psnr is None or ssim is None else f"{psnr:.2f} / {ssim:.4f}")
        rows.append([LABELS.get(name, name), *cells])
    return f"By the angle between the two views, PSNR / SSIM g1.5 of the person:\n\n{table(rows)}"


def _paper_table(results: Mapping[str, Any]) -> str:
    """The paper's rows beside ours: other data, so the order is what can be compared."""
    rows = [["arm", "paper FID", "paper SSIM", "paper LPIPS", "our SSIM g1.5, whole",
             "our SSIM g1.5, person", "our PSNR, person"], ["---"] * 7]  # fmt: skip
    for arm, paper in results["paper"].items():
        numbers = results["arms"].get(arm, {}).get("numbers", {})
        ours = [_cell(numbers, region, metric) or "not run" for region, metric in
                (("whole", HEADLINE), ("person", HEADLINE), ("person", "psnr"))]  # fmt: skip
        rows.append([LABELS[arm], *(str(paper[name]) for name in ("fid", "ssim", "lpips")), *ours])
    orders = [
        f"{metric}: {' > '.join(found)}" for metric, found in results["order"].items() if found
    ]
    text = f"Order of the paper's arms here, best first: {'; '.join(orders)}." if orders else ""
    return f"The paper's ablation (DeepFashion) beside ours (rendered people):\n\n{table(rows)}" + (
        f"\n\n{text}" if text else ""
    )


def _differences(results: Mapping[str, Any]) -> str:
    rows = [
        ["difference", "metric", "mean", f"{results['bootstrap']['percent']} % interval", "pairs"],
        ["---"] * 5,
    ]
    for contrast, gaps in results["differences"].items():
        for metric in ("person/psnr", "person/ssim_g1.5", "pose/pckh", "pose/kept", "flow/cells"):
            if metric in gaps:
                gap = gaps[metric]
                low, high = gap["ci95"]
                span = "" if low is None else f"{low:+.4f} to {high:+.4f}"
                rows.append([contrast, metric, f"{gap['mean']:+.4f}", span, str(gap["pairs"])])
    if len(rows) == 2:
        return ""
    draws = results["bootstrap"]["resamples"]
    return f"Paired differences (bootstrap over people, {draws} draws):\n\n{table(rows)}"


def _bars(bars: Sequence[Mapping[str, Any]]) -> str:
    words = {True: "met", False: "NOT met", None: "not run"}
    lines = []
    for bar in bars:
        value = bar.get("value", bar.get("difference"))
        lines.append(f"- {bar['bar']}: {words[bar['met']]}" + (
            "" if value is None else f" ({value:.4f})"))  # fmt: skip
    return "\n".join(lines)


def sheets(study: Study, numbers: Sequence[int], out: Path) -> dict[str, Any]:
    """Write the sheets; JSON of which pairs are on them, and by which rule.

    Columns: source, target, then every arm. The pictures are chosen by the numbers of the arm
    "full" (else the last arm), its first seed.
    """
    name = "full" if "full" in study.arms else list(study.arms)[-1]
    arm = study.arms[name]
    rows = {number: arm.rows[arm.seeds[0], number] for number in numbers}

    def psnr(number: int) -> float:
        value = rows[number]["numbers"]["person/psnr"]
        return np.inf if value is None else float(value)

    def lost(number: int) -> int:
        kept, found = joints_kept(rows[number])
        return found - kept

    ranked = sorted(numbers, key=psnr)
    count = min(SHEET_ROWS, len(ranked))
    spread = [ranked[(2 * k + 1) * len(ranked) // (2 * count)] for k in range(count)]
    worst = ranked[: count - count // 2]
    poses = sorted((n for n in numbers if n not in worst), key=lambda n: (-lost(n), psnr(n)))
    chosen = {
        "typical": ("evenly spread ranks in the person's PSNR, from worst to best", spread),
        "failures": (
            "above, the lowest PSNR of the person; below, the most joints that the judge found on "
            "the real picture and not on this one",
            [*worst, *poses[: count // 2]],
        ),
    }
    record: dict[str, Any] = {"arm": name, "columns": ["source", "target", *study.arms]}
    for kind, (rule, members) in chosen.items():
        file = out.with_name(f"{out.stem}-{kind}.jpg")
        write_atomically(file, _jpeg(np.concatenate([_strip(study, n) for n in members])))
        record[kind] = {
            "file": file.name, "rule": rule,
            "pairs": [{"pair": n, "source": rows[n]["source"], "target": rows[n]["target"],
                       "person_psnr": rows[n]["numbers"]["person/psnr"],
                       "joints_lost": lost(n)} for n in members],
        }  # fmt: skip
    return record


def _strip(study: Study, number: int) -> Image:
    sample = study.pairs[number]
    pictures = [arm.picture(number, arm.seeds[0]) for arm in study.arms.values()]
    height, width = sample.size
    cells = []
    for picture in (sample.source_image, sample.target_image, *pictures):
        if picture.shape[:2] != (height, width):
            resized = Pillow.fromarray(picture).resize((width, height), Pillow.Resampling.BICUBIC)
            cells.append(np.asarray(resized))
        else:
            cells.append(picture)
    return np.concatenate(cells, 1)


def _jpeg(picture: Image) -> bytes:
    """The best of some qualities and sizes that fits ``SHEET_BYTES``."""
    image = Pillow.fromarray(picture)
    for scale in (1.0, 0.75, 0.6, 0.5, 0.4, 0.3):
        size = (round(image.width * scale), round(image.height * scale))
        smaller = image if scale == 1 else image.resize(size, Pillow.Resampling.LANCZOS)
        for quality in (88, 80):
            data = io.BytesIO()
            smaller.save(data, "JPEG", quality=quality, optimize=True)
            if data.tell() <= SHEET_BYTES:
                return data.getvalue()
    return data.getvalue()
