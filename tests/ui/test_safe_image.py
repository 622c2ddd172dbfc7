"""What the picture input says of a file it cannot use, and how often."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from gradio.data_classes import ImageData

from reposedm.ui import safe_image
from reposedm.ui.safe_image import SafeImage


def refusal(component: SafeImage, file: Path) -> gr.Error:
    with pytest.raises(gr.Error) as caught:
        component.preprocess(ImageData(path=str(file)))
    return caught.value


def test_a_replaced_photo_that_is_reported_twice_is_refused_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one.png", tmp_path / "two.png"
    for file in (one, two):
        file.write_text("not a picture")
    component = SafeImage()
    first, again, other = (refusal(component, file) for file in (one, one, two))
    assert "text file" in str(first.message)
    assert first.message == again.message, "the reason is given in any case"
    assert (first.visible, again.visible, other.visible) == (True, False, True)
    monkeypatch.setattr(safe_image, "REPEAT_SECONDS", 0)
    assert refusal(component, two).visible, "later, it is a new attempt"
