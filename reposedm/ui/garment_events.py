"""What happens on the Garment tab when a photo arrives or a mask is wanted: no layout."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from pose_editor import EditorValue
from reposedm.errors import DetectionError, ImageError, RePoseError
from reposedm.imaging import Photo
from reposedm.jobs.detect import forget_photos, people_on, photo_key
from reposedm.jobs.garment import find_garment, forget_garments, plan_swap
from reposedm.jobs.swap_settings import Kind
from reposedm.ui import garment_examples
from reposedm.ui.garment_session import EDITOR_SIDE, GarmentSession
from reposedm.ui.garment_tab import GarmentTab
from reposedm.ui.mask_editor import shown
from reposedm.ui.messages import friendly
from reposedm.ui.repose_events import DELETED, Updates, copy_into
from reposedm.ui.safe_image import Upload
from reposedm.ui.session import Entry
from reposedm.ui.status import line

READY = "Look at the mask, paint it right if it is not, then press Swap."
NOBODY = (
    "Nobody was found on this photo. Choose another one; or place the skeleton on the Repose tab, "
    "and send the photo here from there."
)


class GarmentCallbacks:
    """Photos in, garment found, mask shown; ``self.tab`` names what is written."""

    def __init__(self, tab: GarmentTab) -> None:
        """Remember the components."""
        self.tab = tab

    @friendly
    def person_changed(
        self, upload: Upload | None, session: GarmentSession, region: str, kind: Kind
    ) -> Generator[Updates, None, None]:
        """Find the person on a new photo, and what a swap would change."""
        # Gradio empties the outputs of a generator that yields nothing, and replacing a photo
        # fires `change` twice: the second time with the same picture.
        yield {self.tab.status: gr.skip()}
        if upload is None:
            return
        session.uploads.add(upload.path)
        if photo_key(upload.photo.pixels) == session.photo_id:
            return
        session.set_photo(upload.photo)
        session.automatic, session.offered = None, None
        known = session.waiting.pop(session.photo_id, None)
        yield {self.tab.status: line("Looking for people…")}
        notes = list(upload.photo.notes)
        if known is not None:
            session.sources = [known]
        else:
            try:
                found = people_on(upload.photo.pixels)
            except DetectionError as error:
                yield self._canvas(session, NOBODY, [*notes, str(error)])
                return
            session.sources = [found[0].pose]
            notes += found[0].notes
            if len(found) > 1:
                notes.append(f"{len(found)} people found: the largest one is dressed.")
        if session.garment is None:
            yield self._canvas(session, "Now the garment's photo.", notes)
            return
        yield {self.tab.status: line("Looking at the garment…")}
        yield self._planned(session, region, kind, notes)

    @friendly
    def garment_changed(
        self, upload: Upload | None, session: GarmentSession, region: str, kind: Kind
    ) -> Generator[Updates, None, None]:
        """Find the garment on a new photo, and what a swap would change."""
        yield {self.tab.status: gr.skip()}
        if upload is None:
            return
        session.uploads.add(upload.path)
        if photo_key(upload.photo.pixels) == session.garment_id:
            return
        session.set_garment(upload.photo)
        yield {self.tab.status: line("Looking at the garment…")}
        yield self._planned(session, region, kind, list(upload.photo.notes))

    @friendly
    def replanned(
        self, session: GarmentSession, region: str, kind: Kind
    ) -> Generator[Updates, None, None]:
        """Another region or kind was chosen, or the automatic mask is wanted back."""
        yield {self.tab.status: gr.skip()}
        if session.garment is None and session.photo is None:
            return
        yield {self.tab.status: line("Looking at the garment…")}
        yield self._planned(session, region, kind, [])

    @friendly
    def kind_changed(
        self, session: GarmentSession, region: str, kind: Kind
    ) -> Generator[Updates, None, None]:
        """The garment photo shows something else than was thought: its joints are found again."""
        session.garment_pose = None
        yield from self.replanned(session, region, kind)

    @friendly
    def joints_moved(
        self, value: EditorValue | None, session: GarmentSession, region: str, kind: Kind
    ) -> Generator[Updates, None, None]:
        """The user corrected where the garment's joints are: the mask follows."""
        yield {self.tab.status: gr.skip()}
        if value is None or value.pose is None or session.garment is None:
            return
        height, width = session.garment.pixels.shape[:2]
        if value.pose.size != (width, height):
            raise ImageError("These joints are of another garment photo: choose the photo again.")
        session.garment_pose = value.pose.replace(extras={})
        yield {self.tab.status: line("Looking at the garment…")}
        updates = self._planned(session, region, kind, [])
        updates.pop(self.tab.landmarks, None)  # an answer must not move what the user holds
        yield updates

    @friendly
    def example_chosen(self, index: int, session: GarmentSession) -> Updates:
        """Load an example: both photos, their joints, the region, and the result made before."""
        chosen = garment_examples.all_examples()[int(index)]
        for file, pose in ((chosen.person, chosen.pose), (chosen.garment, chosen.garment_pose)):
            if pose is not None:
                session.waiting[photo_key(np.asarray(Image.open(file).convert("RGB")))] = pose
        person, garment, result = (
            copy_into(session, file) for file in (chosen.person, chosen.garment, chosen.result)
        )
        session.shown = Entry(Path(result), Path(person), "", chosen.title, (chosen.pose,))
        return {
            self.tab.region: chosen.region,
            self.tab.person: person,
            self.tab.garment: garment,
            self.tab.result: (person, result),
            self.tab.download: gr.update(value=None, interactive=False),
            self.tab.status: line(f"{chosen.title}: press Swap."),
        }

    @friendly
    def failed(self, session: GarmentSession) -> Updates:
        """After a photo that could not be used: nothing else has changed."""
        return {self.tab.status: line("That did not work; see the message. Nothing is lost.")}

    @friendly
    def delete_data(self, session: GarmentSession) -> Updates:
        """Forget the photos, the results and every file of this session."""
        session.clear()
        session.cut_short = DELETED
        forget_photos()
        forget_garments()
        tab = self.tab
        return {
            tab.person: None, tab.garment: None, tab.mask: None,
            tab.landmarks: gr.update(value=None, busy=False), tab.result: None, tab.gallery: [],
            tab.mask_view: None, tab.warp_view: None,
            tab.download: gr.update(value=None, interactive=False),
            tab.status: line(DELETED), tab.live_result: gr.update(visible=False),
            tab.run: gr.update(interactive=True), tab.stop: gr.update(interactive=False),
        }  # fmt: skip

    def _canvas(self, session: GarmentSession, text: str, notes: list[str]) -> Updates:
        """The photo in the mask's editor, without a mask yet."""
        session.offer(None)
        return {
            self.tab.mask: shown(session.write_canvas(), None),
            self.tab.status: line(text, notes=notes),
        }

    def _planned(
        self, session: GarmentSession, region: str, kind: Kind, notes: list[str]
    ) -> Updates:
        """The garment's joints, the automatic mask and the warp, as far as both photos allow."""
        updates: Updates = {}
        if session.garment is None:
            return self._canvas(session, "Now the garment's photo.", notes)
        try:
            garment = find_garment(session.garment.pixels, region, kind, session.garment_pose)
        except RePoseError as error:
            if session.photo is None:
                return {self.tab.status: line(str(error), notes=notes)}
            return self._canvas(session, str(error), notes)
        proxy = _proxy(session, session.garment)
        value = EditorValue(str(proxy), garment.pose.size, [garment.pose], 0, [garment.pose])
        updates[self.tab.landmarks] = gr.update(value=value, busy=False)
        person = session.person()
        if session.photo is None:
            text = "Now the photo of the person."
            return updates | {self.tab.status: line(text, notes=[*notes, *garment.notes])}
        if person is None:
            return updates | self._canvas(session, NOBODY, notes)
        plan = plan_swap(session.photo.pixels, person, garment, region)
        offered = session.offer(plan.mask)
        return updates | {
            self.tab.mask: shown(session.write_canvas(), offered),
            self.tab.mask_view: None if offered is None else offered.astype(np.uint8) * 255,
            self.tab.warp_view: _small(plan.warped.picture),
            self.tab.status: line(plan.problem or READY, notes=[*notes, *plan.notes]),
        }


def _proxy(session: GarmentSession, photo: Photo) -> Path:
    """The garment's photo as the editor of joints shows it, without metadata."""
    path: Path = session.folder() / f"garment-{session.garment_id[:16]}.png"
    if not path.exists():
        picture = Image.fromarray(photo.pixels)
        picture.thumbnail((EDITOR_SIDE, EDITOR_SIDE), Image.Resampling.LANCZOS)
        picture.save(path, compress_level=1)
    return path


def _small(rgba: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """A view of a layer that is quick to send."""
    picture = Image.fromarray(rgba)
    picture.thumbnail((EDITOR_SIDE, EDITOR_SIDE), Image.Resampling.LANCZOS)
    return np.asarray(picture)
