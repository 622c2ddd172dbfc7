"""Evaluate the garment swap on triples with a true answer; writes results as JSON and a table.

python -m training.swap_evaluate --data data/held-out --weights runs/swap/weights/swap \\
    --shared assets/weights/reposedm --seeds 0,1,2 --out results/swap.json --grid results/swap.png

Arms, all on the same pictures and masks:

    swap            the trained method
    swap-limbs      the same weights with the limb mapping in the place of alignment ("without RPA")
    paste           the app's method "Paste the warp (no AI)", told the true labels of the photo
    paste-aligned   the aligned garment's pixels laid on the photo as they are
    unchanged       the photo as it came

Numbers are means over triples of one picture a seed; nothing is chosen by its likeness to the
answer. The region is the mask. Its IoU compares what the garment parser sees of the region on an
arm's picture with the true labels, inside the mask.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from PIL import Image as Pillow

from reposedm.errors import RePoseError
from reposedm.garments.labels import region_mask
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.pipelines.base import drain
from reposedm.pipelines.garment import fitted, swap_inputs
from reposedm.pipelines.paste import PasteWarp
from reposedm.pipelines.swap import GarmentSwapPipeline
from training.comparison import difference, number_of
from training.datasets.swap import SwapSample, SwapTriples
from training.evaluate import chosen_pairs
from training.files import write_atomically
from training.machine import command_line, commit, machine, public, versions
from training.metrics import HEADLINE, psnr, ssim
from training.scoring import Row
from training.summary import shown, summarise
from training.swap_batch import share
from training.swap_pictures import Pixels, answer, row

FORMAT: Final = "reposedm-swap-results"
ARMS: Final = ("swap", "swap-limbs", "paste", "paste-aligned", "unchanged")
BASELINES: Final = ("swap-limbs", "paste", "paste-aligned")
METRICS: Final = ("region/psnr", f"region/{HEADLINE}", f"whole/{HEADLINE}", "region/iou")
Parser = Callable[[Pixels, SwapSample], Pixels]


def evaluate(options: argparse.Namespace) -> dict[str, Any]:
    """Run every arm on every triple; the content of the results file.

    Raises:
        RePoseError: data or weights cannot be used.
    """
    triples = SwapTriples(options.data, options.split, margin=3)
    numbers = chosen_pairs(len(triples), options.limit)
    pipeline = GarmentSwapPipeline.from_pretrained(options.weights, shared=options.shared)
    parser, notes = load_parser()
    rows: dict[str, dict[tuple[int, int], Row]] = {arm: {} for arm in ARMS}
    pictures, changed = [], dict.fromkeys(ARMS, 0)
    seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
    started = time.monotonic()
    people, alone = [], []
    shown_rows = {numbers[k * len(numbers) // options.rows] for k in range(options.rows)}
    for done, number in enumerate(numbers, 1):
        sample = triples[number]
        people.append(int(sample.person.rsplit("-", 1)[1]))
        alone.append(sample.product)
        found, begun = {}, time.monotonic()
        for arm, made in answers(pipeline, sample, options.seeds, options.steps):
            found[arm] = made
            seconds[arm].append((time.monotonic() - begun) / len(made))
            begun = time.monotonic()
        for arm, made in found.items():
            changed[arm] += sum(int((one != sample.image)[~sample.mask].sum()) for one in made)
            for seed, picture in zip(options.seeds, made * len(options.seeds), strict=False):
                values = score(picture, sample, parser)
                rows[arm][seed, number] = {"numbers": values, "name": sample.name}
        if number in shown_rows:
            pictures.append(row(sample, [found[arm][0] for arm in ("paste", "swap-limbs", "swap")]))
        _progress(done, len(numbers))
    if options.grid is not None:
        options.grid.parent.mkdir(parents=True, exist_ok=True)
        Pillow.fromarray(columns(pictures)).save(options.grid)
    groups = {"all": numbers, "worn": [n for n, a in zip(numbers, alone, strict=True) if not a],
              "alone": [n for n, a in zip(numbers, alone, strict=True) if a]}  # fmt: skip
    return {
        "format": FORMAT,
        "version": 1,
        "data": {"folder": Path(options.data).resolve().name, "split": options.split},
        "counts": {name: len(part) for name, part in groups.items()} | {"of": len(triples)},
        "seeds": options.seeds,
        "steps": options.steps or int(pipeline.config.steps),
        "numbers": {
            name: {arm: summarise(_part(rows[arm], part), options.seeds, part) for arm in ARMS}
            for name, part in groups.items() if part
        },
        "differences": {
            f"swap - {arm}": gaps(rows["swap"], rows[arm], options.seeds, numbers, people)
            for arm in BASELINES
        },
        "pixels_changed_outside_the_mask": changed,
        "seconds_per_picture": {
            arm: round(float(np.median(some)), 4) for arm, some in seconds.items()
        },
        "notes": [public(note) for note in notes],
        "command": command_line("training.swap_evaluate", options.given),
        "commit": commit(),
        "machine": machine(),
        "versions": versions(),
        "seconds": round(time.monotonic() - started, 1),
    }  # fmt: skip


def answers(
    pipeline: GarmentSwapPipeline, sample: SwapSample, seeds: Sequence[int], steps: int | None
) -> Iterator[tuple[str, list[Pixels]]]:
    """The pictures of every arm: one a seed, or one alone where no seed changes it."""
    for arm, align in (("swap", True), ("swap-limbs", False)):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        made = answer(pipeline, sample, generators=generators, steps=steps, align=align)
        yield arm, made
    pasted = PasteWarp().stream(
        sample.image, sample.pose, sample.garment, sample.garment_pose,
        garment_mask=share(sample.garment_mask), region_mask=sample.mask.astype(np.float32),
        region=sample.region, source_mask=share(sample.alpha), labels=sample.labels,
        garment_person=None if sample.product else share(sample.wearer),
    )  # fmt: skip
    yield "paste", [drain(pasted).images[0][..., :3]]
    yield "paste-aligned", [pasted_aligned(pipeline, sample)]
    yield "unchanged", [sample.image]


@torch.no_grad()
def pasted_aligned(pipeline: GarmentSwapPipeline, sample: SwapSample) -> Pixels:
    """The garment as alignment warps it, laid on the photo inside the mask: no painting."""
    inputs = swap_inputs(
        sample.image, sample.pose, sample.garment, sample.garment_pose,
        mask=sample.mask.astype(np.float32), garment_mask=share(sample.garment_mask),
        source_mask=share(sample.alpha),
        garment_person=None if sample.product else share(sample.wearer),
    )  # fmt: skip
    found = fitted(pipeline.alignment, as_autoencoder(pipeline.autoencoder), inputs).picture[0]
    layer = ((found + 1) * 127.5).permute(1, 2, 0).cpu().numpy()
    alpha = layer[..., 3:] / 255 * sample.mask[..., None]
    mixed = layer[..., :3] * alpha + sample.image * (1 - alpha)
    return np.rint(mixed).clip(0, 255).astype(np.uint8)


def score(picture: Pixels, sample: SwapSample, parser: Parser | None) -> dict[str, float]:
    """Numbers of one picture by "area/metric"."""
    found = {
        "region/psnr": psnr(picture, sample.truth, sample.mask),
        f"region/{HEADLINE}": ssim(HEADLINE, picture, sample.truth, sample.mask),
        f"whole/{HEADLINE}": ssim(HEADLINE, picture, sample.truth),
    }
    if parser is not None:
        seen = region_mask(parser(picture, sample), sample.region) & sample.mask
        true = region_mask(sample.truth_labels, sample.region) & sample.mask
        found["region/iou"] = float((seen & true).sum() / max(1, (seen | true).sum()))
    return found


def load_parser() -> tuple[Parser | None, list[str]]:
    """The garment parser, or why the region's IoU is missing."""
    try:
        from reposedm.garments.parse import parse_person, parser_unavailable
    except ImportError:
        return None, ["no IoU: there is no garment parser"]
    why_not = parser_unavailable()
    if why_not:
        return None, [f"no IoU: {why_not}"]

    def parser(picture: Pixels, sample: SwapSample) -> Pixels:
        # The person's mask would be known for the truth alone: no arm is told it.
        labels: Pixels = parse_person(picture, sample.pose, None)
        return labels

    return parser, ["the region's IoU is the garment parser's view"]


