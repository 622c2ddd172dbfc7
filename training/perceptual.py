"""LPIPS (AlexNet, v0.1): the ``lpips`` package's network with weights from a file."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.metric_weights import Found, find, read
from training.metrics import Image, Mask, MetricsError


class Lpips:
    """Perceptual distance of two pictures, 0 for equal ones.

    Inputs are brought to [-1, 1], as the network was calibrated; PCDMs' code leaves them in
    [0, 1], and its published numbers are lower for it.

    Args:
        path: AlexNet's weights; None: the published ones, see ``metric_weights``.
        device: torch's name of it.

    Raises:
        MetricsError: the weights or the package are missing.
    """

    def __init__(self, path: Path | None = None, device: str = "cpu") -> None:
        """Load; arguments above."""
        self.weights: Found = find("lpips", path)
        self.device = device
        self._network = _network(self.weights).to(device)

    def __call__(self, picture: Image, truth: Image, mask: Mask | None = None) -> float:
        """The distance; with a mask (H, W), the mean of its map inside; NaN for an empty mask."""
        import torch

        if mask is not None and not mask.any():
            return math.nan
        self._network.spatial = mask is not None
        with torch.no_grad():
            found = self._network(self._tensor(picture), self._tensor(truth))
        plane: NDArray[np.float32] = found[0, 0].float().cpu().numpy()
        return float(plane.mean() if mask is None else plane[mask].mean())

    def _tensor(self, image: Image) -> Any:
        import torch

        tensor = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))
        return (tensor[None].to(self.device, torch.float32) / 127.5) - 1


def _network(weights: Found) -> Any:
    try:
        import lpips
    except ImportError as error:
        raise MetricsError(
            "LPIPS needs the package lpips: run pip install -r requirements-train.txt"
        ) from error
    tensors = read(weights)
    with warnings.catch_warnings():
        # lpips calls torchvision by an argument that is about to be renamed.
        warnings.simplefilter("ignore")
        # pnet_rand keeps it from downloading; every random number is overwritten, strictly, below.
        network = lpips.LPIPS(net="alex", version="0.1", pnet_rand=True, verbose=False)
    wanted = network.net.state_dict()
    named = {name: "features." + name.split(".", 1)[1] for name in wanted}  # slice1.0.weight
    missing = [source for source in named.values() if source not in tensors]
    if missing:
        raise MetricsError(f"{weights.path} is not AlexNet: it has no {missing[0]}")
    try:
        network.net.load_state_dict({name: tensors[source] for name, source in named.items()})
    except RuntimeError as error:
        raise MetricsError(f"{weights.path} is not AlexNet: {error!s:.200}") from error
    return network.eval().requires_grad_(False)
