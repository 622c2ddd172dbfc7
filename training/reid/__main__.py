"""The command line; see the package's text."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from reposedm.errors import RePoseError, SettingsError

if TYPE_CHECKING:
    from training.reid.config import ReidConfig
    from training.reid.market import Market


def main(arguments: Sequence[str] | None = None) -> int:
    """Run; 2 after an error the user can act on, which is printed in one line."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m training.reid", description=__doc__)
    commands = parser.add_subparsers(required=True)
    render = commands.add_parser("render", help="render a synthetic set in Market-1501's form")
    render.set_defaults(run=_render)
    render.add_argument("--out", required=True, help="folder to write")
    render.add_argument("--assets", default="", help="asset pack (default: $REPOSEDM_ASSETS)")
    render.add_argument("--train-identities", type=int, default=100)
    render.add_argument("--test-identities", type=int, default=50)
    render.add_argument("--distractors", type=int, default=20, help="people in the gallery alone")
    render.add_argument("--junk", type=int, default=50, help="bad boxes in the gallery")
    render.add_argument("--cameras", type=int, default=6)
    render.add_argument("--per-camera", type=int, default=2, help="pictures of a person by each")
    render.add_argument("--seed", type=int, default=0)
    render.add_argument("--workers", type=int, default=0, help="0: in this process")
    _add_run(commands)
    table = commands.add_parser("table", help="results.json and table.md of an experiment")
    table.set_defaults(run=_table)
    table.add_argument("experiment", type=Path, help="folder of the experiment")
    table.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    train = commands.add_parser("train", help="train one model on all real pictures and keep it")
    train.set_defaults(run=_train)
    _add_common(train)
    train.add_argument("--seed", type=int, default=0)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", help="a name in training/reid/configs, or a YAML file")
    parser.add_argument("--data", required=True, help="folder of Market-1501's form")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--device", default="cpu", help="of torch: cpu (default), cuda, ...")
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: torch's choice")


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = commands.add_parser("run", help="the experiment; go on where it was")
    run.set_defaults(run=_run)
    _add_common(run)
    run.add_argument(
        "--method", action="append", help="that generates, an arm each (default: preview)"
    )
    run.add_argument("--generated", type=Path, help="a folder of: python -m reposedm augment")
    run.add_argument("--arms", help="in place of the configuration's: real,repeated,...")
    run.add_argument("--fractions", help="likewise: 20,60")
    run.add_argument("--seeds", help="likewise: 0,1,2")
    run.add_argument("--assets", default="", help="asset pack of the oracle arm")
    run.add_argument("--max-minutes", type=float, help="end after so many; go on later")
    run.add_argument("--results", type=Path, help="folder for results.json and table.md, too")


def _run(options: argparse.Namespace) -> int:
    from training.reid.experiment import Experiment
    from training.stop import Stop

    config = _changed(_ready(options), options)
    with Stop(options.max_minutes) as stop:
        experiment = Experiment(
            config, _market(options), options.out, tuple(options.method or ["preview"]),
            options.generated,
            options.assets, options.device, lambda: stop.wanted, _say,
        )  # fmt: skip
        whole = experiment.run()
    if options.results is not None and any((options.out / "runs").glob("*.json")):
        _write(options.out, options.results)
    if not whole:
        _say(f"stopped with {len(experiment.missing())} runs left: the same command goes on")
    return stop.code or 0


def _table(options: argparse.Namespace) -> int:
    _write(options.experiment, options.out)
    return 0


def _train(options: argparse.Namespace) -> int:
    from training.reid.fit import measure, train
    from training.reid.market import pixels_of
    from training.reid.plan import steps

    config, market = _ready(options), _market(options)
    people = [shot.person for shot in market.train]
    count = steps("real", len(people), len(people), config.recipe)
    made = train(config, pixels_of(market.train), people, count, options.seed,
                 device=options.device, tell=_say)  # fmt: skip
    made.network.cpu().save_pretrained(options.out)
    scores = measure(made.network, market)
    _say(f"mAP {scores.mean_ap:.4f}  Rank-1 {scores.rank1:.4f}  in {options.out}")
    return 0


def _ready(options: argparse.Namespace) -> ReidConfig:
    """The configuration; torch and OpenCV use as many threads as wished."""
    import cv2
    import torch

    from training.reid.config import read_config

    if options.threads:
        torch.set_num_threads(options.threads)
        cv2.setNumThreads(options.threads)
    return read_config(options.config)


def _market(options: argparse.Namespace) -> Market:
    from training.reid.market import read_market

    market = read_market(options.data)
    _say(", ".join(f"{name} {count}" for name, count in market.counts.items()))
    return market


def _changed(config: ReidConfig, options: argparse.Namespace) -> ReidConfig:
    """The configuration with what the command line says instead."""
    from training.filling import fill
    from training.reid.config import ReidConfig

    record = config.record()
    if options.arms:
        record["protocol"]["arms"] = options.arms.split(",")
    for name in ("fractions", "seeds"):
        text = getattr(options, name)
        if text:
            parts = text.split(",")
            if not all(part.strip().isdecimal() for part in parts):
                raise SettingsError(f"--{name} are whole numbers with commas, not {text!r:.60}")
            record["protocol"][name] = [int(part) for part in parts]
    changed: ReidConfig = fill(ReidConfig, record)
    return changed


def _write(experiment: Path, folder: Path) -> None:
    from training.reid.results import collect, write

    command = f"python -m training.reid {shlex.join(sys.argv[1:])}"
    write(collect(experiment, command), folder)
    _say(f"written: {folder / 'results.json'} and {folder / 'table.md'}")


def _say(text: str) -> None:
    print(text, flush=True)


def _render(options: argparse.Namespace) -> int:
    from training.reid.render import Street, render_street
    from training.synthetic.assets import find_pack

    street = Street(
        options.out, str(find_pack(options.assets)), options.train_identities,
        options.test_identities, options.distractors, options.cameras, options.per_camera,
        options.junk, options.seed, options.workers,
    )  # fmt: skip
    started = time.monotonic()
    for done in render_street(street):
        if done % 20 == 0 or done == street.people:
            seconds = time.monotonic() - started
            print(f"{done} of {street.people} people, {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
