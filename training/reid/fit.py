"""Train a re-identification network, and measure it."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from reposedm.models.reid import ReIDNet, Seen
from training.reid.batches import batches, prepared
from training.reid.config import NetworkConfig, RecipeConfig, ReidConfig
from training.reid.evaluation import Scores, evaluate
from training.reid.market import Market, Shot, pixels_of

_CENTER_RATE = 0.5


@dataclass(frozen=True)
class Trained:
    """A network and how it came about.

    Attributes:
        network: in evaluation mode.
        loss: mean of the last tenth of the steps.
        cpu_seconds: of the process.
        seconds: by the clock.
    """

    network: ReIDNet
    loss: float
    cpu_seconds: float
    seconds: float


class Interrupted(Exception):
    """The caller wanted training to end; nothing is left of it."""


class CenterLoss(nn.Module):
    """Half the squared distance of each feature to its identity's learned centre (Wen, 2016)."""

    def __init__(self, identities: int, features: int) -> None:
        """Centres are drawn from a normal distribution."""
        super().__init__()
        self.centers = nn.Parameter(torch.randn(identities, features))

    def forward(self, pooled: Tensor, labels: Tensor) -> Tensor:
        """Mean over the batch; (B, D) and (B,)."""
        return (pooled - self.centers[labels]).square().sum(1).mean() / 2


class Losses(nn.Module):
    """BoT's: smoothed cross entropy, batch-hard triplets before the BNNeck, centres.

    Args:
        recipe: their weights.
        identities: number of classes.
        features: D.
    """

    def __init__(self, recipe: RecipeConfig, identities: int, features: int) -> None:
        """Build; pytorch-metric-learning mines the triplets."""
        from pytorch_metric_learning.distances import LpDistance
        from pytorch_metric_learning.losses import TripletMarginLoss
        from pytorch_metric_learning.miners import BatchHardMiner
        from pytorch_metric_learning.reducers import MeanReducer

        super().__init__()
        self.recipe = recipe
        distance = LpDistance(normalize_embeddings=False)
        self.mine = BatchHardMiner(distance=distance)
        # The mean over all anchors, as BoT's; the library's own default leaves satisfied ones out.
        self.triplet = TripletMarginLoss(recipe.margin, distance=distance, reducer=MeanReducer())
        self.center = CenterLoss(identities, features) if recipe.center else None

    def forward(self, seen: Seen, labels: Tensor) -> Tensor:
        """Their sum, ()."""
        loss = F.cross_entropy(seen.logits, labels, label_smoothing=self.recipe.smoothing)
        loss = loss + self.triplet(seen.pooled, labels, self.mine(seen.pooled, labels))
        if self.center is not None:
            loss = loss + self.recipe.center * self.center(seen.pooled, labels)
        return loss


def rate_at(step: int, steps: int, recipe: RecipeConfig) -> float:
    """The learning rate of a step, counted from 0."""
    done = step / steps
    warm = min(1.0, 0.01 + 0.99 * done / recipe.warmup) if recipe.warmup else 1.0
    drops = bisect.bisect_right(sorted(recipe.drops), done)
    return float(recipe.learning_rate * warm * 0.1**drops)


def new_network(config: NetworkConfig, identities: int, seed: int) -> ReIDNet:
    """An untrained network; its weights depend on the seed alone.

    Raises:
        MetricsError: ImageNet's weights are wanted and not there.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = ReIDNet(
            backbone=config.backbone,  # type: ignore[arg-type]
            identities=identities, height=config.size[0], width=config.size[1],
        )  # fmt: skip
    if config.weights == "imagenet":
        from training import metric_weights

        tensors = metric_weights.read(metric_weights.find("resnet50"))
        tensors = {name: value for name, value in tensors.items() if not name.startswith("fc.")}
        network.trunk.load_state_dict(tensors)
    return network


def train(
    config: ReidConfig,
    pixels: NDArray[np.uint8],
    people: Sequence[int],
    steps: int,
    seed: int,
    *,
    device: str = "cpu",
    interrupted: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda text: None,
) -> Trained:
    """Train from scratch (or ImageNet) on pictures.

    Args:
        config: network and recipe.
        pixels: uint8 (N, h, w, 3).
        people: (N,) who is in each.
        steps: batches.
        seed: of weights, batches and augmentation.
        device: of torch.
        interrupted: asked before each step.
        tell: gets a line now and then.

    Raises:
        Interrupted: ``interrupted`` said so.
        SettingsError: too few people for a batch.
    """
    recipe = config.recipe
    known, labels = np.unique(np.asarray(people), return_inverse=True)
    network = new_network(config.network, len(known), seed).to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        losses = Losses(recipe, len(known), network.neck.num_features).to(device)
    learned = [weight for weight in network.parameters() if weight.requires_grad]
    adam = torch.optim.Adam(learned, weight_decay=recipe.weight_decay)
    centers = torch.optim.SGD(losses.parameters(), _CENTER_RATE) if recipe.center else None
    stream = batches(labels.tolist(), recipe.people, recipe.each, seed)
    start, cpu = time.perf_counter(), time.process_time()
    said: list[float] = []
    network.train()
    for step, chosen in enumerate(islice(stream, steps)):
        if interrupted():
            raise Interrupted
        rng = np.random.default_rng((seed, 1, step))
        images = prepared(pixels[chosen], config.network.size, recipe, rng).to(device)
        images = images.contiguous(memory_format=torch.channels_last)
        for group in adam.param_groups:
            group["lr"] = rate_at(step, steps, recipe)
        network.zero_grad(set_to_none=True)
        losses.zero_grad(set_to_none=True)
        loss = losses(network(images), torch.from_numpy(labels[chosen]).to(device))
        loss.backward()
        adam.step()
        if centers is not None and losses.center is not None:
            # The weight in the loss is for the features; centres move at their own rate.
            losses.center.centers.grad.div_(recipe.center)  # type: ignore[union-attr]
            centers.step()
        said.append(float(loss.detach()))
        if (step + 1) % max(1, -(-steps // 10)) == 0:
            speed = (step + 1) * len(chosen) / (time.process_time() - cpu)
            tell(f"step {step + 1}/{steps}  loss {said[-1]:.3f}  {speed:.0f} images/CPU second")
    network.eval()
    tail = said[-max(1, steps // 10) :]
    return Trained(
        network, float(np.mean(tail)), time.process_time() - cpu, time.perf_counter() - start
    )


def embeddings(
    network: ReIDNet, pixels: NDArray[np.uint8], *, device: str = "cpu", batch: int = 64
) -> NDArray[np.float32]:
    """Features of length 1, float32 (N, D)."""
    size = (int(network.config["height"]), int(network.config["width"]))
    found = [
        network.embed(prepared(pixels[start : start + batch], size).to(device)).cpu().numpy()
        for start in range(0, len(pixels), batch)
    ]
    return np.concatenate(found)


def measure(network: ReIDNet, market: Market, *, device: str = "cpu") -> Scores:
    """Market-1501's evaluation of a network: query against gallery, by the cosine.

    Raises:
        DataError: a file is no picture.
        MetricsError: the network has diverged.
    """
    query, gallery = (
        embeddings(network, pixels_of(shots), device=device)
        for shots in (market.query, market.gallery)
    )
    return evaluate(
        1 - query.astype(np.float64) @ gallery.T.astype(np.float64),
        *_who(market.query), *_who(market.gallery),
    )  # fmt: skip


def _who(shots: Sequence[Shot]) -> tuple[list[int], list[int]]:
    return [shot.person for shot in shots], [shot.camera for shot in shots]
