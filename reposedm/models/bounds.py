"""Limits of the networks' arguments, checked before anything is allocated (C-67)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reposedm.errors import WeightsError


def check_int(name: str, value: Any, low: int, high: int, *, step: int = 1) -> int:
    """A whole number in low..high that is a multiple of ``step``.

    Raises:
        WeightsError: names the argument, the limits and the value.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise WeightsError(f"{name} of a network must be a whole number, not {value!r}")
    if not low <= value <= high:
        raise WeightsError(f"{name} of a network must be in {low}..{high}, not {value}")
    if value % step:
        raise WeightsError(f"{name} of a network must be a multiple of {step}, not {value}")
    return value


def check_ints(name: str, values: Any, count: int, low: int, high: int) -> tuple[int, ...]:
    """``count`` whole numbers in low..high.

    Raises:
        WeightsError: names the argument and what was found.
    """
    entries = check_sequence(name, values, count, count)
    return tuple(check_int(f"{name} entry", value, low, high) for value in entries)


def check_number(name: str, value: Any, low: float, high: float) -> float:
    """A finite number in low..high.

    Raises:
        WeightsError: names the argument, the limits and the value.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise WeightsError(f"{name} of a network must be a number, not {value!r}")
    if not low <= value <= high:
        raise WeightsError(f"{name} of a network must be in {low}..{high}, not {value}")
    return float(value)


def check_flag(name: str, value: Any) -> bool:
    """True or False, nothing that merely counts as one.

    Raises:
        WeightsError: names the argument and the value.
    """
    if not isinstance(value, bool):
        raise WeightsError(f"{name} of a network must be true or false, not {value!r}")
    return value


def check_choice(name: str, value: Any, choices: Sequence[Any]) -> Any:
    """One of ``choices``.

    Raises:
        WeightsError: names the argument, the choices and the value.
    """
    if not any(type(value) is type(one) and value == one for one in choices):
        listed = ", ".join(str(one) for one in choices)
        raise WeightsError(f"{name} of a network must be one of {listed}, not {value!r}")
    return value


def check_sequence(
    name: str, values: Any, longest: int, length: int | None = None
) -> tuple[Any, ...]:
    """A list or tuple of 1..``longest`` values, or of exactly ``length``.

    Raises:
        WeightsError: names the argument and what was found.
    """
    if not isinstance(values, (list, tuple)):
        raise WeightsError(f"{name} of a network must be a list, not {values!r}")
    if not 1 <= len(values) <= longest:
        raise WeightsError(f"{name} of a network must have 1..{longest} entries: {len(values)}")
    if length is not None and len(values) != length:
        raise WeightsError(f"{name} of a network must have {length} entries, not {len(values)}")
    return tuple(values)
