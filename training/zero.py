"""DeepSpeed's ZeRO 1 and 2 through accelerate: every process keeps a part of the optimiser.

What is written to checkpoints is the same as without it, put together from the parts with
DeepSpeed's own functions: whole tensors by name, no pickles. So a run may go on with another number
of processes, or without DeepSpeed. Parameters stay in float32, since a moving average of bfloat16
would not move; where bfloat16 is wanted, ``torch.autocast`` computes in it.

Tried on CPUs with DeepSpeed 0.19: whole runs in one process, and this module's functions in two
(accelerate starts no DeepSpeed of several processes without GPUs); never on GPUs. ZeRO 3 and
offloading are refused: FSDP shards the parameters, too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from reposedm.errors import SettingsError
from training.config import StageConfig


def wanted() -> bool:
    """Whether accelerate's configuration asks for DeepSpeed."""
    return os.environ.get("ACCELERATE_USE_DEEPSPEED", "false").lower() == "true"


def used(accelerator: Any) -> bool:
    """Whether training runs with DeepSpeed."""
    return str(accelerator.distributed_type).endswith("DEEPSPEED")


def check(accelerator: Any) -> None:
    """Refuse what checkpoints here do not hold.

    Raises:
        SettingsError: says which setting of DeepSpeed's configuration.
    """
    config: Mapping[str, Any] = accelerator.state.deepspeed_plugin.deepspeed_config
    zero = config.get("zero_optimization", {})
    if zero.get("stage") not in (1, 2):
        raise SettingsError(
            f"DeepSpeed's ZeRO stage {zero.get('stage')} is not supported, 1 and 2 are: choose one "
            "of them, or shard parameters with FSDP (accelerate config)"
        )
    for part in ("optimizer", "param"):
        if (zero.get(f"offload_{part}") or {}).get("device", "none") != "none":
            raise SettingsError(
                f"DeepSpeed's offload_{part} is not supported: set its device to none"
            )
    for name in ("bf16", "fp16"):
        if (config.get(name) or {}).get("enabled") is True:
            raise SettingsError(
                f"{name} in DeepSpeed's configuration would round the moving average of the "
                'weights: leave it out there, and set precision="bf16" here'
            )


def configure(accelerator: Any, settings: StageConfig) -> None:
    """Tell DeepSpeed what a stage's configuration says; before ``accelerator.prepare``."""
    config = accelerator.state.deepspeed_plugin.deepspeed_config
    config["train_micro_batch_size_per_gpu"] = settings.batch
    config["gradient_accumulation_steps"] = settings.accumulate
    config["train_batch_size"] = settings.batch * settings.accumulate * accelerator.num_processes
    config["gradient_clipping"] = settings.clip


def inside(model: nn.Module) -> nn.Module:
    """The module in DeepSpeed's engine; other wrappers stay as they are."""
    return model.module if hasattr(model, "zero_optimization_stage") else model  # type: ignore[return-value]


def is_zero(optimizer: Any) -> bool:
    """Whether an optimiser is DeepSpeed's, in parts."""
    return hasattr(optimizer, "single_partition_of_fp32_groups")


def optimizer_state(optimizer: Any, model: nn.Module) -> dict[str, dict[str, Tensor]]:
    """AdamW's state by the parameters' names; every process calls it.

    Args:
        optimizer: DeepSpeed's, after a step.
        model: the engine.
    """
    from deepspeed.utils import safe_get_full_optimizer_state

    (state, *_) = [state for _, _, state in _partitions(optimizer)]
    return {
        name: {
            "step": torch.as_tensor(float(state["step"])),
            "exp_avg": safe_get_full_optimizer_state(parameter, "exp_avg").cpu(),
            "exp_avg_sq": safe_get_full_optimizer_state(parameter, "exp_avg_sq").cpu(),
        }
        for name, parameter in _trained(model)
    }


def restore_optimizer_state(
    optimizer: Any, model: nn.Module, wanted: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Put back what ``optimizer_state`` found, or what an optimiser without DeepSpeed had.

    Raises:
        ValueError: something is missing, or does not fit.
    """
    from deepspeed.utils import lazy_init_hp_params_optimizer_state, safe_set_full_optimizer_state

    trained = dict(_trained(model))
    odd = sorted(trained.keys() ^ wanted.keys())
    if odd:
        raise ValueError(f"the optimiser's state of {odd[0]} does not fit")
    step = next(iter(wanted.values()))["step"]
    for parameters, part, state in _partitions(optimizer):
        state["step"] = step.detach().clone().cpu()
        for kind in ("exp_avg", "exp_avg_sq"):
            state[kind] = torch.zeros_like(part)
        lazy_init_hp_params_optimizer_state(parameters, part, optimizer.optimizer.state)
    for name, parameter in trained.items():
        for kind in ("exp_avg", "exp_avg_sq"):
            value = wanted[name][kind]
            if value.shape != parameter.shape:
                raise ValueError(f"the optimiser's state of {name} has another shape")
            safe_set_full_optimizer_state(parameter, value.to(parameter.device), kind)


def _partitions(optimizer: Any) -> Iterator[tuple[list[Tensor], Tensor, dict[str, Any]]]:
    """Groups of parameters, this process' part of all their numbers, and AdamW's state of it."""
    parts = optimizer.single_partition_of_fp32_groups
    for parameters, part in zip(optimizer.bit16_groups, parts, strict=True):
        yield parameters, part, optimizer.optimizer.state[part]


def _trained(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in inside(model).named_parameters():
        if parameter.requires_grad:
            yield name, parameter
