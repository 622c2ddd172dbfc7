"""Bounds of a training run's settings, and settings that contradict each other."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from reposedm.errors import SettingsError

if TYPE_CHECKING:
    from training.config import StageConfig, TrainConfig


GARMENT_STAGES: Final = ("parser", "landmarks")
"""Networks of their own, which share nothing with the others: they are trained in runs without."""
FINEST: Final = ("swap", "street")
"""Methods that train the finest grid of a U-Net that is there."""


def check(config: TrainConfig) -> None:
    """Refuse what cannot be trained.

    Raises:
        SettingsError: names the setting, and what it may be.
    """
    diffusion, data, checkpoint = config.diffusion, config.data, config.checkpoint
    for stage in config.plan:
        _check_stage(stage, config.stage(stage))
    if not config.plan:
        raise SettingsError("nothing would be trained: set stages.<stage>.steps above 0")
    others = [stage for stage in config.plan if stage not in GARMENT_STAGES]
    if others and len(others) < len(config.plan):
        raise SettingsError(
            f"{' and '.join(GARMENT_STAGES)} are trained in a run of their own: set "
            f"stages.{others[0]}.steps=0, or theirs"
        )
    _between("data.size", min(data.size), 32, 4096)
    if data.size[0] % 8 or data.size[1] % 8:
        raise SettingsError(f"data.size must be multiples of 8, not {list(data.size)}")
    _between("seed", config.seed, 0, 2**31 - 1)
    _between("data.workers", data.workers, 0, 128)
    _between("data.limit", data.limit, 0, 2**31 - 1)
    _between("data.still", data.still, 0, 1)
    _between("diffusion.dropout_rate", diffusion.dropout_rate, 0, 0.9)
    _between("diffusion.draws", diffusion.draws, 1, 64)
    _between("diffusion.fraction", diffusion.fraction, 0, 1)
    _between("diffusion.vlb_weight", diffusion.vlb_weight, 0, 1000)
    _between("diffusion.alignment_weight", diffusion.alignment_weight, 0, 1000)
    _between("diffusion.power", diffusion.power, 0, 2)
    _between("diffusion.head", diffusion.head, 0, 100)
    _between("diffusion.level_deviation", diffusion.level_deviation, 0, 10)
    _between("checkpoint.every", checkpoint.every, 1, 2**31 - 1)
    _between("checkpoint.keep", checkpoint.keep, 1, 1000)
    _between("checkpoint.part_mib", checkpoint.part_mib, 0, 1 << 20)
    for name, value in dataclasses.asdict(config.log).items():
        _between(f"log.{name}", value, 0, 2**31 - 1)
    for name, value in dataclasses.asdict(config.loss).items():
        _between(f"loss.{name}", value, 0, 1000)
    _between("swap.outside", config.swap.outside, 0.001, 1)
    if config.method in FINEST:
        _check_finest(config)
    _check_diffusion(config)


def _check_stage(name: str, stage: StageConfig) -> None:
    where = f"stages.{name}."
    _between(f"{where}steps", stage.steps, 0, 10**9)
    _between(f"{where}batch", stage.batch, 1, 65536)
    _between(f"{where}accumulate", stage.accumulate, 1, 65536)
    _between(f"{where}learning_rate", stage.learning_rate, 0, 1)
    _between(f"{where}warmup", stage.warmup, 0, stage.steps)
    _between(f"{where}weight_decay", stage.weight_decay, 0, 10)
    _between(f"{where}clip", stage.clip, 0, 1e6)
    _between(f"{where}ema", stage.ema, 0, 0.999999)
    for beta in stage.betas:
        _between(f"{where}betas", beta, 0, 0.999999)


def _check_finest(config: TrainConfig) -> None:
    if config.plan != ("diffusion",) or config.diffusion.joint_alignment or config.diffusion.guided:
        raise SettingsError(
            f"method {config.method} trains the finest grid of reposing's U-Net alone: set "
            "stages.diffusion.steps and no other stage's, diffusion.joint_alignment=false and "
            "diffusion.guided=false"
        )
    if not config.init.pipeline:
        raise SettingsError(
            f"method {config.method} starts from reposing: set init.pipeline to a folder of its "
            "weights, such as assets/weights/reposedm"
        )
    if config.method == "swap" and (config.data.kind != "synthetic" or not config.data.root):
        raise SettingsError(
            "method swap needs people in two outfits: set data.kind=synthetic and data.root to a "
            "folder that python -m training.synthetic render --outfits 2 --products wrote"
        )


def _check_diffusion(config: TrainConfig) -> None:
    diffusion, init = config.diffusion, config.init
    if config.method == "b1" and (config.stages.alignment.steps or diffusion.joint_alignment):
        raise SettingsError(
            "method b1 has no alignment: set stages.alignment.steps=0 and "
            "diffusion.joint_alignment=false"
        )
    if config.method != "full" and diffusion.guided:
        raise SettingsError(
            f"method {config.method} has no interaction field: set diffusion.guided=false"
        )
    if diffusion.kept and (diffusion.joint_alignment or diffusion.guided):
        raise SettingsError(
            "diffusion.kept holds what a frozen alignment says, and no true pictures: it needs "
            "diffusion.joint_alignment=false and diffusion.guided=false"
        )
    if init.baseline and (
        init.pipeline or config.method == "b1" or not config.models.unet.get("source_context")
    ):
        raise SettingsError(
            "init.baseline is where a network that adds alignment to B1 begins: it needs "
            "models.unet.source_context=true, another method than b1, and no init.pipeline"
        )
    if "diffusion" not in config.plan or init.pipeline:
        return
    variance = config.models.unet.get("learn_variance", True)
    if bool(variance) != (diffusion.vlb_weight > 0):
        raise SettingsError(
            "diffusion.vlb_weight trains the variance of models.unet.learn_variance: "
            f"both or neither, not {diffusion.vlb_weight:g} and {variance}"
        )
    if config.prediction == "flow_prediction" and variance:
        raise SettingsError("a flow has no variance to learn: set models.unet.learn_variance=false")
    needed = {"autoencoder": True, "estimator": config.method == "full"}
    needed["alignment"] = config.method != "b1" and not diffusion.joint_alignment
    for name, wanted in needed.items():
        if wanted and name not in config.plan and not getattr(init, name):
            raise SettingsError(
                f"the diffusion stage needs a trained {name}: give its folder, init.{name}=FOLDER, "
                f"or train it first, stages.{name}.steps=STEPS"
            )


def _between(key: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:  # NaN, too
        raise SettingsError(f"{key} must be in {low:g}..{high:g}, not {value:g}")
