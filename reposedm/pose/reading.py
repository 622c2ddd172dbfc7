"""What keeps a pose file's reader safe: sizes, depths, encodings, numbers, PNG chunks.

Nothing here knows what a pose is.
"""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections import Counter
from typing import Any, Final

from reposedm.errors import PoseError

MAX_DEPTH: Final = 32
MAX_CHUNKS: Final = 10_000
# Possessive, and without a need for the closing quote: linear on any text.
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


def decode_json(source: str | bytes, max_bytes: int) -> Any:
    """Parsed JSON of bounded size and depth, without duplicate keys, NaN or Infinity.

    Raises:
        PoseError: it is not that.
    """
    length = len(source) if isinstance(source, bytes) else _encoded_length(source)
    if length > max_bytes:
        raise PoseError(f"the pose file is larger than {max_bytes >> 10} KB; it holds no pose")
    if isinstance(source, bytes):
        try:
            source = source.decode(json.detect_encoding(source))
        except UnicodeDecodeError as error:
            raise PoseError("the pose file is not text in UTF-8 or UTF-16") from error
    text = source.removeprefix("\ufeff")
    _check_depth(text)
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        reason = (
            f"{error.msg}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        )
        raise PoseError(f"the pose file is not JSON{': ' if reason else ''}{reason}") from error


def bounded(document: Any, max_values: int) -> Any:
    """The document itself, when it is not too deep and holds at most ``max_values`` values.

    Raises:
        PoseError: it is too deep, or holds more.
    """
    count = 0
    level = [document]
    for _ in range(MAX_DEPTH + 1):
        count += len(level)
        if count > max_values:
            raise PoseError("the pose holds far too many values")
        following: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                following += value.values()
            elif isinstance(value, list | tuple):
                following += value
        if not following:
            return document
        level = following
    raise PoseError(f"the pose is nested more than {MAX_DEPTH} deep")


def number(value: Any, field: str) -> float:
    """A finite float; everything else is an error that names the field."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PoseError(f"{field} must be a number, not {_short(value)}")
    try:
        result = float(value)
    except OverflowError:
        result = math.inf
    if not math.isfinite(result):
        raise PoseError(f"{field} must be a finite number")
    return result


def checked_extras(extras: dict[Any, Any], field: str) -> dict[str, Any]:
    """Foreign fields as plain JSON that can be written again; numbers checked.

    Raises:
        PoseError: a value is not JSON, or hands and face are not lists of numbers.
    """
    checked: dict[str, Any] = {}
    for key, value in extras.items():
        if not isinstance(key, str):
            raise PoseError(f"{field}: a field's name must be text")
        name = field + key[:40]
        if key.endswith("_keypoints_2d") and value is not None:
            if not isinstance(value, list):
                raise PoseError(f"{name} must be a list of numbers")
            for index, entry in enumerate(value):
                if entry is not None:
                    number(entry, f"{name}[{index}]")
        checked[key] = _plain_json(value, name)
    return checked


def png_text(data: bytes, key: str, max_bytes: int) -> str | None:
    """The text of a PNG's tEXt or iTXt chunk of that name; no pixel is decoded.

    Raises:
        PoseError: the file is damaged, or the text is too large.
    """
    place = 8
    for _ in range(MAX_CHUNKS):
        if place == len(data):
            return None
        if place + 12 > len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        crc = data[place + 8 + length : place + 12 + length]
        if len(crc) != 4:
            break
        place += 12 + length
        if kind not in (b"tEXt", b"iTXt") or not body.startswith(key.encode() + b"\0"):
            continue
        if struct.unpack(">I", crc)[0] != zlib.crc32(kind + body):
            break
        text = body[len(key) + 1 :]
        if kind == b"iTXt":
            flag, _, rest = text[:1], text[1:2], text[2:]
            if flag != b"\0":
                raise PoseError("the pose in this PNG is compressed, which RePoseDM never writes")
            text = rest.split(b"\0", 2)[-1]
        if len(text) > max_bytes:
            raise PoseError(f"the pose in this PNG is larger than {max_bytes >> 10} KB")
        return text.decode("utf-8" if kind == b"iTXt" else "latin-1", errors="replace")
    raise PoseError("this PNG is damaged or incomplete")


def _encoded_length(text: str) -> int:
    try:
        return len(text.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise PoseError("the pose file is not valid text") from error


def _check_depth(text: str) -> None:
    depth = 0
    for bracket in re.findall(r"[\[\]{}]", _STRING.sub('""', text)):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise PoseError(f"the pose file is nested more than {MAX_DEPTH} deep")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        counts = Counter(key for key, _ in pairs)
        twice = counts.most_common(1)[0][0]
        raise PoseError(f"the pose file says {_short(twice)} twice; keep one of them")
    return result


def _no_constant(name: str) -> float:
    raise PoseError(f"the pose file holds {name}, which is not a number a joint can have")


def _plain_json(value: Any, field: str) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain_json(entry, field) for entry in value]
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise PoseError(f"{field}: a field's name must be text")
        return {key: _plain_json(entry, field) for key, entry in value.items()}
    number(value, field)
    return value


def _short(value: Any) -> str:
    if isinstance(value, str):
        return repr(value[:20] + ("..." if len(value) > 20 else ""))
    return "null" if value is None else type(value).__name__
