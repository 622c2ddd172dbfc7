"""What a training run is: frozen dataclasses; YAML files only fill them.

method, data, models        what is trained on what
init                        where networks that are trained already come from
stages                      autoencoder -> estimator -> prior -> alignment -> diffusion;
                            or the garment networks: parser, landmarks
diffusion                   what the last stage's loss consists of
checkpoint, log             when something is written
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from reposedm.errors import SettingsError
from training.checks import check
from training.filling import fill, nearest, plain

CONFIGS: Final = Path(__file__).parent / "configs"
STAGES: Final = (
    "autoencoder", "estimator", "prior", "alignment", "diffusion", "parser", "landmarks",
)  # fmt: skip
StageName = Literal[
    "autoencoder", "estimator", "prior", "alignment", "diffusion", "parser", "landmarks"
]


@dataclass(frozen=True)
class DataConfig:
    """Which pairs.

    Attributes:
        kind: of data set, as ``training.data.open_dataset`` knows it.
        root: its folder; "" for kinds that need none.
        split: trained on.
        validation: the split of the validation loss and the sample pictures.
        size: (H, W) trained at.
        workers: processes that load, per training process; 0: none, load in between.
        limit: use only so many pairs, the first; 0: all.
        still: part of the training pairs whose photo is the target itself. Between random views no
            warp is ever exact; a user who drags one joint leaves all else where it was, and a
            network that has never seen that makes it anew.
    """

    kind: str = "drawn"
    root: str = ""
    split: str = "train"
    validation: str = "test"
    size: tuple[int, int] = (256, 176)
    workers: int = 4
    limit: int = 0
    still: float = 0.0


@dataclass(frozen=True)
class ModelsConfig:
    """The networks: arguments of their constructors, over those of ``preset`` (a classmethod)."""

    autoencoder: Mapping[str, Any] = field(default_factory=dict)
    estimator: Mapping[str, Any] = field(default_factory=dict)
    alignment: Mapping[str, Any] = field(default_factory=dict)
    encoder: Mapping[str, Any] = field(default_factory=dict)
    pose_encoder: Mapping[str, Any] = field(default_factory=dict)
    unet: Mapping[str, Any] = field(default_factory=dict)
    parser: Mapping[str, Any] = field(default_factory=dict)
    landmarks: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class InitConfig:
    """Folders that networks come from; "": random weights.

    Attributes:
        pipeline: gives all it has.
        baseline: weights of B1, which a U-Net with ``source_context``, its encoder and the pose
            encoder begin with: what is left to learn is what alignment adds.
        autoencoder: gives this network alone, as all that follow.
        estimator: see there.
        alignment: see there.
    """

    pipeline: str = ""
    baseline: str = ""
    autoencoder: str = ""
    estimator: str = ""
    alignment: str = ""


@dataclass(frozen=True)
class StageConfig:
    """How one stage is optimised.

    Attributes:
        steps: of the optimiser; 0: the stage is left out.
        batch: samples a process and a forward pass.
        accumulate: forward passes a step.
        learning_rate: of AdamW, after the warm-up.
        schedule: "constant", or "cosine" down to zero at the last step.
        warmup: steps over which the rate rises linearly from zero.
        betas: of AdamW.
        weight_decay: of AdamW.
        clip: largest norm of all gradients together; 0: no limit.
        ema: decay of the moving average of the weights, which is what is used afterwards; it warms
            up, (1 + step) / (10 + step).
    """

    steps: int = 0
    batch: int = 8
    accumulate: int = 1
    learning_rate: float = 1e-4
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: int = 0
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.9999

    def rate(self, step: int) -> float:
        """The learning rate of a step, which depends on its number alone."""
        rate = self.learning_rate
        if step < self.warmup:
            rate *= (step + 1) / self.warmup
        if self.schedule == "cosine":
            rate *= 0.5 * (1 + math.cos(math.pi * step / self.steps))
        return rate


@dataclass(frozen=True)
class StagesConfig:
    """The stages, in order."""

    autoencoder: StageConfig = StageConfig()
    estimator: StageConfig = StageConfig()
    prior: StageConfig = StageConfig()
    alignment: StageConfig = StageConfig()
    diffusion: StageConfig = StageConfig()
    parser: StageConfig = StageConfig()
    landmarks: StageConfig = StageConfig()


@dataclass(frozen=True)
class LossConfig:
    """Weights inside the losses of the first three stages.

    Attributes:
        edges: of the autoencoder's loss on differences between neighbouring pixels, over L1.
        latent: of the autoencoder's mean squared raw latent: keeps its scale finite.
        autoencoder_crop: the autoencoder sees squares of this side, in pixels; 0: whole pictures.
        flow_growth: an iteration's flow error weighs this times that of the next one.
        visibility: of the cross entropy of the visibility, over the flow error in cells.
        photometric: of the difference between the warped photo and the target, over the same.
    """

    edges: float = 1.0
    latent: float = 1e-4
    autoencoder_crop: int = 0
    flow_growth: float = 0.8
    visibility: float = 0.2
    photometric: float = 1.0


@dataclass(frozen=True)
class DiffusionConfig:
    """What the diffusion stage minimises.

    Attributes:
        guided: L_mse on the guided noise, Eq. (3) and (15); off: on the plain noise.
        paper_interaction: Eq. (10)-(11) to the letter, on backbone features of the true picture.
        fraction: of the noise's norm that the gradient of scale 1 adds; lambda follows from it.
        vlb_weight: of L_vlb in Eq. (4); 0 exactly where the U-Net has no variance.
        dropout: "joint": pose and photo are dropped together; "separate": in equal parts both, the
            photo alone, the pose alone.
        dropout_rate: the part of the samples that loses a condition.
        draws: noises (with a level and a dropout each) of every sample in a step: the photo is
            aligned and encoded once for all of them.
        kept: folders of ``python -m training.kept``: samples as the frozen networks see them, in
            the place of the data set; none: they are asked in every step.
        joint_alignment: train alignment (RPA) along with the U-Net.
        alignment_weight: of alignment's own loss then.
        power: latents' channels weigh as this power of their deviation before it was made 1. 0: all
            the same, as in Eq. (3); 2: about as the error of the picture's pixels. Between them
            shape and colour come before texture, and texture still comes.
        head: weight of the cells of the target's head in the loss, others have 1: few cells, and
            what people look at first.
        levels: how timesteps are drawn: "uniform", or as T sigmoid(N(level_mean, level_deviation)),
            "logit-normal"; "auto": the latter for flows. A small network with little training
            gains from much noise, where the photo and the pose say it all: it then makes its
            pictures in few steps.
        level_mean: see there.
        level_deviation: see there.
    """

    guided: bool = True
    paper_interaction: bool = False
    fraction: float = 0.05
    vlb_weight: float = 1.0
    dropout: Literal["joint", "separate"] = "joint"
    dropout_rate: float = 0.1
    draws: int = 1
    kept: tuple[str, ...] = ()
    joint_alignment: bool = False
    alignment_weight: float = 0.1
    power: float = 0.0
    head: float = 1.0
    levels: Literal["auto", "uniform", "logit-normal"] = "auto"
    level_mean: float = 0.3
    level_deviation: float = 1.2


@dataclass(frozen=True)
class SwapConfig:
    """Method "swap" alone.

    Attributes:
        outside: weight of cells outside of the mask in the loss; those inside have 1.
    """

    outside: float = 0.05


@dataclass(frozen=True)
class CheckpointConfig:
    """Steps between checkpoints, how many stay, and the largest file in MiB (0: no limit)."""

    every: int = 1000
    keep: int = 2
    part_mib: int = 0


@dataclass(frozen=True)
class LogConfig:
    """Every how many steps something is said; 0: never."""

    every: int = 50
    validate_every: int = 1000
    validate_batches: int = 4
    samples_every: int = 5000
    samples: int = 4
    sample_steps: int = 20


@dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes:
        method: "full" is RePoseDM; "b2" has no interaction field; "b1" a plain photo encoder in the
            place of alignment, too. "swap", the garment swap, and "street", for small pictures of
            surveillance cameras, train the finest grid of the U-Net of ``init.pipeline``.
        precision: "auto": bf16 where the hardware multiplies it.
        out: folder of the run.
    """

    method: Literal["full", "b2", "b1", "swap", "street"] = "full"
    out: str = "runs/reposedm"
    seed: int = 0
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    data: DataConfig = DataConfig()
    models: ModelsConfig = ModelsConfig()
    init: InitConfig = InitConfig()
    stages: StagesConfig = StagesConfig()
    loss: LossConfig = LossConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    swap: SwapConfig = SwapConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    log: LogConfig = LogConfig()

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        check(self)

    def stage(self, name: StageName) -> StageConfig:
        """The settings of a stage."""
        found: StageConfig = getattr(self.stages, name)
        return found

    @property
    def plan(self) -> tuple[StageName, ...]:
        """The stages that are trained, in order."""
        return tuple(name for name in STAGES if self.stage(name).steps > 0)  # type: ignore[misc]

    @property
    def prediction(self) -> str:
        """What the U-Net predicts."""
        return str(self.models.unet.get("prediction", "epsilon"))

    def as_dict(self) -> dict[str, Any]:
        """JSON values; ``from_dict`` reads them."""
        return plain(dataclasses.asdict(self))


