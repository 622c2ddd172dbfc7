"""The run of an evaluation: every pair, every seed, one row each; kept, so that it can go on."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image as Pillow

from training.candidates import Candidate, result_name
from training.data import Pairs
from training.fid import Inception, frechet_distance
from training.files import write_atomically
from training.metrics import Image, MetricsError
from training.pose_metrics import from_json, oks_ap, truth_person
from training.sample import Sample
from training.scoring import Judges, Row, Truth, real_gaussian
from training.summary import Numbers, over_seeds, summarise

RUN: Final = "run.json"
ROWS: Final = "rows.jsonl"
FEW_FOR_FID: Final = 2048
"""With fewer pictures than features, the covariance is singular and the FID biased upwards."""


class Evaluation:
    """One run: which pairs and seeds, who answers, who judges, and where it is written.

    Args:
        candidate: answers.
        judges: judge.
        pairs: the data.
        data: JSON of what the data is.
        numbers: the pairs to look at.
        seeds: sampling seeds; a candidate without chance gets the first alone.
        work: the folder of what a stopped run keeps.
    """

    def __init__(
        self,
        candidate: Candidate,
        judges: Judges,
        pairs: Pairs,
        *,
        data: dict[str, Any],
        numbers: Sequence[int],
        seeds: Sequence[int],
        work: Path,
    ) -> None:
        """Arguments above; nothing is computed yet."""
        self.candidate, self.judges, self.pairs, self.data = candidate, judges, pairs, data
        self.numbers, self.work = list(numbers), work
        self.seeds = list(seeds) if candidate.stochastic else list(seeds)[:1]
        self.rows: dict[tuple[int, int], Row] = {}
        self.notes: list[str] = []
        if len(self.seeds) < len(seeds):
            self.notes.append(f"{candidate.name} makes the same picture with every seed: one run")

    def run(self) -> Numbers:
        """All numbers; goes on from what is in the work folder.

        Raises:
            RePoseError: the folder is of another evaluation, or a pair cannot be answered.
        """
        self.begin()
        for done, pair in enumerate(self.numbers, 1):
            self.answer(pair)
            _progress(done, len(self.numbers))
        return self.summary()

    def begin(self) -> None:
        """Make the work folder ours, and read what is in it.

        Raises:
            MetricsError: the folder is of another evaluation.
        """
        self.work.mkdir(parents=True, exist_ok=True)
        self._claim()
        self._read_rows()

    def missing(self, pair: int) -> list[int]:
        """The seeds that a pair has no row of."""
        return [seed for seed in self.seeds if (seed, pair) not in self.rows]

    def answer(self, pair: int, sample: Sample | None = None, truth: Truth | None = None) -> None:
        """Make and judge a pair's missing pictures, and keep the rows.

        Args:
            pair: its number.
            sample: the pair, where it is at hand.
            truth: of it, where it is at hand.

        Raises:
            RePoseError: it cannot be answered.
        """
        missing = self.missing(pair)
        if not missing:
            return
        sample = self.pairs[pair] if sample is None else sample
        truth = Truth(sample, self.judges) if truth is None else truth
        pictures = self.candidate.pictures(pair, sample, missing)
        flow = self.candidate.flow()
        with (self.work / ROWS).open("a", encoding="utf-8") as file:
            for seed, picture in zip(missing, pictures, strict=True):
                if self.candidate.keeps:
                    self._keep(self._kept(seed, sample.source_name, sample.target_name), picture)
                row = {
                    "pair": pair,
                    "source": sample.source_name,
                    "target": sample.target_name,
                    "seed": seed,
                    **truth.score(picture, flow),
                }
                file.write(json.dumps(row) + "\n")
                file.flush()
                self.rows[seed, pair] = row

    def summary(self) -> Numbers:
        """All numbers, once every pair is answered."""
        numbers = summarise(self.rows, self.seeds, self.numbers)
        if "ap" in self.judges.metrics:
            numbers["pose"] = numbers.get("pose", {}) | self._ap()
        if self.judges.inception is not None:
            numbers["set"] = {self.judges.protocol.fid: self._fid(self.judges.inception)}
        self._add_notes(numbers)
        return numbers

    def csv(self) -> str:
        """A line for every pair and seed."""
        names = list(dict.fromkeys(n for row in self.rows.values() for n in row["numbers"]))
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["pair", "source", "target", "seed", *names])
        for pair in self.numbers:
            for seed in self.seeds:
                row = self.rows[seed, pair]
                values = [row["numbers"].get(name) for name in names]
                writer.writerow([pair, row["source"], row["target"], seed, *values])
        return text.getvalue()

    def picture(self, pair: int, seed: int) -> Image:
        """The picture of a row again, as it was made."""
        row = self.rows[seed, pair]
        if not self.candidate.keeps:
            return self.candidate.pictures(pair, self.pairs[pair], [seed])[0]
        with Pillow.open(self._kept(seed, row["source"], row["target"])) as image:
            return np.array(image.convert("RGB"))

    def _fid(self, inception: Inception) -> dict[str, Any]:
        real = real_gaussian(inception, self.pairs, self.work / "real.npz")
        found, counts = [], []
        for seed in self.seeds:
            made = inception.gaussian(self._answers(seed))
            found.append(frechet_distance(made, real))
            counts.append(made.pictures)
        if min(*counts, real.pictures) < FEW_FOR_FID:
            self.notes.append(
                f"the FID of {min(counts)} against {real.pictures} pictures is biased upwards: "
                f"fewer than its {FEW_FOR_FID} features"
            )
        return over_seeds(found) | {"pictures": counts[0], "real_pictures": real.pictures}

    def _answers(self, seed: int) -> Iterator[Image]:
        """Every picture of a seed again, at the protocol's size."""
        for pair in self.numbers:
            size = self.pairs[pair].size if self.judges.protocol.size is None else None
            yield self.judges.protocol.fit(self.picture(pair, seed), size)

    def _ap(self) -> dict[str, Any]:
        truths = []
        for pair in self.numbers:
            sample = self.pairs[pair]
            size = self.judges.protocol.size or sample.size
            scale = (size[1] / sample.size[1], size[0] / sample.size[0])
            person = truth_person(sample.target_pose, sample.target_alpha)
            joints = person.joints * (*scale, 1)
            truths.append(
                dataclasses.replace(person, joints=joints, area=person.area * scale[0] * scale[1])
            )

        def ap(seed: int, field: str) -> Any:
            return oks_ap(truths, [from_json(self.rows[seed, p][field]) for p in self.numbers])

        found = [ap(seed, "people") for seed in self.seeds]
        numbers = {name: over_seeds([one[name] for one in found]) for name in found[0]}
        return numbers | {"ap_real": over_seeds([ap(self.seeds[0], "people_real")["ap"]])}

    def _claim(self) -> None:
        """Make the folder ours, or check that it is."""
        mine = json.loads(
            json.dumps(
                {
                    "candidate": self.candidate.record(),
                    "data": self.data,
                    "protocol": self.judges.protocol.text,
                    "metrics": sorted(self.judges.metrics),
                    "judges": self.judges.record(),
                }
            )
        )
        file = self.work / RUN
        if file.exists():
            theirs = json.loads(file.read_text("utf-8"))
            other = [name for name in mine if theirs.get(name) != mine[name]]
            if other:
                raise MetricsError(
                    f"{self.work} holds an evaluation that differs in its {' and '.join(other)}: "
                    "choose another --out, or delete that folder"
                )
        else:
            write_atomically(file, (json.dumps(mine, indent=1) + "\n").encode())

    def _read_rows(self) -> None:
        """What an earlier run finished; a last line that a kill cut off is dropped."""
        file = self.work / ROWS
        if not file.exists():
            return
        kept = []
        for line in file.read_bytes().splitlines(keepends=True):
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if row is None:
                continue
            kept.append(line)
            self.rows[row["seed"], row["pair"]] = row
        write_atomically(file, b"".join(kept))

    def _kept(self, seed: int, source: str, target: str) -> Path:
        return self.work / f"seed-{seed}" / result_name(source, target)

    def _keep(self, path: Path, picture: Image) -> None:
        data = io.BytesIO()
        Pillow.fromarray(picture).save(data, "PNG")
        write_atomically(path, data.getvalue(), durable=False)

    def _add_notes(self, numbers: Numbers) -> None:
        for name, used in self.judges.record().items():
            if isinstance(used, dict) and not used["published"]:
                self.notes.append(f"{name} used weights of its own: compare it with nothing else")
        if "flow" in self.judges.metrics and "flow" not in numbers:
            self.notes.append("no flow error: the method or the data has no mapping")
        masks = {row["mask_from"] for row in self.rows.values()}
        self.notes.append(f"the person's mask is from: {', '.join(sorted(masks))}")


def _progress(done: int, total: int) -> None:
    if sys.stderr.isatty() or done == total or done % 100 == 0:
        print(f"\r{done} of {total} pairs", end="\n" if done == total else "", file=sys.stderr)
