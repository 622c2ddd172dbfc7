"""The one way in for weights: a folder with a checked configuration and a safetensors file.

diffusers' ``from_pretrained`` loads a file with a missing tensor (the parameter stays on ``meta``),
with extra tensors, of another class, full of NaN, or a pickle. Here each of these is an error.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from reposedm.errors import WeightsError
from reposedm.weights import (
    CONFIG,
    WEIGHTS,
    check_folder,
    check_manifest,
    damaged,
    file_problem,
    read_json,
)

Model = TypeVar("Model", bound=nn.Module)

PICKLES: Final = (".bin", ".pth", ".pt", ".ckpt", ".pkl", ".pickle", ".tar")
"""Endings of files that could run code when they are read; they are never opened here."""

_PRIVATE: Final = frozenset({"_class_name", "_diffusers_version", "_name_or_path"})
_DERIVED: Final = {"AutoencoderTiny": {"block_out_channels"}}
"""Settings that a class of diffusers writes although it does not take them."""
_FLOATS: Final = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})


def load_safetensors_strict(cls: type[Model], folder: str | os.PathLike[str]) -> Model:
    """A network from its folder, in evaluation mode, on the CPU, in float32.

    Nothing is written, nothing but ``config.json``, the safetensors file and ``manifest.json`` (if
    there) is opened, and shapes are compared before memory is taken, so ``cls`` must be
    constructible under ``torch.device("meta")`` and must bound its arguments.

    Args:
        cls: a ``ModelMixin`` with ``ConfigMixin``; the folder must hold exactly this class.
        folder: absolute, relative or with ``~``.

    Raises:
        WeightsError: anything absent, damaged, changed, unexpected, mismatched or not finite.
    """
    path = check_folder(folder)
    weights = path / WEIGHTS
    problem = file_problem(weights)
    if problem:
        raise WeightsError(_absent(path, weights, problem))
    config = checked_config(cls, path / CONFIG)
    sha256 = check_manifest(path, (CONFIG, WEIGHTS)).get(WEIGHTS, "")
    with torch.device("meta"):
        wanted = _build(cls, config, path / CONFIG).state_dict()
    tensors = read_tensors(weights, wanted, sha256)
    with torch.random.fork_rng(devices=[]):  # loading must not change what is drawn afterwards
        model = _build(cls, config, path / CONFIG)
    model.load_state_dict(tensors, strict=True)
    return model.eval()


def checked_config(cls: type[nn.Module], file: Path) -> dict[str, Any]:
    """The constructor arguments in a ``config.json``.

    Raises:
        WeightsError: not JSON, of another class, or with a key that the class does not know.
    """
    config = read_json(file)
    found = config.get("_class_name")
    if found != cls.__name__:
        raise WeightsError(f"{file} is for {found!r:.60}, not for {cls.__name__}: wrong folder?")
    known = set(inspect.signature(cls.__init__).parameters) - {"self"}
    unknown = sorted(set(config) - known - _PRIVATE - _DERIVED.get(cls.__name__, set()))
    if unknown:
        raise WeightsError(
            f"{file}: {cls.__name__} has no setting {_few(unknown)}. The weights may need a newer "
            "version of this program."
        )
    return {name: value for name, value in config.items() if name in known}


def read_tensors(
    file: Path, wanted: Mapping[str, torch.Tensor], sha256: str = ""
) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file, exactly those of ``wanted`` (whose values are not read).

    Raises:
        WeightsError: damaged, other names or shapes or kinds of numbers, NaN or infinity.
    """
    try:
        with safe_open(file, framework="pt", device="cpu") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
            check_names({name: tuple(value.shape) for name, value in wanted.items()}, shapes, file)
            tensors = {name: opened.get_tensor(name) for name in wanted}
    except (SafetensorError, ValueError, KeyError, EOFError) as error:
        raise damaged(file, sha256) from error
    except OSError as error:
        raise WeightsError(f"{file} cannot be read: {error.strerror or error}.") from error
    check_values(tensors, file, wanted)
    return tensors


def check_names(
    wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]], what: object
) -> None:
    """Refuse other names or shapes than the wanted ones.

    Args:
        wanted: name -> shape.
        found: name -> shape.
        what: named first in the error.

    Raises:
        WeightsError: says how many tensors are missing, unexpected or of another shape, and which.
    """
    missing = [name for name in wanted if name not in found]
    unexpected = [name for name in found if name not in wanted]
    other = [
        f"{name} {found[name]} instead of {shape}"
        for name, shape in wanted.items()
        if name in found and found[name] != shape
    ]
    problems = [
        f"{len(names)} {label} ({_few(names)})"
        for names, label in (
            (missing, "missing"),
            (unexpected, "unexpected"),
            (other, "of another shape"),
        )
        if names
    ]
    if problems:
        raise WeightsError(f"{what} does not fit: of {len(wanted)} tensors, {'; '.join(problems)}.")


def check_values(
    tensors: Mapping[str, torch.Tensor],
    what: object,
    wanted: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Refuse NaN, infinity and (with ``wanted``) whole numbers where fractions belong, or reverse.

    Raises:
        WeightsError: names the first tensors.
    """
    kinds = [
        f"{name} is {value.dtype}"
        for name, value in tensors.items()
        if wanted is not None and not _same_kind(value.dtype, wanted[name].dtype)
    ]
    if kinds:
        raise WeightsError(f"{what} holds the wrong kind of numbers: {_few(kinds)}.")
    bad = [name for name, value in tensors.items() if not _finite(value)]
    if bad:
        raise WeightsError(
            f"{what} holds numbers that are not finite in {len(bad)} tensors ({_few(bad)}): a "
            "training run that broke, or a damaged file. Do not use it."
        )


def _build(cls: type[Model], config: Mapping[str, Any], file: Path) -> Model:
    """Construct; what the constructor refuses is the file's fault."""
    try:
        return cls(**config)
    except Exception as error:  # values of any type reach the constructor from the file
        raise WeightsError(f"{file} cannot be used: {error}") from error


def _absent(folder: Path, weights: Path, problem: str) -> str:
    pickles = sorted(name for name in os.listdir(folder) if name.lower().endswith(PICKLES))
    if pickles and not weights.exists():
        return (
            f"{folder / pickles[0]} is a pickle, which can run code, and was not opened. Convert "
            f"it: python -m reposedm convert {folder / pickles[0]} -o FOLDER"
        )
    if problem == "not here":
        return f"There is no {WEIGHTS} in {folder}."
    return f"{weights} is {problem}. Delete it and download it again."


def _finite(value: torch.Tensor) -> bool:
    return not value.is_floating_point() or bool(torch.isfinite(value).all())


def _same_kind(found: torch.dtype, wanted: torch.dtype) -> bool:
    if wanted.is_floating_point:
        return found in _FLOATS
    return found == wanted


def _few(names: Iterable[str], count: int = 3) -> str:
    """The first names, for one line."""
    names = [f"{name:.80}" for name in names]
    more = f" and {len(names) - count} more" if len(names) > count else ""
    return ", ".join(names[:count]) + more
