"""The quality filter: a picture is kept if its pose is found again and its identity recognised.

Both can be asked of generated pictures alone, so the filter costs as much as the search for people
did, and one pass of a re-identification network over all real pictures before the first batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from reposedm.augment.ledger import Row
from reposedm.augment.naming import Shot
from reposedm.augment.pictures import PictureSet
from reposedm.augment.poses import find_pose
from reposedm.augment.settings import AugmentSettings
from reposedm.errors import PoseError, RePoseError
from reposedm.jobs.runtime import choose_device
from reposedm.pose import Pose, pckh

if TYPE_CHECKING:
    from reposedm.models.reid import ReIDNet

Image = NDArray[np.uint8]

AT_MOST: Final = 4
"""Real pictures of an identity that are embedded: its first ones."""


@dataclass(frozen=True)
class Identities:
    """Who looks how: one unit vector for each identity, the mean of some of its real pictures.

    Attributes:
        network: that embeds.
        device: torch's name of where it is.
        place: of each identity's vector.
        vectors: float32 (identities, D).
    """

    network: ReIDNet
    device: str
    place: Mapping[str, int]
    vectors: NDArray[np.float32]

    def compare(self, image: Image, identity: str) -> tuple[float, float]:
        """Cosine similarity of a picture to an identity, and the largest to any other."""
        scores = self.vectors @ _embedded(self.network, image, self.device)
        own = self.place[identity]
        others = np.delete(scores, own)
        return float(scores[own]), float(others.max()) if len(others) else -1.0


class Judge:
    """Scores pictures and says which to keep."""

    def __init__(self, settings: AugmentSettings, identities: Identities | None) -> None:
        """Keep references."""
        self.settings = settings
        self.identities = identities

    def judge(self, row: Row, image: Image, wanted: Pose) -> Row:
        """The row with scores, and, if the picture should not be kept, why.

        Raises:
            DetectionError: the detector cannot run.
        """
        found = find_pose(image, self.settings.detector)
        try:
            pose_score = 0.0 if found is None else pckh(found, wanted)
        except PoseError:  # neither head nor shoulders are wanted: nothing to measure with
            pose_score = 0.0
        row = replace(row, pckh=f"{pose_score:.4f}")
        why = []
        if found is None:
            why.append("nobody was found on it")
        elif pose_score < self.settings.min_pckh:
            why.append(f"PCKh below {self.settings.min_pckh:g}")
        if self.identities is not None:
            own, rival = self.identities.compare(image, row.identity)
            row = replace(row, similarity=f"{own:.4f}", rival=f"{rival:.4f}")
            if own < self.settings.min_similarity:
                why.append(f"similarity below {self.settings.min_similarity:g}")
            if rival >= own:
                why.append("looks more like another identity")
        return replace(row, kept="no", reason=", ".join(why)) if why else row


def know_identities(pictures: PictureSet, shots: Sequence[Shot], weights: str) -> Identities:
    """Embed some real pictures of every identity.

    Args:
        pictures: where they are.
        shots: those that can be used.
        weights: folder of a ``ReIDNet``, or a file in it.

    Raises:
        WeightsError: the weights cannot be used.
    """
    from reposedm.models.reid import ReIDNet
    from reposedm.models.safe import load_safetensors_strict

    device = choose_device().name
    network = load_safetensors_strict(ReIDNet, weights_folder(weights)).to(device)
    own: dict[str, list[NDArray[np.float32]]] = {}
    for shot in shots:
        seen = own.setdefault(shot.identity, [])
        if len(seen) >= AT_MOST:
            continue
        try:
            image, _ = pictures.photo(shot)
        except RePoseError:
            continue
        seen.append(_embedded(network, image, device))
    names = [name for name, seen in own.items() if seen]
    vectors = np.stack([np.mean(own[name], axis=0) for name in names])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    place = {name: index for index, name in enumerate(names)}
    return Identities(network, device, place, vectors.astype(np.float32))


def weights_folder(weights: str) -> Path:
    """The folder of the network, by its own name or that of a file in it."""
    path = Path(weights).expanduser()
    return path.parent if path.is_file() else path


def _embedded(network: ReIDNet, image: Image, device: str) -> NDArray[np.float32]:
    """A unit vector, float32 (D,); one picture at a time, so that it depends on nothing else."""
    import torch

    tensor = torch.from_numpy(image.copy()).permute(2, 0, 1)[None].to(device).float() / 255
    vector: NDArray[np.float32] = network.embed(tensor)[0].float().cpu().numpy()
    return vector
