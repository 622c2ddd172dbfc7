"""The command line: ``python -m reposedm detect | repose | swap | augment | info | convert``.

Exit codes: 0 done, 2 something that the user can change (one line on stderr), 130 Ctrl-C.
Progress goes to stderr, results to files, ``info`` to stdout.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Literal

import reposedm
from reposedm import convert
from reposedm.augment import command as augmentation
from reposedm.errors import ImageError, PoseError, RePoseError, SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reposedm.imaging import Photo
    from reposedm.jobs.repose import ReposeResult
    from reposedm.jobs.settings import ReposeSettings
    from reposedm.jobs.swap import SwapResult
    from reposedm.pose import Pose

PACKAGES: Final = (
    "torch", "diffusers", "gradio", "mediapipe", "controlnet-aux", "numpy", "opencv-python",
    "pillow", "safetensors",
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], None] = parsed.run
    try:
        command(parsed)
    except RePoseError as error:
        return _fail(str(error))
    except OSError as error:
        reason = error.strerror or str(error)
        return _fail(f"{error.filename}: {reason}" if error.filename else reason)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130
    return 0


def detect(parsed: argparse.Namespace) -> None:
    """``detect PHOTO -o pose.json``: everybody on the photo, largest first."""
    from reposedm.jobs.detect import people_on
    from reposedm.pose import save_map_png, to_openpose

    _check_outputs([parsed.output, parsed.draw], inputs=[parsed.photo])
    photo = _photo(parsed.photo)
    found = people_on(photo.pixels, parsed.detector)
    for number, person in enumerate(found):
        box = " ".join(f"{side:.0f}" for side in person.box)
        _say(f"person {number}: box {box}, confidence {person.confidence:.2f}")
        _say_all(person.notes)
    poses = [person.pose for person in found]
    with _atomic(parsed.output) as file:
        file.write((json.dumps(to_openpose(poses), indent=1) + "\n").encode())
    _say(f"wrote {parsed.output}")
    if parsed.draw:
        with _atomic(parsed.draw) as file:
            save_map_png(poses, file)
        _say(f"wrote {parsed.draw}")


def repose(parsed: argparse.Namespace) -> None:
    """``repose PHOTO --pose ... -o out.png``: the person in another pose."""
    from reposedm.jobs.progress import show
    from reposedm.jobs.repose import check_method, fit_pose, fit_preset
    from reposedm.jobs.repose import repose as start

    settings = _settings(parsed)
    outputs = _output_names(parsed.output, settings.count, settings.method)
    inputs = [parsed.photo, parsed.source_pose, parsed.pose, parsed.pose_from]
    _check_outputs(outputs, inputs)
    check_method(settings)
    photo = _photo(parsed.photo)
    wanted = _wanted_pose(parsed, photo)
    if parsed.source_pose is None:
        body = _person(photo, parsed.person, parsed.detector)
    else:
        body = _pose_file(parsed.source_pose, photo, parsed.person)
    if parsed.preset is None:
        wanted = fit_pose(wanted, body, settings)
    else:
        wanted = fit_preset(parsed.preset, body, settings)
    result = show(start(photo.pixels, body, wanted, settings))
    _write(result, outputs, keep_settings=not parsed.no_settings)


def swap(parsed: argparse.Namespace) -> None:
    """``swap PERSON GARMENT --region top -o out.png``: the person in another garment."""
    from reposedm.jobs.methods import default_method
    from reposedm.jobs.progress import show
    from reposedm.jobs.swap import SwapSettings, check_swap_method
    from reposedm.jobs.swap import swap as start

    settings = SwapSettings(
        method=parsed.method or default_method("swap"), region=parsed.region,
        garment=parsed.garment_is, steps=parsed.steps, guidance_scale=parsed.guidance,
        seed=parsed.seed, count=parsed.count,
    )  # fmt: skip
    outputs = _output_names(parsed.output, settings.count, settings.method, "swap")
    inputs = [parsed.photo, parsed.garment, parsed.mask, parsed.source_pose, parsed.garment_pose]
    _check_outputs([*outputs, parsed.save_mask], inputs)
    check_swap_method(settings)
    photo, garment = _photo(parsed.photo), _photo(parsed.garment)
    mask = None if parsed.mask is None else _mask(parsed.mask)
    if parsed.source_pose is None:
        body = _person(photo, parsed.person, parsed.detector)
    else:
        body = _pose_file(parsed.source_pose, photo, parsed.person)
    joints = parsed.garment_pose and _pose_file(parsed.garment_pose, garment, 0)
    result = show(start(photo.pixels, body, garment.pixels, joints, settings, mask))
    _write(result, outputs, keep_settings=not parsed.no_settings, task="swap")
    if parsed.save_mask:
        with _atomic(parsed.save_mask) as file:
            result.save_mask(file)
        _say(f"wrote {parsed.save_mask}")


def _mask(path: Path) -> NDArray[np.float32]:
    """A mask file: white may change, black stays."""
    import numpy as np

    return np.asarray(_photo(path).pixels.mean(2) / 255 > 0.5, np.float32)


def info(parsed: argparse.Namespace) -> None:
    """``info``: versions, device, methods, detectors, presets."""
    from reposedm.detect import backends
    from reposedm.jobs.memory import host_memory_free
    from reposedm.jobs.methods import capabilities, method_names, unavailable
    from reposedm.jobs.runtime import choose_device
    from reposedm.pose import preset_names

    device = choose_device()
    print(f"RePoseDM {reposedm.__version__}, Python {sys.version.split()[0]}")
    print("packages: " + ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    print(f"device: {device.name}, {device.label}, {device.free_gb():.1f} GB free")
    print(f"number format of the networks: {device.dtype}")
    print(f"memory: {host_memory_free():.1f} GB free")
    print("methods:")
    for name in method_names():
        print(f"  {name}: {unavailable(name) or capabilities(name).description}")
    print("methods of swapping garments:")
    for name in method_names("swap"):
        print(f"  {name}: {unavailable(name, 'swap') or capabilities(name, 'swap').description}")
    print("detectors:")
    for name, why_not in backends().items():
        print(f"  {name}: {why_not or 'ready'}")
    print(f"presets: {', '.join(preset_names())}")


def _wanted_pose(parsed: argparse.Namespace, photo: Photo) -> Pose:
    """The pose that was asked for, on its own canvas."""
    from reposedm.pose import preset

    if parsed.preset is not None:
        return preset(parsed.preset, size=photo.size)
    if parsed.pose_from is not None:
        return _person(_photo(parsed.pose_from), parsed.pose_person, parsed.detector)
    return _pose_file(parsed.pose, photo, parsed.pose_person)


def _photo(path: Path) -> Photo:
    """A picture, and on stderr what was done to it on the way in."""
    from reposedm.imaging import read_image

    try:
        photo = read_image(path)
    except ImageError as error:
        raise ImageError(f"{path}: {error}") from error
    _say_all(photo.notes)
    return photo


def _pose_file(path: Path, photo: Photo, number: int) -> Pose:
    """One person's pose from a file."""
    from reposedm.pose import read_pose_file

    try:
        people = read_pose_file(path, photo.size)
    except PoseError as error:
        raise PoseError(f"{path}: {error}") from error
    if not 0 <= number < len(people):
        raise PoseError(f"{path}: there is no person {number}: the file holds {len(people)}")
    return people[number]


