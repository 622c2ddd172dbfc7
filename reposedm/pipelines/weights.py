"""Whole pipelines on disk: strict loading, saving with hashes, and publishing.

``model_index.json`` names a class for every component; here those names are only compared with the
ones below and never looked up anywhere.
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import diffusers
from diffusers import AutoencoderKL, AutoencoderTiny
from torch import nn

from reposedm.errors import RePoseError, WeightsError
from reposedm.models.alignment import RecurrentPoseAlignment
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.finest import FinestGrid
from reposedm.models.higherhrnet import HigherHRNet
from reposedm.models.pose_encoder import PoseEncoder
from reposedm.models.safe import load_safetensors_strict
from reposedm.models.unet import UNet
from reposedm.weights import (
    CONFIG,
    INDEX,
    WEIGHTS,
    check_folder,
    check_manifest,
    read_json,
    write_manifest,
)

Model = TypeVar("Model", bound=nn.Module)

SCHEDULER: Final = "scheduler/scheduler_config.json"

NETWORKS: Final[dict[str, tuple[type[Any], ...]]] = {
    "autoencoder": (Autoencoder, AutoencoderKL, AutoencoderTiny),
    "alignment": (RecurrentPoseAlignment,),
    "encoder": (PhotoEncoder,),
    "pose_encoder": (PoseEncoder,),
    "unet": (UNet,),
    "finest": (FinestGrid,),
    "estimator": (HigherHRNet,),
}
"""Every class a component of this name can have. Module paths are public: weights name them."""

SCHEDULERS: Final = ("DDPMScheduler", "FlowMatchEulerDiscreteScheduler")

_MAX_TRAIN_STEPS: Final = 10_000


def load_component(cls: type[Model], folder: str | os.PathLike[str]) -> Model:
    """One network from its folder, strictly: ``models.safe.load_safetensors_strict``."""
    return load_safetensors_strict(cls, folder)


def network_class(name: str, folder: str | os.PathLike[str]) -> type[Any]:
    """The class that a component's folder says it holds, of those that the component can have.

    Raises:
        WeightsError: the folder holds no such network.
    """
    found = read_json(Path(folder).expanduser() / CONFIG).get("_class_name")
    for cls in NETWORKS[name]:
        if cls.__name__ == found:
            return cls
    wanted = " or ".join(cls.__name__ for cls in NETWORKS[name])
    raise WeightsError(f"{folder} holds {found!r:.60}, and {name} must be {wanted}")


def fingerprint(network: nn.Module, *, without: tuple[str, ...] = ()) -> str:
    """SHA-256 of a network's tensors, rounded to 16 bits: the same however they are stored.

    Tensors whose names begin as one of ``without`` do not count.
    """
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        if name.startswith(without):
            continue
        digest.update(f"{name} {tuple(value.shape)} ".encode())
        rounded = value.detach().cpu().half() if value.is_floating_point() else value.cpu()
        digest.update(rounded.contiguous().numpy().tobytes())
    return digest.hexdigest()


def load_pipeline(
    cls: type[Any], folder: str | os.PathLike[str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Components and settings of a pipeline, for its constructor.

    Args:
        cls: a ``DiffusionPipeline``; the folder must hold exactly this class.
        folder: absolute, relative or with ``~``.

    Returns:
        (components by name, settings by name).

    Raises:
        WeightsError: anything absent, damaged, changed, unexpected, or code beside the weights.
    """
    path = check_folder(folder)
    planted = sorted(file.name for file in path.rglob("*.py"))
    if planted:
        raise WeightsError(f"{path} holds code ({planted[0]:.60}): weights are data alone.")
    index = read_json(path / INDEX)
    check_manifest(path, (INDEX, SCHEDULER))
    if index.get("_class_name") != cls.__name__:
        raise WeightsError(
            f"{path / INDEX} is for {index.get('_class_name')!r:.60}, not for {cls.__name__}."
        )
    required, optional = _names_of(cls)
    settings = {name: value for name, value in index.items() if not name.startswith("_")}
    components: dict[str, Any] = {}
    for name in (*required, *optional):
        entry = settings.pop(name, None)
        if name == "scheduler":
            components[name] = _load_scheduler(path, entry)
        elif entry in (None, [None, None]) and name in optional:
            components[name] = None
        else:
            components[name] = load_component(_class_of(name, entry, path), path / name)
    known = set(cls._get_signature_keys(cls)[1]) - set(optional)
    unknown = sorted(set(settings) - known)
    if unknown:
        raise WeightsError(f"{path / INDEX}: {cls.__name__} has nothing called {unknown[0]!r:.60}.")
    return components, settings


