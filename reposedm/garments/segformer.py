"""A public clothes parser: SegFormer, trained on the ATR set, through transformers.

Its weights (110 MB; see the licence on its page) are fetched once from the Hugging Face Hub. It has
no class of its own for jackets and for the skin of the trunk: a jacket is a top there.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from reposedm.errors import DetectionError, WeightsError
from reposedm.garments.labels import (
    ARM_SKIN,
    BACKGROUND,
    BOTTOM,
    CLASSES,
    FACE,
    HAIR,
    HAT,
    LEG_SKIN,
    SHOES,
    SKIRT,
    TOP,
)
from reposedm.imaging.frame import Frame

REPOSITORY: Final = "mattmdjaga/segformer_b2_clothes"
FILES: Final = ("config.json", "model.safetensors")
SIDE: Final = 512
"""It looks at squares of so many pixels, whatever shape was stretched to them."""

LABELS: Final = {
    "background": BACKGROUND, "hat": HAT, "hair": HAIR, "sunglasses": FACE, "upper-clothes": TOP,
    "skirt": SKIRT, "pants": BOTTOM, "dress": SKIRT, "belt": BOTTOM, "left-shoe": SHOES,
    "right-shoe": SHOES, "face": FACE, "left-leg": LEG_SKIN, "right-leg": LEG_SKIN,
    "left-arm": ARM_SKIN, "right-arm": ARM_SKIN, "bag": BACKGROUND, "scarf": TOP,
}  # fmt: skip
"""Our label of each of its names; a bag is not worn."""

_MEAN: Final = (0.485, 0.456, 0.406)
_DEVIATION: Final = (0.229, 0.224, 0.225)
_TIMEOUT: Final = 10.0
"""Seconds until an unreachable Hub counts as unreachable."""

_lock = threading.Lock()
_loaded: dict[Path, Any] = {}


def shares(image: NDArray[np.uint8], frame: Frame) -> NDArray[np.float32]:
    """Shares of our classes over a frame's box, float32 (12, 128, 128).

    Args:
        image: uint8 (H, W, 3) RGB.
        frame: around the person.

    Raises:
        DetectionError: the weights are not there and cannot be fetched.
        WeightsError: they are not what their name says.
    """
    import torch

    left, top, right, bottom = frame.box
    whole = Frame(frame.box, (right - left, bottom - top), frame.photo_size).crop(image)
    square = cv2.resize(whole, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    values = (square.astype(np.float32) / 255 - np.array(_MEAN, np.float32)) / np.array(
        _DEVIATION, np.float32
    )
    batch = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)[None]))
    with _lock, torch.inference_mode():
        network = _network(weights_folder())
        found = network(pixel_values=batch).logits[0].float().softmax(0).numpy()
    return ours(found, network.config.id2label)


def ours(found: NDArray[np.float32], names: dict[int, str]) -> NDArray[np.float32]:
    """Shares (N, h, w) of a public parser's classes as those of ours, (12, h, w).

    Args:
        found: sums to 1 over the classes.
        names: of the classes, by number.

    Raises:
        WeightsError: a name that we have no label for.
    """
    result = np.zeros((len(CLASSES), *found.shape[1:]), np.float32)
    for number, share in enumerate(found):
        name = str(names.get(number, number)).strip().lower().replace("_", "-")
        if name not in LABELS:
            raise WeightsError(
                f"the parser of {REPOSITORY} has a class {name!r:.40} that is not known here"
            )
        result[LABELS[name]] += share
    return result


def weights_folder() -> Path:
    """The folder of the weights in the Hub's cache, fetched if they are not there yet.

    Raises:
        DetectionError: they are not there and cannot be fetched.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return _files(hf_hub_download, local_files_only=True)
    except LocalEntryNotFoundError:
        pass  # not fetched yet
    if _offline():
        raise DetectionError(_how_to_fetch("downloads are switched off (HF_HUB_OFFLINE)"))
    try:
        return _files(hf_hub_download, etag_timeout=_TIMEOUT)
    except Exception as error:  # whatever the network, a proxy or the disk says
        reason = str(error).strip().split("\n")[0][:200]
        raise DetectionError(_how_to_fetch(f"they could not be fetched now ({reason})")) from error


def load(folder: Path) -> Any:
    """The network of a folder, strictly: safetensors alone, no tensor missing.

    Raises:
        WeightsError: it is not one.
    """
    from transformers import SegformerForSemanticSegmentation

    try:
        network, facts = SegformerForSemanticSegmentation.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, output_loading_info=True
        )
    except Exception as error:  # a cut file, another network's, a wrong configuration
        reason = str(error).strip().split("\n")[0][:200]
        raise WeightsError(
            f"{folder} does not hold a SegFormer ({reason}): delete it and fetch it again"
        ) from error
    wrong = [name for key in ("missing_keys", "mismatched_keys") for name in facts.get(key, ())]
    if wrong:
        raise WeightsError(
            f"{folder} lacks {len(wrong)} tensors of a SegFormer ({wrong[0]!s:.80}): delete it and "
            "fetch it again"
        )
    return network.eval()


def _files(download: Any, **options: Any) -> Path:
    paths = [Path(download(REPOSITORY, name, **options)) for name in FILES]
    return paths[0].parent


def _network(folder: Path) -> Any:
    if folder not in _loaded:
        _loaded.clear()
        _loaded[folder] = load(folder)
    return _loaded[folder]


def _offline() -> bool:
    """Whether the user forbade downloads, now and not only when the Hub's library was loaded."""
    from huggingface_hub import constants

    wish = os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}
    return wish or bool(constants.HF_HUB_OFFLINE)


def _how_to_fetch(why: str) -> str:
    return (
        f"The garment parser segformer needs {' and '.join(FILES)} of {REPOSITORY} on the Hugging "
        f"Face Hub: {why}. Run `hf download {REPOSITORY} {' '.join(FILES)}` once with a "
        "connection, or choose the parser small"
    )
