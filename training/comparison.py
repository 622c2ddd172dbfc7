"""Arms against each other on the same pairs: differences with their uncertainty, and the bars.

Pairs of one person are not independent, so people are drawn in the bootstrap, not pairs. Seeds are
averaged first; the spread between them stands beside the means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.scoring import Row
from training.summary import Rows, over_seeds, values_of

Array = NDArray[np.float64]

RESAMPLES: Final = 2000
COMPARED: Final = (
    "person/psnr", "person/ssim51", "person/ssim_g1.2", "person/ssim_g1.5", "person/lpips",
    "whole/psnr", "whole/ssim_g1.5", "pose/pckh", "pose/kept", "flow/cells",
)  # fmt: skip
"""Metrics whose differences are reported where both arms have them."""
LOWER_IS_BETTER: Final = frozenset({"person/lpips", "flow/cells"})
KEPT: Final = "pose/kept"
HEADLINES: Final = ("person/psnr", "person/ssim_g1.5", "whole/ssim_g1.5", "pose/pckh", KEPT)
"""Metrics that the order of the paper's arms is reported in."""


class Ratio:
    """A number of an arm as a ratio of sums over pairs: float64 (seeds, pairs) each.

    A mean is the values over ones; a pair that has no value has 0 over 0.
    """

    def __init__(self, above: Array, below: Array) -> None:
        """Keep both."""
        self.above, self.below = above, below

    @property
    def per_seed(self) -> list[float]:
        """Of each seed; NaN without a pair."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return (self.above.sum(1) / self.below.sum(1)).tolist()

    def only(self, usable: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Means over seeds, (pairs,) each, and 0 where not usable."""
        return self.above.mean(0) * usable, self.below.mean(0) * usable

    @property
    def usable(self) -> NDArray[np.bool_]:
        """(pairs,), where every seed has a value."""
        return np.asarray((self.below > 0).all(0))


def number_of(rows: Rows, name: str, seeds: Sequence[int], pairs: Sequence[int]) -> Ratio:
    """One of ``COMPARED`` of an arm.

    "pose/kept" is the part of the joints that the judge finds on the real picture and also finds
    on the arm's: a sum over a sum, since some pictures have more joints than others.
    """
    if name != KEPT:
        values = values_of(rows, name, seeds, pairs)
        known = np.isfinite(values)
        return Ratio(np.where(known, values, 0), known.astype(np.float64))
    kept, found = np.zeros((2, len(seeds), len(pairs)))
    for i, seed in enumerate(seeds):
        for j, pair in enumerate(pairs):
            kept[i, j], found[i, j] = joints_kept(rows[seed, pair])
    return Ratio(kept, found)


def joints_kept(row: Row) -> tuple[int, int]:
    """Joints found on the picture and the real one, and on the real one; 0, 0 if not looked for."""
    hits, real = row.get("hits"), row.get("hits_real")
    if not hits or not real:
        return 0, 0
    return sum(a and b for a, b in zip(hits, real, strict=True)), sum(real)


def statistic_of(number: Ratio) -> dict[str, Any]:
    """As ``summary.statistic``: mean and spread over seeds, how many pairs it is of."""
    return over_seeds(number.per_seed) | {"pairs": int(number.usable.sum())}


def difference(first: Ratio, second: Ratio, people: Sequence[int]) -> dict[str, Any] | None:
    """First minus second on the pairs that both have.

    Returns:
        {"mean", "ci95": [low, high], "above": share of the resamples above zero, "pairs",
        "people"}; None without such a pair.

    Args:
        first: of one arm.
        second: of the other.
        people: whose each pair is.
    """
    usable = first.usable & second.usable
    if not usable.any():
        return None
    owners = np.unique(np.asarray(people)[usable], return_inverse=True)[1]
    count = int(owners.max()) + 1

    def by_person(values: Array) -> Array:
        return np.bincount(owners, values[usable], minlength=count).astype(np.float64)

    sums = [[by_person(part) for part in number.only(usable)] for number in (first, second)]

    def gap(weights: Array) -> Array:
        (a, b), (c, d) = ((weights @ above, weights @ below) for above, below in sums)
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(a / b - c / d)

    draws = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), RESAMPLES)
    found = gap(draws.astype(np.float64))
    found = found[np.isfinite(found)]
    low, high = np.percentile(found, (2.5, 97.5)).tolist() if len(found) else (None, None)
    return {
        "mean": float(gap(np.ones((1, count)))[0]),
        "ci95": [low, high],
        "above": float((found > 0).mean()) if len(found) else None,
        "pairs": int(usable.sum()),
        "people": count,
    }


def bars(
    statistics: Mapping[str, Mapping[str, Mapping[str, Any]]],
    differences: Mapping[str, Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """The bars that the arm "full" has to pass; ``met`` is None where an arm was not run.

    Args:
        statistics: arm -> metric -> ``statistic_of``.
        differences: "full - other" -> metric -> ``difference``.
    """
    found = []
    for other in ("copy-source", "preview", "b1"):
        for metric in ("person/psnr", "person/ssim_g1.5", "pose/pckh"):
            gap = differences.get(f"full - {other}", {}).get(metric)
            spread = max(
                (statistics.get(arm, {}).get(metric, {}).get("spread") or 0.0)
                for arm in ("full", other)
            )
            met = None if gap is None else bool(gap["mean"] > spread and gap["ci95"][0] > 0)
            found.append(
                {"bar": f"full beats {other} in {metric} by more than the spread", "met": met,
                 "difference": None if gap is None else gap["mean"], "spread": spread}
            )  # fmt: skip
    kept = statistics.get("full", {}).get(KEPT, {}).get("mean")
    found.append(
        {"bar": "the judge finds 0.95 of the real picture's joints on full's", "value": kept,
         "met": None if kept is None else kept >= 0.95}
    )  # fmt: skip
    return found


def order(statistics: Mapping[str, Mapping[str, Mapping[str, Any]]], metric: str) -> list[str]:
    """The paper's arms that were run, best first."""
    means = {
        arm: statistics[arm][metric]["mean"]
        for arm in ("b1", "b2", "full")
        if statistics.get(arm, {}).get(metric, {}).get("mean") is not None
    }
    return sorted(means, key=lambda arm: means[arm], reverse=metric not in LOWER_IS_BETTER)
