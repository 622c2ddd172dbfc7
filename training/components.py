"""The networks of a run: built from its configuration, frozen and trained by stage, exported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from reposedm.errors import SettingsError, WeightsError
from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.autoencoder_adapters import as_autoencoder
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.finest import finest_prefixes
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.landmarks import GarmentLandmarks
from reposedm.models.parser import GarmentParser
from reposedm.models.pose_encoder import PoseEncoder
from reposedm.models.unet import UNet
from reposedm.pipelines.baselines import PIDMPipeline
from reposedm.pipelines.reposedm import RePoseDMPipeline
from reposedm.pipelines.street import StreetPipeline
from reposedm.pipelines.swap import GarmentSwapPipeline
from reposedm.pipelines.weights import NETWORKS, load_component, load_pipeline, network_class
from training.baseline import continue_unet
from training.checks import FINEST, GARMENT_STAGES
from training.config import StageName, TrainConfig, nearest

TRAIN_TIMESTEPS: Final = 1000
TRAINED: Final[dict[str, tuple[type[Any], ...]]] = NETWORKS | {
    "parser": (GarmentParser,),
    "landmarks": (GarmentLandmarks,),
}
"""Every network that is trained, and the classes that it can have."""

# The finer levels of the alignment's encoder are read by the U-Net alone: only its loss can train
# them, and does so even where alignment itself stays as it is.
_FINER: Final = "alignment.encoder.down."


@dataclass
class Networks:
    """Networks of a run by name: what the trainer itself knows of them.

    Attributes:
        config: of the run.
        scheduler: the forward process; None where nothing is diffused.
        strength: lambda of Eq. (15); 0 until it is calibrated.
    """

    config: TrainConfig
    scheduler: Any = None
    strength: float = 0.0

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks that are there, by name."""
        found = {name: getattr(self, name, None) for name in TRAINED}
        return {name: module for name, module in found.items() if module is not None}

    def prepare(self, stage: StageName) -> nn.ModuleDict:
        """Freeze everything but what a stage trains; returns the networks with trained parts."""
        prefixes = _trained(stage, self.config, self.networks)
        found = nn.ModuleDict()
        for name, module in self.networks.items():
            for key, parameter in module.named_parameters():
                full = f"{name}.{key}"
                trained = any(full.startswith(prefix) for prefix in prefixes)
                if stage == "alignment" and full.startswith(_FINER):
                    trained = False
                parameter.requires_grad_(trained)
            some = any(parameter.requires_grad for parameter in module.parameters())
            module.train(some)
            if some:
                found[name] = module
        if not found:
            raise SettingsError(
                f"stage {stage} has nothing to train with method {self.config.method}"
            )
        return found

    def to(self, device: Any) -> None:
        """Move every network; channels last, in which convolutions are faster on a CPU."""
        for module in self.networks.values():
            module.to(device=device, memory_format=torch.channels_last)


@dataclass(kw_only=True)
class GarmentNetworks(Networks):
    """The networks that look at garments, those of the run.

    Attributes:
        parser: ``GarmentParser``.
        landmarks: ``GarmentLandmarks``.
    """

    parser: nn.Module | None = None
    landmarks: nn.Module | None = None


@dataclass(kw_only=True)
class Components(Networks):
    """Everything a step needs; attributes have the names of the pipelines' components.

    Attributes:
        autoencoder: ``Autoencoder``, or one of diffusers'.
        pose_encoder: ``PoseEncoder``.
        unet: ``UNet``.
        alignment: ``RecurrentPoseAlignment``; None for b1.
        encoder: ``PhotoEncoder``; b1, and where the U-Net has ``source_context``.
        estimator: ``HigherHRNet``; full only, or if it is to be trained.
    """

    autoencoder: nn.Module
    pose_encoder: nn.Module
    unet: nn.Module
    alignment: nn.Module | None = None
    encoder: nn.Module | None = None
    estimator: nn.Module | None = None

    def pipeline(self) -> RePoseDMPipeline | PIDMPipeline | GarmentSwapPipeline:
        """The pipeline of these networks; it shares them, and puts them into evaluation mode."""
        for module in self.networks.values():
            module.eval()
        height, width = self.config.data.size
        settings: dict[str, Any] = {
            "native_size": (width, height),
            "steps": max(1, self.config.log.sample_steps),
        }
        parts = (self.pose_encoder, self.unet, self.scheduler)
        if self.config.method in FINEST:
            cls = GarmentSwapPipeline if self.config.method == "swap" else StreetPipeline
            return cls(self.autoencoder, self.alignment, *parts, encoder=self.encoder, **settings)
        settings["separate_guidance"] = self.config.diffusion.dropout == "separate"
        if self.config.method == "b1":
            return PIDMPipeline(self.autoencoder, self.encoder, *parts, **settings)
        estimator = self.estimator if self.config.method == "full" and self.strength else None
        return RePoseDMPipeline(
            self.autoencoder,
            self.alignment,
            *parts,
            estimator=estimator,
            encoder=self.encoder,
            pose_guidance_strength=self.strength,
            **settings,
        )


def build(config: TrainConfig) -> Networks:
    """The networks of a configuration: read from ``init``'s folders, else with random weights.

    Raises:
        SettingsError: an argument that a network does not have.
        WeightsError: a folder of ``init`` that cannot be used.
    """
    if config.plan[0] in GARMENT_STAGES:
        return GarmentNetworks(
            config,
            **{name: _make(name, TRAINED[name][0], getattr(config.models, name))
               for name in config.plan},
        )  # fmt: skip
    return build_pipeline(config)


