"""Errors that a user can act on.

The text of every one is a sentence or two for a person: what was wrong, what we got, what to do.
The app shows it as a message, the command line prints it in one line and exits with 2.
Anything that is not a ``RePoseError`` is a bug, and is reported as such.
"""


class RePoseError(Exception):
    """Base of every error whose text is meant for the user."""


class ImageError(RePoseError):
    """A file is not a picture we can use."""


class PoseError(RePoseError):
    """A pose, or a file that should hold one, cannot be used."""


class DetectionError(RePoseError):
    """A detector is missing, cannot run, or found nobody."""


class SettingsError(RePoseError):
    """A setting (steps, seed, count, method...) is outside what is possible."""


class ArchiveError(RePoseError):
    """A zip or folder of pictures cannot be used."""


class WeightsError(RePoseError):
    """A weights file is absent, damaged, or not what its name says."""


class ResourceError(RePoseError):
    """Not enough memory, or the machine is busy."""
