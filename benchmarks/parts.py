"""Seconds of each part of a repose, pictures a second over batch sizes, and the app's memory.

    python -m benchmarks.parts -o training/results/parts.json
    python -m benchmarks.parts --weights runs/small/weights --skip-app
    python -m benchmarks.parts --config small --skip-app      random weights: times are the same

Parts are the best of several runs on a rendered photograph of 768 x 1024 and its frame; a whole
repose is timed twice, the first with what has to be loaded. Memory is the peak of a fresh app and
its children after a repose over its own endpoint.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.app_memory import app_memory

ROOT = Path(__file__).resolve().parents[1]
PHOTO = ROOT / "assets" / "examples" / "number-shirt.jpg"
PRESET = "hands-on-hips"
BATCHES = (1, 2, 4, 8, 16)
FAST = {"steps": 1, "guidance_scale": 1.0, "pose_guidance_scale": 0.0}
RUNS = 5
PATIENCE_S = 180.0
"""A batch size that would take longer than this is left out, with all larger ones."""


def best(call: Callable[[], Any], runs: int = RUNS) -> float:
    """Seconds of the fastest of several calls, after one to warm up."""
    call()
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


@dataclasses.dataclass
class Job:
    """What is reposed: the photo, its person, the wanted pose, and all of it in the frame."""

    photo: Any
    source: Any
    target: Any
    mask: Any
    frame: Any

    @property
    def framed(self) -> tuple[Any, Any, Any, Any]:
        """Picture, both poses and mask as the method sees them."""
        return (
            self.frame.crop(self.photo),
            self.frame.to_frame(self.source),
            self.frame.to_frame(self.target),
            self.frame.crop_mask(self.mask),
        )


def make_job(photo: Path, size: tuple[int, int]) -> Job:
    """Detect, choose the pose, crop."""
    from reposedm.imaging import Frame, mask_box, read_image
    from reposedm.jobs.detect import mask_of, people_on
    from reposedm.jobs.repose import fit_preset
    from reposedm.jobs.settings import ReposeSettings

    image = read_image(photo).pixels
    source = people_on(image)[0].pose
    target = fit_preset(PRESET, source, ReposeSettings())
    mask = mask_of(image, source)
    frame = Frame.around(source, target, source.size, mask_box=mask_box(mask), native_size=size)
    return Job(image, source, target, mask, frame)


def outside_parts(job: Job) -> dict[str, float]:
    """Seconds of what the job does around the networks."""
    import numpy as np

    from reposedm.detect import detect_people, person_mask
    from reposedm.imaging import paste_back
    from reposedm.imaging.fill import fill_background

    turn = iter(range(1, 1000))

    def another() -> Any:
        changed = job.photo.copy()
        changed[0, 0, 0] ^= next(turn) % 255 + 1  # not the photo that is remembered
        return changed

    empty = fill_background(job.photo, job.mask)
    layer = np.dstack((job.frame.crop(job.photo), np.uint8(255 * job.frame.crop_mask(job.mask))))
    return {
        "detect": best(lambda: detect_people(another()), 3),
        "mask": best(lambda: person_mask(another(), job.source), 3),
        "fill_background": best(lambda: fill_background(another(), job.mask), 3),
        "paste_back": best(lambda: paste_back(job.photo, empty, job.frame, layer, job.mask)),
    }


def network_parts(pipe: Any, job: Job, device: str) -> dict[str, float]:
    """Seconds of each network of a diffusion pipeline, and of a step with and without guidance."""
    import torch

    from reposedm.diffusion.prediction import run_levels
    from reposedm.models.autoencoder_adapters import as_autoencoder
    from reposedm.pipelines.conditions import inputs_of
    from reposedm.pipelines.output import pictures
    from reposedm.pipelines.sampling import Denoiser, Steering, make_scheduler

    picture, source, target, mask = job.framed
    inputs = inputs_of(picture, source, target, mask, device)
    prepare = pipe.align if hasattr(pipe, "align") else pipe.encode
    config = pipe.unet.config
    own = make_scheduler(
        pipe.config.sampler, pipe.scheduler, config.prediction, variance=config.learn_variance
    )
    own.set_timesteps(10)
    level, t = run_levels(own)[5].to(device), own.timesteps[5]
    dtype = next(pipe.unet.parameters()).dtype
    mode: Any = contextlib.nullcontext()
    if dtype != torch.float32:
        mode = torch.autocast(device, dtype)
    with mode:
        conditions = prepare(inputs)
        codec = as_autoencoder(pipe.autoencoder)
        shape = (1, config.latent_channels, *conditions.pose.shape[2:])
        latents = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)

        def step(steering: Any, *, steer: bool = False) -> Callable[[], Any]:
            denoiser = Denoiser(pipe.unet, conditions, steering)
            return lambda: _synchronised(denoiser(latents, t, level, steer=steer), device)

        found = {
            "align": best(lambda: _synchronised(prepare(inputs), device)),
            "step_without_guidance": best(step(Steering(scale=1.0))),
            "step_with_guidance": best(step(Steering(scale=2.0))),
            "decode": best(lambda: pictures(codec, latents, conditions.alpha)),
        }
        steering = pipe._steering(target, None, None, (None, None)) if _steers(pipe) else None
        if steering is not None and steering.field is not None:
            found["interaction_gradient"] = best(
                lambda: _synchronised(steering.field.gradient(latents, steering.target), device)
            )
    return found


def _steers(pipe: Any) -> bool:
    return bool(getattr(pipe, "_can_steer", False))


def _synchronised(value: Any, device: str) -> Any:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()
    return value


def whole(job: Job, method: str, **settings: Any) -> dict[str, Any]:
    """Seconds of a whole repose, the mask being known: the first, and the best of two later."""
    from reposedm.jobs.repose import repose
    from reposedm.jobs.settings import ReposeSettings

    seconds, result = [], None
    for _ in range(3):
        start = time.perf_counter()
        work = repose(
            job.photo, job.source, job.target,
            ReposeSettings(method=method, seed=1, **settings), source_mask=job.mask,
        )  # fmt: skip
        try:
            while True:
                next(work)
        except StopIteration as stop:
            result = stop.value
        seconds.append(time.perf_counter() - start)
    assert result is not None
    return {
        "first_s": round(seconds[0], 2),
        "later_s": round(min(seconds[1:]), 2),
        "steps": result.settings["steps"],
        "device": result.settings["device"],
        "dtype": result.settings["dtype"],
    }


def native(pipe: Any, job: Job, **settings: Any) -> float:
    """Seconds of one picture in the method's own frame: from photo and poses to the layer."""
    import torch

    picture, source, target, mask = job.framed
    return best(
        lambda: pipe(
            picture, source, target, source_mask=mask,
            generators=[torch.Generator().manual_seed(0)], **settings,
        ), 2,
    )  # fmt: skip


