"""Which network a foreign checkpoint holds, and its tensors under our names.

Known: HigherHRNet of the original repository (bare names, or below ``module.``) and of mmpose 0.x
(``backbone.``, ``keypoint_head.``), and PIDM (``ema`` preferred over ``model``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import torch

from reposedm.errors import WeightsError
from reposedm.models.bounds import check_int
from reposedm.models.foreign import Parts, read_foreign, shapes_of, state_dict_of, tensors_of
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.safe import check_names, check_values

Shape = tuple[int, ...]

KINDS: Final = ("higherhrnet", "pidm")
PREFIXES: Final = ("module.", "backbone.", "keypoint_head.")
COUNTER: Final = ".num_batches_tracked"


class Converted(NamedTuple):
    """A checkpoint in our layout.

    Attributes:
        kind: one of ``KINDS``.
        source: in words, what it was.
        config: content of ``config.json``.
        tensors: name -> tensor, checked, finite.
    """

    kind: str
    source: str
    config: dict[str, Any]
    tensors: dict[str, torch.Tensor]


def convert_checkpoint(file: Path, kind: str = "auto") -> Converted:
    """Read a foreign checkpoint; nothing in it is executed.

    Args:
        file: a ``.pth``, ``.pt``, ``.ckpt``, ``.bin``...
        kind: what it should be, one of ``KINDS``, or "auto": see its tensors' names.

    Raises:
        WeightsError: unreadable, not that network, or not complete.
    """
    parts = state_dict_of(read_foreign(file), file)
    bare = _without_prefixes(parts, file)
    if kind == "auto":
        kind = _recognise(bare, file)
    if kind == "higherhrnet":
        return _higherhrnet(bare, _source(parts), file)
    if kind == "pidm":
        return _pidm(bare, file)
    raise WeightsError(f"there is no kind {kind!r:.40}: choose auto, {' or '.join(KINDS)}")


def pidm_shapes(channels: int = 128, inputs: int = 23) -> dict[str, Shape]:
    """Name -> shape of the 852 tensors of PIDM's U-Net and texture encoder.

    Args:
        channels: of the first level; 128 in the published one.
        inputs: channels of the noisy picture (3) and the pose (20).
    """
    c, e = channels, 4 * channels
    found: dict[str, Shape] = {}
    found |= _linear("time_embed.time_embed.0", e, c) | _linear("time_embed.time_embed.2", e, e)
    skips = []
    for name, shapes, out in _downwards(c, inputs, attention=True):
        found |= {f"{name}.{leaf}": shape for leaf, shape in shapes.items()}
        skips += [out] if name.endswith(".0") else []
    deep = skips[-1]
    for index, shapes in enumerate((_residual(deep, deep, e), _attention(deep))):
        found |= {f"middle_block.{index}.{leaf}": shape for leaf, shape in shapes.items()}
    found |= {f"middle_block.2.{leaf}": s for leaf, s in _residual(deep, deep, e).items()}
    for name, shapes in _upwards(c, skips):
        found |= {f"{name}.{leaf}": shape for leaf, shape in shapes.items()}
    found |= _norm("out.0", c) | _conv("out.2", 6, c)
    found |= _linear("encoder.time_embed.0", e, c) | _linear("encoder.time_embed.2", e, e)
    for name, shapes, _ in _downwards(c, 3, attention=False):
        found |= {f"encoder.{name}.{leaf}": shape for leaf, shape in shapes.items()}
    return found


def _higherhrnet(parts: Parts, source: str, file: Path) -> Converted:
    shapes = shapes_of(parts, file)
    head = shapes.get("final_layers.0.weight", ())
    if len(head) != 4 or head[0] % 2:
        raise WeightsError(
            f"{file} is no HigherHRNet: its first head final_layers.0.weight is "
            f"{head or 'not there'}. Of mmpose, only models of HigherHRNet from 0.x fit."
        )
    with torch.device("meta"):
        model = HigherHRNet(width=head[1], joints=head[0] // 2)
    wanted = model.state_dict()
    if not any(name.endswith(COUNTER) for name in shapes):
        # Saved before PyTorch counted batches. The counter changes nothing in use: 0.
        parts = {**parts, **{n: torch.tensor(0) for n in wanted if n.endswith(COUNTER)}}
        shapes = shapes_of(parts, file)
    check_names({name: tuple(value.shape) for name, value in wanted.items()}, shapes, file)
    tensors = tensors_of({name: parts[name] for name in wanted}, file)
    check_values(tensors, file, wanted)
    return Converted("higherhrnet", source, json.loads(model.to_json_string()), tensors)


def _pidm(parts: Parts, file: Path) -> Converted:
    shapes = shapes_of(parts, file)
    first = shapes.get("input_blocks.0.0.weight", ())
    if len(first) != 4:
        raise WeightsError(f"{file} is no checkpoint of PIDM: it has no input_blocks.0.0.weight.")
    channels = check_int("the width of PIDM", first[0], 1, 512)
    inputs = check_int("the input channels of PIDM", first[1], 4, 256)
    wanted = pidm_shapes(channels, inputs)
    check_names(wanted, shapes, file)
    tensors = tensors_of({name: parts[name] for name in wanted}, file)
    check_values(tensors, file, {name: torch.empty(0) for name in wanted})
    config = {"_class_name": "PIDM", "model_channels": channels, "in_channels": inputs}
    return Converted("pidm", "PIDM", config, tensors)


def _recognise(parts: Parts, file: Path) -> str:
    if "stage4.0.branches.0.0.conv1.weight" in parts:
        return "higherhrnet"
    if "encoder.input_blocks.0.0.weight" in parts:
        return "pidm"
    names = ", ".join(f"{name:.60}" for name in list(parts)[:3])
    raise WeightsError(
        f"{file} holds {len(parts)} tensors ({names} ...) of a network that is not known here: "
        "HigherHRNet (original, mmpose 0.x) and PIDM are."
    )


def _source(names: Mapping[str, Any]) -> str:
    if any(name.removeprefix("module.").startswith("backbone.") for name in names):
        return "HigherHRNet, mmpose 0.x"
    return "HigherHRNet, original repository"


def _without_prefixes(parts: Parts, file: Path) -> dict[str, Any]:
    bare: dict[str, Any] = {}
    for name, part in parts.items():
        short = name
        for prefix in PREFIXES:
            short = short.removeprefix(prefix)
        if short in bare:
            raise WeightsError(f"{file} holds {short:.80} twice, below different prefixes.")
        bare[short] = part
    return bare


def _downwards(
    c: int, inputs: int, *, attention: bool
) -> Iterator[tuple[str, dict[str, Shape], int]]:
    """(name, leaves, channels out) of PIDM's 18 input blocks: per level two, then one that halves.

    The three coarsest levels attend, after their second block.
    """
    yield "input_blocks.0.0", _conv("", c, inputs), c
    here, index = c, 1
    for level, factor in enumerate(_LEVELS):
        for block in range(2):
            out = factor * c
            yield f"input_blocks.{index}.0", _residual(here, out, 4 * c), out
            if attention and level >= 3 and block == 1:
                yield f"input_blocks.{index}.1", _attention(out), out
            here, index = out, index + 1
        if level < len(_LEVELS) - 1:
            yield f"input_blocks.{index}.0", _residual(here, here, 4 * c), here
            index += 1


def _upwards(c: int, skips: list[int]) -> Iterator[tuple[str, dict[str, Shape]]]:
    """(name, leaves) of PIDM's 18 output blocks: three per level, the last one doubles the size."""
    skips = list(skips)
    here, index = skips[-1], 0
    for level in reversed(range(len(_LEVELS))):
        out = _LEVELS[level] * c
        for block in range(3):
            yield f"output_blocks.{index}.0", _residual(here + skips.pop(), out, 4 * c)
            if level >= 3 and block == 1:
                yield f"output_blocks.{index}.1", _attention(out)
            if level > 0 and block == 2:
                yield f"output_blocks.{index}.1", _residual(out, out, 4 * c)
            here, index = out, index + 1