def _person(photo: Photo, number: int, detector: str) -> Pose:
    """One person of a photo; 0 is the largest."""
    from reposedm.jobs.detect import people_on

    found = people_on(photo.pixels, detector)
    if not 0 <= number < len(found):
        there = "1 person was" if len(found) == 1 else f"{len(found)} people were"
        raise SettingsError(f"there is no person {number}: {there} found, counted from 0")
    if len(found) > 1:
        _say(f"{len(found)} people found: taking person {number}, 0 being the largest")
    _say_all(found[number].notes)
    return found[number].pose


def _settings(parsed: argparse.Namespace) -> ReposeSettings:
    from reposedm.jobs.methods import default_method
    from reposedm.jobs.settings import ReposeSettings

    return ReposeSettings(
        method=parsed.method or default_method(),
        steps=parsed.steps,
        guidance_scale=parsed.guidance,
        pose_guidance_scale=parsed.pose_guidance,
        seed=parsed.seed,
        count=parsed.count,
        paste_back=not parsed.no_paste_back,
        background=parsed.background,
        color=parsed.color,
        retarget=not parsed.no_retarget,
        texture=not parsed.no_texture,
    )


def _write(
    result: ReposeResult | SwapResult, outputs: Sequence[Path], *, keep_settings: bool,
    task: Literal["repose", "swap"] = "repose",
) -> None:  # fmt: skip
    from reposedm.imaging import save_png
    from reposedm.jobs.methods import capabilities

    seeded = capabilities(result.settings["method"], task).stochastic
    _say_all(result.notes)
    # Fewer pictures than names, if memory ran out after some of them.
    for number, (image, path) in enumerate(zip(result.images, outputs, strict=False)):
        with _atomic(path) as file:
            save_png(image, file, result.settings_of(number), keep_settings=keep_settings)
        seed = f" (seed {result.seeds[number]})" if seeded else ""
        _say(f"wrote {path}{seed}")
    _say(f"{result.seconds:.1f} s, {result.peak_memory_mb:.0f} MB at most")


def _output_names(
    path: Path, count: int, method: str, task: Literal["repose", "swap"] = "repose"
) -> list[Path]:
    """out.png, or out-1.png, out-2.png ... for several, from a method that makes several."""
    from reposedm.jobs.methods import capabilities

    if path.suffix.lower() != ".png":
        raise ImageError(f"{path}: results are PNG files, choose a name that ends with .png")
    if count == 1 or not capabilities(method, task).stochastic:
        return [path]
    return [path.with_name(f"{path.stem}-{number}{path.suffix}") for number in range(1, count + 1)]


