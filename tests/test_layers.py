"""The import directions of the architecture, read from the source, not from a running program."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Each layer may import itself and what is listed; the order is the architecture.
ALLOWED = {
    "reposedm.errors": set(),
    "reposedm.files": {"reposedm.errors"},
    "reposedm.weights": {"reposedm.errors"},
    "reposedm.pose": {"reposedm.errors"},
    "reposedm.imaging": {"reposedm.errors", "reposedm.pose"},
    "reposedm.diffusion": {"reposedm.errors"},
    "reposedm.models": {"reposedm.errors", "reposedm.weights", "reposedm.diffusion"},
    "reposedm.detect": {
        "reposedm.errors", "reposedm.weights", "reposedm.pose", "reposedm.imaging",
        "reposedm.models",
    },
    "reposedm.garments": {
        "reposedm.errors", "reposedm.weights", "reposedm.pose", "reposedm.imaging",
        "reposedm.models", "reposedm.detect",
    },
    "reposedm.pipelines": {
        "reposedm.garments",
        "reposedm.errors", "reposedm.weights", "reposedm.pose", "reposedm.imaging",
        "reposedm.diffusion", "reposedm.models",
    },
    "pose_editor": {"reposedm.errors", "reposedm.pose", "gradio"},
}  # fmt: skip
ALLOWED["reposedm.jobs"] = {name for name in ALLOWED if name.startswith("reposedm.")}
ALLOWED["reposedm.augment"] = {name for name in ALLOWED if name.startswith("reposedm.")}
ALLOWED["reposedm.ui"] = {*ALLOWED, "gradio"}
ALLOWED["reposedm.cli"] = {name for name in ALLOWED if name not in ("reposedm.ui", "pose_editor")}
ALLOWED["reposedm.convert"] = {"reposedm.errors", "reposedm.weights", "reposedm.models"}
ALLOWED["reposedm.cli"].add("reposedm.convert")
ALLOWED["reposedm.__main__"] = {"reposedm.cli"}
ALLOWED["app"] = {"reposedm.ui", "reposedm.jobs", "reposedm.errors", "gradio"}
ALLOWED["training"] = {
    name for name in ALLOWED if name.startswith("reposedm.") and name != "reposedm.ui"
}
OURS = ("reposedm", "pose_editor", "training", "app")


def layer_of(module: str) -> str:
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "reposedm" else parts[0]


def modules() -> list[Path]:
    files = [ROOT / "app.py"]
    for package in ("reposedm", "pose_editor", "training"):
        files += sorted((ROOT / package).rglob("*.py"))
    return [file for file in files if file.exists()]


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: write absolute imports"
            found |= {node.module or ""}
            if node.module == "reposedm":
                found |= {f"reposedm.{name.name}" for name in node.names}
    return found


@pytest.mark.parametrize("file", modules(), ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_down(file: Path) -> None:
    module = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    layer = layer_of(module)
    if layer == "reposedm":
        return
    for name in imports(file):
        target = layer_of(name)
        if name.split(".")[0] in (*OURS, "gradio") and target not in (layer, "reposedm"):
            assert target in ALLOWED[layer], f"{module} must not import {name}"
