"""FID, under both Inception networks in use; they differ, so they have two names.

``fid_legacy_torchvision`` is what PIDM, CFLD, PCDMs and NTED print: torchvision's weights, and the
input transform of the old pytorch-fid applied to pictures in [0, 1]. ``fid_tf`` is everybody
else's: TensorFlow's weights of 2015, by torch-fidelity, which also computes the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from training.metric_weights import Found, find, read
from training.metrics import Image, MetricsError, Protocol

INCEPTION_SIDE: Final = 299
FEATURES: Final = 2048


class Gaussian(NamedTuple):
    """What the FID keeps of a set of pictures.

    Attributes:
        mean: float64 (F,).
        covariance: float64 (F, F).
        pictures: that it was taken from.
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    pictures: int


class Inception:
    """Pictures -> features, by the protocol's network.

    Args:
        protocol: decides network, batch and what becomes of the last one.
        path: its weights; None: the published ones, see ``metric_weights``.
        device: torch's name of it.

    Raises:
        MetricsError: the weights or the package are missing.
    """

    def __init__(self, protocol: Protocol, path: Path | None = None, device: str = "cpu") -> None:
        """Load; arguments above."""
        self.protocol, self.device = protocol, device
        self.weights: Found = find(protocol.inception, path)
        make = _torchvision if protocol.inception == "torchvision" else _tensorflow
        self._network = make(self.weights).to(device)

    def gaussian(self, pictures: Iterable[Image]) -> Gaussian:
        """Mean and covariance of the pictures' features.

        Args:
            pictures: uint8 (H, W, 3) each, at the protocol's size.

        Raises:
            MetricsError: fewer than two pictures are left.
        """
        batches = [self.features(batch) for batch in self._batches(pictures)]
        return gaussian_of(np.concatenate(batches) if batches else np.zeros((0, FEATURES)))

    def features(self, pictures: list[Image]) -> NDArray[np.float64]:
        """float64 (N, 2048) of N pictures, run together where their sizes agree."""
        import torch

        stacked = torch.from_numpy(np.stack(pictures).transpose(0, 3, 1, 2).copy())
        with torch.no_grad():
            if self.protocol.inception == "tensorflow":
                (found,) = self._network(stacked.to(self.device))
            else:
                found = self._network(_legacy_input(stacked.to(self.device)))
        features: NDArray[np.float64] = found.double().cpu().numpy()
        return features

    def _batches(self, pictures: Iterable[Image]) -> Iterator[list[Image]]:
        batch: list[Image] = []
        for picture in pictures:
            batch.append(picture)
            if len(batch) == self.protocol.batch:
                yield batch
                batch = []
        if batch and not self.protocol.drop_last:
            yield batch


def gaussian_of(features: NDArray[np.float64]) -> Gaussian:
    """Mean and covariance of (N, F) features.

    Raises:
        MetricsError: fewer than two.
    """
    if len(features) < 2:
        raise MetricsError(
            f"an FID needs at least two pictures on either side, not {len(features)}: take more "
            "pairs, or leave --drop-last out"
        )
    values = np.asarray(features, np.float64)
    return Gaussian(values.mean(0), np.atleast_2d(np.cov(values, rowvar=False)), len(values))


def frechet_distance(first: Gaussian, second: Gaussian) -> float:
    """|m1 - m2|² + tr(C1 + C2 - 2 (C1 C2)^½), by torch-fidelity.

    Raises:
        MetricsError: the package is missing.
    """
    try:
        from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric
    except ImportError as error:
        raise _no_package() from error
    one, two = ({"mu": g.mean, "sigma": g.covariance} for g in (first, second))
    return float(fid_statistics_to_metric(one, two, False)[KEY_METRIC_FID])


def save_gaussian(gaussian: Gaussian, path: Path, key: str) -> None:
    """Keep the real pictures' statistics; ``key`` says what they are of."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".tmp.npz")
    np.savez(temporary, mean=gaussian.mean, covariance=gaussian.covariance,
             pictures=gaussian.pictures, key=key)  # fmt: skip
    temporary.replace(path)


def load_gaussian(path: Path, key: str) -> Gaussian | None:
    """What ``save_gaussian`` wrote, if it is of the same pictures, network and protocol."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if str(file["key"]) != key:
                return None
            return Gaussian(file["mean"], file["covariance"], int(file["pictures"]))
    except (OSError, ValueError, KeyError):  # not there, or cut off: it is only a cache
        return None


def _legacy_input(stacked: Any) -> Any:
    """uint8 (B, 3, H, W) -> [0, 1], 299 x 299 bilinear without antialias.

    The odd normalisation itself is torchvision's ``transform_input``, meant for pictures
    normalised with ImageNet's mean; the field has always given it [0, 1], so the network sees
    about [-0.19, 0.43]. To compare with its tables we must, too.
    """
    from torch.nn import functional

    size = (INCEPTION_SIDE, INCEPTION_SIDE)
    return functional.interpolate(
        stacked.float() / 255, size=size, mode="bilinear", align_corners=False
    )


def _torchvision(weights: Found) -> Any:
    import torch
    from torchvision.models import inception_v3

    tensors = read(weights)
    network: Any = inception_v3(
        weights=None, init_weights=False, aux_logits=True, transform_input=True
    )
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise MetricsError(
            f"{weights.path} is not torchvision's Inception: {error!s:.200}"
        ) from error
    network.fc = torch.nn.Identity()
    return network.eval().requires_grad_(False)


def _tensorflow(weights: Found) -> Any:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise _no_package() from error
    # torch-fidelity unpickles without restriction: it gets no file that would not pass ours.
    read(weights)
    try:
        return FeatureExtractorInceptionV3(
            "inception-v3-compat", [str(FEATURES)], str(weights.path)
        )
    except RuntimeError as error:
        raise MetricsError(
            f"{weights.path} is not TensorFlow's Inception: {error!s:.200}"
        ) from error


def _no_package() -> MetricsError:
    return MetricsError(
        "the FID needs the package torch-fidelity: run pip install -r requirements-train.txt"
    )
