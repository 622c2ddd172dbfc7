"""Rows of single pairs -> the numbers of results.json, with their spread."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.metrics import HEADLINE
from training.scoring import Row

FORMAT: Final = "reposedm-results"
VERSION: Final = 1

Numbers = dict[str, dict[str, Any]]
Rows = Mapping[tuple[int, int], Row]
"""(seed, pair) -> row."""


def summarise(rows: Rows, seeds: Sequence[int], pairs: Sequence[int]) -> Numbers:
    """Numbers by region and metric.

    Each is {"mean", "spread", "ci95", "per_seed", "pairs", "left_out"}: the mean over pairs and
    then over seeds; the standard deviation between seeds (None for one); half the 95 % confidence
    interval of the mean over pairs; and on how many pairs it is defined (PSNR of equal pictures,
    SSIM of two flat ones, a pose without a head are not).
    """
    numbers: Numbers = {}
    for name in _names(rows.values()):
        table = values_of(rows, name, seeds, pairs)
        region, metric = name.split("/", 1)
        numbers.setdefault(region, {})[metric] = statistic(table)
    return numbers


def statistic(table: NDArray[np.float64]) -> dict[str, Any]:
    """See ``summarise``; ``table`` is (seeds, pairs), NaN where undefined."""
    usable = np.isfinite(table).all(0)
    kept = table[:, usable]
    if not kept.size:
        return over_seeds([math.nan] * len(table)) | {
            "ci95": None, "pairs": 0, "left_out": table.shape[1],
        }  # fmt: skip
    per_pair = kept.mean(0)
    ci95 = 1.96 * per_pair.std(ddof=1) / math.sqrt(len(per_pair)) if len(per_pair) > 1 else None
    return over_seeds(kept.mean(1).tolist()) | {
        "ci95": None if ci95 is None else float(ci95),
        "pairs": int(usable.sum()),
        "left_out": int((~usable).sum()),
    }


def over_seeds(per_seed: Sequence[float]) -> dict[str, Any]:
    """Mean and spread of a number that a whole run has only one of, such as an FID."""
    if not all(math.isfinite(value) for value in per_seed):
        return {"mean": None, "spread": None, "per_seed": [None] * len(per_seed)}
    return {
        "mean": float(np.mean(per_seed)),
        "spread": float(np.std(per_seed, ddof=1)) if len(per_seed) > 1 else None,
        "per_seed": [float(value) for value in per_seed],
    }


def oracle(rows: Rows, seeds: Sequence[int], pairs: Sequence[int]) -> dict[str, Any]:
    """Numbers of the seed that looks most like the real picture, pair by pair.

    Choosing by the answer is what some published rows do; it is no fair number, so it is never
    printed without the label "oracle@N".
    """
    scores = values_of(rows, f"whole/{HEADLINE}", seeds, pairs)
    best = np.where(np.isfinite(scores), scores, -np.inf).argmax(0)
    found = {}
    for name in _names(rows.values()):
        region, metric = name.split("/", 1)
        if region == "whole":
            table = values_of(rows, name, seeds, pairs)
            found[metric] = statistic(table[best, np.arange(len(pairs))][None])
    return found


def values_of(
    rows: Rows, name: str, seeds: Sequence[int], pairs: Sequence[int]
) -> NDArray[np.float64]:
    """One number of every row: float64 (seeds, pairs), NaN where undefined."""
    table = np.full((len(seeds), len(pairs)), np.nan)
    for i, seed in enumerate(seeds):
        for j, pair in enumerate(pairs):
            value = rows[seed, pair]["numbers"].get(name)
            table[i, j] = math.nan if value is None else value
    return table


def lines(numbers: Numbers) -> list[str]:
    """The numbers for people: a line each."""
    found = []
    for region, metrics in numbers.items():
        for metric, value in metrics.items():
            text = f"{region:<10} {metric:<22} {shown(value)}"
            if value.get("left_out"):
                text += f"  (undefined for {value['left_out']} pairs)"
            found.append(text)
    return found


def shown(value: Mapping[str, Any]) -> str:
    """ "0.7312 ± 0.0004" (the spread between seeds), or "undefined"."""
    if value["mean"] is None:
        return "undefined"
    spread = "" if value["spread"] is None else f" ± {value['spread']:.4f}"
    return f"{value['mean']:.4f}{spread}"


def _names(rows: Any) -> list[str]:
    """All numbers' names, in the order in which they appear."""
    return list(dict.fromkeys(name for row in rows for name in row["numbers"]))
