"""The mask on its way from the job to the page and back: nothing is lost, nothing grows."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import numpy as np
import pytest
from gradio.components.image_editor import EditorData
from gradio.data_classes import FileData
from PIL import Image

from reposedm.errors import ImageError, PoseError
from reposedm.imaging import Photo, read_image
from reposedm.ui.garment_run import send_to_garment, send_to_repose
from reposedm.ui.garment_session import EDITOR_SIDE, GarmentSession
from reposedm.ui.mask_editor import MaskEditor, shown
from reposedm.ui.session import Entry, Session
from tests.dressed import dressed

IMAGE, POSE, _ = dressed()


def session_with(pixels: np.ndarray, folder: Path) -> GarmentSession:
    session = GarmentSession()
    Image.fromarray(pixels).save(folder / "photo.png")
    session.set_photo(read_image(folder / "photo.png"))
    return session


def through_the_page(value: dict, folder: Path) -> np.ndarray:
    """What comes back from an editor that shows ``value`` and is not touched."""
    layer = folder / "layer.png"
    Image.fromarray(value["layers"][0]).save(layer)
    payload = EditorData(background=None, layers=[FileData(path=str(layer))], composite=None)
    painted = MaskEditor().preprocess(payload)
    assert painted is not None
    return painted.mask


def automatic_of(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.float32)
    mask[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = 1
    return mask


@pytest.mark.parametrize("times", [1, 9])
def test_an_untouched_mask_is_the_automatic_one(tmp_path: Path, times: int) -> None:
    pixels = np.repeat(np.repeat(IMAGE, times, 0), times, 1)
    session = session_with(pixels, tmp_path)
    offered = session.offer(automatic_of(pixels.shape))
    assert offered is not None and max(offered.shape) <= EDITOR_SIDE
    back = through_the_page(shown(session.write_canvas(), offered), tmp_path)
    assert np.array_equal(back, offered)
    assert session.painted(back) is None
    session.clear()


def test_a_stroke_is_added_and_the_rest_keeps_the_photos_resolution(tmp_path: Path) -> None:
    pixels = np.repeat(np.repeat(IMAGE, 9, 0), 9, 1)
    session = session_with(pixels, tmp_path)
    automatic = automatic_of(pixels.shape)
    offered = session.offer(automatic)
    assert offered is not None
    back = offered.copy()
    height, width = back.shape
    back[int(0.8 * height) : int(0.85 * height), : width // 2] = True
    mask = session.painted(back)
    assert mask is not None and mask.shape == pixels.shape[:2]
    upper = slice(0, int(0.7 * len(mask)))
    assert np.array_equal(mask[upper], automatic[upper])
    share = 0.05 * 0.5
    assert abs(mask[int(0.75 * len(mask)) :].sum() / mask.size - share) < 0.01
    session.clear()


def test_erasing_everything_leaves_an_empty_mask_for_the_job_to_refuse(tmp_path: Path) -> None:
    session = session_with(IMAGE, tmp_path)
    offered = session.offer(automatic_of(IMAGE.shape))
    assert offered is not None
    mask = session.painted(np.zeros_like(offered))
    assert mask is not None and not mask.any()
    session.offer(None)
    assert session.painted(np.zeros_like(offered)) is None, "nothing was offered, nothing painted"
    session.clear()


def test_a_mask_of_the_photo_before_is_not_laid_onto_a_new_one(tmp_path: Path) -> None:
    session = session_with(IMAGE, tmp_path)
    offered = session.offer(automatic_of(IMAGE.shape))
    assert offered is not None
    Image.fromarray(IMAGE[:, ::-1]).save(tmp_path / "other.png")
    session.set_photo(read_image(tmp_path / "other.png"))
    session.automatic, session.offered = None, None
    assert session.painted(offered) is None
    session.clear()


def test_what_is_no_layer_is_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "layer.png").write_text("<svg>")
    payload = EditorData(
        background=None, layers=[FileData(path=str(tmp_path / "layer.png"))], composite=None
    )
    with pytest.raises(gr.Error, match="mask:"):
        MaskEditor().preprocess(payload)
    assert MaskEditor().preprocess(None) is None
    empty = EditorData(background=None, layers=[], composite=None)
    assert MaskEditor().preprocess(empty) is None


def test_results_travel_between_the_tabs_with_their_pose(tmp_path: Path) -> None:
    garment, repose = session_with(IMAGE, tmp_path), Session()
    with pytest.raises(PoseError, match="press Swap first"):
        send_to_repose(garment, repose)
    with pytest.raises(ImageError, match="Repose tab"):
        send_to_garment(repose, garment)
    result = tmp_path / "result.png"
    Image.fromarray(IMAGE).save(result)
    garment.shown = Entry(result, result, "", "", (POSE,))
    assert send_to_repose(garment, repose) == str(result)
    assert repose.pending is not None and repose.pending.sources == (POSE,)
    repose.shown = garment.shown
    assert send_to_garment(repose, garment) == str(result)
    assert list(garment.waiting.values()) == [POSE]
    garment.clear()
    assert garment.photo is None and not garment.waiting


def test_a_known_pose_is_used_once_its_garment_arrives(tmp_path: Path) -> None:
    session = GarmentSession()
    Image.fromarray(IMAGE).save(tmp_path / "garment.png")
    photo: Photo = read_image(tmp_path / "garment.png")
    session.set_garment(photo)
    assert session.garment_pose is None
    session.waiting[session.garment_id] = POSE
    session.set_garment(photo)
    assert session.garment_pose == POSE and not session.waiting
