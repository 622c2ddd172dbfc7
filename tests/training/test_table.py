"""The table of results beside published numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from training.metrics import PROTOCOLS, MetricsError
from training.summary import over_seeds
from training.table import PUBLISHED, main, read_results, table


def results(name: str, **changes: Any) -> dict[str, Any]:
    numbers = {
        "whole": {"ssim_g1.5": over_seeds([0.7, 0.8]), "lpips": over_seeds([0.2, 0.2])},
        "set": {"fid_legacy_torchvision": over_seeds([9.0, 11.0])},
    }
    return {
        "format": "reposedm-results",
        "version": 1,
        "name": name,
        "numbers": numbers,
        "data": {"kind": "deepfashion", "split": "test"},
        "protocol": {"name": "legacy-256", "text": PROTOCOLS["legacy-256"].text},
        "counts": {"pairs": 8570, "of": 8570, "seeds": 2},
        "seeds": [0, 1],
        "candidate": {"format": "PNG", "weights": {"unet.safetensors": "ab" * 32}},
        "commit": "c" * 40,
        "command": "python -m training.evaluate",
    } | changes


def cells(page: str, start: str) -> list[str]:
    line = next(line for line in page.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_published_numbers_stand_there_without_any_run() -> None:
    page = table([])
    assert cells(page, "RePoseDM") == ["RePoseDM", "5.1986", "", "0.7923", "", "0.1463", ""]
    assert cells(page, "B2") == ["B2 (ablation)", "6.9113", "", "0.7055", "", "0.1634", ""]
    assert [line for line in page.splitlines() if line.startswith("###")] == [
        "### DeepFashion 256x176", "### DeepFashion 512x352", "### Market-1501 128x64",
    ]  # fmt: skip
    assert "measured ones were run" not in page


def test_a_run_stands_beside_its_published_row() -> None:
    page = table([results("reposedm"), results("pidm"), results("copy-source")])
    mean, spread = "10.0000 ± 1.4142", "0.7500 ± 0.0707"  # of 9 and 11; of 0.7 and 0.8
    assert cells(page, "RePoseDM") == [
        "RePoseDM", "5.1986", mean, "0.7923", spread, "0.1463", "0.2000 ± 0.0000",
    ]  # fmt: skip
    # Our method pidm is the paper's B1, not PIDM.
    assert cells(page, "PIDM")[2] == ""
    assert cells(page, "B1")[2] == mean
    assert cells(page, "copy-source")[:3] == ["copy-source", "", mean]
    assert "unet.safetensors abababababab; commit cccccccccccc" in page


def test_limited_runs_other_data_and_oracles_say_so() -> None:
    limited = results("reposedm", counts={"pairs": 100, "of": 8570, "seeds": 2})
    limited["numbers"]["oracle@2"] = {"ssim_g1.5": over_seeds([0.9])}
    limited["numbers"]["person"] = {"ssim_g1.5": over_seeds([0.65])}
    drawn = results("preview", data={"kind": "drawn", "split": "test"})
    train = results("reposedm", data={"kind": "deepfashion", "split": "train"})
    page = table([limited, drawn, train])
    assert cells(page, "RePoseDM (100 of 8570 pairs)")[-1] == "0.6500"
    row = cells(page, "reposedm (oracle@2: chosen by the answer)")
    assert row[4] == "0.9000"
    assert "### drawn, test, legacy-256" in page
    assert "### deepfashion, train, legacy-256" in page


def test_two_runs_of_one_row_are_refused() -> None:
    with pytest.raises(MetricsError, match="two results are called 'RePoseDM'"):
        table([results("reposedm"), results("RePoseDM")])


def test_every_published_row_has_a_protocol_and_can_be_measured() -> None:
    published = json.loads(PUBLISHED.read_text("utf-8"))
    for group in published["groups"]:
        assert group["protocol"] in PROTOCOLS
        names = [name for row in group["rows"] for name in row["measured"]]
        assert len(names) == len(set(names))
        assert names == [name.lower() for name in names]


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "r.json", tmp_path / "table.md"
    file.write_text(json.dumps(results("reposedm")))
    assert main([str(file), "-o", str(out)]) == 0
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == out.read_text("utf-8")
    assert read_results(file)["name"] == "reposedm"
    for text in ("{", "[]", '{"format": "other"}', '{"format": "reposedm-results", "version": 9}'):
        file.write_text(text)
        assert main([str(file)]) == 2
        assert capsys.readouterr().err.startswith("error: ")
    assert main([str(tmp_path / "absent.json")]) == 2