def _check_outputs(outputs: Sequence[Path | None], inputs: Sequence[Path | None]) -> None:
    """Before any work: every output has a folder, and none of them is an input or another one."""
    taken = {path.resolve() for path in inputs if path is not None}
    for path in outputs:
        if path is None:
            continue
        folder = path.parent
        if not folder.is_dir():
            raise SettingsError(f"{path}: there is no folder {folder}, make it first")
        if path.is_dir():
            raise SettingsError(f"{path} is a folder: name a file in it")
        if not os.access(folder, os.W_OK):
            raise SettingsError(f"{path}: the folder {folder} cannot be written to")
        same = path.exists() and any(there.exists() and path.samefile(there) for there in taken)
        if same or path.resolve() in taken:
            raise SettingsError(f"{path} is used already in this command: choose another name")
        taken.add(path.resolve())


@contextmanager
def _atomic(path: Path) -> Iterator[BinaryIO]:
    """A file that appears under its name when it is complete, or not at all."""
    unfinished = path.with_name(f".{path.name[:100]}.{os.getpid()}.tmp")
    try:
        with unfinished.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "(not installed)"


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _say_all(notes: Sequence[str]) -> None:
    for note in notes:
        _say(f"note: {note}")


def _fail(message: str) -> int:
    """One line, whatever the message."""
    print(f"reposedm: {' '.join(message.split())}", file=sys.stderr)
    return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="reposedm", description="Repose the person in a photograph."
    )
    parser.add_argument("--version", action="version", version=f"RePoseDM {reposedm.__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("detect", help="write the poses of the people on a photo")
    one.set_defaults(run=detect)
    one.add_argument("photo", type=Path, metavar="PHOTO")
    one.add_argument("-o", "--output", type=Path, required=True, metavar="POSE.json")
    one.add_argument("--draw", type=Path, metavar="MAP.png", help="also draw the skeletons")
    _add_detector(one)

    two = commands.add_parser("repose", help="put the person of a photo into another pose")
    two.set_defaults(run=repose)
    _add_repose(two)

    swapping = commands.add_parser("swap", help="put the person of a photo into another garment")
    swapping.set_defaults(run=swap)
    _add_swap(swapping)

    three = commands.add_parser("info", help="show versions, device, methods, presets")
    three.set_defaults(run=info)

    augmentation.add_parser(commands)
    convert.add_parser(commands)
    return parser


def _add_repose(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photo", type=Path, metavar="PHOTO")
    wanted = parser.add_mutually_exclusive_group(required=True)
    wanted.add_argument("--pose", type=Path, metavar="POSE.json", help="OpenPose JSON, or ours")
    wanted.add_argument("--pose-from", type=Path, metavar="PHOTO2", help="the pose of this photo")
    wanted.add_argument("--preset", metavar="NAME", help="a pose by its name, see: info")
    add("--pose-person", type=int, default=0, metavar="K", help="who of --pose or --pose-from")
    add("--pose-guidance", type=float, metavar="X", help="more: closer to the pose alone")
    add("--no-paste-back", action="store_true", help="only the part that the method works on")
    add("--background", choices=("photo", "transparent", "plain"), default="photo")
    add("--color", default="#ffffff", metavar="#RRGGBB", help="of the plain background")
    add("--no-retarget", action="store_true", help="keep the pose's own body proportions")
    add("--no-texture", action="store_true", help="the network's pixels alone, none of the photo's")
    _add_run(parser, "the photo and the pose")


def _add_swap(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("photo", type=Path, metavar="PERSON")
    add("garment", type=Path, metavar="GARMENT", help="worn by somebody, or on a plain ground")
    add("--region", default="top", metavar="NAME",
        help="top, bottom, dress, outerwear, shoes or outfit (default: %(default)s)")  # fmt: skip
    add("--garment-is", default="auto", metavar="KIND", help="worn, product or auto (default)")
    add("--mask", type=Path, metavar="MASK.png", help="white: may change; default: automatic")
    add("--save-mask", type=Path, metavar="MASK.png", help="also write the mask that was used")
    add("--garment-pose", type=Path, metavar="POSE.json", help="the garment's; default: found")
    _add_run(parser, "the garment")


def _add_run(parser: argparse.ArgumentParser, guide: str) -> None:
    """What all commands that make pictures of a person understand."""
    add = parser.add_argument
    add("-o", "--output", type=Path, required=True, metavar="OUT.png")
    add("--person", type=int, default=0, metavar="K", help="who on the photo; 0: the largest")
    add("--source-pose", type=Path, metavar="POSE.json", help="their pose; default: detected")
    # Which method is the default is looked up later: that imports numpy and OpenCV (C-97).
    add("--method", metavar="NAME", help="see: info (default: the best whose weights are here)")
    add("--steps", type=int, metavar="N", help="more: slower and finer")
    add("--guidance", type=float, metavar="X", help=f"more: closer to {guide}")
    add("--seed", type=int, metavar="N", help="same seed, same picture; default: drawn, and shown")
    add("--count", type=int, default=1, metavar="N", help="how many pictures: OUT-1.png, ...")
    add("--no-settings", action="store_true", help="do not store the settings in the picture")
    _add_detector(parser)


def _add_detector(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detector", default="mediapipe", metavar="NAME", help="see: info (default: %(default)s)"
    )
