"""Weight folders and checkpoints for tests: small, and made in code."""

import gzip
import os
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from reposedm.models.foreign_layouts import pidm_shapes
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.weights import CONFIG, WEIGHTS, write_manifest

REFERENCE = Path(__file__).parent / "reference"
Shape = tuple[int, ...]


def tiny(**changes: Any) -> HigherHRNet:
    """The smallest useful HigherHRNet, with running statistics that are not the initial ones."""
    torch.manual_seed(0)
    sizes = {"width": 4, "stem_channels": 4, "bottlenecks": 1, "modules": (1, 1, 1), "blocks": 1}
    return shaken(HigherHRNet(**{**sizes, **changes}))


def shaken(model: HigherHRNet) -> HigherHRNet:
    """Every tensor of it random: a swapped pair of tensors of equal shape changes the output."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.is_floating_point() and (value.ndim == 1 or name.startswith("final")):
                value.uniform_(-0.5, 0.8)
    return model.eval()


def saved(folder: Path, manifest: bool = False) -> Path:
    """A folder with a tiny HigherHRNet."""
    tiny().save_pretrained(folder)
    if manifest:
        write_manifest(folder, (CONFIG, WEIGHTS), {"kind": "test"})
    return folder


def pidm(channels: int = 4) -> OrderedDict[str, torch.Tensor]:
    """A state dict with PIDM's names, narrow."""
    generator = torch.Generator().manual_seed(1)
    return OrderedDict(
        (name, torch.rand(shape, generator=generator))
        for name, shape in pidm_shapes(channels).items()
    )


def reference(file: str, column: int = 1) -> dict[str, Shape]:
    """Name -> shape of a list in ``reference/``: a tensor a line, shapes like 64x3x3x3."""
    with gzip.open(REFERENCE / file, "rt", encoding="ascii") as opened:
        rows = [line.split() for line in opened]
    return {
        row[0]: () if row[column] == "-" else tuple(map(int, row[column].split("x")))
        for row in rows
    }


class Attack:
    """Pickles to a call of ``function(*arguments)``."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self) -> None:
        """Never called; pickle wants the function of a call to be callable."""


def attacks(marker: Path) -> dict[str, Attack]:
    """Calls that would create ``marker`` if anything ran them."""
    python = f"open({str(marker)!r}, 'w').close()"
    return {
        "os.system": Attack(os.system, f"touch '{marker}'"),
        "eval": Attack(eval, python),
        "exec": Attack(exec, python),
        "open": Attack(open, str(marker), "w"),
        "import": Attack(Attack(getattr, Attack(__import__, "os"), "mkdir"), str(marker)),
        "nested": Attack(print, Attack(list, (Attack(os.mkdir, str(marker)),))),
        "method": Attack(Path.touch, marker),
    }
