"""The published weight files of metric networks: which, where they are looked for, how to get them.

``python -m training.metric_weights`` fetches all that are missing (about 430 MB). An evaluation
never fetches, and never goes on without them: a number from random features is none.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from reposedm.errors import RePoseError
from reposedm.weights import file_problem, sha256_of, weights_root
from training.metrics import MetricsError


@dataclass(frozen=True)
class Published:
    """One file. ``sha`` are the first digits of its SHA-256, which its authors put in its name."""

    file: str
    sha: str
    what: str

    @property
    def url(self) -> str:
        """Where its library gets it from."""
        if self.file.startswith("weights-inception"):
            from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3

            return str(URL_INCEPTION_V3)
        from torchvision import models

        known: dict[str, Any] = {
            "alexnet": models.AlexNet_Weights,
            "inception": models.Inception_V3_Weights,
            "resnet50": models.ResNet50_Weights,
        }
        return str(known[re.split("[-_]", self.file)[0]].IMAGENET1K_V1.url)


PUBLISHED: Final[Mapping[str, Published]] = {
    "lpips": Published("alexnet-owt-7be5be79.pth", "7be5be79", "LPIPS (AlexNet)"),
    "torchvision": Published("inception_v3_google-0cc3c7bd.pth", "0cc3c7bd", "fid_legacy"),
    "tensorflow": Published("weights-inception-2015-12-05-6726825d.pth", "6726825d", "fid_tf"),
    "resnet50": Published("resnet50-0676ba61.pth", "0676ba61", "training.reid (ResNet-50)"),
}
NOT_METRICS: Final = ("resnet50",)
"""Fetched only when named."""


@dataclass(frozen=True)
class Found:
    """A weights file that is there.

    Attributes:
        path: where.
        sha256: of the whole file.
        published: whether it is the published one; if not, numbers compare with nothing.
    """

    path: Path
    sha256: str
    published: bool

    def record(self) -> dict[str, Any]:
        """For results.json: no path of this machine."""
        return {**asdict(self), "path": self.path.name}


def folder() -> Path:
    """Where ``fetch`` puts them: ``metrics`` in the folder of all weights."""
    return weights_root() / "metrics"


def find(name: str, path: Path | None = None) -> Found:
    """A metric network's weights.

    Args:
        name: a key of ``PUBLISHED``.
        path: a file of one's own choice; None: the published one, from ``folder()`` or from torch's
            own download folder.

    Raises:
        MetricsError: it is not there, unfinished, or another file than its name says.
    """
    wanted = PUBLISHED[name]
    if path is not None:
        problem = file_problem(path)
        if problem:
            raise MetricsError(f"{wanted.what}: {path} is {problem}.")
        sha = sha256_of(path)
        return Found(path, sha, sha.startswith(wanted.sha))
    places = (folder() / wanted.file, _torch_folder() / wanted.file)
    present = [place for place in places if not file_problem(place)]
    if not present:
        raise MetricsError(
            f"{wanted.what} needs the file {wanted.file}, which is not in {folder()}. Fetch it "
            f"with: python -m training.metric_weights {name} (or leave that metric out with "
            "--metrics); random features are never used in its place."
        )
    sha = sha256_of(present[0])
    if not sha.startswith(wanted.sha):
        raise MetricsError(
            f"{present[0]} is damaged: its SHA-256 begins with {sha[:8]}, not {wanted.sha}. Delete "
            f"it and fetch it again with: python -m training.metric_weights {name}"
        )
    return Found(present[0], sha, True)


def read(found: Found) -> dict[str, Any]:
    """The tensors of a file; a pickle with code in it is refused.

    Raises:
        MetricsError: it is no such file.
    """
    import torch

    try:
        content = torch.load(found.path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises half a dozen types for a file that is none
        raise MetricsError(f"{found.path} is not a file of weights: {error!s:.200}") from error
    if not isinstance(content, dict):
        raise MetricsError(f"{found.path} holds {type(content).__name__}, not named tensors")
    return content


def fetch(names: Sequence[str]) -> None:
    """Download what is missing, checked by SHA-256.

    Raises:
        MetricsError: a download failed.
    """
    import torch

    folder().mkdir(parents=True, exist_ok=True)
    for name in names:
        wanted = PUBLISHED[name]
        try:
            print(f"{name}: {find(name).path} is there", file=sys.stderr)
            continue
        except MetricsError:
            pass
        target = folder() / wanted.file
        try:
            torch.hub.download_url_to_file(wanted.url, str(target), hash_prefix=wanted.sha)
        except (OSError, RuntimeError) as error:
            raise MetricsError(f"{wanted.url} could not be fetched to {target}: {error}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m training.metric_weights", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PUBLISHED))
    names = parser.parse_args(arguments).names
    try:
        for name in names:
            if name not in PUBLISHED:
                raise MetricsError(f"there is no {name!r:.40}: choose from {', '.join(PUBLISHED)}")
        fetch(names or [name for name in PUBLISHED if name not in NOT_METRICS])
    except RePoseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _torch_folder() -> Path:
    """Torch's own download folder, as ``torch.hub`` finds it; torch is not imported for it."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or os.path.join(cache, "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


if __name__ == "__main__":
    sys.exit(main())
