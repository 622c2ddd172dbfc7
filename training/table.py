"""A Markdown table of several results.json files beside published numbers.

python -m training.table results/*.json -o results/table.md

Published and measured stand in columns of their own; a cell is empty where nothing was run. Which
published row a result belongs to is decided by its name (``training.evaluate --name``), listed in
published.json: our method "pidm" is the paper's B1, and PIDM's own pictures are "pidm-original".
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reposedm.errors import RePoseError
from training import markdown
from training.files import write_atomically
from training.metrics import HEADLINE, MetricsError
from training.summary import FORMAT, VERSION, shown

PUBLISHED: Final = Path(__file__).with_name("published.json")
COLUMNS: Final = (("FID", "fid"), ("SSIM", "ssim"), ("LPIPS", "lpips"))
Group = tuple[str, str, str]
"""What can be compared: (data kind, split, protocol)."""


def read_results(path: Path) -> dict[str, Any]:
    """A file that ``training.evaluate`` wrote.

    Raises:
        MetricsError: it is none.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise MetricsError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise MetricsError(f"{path} is no results.json of training.evaluate")
    if content.get("version") != VERSION:
        raise MetricsError(f"{path} is of version {content.get('version')}, not {VERSION}")
    return content


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The whole page in Markdown: a table for each data set and protocol, and how it was run.

    Raises:
        MetricsError: two files are of the same row.
    """
    published: dict[str, Any] = json.loads(PUBLISHED.read_text("utf-8"))
    groups: dict[Group, list[Mapping[str, Any]]] = {}
    for one in results:
        key = (one["data"]["kind"], one["data"]["split"], one["protocol"]["name"])
        groups.setdefault(key, []).append(one)
    parts, left = [], dict(groups)
    empty: list[Mapping[str, Any]] = []
    for group in published["groups"]:
        key = (group["kind"], "test", group["protocol"])
        parts.append(_part(group["data"], group["rows"], left.pop(key, empty)))
    parts += [_part(", ".join(key), [], runs) for key, runs in left.items()]
    parts.append(f"Published: {published['source']}.")
    if results:
        parts.append("\n".join(["How the measured ones were run:", "", *map(_how, results)]))
    return "\n\n".join(parts) + "\n"


def _part(
    title: str, published: Sequence[Mapping[str, Any]], runs: Sequence[Mapping[str, Any]]
) -> str:
    """One table: published methods first, then what only we ran."""
    mine: dict[str, Mapping[str, Any]] = {}
    for run in runs:
        if mine.setdefault(run["name"].lower(), run) is not run:
            raise MetricsError(f"two results are called {run['name']!r}: evaluate with --name")
    heads = [f"{head} {who}" for head, _ in COLUMNS for who in ("published", "measured")]
    extra = _extra(runs)
    rows = [["method", *heads, *extra], ["---"] * (1 + len(heads) + len(extra))]
    for row in published:
        ran = next((mine.pop(name) for name in row["measured"] if name in mine), None)
        rows.append(_row(row["method"], row, ran, extra))
    rows += [_row(run["name"], {}, run, extra) for run in mine.values()]
    for run in runs:
        for region in run["numbers"]:
            if region.startswith("oracle@"):
                label = f"{run['name']} ({region}: chosen by the answer)"
                chosen = {**run, "numbers": {"whole": run["numbers"][region]}}
                rows.append(_row(label, {}, chosen, extra))
    return f"### {title}\n\n{markdown.table(rows)}"


def _row(
    name: str, published: Mapping[str, Any], run: Mapping[str, Any] | None, extra: Sequence[str]
) -> list[str]:
    label = name
    if run is not None and run["counts"]["pairs"] < run["counts"]["of"]:
        label += f" ({run['counts']['pairs']} of {run['counts']['of']} pairs)"
    cells = [label.replace("|", "\\|")]
    for _, key in COLUMNS:
        cells.append(str(published.get(key, "")))
        cells.append("" if run is None else _measured(run, key))
    return cells + ["" if run is None else _number(run, *column.split(" ", 1)) for column in extra]


def _measured(run: Mapping[str, Any], key: str) -> str:
    if key == "ssim":
        return _number(run, "whole", HEADLINE)
    if key == "lpips":
        return _number(run, "whole", "lpips")
    # Each FID under its own name: a protocol has one.
    return "".join(shown(value) for value in run["numbers"].get("set", {}).values())


def _number(run: Mapping[str, Any], region: str, metric: str) -> str:
    value = run["numbers"].get(region, {}).get(metric)
    return "" if value is None else shown(value)


def _extra(runs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Further columns that at least one run has: "region metric"."""
    wanted = [("person", HEADLINE), ("person", "lpips"), ("ma-mask", "lpips"),
              ("pose", "pckh"), ("pose", "pckh_real"), ("pose", "ap"), ("flow", "px")]  # fmt: skip
    return [f"{region} {metric}" for region, metric in wanted
            if any(metric in run["numbers"].get(region, {}) for run in runs)]  # fmt: skip


def _how(run: Mapping[str, Any]) -> str:
    hashes = run["candidate"].get("weights", {})
    weights = ", ".join(f"{name} {sha[:12]}" for name, sha in hashes.items())
    return (
        f"- {run['name']}: {run['counts']['pairs']} of {run['counts']['of']} pairs, seeds "
        f"{', '.join(map(str, run['seeds']))}; {run['protocol']['text']}; "
        f"pictures: {run['candidate']['format']}; weights: {weights or 'none'}; commit "
        f"{(run['commit'] or 'unknown')[:12]}; `{run['command']}`"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.table",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("results", nargs="*", type=Path, help="results.json files")
    parser.add_argument("-o", "--out", type=Path, help="a file in place of the screen")
    options = parser.parse_args(arguments)
    try:
        text = table([read_results(path) for path in options.results])
        if options.out is not None:
            write_atomically(options.out, text.encode())
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if options.out is None:
        print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
