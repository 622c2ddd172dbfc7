"""The one reader of other people's checkpoints: pickles, read without running anything in them.

A pickle is a program that may call any function. ``torch.load(weights_only=True)`` comes first;
where it refuses (PIDM's file holds pickled settings objects), a second reader resolves only the few
names that tensors need, and everything else to an inert ``Stub``. Only ``reposedm convert`` uses
this; all other code reads safetensors.
"""

from __future__ import annotations

import collections
import os
import pickle
import struct
import tarfile
import types
import warnings
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import torch

from reposedm.errors import WeightsError
from reposedm.weights import damaged, file_problem

MAX_FILE_BYTES: Final = 8 << 30
MAX_TENSORS: Final = 20_000

_NOT_WHOLE = (RuntimeError, ValueError, TypeError, LookupError, EOFError, AttributeError,
              ArithmeticError, OSError, MemoryError, ImportError, AssertionError, RecursionError,
              pickle.PickleError, zipfile.BadZipFile, struct.error)  # fmt: skip
"""What torch, zipfile and pickle raise on files that are cut off, changed or made to do harm."""


class Stub:
    """What any class or function that is not needed becomes: accepts everything, does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> Stub:
        """Made with whatever arguments."""
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        """Forget the arguments."""

    def __call__(self, *_: Any, **__: Any) -> Stub:
        """Whatever is called, it is this."""
        return self

    @staticmethod
    def __setstate__(*_: Any) -> None:
        """Forget the state. Static, so that giving a state to the class changes nothing either."""

    def _forget(self, *_: Any) -> None:
        """Forget an item: pickles fill lists, sets and dicts after making them."""

    __setitem__ = append = extend = add = _forget


class View(Stub):
    """A tensor that is only described: which part of which storage."""

    def __init__(self, storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> None:
        """Take the arguments of ``torch._utils._rebuild_tensor_v2``; nothing is checked yet."""
        self.storage, self.offset, self.size, self.stride = storage, offset, size, stride

    @property
    def shape(self) -> tuple[int, ...]:
        """The size, if it is one.

        Raises:
            TypeError, ValueError: it is none.
        """
        return tuple(_whole(side) for side in self.size)

    def tensor(self) -> torch.Tensor:
        """The numbers, copied out of the storage.

        Raises:
            TypeError, ValueError: it is not a part of its storage.
        """
        shape, offset = self.shape, _whole(self.offset)
        stride = tuple(_whole(step) for step in self.stride)
        storage = self.storage
        if len(stride) != len(shape) or not isinstance(storage, torch.storage.TypedStorage):
            raise ValueError("not a tensor")
        last = offset + sum((n - 1) * step for n, step in zip(shape, stride, strict=True))
        untyped = storage._untyped_storage  # its public twin warns that it will go away
        if 0 not in shape and last >= untyped.nbytes() // storage.dtype.itemsize:
            raise ValueError("a tensor reaches beyond its storage")
        return torch.empty(0, dtype=storage.dtype).set_(untyped, offset, shape, stride).clone()


Parts = Mapping[str, torch.Tensor | View]


def read_foreign(file: str | os.PathLike[str]) -> Any:
    """What a PyTorch checkpoint holds: tensors, dicts, lists, plain values, ``View`` and ``Stub``.

    Raises:
        WeightsError: no such file, damaged, too large, or a kind that is never opened.
    """
    path = Path(file).expanduser()
    problem = file_problem(path)
    if problem:
        raise WeightsError(f"{path} is {problem}.")
    try:
        with path.open("rb") as opened, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old formats: we read them as far as it is safe
            _check_container(path, opened)
            opened.seek(0)
            try:
                return torch.load(opened, map_location="cpu", weights_only=True)
            except pickle.UnpicklingError:  # a class that tensors do not need: read around it
                opened.seek(0)
            return torch.load(
                opened, map_location="cpu", weights_only=False, pickle_module=_restricted()
            )
    except _NOT_WHOLE as error:
        raise damaged(path) from error


def state_dict_of(content: Any, what: object) -> dict[str, torch.Tensor | View]:
    """The named tensors of a checkpoint: its ``ema``, ``state_dict``, ``model``, or itself.

    Raises:
        WeightsError: there are none, or too many.
    """
    if isinstance(content, Mapping):
        for inner in (*(content.get(key) for key in ("ema", "state_dict", "model")), content):
            if not isinstance(inner, Mapping):
                continue
            found = {
                name: value
                for name, value in inner.items()
                if isinstance(name, str) and isinstance(value, torch.Tensor | View)
            }
            if len(found) > MAX_TENSORS:
                raise WeightsError(f"{what} holds {len(found)} tensors: not a network we know.")
            if found:
                return found
    raise WeightsError(f"{what} holds no named tensors: it is not a network's checkpoint.")


def shapes_of(parts: Parts, what: Path) -> dict[str, tuple[int, ...]]:
    """Name -> shape; no numbers are copied.

    Raises:
        WeightsError: a shape that none can be.
    """
    try:
        return {name: tuple(part.shape) for name, part in parts.items()}
    except _NOT_WHOLE as error:
        raise damaged(what) from error


def tensors_of(parts: Parts, what: Path) -> dict[str, torch.Tensor]:
    """Name -> contiguous tensor of its own; compare the shapes before.

    Raises:
        WeightsError: a tensor is not a part of its storage.
    """
    try:
        return {
            name: part.tensor() if isinstance(part, View) else part.detach().clone().contiguous()
            for name, part in parts.items()
        }
    except _NOT_WHOLE as error:
        raise damaged(what) from error


def _check_container(path: Path, opened: BinaryIO) -> None:
    """Refuse what PyTorch would unpack in other ways: tar, TorchScript, compressed archives."""
    size = os.fstat(opened.fileno()).st_size
    if size > MAX_FILE_BYTES:
        raise WeightsError(f"{path} has {size / 2**30:.1f} GiB: more than any network we know.")
    if _is_tar(opened):
        raise WeightsError(f"{path} is a tar archive: name the checkpoint inside it.")
    opened.seek(0)
    if not zipfile.is_zipfile(opened):
        return
    with zipfile.ZipFile(opened) as archive:
        members = archive.infolist()
    if any(member.filename.endswith("constants.pkl") for member in members):
        raise WeightsError(f"{path} is a TorchScript program, not a checkpoint.")
    if not any(member.filename.endswith("data.pkl") for member in members):
        raise WeightsError(f"{path} is a zip archive, but not a PyTorch checkpoint.")
    # PyTorch stores its tensors as they are: what unpacks to more than the file is a trap.
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > size:
        raise WeightsError(f"{path} is a compressed archive: PyTorch writes none, not opened.")


def _is_tar(opened: BinaryIO) -> bool:
    try:
        tarfile.open(fileobj=opened, mode="r:").close()
    except (tarfile.TarError, EOFError, ValueError):
        return False
    return True


def _restricted() -> Any:
    """What ``torch.load`` takes for the module ``pickle``, with our ``find_class``."""

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return _KNOWN.get((module, name), Stub)

    def load(opened: BinaryIO, **options: Any) -> Any:
        return Unpickler(opened, **options).load()

    module = types.ModuleType("reposedm_restricted_pickle")
    module.__dict__.update(Unpickler=Unpickler, load=load)
    return module


class _Parameter(Stub):
    """``torch._utils._rebuild_parameter``: the tensor alone, without gradient and hooks."""

    def __new__(cls, part: Any, *_: Any) -> Any:
        """Itself."""
        return part


_KNOWN: Final[Mapping[tuple[str, str], Callable[..., Any]]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor"): View,
    ("torch._utils", "_rebuild_tensor_v2"): View,
    ("torch._utils", "_rebuild_parameter"): _Parameter,
}


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("not a whole number")
    return value
