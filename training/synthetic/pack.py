"""Builds the asset pack from clones of MakeHuman's repositories; only CC0 files are read.

--makehuman   makehumancommunity/makehuman: base mesh, rig, morph targets, eyes
--assets      makehumancommunity/makehuman-assets: clothes, hair, poses (textures: LFS pointers)
--textures    the same tree with the textures themselves, each checked against its pointer
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from training.sample import DataError
from training.synthetic.assets import ARRAYS, TEXTURES
from training.synthetic.formats import read_bvh, read_mhclo, read_obj, read_target
from training.synthetic.licence import Ledger

Array = NDArray[Any]

SEXES: Final = ("female", "male")
AGES: Final = ("young", "old")
"""Adults only."""
LEVELS: Final = ("min", "average", "max")
DETAILS: Final = (
    "head", "nose", "chin", "cheek", "mouth", "eyes", "forehead", "ears", "hip", "stomach",
    "torso", "buttocks",
)  # fmt: skip
DETAILS_OF_EACH: Final = 4
_DETAIL: Final = re.compile(
    r"(incr|decr|in|out|up|down|square|oval|round|rectangular|triangular|inverted.*|diamond|"
    r"convex|concave)\.target$"
)
EYES: Final = ("blue", "bluegreen", "brownlight", "green", "grey", "deepblue")


def build_pack(
    makehuman: str, assets: str, textures: str, out: str, texture_size: int = 512
) -> str:
    """Write the pack; a report of every file used and refused.

    Raises:
        DataError: a folder lacks what is needed, or a needed file is not CC0.
    """
    builder = Builder(Path(makehuman), Path(assets), Path(textures), Path(out), texture_size)
    builder.base_mesh()
    builder.rig()
    builder.morph_targets()
    builder.items()
    builder.poses()
    return builder.save()


class Builder:
    """Collects the arrays of a pack."""

    def __init__(self, makehuman: Path, assets: Path, textures: Path, out: Path, side: int) -> None:
        """Find the three trees."""
        self.core = _inside(makehuman, "makehuman/data", "data", "3dobjs/base.obj")
        self.clothes = _inside(assets, "base", ".", "clothes")
        self.pictures = _inside(textures, "base", ".", "clothes")
        self.out, self.side = out, side
        self.ledger = Ledger()
        self.arrays: dict[str, Array] = {}
        self.meta: dict[str, Any] = {"items": {}}
        (out / TEXTURES).mkdir(parents=True, exist_ok=True)

    def needed(self, path: Path) -> Path:
        """The path, when its file is CC0.

        Raises:
            DataError: it is absent, or nothing says that it is.
        """
        if not self.ledger.allows(path):
            raise DataError(f"{path} is needed, but is absent or nothing in it says CC0")
        return path

    def base_mesh(self) -> None:
        """Vertices, and the triangles of body and helper surfaces."""
        mesh = read_obj(self.needed(self.core / "3dobjs/base.obj"))
        self.arrays["base_v"] = mesh.vertices
        for name, group in (
            ("body", "body"), ("tights", "helper-tights"), ("skirt", "helper-skirt")
        ):  # fmt: skip
            self.arrays[f"{name}_tri"], self.arrays[f"{name}_uv"] = mesh.triangles(group)

    def rig(self) -> None:
        """Bones breadth first, their joint cubes, and four weights a vertex."""
        rig = json.loads(self.needed(self.core / "rigs/default.mhskel").read_text("utf-8"))
        file = self.needed(self.core / "rigs/default_weights.mhw")
        weights = json.loads(file.read_text("utf-8"))["weights"]
        children: dict[str, list[str]] = {}
        for bone, of in rig["bones"].items():
            children.setdefault(of["parent"], []).append(bone)
        bones, waiting = [], ["root"]
        while waiting:
            bone = waiting.pop(0)
            bones.append(bone)
            waiting += sorted(children.get(bone, []))
        self.bone = {name: index for index, name in enumerate(bones)}
        parents = [self.bone.get(rig["bones"][bone]["parent"], -1) for bone in bones]
        self.arrays["bone_parent"] = np.array(parents, np.int32)
        for end in ("head", "tail"):
            cubes = np.full((len(bones), 8), -1, np.int32)
            for bone, index in self.bone.items():
                listed = rig["joints"][rig["bones"][bone][end]][:8]
                cubes[index, : len(listed)] = listed
            self.arrays[f"bone_{end}"] = cubes
        self.meta["bones"] = bones
        dense = np.zeros((len(self.arrays["base_v"]), len(bones)), np.float32)
        for bone, pairs in weights.items():
            for vertex, weight in pairs:
                dense[vertex, self.bone[bone]] = weight
        dense[dense.sum(1) < 1e-3, self.bone["spine03"]] = 1
        self.weights = dense / dense.sum(1, keepdims=True)
        self.arrays["base_bi"], self.arrays["base_bw"] = strongest(self.weights)

    def morph_targets(self) -> None:
        """Ancestry, muscle and weight, height, proportion, cup size, and details."""
        macro = self.core / "targets/macrodetails"
        files: dict[str, Path] = {}
        for sex in SEXES:
            for age in AGES:
                who, plain = f"{sex}-{age}", f"{sex}-{age}-averagemuscle-averageweight"
                for race in ("african", "asian", "caucasian"):
                    files[f"race/{race}-{who}"] = macro / f"{race}-{who}.target"
                for muscle in LEVELS:
                    for weight in LEVELS:
                        name = f"universal-{who}-{muscle}muscle-{weight}weight.target"
                        files[f"uni/{who}-{muscle}-{weight}"] = macro / name
                for end in ("min", "max"):
                    path = macro / f"height/{plain}-{end}height.target"
                    files[f"height/{who}-{end}"] = path
                for kind in ("ideal", "uncommon"):
                    path = macro / f"proportions/{plain}-{kind}proportions.target"
                    files[f"prop/{who}-{kind}"] = path
        for end in ("min", "max"):
            name = f"female-young-averagemuscle-averageweight-{end}cup-averagefirmness.target"
            files[f"breast/{end}"] = self.core / "targets/breast" / name
        for group in DETAILS:
            for path in chosen_details(self.core / "targets" / group):
                files[f"detail/{group}-{path.stem}"] = path
        count = len(self.arrays["base_v"])
        offsets = [read_target(self.needed(path), count) for path in files.values()]
        self.arrays["targets"] = np.stack(offsets)
        self.meta["targets"] = list(files)

    def items(self) -> None:
        """Clothes, shoes, hat, hair, brows, lashes, eyes and skins, with their textures."""
        for path in sorted((self.clothes / "clothes").glob("*/*.mhclo")):
            if "cocked" in path.name:
                continue
            name = path.stem
            kind = "suit" if "suit" in name else "shoes" if "shoes" in name else "hat"
            if self._item(kind, path):
                for map_kind in ("diffuse", "ao", "normal"):
                    file = f"clothes/{path.parent.name}/{path.parent.name}_{map_kind}.png"
                    self._texture(file, f"{name}_{map_kind}")
        for folder, kind in (("hair", "hair"), ("eyebrows", "brow"), ("eyelashes", "lash")):
            for path in sorted((self.clothes / folder).glob("*/*.mhclo")):
                if path.stem != path.parent.name or (kind == "lash" and path.stem[-2:] != "01"):
                    continue
                if self._item(kind, path):
                    suffix = "_diffuse" if kind == "hair" else ""
                    file = f"{folder}/{path.stem}/{path.stem}{suffix}.png"
                    self._texture(file, path.stem + suffix)
        self._item("eyes", self.core / "eyes/low-poly/low-poly.mhclo")
        brown = self.needed(self.core / "eyes/materials/brown_eye.png")
        self._write(brown, "eye_brown")
        for color in EYES:
            self._texture(f"eyes/materials/{color}_eye.png", f"eye_{color}")
        for path in sorted((self.pictures / "skins/textures").glob("*.png")):
            if "suit" not in path.name:
                name = "skin_" + path.stem.replace("_diffuse", "")
                self._texture(f"skins/textures/{path.name}", name)

    def _item(self, kind: str, path: Path) -> bool:
        """Add a fitted mesh; False where it is refused."""
        if not self.ledger.allows(path):
            return False
        fit = read_mhclo(path)
        file = path.parent / fit.obj
        if not self.ledger.allows(file):
            return False
        mesh, name = read_obj(file), path.stem
        if len(mesh.vertices) != len(fit.corners):
            raise DataError(f"{path} fits {len(fit.corners)} vertices of {len(mesh.vertices)}")
        triangles, uv = mesh.triangles()
        corners, shares = np.array(fit.corners, np.int32), np.array(fit.shares, np.float32)
        clipped = np.clip(shares, 0, 1)[..., None]
        mixed = (clipped * self.weights[corners]).sum(1)
        lost = mixed.sum(1) < 1e-3
        mixed[lost] = self.weights[corners[lost, 0]]
        bones, weights = strongest(mixed)
        numbers = connected(len(mesh.vertices), triangles)
        self.arrays |= {
            f"{name}/{key}": value
            for key, value in {
                "ri": corners, "rw": shares, "ro": np.array(fit.offsets, np.float32),
                "tri": triangles, "uv": uv, "bi": bones, "bw": weights,
                "del": np.array(sorted(fit.hidden), np.int32), "scale": fit.scale,
                "comp": numbers,
            }.items()
        }  # fmt: skip
        self.meta["items"][name] = {"kind": kind, "ncomp": int(numbers.max()) + 1}
        return True

    def _texture(self, file: str, name: str) -> None:
        """Take a texture whose content is what the CC0 repository's pointer names."""
        path = self.pictures / file
        if path.is_file() and self.ledger.allows(path, self.clothes / file):
            self._write(path, name)

    def _write(self, path: Path, name: str) -> None:
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None:
            raise DataError(f"{path} is not a picture")
        cv2.imwrite(str(self.out / TEXTURES / f"{name}.png"), shrunk(image, self.side))

    def poses(self) -> None:
        """The library's poses."""
        found = {
            path.stem: read_bvh(path, self.bone)
            for path in sorted((self.clothes / "poses").glob("*.bvh"))
            if self.ledger.allows(path)
        }
        self.meta["poses"] = list(found)
        stacked = np.stack(list(found.values())) if found else np.zeros((0, len(self.bone), 3, 3))
        self.arrays["poses"] = stacked.astype(np.float32)

    def save(self) -> str:
        """Write the arrays; the report."""
        self.meta["files"] = sorted(Path(name).name for name in self.ledger.used)
        meta = np.frombuffer(json.dumps(self.meta).encode(), np.uint8)
        np.savez_compressed(self.out / ARRAYS, meta=meta, **self.arrays)
        return self.ledger.report()


