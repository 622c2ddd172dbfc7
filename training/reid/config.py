"""What an experiment is: frozen dataclasses, filled from YAML."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from reposedm.errors import SettingsError
from reposedm.models.reid import BACKBONES
from training.filling import fill, nearest, plain

CONFIGS: Final = Path(__file__).parent / "configs"
Arm = Literal["real", "repeated", "generated", "oracle"]
ARMS: Final = ("real", "repeated", "generated", "oracle")


@dataclass(frozen=True)
class NetworkConfig:
    """The model.

    Attributes:
        backbone: of ``reposedm.models.reid.BACKBONES``.
        size: (H, W) that pictures are resized to.
        weights: "": random; "imagenet": torchvision's, which ``python -m training.metric_weights
            resnet50`` fetches (of resnet50 alone).
    """

    backbone: str = "resnet50"
    size: tuple[int, int] = (256, 128)
    weights: Literal["", "imagenet"] = ""


@dataclass(frozen=True)
class RecipeConfig:
    """How it is trained; the defaults are BoT's.

    Attributes:
        epochs: passes over the pictures; see ``plan.steps`` for what that means for an arm.
        people: P, identities in a batch.
        each: K, pictures of each.
        learning_rate: of Adam, after the warm-up.
        warmup: share of the steps over which the rate rises from a hundredth.
        drops: shares of the steps after which the rate falls to a tenth.
        weight_decay: of Adam.
        smoothing: of the labels.
        margin: of the triplet loss.
        center: weight of the centre loss.
        flip: share of pictures mirrored.
        pad: pixels a picture is padded with on each side before a random crop.
        erase: share of pictures with a rectangle erased.
    """

    epochs: int = 120
    people: int = 16
    each: int = 4
    learning_rate: float = 3.5e-4
    warmup: float = 10 / 120
    drops: tuple[float, ...] = (40 / 120, 70 / 120)
    weight_decay: float = 5e-4
    smoothing: float = 0.1
    margin: float = 0.3
    center: float = 5e-4
    flip: float = 0.5
    pad: int = 10
    erase: float = 0.5


@dataclass(frozen=True)
class ProtocolConfig:
    """What is compared.

    Attributes:
        arms: of ``ARMS``: "real" the kept pictures for their own number of steps; "repeated" the
            same for as many steps as with generated ones; "generated" with those of ``method``;
            "oracle" with the renderer's pictures of the same draws (synthetic sets only).
        fractions: of the training pictures kept, per cent.
        seeds: of everything that is drawn.
        fit: how a donor's pose gets onto the source's picture: "body": with the source's bone
            lengths and place; "as-is": scaled to its size.
        donors: whose poses: "any" identity's kept pictures, or the "same" identity's.
    """

    arms: tuple[Arm, ...] = ("real", "repeated", "generated")
    fractions: tuple[int, ...] = (20, 40, 60, 80)
    seeds: tuple[int, ...] = (0, 1, 2)
    fit: Literal["body", "as-is"] = "body"
    donors: Literal["any", "same"] = "any"


@dataclass(frozen=True)
class ReidConfig:
    """An experiment.

    Raises:
        SettingsError: values that make none.
    """

    network: NetworkConfig = NetworkConfig()
    recipe: RecipeConfig = RecipeConfig()
    protocol: ProtocolConfig = ProtocolConfig()

    def __post_init__(self) -> None:
        """Check."""
        network, recipe, protocol = self.network, self.recipe, self.protocol
        if network.backbone not in BACKBONES:
            raise SettingsError(
                f"there is no backbone {network.backbone!r:.40}: "
                f"{nearest(network.backbone, BACKBONES)}"
            )
        if network.weights and network.backbone != "resnet50":
            raise SettingsError(f"there are no ImageNet weights of {network.backbone} here")
        if min(recipe.epochs, recipe.learning_rate) <= 0 or min(recipe.people, recipe.each) < 2:
            raise SettingsError(
                "training needs epochs, a learning rate, and batches of at least 2 people with at "
                "least 2 pictures each (the triplet loss compares)"
            )
        if not (protocol.arms and protocol.fractions and protocol.seeds):
            raise SettingsError("an experiment needs at least one arm, one fraction and one seed")
        if not all(1 <= fraction <= 100 for fraction in protocol.fractions):
            raise SettingsError(f"fractions are per cent, 1 to 100, not {protocol.fractions}")

    def record(self) -> dict[str, Any]:
        """JSON values."""
        return {key: plain(value) for key, value in dataclasses.asdict(self).items()}

    def digest(self) -> str:
        """Of network and recipe: what a finished run must share to be taken for one of these."""
        kept = {key: self.record()[key] for key in ("network", "recipe")}
        protocol = {key: self.record()["protocol"][key] for key in ("fit", "donors")}
        return hashlib.sha256(json.dumps([kept, protocol], sort_keys=True).encode()).hexdigest()


def read_config(name: str) -> ReidConfig:
    """A configuration by its name in ``configs``, or a file's.

    Raises:
        SettingsError: there is none, or a setting is unknown or impossible.
    """
    import yaml

    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        path = CONFIGS / f"{name}.yaml"
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (OSError, yaml.YAMLError) as error:
        known = ", ".join(sorted(file.stem for file in CONFIGS.glob("*.yaml")))
        raise SettingsError(
            f"the configuration {name!r:.100} cannot be read ({error!s:.200}): there are {known}, "
            "or name a .yaml file"
        ) from error
    content = {} if content is None else content
    if not isinstance(content, Mapping):
        raise SettingsError(f"{path} must hold settings")
    config: ReidConfig = fill(ReidConfig, content)
    return config