_LEVELS: Final = (1, 1, 2, 2, 4, 4)
"""Channels of PIDM's levels, in units of the first."""


def _residual(channels: int, out: int, embedding: int) -> dict[str, Shape]:
    skip = {} if channels == out else _conv("skip_connection", out, channels, kernel=1)
    return {
        **_norm("in_layers.0", channels),
        **_conv("in_layers.2", out, channels),
        **_linear("emb_layers.1", 2 * out, embedding),
        **_linear("cond_emb_layers.1", out, out),
        **_norm("out_layers.0", out),
        **_conv("out_layers.3", out, out),
        **skip,
    }


def _attention(c: int) -> dict[str, Shape]:
    found = _norm("norm", c)
    for name, out in (("qkv", 3 * c), ("to_kv", 2 * c), ("to_q", c), ("proj_out1", c),
                      ("proj_out2", c)):  # fmt: skip
        found |= {f"{name}.weight": (out, c, 1), f"{name}.bias": (out,)}
    return found


def _conv(name: str, out: int, channels: int, kernel: int = 3) -> dict[str, Shape]:
    dot = f"{name}." if name else ""
    return {f"{dot}weight": (out, channels, kernel, kernel), f"{dot}bias": (out,)}


def _linear(name: str, out: int, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (out, channels), f"{name}.bias": (out,)}


def _norm(name: str, channels: int) -> dict[str, Shape]:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}