def batches(pipe: Any, job: Job, limit_s: float = PATIENCE_S) -> dict[str, float]:
    """Pictures a second, by how many are made of one photo and pose at once."""
    import torch

    picture, source, target, mask = job.framed
    found: dict[str, float] = {}
    last = 0.0
    for count in BATCHES:
        if 2 * last > limit_s:
            break
        generators = [torch.Generator().manual_seed(seed) for seed in range(count)]
        start = time.perf_counter()
        pipe(picture, source, target, source_mask=mask, generators=generators)
        last = time.perf_counter() - start
        found[str(count)] = round(count / last, 3)
    return found


@contextlib.contextmanager
def weights_folder(options: argparse.Namespace) -> Iterator[None]:
    """Let ``$REPOSEDM_WEIGHTS`` name the weights to measure while this is entered."""
    if options.config is None and options.weights is None:
        yield
        return
    with tempfile.TemporaryDirectory() as made:
        root = options.weights
        if root is None:
            root = Path(made)
            random_weights(options.config).save_pretrained(root / options.method)
        before = os.environ.get("REPOSEDM_WEIGHTS")
        os.environ["REPOSEDM_WEIGHTS"] = str(root.resolve())
        try:
            yield
        finally:
            del os.environ["REPOSEDM_WEIGHTS"]
            if before is not None:
                os.environ["REPOSEDM_WEIGHTS"] = before