def build_pipeline(config: TrainConfig) -> Components:
    """The networks of a pipeline; see ``build``."""
    given, strength = _given(config)
    baseline = given.pop("baseline", None)
    scheduler = given.pop("scheduler", None) or make_scheduler(config.prediction)
    wanted = config.models

    def network(name: str, cls: type[Any], **derived: Any) -> Any:
        return given.get(name) or _make(name, cls, derived | getattr(wanted, name))

    parts: dict[str, Any] = {"autoencoder": network("autoencoder", Autoencoder)}
    latent = as_autoencoder(parts["autoencoder"]).latent_channels
    photo: Any
    if config.method == "b1":
        photo = parts["encoder"] = network("encoder", PhotoEncoder)
    else:
        photo = parts["alignment"] = network(
            "alignment", RecurrentPoseAlignment, latent_channels=latent
        )
        if getattr(given.get("unet"), "config", wanted.unet).get("source_context"):
            fitting = {"features": photo.config.features, "levels": photo.config.levels}
            parts["encoder"] = network("encoder", PhotoEncoder, **fitting)
    if wanted.pose_encoder.get("pose_representation") == "map_latent":
        parts["pose_encoder"] = network(
            "pose_encoder", PoseEncoder, in_channels=latent, channels=latent
        )
    else:
        parts["pose_encoder"] = network("pose_encoder", PoseEncoder)
    parts["unet"] = network(
        "unet",
        UNet,
        latent_channels=latent,
        pose_channels=parts["pose_encoder"].config.channels,
        context_dims=(photo.config.features,) * photo.config.levels,
    )
    if baseline is not None:
        continue_unet(parts["unet"], baseline)
    if config.method == "full" or config.stages.estimator.steps:
        parts["estimator"] = network("estimator", HigherHRNet)
    made = Components(config, scheduler=scheduler, strength=strength, **parts)
    made.pipeline()  # refuses networks that do not fit, before hours go into them
    return made


def make_scheduler(prediction: str) -> Any:
    """The forward process: the paper's linear betas 1e-4 .. 2e-2, T = 1000, or a straight flow."""
    from diffusers import DDPMScheduler, FlowMatchEulerDiscreteScheduler

    if prediction == "flow_prediction":
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=TRAIN_TIMESTEPS)
    return DDPMScheduler(
        num_train_timesteps=TRAIN_TIMESTEPS,
        beta_start=1e-4,
        beta_end=2e-2,
        beta_schedule="linear",
        prediction_type=prediction,
        clip_sample=False,
        timestep_spacing="trailing",
    )


def load_network(name: str, folder: str | Path) -> nn.Module:
    """One network of a component's name from its folder, strictly.

    Raises:
        WeightsError: the folder holds no such network.
    """
    network: nn.Module = load_component(network_class(name, folder), folder)
    return network


def _given(config: TrainConfig) -> tuple[dict[str, Any], float]:
    """What ``init`` names, and lambda of a whole pipeline."""
    given: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    if config.init.pipeline:
        cls = PIDMPipeline if config.method == "b1" else RePoseDMPipeline
        given, settings = load_pipeline(cls, config.init.pipeline)
    elif config.init.baseline:
        b1, _ = load_pipeline(PIDMPipeline, config.init.baseline)
        given = {name: b1[name] for name in ("encoder", "pose_encoder")}
        given["baseline"] = b1["unet"]
    for name in ("autoencoder", "estimator", "alignment"):
        folder = getattr(config.init, name)
        if folder:
            given[name] = load_network(name, folder)
    found = {name: value for name, value in given.items() if value is not None}
    return found, float(settings.get("pose_guidance_strength", 0.0))


def _make(name: str, cls: type[Any], settings: Mapping[str, Any]) -> Any:
    """A network with random weights; derived settings yield to those of its preset's signature."""
    arguments = dict(settings)
    preset = arguments.pop("preset", "")
    known = set(inspect.signature(cls.__init__).parameters) - {"self"}
    maker: Callable[..., Any] = cls
    if preset:
        presets = [key for key in ("tiny", "small", "large", "paper") if hasattr(cls, key)]
        if preset not in presets:
            raise SettingsError(
                f"models.{name}.preset {preset!r:.40} is unknown: {nearest(str(preset), presets)}"
            )
        maker = getattr(cls, preset)
        takes = inspect.signature(maker).parameters
        if not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in takes.values()):
            known = set(takes)
    for key in arguments:
        if key not in known:
            raise SettingsError(f"unknown setting models.{name}.{key}: {nearest(key, [*known])}")
    try:
        return maker(**arguments)
    except WeightsError as error:
        raise SettingsError(f"models.{name}: {error}") from error


def _trained(
    stage: StageName, config: TrainConfig, networks: Mapping[str, nn.Module]
) -> tuple[str, ...]:
    """Prefixes of the parameters that a stage trains."""
    if stage == "prior":
        return ("alignment.prior.",)
    if stage != "diffusion":
        return (f"{stage}.",)
    if config.method in FINEST:
        return tuple(f"unet.{prefix}" for prefix in finest_prefixes(networks["unet"]))
    joint = "alignment." if config.diffusion.joint_alignment else _FINER
    return ("unet.", "pose_encoder.", "encoder.", joint)
