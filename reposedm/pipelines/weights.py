"""Whole pipelines on disk: strict loading, saving with hashes, and publishing.

``model_index.json`` names a class for every component; here those names are only compared with the
ones below and never looked up anywhere.
"""

from __future__ import annotations

import hashlib
import inspect
import math
import os
import tempfile
from pathlib import Path
from typing import Any, Final, TypeVar

import diffusers
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
    "autoencoder": (Autoencoder,),
    "alignment": (RecurrentPoseAlignment,),
    "encoder": (PhotoEncoder,),
    "pose_encoder": (PoseEncoder,),
    "unet": (UNet,),
    "finest": (FinestGrid,),
    "estimator": (HigherHRNet,),
}
"""Classes of ours that a component can have. Module paths are public: weights name them."""

_PUBLIC: Final = {"autoencoder": ("AutoencoderKL", "AutoencoderTiny")}
"""Those of diffusers beside them, by name: importing one imports every model it has, seconds."""

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
    cls = class_named(name, found)
    if cls is None:
        raise WeightsError(f"{folder} holds {found!r:.60}, and {name} must be {_wanted(name)}")
    return cls


def class_named(component: str, name: object) -> type[Any] | None:
    """A class of those that a component can have, ours or of diffusers; None: no such one."""
    for cls in NETWORKS.get(component, ()):
        if cls.__name__ == name:
            return cls
    if name in _PUBLIC.get(component, ()):
        found: type[Any] = getattr(diffusers, str(name))
        return found
    return None


def _wanted(component: str) -> str:
    own = (cls.__name__ for cls in NETWORKS.get(component, ()))
    return " or ".join([*own, *_PUBLIC.get(component, ())])


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
        cls: a ``NetworkPipeline``; the folder must hold exactly this class.
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
    required, optional, known = names_of(cls)
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
    unknown = sorted(set(settings) - set(known))
    if unknown:
        raise WeightsError(f"{path / INDEX}: {cls.__name__} has nothing called {unknown[0]!r:.60}.")
    return components, settings


def save_pipeline(pipeline: Any, folder: str | os.PathLike[str]) -> Path:
    """Write a pipeline, each network in a folder of its own, and manifests with SHA-256.

    Args:
        pipeline: a ``NetworkPipeline``.
        folder: made if it does not exist.

    Returns:
        The folder.

    Raises:
        WeightsError: it cannot be written.
    """
    path = Path(folder).expanduser()
    try:
        for name, component in pipeline.components.items():
            if isinstance(component, nn.Module):
                saved: Any = component
                saved.save_pretrained(path / name, max_shard_size="1000GB")
                write_manifest(path / name, (CONFIG, WEIGHTS), {"class": type(component).__name__})
            elif component is not None:
                component.save_pretrained(path / name)
        pipeline.save_config(path)
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


def names_of(cls: type[Any]) -> tuple[list[str], list[str], list[str]]:
    """Components that a pipeline must have, those it may have, and its settings.

    In its constructor components that it must have are the arguments without a default.
    """
    arguments = list(inspect.signature(cls.__init__).parameters.values())[1:]
    optional = sorted(cls.optional_components)
    needed = sorted(one.name for one in arguments if one.default is inspect.Parameter.empty)
    others = [one.name for one in arguments if one.name not in {*optional, *needed}]
    return [name for name in needed if name not in optional], optional, others


def library_of(component: object) -> list[str | None]:
    """How ``model_index.json`` names a component: its library, or the module of ours; its class."""
    if component is None:
        return [None, None]
    cls = type(component)
    library = "diffusers" if cls.__module__.startswith("diffusers.") else cls.__module__
    return [library, cls.__name__]


def _class_of(name: str, entry: Any, path: Path) -> type[Any]:
    """The class that ``model_index.json`` names, if it is one that this component can have."""
    if isinstance(entry, list) and len(entry) == 2:
        cls = class_named(name, entry[1])
        ours = cls is not None and not cls.__module__.startswith("diffusers.")
        if cls is not None and entry[0] == (cls.__module__ if ours else "diffusers"):
            return cls
    raise WeightsError(f"{path / INDEX}: {name} must be {_wanted(name)}, not {entry!r:.80}.")


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
