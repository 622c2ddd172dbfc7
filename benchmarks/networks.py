"""Parameters and forward times of every network, and what dense attention saves over unfold.

    python -m benchmarks.networks [--size 256x176] [--batch 1] [--threads 2] [--bf16]

Random weights: times do not depend on them. The fastest of several runs, after one to warm
up: other work on the machine only ever adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reposedm.models.alignment import RecurrentPoseAlignment, correlation
from reposedm.models.autoencoder import Autoencoder
from reposedm.models.encoder import PhotoEncoder
from reposedm.models.layers import neighbourhood_mask
from reposedm.models.pose_encoder import PoseEncoder
from reposedm.models.unet import UNet

RPA_VARIANTS: dict[str, dict[str, object]] = {
    "5 iterations": {},
    "5 iterations, half size": {"half_resolution": True},
    "3 iterations, half size": {"half_resolution": True, "iterations": 3},
}


def seconds(call: Callable[[], object], runs: int = 8) -> float:
    """The fastest of several calls."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


def report(name: str, network: nn.Module, call: Callable[..., object], *inputs: object) -> None:
    count = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    print(f"{name:34} {count:8.2f} M {1000 * seconds(lambda: call(*inputs)):9.1f} ms", flush=True)


def unfold_attention(q: Tensor, k: Tensor, v: Tensor, side: int) -> Tensor:
    """Neighbourhood attention as it is usually written: (B, D, h, w) each, one head."""
    batch, width, h, w = q.shape
    keys, values = (F.unfold(x, side, padding=side // 2).unflatten(1, (width, -1)) for x in (k, v))
    scores = (q.flatten(2)[:, :, None] * keys).sum(1) / width**0.5  # B,side^2,N
    inside = F.unfold(torch.ones(1, 1, h, w), side, padding=side // 2)
    scores = scores.masked_fill(inside == 0, -torch.inf).softmax(1)
    return (scores[:, None] * values).sum(2).reshape(batch, width, h, w)


def dense_attention(q: Tensor, k: Tensor, v: Tensor, side: int) -> Tensor:
    """The same as a masked product of all cells with all."""
    shape = (q.shape[2], q.shape[3])
    rows = [x.flatten(2).transpose(1, 2)[:, None] for x in (q, k, v)]
    mask = neighbourhood_mask(shape, side, q.device)
    found = F.scaled_dot_product_attention(*rows, attn_mask=mask)
    return found[:, 0].transpose(1, 2).unflatten(2, shape)


def unfold_correlation(target: Tensor, source: Tensor, radius: int) -> Tensor:
    """Eq. 6 with unfolded windows."""
    width, side = target.shape[1], 2 * radius + 1
    windows = F.unfold(source, side, padding=radius).unflatten(1, (width, -1))
    found = (target.flatten(2)[:, :, None] * windows).sum(1).relu() / width**0.5
    return found.unflatten(2, target.shape[2:])


def compare(batch: int, shape: tuple[int, int]) -> None:
    """Forward and backward of both ways, and how far apart their results are."""
    q, k, v = (torch.randn(batch, 128, *shape, requires_grad=True) for _ in range(3))
    pairs: list[tuple[str, Callable[[], Tensor], Callable[[], Tensor]]] = [
        (f"neighbourhood {side}",
         lambda side=side: dense_attention(q, k, v, side),  # type: ignore[misc]
         lambda side=side: unfold_attention(q, k, v, side))  # type: ignore[misc]
        for side in (9, 5, 3)
    ]  # fmt: skip
    pairs.append(
        ("correlation R=4", lambda: correlation(q, k, 4), lambda: unfold_correlation(q, k, 4))
    )
    for name, dense, unfold in pairs:
        gap = float((dense() - unfold()).abs().max().detach())
        fast = seconds(lambda dense=dense: dense().sum().backward())  # type: ignore[misc]
        slow = seconds(lambda unfold=unfold: unfold().sum().backward(), 3)  # type: ignore[misc]
        print(
            f"{name:20} dense {1000 * fast:7.1f} ms, unfold {1000 * slow:7.1f} ms: "
            f"{slow / fast:.1f} times, results apart by {gap:.0e}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", default="256x176", help="HxW of the photo")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--bf16", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    height, width = (int(side) for side in options.size.split("x"))
    batch, h, w = options.batch, height // 8, width // 8
    photo = torch.rand(batch, 3, height, width) * 2 - 1
    photo = photo.contiguous(memory_format=torch.channels_last)
    heat, latent, t = torch.rand(batch, 18, h, w), torch.randn(batch, 16, h, w), torch.rand(batch)
    precision = "bf16" if options.bf16 else "fp32"
    print(f"{height} x {width}, batch {batch}, {options.threads} threads, {precision}")
    with (
        torch.no_grad(),
        torch.autocast("cpu", torch.bfloat16, enabled=options.bf16),
    ):
        for size in ("small", "large"):
            codec = getattr(Autoencoder, size)().to(memory_format=torch.channels_last)
            report(f"Autoencoder.{size} encode", codec, codec.encode, photo)
            report(f"Autoencoder.{size} decode", codec, codec.decode, latent)
        report("PhotoEncoder", encoder := PhotoEncoder(), encoder, photo, heat)
        report("PoseEncoder", poses := PoseEncoder(), poses, heat)
        for name, changes in RPA_VARIANTS.items():
            report(f"RPA {name}", rpa := RecurrentPoseAlignment(**changes), rpa, photo, heat, heat)
        for size in ("small", "paper"):
            unet = getattr(UNet, size)().to(memory_format=torch.channels_last)
            shapes = [(h, w), (-(-h // 2), -(-w // 2)), (-(-h // 4), -(-w // 4))]
            context = [
                torch.randn(batch, channels, *shape)
                for channels, shape in zip(unet.config.context_dims, shapes, strict=True)
            ]
            report(f"UNet.{size}", unet, unet, latent, t, latent, context)
    compare(batch, (h, w))


if __name__ == "__main__":
    main()