def _inside(folder: Path, *choices: str) -> Path:
    """The first of some sub-folders that holds the last of the names."""
    *places, needed = choices
    for place in places:
        if (folder / place / needed).exists():
            return folder / place
    raise DataError(f"{folder} has no {needed}: is it the right clone?")


def strongest(weights: Array) -> tuple[Array, Array]:
    """The four strongest bones of each vertex, (N, 4), and their shares."""
    order = np.argsort(-weights, axis=1)[:, :4].astype(np.int32)
    chosen = np.take_along_axis(weights, order, 1)
    return order, (chosen / chosen.sum(1, keepdims=True)).astype(np.float32)


def connected(count: int, triangles: Array) -> NDArray[np.int32]:
    """Number (count,) of the connected component of each vertex, by their first vertices."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    rows, columns = triangles[:, (0, 1)].ravel(), triangles[:, (1, 2)].ravel()
    links = coo_matrix((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    _, labels = connected_components(links, directed=False)
    _, first = np.unique(labels, return_index=True)
    return np.argsort(np.argsort(first)).astype(np.int32)[labels]


def chosen_details(folder: Path) -> list[Path]:
    """Four targets of a group, always the same."""
    files = sorted(p.name for p in folder.glob("*.target") if _DETAIL.search(p.name))
    files = [name for name in files if "scale-depth" not in name]
    order = np.random.default_rng(1).permutation(files)
    return [folder / str(name) for name in sorted(order[:DETAILS_OF_EACH])]


def shrunk(image: Array, side: int) -> NDArray[np.uint8]:
    """A texture of at most ``side`` pixels; colour stays clean where it is transparent."""
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    size = (min(side, image.shape[1]), min(side, image.shape[0]))
    if image.ndim == 2 or image.shape[2] == 3:
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    alpha = image[..., 3].astype(np.float32) / 255
    colors = image[..., :3].astype(np.float32) * alpha[..., None]
    colors = cv2.resize(colors, size, interpolation=cv2.INTER_AREA)
    alpha = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[..., None]
    around = cv2.blur(colors, (9, 9)) / np.maximum(cv2.blur(alpha, (9, 9))[..., None], 1e-3)
    clean = np.where(alpha > 1e-3, colors / np.maximum(alpha, 1e-3), around)
    return np.concatenate((np.clip(clean, 0, 255), alpha * 255), 2).astype(np.uint8)
