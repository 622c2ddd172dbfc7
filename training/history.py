"""What training runs were, for the model card: made from the files that the runs wrote.

    python -m training.history runs/small runs/small-b1 -o training/results/training.json

Of each run: the configuration that differs from the default, and for each stage its steps, samples,
hours and last losses, on which hardware, from which commits.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reposedm.errors import RePoseError
from training.config import TrainConfig
from training.files import write_atomically
from training.machine import public
from training.report import LOG, STARTS
from training.sample import DataError

FORMAT: Final = "reposedm-training"
VERSION: Final = 1


def run_facts(run: Path) -> dict[str, Any]:
    """The facts of one run.

    Raises:
        DataError: the folder has no logs of a run.
    """
    starts, log = _lines(run / STARTS), _lines(run / LOG)
    stages: dict[str, dict[str, Any]] = {}
    for line in log:
        stage = stages.setdefault(
            line["stage"],
            {"steps": 0, "per_step": 0, "seconds": 0.0, "last": {}, "validation": {}},
        )
        checked = {k.split("/", 1)[1]: v for k, v in line.items() if k.startswith("validation/")}
        if checked:
            stage["validation"] = checked
            continue
        if "seconds" not in line:
            raise DataError(f"{run / LOG} was written by an older version: it has no times")
        # The lines after a stop lack the steps since the one before it: the fullest line tells how
        # many samples a step has. Steps that a killed run repeats cost time, and count once.
        steps = line["step"] - stage["steps"]
        if steps > 0:
            stage["per_step"] = max(stage["per_step"], round(line["samples"] / steps))
        stage["steps"] = max(stage["steps"], line["step"])
        stage["seconds"] += line["seconds"]
        known = ("stage", "step", "total", "samples", "seconds", "samples_per_second",
                 "learning_rate")  # fmt: skip
        stage["last"] = {k: v for k, v in line.items() if k not in known}
    for stage in stages.values():
        stage["samples"] = stage["steps"] * stage.pop("per_step")
        stage["hours"] = round(stage["seconds"] / 3600, 2)
        stage["seconds"] = round(stage["seconds"], 1)
    config = starts[-1]["config"]
    return {
        "name": run.resolve().name,
        "method": config["method"],
        "seed": config["seed"],
        "data": _data(config),
        "config": _shown(_changed(config, _default())),
        "stages": stages,
        "hours": round(sum(stage["seconds"] for stage in stages.values()) / 3600, 2),
        "starts": [
            _shown({key: start[key] for key in
                    ("utc", "command", "commit", "machine", "processes", "precision", "torch")})
            for start in starts
        ],
    }  # fmt: skip


def _default() -> dict[str, Any]:
    """The values of a configuration that says nothing."""
    fields = dataclasses.fields(TrainConfig)
    found = {
        field.name: dataclasses.asdict(field.default)  # type: ignore[arg-type,call-overload]
        if dataclasses.is_dataclass(field.default)
        else field.default
        for field in fields
    }
    values: dict[str, Any] = json.loads(json.dumps(found))  # tuples as lists, as in the log
    return values


def _changed(value: Any, default: Any) -> Any:
    """The part of nested mappings that differs."""
    if not isinstance(value, dict) or not isinstance(default, dict):
        return value
    parts = {key: _changed(inner, default.get(key)) for key, inner in value.items()
             if inner != default.get(key)}  # fmt: skip
    return {key: part for key, part in parts.items() if part != {}}


def _data(config: Mapping[str, Any]) -> dict[str, Any]:
    """Which pictures: the kind, and how a rendered folder was rendered."""
    data = config["data"]
    meta = Path(data["root"]) / "meta.json"
    rendered = json.loads(meta.read_text("utf-8")).get("settings", {}) if meta.is_file() else {}
    return {"kind": data["kind"], "size": data["size"], **rendered}


def _shown(value: Any) -> Any:
    """Without the folders of this computer."""
    if isinstance(value, dict):
        return {key: _shown(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_shown(inner) for inner in value]
    return public(value) if isinstance(value, str) else value


def _lines(file: Path) -> list[dict[str, Any]]:
    try:
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{file} is no log of a training run: {error}") from error
    if not lines:
        raise DataError(f"{file} is empty: nothing has been trained yet")
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.history",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", type=Path, help="folders of training runs")
    parser.add_argument("-o", "--out", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(arguments)
    try:
        runs = [run_facts(run) for run in options.runs]
        facts = {"format": FORMAT, "version": VERSION, "runs": runs}
        text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(options.out, text.encode())
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for run in runs:
        stages = ", ".join(f"{k} {v['steps']} steps, {v['hours']} h" for k, v in
                           run["stages"].items())  # fmt: skip
        print(f"{run['name']}: {stages}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
