"""The model card, and README's table of results: written from results files, never by hand.

    python -m training.card                        docs/model_card.md and README.md's block
    python -m training.card --weights assets/weights      lists the weights' files anew first

Every number in both is in a file of training/results; the command refuses to write one that is
not. A section whose file is absent says which command makes it.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from reposedm.errors import RePoseError, WeightsError
from reposedm.weights import WEIGHTS, sha256_of
from training.ablation_pages import LABELS, page
from training.card_tasks import street_section, swap_section
from training.facts import read_results, unsupported
from training.files import write_atomically
from training.garments import card as garments
from training.markdown import table
from training.sample import DataError
from training.summary import shown

ROOT: Final = Path(__file__).resolve().parents[1]
RESULTS: Final = ROOT / "training" / "results"
CARD: Final = ROOT / "docs" / "model_card.md"
README: Final = ROOT / "README.md"
BEGIN: Final = "<!-- results: written by python -m training.card -->"
END: Final = "<!-- end of results -->"
Results = Mapping[str, Any]


def card(results: Results) -> str:
    """The whole card in Markdown."""
    sections: list[tuple[str, Callable[[Results], str]]] = [
        ("Weights", _weights),
        ("Data", _data),
        ("Training", _training),
        ("The paper's ablation on held-out rendered people", _ablation),
        ("Garment swap", swap_section),
        ("Small pictures of surveillance cameras", street_section),
        ("Garments", garments.section),
        ("Real photographs", _real),
        ("Speed and memory", _speed),
        ("Limits", _limits),
        ("Licence", _licence),
    ]
    parts = ["# Model card: the weights that come with RePoseDM", INTRODUCTION]
    parts += [f"## {title}\n\n{write(results)}" for title, write in sections]
    return "\n\n".join(parts) + "\n"


INTRODUCTION: Final = (
    "Small networks, trained from nothing on rendered people: those of the RePoseDM paper (photo, "
    "pose and wanted pose in, the person in the wanted pose out), and those that look at garments. "
    "They are made for a laptop's processor and for trying things out, not for the quality of "
    "networks trained on fashion photographs.\n\n"
    "This page is written by `python -m training.card` from the files in "
    "[training/results](../training/results): every number on it is in one of them."
)


def _weights(results: Results) -> str:
    found = results.get("weights")
    if found is None:
        return "Not listed yet: `python -m training.card --weights assets/weights`."
    rows = [["file", "MiB", "parameters", "format", "SHA-256 begins"], ["---"] * 5]
    for file in found["files"]:
        rows.append([f"`{file['file']}`", f"{file['mib']:.2f}", str(file["parameters"]),
                     file["format"], f"`{file['sha256_begins']}`"])  # fmt: skip
    return f"{table(rows)}\n\nAll together: {found['mib']:.2f} MiB."


def _data(results: Results) -> str:
    text = (
        "No photograph and no real person: bodies, clothes, hair and rooms are rendered by "
        "[training/synthetic](../training/synthetic) from an asset pack of MakeHuman's files in "
        "the public domain (CC0). Training and evaluation use other people: their seeds differ."
    )
    lines = [text]
    seen = []
    for run in results.get("training", {}).get("runs", []):
        if run["data"] not in seen:
            seen.append(run["data"])
            lines.append(f"- trained on: {_settings(run['data'])} (run {run['name']})")
    if "ablation" in results:
        facts = results["ablation"]["data"]
        lines.append(f"- evaluated on: {_settings(facts['settings'])}")
    return "\n".join([lines[0], "", *lines[1:]]) if len(lines) > 1 else text


def _settings(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {json.dumps(value)}" for name, value in values.items())


def _training(results: Results) -> str:
    found = results.get("training")
    if found is None:
        return "Not recorded yet: `python -m training.history RUN... -o FILE`."
    rows = [["run", "stage", "steps", "samples", "hours", "last numbers held out"], ["---"] * 6]
    commands, machines = [], []
    for run in found["runs"]:
        for name, stage in run["stages"].items():
            numbers = stage["validation"] or stage["last"]
            said = ", ".join(f"{key} {value:.4f}" for key, value in numbers.items())
            said += "" if stage["validation"] else " (in training)"
            rows.append([run["name"], name, str(stage["steps"]), str(stage["samples"]),
                         f"{stage['hours']:.2f}", said])  # fmt: skip
        for start in run["starts"]:
            commands.append(start["command"])
            machines.append(_machine(start))
    commands, machines = (list(dict.fromkeys(many)) for many in (commands, machines))
    return "\n\n".join(
        [
            table(rows),
            "Hardware:\n\n" + "\n".join(f"- {text}" for text in machines),
            "Commands (a command again resumes; `make weights` chains them):\n\n```bash\n"
            + "\n".join(commands)
            + "\n```",
        ]
    )


def _machine(start: Mapping[str, Any]) -> str:
    has = start["machine"]
    what = has.get("gpu") or has["cpu"]
    return (
        f"{what}, {has['cores']} cores, {has['threads']} threads, processes {start['processes']}, "
        f"precision {start['precision']}, torch {start['torch']}, commit {start['commit']}"
    )


def _ablation(results: Results) -> str:
    found = results.get("ablation")
    if found is None:
        return "Not measured yet: `python -m training.ablation`."
    pictures = found["pictures"]
    return (
        f"{page(found).rstrip()}\n\nMade by `{found['command']}` on {found['machine']['cpu']}, "
        f"commit {found['commit']}.\n\nColumns: {', '.join(pictures['columns'])}. Rows: "
        f"{pictures['typical']['rule']}.\n\n![typical pictures](model_card/"
        f"{pictures['typical']['file']})"
    )


def _real(results: Results) -> str:
    parts = []
    if "real_photos" in results:
        found = results["real_photos"]
        value = found["psnr"]
        parts.append(
            f"Autoencoder, encoded and decoded: PSNR {value['mean']:.2f} dB on {found['photos']} "
            f"photographs at {found['height']} pixels of height that no training has seen (from "
            f"{value['min']:.2f} to {value['max']:.2f})."
        )
        if "people_psnr" in found:
            value = found["people_psnr"]
            parts.append(
                f"The same of their largest people, in the networks' frame: {value['mean']:.2f} dB "
                f"(from {value['min']:.2f} to {value['max']:.2f})."
            )
    else:
        parts.append("Autoencoder: not measured yet (`python -m training.real_photos FOLDER`).")
    if "reposed" in results:
        found = results["reposed"]
        tall = f"of people above {found['tall']} pixels"
        heads = ["method", "wanted joints found", tall, "without windows", "of joints", "pictures"]
        rows = [heads, ["---"] * len(heads)]
        for name, one in found["methods"].items():
            rows.append([name, f"{one['within_torso']:.4f}", f"{one['of_tall_people']:.4f}",
                         f"{one['whole_picture']:.4f}", str(one["joints"]),
                         str(one["pictures"])])  # fmt: skip
        top = found["ceiling"]
        rows.append(["the untouched photos, in four other sizes", f"{top['within_torso']:.4f}",
                     "", f"{top['whole_picture']:.4f}", "", ""])  # fmt: skip
        parts.append(
            f"People on {found['photos']} photographs put into presets and drags; joints that "
            f"mediapipe finds within {found['near']} torso lengths of where they are wanted, on "
            f"the whole picture or in an enlarged window round the person:\n\n{table(rows)}"
        )
    else:
        parts.append("Poses: not measured yet (`python -m benchmarks.reposed FOLDER`).")
    return "\n\n".join(parts)


def _speed(results: Results) -> str:
    found = results.get("parts")
    if found is None or found["random_weights"]:
        return "Not measured yet: `python -m benchmarks.parts`."
    rows = [["part", "where", "milliseconds"], ["---"] * 3]
    for place, parts in found["parts_ms"].items():
        rows += [[name, place, f"{milliseconds:.1f}"] for name, milliseconds in parts.items()]
    lines = [table(rows)]
    counts = found["batches"]
    if found["images_per_second"]:
        rows = [["pictures at once", *map(str, counts)], ["---"] * (1 + len(counts))]
        for place, speeds in found["images_per_second"].items():
            cells = [f"{speeds[str(n)]:.3f}" if str(n) in speeds else "" for n in counts]
            rows.append([f"a second, {place}", *cells])
        lines.append(table(rows))
    words = {True: "met", False: "NOT met", None: "not measured"}
    lines.append("\n".join(
        f"- {bar['bar']}: {'' if bar['value'] is None else bar['value']} (at most "
        f"{bar['limit']}): {words[bar['met']]}" for bar in found["bars"]
    ))  # fmt: skip
    lines.append(f"On {found['machine']['cpu']}, {found['machine']['cores']} cores.")
    return "\n\n".join(lines)


def _limits(results: Results) -> str:
    text = (
        "- Trained on rendered people: cloth, hair and faces of photographs are only as good as "
        "what the warp of the photo's own pixels can carry.\n"
        "- What the photo does not show, such as a back, legs outside of it or a turned face, is "
        "invented, and often plain, smeared or grey: people who turn far are where the ablation's "
        "baseline without alignment, which looks at the whole photo, comes nearer to the truth.\n"
        "- One person at a time; hands and fingers are not controlled.\n"
        "- Bodies, ages, skin tones and clothes are those of the asset pack: people who look "
        "otherwise come out worse. Nobody has measured by how much.\n"
        "- Not for deceiving: results carry a mark in the file, and consent is the user's duty."
    )
    if "ablation" not in results:
        return text
    failures = results["ablation"]["pictures"]["failures"]
    return (
        f"{text}\n\nThe worst pictures, chosen by rule ({failures['rule']}):\n\n"
        f"![failures](model_card/{failures['file']})"
    )


def _licence(_: Results) -> str:
    return "Weights and code: Apache License (see LICENSE). The rendered people's assets: CC0."


def readme_block(results: Results) -> str:
    """What stands between README's markers."""
    found = results.get("ablation")
    trained = [] if found is None else [name for name in ("b1", "b2", "full") if name in
                                        found["arms"]]  # fmt: skip
    if found is None or not trained:
        waiting = "The diffusion model's weights are still being trained: no results yet."
        return "\n\n".join([waiting, *_garments_line(results)])
    rows = [["held-out rendered people", "PSNR", "SSIM", "PCKh", "joints kept"], ["---"] * 5]
    for name in ("copy-source", "preview", "b1", "b2", "full"):
        numbers = found["arms"].get(name, {}).get("numbers")
        if numbers is None:
            continue
        cells = [("person", "psnr"), ("person", "ssim_g1.5"), ("pose", "pckh"), ("pose", "kept")]
        rows.append([LABELS[name], *(_cell(numbers, *cell) for cell in cells)])
    text = [
        f"Inside the person, on {found['counts']['pairs']} pairs of {found['data']['people']} "
        "rendered people that no training has seen, mean ± deviation between "
        f"{found['counts']['seeds']} sampling seeds:",
        table(rows),
    ]
    if "real_photos" in results:
        value = results["real_photos"]["psnr"]
        text.append(f"The autoencoder reproduces real photographs at {value['mean']:.2f} dB.")
    text += _garments_line(results)
    return "\n\n".join(text)


