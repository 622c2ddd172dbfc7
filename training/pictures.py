"""The slow part of preparing a data set: every picture decoded, framed, written; resumable.

``progress.jsonl`` of the prepared folder has a line for every picture that is done, or cannot be.
A picture is done again only when its file, its annotation or its pose file has changed.
"""

from __future__ import annotations

import hashlib
import io
import json
import multiprocessing
import os
import re
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypedDict

import cv2
from PIL import Image

from reposedm.errors import DetectionError, RePoseError
from reposedm.imaging import MIN_SIDE_IN_ARCHIVE, read_image
from training.datasets import coco_poses, deepfashion, folder, market
from training.datasets.records import Framed, Options, Picture, plain
from training.files import write_atomically
from training.index import pose_record

FAMILIES: Final[Mapping[str, ModuleType]] = {
    "deepfashion": deepfashion,
    "market": market,
    "folder": folder,
    "coco": coco_poses,
}
PROGRESS: Final = "progress.jsonl"
JPEG_QUALITY: Final = 95


class Done(TypedDict):
    """A line of ``progress.jsonl``: what became of a picture.

    ``key`` tells whether the line still holds; with a ``problem`` there is no file.
    """

    name: str
    key: str
    problem: str
    file: str
    sha256: str
    alpha: str
    people: list[dict[str, Any]]


Task = tuple[Picture, str]
"""A picture and the file it is written to, relative to the prepared folder."""


def prepare_pictures(tasks: Sequence[Task], options: Options) -> Iterator[Done]:
    """What became of each picture, those done before first. Safe to kill, and to run again.

    Raises:
        DetectionError: the detector that is needed cannot run.
    """
    before = read_progress(options.out / PROGRESS)
    todo: list[tuple[Picture, str]] = []
    for task in tasks:
        line = before.get(task[0].name)
        if line is not None and _still_holds(line, task, options):
            yield line
        else:
            todo.append(task)
    if not todo:
        return
    with open(options.out / PROGRESS, "ab") as progress:
        if progress.tell() and not _ends_with_newline(options.out / PROGRESS):
            progress.write(b"\n")  # the last run was killed in the middle of a line
        for done in _done(todo, options):
            progress.write(json.dumps(done, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            progress.flush()
            yield done


def output_files(pictures: Sequence[Picture], suffix: str) -> list[Task]:
    """Each picture with the file it is written to: readable, safe on every system, and unique."""
    taken: set[str] = set()
    tasks = []
    for picture in pictures:
        stem = os.path.splitext(picture.name)[0]
        safe = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip(".-")[:80]
        digest = hashlib.sha256(picture.name.encode("utf-8", "replace")).hexdigest()[:10]
        if safe != stem or f"{picture.split}/{safe.lower()}" in taken:
            safe = f"{safe}-{digest}".lstrip("-")
        taken.add(f"{picture.split}/{safe.lower()}")
        tasks.append((picture, f"images/{picture.split}/{safe}.{suffix}"))
    return tasks


def read_progress(path: Path) -> dict[str, Done]:
    """The last line of each picture; broken lines, of a killed run, do not count."""
    lines: dict[str, Done] = {}
    try:
        data = path.read_bytes()
    except OSError:
        return lines
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and line.keys() == Done.__annotations__.keys():
            lines[line["name"]] = line  # type: ignore[assignment]
    return lines


def make_picture(picture: Picture, file: str, options: Options) -> Done:
    """Decode, frame and write one picture; a problem with it is an answer, not an error.

    Raises:
        DetectionError: the detector cannot run at all.
    """
    done: Done = {
        "name": picture.name,
        "key": _key(picture, options),
        "problem": "",
        "file": file,
        "sha256": "",
        "alpha": "",
        "people": [],
    }
    try:
        pixels = read_image(picture.path, min_side=MIN_SIDE_IN_ARCHIVE).pixels
        framed: Framed = FAMILIES[options.kind].frame(picture, pixels, options)
    except DetectionError:
        raise
    except RePoseError as error:
        return {**done, "key": _key(picture, options), "problem": plain(error, 200), "file": ""}
    data = _encoded(Image.fromarray(framed.pixels), options.image_format)
    write_atomically(options.out / file, data, durable=False)
    done["sha256"] = hashlib.sha256(data).hexdigest()
    done["people"] = [pose_record(pose) for pose in framed.people]
    if framed.alpha is not None:
        done["alpha"] = f"alpha/{os.path.splitext(file)[0].removeprefix('images/')}.png"
        alpha = _encoded(Image.fromarray(framed.alpha), "png")
        write_atomically(options.out / done["alpha"], alpha, durable=False)
    done["key"] = _key(picture, options)  # a pose file may have been made on the way
    return done


def _done(todo: Sequence[Task], options: Options) -> Iterator[Done]:
    if options.workers == 1:
        for picture, file in todo:
            yield make_picture(picture, file, options)
        return
    waiting = list(reversed(todo))
    while waiting:
        lost: list[Task] = []
        with _pool(options.workers) as pool:
            running: dict[Future[Done], Task] = {}
            while waiting or running:
                while waiting and len(running) < 4 * options.workers and not lost:
                    task = waiting.pop()
                    try:
                        running[pool.submit(make_picture, *task, options)] = task
                    except BrokenProcessPool:
                        lost.append(task)
                finished, _ = wait(running, return_when=FIRST_COMPLETED)  # none: at once
                for future in finished:
                    task = running.pop(future)
                    try:
                        yield future.result()
                    except BrokenProcessPool:
                        lost.append(task)
                if lost and not running:
                    break
        for task in lost:  # one of them killed its process: find it, and lose no other
            yield _alone(task, options)


def _alone(task: Task, options: Options) -> Done:
    with _pool(1) as pool:
        try:
            return pool.submit(make_picture, *task, options).result()
        except BrokenProcessPool:
            return {
                "name": task[0].name,
                "key": _key(task[0], options),
                "problem": "the process that decoded it crashed, or ran out of memory",
                "file": "",
                "sha256": "",
                "alpha": "",
                "people": [],
            }


def _pool(workers: int) -> ProcessPoolExecutor:
    # Spawned, not forked: detectors start threads, and a fork of a process with threads can hang.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(workers, context, initializer=_start_worker)


def _start_worker() -> None:
    """One thread of work a process, which ends when its parent does, however that ends."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _still_holds(line: Done, task: Task, options: Options) -> bool:
    picture, file = task
    if line["key"] != _key(picture, options):
        return False
    if line["problem"]:
        return True
    files = [name for name in (line["file"], line["alpha"]) if name]
    return line["file"] == file and all((options.out / name).is_file() for name in files)


def _key(picture: Picture, options: Options) -> str:
    """Changes when anything does that the result depends on."""
    paths = [Path(picture.path)]
    if options.kind == "folder":
        paths += folder.pose_files(picture, options)
    stats = []
    for path in paths:
        try:
            stat = path.stat()
            stats.append((path.name, stat.st_size, stat.st_mtime_ns))
        except OSError:
            stats.append((path.name, -1, -1))
    how = (options.size, options.image_format, options.masks, options.detector)
    what = (picture.people, picture.padded, picture.split, picture.person)
    return hashlib.sha256(repr((stats, how, what)).encode("utf-8", "replace")).hexdigest()[:24]


def _ends_with_newline(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def _encoded(image: Image.Image, image_format: str) -> bytes:
    file = io.BytesIO()
    if image_format == "png":
        image.save(file, "PNG", compress_level=4)
    else:
        image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return file.getvalue()