def random_weights(config: str) -> Any:
    """A pipeline as a configuration would train it: its times, not its pictures."""
    from training.components import build
    from training.config import load_config

    components: Any = build(load_config(config))
    components.strength = 1e-3  # steering is possible, so its time can be measured
    return components.pipeline()


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for."""
    import torch

    from reposedm.jobs.methods import load_method
    from reposedm.jobs.runtime import choose_device
    from training.machine import command_line, commit, machine, versions

    method = load_method(options.method)
    size = method.capabilities.native_size
    job = make_job(options.photo, size)
    results: dict[str, Any] = {
        "format": "reposedm-parts",
        "method": options.method,
        "random_weights": options.config is not None,
        "photo": list(job.photo.shape[1::-1]),
        "frame": list(size) if size else None,
        "parts_ms": {"around the networks": _ms(outside_parts(job))},
        "batches": list(BATCHES),
        "repose": {"default": whole(job, options.method)},
        "picture_s": {},
        "images_per_second": {},
    }
    controls = method.capabilities.controls
    fast = {name: value for name, value in FAST.items() if name in controls}
    if fast:
        results["repose"]["fast"] = {**whole(job, options.method, **fast), "settings": fast}
    if hasattr(method, "unet"):
        for name in ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",):
            place = choose_device(name)
            method.to(place.name, getattr(torch, place.dtype))
            results["parts_ms"][name] = _ms(network_parts(method, job, name))
            results["picture_s"][name] = {
                "default": native(method, job), "fast": native(method, job, **fast),
            }  # fmt: skip
            if not options.skip_batches:
                results["images_per_second"][name] = batches(method, job)
    if not options.skip_app:
        results["app"] = app_memory(options.method, options.photo, dict(os.environ))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return results | {
        "bars": bars(results),
        "command": command_line("benchmarks.parts", sys.argv[1:]),
        "commit": commit(),
        "machine": machine(device),
        "versions": versions(),
    }


def _ms(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(1000 * value, 1) for name, value in seconds.items()}


def bars(results: dict[str, Any]) -> list[dict[str, Any]]:
    """What the default weights promise on two CPU cores, and whether this machine kept it."""
    default, fast = results["repose"]["default"], results["repose"].get("fast")
    app = results.get("app")
    picture = results["picture_s"].get("cpu", {})
    wanted: list[tuple[str, float | None, float]] = [
        ("a picture in the frame, seconds", picture.get("default"), 2.5),
        ("the same with the fast setting, seconds", picture.get("fast"), 1.0),
        ("a later repose, seconds", default["later_s"], 3.0),
        ("a later repose with the fast setting, seconds", fast and fast["later_s"], 3.0),
        ("the first picture after the app's start, seconds", app and app["first_picture_s"], 20.0),
        ("peak memory of the app, MB", app and app["peak_mb"], 3000.0),
    ]
    return [
        {"bar": name, "value": value, "limit": limit,
         "met": None if value is None else value <= limit}
        for name, value, limit in wanted
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.parts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", default="reposedm")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--weights", type=Path, help="a folder of weights, with METHOD in it")
    where.add_argument("--config", help="random weights of a training configuration")
    parser.add_argument("--photo", type=Path, default=PHOTO)
    parser.add_argument("--threads", type=int, help="of torch; default: its own choice")
    parser.add_argument("--skip-app", action="store_true")
    parser.add_argument("--skip-batches", action="store_true")
    parser.add_argument("-o", "--output", type=Path, help="also write the numbers as JSON")
    options = parser.parse_args()
    if options.threads:
        import torch

        torch.set_num_threads(options.threads)
    with weights_folder(options):
        results = measure(options)
    for place, parts in results["parts_ms"].items():
        for name, milliseconds in parts.items():
            print(f"{place:8} {name:24} {milliseconds:9.1f} ms")
    for name, found in results["repose"].items():
        print(f"repose   {name:24} " + ", ".join(f"{k} {v}" for k, v in found.items()))
    for place, found in results["picture_s"].items():
        print(f"{place:8} one picture, frame        {found}")
    for place, found in results["images_per_second"].items():
        print(f"{place:8} pictures a second        {found}")
    print(f"app      {results.get('app', 'not measured')}")
    for bar in results["bars"]:
        print(f"{bar['bar']}: {bar['value']} (at most {bar['limit']:g}): {bar['met']}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
