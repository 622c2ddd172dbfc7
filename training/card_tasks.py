"""The model card's sections on what else the U-Net was tuned for: swaps, and small pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from training.markdown import table
from training.summary import shown

SWAP_PICTURES: Final = (
    "![swaps](model_card/swap.jpg)\n\n"
    "Rendered people, evenly spread over the triples: the person, the garment (cut out), the "
    "paste, the swap without recurrent alignment, the swap, the true answer; the networks' own "
    "pictures, without the garment photo's texture that the app adds. Colours and shapes are "
    "right, patterns blur."
)
_SWAP_ARMS: Final = {
    "swap": "the swap", "swap-limbs": "without recurrent alignment", "paste": "paste the warp",
    "paste-aligned": "paste what alignment warped", "unchanged": "the photo as it came",
}  # fmt: skip
_SWAP_METRICS: Final = (
    ("PSNR in the region", "region", "psnr"), ("SSIM in the region", "region", "ssim_g1.5"),
    ("SSIM", "whole", "ssim_g1.5"), ("IoU", "region", "iou"),
)  # fmt: skip
_STREET_ARMS: Final = {
    "copy-source": "copy of the source", "preview": "preview engine",
    "b2": "weights of reposing", "street": "weights for small pictures",
}  # fmt: skip
_STREET_METRICS: Final = (
    ("PSNR", "person", "psnr"), ("SSIM g1.5", "person", "ssim_g1.5"),
    ("PSNR, whole", "whole", "psnr"), ("PCKh", "pose", "pckh"),
)  # fmt: skip


def swap_section(results: Mapping[str, Any]) -> str:
    """From ``swap.json``; says which command measures what is not measured yet."""
    found = results.get("swap")
    if found is None:
        return "Not measured yet: `python -m training.swap_evaluate`."
    rows = [["garments", "arm", *(name for name, *_ in _SWAP_METRICS)]]
    rows.append(["---"] * len(rows[0]))
    for group, arms in found["numbers"].items():
        for arm, label in _SWAP_ARMS.items():
            cells = (_cell(arms[arm], area, name) for _, area, name in _SWAP_METRICS)
            rows.append([f"{group} ({found['counts'][group]})", label, *cells])
    gaps = found["differences"]
    said = "; ".join(
        f"over {_SWAP_ARMS[arm]} {gaps[f'swap - {arm}']['region/psnr']['mean']:+.2f} dB"
        for arm in ("paste", "paste-aligned", "swap-limbs")
    )
    return "\n\n".join([
        "The finest grid of reposing's U-Net, tuned on pairs whose true answer the renderer draws: "
        "the same person, pose and camera in the other outfit. On triples of people that no "
        f"training has seen, {len(found['seeds'])} sampling seeds, one step each:",
        table(rows),
        f"In the region: {said}. Pixels changed outside the mask by any arm: "
        f"{sum(found['pixels_changed_outside_the_mask'].values())}.",
        *_time(results.get("garment_time")),
        SWAP_PICTURES,
        f"Made by `{found['command']}`, commit {found['commit']}.",
    ])  # fmt: skip


def _time(found: Mapping[str, Any] | None) -> list[str]:
    if found is None:
        return []
    return [f"In the app, on a photo of {found['photo'][0]} x {found['photo'][1]}: "
            f"{found['swap_s']} s where a repose takes {found['repose_s']} s "
            f"(`{found['command']}`)."]  # fmt: skip


def street_section(results: Mapping[str, Any]) -> str:
    """From ``street.json``; likewise."""
    found = results.get("street")
    if found is None:
        return "Not measured yet: `python -m training.ablation --arm street=FOLDER`."
    rows = [["arm", *(name for name, *_ in _STREET_METRICS)]]
    rows.append(["---"] * len(rows[0]))
    for arm, label in _STREET_ARMS.items():
        numbers = found["arms"][arm]["numbers"]
        rows.append([label, *(_cell(numbers, area, name) for _, area, name in _STREET_METRICS)])
    counts = found["counts"]
    return "\n\n".join([
        "The finest grid again, tuned on pictures of surveillance cameras: as small as "
        "Market-1501's, dark, blurred and noisy, enlarged to the size of the weights. The method "
        f"is called `reposedm-street`. On {counts['pairs']} pairs of {found['data']['people']} "
        f"people and cameras that no training has seen (poses on {counts['posed']}):",
        table(rows),
        "Whether pictures made with it train a better re-identification model: "
        "[training/results/reid/table.md](../training/results/reid/table.md).",
        f"Made by `{found['command']}`, commit {found['commit']}.",
    ])  # fmt: skip


def _cell(numbers: Mapping[str, Any], area: str, metric: str) -> str:
    value = numbers.get(area, {}).get(metric)
    return "" if value is None or value["mean"] is None else shown(value)
