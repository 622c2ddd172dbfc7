from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.models.parser import GarmentParser
from training.garments.sheet import HEIGHT, main, sheet

EXAMPLES = Path(__file__).parents[2] / "assets" / "examples"


@pytest.mark.models
def test_a_sheet_shows_each_photo_with_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    GarmentParser.tiny().save_pretrained(tmp_path / "parser")
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    Image.fromarray(np.full((128, 96, 3), 255, np.uint8)).save(tmp_path / "white.png")
    out = tmp_path / "sheet.png"
    photos = [str(EXAMPLES / "yellow-tee.jpg"), str(tmp_path / "white.png")]
    assert main([*photos, "-o", str(out)]) == 0
    assert Image.open(out).height == HEIGHT + 4
    assert "white.png: nobody was found" in capsys.readouterr().err
    assert main([photos[1], "-o", str(tmp_path / "none.png")]) == 2


def test_rows_of_other_widths_are_filled_up() -> None:
    rows = [np.zeros((10, width, 3), np.uint8) for width in (8, 20)]
    made = sheet(rows)
    assert made.shape == (28, 20, 3) and (made[:10, 8:] == 255).all()