def load_config(name: str | Path, overrides: Sequence[str] = ()) -> TrainConfig:
    """A configuration from a YAML file.

    A file may start from another one of ``configs/`` with ``base: NAME`` and say what differs.

    Args:
        name: of a file in ``configs/`` (without ``.yaml``), or a path.
        overrides: ``key=value`` each, such as ``stages.diffusion.steps=100``; values are YAML.

    Raises:
        SettingsError: no such file, not YAML, an unknown key (the nearest is named), a value of the
            wrong kind, or settings that contradict each other.
    """
    values = _read(name)
    for override in overrides:
        key, found, value = override.partition("=")
        if not found or not key:
            raise SettingsError(f"write settings as key=value, not {override!r:.80}")
        _put(values, key.split("."), _yaml(value, f"the value of {key}"))
    return from_dict(values)


def from_dict(values: Mapping[str, Any]) -> TrainConfig:
    """A configuration from nested mappings.

    Raises:
        SettingsError: as ``load_config``.
    """
    made: TrainConfig = fill(TrainConfig, values)
    return made


def config_names() -> list[str]:
    """The configurations that come with the program."""
    return sorted(file.stem for file in CONFIGS.glob("*.yaml"))


def _read(name: str | Path, depth: int = 0) -> dict[str, Any]:
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIGS / f"{name}.yaml"
        if str(name) not in config_names():
            hint = nearest(str(name), config_names())
            raise SettingsError(f"there is no configuration {str(name)!r:.80}: {hint}")
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    values = _yaml(text, str(path))
    if not isinstance(values, dict):
        raise SettingsError(f"{path} must hold settings, key: value, one a line")
    base = values.pop("base", None)
    if base is None:
        return values
    if depth > 3 or not isinstance(base, str):
        raise SettingsError(f"{path}: base must name one configuration, and not go in circles")
    return _merged(_read(base, depth + 1), values)


def _yaml(text: str, what: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SettingsError(f"{what} is not YAML: {' '.join(str(error).split())[:200]}") from error


def _merged(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        both = isinstance(old, dict) and isinstance(value, dict)
        merged[key] = _merged(old, value) if both else value  # type: ignore[arg-type]
    return merged


def _put(values: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise SettingsError(f"{key} is one value and holds no {keys[-1]!r}")
        values = inner
    values[keys[-1]] = value
