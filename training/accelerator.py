"""Devices, processes, number format and sharding of a run, by accelerate and its configuration."""

from __future__ import annotations

import os
from typing import Any

import torch

from reposedm.jobs.runtime import choose_device, processor
from training import zero
from training.config import TrainConfig


def make_accelerator(config: TrainConfig) -> Any:
    """The accelerator of a run; random generators are seeded.

    Raises:
        SettingsError: DeepSpeed with settings that are not supported; see ``zero.check``.
    """
    from accelerate import Accelerator, PartialState
    from accelerate.utils import parse_flag_from_env, set_seed

    # accelerate takes several processes without GPUs for runs of their own unless it is told; what
    # it is told that for, it never uses DeepSpeed for.
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1 and not zero.wanted()
    cpu = parse_flag_from_env("ACCELERATE_USE_CPU") or (
        several and not torch.accelerator.is_available()
    )
    device = PartialState(cpu=cpu).device
    # DeepSpeed would keep the weights themselves in bfloat16.
    bf16 = computes_in_bf16(config, device) and not zero.wanted()
    accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=cpu)
    if zero.used(accelerator):
        zero.check(accelerator)
    set_seed(config.seed)
    return accelerator


def computes_in_bf16(config: TrainConfig, device: torch.device) -> bool:
    """Whether a run's products are of bfloat16 numbers; its weights are float32 in any case."""
    if config.precision != "auto":
        return config.precision == "bf16"
    here = processor() if device.type == "cpu" else choose_device()
    return here.dtype == "bfloat16"
