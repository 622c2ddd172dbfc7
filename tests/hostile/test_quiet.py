"""Rows C-97 and C-99: importing does nothing, and nothing is sent anywhere.

Both run in a fresh Python with an audit hook, which sees every file, socket and process that
Python code touches.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

IMPORTS = """
import importlib, os, pkgutil, sys, threading
# What the top of our modules may import; their own behaviour is not ours to judge.
import cv2, numpy, PIL.Image, PIL.ImageCms, PIL.PngImagePlugin, psutil
import importlib.resources, importlib.metadata, concurrent.futures, multiprocessing
if @LAYER == "ui":
    import gradio
if @LAYER == "networks":
    import diffusers.configuration_utils, diffusers.models.modeling_utils, safetensors.torch
sys.dont_write_bytecode = True
FINE = (".py", ".pyc", ".so", ".pyd")
# Gradio writes a stub beside every module that defines a component; ours are in .gitignore.
STUBS = (
    "pose_editor/component.pyi", "reposedm/ui/safe_image.pyi", "reposedm/ui/mask_editor.pyi",
) if @LAYER == "ui" else ()
seen = []
def hook(event, args):
    if event == "open":
        path, mode, flags = args
        writes = isinstance(mode, str) and set(mode) & set("wax+")
        if str(path).replace(os.sep, "/").endswith(STUBS):
            return
        if isinstance(path, int) or not (str(path).endswith(FINE) and not writes):
            seen.append(f"open {path!r} {mode!r}")
    elif event.split(".")[0] in ("socket", "subprocess", "shutil", "tempfile", "urllib"):
        seen.append(f"{event} {args!r}"[:200])
    elif event in (
        "os.system", "os.exec", "os.fork", "os.posix_spawn", "os.mkdir", "os.remove", "os.rename",
        "os.chdir", "os.putenv", "os.unsetenv", "os.chmod", "os.symlink", "os.link",
    ):
        seen.append(f"{event} {args!r}"[:200])
def state():
    import logging, signal, warnings
    return (
        dict(os.environ), os.getcwd(), threading.active_count(), list(logging.root.handlers),
        logging.root.level, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        list(warnings.filters), numpy.geterr(), cv2.getNumThreads(),
    )
sys.path.insert(0, @ROOT)
import reposedm
before, heavy_before = state(), set(sys.modules)
sys.addaudithook(hook)
LAYERS = {"reposedm.ui": "ui", "reposedm.models": "networks", "reposedm.diffusion": "networks"}
LAYERS |= {
    f"reposedm.pipelines.{name}": "networks"
    for name in (
        "baselines", "conditions", "finest", "garment", "networks", "output", "reposedm", "run",
        "sampling", "street", "swap", "turns", "weights",
    )
}
names = [
    found.name
    for found in pkgutil.walk_packages(reposedm.__path__, "reposedm.")
    if LAYERS.get(found.name, LAYERS.get(".".join(found.name.split(".")[:2]), "library")) == @LAYER
    and not found.name.endswith("__main__")
]
for name in names:
    count = len(seen)
    importlib.import_module(name)
    if len(seen) > count:
        print("TOUCHED", name, seen[count:])
    if state() != before:
        print("CHANGED", name)
        break
heavy = {"torch", "mediapipe", "controlnet_aux", "diffusers", "transformers", "gradio"}
for module in sorted(heavy & (set(sys.modules) - heavy_before)):
    print("LOADED", module)
if "torch" in sys.modules and sys.modules["torch"].cuda.is_initialized():
    print("STARTED CUDA")
print("imported", len(names))
"""

OFFLINE = """
import sys
sys.path.insert(0, @ROOT)
def hook(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto"):
        raise SystemExit(f"network: {event} {args!r}")
sys.addaudithook(hook)
from reposedm.jobs.repose import repose
from reposedm.jobs.settings import ReposeSettings
from tests.drawn import arms_up, photo
image, pose, mask = photo()
job = repose(image, pose, arms_up(pose), ReposeSettings(method="preview"), source_mask=mask)
steps = 0
try:
    while True:
        next(job)
        steps += 1
except StopIteration as stop:
    print("made", stop.value.images[0].shape, "torch" in sys.modules)
"""


def filled(code: str, layer: str = "") -> str:
    return code.replace("@ROOT", repr(str(ROOT))).replace("@LAYER", repr(layer))


def run(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize(("layer", "least"), [("library", 30), ("networks", 2), ("ui", 3)])
@pytest.mark.heavy
def test_c99_importing_any_module_touches_nothing(layer: str, least: int) -> None:
    """Only networks may import torch, and only the page gradio: both are classes of theirs."""
    said = run(filled(IMPORTS, layer)).splitlines()
    assert said[:-1] == []
    assert said[-1].startswith("imported ") and int(said[-1].split()[1]) >= least


@pytest.mark.heavy
def test_c97_a_picture_is_made_without_a_network_and_without_torch() -> None:
    assert run(filled(OFFLINE)).strip() == "made (128, 96, 3) False"


def test_c97_the_command_line_starts_light() -> None:
    """``--help`` loads neither torch nor numpy, so it answers at once."""
    code = (
        "import sys; sys.argv = ['reposedm', '--help']\n"
        "from reposedm.cli import main\n"
        "try:\n    main()\nexcept SystemExit as stop:\n    assert stop.code == 0\n"
        "print(sorted({'torch', 'numpy', 'cv2', 'gradio', 'mediapipe'} & set(sys.modules)))"
    )
    assert run(code).splitlines()[-1] == "[]"
