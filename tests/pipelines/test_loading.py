import json
from pathlib import Path

import pytest

from reposedm.errors import SettingsError
from reposedm.jobs import methods
from reposedm.pipelines import loading
from reposedm.pipelines.base import Capabilities


@pytest.mark.parametrize("name", list(loading.METHODS))
def test_every_entry_is_a_method_of_that_name(name: str) -> None:
    able = loading.capabilities(name)
    assert isinstance(able, Capabilities) and able.name == name
    assert able.label and able.description and able.stages
    known = {"steps", "guidance_scale", "pose_guidance_scale", "texture", "prompt"}
    assert able.controls <= known


@pytest.mark.parametrize("task", ["repose", "swap"])
def test_without_weights_the_default_is_what_needs_none(task: methods.Task) -> None:
    name = methods.default_method(task)
    table = loading.SWAPS if task == "swap" else loading.METHODS
    assert not table[name].files and loading.unavailable(name, table) == ""
    assert loading.load_method(name, table).capabilities.name == name


def test_the_default_is_the_first_whose_weights_are_here(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    assert methods.default_method() == "preview"
    for file in loading.METHODS["reposedm"].files:
        (tmp_path / "reposedm" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "reposedm" / file).write_bytes(b"x")
    assert methods.default_method() == next(iter(loading.METHODS)) == "reposedm"


@pytest.mark.parametrize("name", ["", "no", None, 5, ["preview"], "os.path"])
def test_unknown_names_are_refused(name: object) -> None:
    for use in (loading.capabilities, loading.unavailable, loading.load_method):
        with pytest.raises(SettingsError, match="there is no method"):
            use(name)  # type: ignore[operator]


def test_weights_root_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    odd = tmp_path / "my wéights"
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(odd))
    assert loading.weights_root() == odd.resolve()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REPOSEDM_WEIGHTS", "~/w")
    assert loading.weights_root() == (tmp_path / "w").resolve()
    monkeypatch.setenv("REPOSEDM_WEIGHTS", "")
    assert loading.weights_root().parts[-2:] == ("assets", "weights")


def test_defaults_are_those_of_the_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REPOSEDM_WEIGHTS", str(tmp_path))
    plain = loading.capabilities("reposedm")
    assert "pose_guidance_scale" in plain.controls
    index = tmp_path / "reposedm" / "model_index.json"
    index.parent.mkdir()
    index.write_text(json.dumps({"steps": 4, "guidance_scale": 1.5, "pose_guidance_strength": 0}))
    found = loading.capabilities("reposedm")
    assert (found.default_steps, found.default_guidance) == (4, 1.5)
    assert found.controls == plain.controls - {"pose_guidance_scale"}  # there is no estimator
    index.write_text(json.dumps({"steps": 0, "guidance_scale": "2", "pose_guidance_strength": 3}))
    found = loading.capabilities("reposedm")
    assert (found.default_steps, found.default_guidance) == (1, plain.default_guidance)
    assert found.controls == plain.controls
    for damaged in ("{", "[]"):
        index.write_text(damaged)
        assert loading.capabilities("reposedm") == plain
