"""MakeHuman's text files: meshes, morph targets, fitted clothes, poses."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from training.sample import DataError

Array = NDArray[Any]

_TO_MESH: Final = np.array(((1, 0, 0), (0, 0, 1), (0, -1, 0)), np.float64)
"""From a BVH's axes (z up) to the mesh's (y up, z to the front)."""


@dataclass(frozen=True, eq=False)
class ObjFile:
    """A mesh file: float32 (N, 3), float32 (M, 2), and faces (vertices, uvs, group)."""

    vertices: Array
    uv: Array
    faces: list[tuple[list[int], list[int], str]]

    def triangles(self, group: str = "") -> tuple[Array, Array]:
        """int32 (T, 3) and float32 (T, 3, 2) of a group, or of all."""
        corners, coordinates = [], []
        for vertices, uvs, name in self.faces:
            if group and name != group:
                continue
            for k in range(1, len(vertices) - 1):
                corners.append((vertices[0], vertices[k], vertices[k + 1]))
                coordinates.append(self.uv[[uvs[0], uvs[k], uvs[k + 1]]])
        return np.array(corners, np.int32), np.array(coordinates, np.float32)


def lines_of(path: Path) -> list[str]:
    """The lines of a text file."""
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def read_obj(path: Path) -> ObjFile:
    """A Wavefront OBJ file; polygons are kept."""
    vertices, uv, faces, group = [], [], [], ""
    for line in lines_of(path):
        key, *rest = line.split() or [""]
        if key == "v":
            vertices.append([float(x) for x in rest[:3]])
        elif key == "vt":
            uv.append([float(x) for x in rest[:2]])
        elif key == "g":
            group = rest[0] if rest else ""
        elif key == "f":
            corners = [corner.split("/") for corner in rest]
            uvs = [int(c[1]) - 1 if len(c) > 1 and c[1] else 0 for c in corners]
            faces.append(([int(c[0]) - 1 for c in corners], uvs, group))
    return ObjFile(np.array(vertices, np.float32), np.array(uv or [[0.0, 0.0]], np.float32), faces)


def read_target(path: Path, count: int) -> NDArray[np.float16]:
    """A morph target: offsets (count, 3)."""
    out = np.zeros((count, 3), np.float16)
    for line in lines_of(path):
        words = line.split()
        if len(words) == 4 and words[0].isdigit():
            out[int(words[0])] = [float(x) for x in words[1:]]
    return out


@dataclass
class Fit:
    """How a piece of clothing hangs on the base mesh.

    Attributes:
        obj: its mesh file.
        scale: (3, 3) of each axis: two vertices and their distance.
        corners: three vertices of the base mesh for each of its own.
        shares: their weights; may be negative.
        offsets: from there.
        hidden: vertices of the base mesh that it covers.
    """

    obj: str = ""
    scale: Array = field(default_factory=lambda: np.zeros((3, 3)))
    corners: list[list[int]] = field(default_factory=list)
    shares: list[list[float]] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    hidden: set[int] = field(default_factory=set)


def read_mhclo(path: Path) -> Fit:
    """A MHCLO file. Header keys may come after ``verts``: an unknown key ends no section."""
    fit, section = Fit(), ""
    for line in lines_of(path):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        key = words[0]
        if key == "obj_file":
            fit.obj = words[1]
        elif key in ("x_scale", "y_scale", "z_scale"):
            fit.scale["xyz".index(key[0])] = [float(x) for x in words[1:4]]
        elif key in ("verts", "delete_verts"):
            section = key
        elif section == "verts" and key.isdigit():
            _add_vertex(fit, words)
        elif section == "delete_verts" and key.isdigit():
            fit.hidden |= _ranges(words)
    if not fit.obj or not fit.corners:
        raise DataError(f"{path} is not a MHCLO file: it names no mesh or fits no vertex")
    return fit


def _add_vertex(fit: Fit, words: list[str]) -> None:
    if len(words) == 1:
        fit.corners.append([int(words[0])] * 3)
        fit.shares.append([1.0, 0.0, 0.0])
        fit.offsets.append([0.0, 0.0, 0.0])
    elif len(words) >= 9:
        fit.corners.append([int(x) for x in words[:3]])
        fit.shares.append([float(x) for x in words[3:6]])
        fit.offsets.append([float(x) for x in words[6:9]])


def _ranges(words: list[str]) -> set[int]:
    """Numbers of a list like ``3 7 - 9``."""
    out: set[int] = set()
    text = re.sub(r"\s*-\s*", "-", " ".join(words))
    for item in text.split():
        first, _, last = item.partition("-")
        if first.isdigit() and (not last or last.isdigit()):
            out |= set(range(int(first), int(last or first) + 1))
    return out


def read_bvh(path: Path, bones: dict[str, int]) -> NDArray[np.float32]:
    """A pose: local rotations (bones, 3, 3) aligned with the mesh's axes.

    Rotations are applied in the order of the channels; positions of joints are ignored.
    """
    channels: list[tuple[str, str]] = []
    values: list[float] = []
    name = ""
    for line in lines_of(path):
        words = line.split()
        if not words:
            continue
        if words[0] in ("ROOT", "JOINT"):
            name = words[1]
        elif words[0] == "CHANNELS":
            channels += [(name, channel) for channel in words[2:]]
        elif len(words) == len(channels) and words[0].lstrip("-")[0].isdigit():
            values = [float(x) for x in words]
            break
    turned = np.tile(np.eye(3), (len(bones), 1, 1))
    for (bone, channel), degrees in zip(channels, values, strict=False):
        if channel.endswith("rotation") and bone in bones:
            turned[bones[bone]] = turned[bones[bone]] @ _about(channel[0], degrees)
    return np.asarray(_TO_MESH @ turned @ _TO_MESH.T, np.float32)


def _about(axis: str, degrees: float) -> Array:
    index = "XYZ".index(axis)
    a, b = (index + 1) % 3, (index + 2) % 3
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    out = np.eye(3)
    out[a, a], out[a, b], out[b, a], out[b, b] = cos, -sin, sin, cos
    return out
