"""A run's state as tensors and JSON, and back: what ``checkpoint`` writes and reads.

States are gathered and scattered by torch's own ``distributed.checkpoint.state_dict``, which knows
plain modules, DDP and FSDP alike; ``zero`` does it for DeepSpeed's optimiser.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import diffusers
import torch
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from reposedm.errors import SettingsError
from reposedm.pipelines.weights import SCHEDULERS, class_named
from training import zero
from training.checkpoint import (
    Checkpoint,
    CheckpointError,
    checkpoints,
    latest,
    random_state,
    restore_random_state,
    save,
    verify,
)
from training.components import TRAINED, Components, GarmentNetworks, Networks
from training.config import StageName, TrainConfig, from_dict
from training.ema import Average

FREE: Final = ("out", "log.", "checkpoint.", "data.workers", "data.root", "init.")
"""Settings that may change between a run and its continuation: they change no number in it."""

_FULL: Final = StateDictOptions(full_state_dict=True, cpu_offload=True)


@dataclass(frozen=True)
class Progress:
    """Where a run is.

    Attributes:
        stage: being trained.
        step: finished steps of that stage.
        total: finished steps of all stages.
        seen: samples of the stage's stream that were used, in all processes together.
    """

    stage: StageName
    step: int = 0
    total: int = 0
    seen: int = 0

    def after(self, samples: int) -> Progress:
        """One step of so many samples later."""
        return Progress(self.stage, self.step + 1, self.total + 1, self.seen + samples)


@dataclass
class Live:
    """What is trained: the wrapped model of networks ``names``, its optimiser and its average."""

    stage: StageName
    names: tuple[str, ...]
    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: Average


def store(
    accelerator: Any, run: Path, components: Networks, live: Live, progress: Progress
) -> Path | None:
    """Write a checkpoint; every process calls it, the first one writes and returns the folder.

    Raises:
        CheckpointError: see ``checkpoint.save``.
    """
    config = components.config
    groups = _tensors(components, live)
    states = _gathered(accelerator, random_state(accelerator.process_index))
    folder = None
    if accelerator.is_main_process:
        groups["rng"] = {name: value for state in states for name, value in state.items()}
        state = {
            "schema": 1,
            "config": config.as_dict(),
            "progress": dataclasses.asdict(progress),
            "world": accelerator.num_processes,
            "average_steps": live.average.steps,
            "strength": components.strength,
            **describe(components),
        }
        settings = config.checkpoint
        folder = save(
            run, progress.total, groups, state,
            keep=settings.keep, part_bytes=settings.part_mib << 20,
        )  # fmt: skip
    accelerator.wait_for_everyone()
    return folder


def find(run: Path, resume: str) -> tuple[Checkpoint | None, list[str]]:
    """The checkpoint to go on from, and why newer ones were refused.

    Args:
        run: folder of the run.
        resume: "auto": the newest that verifies, or a new run where there is none; "no": a new run;
            else a checkpoint, or a run with one.

    Raises:
        CheckpointError: nothing to resume from, or "no" in a folder that has a run.
    """
    if resume == "no":
        if checkpoints(run):
            raise CheckpointError(
                f"{run} holds a run: resume it, choose another folder with --out, or delete it"
            )
        return None, []
    if resume == "auto":
        found, refused = latest(run)
        if found is None and refused:
            raise CheckpointError(f"no checkpoint in {run} can be used: {'; '.join(refused)}")
        return found, refused
    path = Path(resume).expanduser()
    if checkpoints(path):
        found, refused = latest(path)
        if found is None:
            raise CheckpointError(f"no checkpoint in {path} can be used: {'; '.join(refused)}")
        return found, refused
    return verify(path), []


def describe(components: Networks) -> dict[str, Any]:
    """Classes and configurations of all networks, JSON values."""

    def plain(config: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in config.items() if not key.startswith("_")}

    networks: dict[str, Any] = {}
    for name, module in components.networks.items():
        of: Any = module
        networks[name] = {"class": type(module).__name__, "config": plain(of.config)}
    scheduler = components.scheduler
    if scheduler is None:
        return {"networks": networks, "scheduler": None}
    return {
        "networks": networks,
        "scheduler": {"class": type(scheduler).__name__, "config": plain(scheduler.config)},
    }


def restore_components(
    checkpoint: Checkpoint, config: TrainConfig | None = None, *, averaged: bool = False
) -> Networks:
    """The networks of a checkpoint, on the CPU.

    Args:
        checkpoint: verified.
        config: of the run that goes on; None: the checkpoint's own.
        averaged: the moving average of the weights in the place of those last trained.

    Raises:
        CheckpointError: a network is not what the state says.
    """
    state = checkpoint.state
    try:
        with torch.random.fork_rng():  # random weights that are overwritten at once
            made = {
                name: _network(name, entry["class"], entry["config"])
                for name, entry in state["networks"].items()
            }
        average = checkpoint.tensors("ema") if averaged else {}
        for name, module in made.items():
            own = {key.removeprefix(f"{name}."): v for key, v in average.items()
                   if key.startswith(f"{name}.")}  # fmt: skip
            module.load_state_dict(checkpoint.tensors(name) | own, strict=True)
        found = config or from_dict(state["config"])
        if state["scheduler"] is None:
            return GarmentNetworks(found, **made)
        scheduler, strength = _scheduler(state["scheduler"]), float(state["strength"])
        return Components(found, scheduler=scheduler, strength=strength, **made)
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{checkpoint.folder} cannot be used: {reason}") from error


def restore_training(
    checkpoint: Checkpoint, live: Live, *, process: int, allow_changed: bool
) -> None:
    """Optimiser, average and random generators, after the components.

    Raises:
        CheckpointError: something is missing or does not fit.
    """
    model = zero.inside(live.model)
    try:
        own = {
            f"parts.{name}.{key}": value
            for name in live.names
            for key, value in checkpoint.tensors(name).items()
        }
        average = {f"parts.{name}": value for name, value in checkpoint.tensors("ema").items()}
        loading = StateDictOptions(full_state_dict=True, strict=False)
        set_model_state_dict(model, own | average, options=loading)
        live.average.restart(int(checkpoint.state["average_steps"]))
        set_model_state_dict(model, own, options=loading)
        _restore_optimizer(live, checkpoint.tensors("optimizer"))
    except (KeyError, ValueError, RuntimeError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise CheckpointError(f"{checkpoint.folder} cannot be resumed: {reason}") from error
    try:
        restore_random_state(checkpoint.tensors("rng"), process)
    except CheckpointError:
        if not allow_changed:
            raise


def check_same(checkpoint: Checkpoint, config: TrainConfig, world: int) -> None:
    """Refuse to go on as another run than the one that was started (C-75).

    Raises:
        SettingsError: names the settings that differ.
    """
    # Through the present class: a setting that is newer than the run has its default in it.
    saved, now = _flat(from_dict(checkpoint.state["config"]).as_dict()), _flat(config.as_dict())
    changed = sorted(
        key
        for key in saved.keys() | now.keys()
        if saved.get(key) != now.get(key) and not key.startswith(FREE) and not _longer(key, now)
    )
    problems = [f"{key} ({saved.get(key)} -> {now.get(key)})" for key in changed[:5]]
    if checkpoint.state["world"] != world:
        problems.append(f"the number of processes ({checkpoint.state['world']} -> {world})")
    if problems:
        raise SettingsError(
            f"the run in {checkpoint.folder.parent} was started otherwise: {', '.join(problems)} "
            "changed. Go back, choose another folder with --out, or accept that the result is no "
            "longer reproducible: --allow-changed-config"
        )


def _tensors(components: Networks, live: Live) -> dict[str, dict[str, Tensor]]:
    """Networks, average and optimiser; complete in the first process, the others only help."""
    model = zero.inside(live.model)
    trained = get_model_state_dict(model, options=_FULL)
    own = {name for name, p in model.named_parameters() if p.requires_grad}
    own = {name.removeprefix("module.").removeprefix("parts.") for name in own}
    with live.average.applied():
        averaged = get_model_state_dict(model, options=_FULL)
        averaged = {k.removeprefix("parts."): v.clone() for k, v in averaged.items()}
    state = _optimizer_state(live)
    groups: dict[str, dict[str, Tensor]] = {}
    for name, module in components.networks.items():
        mine = {key.removeprefix(f"parts.{name}."): value for key, value in trained.items()
                if key.startswith(f"parts.{name}.")}  # fmt: skip
        groups[name] = mine or dict(module.state_dict())
    groups["ema"] = {name: value for name, value in averaged.items() if name in own}
    groups["optimizer"] = {
        f"{kind}/{name}": value for name, values in state.items() for kind, value in values.items()
    }
    return groups


def _optimizer_state(live: Live) -> Mapping[str, Mapping[str, Tensor]]:
    bare: Any = _bare(live.optimizer)
    if zero.is_zero(bare):
        return zero.optimizer_state(bare, live.model)
    found: Any = get_optimizer_state_dict(live.model, bare, options=_FULL)
    return found.get("state", {})


def _restore_optimizer(live: Live, tensors: Mapping[str, Tensor]) -> None:
    bare = _bare(live.optimizer)
    state: dict[str, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        kind, _, name = key.partition("/")
        state.setdefault(name, {})[kind] = value
    if zero.is_zero(bare):
        zero.restore_optimizer_state(bare, live.model, state)
        return
    loading = StateDictOptions(full_state_dict=True)
    wanted: Any = get_optimizer_state_dict(live.model, bare, options=loading)
    unknown = set(state) - set(wanted["state"])
    if unknown:
        raise ValueError(f"the optimiser's state of {sorted(unknown)[0]} does not fit")
    # What no loss has asked for yet has no state, and begins with this one.
    for name in set(wanted["state"]) - set(state):
        state[name] = {kind: torch.zeros_like(x) for kind, x in wanted["state"][name].items()}
    wanted["state"] = state
    set_optimizer_state_dict(live.model, bare, wanted, options=loading)


def _bare(optimizer: Any) -> torch.optim.Optimizer:
    """The optimiser inside accelerate's."""
    found: torch.optim.Optimizer = getattr(optimizer, "optimizer", optimizer)
    return found


def _gathered(accelerator: Any, state: dict[str, Tensor]) -> list[dict[str, Tensor]]:
    if accelerator.num_processes == 1:
        return [state]
    from accelerate.utils import gather_object

    found: list[dict[str, Tensor]] = gather_object([state])
    return found


def _network(name: str, cls: str, config: Mapping[str, Any]) -> Any:
    known = {one.__name__: one for one in TRAINED[name]}
    found = known.get(cls) or class_named(name, cls)
    if found is None:
        raise ValueError(f"{name} cannot be a {cls!r:.60}")
    return found(**config)


def _scheduler(entry: Mapping[str, Any]) -> Any:
    if entry["class"] not in SCHEDULERS:
        raise ValueError(f"there is no scheduler {entry['class']!r:.60}")
    return getattr(diffusers, entry["class"]).from_config(entry["config"])


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


def _longer(key: str, now: Mapping[str, Any]) -> bool:
    """A stage's length may change where the rate does not depend on it."""
    stage, _, last = key.rpartition(".")
    return last == "steps" and now.get(f"{stage}.schedule") == "constant"
