"""A ``gr.ImageEditor`` for one mask: the photo below, what may change painted over it.

What the page sends is read through the one door for bytes, as all pictures are; the photo itself
never comes back from it.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
import numpy as np
from gradio.components.image_editor import EditorData
from numpy.typing import NDArray

from reposedm.errors import ImageError
from reposedm.imaging import read_image

COLOR: Final = (224, 33, 138)
OPACITY: Final = 0.5
_PAINTED: Final = 40
"""Levels below white from which a layer's pixel, over white, is painted."""


@dataclass(frozen=True, eq=False)
class Painted:
    """What was painted: bool (h, w), in pixels of the picture that the editor shows."""

    mask: NDArray[np.bool_]


class MaskEditor(gr.ImageEditor):
    """An editor whose value in Python is a ``Painted``, or None while it shows nothing."""

    is_template = True  # the browser side is gr.ImageEditor's own

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        """As ``gr.ImageEditor``, with one brush of the mask's colour and an eraser."""
        color = (f"rgb{COLOR}", OPACITY)
        kwargs.setdefault("brush", gr.Brush(28, [color], color, "fixed"))
        kwargs.setdefault("eraser", gr.Eraser(28))
        # Gradio centres a layer in the larger of canvas and picture; a canvas that no picture is
        # smaller than keeps a mask where it belongs. (The canvas then takes the picture's size.)
        kwargs.setdefault("canvas_size", (16, 16))
        super().__init__(
            value, type="numpy", format="png", sources=(), transforms=(), layers=False, **kwargs
        )

    def get_config(self, cls: type | None = None) -> dict[str, Any]:
        """What the page is told; Gradio reads it off the signature of a constructor."""
        return super().get_config(gr.ImageEditor)

    def preprocess(self, payload: EditorData | None) -> Painted | None:  # type: ignore[override]
        """The layers in one mask.

        Raises:
            gr.Error: a layer is no picture, or they differ in size.
        """
        if payload is None:
            return None
        stored = payload if payload.id is None else self.blob_storage.pop(payload.id, None)
        layers = [] if stored is None else [layer for layer in stored.layers or [] if layer]
        if not layers:
            return None
        try:
            masks = [_painted(layer) for layer in layers]
        except ImageError as error:
            raise gr.Error(html.escape(f"mask: {error}"), print_exception=False) from error
        if any(mask.shape != masks[0].shape for mask in masks):
            raise gr.Error("The mask's layers differ in size: reload it.", print_exception=False)
        return Painted(np.asarray(np.any(masks, axis=0)))


def shown(background: str | Path, mask: NDArray[np.bool_] | None) -> dict[str, Any]:
    """A value for the editor: a picture, and a mask of its size over it (None: nothing)."""
    layers = []
    if mask is not None:
        layer = np.zeros((*mask.shape, 4), np.uint8)
        layer[mask] = (*COLOR, round(255 * OPACITY))
        layers = [layer]
    return {"background": str(background), "layers": layers, "composite": None}


def _painted(layer: Any) -> NDArray[np.bool_]:
    """A layer (a file, or bytes) over white: whatever is coloured."""
    source = bytes(layer) if isinstance(layer, (bytes, bytearray, memoryview)) else Path(layer.path)
    pixels = read_image(source, min_side=1).pixels
    return np.asarray(pixels.min(axis=2) < 255 - _PAINTED)
