"""README promises only what runs: its commands and its code are executed as they stand."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text("utf-8")
EXAMPLES = ROOT / "assets" / "examples"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's folder, with the photos that README's commands name."""
    shutil.copy(EXAMPLES / "number-shirt.jpg", tmp_path / "photo.jpg")
    shutil.copy(EXAMPLES / "check-shirt-walking.jpg", tmp_path / "other.jpg")
    (tmp_path / "assets").symlink_to(ROOT / "assets")
    (tmp_path / "people" / "anna").mkdir(parents=True)
    shutil.copy(EXAMPLES / "number-shirt.jpg", tmp_path / "people" / "anna" / "1.jpg")
    return tmp_path


def run(folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "2"}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=240,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.models
def test_the_python_example_runs(folder: Path) -> None:
    (code,) = (block for block in blocks("python") if "read_image" in block)
    run(folder, sys.executable, "-c", code)
    with Image.open(folder / "out.png") as result, Image.open(folder / "photo.jpg") as photo:
        assert result.size == photo.size


@pytest.mark.models
def test_the_commands_run(folder: Path) -> None:
    (block,) = (block for block in blocks("bash") if "-m reposedm" in block)
    lines = [line for line in block.splitlines() if line.strip()]
    assert len(lines) >= 4
    for line in lines:
        name, *arguments = shlex.split(line)
        assert name == "python"
        run(folder, sys.executable, *arguments)
    assert (folder / "pose.json").exists()
    assert (folder / "map.png").exists()
    assert (folder / "out.png").exists() or (folder / "out-1.png").exists()
    assert len(list((folder / "augmented").glob("*.png"))) == 2


def test_every_linked_file_exists() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_space_header_names_the_pinned_gradio() -> None:
    pinned = re.search(r"^gradio==([\d.]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert f"sdk_version: {pinned[1]}" in README
    description = re.search(r"^short_description: (.*)$", README, re.MULTILINE)
    assert description is not None
    assert len(description[1]) <= 60, "a Space's limit"


def test_the_two_commands_are_makes() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in ("app", "test"):
        assert f"make {target}\n" in README
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)