def _garments_line(results: Results) -> list[str]:
    more = "Everything else, and how it was measured: [docs/model_card.md](docs/model_card.md)."
    if "garments" not in results:
        return [more] if "ablation" in results else []
    parser, marks = results["garments"]["parser"], results["garments"]["landmarks"]
    return [
        f"The garment networks: the parser has a mean IoU of {parser['mask']['mean_iou']:.4f} on "
        f"{parser['pictures']} held-out pictures; landmarks on product pictures are "
        f"{marks['percent_of_size']['mean']:.2f} % of the garment's size off.",
        more,
    ]


def _cell(numbers: Mapping[str, Any], region: str, metric: str) -> str:
    value = numbers.get(region, {}).get(metric)
    return "" if value is None else shown(value)


def with_block(readme: str, block: str) -> str:
    """README with the text between its markers replaced.

    Raises:
        DataError: it has no markers.
    """
    pattern = re.escape(BEGIN) + r".*?" + re.escape(END)
    if not re.search(pattern, readme, re.DOTALL):
        raise DataError(f"README.md has no place for results: put {BEGIN} and {END} into it")
    return re.sub(pattern, lambda _: f"{BEGIN}\n{block}\n{END}", readme, flags=re.DOTALL)


def check_numbers(name: str, text: str, results: Results) -> None:
    """Refuse numbers that nothing has measured.

    Raises:
        DataError: names them.
    """
    missing = unsupported(text, results)
    if missing:
        raise DataError(
            f"{name} would show numbers that no results file has: {', '.join(missing[:10])}"
        )