def save_pipeline(pipeline: Any, save: Callable[..., None], folder: str | os.PathLike[str]) -> Path:
    """Write a pipeline, each network in a folder of its own, and manifests with SHA-256.

    Args:
        pipeline: a ``DiffusionPipeline``.
        save: the library's own ``save_pretrained``, bound to it.
        folder: made if it does not exist.

    Returns:
        The folder.

    Raises:
        WeightsError: it cannot be written.
    """
    path = Path(folder).expanduser()
    try:
        save(path, safe_serialization=True, max_shard_size="1000GB")
        for name, component in pipeline.components.items():
            if isinstance(component, nn.Module):
                write_manifest(path / name, (CONFIG, WEIGHTS), {"class": type(component).__name__})
        write_manifest(path, (INDEX, SCHEDULER), {"class": type(pipeline).__name__})
    except OSError as error:
        raise WeightsError(f"{path} cannot be written: {error.strerror or error}.") from error
    return path


def push(
    pipeline: Any,
    repo_id: str,
    *,
    private: bool = True,
    token: str | None = None,
    message: str = "Upload weights",
    folder: str | os.PathLike[str] | None = None,
) -> str:
    """Upload a pipeline to the Hugging Face hub, after it was built and read back strictly.

    Args:
        pipeline: with ``save_pretrained`` and ``from_pretrained``.
        repo_id: "name/of-repository"; made if it does not exist.
        private: of a new repository.
        token: None: the one of ``hf auth login``.
        message: of the commit.
        folder: where to build it; it stays there. None: a temporary one.

    Returns:
        The address of the commit.

    Raises:
        WeightsError: no network, no right to write there, or not a name of a repository.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HFValidationError

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(folder).expanduser() if folder is not None else Path(temporary) / "weights"
        pipeline.save_pretrained(path)
        type(pipeline).from_pretrained(path)
        api = HfApi(token=token)
        try:
            made = api.create_repo(repo_id, private=private, exist_ok=True)
            commit = api.upload_folder(
                repo_id=made.repo_id, folder_path=path, commit_message=message
            )
        except HFValidationError as error:
            raise WeightsError(f"{repo_id!r:.100} is not the name of a repository.") from error
        except RePoseError:
            raise
        except Exception as error:  # httpx, OSError, hub errors: the hub's client has many
            kept = f" The weights are in {path}." if folder is not None else ""
            reason = str(error).strip().split("\n")[0][:200] or type(error).__name__
            raise WeightsError(
                f"The upload to {repo_id} failed: {reason}. Check the network, and log in with "
                f"`hf auth login`.{kept}"
            ) from error
    return str(commit.commit_url)


def _names_of(cls: type[Any]) -> tuple[list[str], list[str]]:
    """Components that a pipeline must have, and those it may have."""
    optional = list(cls._optional_components)
    required = [name for name in cls._get_signature_keys(cls)[0] if name not in optional]
    return sorted(required), sorted(optional)


def _class_of(name: str, entry: Any, path: Path) -> type[Any]:
    """The class that ``model_index.json`` names, if it is one that this component can have."""
    known = NETWORKS.get(name, ())
    for one in known:
        library = "diffusers" if one.__module__.startswith("diffusers.") else one.__module__
        if entry == [library, one.__name__]:
            return one
    wanted = " or ".join(one.__name__ for one in known)
    raise WeightsError(f"{path / INDEX}: {name} must be {wanted}, not {entry!r:.80}.")


def _load_scheduler(path: Path, entry: Any) -> Any:
    """The scheduler of the training, from a configuration with nothing unknown in it."""
    if not (
        isinstance(entry, list)
        and len(entry) == 2
        and entry[0] == "diffusers"
        and entry[1] in SCHEDULERS
    ):
        raise WeightsError(
            f"{path / INDEX}: scheduler must be {' or '.join(SCHEDULERS)}, not {entry!r:.80}."
        )
    file = path / SCHEDULER
    config = read_json(file)
    cls = getattr(diffusers, entry[1])
    known = set(cls._get_init_keys(cls))
    for name, value in config.items():
        if name.startswith("_"):
            continue
        if name not in known:
            raise WeightsError(f"{file}: {entry[1]} has no setting {name!r:.60}.")
        if isinstance(value, (int, float)) and not math.isfinite(value):
            raise WeightsError(f"{file}: {name} must be finite.")
    if config.get("_class_name") != entry[1]:
        raise WeightsError(f"{file} is for {config.get('_class_name')!r:.60}, not {entry[1]}.")
    steps = config.get("num_train_timesteps", 1000)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= _MAX_TRAIN_STEPS:
        raise WeightsError(f"{file}: num_train_timesteps must be in 1..{_MAX_TRAIN_STEPS}.")
    try:
        return cls.from_config({k: v for k, v in config.items() if k in known})
    except Exception as error:  # values of any type reach the constructor from the file
        raise WeightsError(f"{file} cannot be used: {error}") from error
