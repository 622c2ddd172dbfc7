"""The model card's section on the garment networks, from training/results/garments.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from training.markdown import table

PICTURES: Final = (
    "![pictures and their labels](model_card/parser.jpg)\n\n"
    "A photograph by NASA and rendered examples: the picture, its labels inside the person's mask, "
    "and without a mask; made by `python -m training.garments.sheet`. A helmet becomes trousers, "
    "an orange sleeve and a camel sleeve become arms."
)


def section(results: Mapping[str, Any]) -> str:
    """Markdown; says which command measures what is not measured yet."""
    found = results.get("garments")
    if found is None:
        return "Not measured yet: `python -m training.garments.evaluate --data FOLDER --out FILE`."
    parts = [_parser(found["parser"]), PICTURES] if "parser" in found else []
    if "landmarks" in found:
        parts.append(_landmarks(found["landmarks"]))
    parts.append(f"Made by `{found['command']}`, commit {found['commit']}.")
    return "\n\n".join(parts)


def _parser(found: Mapping[str, Any]) -> str:
    rows = [["class", "IoU", "IoU without the person's mask"], ["---"] * 3]
    masked, alone = found["mask"], found["no_mask"]
    for name, value in masked["iou"].items():
        rows.append([name, _number(value), _number(alone["iou"].get(name))])
    rows.append(["mean", _number(masked["mean_iou"]), _number(alone["mean_iou"])])
    return (
        f"The parser on {found['pictures']} pictures of rendered people that no training has "
        f"seen, at their own size:\n\n{table(rows)}\n\n"
        "Jackets are hardly told from shirts, hats hardly from hair, and a skirt seen on few "
        "people is often taken for trousers: correct the mask before a swap of these."
    )


def _landmarks(found: Mapping[str, Any]) -> str:
    size = found["percent_of_size"]
    return (
        f"Landmarks on {found['garments']} product pictures: {size['mean']:.2f} % of the longer "
        f"side of the garment's box away from the truth (median {size['median']:.2f} %, nine of "
        f"ten below {size['p90']:.2f} %); cut out of its ground with an IoU of "
        f"{found['cut_out']['iou']:.4f}."
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
