"""What frozen networks say of many samples, said once and kept on disk for the diffusion stage.

    python -m training.kept --config small --out data/kept --count 10000 data.root=data/people
    python -m training.kept ... --shard 0/2 & python -m training.kept ... --shard 1/2
    python -m training.train --config small data.root=data/people diffusion.kept=[data/kept]

Reading, aligning and encoding a pair of pictures costs a CPU five times what a step of the small
U-Net on one noise of it does. Samples are those of the stage's own stream, augmentation and all,
from its beginning; the stage then takes these, and no others. The same command goes on where it
was stopped. One file a field, float16; a sample of 256 x 176 takes 180 KiB. B1 trains what looks at
the photo: of it the photo itself is kept (440 KiB), so that it can see the samples of the others.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reposedm.errors import RePoseError, SettingsError
from reposedm.models.autoencoder_adapters import as_autoencoder
from training.config import TrainConfig, load_config
from training.sampler import Key

ALWAYS: Final = ("clean", "target_heat")
ALIGNED: Final = ("features", "extra")
"""Of methods with an alignment, which is frozen."""
SEEN: Final = ("photo", "source_heat")
"""Of what attends to the photo as it is: its encoder is trained, so the photo itself is kept."""
BONES: Final = ("initial",)
"""Of b1, beside those: what stands for an alignment."""
PAINTED: Final = ("painted",)
"""Of a swap, beside those of an alignment."""
META: Final = "meta.json"
_DONE: Final = "done.npy"
_CHUNK: Final = 8
_SOMETIMES: Final = (*ALIGNED, *PAINTED, *SEEN, *BONES)


@dataclass(frozen=True, eq=False)
class KeptBatch:
    """Samples as the diffusion stage needs them, all float32.

    Attributes:
        clean: latents of the target pictures y_0, (B, c, h, w).
        target_heat: heat maps of the wanted poses, (B, 18, h, w).
        names: of the samples, to be found again.
        features: the first level of F_S^N, (B, D, h, w).
        extra: latents of the warped photos, and visibility, as ``Conditions.extra``.
        painted: of a swap, the mask's share of each cell, (B, 1, h, w).
        photo: of b1 and U-Nets with ``source_context``, colours and alpha in [-1, 1],
            (B, 4, H, W); 3 without an alpha.
        source_heat: with it, heat maps of the photo's poses, (B, 18, h, w).
        initial: of b1, limb mapping from source to target, (B, 2, h, w).
    """

    clean: Tensor
    target_heat: Tensor
    names: tuple[str, ...]
    features: Tensor | None = None
    extra: Tensor | None = None
    painted: Tensor | None = None
    photo: Tensor | None = None
    source_heat: Tensor | None = None
    initial: Tensor | None = None

    def to(self, device: Any, *, non_blocking: bool = False) -> KeptBatch:
        """The batch with its tensors on a device."""
        found = {name: getattr(self, name) for name in (*ALWAYS, *_SOMETIMES)}
        moved = {name: value.to(device, non_blocking=non_blocking)
                 for name, value in found.items() if value is not None}  # fmt: skip
        return dataclasses.replace(self, **moved)


class KeptSamples:
    """A folder of kept samples, as a data set of the stage's stream; maps its files on first use.

    Args:
        folder: where ``python -m training.kept`` wrote.

    Raises:
        SettingsError: no such folder, or it is not finished.
    """

    def __init__(self, folder: str | Path) -> None:
        """Read what it holds; no sample is."""
        self.folder = Path(folder)
        try:
            self.meta: dict[str, Any] = json.loads((self.folder / META).read_text("utf-8"))
            self._count = int(self.meta["count"])
            done = np.load(self.folder / _DONE, mmap_mode="r")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(
                f"{folder} holds no kept samples ({error}): python -m training.kept writes them"
            ) from error
        if not done.all():
            raise SettingsError(
                f"{folder} is not finished, {int(done.sum())} of {self._count} samples are there: "
                "run the same python -m training.kept again"
            )
        self._files: dict[str, NDArray[np.float16]] = {}

    def __len__(self) -> int:
        """How many samples there are."""
        return self._count

    @property
    def fields(self) -> tuple[str, ...]:
        """What is kept of each."""
        more = (name for name in _SOMETIMES if _file(self.folder, name).exists())
        return (*ALWAYS, *more)

    def __getitem__(self, key: Key | tuple[int, int]) -> tuple[dict[str, NDArray[np.float16]], str]:
        """The fields and the name of sample ``key[1]``, the same in every epoch."""
        if not self._files:  # here, so that each worker maps its own
            self._files = {name: np.load(_file(self.folder, name), mmap_mode="r")
                           for name in self.fields}  # fmt: skip
        number = int(key[1])
        return {name: self._files[name][number] for name in self.fields}, f"kept sample {number}"

    def check(self, components: Any) -> None:
        """Refuse samples that other networks were asked about.

        Raises:
            SettingsError: says so.
        """
        if self.fields != fields_of(components):
            raise SettingsError(
                f"{self.folder} holds samples of another task or network than method "
                f"{components.config.method} has here: garment swaps, reposing and b1 keep their "
                "own, and so does a U-Net with source_context"
            )
        if self.meta.get("networks") != fingerprint(components):
            raise SettingsError(
                f"{self.folder} was made with another autoencoder or alignment than this run has: "
                "run python -m training.kept again with this run's settings and another --out"
            )


class Chained:
    """The samples of several folders, one after another."""

    def __init__(self, folders: Sequence[KeptSamples]) -> None:
        """Chain them."""
        self._folders = list(folders)
        self._starts = np.cumsum([0, *(len(folder) for folder in self._folders)])

    def __len__(self) -> int:
        """How many samples there are in all."""
        return int(self._starts[-1])

    def __getitem__(self, key: Key | tuple[int, int]) -> tuple[dict[str, NDArray[np.float16]], str]:
        """As of one folder; names tell the folder, too."""
        which = int(np.searchsorted(self._starts, key[1], "right")) - 1
        fields, name = self._folders[which][key[0], int(key[1] - self._starts[which])]
        return fields, f"{name} of {self._folders[which].folder.name}"

    def check(self, components: Any) -> None:
        """Refuse samples that other networks were asked about; as of one folder."""
        for folder in self._folders:
            folder.check(components)


def fields_of(components: Any) -> tuple[str, ...]:
    """What is kept of a sample for the networks of a run."""
    method = components.config.method
    if method == "b1":
        return (*ALWAYS, *SEEN, *BONES)
    painted = PAINTED if method == "swap" else ()
    return (*ALWAYS, *ALIGNED, *painted, *(SEEN if components.unet.config.source_context else ()))


def make_kept_batch(
    samples: Sequence[tuple[dict[str, NDArray[np.float16]], str]],
) -> KeptBatch:
    """Samples to a batch on the CPU."""
    fields = {
        name: torch.from_numpy(np.stack([fields[name] for fields, _ in samples])).float()
        for name in samples[0][0]
    }
    return KeptBatch(**fields, names=tuple(name for _, name in samples))


def fingerprint(components: Any) -> str:
    """SHA-256 of the weights that kept samples depend on.

    Not of the finer levels of alignment's encoder: the diffusion stage trains those. B1 has no
    alignment.
    """
    found = hashlib.sha256()
    for network, skipped in (("autoencoder", "decoder."), ("alignment", "encoder.down.")):
        module = getattr(components, network)
        for name, value in sorted(module.state_dict().items() if module is not None else ()):
            if not name.startswith(skipped):
                found.update(name.encode())
                found.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def keep(config: TrainConfig, folder: Path, count: int, shard: tuple[int, int] = (0, 1)) -> int:
    """Write this shard's samples that are not there yet; returns how many those were.

    Raises:
        SettingsError: the configuration has nothing to keep, or the folder holds something else.
    """
    from training.components import build

    components: Any = build(config)
    for module in components.networks.values():
        module.eval().requires_grad_(False)
    components.to("cpu")
    fresh = dataclasses.replace(config, diffusion=dataclasses.replace(config.diffusion, kept=()))
    from training.loader import Stream

    stream = Stream(fresh, "diffusion")
    example = _said(components, stream.read(range(1)))
    _open(folder, count, example, fingerprint(components))
    files = {name: np.load(_file(folder, name), mmap_mode="r+") for name in example}
    done = np.load(folder / _DONE, mmap_mode="r+")
    made, begun = 0, time.monotonic()
    chunks = [range(start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
    for places in chunks[shard[0] :: shard[1]]:
        if done[places.start : places.stop].all():
            continue
        for name, value in _said(components, stream.read(places)).items():
            files[name][places.start : places.stop] = value
            files[name].flush()
        done[places.start : places.stop] = True
        done.flush()
        made += len(places)
        rate = made / (time.monotonic() - begun)
        print(f"{places.stop} of {count}, {rate:.1f} samples/s", file=sys.stderr, flush=True)
    return made


@torch.no_grad()
def _said(components: Any, batch: Any) -> dict[str, NDArray[np.float16]]:
    from training.field import target_picture
    from training.steps.conditions import conditions_of_batch
    from training.swap_batch import SwapBatch

    network = as_autoencoder(components.autoencoder)
    if components.pose_encoder.config.pose_representation != "heat_maps":
        raise SettingsError(
            "kept samples hold heat maps: set no other models.pose_encoder.pose_representation"
        )
    found = {
        "clean": network.encode(target_picture(batch, network.image_channels)),
        "target_heat": batch.target_heat,
    }
    wanted = fields_of(components)
    if "photo" in wanted:
        found |= _photos(batch)
    if components.config.method == "b1":
        found["initial"] = batch.initial
    else:
        shown, _ = conditions_of_batch(components, batch)
        if shown.extra is None:
            raise SettingsError("kept samples hold warped latents: set models.unet.extra_channels")
        found |= {"features": shown.context[0], "extra": shown.extra}
    if isinstance(batch, SwapBatch):
        found["painted"] = batch.painted
    return {name: found[name].half().contiguous().numpy() for name in wanted}


def _photos(batch: Any) -> dict[str, Tensor]:
    """What the encoder of the photo is shown: of a swap, the garment's."""
    from training.swap_batch import SwapBatch

    if isinstance(batch, SwapBatch):
        inputs = batch.inputs
        photo = torch.cat([inputs.garment, 2 * inputs.wearer - 1], 1)
        return {"photo": photo, "source_heat": inputs.garment_heat}
    alpha = batch.source_alpha
    photo = batch.source if alpha is None else torch.cat([batch.source, alpha], 1)
    return {"photo": photo, "source_heat": batch.source_heat}


