"""Photograph in, people's poses and masks out. Importing this loads no detector."""

from reposedm.detect.detection import Detection
from reposedm.detect.mask import person_mask
from reposedm.detect.people import backends, detect_people

__all__ = ["Detection", "backends", "detect_people", "person_mask"]
