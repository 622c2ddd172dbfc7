"""The autoencoder on photographs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reposedm.models.autoencoder import Autoencoder
from tests.pipelines.tiny import lively
from training.metrics import MetricsError, psnr
from training.real_photos import fitted, main, measure, reproduced

pytest.importorskip("skimage")


def photos(folder: Path) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name, size in (("one.jpg", (320, 240)), ("two.png", (256, 176))):
        small = rng.integers(0, 255, (8, 8, 3), np.uint8)
        Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(folder / name)
    (folder / "notes.txt").write_text("no photograph")
    return folder


def test_photographs_are_fitted_and_measured_from_worst_to_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = photos(tmp_path / "photos")
    picture = fitted(np.zeros((480, 333, 3), np.uint8))
    assert picture.shape == (256, 176, 3)  # 177.6 is nearer to 176 than to 184
    autoencoder = lively(Autoencoder.tiny(4), 1)
    found = measure(folder, autoencoder)
    assert found["photos"] == 2
    exact = np.asarray(Image.open(folder / "two.png"))
    assert psnr(reproduced(autoencoder, exact), exact) in found["psnr"]["all"]
    assert found["psnr"]["all"] == sorted(found["psnr"]["all"])
    assert found["bars"][0]["met"] is (found["psnr"]["mean"] >= 28)
    autoencoder.save_pretrained(tmp_path / "weights")
    out = tmp_path / "real.json"
    command = [str(folder), "--weights", str(tmp_path / "weights"), "-o", str(out)]
    assert main(command) == 0
    written = out.read_text("utf-8")
    assert json.loads(written)["psnr"] == found["psnr"]
    assert "one.jpg" not in written and str(tmp_path) not in written
    assert "2 photographs" in capsys.readouterr().out


def test_nothing_to_measure_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MetricsError, match="holds no photographs"):
        measure(tmp_path / "empty", None)
    assert main([str(tmp_path / "absent"), "--weights", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: ")