def _open(folder: Path, count: int, example: dict[str, NDArray[np.float16]], networks: str) -> None:
    """Files of the right size, or a check that those there are the same samples'."""
    meta = {"schema": 1, "count": count, "networks": networks}
    if not (folder / META).exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f"{folder.name}-", dir=folder.parent))
        for name, value in example.items():
            shape = (count, *value.shape[1:])
            np.lib.format.open_memmap(_file(part, name), "w+", np.float16, shape).flush()
        np.lib.format.open_memmap(part / _DONE, "w+", np.bool_, (count,)).flush()
        (part / META).write_text(json.dumps(meta), "utf-8")
        try:
            part.rename(folder)
        except OSError:  # another shard was first, or there is something else
            shutil.rmtree(part)
    try:
        same = json.loads((folder / META).read_text("utf-8")) == meta
    except (OSError, ValueError):
        same = False
    if not same:
        raise SettingsError(
            f"{folder} holds something else, samples of other networks or another number of them: "
            "choose another --out"
        )


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.npy"


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and int(number) < int(of)):
        raise argparse.ArgumentTypeError("write it as 0/2: the first of two")
    return int(number), int(of)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(
        "python -m training.kept",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--config", required=True, help="a name in training/configs, or a file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder of the samples")
    parser.add_argument("--count", type=int, required=True, help="how many samples")
    parser.add_argument("--shard", type=_shard, default=(0, 1), help="K/N: every Nth part")
    parser.add_argument("settings", nargs="*", help="key=value, as for training.train")
    found = parser.parse_intermixed_args(argv)
    try:
        if found.count < 1:
            raise SettingsError("--count must be at least 1")
        made = keep(load_config(found.config, found.settings), found.out, found.count, found.shard)
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{made} samples written to {found.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
