"""Frozen dataclasses from nested mappings: every key known, every value of its field's type."""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from reposedm.errors import SettingsError


def fill(kind: Any, values: Any, where: str = "") -> Any:
    """An instance of a frozen dataclass from nested mappings, strictly.

    Args:
        kind: the dataclass; its fields may be dataclasses, tuples, literals, mappings and plain.
        values: by field.
        where: its own key with a dot behind it, for messages.

    Raises:
        SettingsError: an unknown key (the nearest is named), or a value of the wrong kind.
    """
    if not isinstance(values, Mapping):
        raise SettingsError(f"{where.rstrip('.') or 'a configuration'} must hold settings")
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise SettingsError(f"unknown setting {where}{key}: {nearest(str(key), [*hints])}")
    return kind(**{key: _value(hints[key], value, where + key) for key, value in values.items()})


def _value(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return fill(hint, value, f"{key}.")
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise SettingsError(f"{key} is one of {', '.join(choices)}, not {value!r:.80}")
        return value
    if origin is tuple:
        kinds = typing.get_args(hint)
        if kinds[1:] == (...,) and isinstance(value, (list, tuple)):
            kinds = kinds[:1] * len(value)
        if not isinstance(value, (list, tuple)) or len(value) != len(kinds):
            raise SettingsError(f"{key} is a list of {len(kinds)} numbers, not {value!r:.80}")
        return tuple(_value(k, v, key) for k, v in zip(kinds, value, strict=True))
    if origin is Mapping:
        if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
            raise SettingsError(f"{key} must hold settings")
        return dict(value)
    if hint is float and isinstance(value, str):
        value = _number(value)  # YAML reads 1e-4 as text: it wants 1.0e-4
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not hint:
        names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
        raise SettingsError(f"{key} is {names[hint]}, not {value!r:.80}")
    return value


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def plain(value: Any) -> Any:
    """JSON values of nested mappings, lists and tuples."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (list, tuple)) else value


def nearest(key: str, known: Sequence[str]) -> str:
    """A hint for an unknown key: the one that was probably meant, else all of them."""
    close = difflib.get_close_matches(key, known, 1, 0.5)
    return f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}."