def columns(rows: Sequence[Pixels]) -> Pixels:
    """Rows of one size under each other in two columns; the last place may be empty."""
    half = -(-len(rows) // 2)
    filled = [*rows, *[np.zeros_like(rows[0])] * (2 * half - len(rows))]
    return np.concatenate([np.concatenate(filled[:half]), np.concatenate(filled[half:])], 1)


def gaps(
    first: dict[tuple[int, int], Row],
    second: dict[tuple[int, int], Row],
    seeds: Sequence[int],
    numbers: Sequence[int],
    people: Sequence[int],
) -> dict[str, Any]:
    """Differences of two arms by metric, with the uncertainty over people."""
    found = {}
    for metric in METRICS:
        both = [number_of(rows, metric, seeds, numbers) for rows in (first, second)]
        gap = difference(both[0], both[1], people)
        if gap is not None:
            found[metric] = gap
    return found


def table(results: dict[str, Any]) -> str:
    """Markdown: a line an arm, for all triples, worn garments and garments alone."""
    lines = ["| garments | arm | PSNR in the region | SSIM in the region | SSIM | IoU |",
             "| --- | --- | --- | --- | --- | --- |"]  # fmt: skip
    for group, arms in results["numbers"].items():
        for arm, numbers in arms.items():
            cells = []
            for metric in METRICS:
                area, name = metric.split("/", 1)
                value = numbers.get(area, {}).get(name)
                cells.append("" if value is None or value["mean"] is None else shown(value))
            lines.append(f"| {group} ({results['counts'][group]}) | {arm} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code: 0 done, 2 something to change."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = argparse.ArgumentParser(
        prog="python -m training.swap_evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", required=True, help="a rendered folder of people that were not trained on")
    add("--split", choices=("train", "test", "all"), default="all")
    add("--weights", type=Path, required=True, help="folder of the swap's weights")
    add("--shared", type=Path, help="folder of RePoseDM's weights (default: reposedm beside)")
    add("--seeds", type=lambda text: [int(one) for one in text.split(",")], default=[0, 1, 2])
    add("--steps", type=int)
    add("--limit", type=int, help="that many triples, evenly spread")
    add("--rows", type=int, default=12, help="of the grid")
    add(
        "--grid",
        type=Path,
        help="a picture: photo, garment, paste, without RPA, swap, truth; .png or .jpg",
    )
    add("--out", type=Path, required=True, help="results, .json; the table lies beside it, .md")
    options = parser.parse_args(given)
    options.given = given
    try:
        results = evaluate(options)
        text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(options.out, text.encode())
        write_atomically(options.out.with_suffix(".md"), table(results).encode())
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(table(results))
    return 0


def _part(rows: dict[tuple[int, int], Row], numbers: Sequence[int]) -> dict[tuple[int, int], Row]:
    wanted = set(numbers)
    return {key: value for key, value in rows.items() if key[1] in wanted}


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() or done == total or done % 20 == 0:
        print(f"\r{done} of {total} triples", end="\n" if done == total else "", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
