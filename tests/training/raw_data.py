"""Raw data sets made in code, with names exactly as they are on disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

Point = tuple[float, float]

# path in the original tree -> mangled name, written out by hand
BACK = "WOMEN/Blouses_Shirts/id_00003372/03_3_back.jpg"
SIDE = "WOMEN/Blouses_Shirts/id_00003372/03_2_side.jpg"
FRONT = "WOMEN/Blouses_Shirts/id_00003372/03_1_front.jpg"
SKIRT = "WOMEN/Skirts/id_00000629/04_3_back.jpg"
SKIRT_FULL = "WOMEN/Skirts/id_00000629/04_4_full.jpg"
MAN = "MEN/Jackets_Vests/id_00000084/01_7_additional.jpg"
MAN_FRONT = "MEN/Jackets_Vests/id_00000084/01_1_front.jpg"
NAMES = {
    BACK: "fashionWOMENBlouses_Shirtsid0000337203_3back",
    SIDE: "fashionWOMENBlouses_Shirtsid0000337203_2side",
    FRONT: "fashionWOMENBlouses_Shirtsid0000337203_1front",
    SKIRT: "fashionWOMENSkirtsid0000062904_3back",
    SKIRT_FULL: "fashionWOMENSkirtsid0000062904_4full",
    MAN: "fashionMENJackets_Vestsid0000008401_7additional",
    MAN_FRONT: "fashionMENJackets_Vestsid0000008401_1front",
}
PAIRS = {
    "train": [(BACK, SIDE), (SIDE, BACK), (FRONT, SIDE), (SKIRT, SKIRT_FULL)],
    "test": [(MAN, MAN_FRONT), (MAN_FRONT, MAN)],
}
SPLITS = {path: "test" if path.startswith("MEN") else "train" for path in NAMES}


def named_pairs(split: str) -> list[tuple[str, str]]:
    return [(NAMES[a], NAMES[b]) for a, b in PAIRS[split]]


def padded_points(path: str) -> list[Point]:
    """Joints in the padded 256 x 256 frame, some of them missing."""
    number = list(NAMES).index(path)
    points: list[Point] = [(60 + 8 * j + number, 20 + 13 * j) for j in range(18)]
    points[4] = (-1, -1)
    points[9 + number] = (-1, -1)
    return points


def frame_points(path: str, width: int = 176, height: int = 256) -> np.ndarray:
    """The same in the picture's frame, NaN where missing: ``(x - 40) * W / 176, y * H / 256``."""
    return np.array(
        [
            (np.nan, np.nan) if x == -1 else ((x - 40) * width / 176, y * height / 256)
            for x, y in padded_points(path)
        ]
    )


def picture(path: str, size: tuple[int, int] = (75, 110)) -> Image.Image:
    """A smooth picture of its own for each name; ``size`` is (width, height)."""
    noise = np.random.default_rng(sum(path.encode())).integers(0, 256, (8, 5, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=95)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def annotation(rows: dict[str, list[Point]], separator: str = ":", left: int = 0) -> str:
    """``name:keypoints_y:keypoints_x``, y first; ``left`` columns are cut off."""
    lines = [separator.join(("name", "keypoints_y", "keypoints_x"))]
    for name, points in rows.items():
        ys = json.dumps([int(y) for _, y in points])
        xs = json.dumps([-1 if x == -1 else int(x - left) for x, _ in points])
        lines.append(separator.join((name, ys, xs)))
    return "\n".join(lines) + "\n"


def tree(root: Path, top: str) -> None:
    for path in NAMES:
        save(picture(path), root / top / path)


def flat(root: Path, folders: dict[str, str], suffix: str) -> None:
    for path, name in NAMES.items():
        save(picture(path), root / folders[SPLITS[path]] / f"{name}{suffix}")


def split_lists(root: Path) -> None:
    for split in PAIRS:
        names = [name for path, name in NAMES.items() if SPLITS[path] == split]
        write(root / f"{split}.lst", "".join(f"{name}.jpg\n" for name in names))


def pairs_csv(root: Path, spelling: str) -> None:
    for split in PAIRS:
        rows = [f"{a}.jpg,{b}.jpg" for a, b in named_pairs(split)]
        write(root / f"{spelling}-resize-pairs-{split}.csv", "\n".join(("from,to", *rows, "")))


def annotations_csv(root: Path, stem: str, separator: str, left: int) -> None:
    for split in PAIRS:
        rows = {
            f"{name}.jpg": padded_points(path)
            for path, name in NAMES.items()
            if SPLITS[path] == split
        }
        write(root / f"{stem}-annotation-{split}.csv", annotation(rows, separator, left))


def pose_txt(root: Path, name_of: Callable[[str], str], unit: bool = False) -> None:
    for path in NAMES:
        lines = []
        for x, y in padded_points(path):
            known = ((x - 40) / 176, y / 256) if unit and x != -1 else (x, y)
            lines.append(f"{known[0]} {known[1]}")
        write(root / f"{name_of(path)}.txt", "\n".join(lines) + "\n")


def csv_tree(root: Path) -> None:
    """PATN, CFLD: the original tree and files called fasion."""
    tree(root, "fashion")
    split_lists(root / "fashion")
    pairs_csv(root / "fashion", "fasion")
    annotations_csv(root / "fashion", "fasion-resize", ":", 40)


def csv_highres(root: Path) -> None:
    """The same as CFLD's script leaves it, spelled as its README does, with commas."""
    flat(root, {"train": "train_highres", "test": "test_highres"}, ".jpg")
    split_lists(root)
    pairs_csv(root, "fashion")
    annotations_csv(root, "fashion-resize", ",", 40)


def csv_padded(root: Path) -> None:
    """GFLA: annotations of the padded frame."""
    flat(root, {"train": "train", "test": "test"}, ".jpg")
    pairs_csv(root, "fasion")
    annotations_csv(root, "fasion", ":", 0)


def txt(root: Path) -> None:
    """PIDM, NTED: the target comes first."""
    tree(root, "img")
    split_lists(root)
    pose_txt(root / "pose", lambda path: path.removesuffix(".jpg"))
    for split, pairs in PAIRS.items():
        write(root / f"{split}_pairs.txt", "".join(f"img/{b},img/{a}\n" for a, b in pairs))


def json_fpdm(root: Path) -> None:
    tree(root, "img")
    tree(root, "pose_img")  # drawings; not to be taken for the pictures
    pose_txt(root / "pose", lambda path: path.removesuffix(".jpg"))
    for split, pairs in PAIRS.items():
        entries = [{"source_image": f"./img/{a}", "target_image": f"./img/{b}"} for a, b in pairs]
        write(root / f"{split}_pairs_data.json", json.dumps(entries))


def json_pcdms(root: Path) -> None:
    flat(root, {"train": "all_data_png", "test": "all_data_png"}, ".png")
    pose_txt(root / "normalized_pose_txt", NAMES.__getitem__, unit=True)
    for split in PAIRS:
        entries = [
            {"source_image": f"{a}.jpg", "target_image": f"{b}.jpg"} for a, b in named_pairs(split)
        ]
        write(root / f"{split}_data.json", json.dumps(entries))


LAYOUTS = {
    "csv-tree": csv_tree,
    "csv-highres": csv_highres,
    "csv-padded": csv_padded,
    "txt": txt,
    "json-fpdm": json_fpdm,
    "json-pcdms": json_pcdms,
}


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Bytes and time of change of every file."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file but the order-dependent log of what is done."""
    files = {name: data for name, (data, _) in snapshot(folder).items()}
    files.pop("progress.jsonl", None)
    return files
