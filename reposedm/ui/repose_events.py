"""What happens on the Repose tab when a photo arrives or a pose is chosen: callbacks, no layout."""

from __future__ import annotations

import contextlib
import shutil
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from pose_editor import EditorValue, PoseEditor
from reposedm.detect import detect_people
from reposedm.errors import DetectionError, PoseError, RePoseError
from reposedm.imaging import Photo
from reposedm.jobs.detect import forget_photos, people_on, photo_key
from reposedm.jobs.live import LivePreview
from reposedm.jobs.methods import warm_up
from reposedm.pose import Pose, default_pose, retarget
from reposedm.ui import examples
from reposedm.ui.messages import friendly
from reposedm.ui.repose_tab import ReposeTab
from reposedm.ui.run_controls import Updates
from reposedm.ui.safe_image import Upload
from reposedm.ui.session import Entry, Pending, Session
from reposedm.ui.status import line

LIVE_SIDE = 768
READY = "Drag the joints, then press Repose."
NOBODY = (
    "Nobody was found on this photo. Move the skeleton onto the person, then press "
    "'The skeleton matches the person now'."
)
DELETED = "Your photos and results were deleted from this server."

live_preview = LivePreview()


class PhotoCallbacks:
    """Photo in, people found, skeleton in the editor; ``self.tab`` names what is written."""

    def __init__(self, tab: ReposeTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def photo_changed(
        self, upload: Upload | None, session: Session, detector: str
    ) -> Generator[Updates, None, None]:
        """Detect the people on a new photo and put their skeletons into the editor."""
        # Gradio empties the outputs of a generator that yields nothing, and replacing a photo
        # fires `change` twice: the second time with the same picture.
        yield {self.tab.status: gr.skip()}
        if upload is None:
            return
        session.uploads.add(upload.path)
        pending, session.pending = session.pending, None
        key = photo_key(upload.photo.pixels)
        if pending is not None and pending.photo_id == key:
            session.set_photo(upload.photo)
            session.sources = list(pending.sources)
            yield self._edit(
                session, list(pending.targets), READY, upload.photo.notes, pending.selected
            )
        elif key == session.photo_id:
            return  # the same picture again: keep the user's edits
        else:
            session.set_photo(upload.photo)
            yield {
                self.tab.status: line("Looking for people…"),
                self.tab.editor: gr.update(busy="Looking for people…"),
            }
            yield self._detect(session, detector, upload.photo.notes)
        warm(session, pending.selected if pending else 0)

    @friendly
    def freed(self) -> Updates:
        """After a photo that could not be used: the editor is as it was."""
        return {
            self.tab.editor: gr.update(busy=False),
            self.tab.status: line("That photo was not used; see the message. Nothing is lost."),
        }

    @friendly
    def person_chosen(self, session: Session, event: gr.SelectData) -> None:
        """Prepare the live preview of a person as soon as they are chosen."""
        index = event.index
        if isinstance(index, (list, tuple)) and index and isinstance(index[0], int):
            warm(session, index[0])

    @friendly
    def detect_again(self, session: Session, detector: str) -> Generator[Updates, None, None]:
        """The editor's button "Detect again"."""
        if session.photo is None:
            raise PoseError("There is no photo yet: upload one first.")
        yield {
            self.tab.status: line("Looking for people…"),
            self.tab.editor: gr.update(busy="Looking for people…"),
        }
        yield self._detect(session, detector, ())
        warm(session)

    @friendly
    def dropped_into_editor(self, value: EditorValue | None) -> Updates:
        """A photo dropped onto the editor goes the way of every photo: through the photo input."""
        if value is None or value.image is None:
            return {self.tab.status: gr.skip()}
        return {self.tab.photo: value.image}

    @friendly
    def matched(self, value: EditorValue | None, session: Session) -> Updates:
        """The user says that the skeleton now lies on the person: that is the source pose."""
        if value is None or session.photo is None:
            raise PoseError("There is no photo yet: upload one first.")
        session.sources = [pose.check_usable() for pose in value.people]
        warm(session)
        return self._edit(session, list(value.people), "Now drag the joints to the new pose.", ())

    @friendly
    def rotate(self, session: Session) -> Updates:
        """Turn the photo a quarter to the right."""
        if session.photo is None:
            raise PoseError("There is no photo yet: upload one first.")
        turned = np.ascontiguousarray(np.rot90(session.photo.pixels, -1))
        return {self.tab.photo: write_picture(session, turned)}

    @friendly
    def pose_from_photo(
        self, upload: Upload | None, value: EditorValue | None, session: Session, detector: str
    ) -> Updates:
        """Take over the pose of the person in another photo, with this person's proportions."""
        if upload is None:
            return {self.tab.status: gr.skip()}
        session.uploads.add(upload.path)
        if value is None or session.photo is None or not value.people:
            raise PoseError("Upload the photo of the person to repose first.")
        found = people_on(upload.photo.pixels, detector)
        body = value.sources[value.selected]
        people = list(value.people)
        people[value.selected] = retarget(found[0].pose, body)
        return self._edit(
            session, people, "The other photo's pose is on your person. Press Repose.",
            upload.photo.notes, value.selected,
        )  # fmt: skip

    @friendly
    def example_chosen(self, index: int, session: Session) -> Updates:
        """Load an example: its photo, its joints, a target pose, and the result made before."""
        chosen = examples.all_examples()[int(index)]
        pixels = np.asarray(Image.open(chosen.file).convert("RGB"))
        people, key = (chosen.target_pose(),), photo_key(pixels)
        session.pending = Pending(key, (chosen.source,), people)
        # Copies: Gradio serves files of the temporary folder, and of no other but the working one.
        photo, result = (copy_into(session, file) for file in (chosen.file, chosen.result))
        session.shown = Entry(Path(result), Path(photo), key, chosen.title, people)
        return {
            self.tab.photo: photo,
            self.tab.result: (photo, result),
            self.tab.download: gr.update(value=None, interactive=False),
            self.tab.status: line(f"{chosen.title}: drag the joints, then press Repose."),
        }

    @friendly
    def live(self, session: Session, event: gr.EventData) -> Updates:
        """One picture of the live preview, while a joint is being dragged."""
        request = PoseEditor.live_request(event)
        picture = None
        source = source_of(session, request.selected)
        if session.photo is not None and source is not None:
            try:
                picture = live_preview.render(
                    session.photo.pixels, source, request.pose, LIVE_SIDE, session=str(id(session))
                )
            except RePoseError:
                picture = None  # a drag may pass through poses that are refused on Repose
        if picture is None:
            return {self.tab.editor: gr.update(live={"number": request.number, "url": ""})}
        return {self.tab.editor: gr.update(live=PoseEditor.live_picture(request.number, picture))}

    @friendly
    def delete_data(self, session: Session) -> Updates:
        """Forget the photo, the results and every file of this session."""
        session.clear()
        session.cut_short = DELETED
        forget_photos()
        live_preview.clear()
        tab = self.tab
        return {
            tab.photo: None, tab.pose_photo: None, tab.editor: gr.update(value=None, busy=False),
            tab.result: None, tab.gallery: [],
            tab.download: gr.update(value=None, interactive=False),
            tab.status: line(DELETED),
            tab.match: gr.update(visible=False), tab.live_result: gr.update(visible=False),
            tab.settings_file: None, tab.run: gr.update(interactive=True),
            tab.stop: gr.update(interactive=False),
        }  # fmt: skip

    def _detect(self, session: Session, detector: str, notes: Any) -> Updates:
        photo: Photo = session.photo  # type: ignore[assignment]  # the callers have checked
        notes = list(notes)
        try:
            found = detect_people(photo.pixels, backend=detector)
        except DetectionError as error:
            found, notes = [], [*notes, str(error)]
        session.sources = [person.pose for person in found]
        if not found:
            height, width = photo.pixels.shape[:2]
            return self._edit(session, [default_pose((width, height))], NOBODY, notes)
        notes += found[0].notes
        text = READY
        if len(found) > 1:
            text = f"{len(found)} people found: choose one by its number. {READY}"
        return self._edit(session, session.sources, text, notes)

    def _edit(
        self, session: Session, people: list[Pose], text: str, notes: Any, selected: int = 0
    ) -> Updates:
        value = EditorValue(
            str(session.proxy), people[0].size, people, selected, session.sources or people
        )
        return {
            self.tab.editor: gr.update(value=value, busy=False),
            self.tab.match: gr.update(visible=not session.sources),
            self.tab.status: line(text, notes=notes),
        }


def source_of(session: Session, selected: int) -> Pose | None:
    """Where the selected person is on the photo, if that is known."""
    return session.sources[selected] if 0 <= selected < len(session.sources) else None


def copy_into(session: Session, file: Path) -> str:
    """A copy of one of our own files in the session's folder; its path."""
    copy = session.folder() / f"{file.parent.name}-{file.name}"
    shutil.copyfile(file, copy)
    return str(copy)


def write_picture(session: Session, pixels: np.ndarray) -> str:
    """A lossless picture in the session's folder; its path."""
    path: Path = session.folder() / f"picture-{photo_key(pixels)[:16]}.png"
    Image.fromarray(pixels).save(path, compress_level=1)
    return str(path)


def warm(session: Session, selected: int = 0) -> None:
    """Prepare what is needed next while the user looks at the photo.

    The live preview (mask, layers, background), and the networks of the method offered first.
    """
    source = source_of(session, selected)
    if session.photo is None or source is None:
        return
    pixels = session.photo.pixels

    def live_preview_of() -> None:
        live_preview.prepare(pixels, source, LIVE_SIDE)

    def prepare() -> None:
        # Whatever fails here fails again, with a message, when the user asks for it.
        for work in (live_preview_of, warm_up):
            with contextlib.suppress(RePoseError):
                work()

    threading.Thread(target=prepare, name="reposedm-warm", daemon=True).start()
