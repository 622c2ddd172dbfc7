"""A ``gr.Image`` whose pictures come through the one door for bytes (``imaging.read_image``).

Stock ``gr.Image`` opens whatever Pillow can: a damaged file fails before the app's code is reached,
with a generic message, and colour profiles, hidden colours and 16-bit pictures come out wrong.
"""

from __future__ import annotations

import html
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr
from gradio.data_classes import ImageData

from reposedm.errors import ImageError
from reposedm.imaging import Photo, read_image

REPEAT_SECONDS: Final = 3
"""Gradio fires ``change`` twice for a photo that replaces another one: one message is enough."""


@dataclass(frozen=True)
class Upload:
    """A visitor's picture, and the file it came in (to delete it on request)."""

    photo: Photo
    path: Path


class SafeImage(gr.Image):
    """An image component that hands callbacks an ``Upload`` or raises a friendly ``gr.Error``."""

    is_template = True  # the browser side is gr.Image's own

    def __init__(self, value: Any = None, **kwargs: Any) -> None:
        """As ``gr.Image``; pictures are kept as lossless PNG on their way back."""
        kwargs.setdefault("format", "png")
        super().__init__(value, type="filepath", image_mode=None, **kwargs)
        self._refused = ("", 0.0)

    def get_config(self, cls: type | None = None) -> dict[str, Any]:
        """What the page is told; Gradio reads it off the signature of a constructor, gr.Image's."""
        return super().get_config(gr.Image)

    def preprocess(self, payload: ImageData | None) -> Upload | None:  # type: ignore[override]
        """The uploaded file, read and checked.

        Raises:
            gr.Error: the file is not a picture we can use; says why and what to do.
        """
        if payload is None:
            return None
        if payload.path is None:
            raise gr.Error("Please upload the picture as a file.", print_exception=False)
        try:
            return Upload(read_image(Path(payload.path)), Path(payload.path))
        except ImageError as error:
            raise self._refusal(payload.path, str(error)) from error

    def _refusal(self, path: str, reason: str) -> gr.Error:
        """The error to raise; not shown again if it has just been, for the same file."""
        (last, when), now = self._refused, time.monotonic()
        repeated = path == last and now - when < REPEAT_SECONDS
        if not repeated:
            self._refused = (path, now)
        return gr.Error(html.escape(reason), visible=not repeated, print_exception=False)