def list_weights(root: Path) -> dict[str, Any]:
    """JSON of the weight files below a folder.

    Raises:
        WeightsError: there are none.
    """
    from safetensors import safe_open

    files = []
    for file in sorted(root.glob(f"**/{WEIGHTS}")):
        with safe_open(file, "numpy") as opened:
            views = [opened.get_slice(key) for key in opened.keys()]  # noqa: SIM118
            formats = sorted({view.get_dtype() for view in views})
            parameters = sum(_product(view.get_shape()) for view in views)
        files.append({
            "file": file.parent.relative_to(root).as_posix(),
            "mib": file.stat().st_size / 2**20,
            "parameters": parameters,
            "format": ", ".join(formats),
            "sha256": sha256_of(file),
            "sha256_begins": sha256_of(file)[:12],
        })  # fmt: skip
    if not files:
        raise WeightsError(f"{root} holds no weights ({WEIGHTS})")
    return {"format": "reposedm-weights", "files": files, "mib": sum(f["mib"] for f in files)}


def _product(shape: Sequence[int]) -> int:
    found = 1
    for side in shape:
        found *= side
    return found


def write_all(options: argparse.Namespace) -> list[Path]:
    """Write card, pictures and README's block; the files.

    Raises:
        RePoseError: something is absent, or a number is in no file.
    """
    if options.weights is not None:
        listed = json.dumps(list_weights(options.weights), indent=1) + "\n"
        write_atomically(options.results / "weights.json", listed.encode())
    results = read_results(options.results)
    text, block = card(results), readme_block(results)
    check_numbers("the card", text, results)
    check_numbers("README", block, results)
    written = [options.out]
    folder = options.out.parent / "model_card"
    for kind in ("typical", "failures") if "ablation" in results else ():
        source = options.results / results["ablation"]["pictures"][kind]["file"]
        if not source.is_file():
            raise DataError(f"{source} is absent: run python -m training.ablation again")
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(source, folder / source.name)
        written.append(folder / source.name)
    write_atomically(options.out, text.encode())
    if options.readme is not None:
        readme = with_block(options.readme.read_text("utf-8"), block)
        write_atomically(options.readme, readme.encode())
        written.append(options.readme)
    return written


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m training.card",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--weights", type=Path, help="list the weights below this folder first")
    parser.add_argument("--readme", type=Path, default=README)
    parser.add_argument("-o", "--out", type=Path, default=CARD)
    options = parser.parse_args(arguments)
    try:
        for file in write_all(options):
            print(file)
    except (RePoseError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
