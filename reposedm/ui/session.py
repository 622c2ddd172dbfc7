"""What one visitor's session remembers: the photo, who is on it, and the results so far.

Pictures live in a folder of the session's own, deleted when the session ends or on request; the
copies Gradio makes to serve them are deleted with it.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from reposedm.imaging import Photo
from reposedm.jobs.detect import photo_key
from reposedm.pose import Pose

MAX_ENTRIES = 40
PROXY_SIDE = 2048


@dataclass(frozen=True)
class Entry:
    """One result of this session, and the photo it was made from."""

    path: Path
    source_path: Path
    photo_id: str
    caption: str
    people: tuple[Pose, ...]
    """Everybody on the result: the reposed person in the new pose, the others where they were."""
    selected: int = 0

    @property
    def pose(self) -> Pose:
        """The pose that was asked for."""
        return self.people[self.selected]


@dataclass(frozen=True)
class Pending:
    """Poses already known for a photo that is about to arrive: an example, a result, a rotation."""

    photo_id: str
    sources: tuple[Pose, ...]
    targets: tuple[Pose, ...]
    selected: int = 0


@dataclass
class Session:
    """The state of one browser tab; mutated in place by the callbacks."""

    photo: Photo | None = None
    photo_id: str = ""
    proxy: Path | None = None
    sources: list[Pose] = field(default_factory=list)
    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=MAX_ENTRIES))
    shown: Entry | None = None
    pending: Pending | None = None
    uploads: set[Path] = field(default_factory=set)
    cut_short: str = ""
    """What to say when the run under way ends without a result; empty: it failed."""
    _folder: Path | None = None

    def folder(self) -> Path:
        """The session's own folder, made on first use."""
        if self._folder is None or not self._folder.exists():
            self._folder = Path(tempfile.mkdtemp(prefix="reposedm-session-"))
        return self._folder

    def set_photo(self, photo: Photo) -> None:
        """Take a new source photo and write the copy the editor shows (<= 2048 px, no metadata)."""
        self.photo = photo
        self.photo_id = photo_key(photo.pixels)
        self.sources = []
        self.proxy = self.folder() / f"photo-{self.photo_id[:16]}.png"
        if not self.proxy.exists():
            picture = Image.fromarray(photo.pixels)
            picture.thumbnail((PROXY_SIDE, PROXY_SIDE), Image.Resampling.LANCZOS)
            picture.save(self.proxy, compress_level=1)

    def clear(self) -> None:
        """Forget everything and delete every file of this session, Gradio's copies included."""
        if self._folder is not None:
            _delete_served_copies(self._folder)
            shutil.rmtree(self._folder, ignore_errors=True)
        for upload in self.uploads:
            upload.unlink(missing_ok=True)
        self.uploads.clear()
        self.photo, self.proxy, self.photo_id, self._folder = None, None, "", None
        self.sources, self.shown, self.pending = [], None, None
        self.entries.clear()


def _delete_served_copies(folder: Path) -> None:
    """Gradio serves copies from a cache keyed by content: delete those of our files.

    Those only: the thumbnail of an example lies beside the copy of it that a session used.
    """
    from gradio.processing_utils import hash_file
    from gradio.utils import get_upload_folder

    cache = Path(get_upload_folder())
    for file in folder.rglob("*"):
        if file.is_file():
            served = cache / hash_file(file) / file.name
            served.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # it still holds others' copies, or never was
                served.parent.rmdir()
