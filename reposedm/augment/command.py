"""``python -m reposedm augment IN OUT``: more pictures of every identity of a set.

On several GPUs, or machines that share OUT: ``accelerate launch -m reposedm augment IN OUT``.
Several processes without GPUs: ``torchrun --nproc_per_node 2 -m reposedm augment IN OUT``.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reposedm.augment.run import Summary


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command ``augment`` to the command line."""
    parser = commands.add_parser(
        "augment",
        help="make more pictures of every identity of a re-identification set",
        epilog="IN is a folder or zip with names of Market-1501, DukeMTMC-reID or MSMT17, or with "
        "one folder per identity. Joints beside a picture (0002_c1s1_000451_03.json) spare the "
        "detector.",
    )
    parser.set_defaults(run=augment)
    add = parser.add_argument
    add("source", metavar="IN", help="folder or zip of pictures")
    add("out", metavar="OUT", help="folder of results, new or empty")
    add("--per-identity", type=int, default=4, metavar="N", help="default: %(default)s")
    add(
        "--poses",
        default="set",
        metavar="FROM",
        help="set: other pictures (default); same: of the same identity; presets: the library; or "
        "a file of poses (JSON, or a zip of them)",
    )
    add("--seed", type=int, default=0, metavar="N", help="default: %(default)s")
    add("--limit", type=int, metavar="N", help="at most so many pictures in all")
    add("--method", default="preview", metavar="NAME", help="see: info (default: %(default)s)")
    add("--steps", type=int, metavar="N", help="more: slower and finer")
    add("--guidance", type=float, metavar="X", help="more: closer to the photo and the pose")
    add("--pose-guidance", type=float, metavar="X", help="more: closer to the pose alone")
    add("--detector", default="mediapipe", metavar="NAME", help="see: info (default: %(default)s)")
    add("--masks", default="segment", metavar="HOW", help="segment (default), or skeleton: quicker "
        "and rougher")  # fmt: skip
    add("--filter", action="store_true", help="keep only pictures that show the wanted pose")
    add("--reid-weights", default="", metavar="FOLDER", help="for --filter: keep only pictures on "
        "which this network recognises the identity")  # fmt: skip
    add("--min-pckh", type=float, default=0.5, metavar="X", help="default: %(default)s")
    add("--min-similarity", type=float, default=0.5, metavar="X", help="default: %(default)s")
    add("--resume", action="store_true", help="go on with the run in OUT")


def augment(parsed: argparse.Namespace) -> None:
    """Run, with progress on stderr; a kill loses nothing, ``--resume`` goes on."""
    from reposedm.augment.run import augment as start
    from reposedm.augment.settings import AugmentSettings
    from reposedm.augment.shards import Shard
    from reposedm.jobs.progress import show

    settings = AugmentSettings(
        per_identity=parsed.per_identity,
        poses=parsed.poses,
        method=parsed.method,
        seed=parsed.seed,
        limit=parsed.limit,
        steps=parsed.steps,
        guidance_scale=parsed.guidance,
        pose_guidance_scale=parsed.pose_guidance,
        detector=parsed.detector,
        masks=parsed.masks,
        filter=parsed.filter,
        reid_weights=parsed.reid_weights,
        min_pckh=parsed.min_pckh,
        min_similarity=parsed.min_similarity,
    )
    shard = Shard.from_environment()
    with _terminated_like_interrupted():
        summary = show(
            start(parsed.source, parsed.out, settings, resume=parsed.resume, shard=shard)
        )
    if shard.first:
        _report(summary)


def _report(summary: Summary) -> None:
    from reposedm.augment.report import understood_table

    for name, value in understood_table(summary.understood):
        _say(f"{name}: {value}")
    for reason, count in Counter(summary.unposed).most_common(10):
        _say(f"Not used: {count} x {reason}")
    for reason, count in Counter(summary.reasons).most_common(10):
        _say(f"Not kept: {count} x {reason}")
    for note in summary.understood.notes:
        _say(f"note: {note}")
    _say(f"{summary.kept} of {summary.planned} pictures in {summary.out}, see report.html there")


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, which a cluster sends before it kills, ends the work as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
