"""Pictures: the one door for bytes, crop and paste back, fill, PNG metadata. Pillow, numpy, cv2."""

from reposedm.imaging.composite import FEATHER, cut_out, on_plain, over, paste_back
from reposedm.imaging.frame import Frame, mask_box
from reposedm.imaging.metadata import is_marked, png_bytes, read_settings, result_name, save_png
from reposedm.imaging.read import (
    MAX_BYTES,
    MIN_SIDE_IN_ARCHIVE,
    WORKING_SIDE,
    Photo,
    read_image,
)

__all__ = [
    "FEATHER",
    "MAX_BYTES",
    "MIN_SIDE_IN_ARCHIVE",
    "WORKING_SIDE",
    "Frame",
    "Photo",
    "cut_out",
    "is_marked",
    "mask_box",
    "on_plain",
    "over",
    "paste_back",
    "png_bytes",
    "read_image",
    "read_settings",
    "result_name",
    "save_png",
]
